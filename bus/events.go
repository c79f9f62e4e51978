package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ebbscale/ebb/messages"
)

const (
	// catchUpBeat and followBeat are how often the server says that it has not
	// forgotten a reader. After two missing beats nats.go makes a new one: a
	// request for messages can get lost, and nobody would notice.
	catchUpBeat = time.Second
	followBeat  = 5 * time.Second
	// quietPatience is how long a reader that expects more messages waits
	// before it asks whether there still are any: they may have aged away.
	// nats.go counts beats within one wait only, so it must be longer than
	// two of them.
	quietPatience = 5 * catchUpBeat
	// tidyPatience bounds the removal of a reader at the server.
	tidyPatience = 2 * time.Second
)

// EventQuery says which events to read.
type EventQuery struct {
	// Autoscaler reads the events of one; empty those of all.
	Autoscaler messages.AutoscalerName
	// Kind reads one kind, such as instance.launched, or all kinds of a noun,
	// such as instance; empty reads all.
	Kind string
	// Since leaves out what was stored before this time; zero reads from the
	// oldest event kept. Events are stored shortly after they happen, or later
	// when the bus was away.
	Since time.Time
	// Follow goes on with events as they are stored, until the context ends.
	Follow bool
	// CaughtUp, if set, is called once, between two events: all that were stored when
	// the reading began have been handed on.
	CaughtUp func()
}

// StoredEvent is an event with its place in the stream.
type StoredEvent struct {
	Envelope
	// Subject is where it was published.
	Subject string
	// Sequence grows along the stream, with gaps.
	Sequence uint64
	// Stored is when the server stored it, by the server's clock, in UTC.
	Stored time.Time
	// Raw is the CloudEvent as it was stored.
	Raw []byte
	// Problem is why Envelope.Event is nil: [ErrUnknownKind] for events of
	// another version, else something that is not ours. Nil when all is well.
	Problem error
}

// Events calls handle for each event of the query in the order of the stream,
// one at a time. Without Follow it returns nil after the last one that is
// stored; with Follow it returns when the context ends, with the context's
// error. An error of handle ends the reading and is returned as it is.
func (b *Bus) Events(ctx context.Context, query EventQuery, handle func(StoredEvent) error) error {
	filter, err := eventFilter(query.Autoscaler, query.Kind)
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	config := jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverAllPolicy}
	if !query.Since.IsZero() {
		since := query.Since.UTC()
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	err = b.read(ctx, reading{stream: EventStream, config: config, follow: query.Follow, caughtUp: query.CaughtUp}, func(message jetstream.Msg) error {
		stored, err := storedEvent(message)
		if err != nil {
			return err
		}
		if err := handle(stored); err != nil {
			return handlerError{err}
		}
		return nil
	})
	var handler handlerError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &handler):
		return handler.error
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("read events: no stream %s here; no ebb has used this server yet: %w", EventStream, err)
	default:
		return fmt.Errorf("read events: %w", err)
	}
}

// handlerError tells the caller's own error from ours.
type handlerError struct{ error }

// storedEvent reads a message of the event stream. What cannot be decoded is
// kept raw: others may publish there too.
func storedEvent(message jetstream.Msg) (StoredEvent, error) {
	meta, err := message.Metadata()
	if err != nil {
		return StoredEvent{}, fmt.Errorf("read metadata of a message on %s: %w", message.Subject(), err)
	}
	envelope, problem := DecodeEvent(message.Data())
	return StoredEvent{
		Envelope: envelope,
		Subject:  message.Subject(),
		Sequence: meta.Sequence.Stream,
		Stored:   meta.Timestamp.UTC(),
		Raw:      message.Data(),
		Problem:  problem,
	}, nil
}

// reading is one pass over a stream.
type reading struct {
	stream string
	config jetstream.OrderedConsumerConfig
	follow bool
	// caughtUp is called when no message from before the beginning is left; nil when
	// nobody wants to know.
	caughtUp func()
}

// behind counts down what was stored when a reading began.
type behind struct {
	left     uint64
	caughtUp func()
}

// handled is told that there are no more than so many messages left of those.
func (b *behind) handled(left uint64) {
	b.left = left
	if left == 0 && b.caughtUp != nil {
		b.caughtUp()
		b.caughtUp = nil
	}
}

// read calls handle for each message, in order and without gaps. Without
// follow it returns once there is no more.
//
//nolint:cyclop // one pass with its few ways to end
func (b *Bus) read(ctx context.Context, what reading, handle func(jetstream.Msg) error) error {
	consumer, err := b.stream.OrderedConsumer(ctx, what.stream, what.config)
	if err != nil {
		return err
	}
	defer b.tidy(ctx, what.stream, consumer)
	history := behind{caughtUp: what.caughtUp}
	history.handled(consumer.CachedInfo().NumPending)
	if !what.follow && consumer.CachedInfo().NumPending == 0 {
		return nil
	}
	beat := catchUpBeat
	if what.follow {
		beat = followBeat
	}
	messages, err := consumer.Messages(jetstream.PullHeartbeat(beat))
	if err != nil {
		return err
	}
	defer messages.Stop()
	// Next heeds the context only while it waits for a message, not while it
	// makes a new consumer at a server that is away.
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		message, err := next(ctx, messages, what.follow)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded): // ours: it has been quiet
			if over, err := noneLeft(ctx, consumer); over || err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		meta, err := message.Metadata()
		if err != nil {
			return err
		}
		if err := handle(message); err != nil {
			return err
		}
		history.handled(min(meta.NumPending, history.left-min(1, history.left)))
		if !what.follow && meta.NumPending == 0 {
			return nil
		}
	}
}

// noneLeft asks whether a reader has nothing more to wait for.
func noneLeft(ctx context.Context, consumer jetstream.Consumer) (bool, error) {
	info, err := consumer.Info(ctx)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound): // it is being made anew
		return false, nil
	case err != nil:
		return false, fmt.Errorf("nothing came for %s: %w", quietPatience, err)
	}
	return info.NumPending == 0, nil
}

// next waits for one message: for ever when following, else for quietPatience.
func next(ctx context.Context, messages jetstream.MessagesContext, follow bool) (jetstream.Msg, error) {
	if !follow {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, quietPatience)
		defer cancel()
	}
	return messages.Next(jetstream.NextContext(ctx))
}

// tidy removes the reader at the server, which would else keep it for minutes.
func (b *Bus) tidy(ctx context.Context, stream string, consumer jetstream.Consumer) {
	info := consumer.CachedInfo()
	if info == nil || !b.conn.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyPatience)
	defer cancel()
	if err := b.stream.DeleteConsumer(ctx, stream, info.Name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		b.log.Debug().Err(err).Str("stream", stream).Msg("reader not removed; the server removes it by itself")
	}
}
