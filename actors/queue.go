package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

// queue turns what polls see of one ClearML queue into demand, and keeps the
// answer to why its tasks still wait.
type queue struct {
	env      *env
	name     messages.QueueName
	recorder *actor.PID

	polled  bool
	waiting int
	oldest  time.Time
	server  time.Time     // the server's clock at the last poll
	heard   time.Duration // and ours that only passes
	verdict messages.QueuePlanned
}

// Receive implements actor.Actor.
func (q *queue) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case messages.QueueMessage:
		q.on(ctx, m)
	default:
		q.env.unhandled(ctx)
	}
}

func (q *queue) on(ctx actor.Context, message messages.QueueMessage) {
	switch m := message.(type) {
	case messages.QueuePolled:
		q.polledAt(ctx, m)
		q.state(ctx, m.Tick)
	case messages.StateDemand:
		if q.polled { // else nobody knows; silence says so
			q.state(ctx, m.Tick)
		}
	case messages.QueueJudged:
		q.judged(ctx, m.Verdict)
	case messages.ReportQueue:
		q.report(ctx, m)
	}
}

func (q *queue) polledAt(ctx actor.Context, m messages.QueuePolled) {
	waiting := len(m.State.Entries)
	changed := !q.polled || waiting != q.waiting
	q.polled, q.waiting, q.oldest = true, waiting, time.Time{}
	q.server, q.heard = m.ServerNow, q.env.clock.Elapsed()
	if waiting > 0 {
		q.oldest = m.State.Entries[0].Added
	}
	if changed {
		q.record(ctx, messages.QueueObserved{Queue: q.name, Waiting: waiting, OldestWaitSeconds: q.wait().Seconds()})
	}
}

// wait is how long the first task in line has waited, as far as the last poll
// tells.
func (q *queue) wait() time.Duration {
	if q.oldest.IsZero() {
		return 0
	}
	return max(0, q.server.Sub(q.oldest)+q.env.clock.Elapsed()-q.heard)
}

func (q *queue) state(ctx actor.Context, tick messages.Tick) {
	ctx.Send(ctx.Parent(), messages.DemandStated{Tick: tick, Queue: q.name, Waiting: q.waiting, Oldest: q.oldest})
}

// judged records a verdict when it says something new. A new wait in the text
// of a reason ("asked again in 40s") is nothing new.
func (q *queue) judged(ctx actor.Context, verdict messages.QueuePlanned) {
	old := q.verdict
	q.verdict = verdict
	same := old.Waiting == verdict.Waiting && old.Covered == verdict.Covered &&
		old.Launching == verdict.Launching && old.Unmet == verdict.Unmet &&
		slices.EqualFunc(old.Reasons, verdict.Reasons, func(a, b messages.Reason) bool {
			return a.Code == b.Code && a.Subject == b.Subject
		})
	if !same {
		q.record(ctx, verdict)
	}
}

func (q *queue) record(ctx actor.Context, event messages.Event) {
	ctx.Send(q.recorder, messages.Record{At: q.env.clock.Now(), Event: event})
}
