package simulation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// store is what is durable: the launch ledger, the lease, the state and the
// events. It outlives the processes that use it, each through a link.
type store struct {
	loop *loop

	launches  []*messages.LaunchRecord
	byRequest map[messages.RequestID]*messages.LaunchRecord
	byLaunch  map[messages.LaunchID]*messages.LaunchRecord
	claimed   messages.Epoch

	timing messages.LeaseTiming
	lease  lease
	epochs messages.Epoch // the last that was given

	state map[string]*keptState

	events []messages.Recorded
	known  map[string]bool // ids of events
	heard  func(messages.Recorded)
}

// keptState is a value of the state, and whose it is.
type keptState struct {
	epoch messages.Epoch
	value []byte
}

// lease is the right to act as the store knows it.
type lease struct {
	messages.Lease
	until time.Time // when it passes; zero when nobody has it
}

func newStore(l *loop, timing messages.LeaseTiming) *store {
	return &store{
		loop: l, timing: timing, byRequest: map[messages.RequestID]*messages.LaunchRecord{},
		byLaunch: map[messages.LaunchID]*messages.LaunchRecord{}, state: map[string]*keptState{}, known: map[string]bool{},
	}
}

// holder is who has the lease at this moment, empty when nobody does.
func (s *store) holder() string {
	if !s.loop.clock.Now().Before(s.lease.until) {
		return ""
	}
	return s.lease.Holder
}

// link is the way of one process to the store.
type link struct {
	store  *store
	wire   *wire
	holder string
}

// ask is one call of a link. A failure of the network is of class transient: it
// may have happened or not.
func ask[T any](ctx context.Context, l *link, name string, act func() (T, error)) (T, error) {
	answer, err := carry(ctx, l.wire, call{name: name}, act)
	if err != nil && messages.FailureOf(err).Class == messages.ClassUnknown {
		err = fmt.Errorf("%w: %w", &messages.Failure{Class: messages.ClassTransient, Message: "the store does not answer"}, err)
	}
	if err != nil {
		return answer, fmt.Errorf("%s: %w", name, err)
	}
	return answer, nil
}

// done is the answer of a call that has none.
type done struct{}

func fenced(format string, args ...any) error {
	return &messages.Failure{Class: messages.ClassFenced, Message: fmt.Sprintf(format, args...)}
}

// Claim implements actors.Fence.
func (l *link) Claim(ctx context.Context, epoch messages.Epoch) error {
	_, err := ask(ctx, l, "claim the ledger", func() (done, error) {
		s := l.store
		if epoch < s.claimed {
			return done{}, fenced("epoch %d was claimed, %d is earlier", s.claimed, epoch)
		}
		s.claimed = epoch
		return done{}, nil
	})
	return err
}

// Intend implements actors.Ledger.
func (l *link) Intend(ctx context.Context, intent messages.LaunchIntent) (messages.LaunchRecord, error) {
	return ask(ctx, l, "intend launch "+string(intent.Request), func() (messages.LaunchRecord, error) {
		s := l.store
		record := s.byRequest[intent.Request]
		if record != nil {
			return clone(record), nil
		}
		if intent.Epoch < s.claimed {
			return messages.LaunchRecord{}, fenced("epoch %d was claimed, the intent is of %d", s.claimed, intent.Epoch)
		}
		n := len(s.launches) + 1
		record = &messages.LaunchRecord{
			Launch: messages.LaunchID(fmt.Sprintf("L%d", n)), Token: fmt.Sprintf("ebb-token-%d", n), Intent: intent,
		}
		s.launches = append(s.launches, record)
		s.byRequest[intent.Request], s.byLaunch[record.Launch] = record, record
		return clone(record), nil
	})
}

func clone(record *messages.LaunchRecord) messages.LaunchRecord {
	copied := *record
	copied.Outcome.Instances = slices.Clone(record.Outcome.Instances)
	return copied
}

// Settle implements actors.Ledger.
func (l *link) Settle(ctx context.Context, launch messages.LaunchID, outcome messages.LaunchOutcome) error {
	_, err := ask(ctx, l, "settle launch "+string(launch), func() (done, error) {
		return done{}, l.store.settle(launch, outcome)
	})
	return err
}

