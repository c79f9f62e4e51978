package actors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

const (
	// pollTimeout bounds one poll with its retries; a poll never overlaps the next.
	pollTimeout = 45 * time.Second
	// pollRetryMax is the longest wait after a poll that failed.
	pollRetryMax = 15 * time.Second
	// checkWindow is how long questions about workers are gathered.
	checkWindow = 100 * time.Millisecond
)

// observer is the only one that talks to ClearML.
type observer struct {
	env      *env
	clearml  ClearML
	query    messages.ClearMLQuery
	interval time.Duration
	fresh    time.Duration // see Config.AnswerFresh
	rand     *rand.Rand

	begun  time.Time // of the poll under way or the last one
	offset time.Duration
	poll   alarm

	asked    []question
	asking   bool
	gathered alarm
}

// question is a [messages.CheckWorker] with who asked it.
type question struct {
	messages.CheckWorker
	by *actor.PID
}

type polled struct {
	snapshot messages.ClearMLSnapshot
	err      error
}

type queuesMade struct {
	names []messages.QueueName
	err   error
}

// activityRead carries its questions, so that it is right even when the
// observer was restarted in between.
type activityRead struct {
	begun     time.Time
	questions []question
	answers   []messages.WorkerActivity
	err       error
}

// Receive implements actor.Actor.
func (o *observer) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		o.look(ctx)
	case *actor.Stopping, *actor.Restarting:
		o.poll.cancel()
		o.gathered.cancel()
	case messages.ObserverMessage:
		o.on(ctx, m)
	case polled:
		o.polled(ctx, m)
	case queuesMade:
		o.queuesMade(ctx, m)
	case activityRead:
		o.answer(ctx, m)
	case rang:
		switch {
		case m.name == "poll" && o.poll.heeds(m):
			o.look(ctx)
		case m.name == "gathered" && o.gathered.heeds(m):
			o.ask(ctx)
		}
	default:
		o.env.unhandled(ctx)
	}
}

func (o *observer) on(ctx actor.Context, message messages.ObserverMessage) {
	check, ok := message.(messages.CheckWorker)
	if !ok {
		o.env.unhandled(ctx)
		return
	}
	o.asked = append(o.asked, question{CheckWorker: check, by: ctx.Sender()})
	if !o.asking && !o.gathered.pending() {
		o.gathered.set(o.env, ctx, "gathered", checkWindow)
	}
}

func (o *observer) look(ctx actor.Context) {
	o.begun = o.env.clock.Now()
	query := o.query
	o.env.pipe(ctx, pollTimeout, func(io context.Context) any {
		snapshot, err := o.clearml.Observe(io, query)
		return polled{snapshot: snapshot, err: err}
	})
}

func (o *observer) polled(ctx actor.Context, m polled) {
	now := o.env.clock.Now()
	if m.err != nil {
		ctx.Send(ctx.Parent(), messages.ClearMLFailed{At: now, Failure: *messages.FailureOf(m.err)})
		o.poll.set(o.env, ctx, "poll", time.Duration((0.5+0.5*o.rand.Float64())*float64(min(o.interval, pollRetryMax))))
		return
	}
	o.offset = m.snapshot.ServerNow.Sub(now)
	ctx.Send(ctx.Parent(), messages.ClearMLObserved{Snapshot: m.snapshot})
	if missing := m.snapshot.Missing; len(missing) > 0 {
		o.env.pipe(ctx, pollTimeout, func(io context.Context) any {
			return queuesMade{names: missing, err: o.clearml.CreateQueues(io, missing)}
		})
	}
	o.poll.set(o.env, ctx, "poll", o.begun.Add(o.interval).Sub(now))
}

func (o *observer) queuesMade(ctx actor.Context, m queuesMade) {
	if m.err != nil {
		ctx.Send(ctx.Parent(), messages.ClearMLFailed{At: o.env.clock.Now(), Failure: *messages.FailureOf(m.err)})
		return
	}
	ctx.Send(ctx.Parent(), messages.QueuesCreated{Queues: m.names})
}

// ask puts all gathered questions into one call.
func (o *observer) ask(ctx actor.Context) {
	questions := o.asked
	o.asking, o.asked = true, nil
	var lookback time.Duration
	workers := make([]messages.WorkerID, 0, len(questions))
	for _, q := range questions {
		lookback = max(lookback, q.Lookback)
		workers = append(workers, q.Worker)
	}
	since, begun := o.serverNow().Add(-lookback), o.env.clock.Now()
	o.env.pipe(ctx, pollTimeout, func(io context.Context) any {
		answers, err := o.clearml.Activity(io, since, workers)
		return activityRead{begun: begun, questions: questions, answers: answers, err: err}
	})
}

func (o *observer) answer(ctx actor.Context, m activityRead) {
	failure := messages.FailureOf(m.err)
	if failure == nil && len(m.answers) != len(m.questions) {
		failure = &messages.Failure{Class: messages.ClassUnknown, Message: "the answer does not fit the question"}
	}
	if took := o.env.clock.Now().Sub(m.begun); failure == nil && took > o.fresh {
		failure = &messages.Failure{Class: messages.ClassTransient, Message: fmt.Sprintf("the answer took %s, too long to act on", took)}
	}
	for i, q := range m.questions {
		checked := messages.WorkerChecked{ServerNow: o.serverNow(), Failure: failure}
		if failure == nil {
			checked.Activity = m.answers[i]
		}
		ctx.Send(q.by, checked)
	}
	o.asking = false
	if len(o.asked) > 0 {
		o.gathered.set(o.env, ctx, "gathered", checkWindow)
	}
}

// serverNow is the ClearML server's clock by the last good poll.
func (o *observer) serverNow() time.Time { return o.env.clock.Now().Add(o.offset) }
