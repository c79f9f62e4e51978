package dashboard

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/ebbscale/ebb/messages"
	"github.com/ebbscale/ebb/messages/view"
)

const (
	// framePause is how long a change may wait to be sent with others.
	framePause = 250 * time.Millisecond
	// resyncPause is how often a status is asked for, resyncPatience how long its
	// answer may take.
	resyncPause    = 5 * time.Second
	resyncPatience = 4 * time.Second
	// feedPause is how long it is waited before the events are asked for again.
	feedPause = 2 * time.Second
	// overlap is how far back they are asked for again: events are stored a little
	// after they happen.
	overlap = time.Minute
)

// boards are the autoscalers that are known, in the order of the configuration.
type boards struct {
	config Config
	mu     sync.Mutex
	all    []*board
	about  map[messages.AutoscalerName]Autoscaler
	list   *listBoard
	// caughtUp says that the events that were kept have been read.
	caughtUp bool
}

func newBoards(c Config) *boards {
	return &boards{config: c, about: make(map[messages.AutoscalerName]Autoscaler), list: &listBoard{hub: newHub()}}
}

// Run feeds the pages until ctx ends.
func (s *Server) Run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { s.boards.follow(ctx) })
	group.Go(func() { every(ctx, s.config.Wall, resyncPause, func() { s.boards.resync(ctx) }) })
	group.Go(func() { every(ctx, s.config.Wall, framePause, s.boards.frame) })
	group.Wait()
}

// every calls f now and then once a pause, until ctx ends.
func every(ctx context.Context, wall Clock, pause time.Duration, f func()) {
	for ctx.Err() == nil {
		f()
		if !wait(ctx, wall, pause) {
			return
		}
	}
}

// wait returns false when ctx has ended meanwhile.
func wait(ctx context.Context, wall Clock, pause time.Duration) bool {
	over := make(chan struct{})
	stop := wall.AfterFunc(pause, func() { close(over) })
	defer stop()
	select {
	case <-ctx.Done():
		return false
	case <-over:
		return true
	}
}

// follow reads the events of all autoscalers, first those that are kept, as far
// back as the history goes. After a break it goes on a little before the last one.
func (b *boards) follow(ctx context.Context) {
	since := b.config.Clock.Now().Add(-view.Coarse().Keep)
	for ctx.Err() == nil {
		err := b.config.Events.Events(ctx, since, func(r messages.Recorded) {
			if b.find(r.Autoscaler) == nil {
				b.refresh(ctx)
			}
			if found := b.find(r.Autoscaler); found != nil {
				found.apply(r)
			}
			since = r.At.Add(-overlap)
		}, b.replayed)
		if ctx.Err() != nil {
			return
		}
		b.config.Log.Warn().Err(err).Msg("dashboard: events cannot be followed; trying again")
		if !wait(ctx, b.config.Wall, feedPause) {
			return
		}
	}
}

// refresh asks which autoscalers there are.
func (b *boards) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, resyncPatience)
	defer cancel()
	known, err := b.config.Engine.Autoscalers(ctx)
	if err != nil {
		b.config.Log.Warn().Err(err).Msg("dashboard: the autoscalers cannot be listed")
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*board, 0, len(known))
	for _, a := range known {
		b.about[a.Name] = a
		at := slices.IndexFunc(b.all, func(o *board) bool { return o.name == a.Name })
		if at >= 0 {
			all = append(all, b.all[at])
		} else {
			all = append(all, newBoard(a.Name, b.config))
		}
	}
	b.all = all
	b.caught()
}

// replayed is called when the events that were kept have been read.
func (b *boards) replayed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.caughtUp = true
	b.caught()
}

// caught tells the boards, new ones too. The caller holds mu.
func (b *boards) caught() {
	if !b.caughtUp {
		return
	}
	for _, one := range b.all {
		one.caughtUp()
	}
}

// resync asks every autoscaler for its status, all at the same time.
func (b *boards) resync(ctx context.Context) {
	b.refresh(ctx)
	ctx, cancel := context.WithTimeout(ctx, resyncPatience)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() { b.examine(ctx) })
	for _, one := range b.boards() {
		group.Go(func() {
			status, err := b.config.Engine.Status(ctx, one.name)
			if err != nil {
				one.unreachable(failed("no status", err).Error)
				return
			}
			one.resync(status)
		})
	}
	group.Wait()
}

// examine asks what is wrong, and tells the boards that it is about.
func (b *boards) examine(ctx context.Context) {
	if b.config.Health == nil {
		return
	}
	found := b.config.Health(ctx)
	for _, one := range b.boards() {
		mine := []Trouble{}
		for _, t := range found {
			if t.Autoscaler == "" || t.Autoscaler == one.name {
				mine = append(mine, t)
			}
		}
		one.ails(mine)
	}
}

func (b *boards) boards() []*board {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.all)
}

func (b *boards) find(name messages.AutoscalerName) *board {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, one := range b.all {
		if one.name == name {
			return one
		}
	}
	return nil
}

// linksOf are the addresses of pages about an autoscaler's things.
func (b *boards) linksOf(name messages.AutoscalerName) links {
	b.mu.Lock()
	defer b.mu.Unlock()
	return linksFor(b.about[name])
}

func (b *boards) frame() {
	for _, one := range b.boards() {
		one.frame()
	}
	if b.list.hub.empty() {
		return
	}
	b.list.frame(b.heads())
}

func (b *boards) heads() []head {
	heads := []head{}
	for _, one := range b.boards() {
		heads = append(heads, one.now())
	}
	return heads
}

// listBoard is the page that lists the autoscalers. Its picture is small: each
// frame is all of it.
type listBoard struct {
	hub  *hub
	mu   sync.Mutex
	last []byte
	beat int
}

// frame sends the list at most once a second.
func (l *listBoard) frame(heads []head) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.beat++; l.beat%4 != 0 && l.last != nil {
		return
	}
	l.last = listFrame(heads)
	l.hub.send(l.last)
}

func listFrame(heads []head) []byte {
	return frameOf("list", map[string]any{"autoscalers": heads})
}

// dataOf is the JSON inside a frame.
func dataOf(frame []byte) json.RawMessage {
	for i := range frame {
		if frame[i] == '\n' {
			return json.RawMessage(frame[i+len("\ndata: ") : len(frame)-2])
		}
	}
	return nil
}
