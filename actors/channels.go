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
	// barrierHold is for how long a queue stays closed once an instance has been
	// told that it is, whatever comes: for longer than it trusts in that and EC2
	// may take to end it.
	barrierHold = 150 * time.Second
	// tagLate is how long after it was sent a change of a queue's tags may still
	// take effect.
	tagLate = 45 * time.Second
)

// closedQueues are queues that were closed and may not be open again, with the
// steady time at which an instance was last told that they are; zero when none
// was. They outlive an autoscaler that fails or whose configuration changes: the
// new one may not know the queue, and a termination may be under way that counts
// on it.
type closedQueues map[messages.QueueName]time.Time

// held says whether a queue has to stay closed a while.
func (c closedQueues) held(name messages.QueueName, steady time.Time) bool {
	told := c[name]
	return !told.IsZero() && steady.Sub(told) < barrierHold
}

// channels is what an autoscaler keeps on the queues of the ClearML server: its
// sign of life, closed queues, and order.
type channels struct {
	signed  map[messages.QueueName]time.Time
	wanted  map[messages.QueueName]bool // asked about by instances that are to end
	barrier *barrier                    // nil while no queue is closed
	opened  map[messages.QueueName]bool // that were told, and may not be shown yet
	tagged  map[messages.QueueName]time.Time
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
	return channels{
		signed: make(map[messages.QueueName]time.Time), wanted: make(map[messages.QueueName]bool),
		opened: make(map[messages.QueueName]bool), tagged: make(map[messages.QueueName]time.Time),
	}
}

// watchHomes has the queues polled that are not configured and matter all the
// same: where instances of an earlier configuration listen, where our sign of
// life stands, those that were closed, and those that workers of ours pull from:
// they may have been closed by an earlier life and renamed since.
func (a *autoscaler) watchHomes(ctx actor.Context) {
	watch := a.fleet.homes()
	for _, worker := range a.snapshot.Workers {
		for _, name := range worker.Queues {
			watch[name] = true
		}
	}
	for name := range a.channels.signed {
		watch[name] = true
	}
	maps.Copy(watch, a.channels.wanted)
	for name := range *a.closed {
		watch[name] = true
	}
	for _, q := range a.cfg.Queues {
		delete(watch, q.Name)
	}
	ctx.Send(a.observer, messages.WatchQueues{Queues: slices.Sorted(maps.Keys(watch))})
}

// tend looks after what is written on the queues, at each poll.
func (a *autoscaler) tend(ctx actor.Context, board messages.Board) {
	a.tendBarrier(ctx, board)
	a.openForgotten(ctx, board)
	a.lookForRivals(ctx, board)
	if a.fleet.known {
		a.signLife(ctx, board)
		a.sweepKeys(ctx, board)
	}
	a.watchHomes(ctx)
}

// signLife shows the supervisors that somebody looks after them.
func (a *autoscaler) signLife(ctx actor.Context, board messages.Board) {
	now, homes, key := a.env.clock.Now(), a.fleet.homes(), messages.SignKey(a.cfg.Name)
	sign := messages.Sign{At: now, Epoch: a.lease.Epoch}
	for _, name := range slices.Sorted(maps.Keys(homes)) {
		queue, ok := board.Queue(name)
		if !ok || now.Sub(a.channels.signed[name]).Abs() < signEvery {
			continue
		}
		a.channels.signed[name] = now
		ctx.Send(a.observer, messages.WriteSignals{Signals: []messages.Signal{{QueueID: queue.ID, Set: map[string]string{key: sign.String()}}}})
	}
	for _, name := range board.Names() {
		queue, _ := board.Queue(name)
		value, there := queue.Metadata[key]
		sign, readable := messages.ParseSign(value)
		switch {
		case homes[name], readable && a.rivals.Is(sign.Epoch): // the rival's instances count on that
		case !there:
			delete(a.channels.signed, name)
		default:
			ctx.Send(a.observer, messages.WriteSignals{Signals: []messages.Signal{{QueueID: queue.ID, Delete: []string{key}}}})
		}
	}
}