func (s *store) settle(launch messages.LaunchID, outcome messages.LaunchOutcome) error {
	record := s.byLaunch[launch]
	switch {
	case record == nil:
		return &messages.Failure{Class: messages.ClassNotFound, Message: "no such launch"}
	case len(outcome.Instances) == 0 && outcome.Failure == nil:
		return &messages.Failure{Class: messages.ClassInvalid, Message: "an outcome has instances or a failure"}
	case len(outcome.Instances) == 0 && outcome.Epoch < s.claimed:
		return fenced("epoch %d was claimed, the outcome is of %d", s.claimed, outcome.Epoch)
	case !record.Settled:
		record.Settled, record.Outcome = true, outcome
	default: // an outcome that differs never takes instances back
		for _, id := range outcome.Instances {
			if !slices.Contains(record.Outcome.Instances, id) {
				record.Outcome.Instances = append(record.Outcome.Instances, id)
			}
		}
	}
	return nil
}

// Launches implements actors.Ledger.
func (l *link) Launches(ctx context.Context, since time.Time) ([]messages.LaunchRecord, error) {
	return ask(ctx, l, "read launches", func() ([]messages.LaunchRecord, error) {
		var records []messages.LaunchRecord
		for _, record := range l.store.launches {
			if !record.Settled || !record.Outcome.At.Before(since) {
				records = append(records, clone(record))
			}
		}
		return records, nil
	})
}

// early is how much sooner than TTL the store lets a lease pass to another, so
// that a standby, which asks now and then, acts within TTL.
const early = time.Second

// Acquire implements actors.Ownership.
func (l *link) Acquire(ctx context.Context, autoscaler messages.AutoscalerName) (messages.Lease, error) {
	return ask(ctx, l, "acquire the lease", func() (messages.Lease, error) {
		s := l.store
		if holder := s.holder(); holder != "" {
			return messages.Lease{}, &messages.Failure{Class: messages.ClassHeld, Message: holder + " holds it"}
		}
		s.epochs++
		s.lease = lease{
			Lease: messages.Lease{Autoscaler: autoscaler, Holder: l.holder, Epoch: s.epochs, Revision: 1, First: 1},
			until: s.loop.clock.Now().Add(s.timing.TTL - early),
		}
		l.wire.process.owns(s.lease.Epoch)
		return s.lease.Lease, nil
	})
}

// Renew implements actors.Ownership. A renewal whose answer was lost has raised
// the revision already: the epoch alone says whose lease it is.
func (l *link) Renew(ctx context.Context, known messages.Lease) (messages.Lease, error) {
	return ask(ctx, l, "renew the lease", func() (messages.Lease, error) {
		s := l.store
		if s.holder() == "" || s.lease.Epoch != known.Epoch {
			return messages.Lease{}, fenced("the lease of epoch %d has passed", known.Epoch)
		}
		s.lease.Revision++
		s.lease.until = s.loop.clock.Now().Add(s.timing.TTL - early)
		return s.lease.Lease, nil
	})
}

// Release implements actors.Ownership.
func (l *link) Release(ctx context.Context, known messages.Lease) error {
	_, err := ask(ctx, l, "release the lease", func() (done, error) {
		if l.store.lease.Epoch == known.Epoch {
			l.store.lease.until = time.Time{}
		}
		return done{}, nil
	})
	return err
}

// Load implements actors.State.
func (l *link) Load(ctx context.Context, key messages.StateKey) ([]byte, error) {
	return ask(ctx, l, "load "+key.Key, func() ([]byte, error) {
		found, err := l.store.own(key)
		return slices.Clone(found.value), err
	})
}

// Save implements actors.State.
func (l *link) Save(ctx context.Context, key messages.StateKey, value []byte) error {
	_, err := ask(ctx, l, "save "+key.Key, func() (done, error) {
		found, err := l.store.own(key)
		if err == nil {
			found.value = slices.Clone(value)
		}
		return done{}, err
	})
	return err
}

// own makes a key the epoch's.
func (s *store) own(key messages.StateKey) (*keptState, error) {
	at := string(key.Autoscaler) + " " + key.Key
	if s.state[at] == nil {
		s.state[at] = &keptState{}
	}
	found := s.state[at]
	if found.epoch > key.Epoch {
		return found, fenced("epoch %d has %s, %d is earlier", found.epoch, key.Key, key.Epoch)
	}
	found.epoch = key.Epoch
	return found, nil
}

// Publish implements actors.Publisher.
func (l *link) Publish(ctx context.Context, events []messages.Recorded) error {
	_, err := ask(ctx, l, fmt.Sprintf("publish %d events", len(events)), func() (done, error) {
		s := l.store
		for _, event := range events {
			if !s.known[event.ID] {
				s.known[event.ID] = true
				s.events = append(s.events, event)
				s.heard(event)
			}
		}
		return done{}, nil
	})
	return err
}
