package bus

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ebbscale/ebb/messages"
)

const (
	// StateBucket is the JetStream key-value bucket that keeps what actors
	// remember.
	StateBucket = "ebb_state"
	// StateLimit is the most bytes of one value as it is written, compressed.
	StateLimit = 512 << 10
	// stateWhole is the most bytes of one value that is read: more than any that was
	// saved has, so that no foreign one fills the memory.
	stateWhole = 64 << 20

	epochHeader    = "Ebb-Epoch"
	encodingHeader = "Content-Encoding"
	encodingGzip   = "gzip"
)

// States keeps values by autoscaler and key. Each replaces the one before it; there
// is no history. A value belongs to the highest epoch that loaded or saved it, and no
// lower one changes it. Methods may be called at the same time.
type States struct{ bucket *bucket }

// OpenState opens the key-value bucket [StateBucket], and makes it when it is
// missing.
func (b *Bus) OpenState(ctx context.Context) (*States, error) {
	opened, err := b.openBucket(ctx, StateBucket, func() jetstream.StreamConfig {
		return bucketConfig(StateBucket, "what ebb autoscalers remember; losing it is safe", 0)
	})
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	return &States{bucket: opened}, nil
}

// Load answers what was saved last under the key, empty when nothing was. From its
// return on nothing of a lower epoch is saved there. Its errors are
// [messages.Failure]s: of class ClassFenced when a higher epoch has come, of
// ClassInvalid when what is kept is not readable, of ClassTransient otherwise; then
// the key may belong to the epoch or not.
func (s *States) Load(ctx context.Context, key messages.StateKey) ([]byte, error) {
	found, err := s.claim(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("load state %s of %s: %w", key.Key, key.Autoscaler, err)
	}
	value, err := unpack(found)
	if err != nil {
		return nil, fmt.Errorf("load state %s of %s: %w", key.Key, key.Autoscaler, &messages.Failure{
			Class: messages.ClassInvalid, Message: "what is kept is not readable: " + err.Error(),
		})
	}
	return value, nil
}

// Save replaces what is kept under the key. A value that compressed is longer than
// [StateLimit], or than the server takes, is a [messages.Failure] of class
// ClassInvalid; ClassFenced says that a higher epoch has loaded or saved there. After
// one of class ClassTransient it may be saved or not, now or a little later, but
// never over a higher epoch's.
func (s *States) Save(ctx context.Context, key messages.StateKey, value []byte) error {
	if err := s.save(ctx, key, value); err != nil {
		return fmt.Errorf("save state %s of %s: %w", key.Key, key.Autoscaler, err)
	}
	return nil
}

func (s *States) save(ctx context.Context, key messages.StateKey, value []byte) error {
	packed, header, err := pack(value)
	if err != nil {
		return err
	}
	limit := int64(StateLimit)
	if most := s.bucket.bus.conn.MaxPayload(); most > 0 {
		limit = min(limit, most-headerRoom)
	}
	if int64(len(packed)) > limit {
		return &messages.Failure{
			Class:   messages.ClassInvalid,
			Message: fmt.Sprintf("%d bytes, %d compressed, are too many: at most %d are kept", len(value), len(packed), limit),
		}
	}
	found, err := s.read(ctx, key)
	if err != nil {
		return err
	}
	_, err = s.write(ctx, key, found.sequence, packed, header)
	return err
}

// claim makes the key the epoch's, and answers what is kept there.
func (s *States) claim(ctx context.Context, key messages.StateKey) (kept, error) {
	for {
		found, err := s.read(ctx, key)
		if err != nil || found.epoch() == key.Epoch {
			return found, err
		}
		header := nats.Header{}
		if encoding := found.header.Get(encodingHeader); found.live && encoding != "" {
			header.Set(encodingHeader, encoding)
		}
		if !found.live {
			found.data = nil
		}
		if found.sequence, err = s.write(ctx, key, found.sequence, found.data, header); err == nil {
			return found, nil
		}
		if !isConflict(err) {
			return kept{}, err
		}
	}
}

// read answers what is kept under a key if the epoch may have it.
func (s *States) read(ctx context.Context, key messages.StateKey) (kept, error) {
	found, err := s.bucket.read(ctx, s.subject(key))
	if err != nil {
		s.bucket.heal(ctx, err)
		return kept{}, transient(err)
	}
	if epoch := found.epoch(); epoch > key.Epoch {
		return kept{}, &messages.Failure{
			Class:   messages.ClassFenced,
			Message: fmt.Sprintf("epoch %d is over: epoch %d has taken over what is kept", key.Epoch, epoch),
		}
	}
	return found, nil
}

// write is refused when the last message of the key is not the expected one. An
// error is of class ClassTransient, and says with isConflict that it was that.
func (s *States) write(ctx context.Context, key messages.StateKey, expected uint64, data []byte, header nats.Header) (uint64, error) {
	header.Set(epochHeader, strconv.FormatUint(uint64(key.Epoch), 10))
	sequence, _, err := s.bucket.compareAndSet(ctx, write{subject: s.subject(key), data: data, expected: expected, header: header})
	if err != nil {
		s.bucket.heal(ctx, err)
		return 0, fmt.Errorf("%w: %w", transient(err), err)
	}
	return sequence, nil
}

func (s *States) subject(key messages.StateKey) string {
	return s.bucket.subject(string(key.Autoscaler), key.Key)
}

// epoch is whose value it is; zero when there is none.
func (k kept) epoch() messages.Epoch {
	epoch, err := strconv.ParseUint(k.header.Get(epochHeader), 10, 64)
	if err != nil {
		return 0
	}
	return messages.Epoch(epoch)
}

// pack compresses a value: what is kept of many instances is much the same of each.
func pack(value []byte) ([]byte, nats.Header, error) {
	if len(value) == 0 {
		return nil, nats.Header{}, nil
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(value); err != nil {
		return nil, nil, err
	}
	if err := w.Close(); err != nil {
		return nil, nil, err
	}
	return packed.Bytes(), nats.Header{encodingHeader: {encodingGzip}}, nil
}

func unpack(found kept) ([]byte, error) {
	if !found.live || found.header.Get(encodingHeader) == "" {
		return found.data, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(found.data))
	if err != nil {
		return nil, err
	}
	value, err := io.ReadAll(io.LimitReader(r, stateWhole+1))
	if err == nil && len(value) > stateWhole {
		err = fmt.Errorf("more than %d bytes", stateWhole)
	}
	return value, err
}
