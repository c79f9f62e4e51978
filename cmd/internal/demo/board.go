package demo

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
)

// lastLines is how many events the board remembers for the screen.
const lastLines = 40

// board is the state of the autoscaler as anybody can know it who listens to
// its events, and to nothing else.
type board struct {
	clock clock.Clock

	mu        sync.Mutex
	queues    []*queueRow
	resources []*resourceRow
	instances map[messages.InstanceID]*instanceRow
	lines     []string
	events    int
	ended     map[messages.InstanceID]messages.Reason
	jobs      int
}

type queueRow struct {
	name    messages.QueueName
	waiting int
	verdict messages.QueuePlanned
}

type resourceRow struct {
	name messages.ResourceName
	kind string
	max  int
}

type instanceRow struct {
	id       messages.InstanceID
	resource messages.ResourceName
	offering messages.Offering
	phase    string
	since    time.Time
	task     string
}

func newBoard(now clock.Clock, file config.File, jobs int) *board {
	b := &board{
		clock: now, jobs: jobs,
		instances: make(map[messages.InstanceID]*instanceRow), ended: make(map[messages.InstanceID]messages.Reason),
	}
	for _, a := range file.Autoscalers {
		for _, q := range a.Queues {
			b.queues = append(b.queues, &queueRow{name: messages.QueueName(q.Queue)})
		}
		for _, r := range a.Resources {
			b.resources = append(b.resources, &resourceRow{
				name: messages.ResourceName(r.Name), max: r.MaxInstances,
				kind: fmt.Sprintf("%s %s", r.Market, r.InstanceTypes[0]),
			})
		}
	}
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
	switch e := any(recorded.Event).(type) {
	case messages.QueueObserved:
		if row := b.queue(e.Queue); row != nil {
			row.waiting = e.Waiting
		}
	case messages.QueuePlanned:
		if row := b.queue(e.Queue); row != nil {
			row.verdict = e
		}
	case messages.InstanceLaunched:
		b.instances[e.Instance] = &instanceRow{
			id: e.Instance, resource: e.Resource, offering: e.Offering, phase: "booting", since: recorded.At,
		}
	case messages.InstanceIdle:
		b.move(e.Instance, "idle", "", recorded.At)
	case messages.InstanceBusy:
		b.move(e.Instance, "busy", e.TaskName, recorded.At)
	case messages.InstanceDraining:
		b.move(e.Instance, "draining", "", recorded.At)
	case messages.InstanceKept:
		b.move(e.Instance, "idle", "", recorded.At)
	case messages.InstanceRecalled:
		b.move(e.Instance, "idle", "", recorded.At)
	case messages.InstanceTerminating:
		b.move(e.Instance, "terminating", "", recorded.At)
	case messages.InstanceGone:
		delete(b.instances, e.Instance)
		if len(e.Reasons) > 0 {
			b.ended[e.Instance] = e.Reasons[0]
		}
	default: // the others change nothing that is shown, but their line
	}
}

func (b *board) queue(name messages.QueueName) *queueRow {
	at := slices.IndexFunc(b.queues, func(row *queueRow) bool { return row.name == name })
	if at < 0 {
		return nil
	}
	return b.queues[at]
}

func (b *board) move(id messages.InstanceID, phase, task string, at time.Time) {
	if row := b.instances[id]; row != nil {
		row.phase, row.task, row.since = phase, task, at
	}
}

// empty says that no instance is known to exist.
func (b *board) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.instances) == 0
}

// reasonOf is why an instance ended, as its event said; zero when no event did.
func (b *board) reasonOf(id messages.InstanceID) messages.Reason {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended[id]
}
