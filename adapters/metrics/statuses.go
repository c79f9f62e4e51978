package metrics

import (
	"cmp"
	"context"
	"maps"
	"sync"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// answers are what autoscalers said, by their names.
type answers = map[messages.AutoscalerName]messages.Answered

// statuses asks autoscalers for their status, one round at a time, and keeps the
// answers of the last round for a moment.
type statuses struct {
	clock   Clock
	names   []messages.AutoscalerName
	timeout time.Duration
	fresh   time.Duration

	mu    sync.Mutex
	desk  Desk
	last  answers
	at    time.Duration // by the clock's Elapsed, when last was asked for
	known bool          // that last may still be told
	round *round        // under way; nil when none is
	// asking are those whose answer to some round is still out: a desk that hangs
	// is not asked again and again.
	asking map[messages.AutoscalerName]bool
}

// round is one round of questions. over is closed when it has ended, which is at
// the time-out at the latest, whatever the desk does.
type round struct {
	over chan struct{}
	mu   sync.Mutex
	got  answers
}

func newStatuses(config Config) *statuses {
	return &statuses{
		clock: config.Clock, names: config.Autoscalers,
		timeout: cmp.Or(config.Timeout, DefaultTimeout), fresh: cmp.Or(config.Fresh, DefaultFresh),
		asking: make(map[messages.AutoscalerName]bool, len(config.Autoscalers)),
	}
}

func (s *statuses) open(desk Desk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.desk = desk
}

// forget has the next scrape ask anew.
func (s *statuses) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = false
}

// get returns fresh answers, or those that came until ctx or the time-out ended.
func (s *statuses) get(ctx context.Context) answers {
	s.mu.Lock()
	if s.desk == nil || (s.known && s.clock.Elapsed()-s.at < s.fresh) {
		defer s.mu.Unlock()
		return s.last
	}
	if s.round == nil {
		// The round is for everybody who waits, so it does not end with the first.
		s.begin(context.WithoutCancel(ctx))
	}
	r := s.round
	s.mu.Unlock()
	select {
	case <-r.over:
	case <-ctx.Done():
	}
	return r.answers()
}

// begin asks all autoscalers at once. Whoever does not answer in time keeps only
// its own goroutine waiting, not the round.
func (s *statuses) begin(ctx context.Context) {
	r := &round{over: make(chan struct{}), got: make(answers, len(s.names))}
	s.round = r
	desk, begun := s.desk, s.clock.Elapsed()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	var asked sync.WaitGroup
	for _, name := range s.names {
		if s.asking[name] {
			continue
		}
		s.asking[name] = true
		asked.Go(func() {
			answer, err := desk.Status(ctx, name)
			if err == nil && ctx.Err() == nil {
				r.add(name, answer)
			}
			s.answered(name)
		})
	}
	all := make(chan struct{})
	go func() {
		asked.Wait()
		close(all)
	}()
	go func() {
		defer cancel()
		select {
		case <-all:
		case <-ctx.Done():
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last, s.at, s.known, s.round = r.answers(), begun, true, nil
		close(r.over)
	}()
}

func (s *statuses) answered(name messages.AutoscalerName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asking, name)
}

func (r *round) add(name messages.AutoscalerName, answer messages.Answered) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got[name] = answer
}

func (r *round) answers() answers {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.got)
}
