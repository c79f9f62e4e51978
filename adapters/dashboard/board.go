package dashboard

import (
	"cmp"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/ebbscale/ebb/messages"
	"github.com/ebbscale/ebb/messages/view"
)

const (
	// linesMax events are kept for the log, of which a browser gets linesFirst at
	// once.
	linesMax   = 5000
	linesFirst = 300
	// beat is how often a browser is told the time when nothing happens, in frames.
	beat = 8
)

// board is one autoscaler as it is shown.
type board struct {
	name   messages.AutoscalerName
	clock  Clock
	line   func(messages.Recorded) string
	reason func(messages.Reason) string
	hub    *hub

	mu       sync.Mutex
	view     *view.View
	history  *view.History
	replay   *replay       // nil once the events that were kept have been read
	complete chan struct{} // closed then
	spending *view.Spending
	lines    []messages.Recorded // the last linesMax
	problem  string              // why the status is old; empty when it is not
	troubles []Trouble           // what is wrong with the process
	changed  bool
	quiet    int // frames since the last one that was sent

	rev      int
	sent     picture
	fresh    []messages.Recorded // lines since the last frame
	samples  []view.Sample       // and samples
	snapshot []byte              // of rev; nil when nobody asked for it
}

// picture is what browsers were given last.
type picture struct {
	head      head
	queues    []queueRow
	resources []resourceRow
	instances map[messages.InstanceID]instanceRow
}

type snapshotFrame struct {
	Rev       int           `json:"rev"`
	Head      head          `json:"head"`
	Queues    []queueRow    `json:"queues"`
	Resources []resourceRow `json:"resources"`
	Instances []instanceRow `json:"instances"`
	Log       []logRow      `json:"log"`
}

type deltaFrame struct {
	Rev       int                   `json:"rev"`
	Head      head                  `json:"head"`
	Queues    []queueRow            `json:"queues,omitempty"`
	Resources []resourceRow         `json:"resources,omitempty"`
	Instances []instanceRow         `json:"instances,omitempty"`
	Gone      []messages.InstanceID `json:"gone,omitempty"`
	Log       []logRow              `json:"log,omitempty"`
	History   *historyRow           `json:"history,omitempty"`
}

func newBoard(name messages.AutoscalerName, c Config) *board {
	return &board{
		replay: newReplay(), complete: make(chan struct{}),
		name: name, clock: c.Clock, line: c.Words, reason: c.Reason, hub: newHub(), view: view.New(), history: view.NewHistory(),
		troubles: []Trouble{}, spending: view.NewSpending(), sent: picture{instances: make(map[messages.InstanceID]instanceRow)}, changed: true,
	}
}

// apply takes an event in. What was so before it goes into the history first.
func (b *board) apply(r messages.Recorded) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.replay != nil {
		b.replay.apply(r)
	} else {
		b.remember(r.At)
	}
	b.spending.Apply(r)
	b.view.Apply(r)
	for i := len(b.lines) - 1; i >= max(0, len(b.lines)-500); i-- {
		if b.lines[i].ID == r.ID {
			return
		}
	}
	b.lines = append(b.lines, r)
	if len(b.lines) > linesMax+linesMax/4 {
		b.lines = append([]messages.Recorded(nil), b.lines[len(b.lines)-linesMax:]...)
	}
	b.fresh = append(b.fresh, r)
	b.fresh = b.fresh[max(0, len(b.fresh)-linesFirst):]
	b.changed = true
}

// remember puts how things stand into the history, once that is known: by a status,
// or by the events. The caller holds mu.
func (b *board) remember(now time.Time) {
	if _, told := b.view.Told(); b.replay != nil && !told {
		return
	}
	b.samples = append(b.samples, b.history.Advance(b.view.State(), now)...)
	b.samples = b.samples[max(0, len(b.samples)-100):]
}

// resync takes a status in.
func (b *board) resync(status messages.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remember(b.clock.Now())
	b.view.Resync(status)
	b.problem, b.changed = "", true
}

