package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/messages"
)

const (
	// LeaseBucket is the JetStream key-value bucket that keeps the leases, one
	// key per autoscaler.
	LeaseBucket = "ebb_leases"
	// leaseLead is at most how much earlier than the TTL the server lets a lease
	// run out, so that a standby which tries again and again acts within it.
	leaseLead = time.Second
)

// LeasesConfig says who takes leases, and how they are kept.
type LeasesConfig struct {
	// Holder names this process, such as host-1:4242:9f3c. No other one, and no
	// earlier run of it, has the same name.
	Holder string
	// Place, when it is set, names what only one process at a time can have, such
	// as a locked state directory. A lease of another holder in the same place is
	// that of a dead process, and free: a restart need not wait until it runs out.
	Place string
	// Timing is the same for all processes; [messages.DefaultLeaseTiming] when
	// it is zero.
	Timing messages.LeaseTiming
	// Now is the clock. It tells people when a lease was renewed, and numbers the
	// first epoch; nothing runs out by it.
	Now func() time.Time
}

// Leases are the leases of one process, in a JetStream key-value bucket that all
// processes share. Methods may be called at the same time. doc.go has the law.
type Leases struct {
	bucket *bucket
	config LeasesConfig
	log    zerolog.Logger

	mu sync.Mutex
	// unanswered are the attempts to acquire that ended without an answer: such
	// a lease is nobody's, and ours to take over.
	unanswered map[messages.AutoscalerName]string
}

// leaseValue is what a key holds.
type leaseValue struct {
	Holder string `json:"holder"`
	Place  string `json:"place,omitempty"`
	// At is when this was written, by the holder's clock.
	At time.Time `json:"at"`
	// Epoch is not there in the first value of a lease, whose own sequence it is.
	Epoch messages.Epoch `json:"epoch,omitempty"`
	// Attempt tells one attempt to acquire from all others.
	Attempt string `json:"attempt"`
}

// OpenLeases opens the key-value bucket [LeaseBucket], and makes it when it is
// missing. A bucket that lets leases run out sooner than the timing needs is
// changed. One that keeps them longer is changed only while nobody holds a
// lease, because the holders count on it; else it stays, and is logged.
func (b *Bus) OpenLeases(ctx context.Context, config LeasesConfig) (*Leases, error) {
	if config.Timing == (messages.LeaseTiming{}) {
		config.Timing = messages.DefaultLeaseTiming()
	}
	if err := checkLeasesConfig(config); err != nil {
		return nil, fmt.Errorf("open leases: %w", err)
	}
	opened, err := b.openBucket(ctx, LeaseBucket, func() jetstream.StreamConfig { return leasesStream(config) })
	if err != nil {
		return nil, fmt.Errorf("open leases: %w", err)
	}
	leases := &Leases{
		bucket: opened, config: config, log: b.log.With().Str("holder", config.Holder).Logger(),
		unanswered: map[messages.AutoscalerName]string{},
	}
	if err := leases.fitTTL(ctx); err != nil {
		return nil, fmt.Errorf("open leases: %w", streamError("change", bucketStream+LeaseBucket, err))
	}
	return leases, nil
}

// checkLeasesConfig refuses a timing under which two could act at once, or
// nobody.
func checkLeasesConfig(config LeasesConfig) error {
	timing := config.Timing
	switch {
	case config.Holder == "":
		return errors.New("no holder is named")
	case config.Now == nil:
		return errors.New("no clock is given")
	case timing.TTL <= 0 || timing.Renew <= 0 || timing.Margin <= 0:
		return fmt.Errorf("lease timing: TTL %s, renewal %s and margin %s must all be above zero", timing.TTL, timing.Renew, timing.Margin)
	case timing.Renew+timing.Margin >= timing.TTL:
		return fmt.Errorf("lease timing: the TTL of %s is too short for a renewal every %s and a margin of %s: "+
			"it must be longer than both together", timing.TTL, timing.Renew, timing.Margin)
	case leaseTTL(timing) < shortestTTL:
		return fmt.Errorf("lease timing: the TTL of %s is too short: the server keeps a lease for %s or longer", timing.TTL, shortestTTL)
	}
	return nil
}

// shortestTTL is the shortest age limit that a server takes.
const shortestTTL = 100 * time.Millisecond

// leaseTTL is how long the server keeps a lease that is not renewed: shorter
// than the TTL by a second or a third of the margin, so always longer than a
// holder acts.
func leaseTTL(timing messages.LeaseTiming) time.Duration {
	return timing.TTL - min(leaseLead, timing.Margin/3)
}

