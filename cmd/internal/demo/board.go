package demo

import (
	"context"
	"sync"
	"time"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
	"github.com/ebbscale/ebb/messages/view"
)

// lastLines is how many events the board remembers for the screen.
const lastLines = 40

// board is the state of the autoscaler as anybody can know it who listens to
// its events, and to nothing else.
type board struct {
	clock clock.Clock
	doors []string // where else to look, and to act: a line each

	mu     sync.Mutex
	view   *view.View
	lines  []string
	events int
	ended  map[messages.InstanceID]messages.Reason
	jobs   int
}

// newBoard shows the names of the configuration before any event.
func newBoard(now clock.Clock, file config.File, jobs int) *board {
	b := &board{clock: now, jobs: jobs, view: view.New(), ended: make(map[messages.InstanceID]messages.Reason)}
	configured := messages.Status{At: time.Unix(0, 0)} // any event is newer
	for _, a := range file.Autoscalers {
		for _, q := range a.Queues {
			configured.Queues = append(configured.Queues, messages.QueueStatus{Queue: messages.QueueName(q.Queue)})
		}
		for _, r := range a.Resources {
			configured.Resources = append(configured.Resources, messages.ResourceStatus{
				Resource: messages.ResourceName(r.Name), Max: r.MaxInstances,
				Offerings: []messages.Offering{{Market: messages.Market(r.Market), InstanceType: r.InstanceTypes[0]}},
			})
		}
	}
	b.view.Resync(configured)
	return b
}

// watch feeds the board from the bus until ctx ends.
func watch(ctx context.Context, events *bus.Bus, b *board, s *screen) error {
	return events.Events(ctx, bus.EventQuery{Autoscaler: autoscaler, Follow: true}, func(stored bus.StoredEvent) error {
		if stored.Event == nil {
			return nil
		}
		line := eventtext.Line(stored.Recorded)
		b.apply(stored.Recorded, line)
		s.event(line)
		return nil
	})
}

// apply takes an event in.
func (b *board) apply(recorded messages.Recorded, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events++
	b.lines = append(b.lines, line)
	b.lines = b.lines[max(0, len(b.lines)-lastLines):]
	b.view.Apply(recorded)
	if e, ok := recorded.Event.(messages.InstanceGone); ok && len(e.Reasons) > 0 {
		b.ended[e.Instance] = e.Reasons[0]
	}
}

// empty says that no instance is known to exist.
func (b *board) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.view.State().Instances) == 0
}

// reasonOf is why an instance ended, as its event said; zero when no event did.
func (b *board) reasonOf(id messages.InstanceID) messages.Reason {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended[id]
}
