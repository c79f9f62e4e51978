package dashboard

import (
	"github.com/ebbscale/ebb/messages"
	"github.com/ebbscale/ebb/messages/view"
)

// replay is the past of an autoscaler before this process looked, as the events that
// are kept tell it. It has a view of its own: what is so now may be known long
// before they have all been read, and is not how things stood then.
type replay struct {
	view    *view.View
	history *view.History
}

func newReplay() *replay { return &replay{view: view.New(), history: view.NewHistory()} }

func (p *replay) apply(r messages.Recorded) {
	p.history.Advance(p.view.State(), r.At)
	p.view.Apply(r)
}

// caughtUp puts the past before what has been seen since the start; the events that
// are still to come are of now.
func (b *board) caughtUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.replay == nil {
		return
	}
	b.replay.history.Advance(b.replay.view.State(), b.clock.Now())
	b.history.Prepend(b.replay.history)
	b.replay = nil
	close(b.complete)
}