// sweepKeys removes what is left of instances that are no more.
func (a *autoscaler) sweepKeys(ctx actor.Context, board messages.Board) {
	for _, id := range slices.Sorted(maps.Keys(board.Channels())) {
		channel := board.Channel(id)
		if !a.stale(id, channel) {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(channel.Keys)) {
			ctx.Send(a.observer, messages.WriteSignals{Signals: []messages.Signal{{QueueID: channel.Keys[key], Delete: []string{key}}}})
		}
	}
}

// stale says whether nobody needs what is written of an instance: it is one of
// ours that is terminated, or nobody's for a day. A task may take longer than
// that to be finished.
func (a *autoscaler) stale(id messages.InstanceID, channel messages.Channel) bool {
	if _, gone := a.fleet.gone[id]; gone {
		return true
	}
	if a.fleet.shows(id) {
		return false
	}
	newest := slices.MaxFunc([]time.Time{channel.Drain.At, channel.Ack.At, channel.Notice.At}, time.Time.Compare)
	return !newest.IsZero() && channel.Ack.State != messages.AckBusy && a.env.clock.Now().Sub(newest) > staleKey
}

// askBarrier closes the queues of an instance that has no supervisor, if nothing
// waits in them.
func (a *autoscaler) askBarrier(ctx actor.Context, m messages.AskBarrier) {
	refuse := func() { ctx.Send(a.resources[m.Resource], messages.BarrierRefused{Instance: m.Instance}) }
	board := messages.NewBoard(a.snapshot.Queues)
	queues, free := a.closable(board, m)
	if !free || a.stop != nil {
		refuse()
		return
	}
	if len(queues) == 0 {
		ctx.Send(a.resources[m.Resource], messages.BarrierRaised{Instance: m.Instance})
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
		delete(b.raised, m.Instance)
		return
	}
	b := &barrier{
		begun: a.env.clock.Now(), queues: queues, raised: make(map[messages.InstanceID]bool),
		asked: map[messages.InstanceID]messages.ResourceName{m.Instance: m.Resource},
	}
	a.channels.barrier = b
	for _, name := range slices.Sorted(maps.Keys(queues)) {
		(*a.closed)[name] = time.Time{}
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
			a.tag(ctx, name, b.queues[name], true)
			closed = false
		}
	}
	return closed
}

// tag changes the tag that closes a queue, and remembers when.
func (a *autoscaler) tag(ctx actor.Context, name messages.QueueName, id string, on bool) {
	a.channels.tagged[name] = a.env.clock.Now()
	ctx.Send(a.observer, messages.TagQueue{QueueID: id, Tag: messages.BarrierTag, On: on})
}

// closable answers the queues of a worker, those that it was seen with and those
// of its resource type that it may pull from, if all are known, empty, and not closed
// by somebody else. There may be none, of one whose queues were all deleted.
func (a *autoscaler) closable(board messages.Board, m messages.AskBarrier) (queues map[messages.QueueName]string, ok bool) {
	names := slices.Clone(m.Queues)
	for _, q := range a.cfg.Queues {
		if slices.Contains(q.Resources, m.Resource) && !slices.Contains(m.Unserved, q.Name) {
			names = append(names, q.Name)
		}
	}
	queues = make(map[messages.QueueName]string)
	for _, name := range names {
		a.channels.wanted[name] = true
		state, known := board.Queue(name)
		b := a.channels.barrier
		others := slices.Contains(state.Tags, messages.BarrierTag) && (b == nil || b.queues[name] == "")
		if !known || len(state.Entries) > 0 || others {
			return nil, false
		}
		queues[name] = state.ID
	}
	return queues, len(queues) > 0 || m.Forsaken
}