// unreachable says that there is no status now. What is shown stays, and says how
// old it is.
func (b *board) unreachable(why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problem, b.changed = why, true
}

// ails says what is wrong with the process. The caller does not change it any more.
func (b *board) ails(troubles []Trouble) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !reflect.DeepEqual(b.troubles, troubles) {
		b.troubles, b.changed = troubles, true
	}
}

// frame sends what has changed since the last frame, or the time after some quiet.
func (b *board) frame() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hub.empty() {
		return
	}
	b.remember(b.clock.Now())
	b.quiet++
	if !b.changed && len(b.samples) == 0 && b.quiet < beat {
		return
	}
	b.hub.send(frameOf("delta", b.advance()))
}

// advance makes the picture new and returns the difference. The caller holds mu.
func (b *board) advance() deltaFrame {
	state, now := b.view.State(), b.clock.Now()
	b.rev++
	b.snapshot, b.changed, b.quiet = nil, false, 0
	next := picture{head: b.head(state, now), queues: b.queues(state), resources: b.resources(state, now), instances: b.sent.instances}
	delta := deltaFrame{Rev: b.rev, Head: next.head, Log: b.rows(b.fresh)}
	b.fresh = nil
	if !reflect.DeepEqual(next.queues, b.sent.queues) {
		delta.Queues = next.queues
	}
	if !reflect.DeepEqual(next.resources, b.sent.resources) {
		delta.Resources = next.resources
	}
	for id, i := range state.Instances {
		if row := b.instance(i); row != b.sent.instances[id] {
			next.instances[id] = row
			delta.Instances = append(delta.Instances, row)
		}
	}
	for id := range next.instances {
		if _, lives := state.Instances[id]; !lives {
			delete(next.instances, id)
			delta.Gone = append(delta.Gone, id)
		}
	}
	if len(b.samples) > 0 {
		h := historyOf(b.samples, view.Fine().Step)
		delta.History, b.samples = &h, nil
	}
	b.sent = next
	return delta
}

// whole is the whole picture for a browser that is behind, which it is not after;
// nil when it is not behind. What has changed up to now is sent to the others
// first. Browsers that ask at the same time get the same bytes. A nil browser only
// looks.
func (b *board) whole(one *browser) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one != nil && !b.hub.caught(one) {
		return nil
	}
	if b.changed {
		b.hub.sendBut(one, frameOf("delta", b.advance()))
	}
	if b.snapshot == nil {
		b.snapshot = frameOf("snapshot", b.everything())
	}
	return b.snapshot
}

// everything is the picture that was sent last. The caller holds mu.
func (b *board) everything() snapshotFrame {
	s := snapshotFrame{
		Rev: b.rev, Head: b.sent.head, Queues: b.sent.queues, Resources: b.sent.resources,
		Instances: make([]instanceRow, 0, len(b.sent.instances)), Log: b.rows(b.lines[max(0, len(b.lines)-linesFirst):]),
	}
	for _, row := range b.sent.instances {
		s.Instances = append(s.Instances, row)
	}
	slices.SortFunc(s.Instances, func(a, b instanceRow) int { return cmp.Compare(a.ID, b.ID) })
	return s
}

func (b *board) rows(lines []messages.Recorded) []logRow {
	rows := make([]logRow, 0, len(lines))
	for _, r := range lines {
		if r.Event == nil {
			continue
		}
		rows = append(rows, logRow{
			ID: r.ID, At: millis(r.At), Kind: r.Event.Kind(), About: r.Event.About(), Level: levelOf(r.Event), Text: b.line(r),
		})
	}
	return rows
}

// past are the samples of the last while.
func (b *board) past(while time.Duration) historyRow {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	b.remember(now)
	return historyOf(b.history.Since(now, while))
}

// log are the last events, oldest first.
func (b *board) log(most int) []messages.Recorded {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]messages.Recorded(nil), b.lines[max(0, len(b.lines)-most):]...)
}

// now is how things stand, for the list of autoscalers.
func (b *board) now() head {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.head(b.view.State(), b.clock.Now())
}
