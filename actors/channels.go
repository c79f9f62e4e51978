package actors

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

const (
	// signEvery is how often the sign of life is rewritten.
	signEvery = time.Minute
	// staleKey is the age at which what is written about an instance that nobody
	// knows is removed: it may be another autoscaler's.
	staleKey = 24 * time.Hour
	// A queue is closed for barrierSettle before it is believed that no agent
	// pulls from it any more (agents look every five seconds), and for
	// barrierMost at the longest.
	barrierSettle = 45 * time.Second
	barrierMost   = 4 * time.Minute
)

// channels is what an autoscaler keeps on the queues of the ClearML server: its
// sign of life, closed queues, and order.
type channels struct {
	signed  map[messages.QueueName]time.Time
	watched []messages.QueueName
	barrier *barrier                    // nil while no queue is closed
	opened  map[messages.QueueName]bool // that were told, and may not be shown yet
}

// barrier is a set of queues that are closed to all agents, to end instances
// that have no supervisor.
type barrier struct {
	begun  time.Time
	queues map[messages.QueueName]string // to ClearML's id
	asked  map[messages.InstanceID]messages.ResourceName
	closed time.Time // since when a poll shows that all are closed
	raised map[messages.InstanceID]bool
}

func newChannels() channels {
	return channels{signed: make(map[messages.QueueName]time.Time), opened: make(map[messages.QueueName]bool)}
}

// watchHomes has the queues polled on which instances of an earlier
// configuration listen.
func (a *autoscaler) watchHomes(ctx actor.Context) {
	homes := a.fleet.homes()
	for _, q := range a.cfg.Queues {
		delete(homes, q.Name)
	}
	if watch := slices.Sorted(maps.Keys(homes)); !slices.Equal(watch, a.channels.watched) {
		a.channels.watched = watch
		ctx.Send(a.observer, messages.WatchQueues{Queues: watch})
	}
}

// tend looks after what is written on the queues, at each poll.
func (a *autoscaler) tend(ctx actor.Context, board messages.Board) {
	if !a.fleet.known {
		return
	}
	a.signLife(ctx, board)
	a.sweepKeys(ctx, board)
	a.tendBarrier(ctx, board)
	a.openForgotten(ctx, board)
}

// signLife shows the supervisors that somebody looks after them.
func (a *autoscaler) signLife(ctx actor.Context, board messages.Board) {
	now, homes, key := a.env.clock.Now(), a.fleet.homes(), messages.SignKey(a.cfg.Name)
	sign := messages.Sign{At: now, Epoch: a.lease.Epoch}
	for _, name := range slices.Sorted(maps.Keys(homes)) {
		queue, ok := board.Queue(name)
		if !ok || now.Sub(a.channels.signed[name]) < signEvery {
			continue
		}
		a.channels.signed[name] = now
		ctx.Send(a.observer, messages.WriteSignals{Signals: []messages.Signal{{QueueID: queue.ID, Set: map[string]string{key: sign.String()}}}})
	}
	for _, name := range board.Names() {
		queue, _ := board.Queue(name)
		if _, there := queue.Metadata[key]; there && !homes[name] {
			delete(a.channels.signed, name)
			ctx.Send(a.observer, messages.WriteSignals{Signals: []messages.Signal{{QueueID: queue.ID, Delete: []string{key}}}})
		}
	}
}

// sweepKeys removes what is left of instances that are no more.
func (a *autoscaler) sweepKeys(ctx actor.Context, board messages.Board) {
	old := a.env.clock.Now().Add(-staleKey)
	for id, channel := range board.Channels() {
		found, ours := a.fleet.instances[id]
		if ours && found.State != messages.StateTerminated {
			continue
		}
		if !ours && (channel.Drain.At.After(old) || channel.Ack.At.After(old) || channel.Notice.At.After(old)) {
			continue
		}
		for key, queue := range channel.Keys {
			ctx.Send(a.observer, messages.WriteSignals{Signals: []messages.Signal{{QueueID: queue, Delete: []string{key}}}})
		}
	}
}

// askBarrier closes the queues of an instance that has no supervisor, if nothing
// waits in them.
func (a *autoscaler) askBarrier(ctx actor.Context, m messages.AskBarrier) {
	refuse := func() { ctx.Send(a.resources[m.Resource], messages.BarrierRefused{Instance: m.Instance}) }
	board := messages.NewBoard(a.snapshot.Queues)
	queues, free := a.closable(board, m.Resource)
	if !free {
		refuse()
		return
	}
	if b := a.channels.barrier; b != nil {
		for name := range queues {
			if b.queues[name] == "" {
				refuse()
				return
			}
		}
		b.asked[m.Instance] = m.Resource
		return
	}
	b := &barrier{
		begun: a.env.clock.Now(), queues: queues, raised: make(map[messages.InstanceID]bool),
		asked: map[messages.InstanceID]messages.ResourceName{m.Instance: m.Resource},
	}
	a.channels.barrier = b
	for _, name := range slices.Sorted(maps.Keys(queues)) {
		a.record(ctx, messages.QueueClosed{Queue: name, Instance: m.Instance})
	}
	a.closeQueues(ctx, board)
	ctx.Send(a.observer, messages.HurryPolling{For: barrierMost})
}

