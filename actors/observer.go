package actors

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

const (
	// pollTimeout bounds one poll with its retries; a poll never overlaps the next.
	pollTimeout = 45 * time.Second
	// pollRetryMax is the longest wait after a poll that failed.
	pollRetryMax = 15 * time.Second
	// pollHurry is the interval while the answer of a supervisor is waited for.
	pollHurry = 5 * time.Second
	// checkWindow is how long questions about workers are gathered.
	checkWindow = 100 * time.Millisecond
	// emptyPatience is how long a server that had our queues may say that it has
	// none before it is believed.
	emptyPatience = 10 * time.Minute
	// writeTimeout bounds one write to the channel.
	writeTimeout = 20 * time.Second
)

// observer is the only one that talks to ClearML.
type observer struct {
	env      *env
	clearml  ClearML
	query    messages.ClearMLQuery
	interval time.Duration
	fresh    time.Duration // see Config.AnswerFresh
	rand     *rand.Rand

	begun   time.Time // of the poll under way or the last one
	polling bool
	server  time.Time     // the ClearML server's clock at the last good poll
	heard   time.Duration // when that was, by the clock that only passes
	hurry   time.Time     // until when the short interval holds; steady
	poll    alarm
	extra   []messages.QueueName // watched besides the configured ones
	// plausible is when the last poll began that showed any queue.
	plausible time.Time

	// Writes go out one after the other: a queue's owner marker has to be there
	// before its tag.
	writes  []write
	writing bool
	flusher *actor.PID // waits for all writes to be done

	asked    []question
	asking   bool
	gathered alarm
}

// question is a [messages.CheckWorker] with who asked it.
type question struct {
	messages.CheckWorker
	by *actor.PID
}

// write is one change to what a queue shows. A later one with the same target
// takes the place of one that has not begun.
type write struct {
	target string
	do     func(context.Context, ClearML) error
}

type written struct{ err error }

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
	case written:
		o.written(ctx, m)
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
	switch m := message.(type) {
	case messages.CheckWorker:
		o.asked = append(o.asked, question{CheckWorker: m, by: ctx.Sender()})
		if !o.asking && !o.gathered.pending() {
			o.gathered.set(o.env, ctx, "gathered", checkWindow)
		}
	case messages.HurryPolling:
		o.hurryUp(ctx, m.For)
	case messages.WatchQueues:
		o.extra = m.Queues
	case messages.WriteSignals:
		for _, signal := range m.Signals {
			o.write(ctx, write{target: targetOf(signal), do: func(io context.Context, server ClearML) error {
				return server.Signal(io, signal)
			}})
		}
	case messages.TagQueue:
		o.write(ctx, write{target: m.QueueID + " tag " + m.Tag, do: func(io context.Context, server ClearML) error {
			return server.SetTag(io, m.QueueID, m.Tag, m.On)
		}})
	case messages.FlushWrites:
		o.flusher = ctx.Sender()
		o.writeNext(ctx)
	}
}

// targetOf is what a signal writes to.
func targetOf(signal messages.Signal) string {
	keys := slices.AppendSeq(slices.Clone(signal.Delete), maps.Keys(signal.Set))
	slices.Sort(keys)
	return signal.QueueID + " " + strings.Join(keys, " ")
}

// hurryUp makes polls come quickly for a while.
func (o *observer) hurryUp(ctx actor.Context, d time.Duration) {
	now := o.env.steady()
	hurrying := now.Before(o.hurry)
	if until := now.Add(d); until.After(o.hurry) {
		o.hurry = until
	}
	if !o.polling && !hurrying { // else it comes soon: to set it again would put it off
		o.schedule(ctx)
	}
}

// schedule sets the next poll from the beginning of the last one.
func (o *observer) schedule(ctx actor.Context) {
	now, interval := o.env.clock.Now(), o.interval
	if o.env.steady().Before(o.hurry) {
		interval = min(interval, pollHurry)
	}
	o.poll.set(o.env, ctx, "poll", min(interval, o.begun.Add(interval).Sub(now)))
}

// write puts a change behind those that wait, and begins with the first.
func (o *observer) write(ctx actor.Context, w write) {
	o.writes = slices.DeleteFunc(o.writes, func(old write) bool { return old.target == w.target })
	o.writes = append(o.writes, w)
	o.writeNext(ctx)
}

func (o *observer) writeNext(ctx actor.Context) {
	if o.writing {
		return
	}
	if len(o.writes) == 0 {
		if o.flusher != nil {
			ctx.Send(o.flusher, messages.WritesFlushed{})
			o.flusher = nil
		}
		return
	}
	next, server := o.writes[0], o.clearml
	o.writes, o.writing = o.writes[1:], true
	o.env.pipe(ctx, writeTimeout, func(io context.Context) any { return written{err: next.do(io, server)} })
}

// written goes on after a write. One that failed is not repeated here: whoever
// wanted it sees at the next poll that it is missing.
func (o *observer) written(ctx actor.Context, m written) {
	o.writing = false
	if m.err != nil {
		o.env.log.Warn().Err(m.err).Msg("not written to a queue of the ClearML server; tried again after the next poll")
	}
	o.writeNext(ctx)
}

func (o *observer) look(ctx actor.Context) {
	o.poll.cancel()
	o.begun, o.polling = o.env.clock.Now(), true
	query := o.query
	query.Queues = slices.Concat(query.Queues, o.extra)
	o.env.pipe(ctx, pollTimeout, func(io context.Context) any {
		snapshot, err := o.clearml.Observe(io, query)
		return polled{snapshot: snapshot, err: err}
	})
}

func (o *observer) polled(ctx actor.Context, m polled) {
	now := o.env.clock.Now()
	o.polling = false
	if m.err == nil && o.implausible(m.snapshot) {
		m.err = &messages.Failure{Class: messages.ClassUnknown, Message: "the server says that it has none of the queues that it had; held until it has them again, or for " + emptyPatience.String()}
	}
	if m.err != nil {
		ctx.Send(ctx.Parent(), messages.ClearMLFailed{At: now, Failure: *messages.FailureOf(m.err)})
		o.poll.set(o.env, ctx, "poll", time.Duration((0.5+0.5*o.rand.Float64())*float64(min(o.interval, pollRetryMax))))
		return
	}
	o.server, o.heard = m.snapshot.ServerNow, o.env.clock.Elapsed()
	ctx.Send(ctx.Parent(), messages.ClearMLObserved{Snapshot: m.snapshot})
	missing := slices.DeleteFunc(slices.Clone(m.snapshot.Missing), func(name messages.QueueName) bool {
		return !slices.Contains(o.query.Queues, name)
	})
	if len(missing) > 0 {
		o.env.pipe(ctx, pollTimeout, func(io context.Context) any {
			return queuesMade{names: missing, err: o.clearml.CreateQueues(io, missing)}
		})
	}
	o.schedule(ctx)
}

// implausible says whether an answer is to be doubted: a server that had our
// queues does not lose them all at once, but one that has just been restarted, or
// looks at another database, says so.
func (o *observer) implausible(snapshot messages.ClearMLSnapshot) bool {
	if len(snapshot.Queues) > 0 {
		o.plausible = snapshot.At
		return false
	}
	return !o.plausible.IsZero() && snapshot.At.Sub(o.plausible).Abs() < emptyPatience
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

// serverNow is the ClearML server's clock by the last good poll; ours before it.
func (o *observer) serverNow() time.Time {
	if o.server.IsZero() {
		return o.env.clock.Now()
	}
	return o.server.Add(o.env.clock.Elapsed() - o.heard)
}
