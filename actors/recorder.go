package actors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

const (
	// outboxMax bounds what waits while the bus is down: at a few hundred bytes
	// each, tens of megabytes, and hours of a busy autoscaler.
	outboxMax      = 100_000
	publishBatch   = 256
	publishTimeout = 30 * time.Second
	// gatherTime is how long events are gathered before they are sent. Those of
	// one evaluation then go in one batch, and behind the launches it orders:
	// the ledger and the events are written to the same disk.
	gatherTime = 100 * time.Millisecond
)

// outbox is what has not reached the bus yet. It outlives the recorder's lives:
// what happened is not forgotten because a recorder failed.
type outbox struct {
	events []messages.Recorded
	lost   atomic.Int64
	// waiting is how many there are, for others to read.
	waiting atomic.Int64
}

// drop removes the events up to and including the one named, if it is there.
func (o *outbox) drop(last string) {
	at := slices.IndexFunc(o.events, func(event messages.Recorded) bool { return event.ID == last })
	o.events = slices.Delete(o.events, 0, at+1)
	o.waiting.Store(int64(len(o.events)))
}

// recorder numbers events, logs them, and puts them on the bus in order. What
// the bus does not take now is kept and sent again.
type recorder struct {
	env       *env
	publisher Publisher
	text      func(messages.Recorded) string
	watch     func(messages.Recorded)
	rand      *rand.Rand
	outbox    *outbox

	prefix   string
	count    uint64
	sending  string // the last event that is on its way; empty when none is
	failures int
	next     alarm // to send: what was gathered, or again what failed
	flusher  *actor.PID
	deadline alarm
}

// published is the answer of the bus to the events up to last.
type published struct {
	last string
	err  error
}

// Receive implements actor.Actor.
func (r *recorder) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.prefix = fmt.Sprintf("%s.%s", r.env.name, r.env.life())
		r.send(ctx)
	case *actor.Stopping, *actor.Restarting:
		r.next.cancel()
		r.deadline.cancel()
	case messages.RecorderMessage:
		r.on(ctx, m)
	case published:
		r.published(ctx, m)
	case rang:
		switch {
		case m.name == "next" && r.next.heeds(m):
			r.send(ctx)
		case m.name == "deadline" && r.deadline.heeds(m):
			r.flushed(ctx)
		}
	default:
		r.env.unhandled(ctx)
	}
}

func (r *recorder) on(ctx actor.Context, message messages.RecorderMessage) {
	switch m := message.(type) {
	case messages.Record:
		r.record(ctx, m)
	case messages.FlushRecords:
		r.flusher = ctx.Sender()
		if len(r.outbox.events) == 0 {
			r.flushed(ctx)
			return
		}
		r.deadline.set(r.env, ctx, "deadline", m.Patience)
		r.gather(ctx)
	}
}

func (r *recorder) record(ctx actor.Context, m messages.Record) {
	r.count++
	recorded := messages.Recorded{
		ID: fmt.Sprintf("%s.%d", r.prefix, r.count), Autoscaler: r.env.name, At: m.At, Event: m.Event,
	}
	r.env.log.WithLevel(levelOf(m.Event)).Str("event", m.Event.Kind()).Interface("data", m.Event).Msg(r.text(recorded))
	if r.watch != nil {
		r.watch(recorded)
	}
	if len(r.outbox.events) >= outboxMax {
		r.env.log.Error().Int64("lost", r.outbox.lost.Add(1)).Str("id", recorded.ID).Msg("event not kept: the bus has been down for too long")
		return
	}
	r.outbox.events = append(r.outbox.events, recorded)
	r.outbox.waiting.Store(int64(len(r.outbox.events)))
	r.gather(ctx)
}

// gather sends soon, or now when there is enough for a batch or somebody waits
// for the end. After a failure its own wait goes on.
func (r *recorder) gather(ctx actor.Context) {
	switch {
	case r.sending != "" || r.failures > 0:
	case r.flusher != nil || len(r.outbox.events) >= publishBatch:
		r.next.cancel()
		r.send(ctx)
	case !r.next.pending():
		r.next.set(r.env, ctx, "next", gatherTime)
	}
}

// levelOf is how loud an event is in the log: warn for what somebody may have
// to do something about.
func levelOf(event messages.Event) zerolog.Level {
	switch any(event).(type) {
	case messages.InstanceRefused, messages.InstanceUnready, messages.InstanceStray, messages.ObservationFailed,
		messages.InstanceUnended, messages.ResourceHeld, messages.FleetGuarded, messages.TaskLost, messages.TaskDuplicated:
		return zerolog.WarnLevel
	default:
		return zerolog.InfoLevel
	}
}

func (r *recorder) send(ctx actor.Context) {
	if r.sending != "" || r.next.pending() || len(r.outbox.events) == 0 {
		return
	}
	batch := slices.Clone(r.outbox.events[:min(publishBatch, len(r.outbox.events))])
	last := batch[len(batch)-1].ID
	r.sending = last
	r.env.pipe(ctx, publishTimeout, func(io context.Context) any {
		return published{last: last, err: r.publisher.Publish(io, batch)}
	})
}

func (r *recorder) published(ctx actor.Context, m published) {
	if m.err == nil {
		r.outbox.drop(m.last)
	}
	if m.last != r.sending {
		return // sent in an earlier life
	}
	r.sending = ""
	if r.dropped(m.err) {
		r.send(ctx)
		return
	}
	if m.err != nil {
		r.failures++
		wait := decide.Backoff{Base: time.Second, Max: 30 * time.Second}.Wait(r.failures, r.rand.Float64())
		r.env.log.Warn().Err(m.err).Int("kept", len(r.outbox.events)).Dur("retry_in", wait).Msg("events not published")
		r.next.set(r.env, ctx, "next", wait)
		return
	}
	r.failures = 0
	if len(r.outbox.events) == 0 {
		r.flushed(ctx)
		return
	}
	r.send(ctx)
}

// dropped removes an event that the bus says it can never take, so that it
// does not keep the others from it.
func (r *recorder) dropped(err error) bool {
	failure := messages.FailureOf(err)
	if failure == nil || failure.Class != messages.ClassInvalid {
		return false
	}
	at := slices.IndexFunc(r.outbox.events, func(event messages.Recorded) bool { return event.ID == failure.Code })
	if at < 0 {
		return false
	}
	r.env.log.Error().Err(err).Str("id", failure.Code).Msg("event can not be published and is left out")
	r.outbox.events = slices.Delete(r.outbox.events, at, at+1)
	r.outbox.waiting.Store(int64(len(r.outbox.events)))
	r.outbox.lost.Add(1)
	return true
}

// flushed answers whoever waits for the outbox to be empty.
func (r *recorder) flushed(ctx actor.Context) {
	if r.flusher == nil {
		return
	}
	ctx.Send(r.flusher, messages.RecordsFlushed{Lost: int(r.outbox.lost.Load()) + len(r.outbox.events)})
	r.flusher = nil
	r.deadline.cancel()
}
