package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ebbscale/ebb/messages"
)

const (
	// The streams and subjects of a key-value bucket, and what marks a message
	// that stands for a key's absence: deleted by a client, or by the server when
	// the key ran out.
	bucketStream    = "KV_"
	bucketSubject   = "$KV."
	operationHeader = "KV-Operation"
	operationDelete = "DEL"
	operationPut    = "PUT"
	markerHeader    = "Nats-Marker-Reason"

	// markerLife is how long the server keeps such a marker for watchers.
	markerLife = time.Minute
)

// bucket is a key-value bucket with a history of one. It is used through its
// stream: the key-value client has no message ids, and reads from any replica,
// which may be behind.
type bucket struct {
	bus    *Bus
	name   string
	config func() jetstream.StreamConfig
	stream jetstream.Stream
}

// kept is the last message of a key.
type kept struct {
	// sequence is what the next write expects; zero when there is no message.
	sequence uint64
	// live is false for a marker.
	live   bool
	header nats.Header
	data   []byte
}

// bucketConfig is the stream of a bucket. Reading goes to the leader alone.
func bucketConfig(name, description string, ttl time.Duration) jetstream.StreamConfig {
	config := jetstream.StreamConfig{
		Name:              bucketStream + name,
		Description:       description,
		Subjects:          []string{bucketSubject + name + ".>"},
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew,
		Storage:           jetstream.FileStorage,
		MaxMsgsPerSubject: 1,
		MaxAge:            ttl,
		Duplicates:        dedupeOf(ttl),
		DenyDelete:        true,
		AllowRollup:       true,
	}
	if ttl > 0 {
		config.AllowMsgTTL, config.SubjectDeleteMarkerTTL = true, markerLife
	}
	return config
}

// dedupeOf is how long a bucket remembers message ids: the server takes no
// more than the TTL, and later nothing can be repeated anyway.
func dedupeOf(ttl time.Duration) time.Duration {
	if ttl == 0 || ttl > dedupeWindow {
		return dedupeWindow
	}
	return ttl
}

// openBucket makes a bucket as config says, or checks the one there.
func (b *Bus) openBucket(ctx context.Context, name string, config func() jetstream.StreamConfig) (*bucket, error) {
	opened := &bucket{bus: b, name: name, config: config}
	stream, err := opened.ensure(ctx)
	if err != nil {
		return nil, streamError("make or read", bucketStream+name, err)
	}
	if err := checkBucket(stream.CachedInfo().Config, config()); err != nil {
		return nil, err
	}
	opened.stream = stream
	return opened, nil
}

// ensure answers the bucket's stream as it is now, and makes it when it is
// missing.
func (k *bucket) ensure(ctx context.Context) (jetstream.Stream, error) {
	stream, err := k.bus.stream.Stream(ctx, bucketStream+k.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) && !k.bus.config.ReadOnly {
		return k.bus.makeStream(ctx, k.config())
	}
	return stream, err
}

// heal makes the stream again if the error says that it is gone.
func (k *bucket) heal(ctx context.Context, err error) {
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrNoStreamResponse) {
		if _, err := k.ensure(ctx); err != nil {
			k.bus.log.Debug().Err(err).Str("stream", bucketStream+k.name).Msg("stream cannot be made or read for now")
		}
	}
}

// checkBucket refuses a stream that would not keep what is expected of it.
func checkBucket(have, want jetstream.StreamConfig) error {
	faults := ""
	switch {
	case have.MaxMsgsPerSubject != 1:
		faults = "max_msgs_per_subject must be 1"
	case have.AllowDirect:
		faults = "allow_direct must be off: it reads from replicas that may be behind"
	case have.Storage != jetstream.FileStorage:
		faults = "storage must be file"
	case len(have.Subjects) != 1 || have.Subjects[0] != want.Subjects[0]:
		faults = "subjects must be " + want.Subjects[0]
	case want.MaxAge == 0 && have.MaxAge > 0:
		faults = "max_age must be 0"
	}
	if faults != "" {
		return fmt.Errorf("stream %s cannot be used: %s (change it, or delete it while no ebb runs; it is made anew)", want.Name, faults)
	}
	return nil
}

// subject is where a key of several parts is written.
func (k *bucket) subject(parts ...string) string {
	tokens := []string{bucketSubject + k.name}
	for _, part := range parts {
		tokens = append(tokens, keyToken(part))
	}
	return strings.Join(tokens, ".")
}

// read answers the last message of a subject, from the stream's leader.
func (k *bucket) read(ctx context.Context, subject string) (kept, error) {
	message, err := k.stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return kept{}, nil
	}
	if err != nil {
		return kept{}, err
	}
	operation := message.Header.Get(operationHeader)
	return kept{
		sequence: message.Sequence,
		live:     (operation == "" || operation == operationPut) && message.Header.Get(markerHeader) == "",
		header:   message.Header,
		data:     message.Data,
	}, nil
}

// write is one message to a key. With an id the same one again is stored once.
type write struct {
	subject, id, operation string
	data                   []byte
	header                 nats.Header // more of it
	// expected is the sequence that the key's last message must have.
	expected uint64
}

// compareAndSet writes when the key's last message is the expected one.
// repeated says that the message was stored earlier, at that sequence.
func (k *bucket) compareAndSet(ctx context.Context, what write) (sequence uint64, repeated bool, err error) {
	message := nats.NewMsg(what.subject)
	message.Data = what.data
	maps.Copy(message.Header, what.header)
	if what.id != "" {
		message.Header.Set(jetstream.MsgIDHeader, what.id)
	}
	message.Header.Set(jetstream.ExpectedStreamHeader, bucketStream+k.name)
	message.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(what.expected, 10))
	if what.operation != "" {
		message.Header.Set(operationHeader, what.operation)
	}
	// Who calls tries again, and first makes the stream if it is gone.
	ack, err := k.bus.stream.PublishMsg(ctx, message, jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, false, err
	}
	return ack.Sequence, ack.Duplicate, nil
}

// keyToken turns any string into one token of a key that every key-value client
// takes: [EscapeToken] leaves letters beyond ASCII, and escapes with a percent
// sign, which those refuse. Letters, digits, dash and underscore stay; any other
// byte becomes =XX, and the empty string a lone equals sign.
func keyToken(text string) string {
	if text == "" {
		return "="
	}
	var token strings.Builder
	for _, octet := range []byte(text) {
		switch {
		case octet >= 'a' && octet <= 'z', octet >= 'A' && octet <= 'Z', octet >= '0' && octet <= '9', octet == '-', octet == '_':
			token.WriteByte(octet)
		default:
			token.Write([]byte{'=', upperHex[octet>>4], upperHex[octet&0xf]})
		}
	}
	return token.String()
}

// transient is a failure after which nothing is known.
func transient(err error) error {
	return &messages.Failure{Class: messages.ClassTransient, Message: err.Error()}
}