// tendBarrier follows closed queues: once they are closed for long enough the
// instances are told, and when a task comes they are opened at once.
func (a *autoscaler) tendBarrier(ctx actor.Context, board messages.Board) {
	b := a.channels.barrier
	if b == nil {
		return
	}
	now := a.env.clock.Now()
	if !a.barrierHeld() && (now.Sub(b.begun).Abs() > barrierMost || a.tasksWait(board, b)) {
		a.openQueues(ctx)
		return
	}
	switch {
	case !a.closeQueues(ctx, board):
		b.closed = time.Time{}
		return
	case b.closed.IsZero():
		b.closed = a.snapshot.At
	}
	if now.Sub(b.closed) < barrierSettle || a.tasksWait(board, b) {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(b.asked)) {
		if !b.raised[id] {
			b.raised[id] = true
			for name := range b.queues {
				(*a.closed)[name] = a.env.steady()
			}
			ctx.Send(a.resources[b.asked[id]], messages.BarrierRaised{Instance: id})
		}
	}
}

// barrierHeld says whether an instance was told so lately that its queues are
// closed that a termination may be under way.
func (a *autoscaler) barrierHeld() bool {
	for name := range a.channels.barrier.queues {
		if a.closed.held(name, a.env.steady()) {
			return true
		}
	}
	return false
}

// barrierLeft is how long it may stay so.
func (a *autoscaler) barrierLeft() time.Duration {
	left := time.Duration(0)
	for name := range a.channels.barrier.queues {
		if told := (*a.closed)[name]; !told.IsZero() {
			left = max(left, barrierHold-a.env.steady().Sub(told))
		}
	}
	return left
}

// tasksWait says whether one of the closed queues is not empty any more, or gone.
func (a *autoscaler) tasksWait(board messages.Board, b *barrier) bool {
	for name := range b.queues {
		if queue, known := board.Queue(name); !known || len(queue.Entries) > 0 {
			return true
		}
	}
	return false
}

// barrierDone lets an instance out, and opens the queues after the last one.
func (a *autoscaler) barrierDone(ctx actor.Context, id messages.InstanceID) {
	b := a.channels.barrier
	if b == nil || b.asked[id] == "" {
		return
	}
	delete(b.asked, id)
	delete(b.raised, id)
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
// shows that the tag is gone, and nothing that was sent can bring it back.
func (a *autoscaler) openQueue(ctx actor.Context, name messages.QueueName, id string) {
	a.channels.opened[name] = true
	a.tag(ctx, name, id, false)
	a.record(ctx, messages.QueueOpened{Queue: name})
}

// openForgotten opens queues that an earlier life of this autoscaler closed, and
// goes on with opening those of this one until it is done.
func (a *autoscaler) openForgotten(ctx actor.Context, board messages.Board) {
	for _, name := range board.Names() {
		queue, _ := board.Queue(name)
		marker, marked := messages.ParseBarrier(queue.Metadata[messages.BarrierKey])
		ours := marked && marker.Autoscaler == a.cfg.Name
		if b := a.channels.barrier; b != nil && b.queues[name] != "" {
			continue
		}
		if !ours {
			delete(a.channels.opened, name)
			delete(*a.closed, name)
			continue
		}
		if _, known := (*a.closed)[name]; !known {
			(*a.closed)[name] = time.Time{}
		}
		sent := a.channels.tagged[name]
		if sent.IsZero() {
			sent = a.born // an earlier life may have sent something right before
		}
		switch {
		case a.closed.held(name, a.env.steady()) && !a.channels.opened[name]:
		case slices.Contains(queue.Tags, messages.BarrierTag) && a.channels.opened[name]:
			a.tag(ctx, name, queue.ID, false)
		case slices.Contains(queue.Tags, messages.BarrierTag):
			a.openQueue(ctx, name, queue.ID)
		case a.snapshot.At.Sub(sent).Abs() > tagLate:
			ctx.Send(a.observer, messages.WriteSignals{Signals: []messages.Signal{{QueueID: queue.ID, Delete: []string{messages.BarrierKey}}}})
		}
	}
}