// closeQueues writes what a poll does not show yet: first who closes the queue,
// so that it is opened again after a crash, then the tag.
func (a *autoscaler) closeQueues(ctx actor.Context, board messages.Board) (closed bool) {
	b := a.channels.barrier
	marker := messages.Barrier{At: b.begun, Autoscaler: a.cfg.Name}.String()
	closed = true
	for _, name := range slices.Sorted(maps.Keys(b.queues)) {
		queue, _ := board.Queue(name)
		switch {
		case queue.Metadata[messages.BarrierKey] != marker:
			ctx.Send(a.observer, messages.WriteSignals{Signals: []messages.Signal{{
				QueueID: b.queues[name], Set: map[string]string{messages.BarrierKey: marker},
			}}})
			closed = false
		case !slices.Contains(queue.Tags, messages.BarrierTag):
			ctx.Send(a.observer, messages.TagQueue{QueueID: b.queues[name], Tag: messages.BarrierTag, On: true})
			closed = false
		}
	}
	return closed
}

// closable answers the queues of a resource type, if all are known, empty, and
// not closed by somebody else.
func (a *autoscaler) closable(
	board messages.Board, resource messages.ResourceName,
) (queues map[messages.QueueName]string, ok bool) {
	queues = make(map[messages.QueueName]string)
	for _, q := range a.cfg.Queues {
		if !slices.Contains(q.Resources, resource) {
			continue
		}
		state, known := board.Queue(q.Name)
		if !known || len(state.Entries) > 0 {
			return nil, false
		}
		if b := a.channels.barrier; slices.Contains(state.Tags, messages.BarrierTag) && (b == nil || b.queues[q.Name] == "") {
			return nil, false
		}
		queues[q.Name] = state.ID
	}
	return queues, len(queues) > 0
}

// tendBarrier follows closed queues: once they are closed for long enough the
// instances are told, and when a task comes they are opened at once.
func (a *autoscaler) tendBarrier(ctx actor.Context, board messages.Board) {
	b := a.channels.barrier
	if b == nil {
		return
	}
	now := a.env.clock.Now()
	for name := range b.queues {
		if queue, known := board.Queue(name); !known || len(queue.Entries) > 0 {
			a.openQueues(ctx)
			return
		}
	}
	switch {
	case now.Sub(b.begun) > barrierMost:
		a.openQueues(ctx)
		return
	case !a.closeQueues(ctx, board):
		b.closed = time.Time{}
		return
	case b.closed.IsZero():
		b.closed = a.snapshot.At
	}
	if now.Sub(b.closed) < barrierSettle {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(b.asked)) {
		if !b.raised[id] {
			b.raised[id] = true
			ctx.Send(a.resources[b.asked[id]], messages.BarrierRaised{Instance: id})
		}
	}
}

// barrierDone lets an instance out, and opens the queues after the last one.
func (a *autoscaler) barrierDone(ctx actor.Context, id messages.InstanceID) {
	b := a.channels.barrier
	if b == nil || b.asked[id] == "" {
		return
	}
	delete(b.asked, id)
	if len(b.asked) == 0 {
		a.openQueues(ctx)
	}
}

// openQueues ends the barrier.
func (a *autoscaler) openQueues(ctx actor.Context) {
	b := a.channels.barrier
	a.channels.barrier = nil
	for _, name := range slices.Sorted(maps.Keys(b.queues)) {
		a.openQueue(ctx, name, b.queues[name])
	}
	for _, id := range slices.Sorted(maps.Keys(b.asked)) {
		ctx.Send(a.resources[b.asked[id]], messages.BarrierRefused{Instance: id})
	}
}

// openQueue takes the tag off. Who closed the queue stays written until a poll
// shows that the tag is gone: the write may be lost.
func (a *autoscaler) openQueue(ctx actor.Context, name messages.QueueName, id string) {
	a.channels.opened[name] = true
	ctx.Send(a.observer, messages.TagQueue{QueueID: id, Tag: messages.BarrierTag})
	a.record(ctx, messages.QueueOpened{Queue: name})
}

// openForgotten opens queues that an earlier life of this autoscaler closed, and
// goes on with opening those of this one until it is done.
func (a *autoscaler) openForgotten(ctx actor.Context, board messages.Board) {
	for _, name := range board.Names() {
		queue, _ := board.Queue(name)
		marker, marked := messages.ParseBarrier(queue.Metadata[messages.BarrierKey])
		if b := a.channels.barrier; !marked || marker.Autoscaler != a.cfg.Name || (b != nil && b.queues[name] != "") {
			delete(a.channels.opened, name)
			continue
		}
		switch {
		case !slices.Contains(queue.Tags, messages.BarrierTag):
			ctx.Send(a.observer, messages.WriteSignals{Signals: []messages.Signal{{QueueID: queue.ID, Delete: []string{messages.BarrierKey}}}})
		case a.channels.opened[name]:
			ctx.Send(a.observer, messages.TagQueue{QueueID: queue.ID, Tag: messages.BarrierTag})
		default:
			a.openQueue(ctx, name, queue.ID)
		}
	}
}
