package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ebbscale/ebb/messages"
)

const (
	// StateBucket is the JetStream key-value bucket that keeps what actors
	// remember.
	StateBucket = "ebb_state"
	// StateLimit is the most bytes of one value.
	StateLimit = 512 << 10
)

// States keeps small values by autoscaler and key. Each replaces the one before
// it; there is no history and no compare-and-set: what is kept is advice.
// Methods may be called at the same time.
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

// Load answers what was saved last under the key, nil when nothing was; an
// empty value that was saved is not nil. Its errors are [messages.Failure]s of
// class ClassTransient.
func (s *States) Load(ctx context.Context, autoscaler messages.AutoscalerName, key string) ([]byte, error) {
	found, err := s.bucket.read(ctx, s.bucket.subject(string(autoscaler), key))
	if err != nil {
		s.bucket.heal(ctx, err)
		return nil, fmt.Errorf("load state %s of %s: %w", key, autoscaler, transient(err))
	}
	if !found.live {
		return nil, nil
	}
	return append([]byte{}, found.data...), nil
}

// Save replaces what is kept under the key. A value longer than [StateLimit], or
// than the server takes, is a [messages.Failure] of class ClassInvalid; after one
// of class ClassTransient it may be saved or not, now or a little later.
func (s *States) Save(ctx context.Context, autoscaler messages.AutoscalerName, key string, value []byte) error {
	limit := int64(StateLimit)
	if most := s.bucket.bus.conn.MaxPayload(); most > 0 {
		limit = min(limit, most-headerRoom)
	}
	if int64(len(value)) > limit {
		return fmt.Errorf("save state %s of %s: %w", key, autoscaler, &messages.Failure{
			Class:   messages.ClassInvalid,
			Message: fmt.Sprintf("%d bytes are too many: at most %d are kept", len(value), limit),
		})
	}
	message := nats.NewMsg(s.bucket.subject(string(autoscaler), key))
	message.Data = value
	if _, err := s.bucket.bus.stream.PublishMsg(ctx, message); err != nil {
		s.bucket.heal(ctx, err)
		return fmt.Errorf("save state %s of %s: %w", key, autoscaler, transient(err))
	}
	return nil
}