// leasesStream is the stream of the bucket as it is made. Its sequences are the
// epochs. They begin at the milliseconds of the clock, so that they grow also
// when the stream was lost with its server: instances remember them.
func leasesStream(config LeasesConfig) jetstream.StreamConfig {
	stream := bucketConfig(LeaseBucket, "who acts for each ebb autoscaler; the sequence is the epoch", leaseTTL(config.Timing))
	stream.FirstSeq = uint64(max(config.Now().UnixMilli(), 1))
	return stream
}

// fitTTL brings the bucket's TTL in line with the timing where that is safe.
func (l *Leases) fitTTL(ctx context.Context) error {
	want := leaseTTL(l.config.Timing)
	stream, err := l.bucket.ensure(ctx)
	if err != nil {
		return err
	}
	have := stream.CachedInfo().Config
	switch {
	case have.MaxAge == want:
		return nil
	case have.MaxAge > 0 && have.MaxAge < want:
		return l.setTTL(ctx, have, want)
	}
	held, err := l.anyHeld(ctx)
	if err == nil && !held {
		if err := l.setTTL(ctx, have, want); err != nil {
			return err
		}
		// Somebody who counts on the old TTL may have come in between.
		if held, err = l.anyHeld(ctx); held || err != nil {
			err = errors.Join(err, l.setTTL(ctx, have, have.MaxAge))
		}
	}
	if held {
		l.log.Warn().Dur("keeps", have.MaxAge).Dur("configured", want).
			Msg("the lease bucket keeps its longer TTL, because a lease is held that counts on it: " +
				"whoever stands by waits longer; to shorten it, stop all processes and start them with the same lease timing")
	}
	return err
}

// raiseTTL makes sure that the bucket keeps a lease at least as long as we count
// on. first is the lowest epoch that the bucket can have given.
func (l *Leases) raiseTTL(ctx context.Context) (first messages.Epoch, err error) {
	stream, err := l.bucket.ensure(ctx)
	if err != nil {
		return 0, err
	}
	have, want := stream.CachedInfo().Config, leaseTTL(l.config.Timing)
	if have.MaxAge != 0 && have.MaxAge < want {
		err = l.setTTL(ctx, have, want)
	}
	return messages.Epoch(have.FirstSeq), err
}

// setTTL changes the TTL of the bucket, and nothing else.
func (l *Leases) setTTL(ctx context.Context, have jetstream.StreamConfig, ttl time.Duration) error {
	have.MaxAge, have.Duplicates = ttl, dedupeOf(ttl)
	_, err := l.bucket.bus.stream.UpdateStream(ctx, have)
	return err
}

// anyHeld says whether anybody holds a lease of any autoscaler.
func (l *Leases) anyHeld(ctx context.Context) (bool, error) {
	stream, err := l.bucket.ensure(ctx)
	if err != nil {
		return false, err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(bucketSubject+LeaseBucket+".>"))
	if err != nil {
		return false, err
	}
	for subject := range info.State.Subjects {
		found, err := l.bucket.read(ctx, subject)
		if err != nil || found.live {
			return found.live, err
		}
	}
	return false, nil
}

// value is what is written for a lease.
func (l *Leases) value(epoch messages.Epoch, attempt string) ([]byte, error) {
	return json.Marshal(leaseValue{
		Holder: l.config.Holder, Place: l.config.Place, At: l.config.Now().UTC(), Epoch: epoch, Attempt: attempt,
	})
}

// free says whether a lease may be taken: nobody has it, or it is what our
// attempt left behind, or a process that is dead because we are in its place.
func (l *Leases) free(found seen, attempt string) bool {
	return !found.live || found.value.Attempt == attempt ||
		l.config.Place != "" && found.value.Place == l.config.Place && found.value.Holder != l.config.Holder
}

// seen is the lease that a key shows.
type seen struct {
	kept
	value leaseValue
}

// look reads a key. A value that cannot be read is held by somebody unknown
// until it runs out.
func (l *Leases) look(ctx context.Context, subject string) (seen, error) {
	found, err := l.bucket.read(ctx, subject)
	if err != nil {
		return seen{}, err
	}
	shown := seen{kept: found}
	if !found.live {
		return shown, nil
	}
	if err := json.Unmarshal(found.data, &shown.value); err != nil {
		shown.value = leaseValue{Holder: "somebody who writes no lease that can be read"}
	}
	if shown.value.Epoch == 0 {
		shown.value.Epoch = messages.Epoch(found.sequence)
	}
	return shown, nil
}
