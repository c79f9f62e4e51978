package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ebbscale/ebb/messages"
)

var errStoreDown = errors.New("the store does not answer")

// store is what is durable: the launch ledger and the events. It outlives the
// processes that write to it.
type store struct {
	loop    *loop
	latency func() time.Duration
	down    bool

	launches  []*messages.LaunchRecord
	byRequest map[messages.RequestID]*messages.LaunchRecord
	byLaunch  map[messages.LaunchID]*messages.LaunchRecord

	events []messages.Recorded
	known  map[string]bool // ids of events
	heard  func(messages.Recorded)
}

func newStore(l *loop, latency func() time.Duration) *store {
	return &store{
		loop: l, latency: latency, byRequest: map[messages.RequestID]*messages.LaunchRecord{},
		byLaunch: map[messages.LaunchID]*messages.LaunchRecord{}, known: map[string]bool{},
	}
}

// reach is the way to the store, and the way back.
func (s *store) reach(ctx context.Context) error {
	if !s.loop.sleep(s.latency()) {
		return context.Canceled
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.down {
		return errStoreDown
	}
	return nil
}

// Intend implements actors.Ledger.
func (s *store) Intend(ctx context.Context, intent messages.LaunchIntent) (messages.LaunchRecord, error) {
	if err := s.reach(ctx); err != nil {
		return messages.LaunchRecord{}, fmt.Errorf("intend launch %s: %w", intent.Request, err)
	}
	record := s.byRequest[intent.Request]
	if record == nil {
		n := len(s.launches) + 1
		record = &messages.LaunchRecord{
			Launch: messages.LaunchID(fmt.Sprintf("L%d", n)), Token: fmt.Sprintf("ebb-token-%d", n), Intent: intent,
		}
		s.launches = append(s.launches, record)
		s.byRequest[intent.Request], s.byLaunch[record.Launch] = record, record
	}
	if err := s.reach(ctx); err != nil {
		return messages.LaunchRecord{}, fmt.Errorf("intend launch %s: %w", intent.Request, err)
	}
	return clone(record), nil
}

func clone(record *messages.LaunchRecord) messages.LaunchRecord {
	copied := *record
	copied.Outcome.Instances = slices.Clone(record.Outcome.Instances)
	return copied
}

// Settle implements actors.Ledger.
func (s *store) Settle(ctx context.Context, launch messages.LaunchID, outcome messages.LaunchOutcome) error {
	if err := s.reach(ctx); err != nil {
		return fmt.Errorf("settle launch %s: %w", launch, err)
	}
	record := s.byLaunch[launch]
	switch {
	case record == nil:
		return fmt.Errorf("settle launch %s: %w", launch, &messages.Failure{Class: messages.ClassNotFound, Message: "no such launch"})
	case len(outcome.Instances) == 0 && outcome.Failure == nil:
		return fmt.Errorf("settle launch %s: %w", launch, &messages.Failure{
			Class: messages.ClassInvalid, Message: "an outcome has instances or a failure",
		})
	case !record.Settled:
		record.Settled, record.Outcome = true, outcome
	default: // an outcome that differs never takes instances back
		for _, id := range outcome.Instances {
			if !slices.Contains(record.Outcome.Instances, id) {
				record.Outcome.Instances = append(record.Outcome.Instances, id)
			}
		}
	}
	return s.reach(ctx)
}

// Launches implements actors.Ledger.
func (s *store) Launches(ctx context.Context, since time.Time) ([]messages.LaunchRecord, error) {
	if err := s.reach(ctx); err != nil {
		return nil, fmt.Errorf("read launches: %w", err)
	}
	var records []messages.LaunchRecord
	for _, record := range s.launches {
		if !record.Settled || !record.Outcome.At.Before(since) {
			records = append(records, clone(record))
		}
	}
	return records, s.reach(ctx)
}

// Publish implements actors.Publisher.
func (s *store) Publish(ctx context.Context, events []messages.Recorded) error {
	if err := s.reach(ctx); err != nil {
		return fmt.Errorf("publish %d events: %w", len(events), err)
	}
	for _, event := range events {
		if !s.known[event.ID] {
			s.known[event.ID] = true
			s.events = append(s.events, event)
			s.heard(event)
		}
	}
	return s.reach(ctx)
}
