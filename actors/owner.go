package actors

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

const (
	// standbyAgain is how often a standby tries to get the lease, and renewAgain
	// how soon a renewal without a clear answer is tried again.
	standbyAgain = 500 * time.Millisecond
	renewAgain   = time.Second
	releaseTime  = 2 * time.Second
)

// owner holds the lease of one autoscaler, and runs the autoscaler exactly
// while it does. It stops acting before the lease can pass to another: the
// deadline is counted from before each renewal was sent.
type owner struct {
	env *env
	*estate

	recorder *actor.PID                      // publishes also what a former autoscaler left behind
	child    *actor.PID                      // the autoscaler; nil while standing by
	told     bool                            // outside, that this process acts
	tenure   *tenure                         // of the child
	ending   bool                            // the child was stopped and is not gone yet
	changed  messages.AutoscalerReconfigured // until it is told
	next     alarm                           // to acquire, or to renew
	deadline alarm
	problem  messages.FailureClass // of the last try to acquire that failed, for the log
	stop     *stopOne
	done     *messages.AutoscalerEnded // what the autoscaler said at its end
}

// estate is what outlives the owner's own failures: its configuration, the lease
// that it holds, and events that are not on the bus yet.
type estate struct {
	cfg     Config
	version uint64 // of the configuration
	outbox  outbox
	lease   messages.Lease
	held    bool
	calls   uint64 // counts them, so that an answer is known for its question
	// closed are the queues that an autoscaler of this process closed and that may
	// not be open again.
	closed closedQueues
}

// stopOne asks an owner to stop, as StopAutoscaler does its autoscaler.
type stopOne struct {
	message messages.StopAutoscaler
	asker   *actor.PID
}

// leased answers an acquisition or a renewal.
type leased struct {
	call    uint64
	begun   moment
	renewal bool
	lease   messages.Lease
	err     error
}

// released answers a release; a stray lease is one that came too late for
// anybody to want it.
type released struct{ stray bool }

// Receive implements actor.Actor.
//
//nolint:cyclop // one case for each message
func (o *owner) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		o.begin(ctx)
	case *actor.Stopping, *actor.Restarting:
		o.next.cancel()
		o.deadline.cancel()
		o.tenure.end()
		o.tell(false)
		o.calls++
		o.child = nil // its end, which is awaited now, is not to begin another
	case *actor.Terminated:
		o.childGone(ctx, m)
	case leased:
		o.leased(ctx, m)
	case messages.StopAutoscaler:
		o.beginStop(ctx, m)
	case messages.Ordered:
		o.order(ctx, m)
	case note:
		if o.child != nil { // else another process says so
			ctx.Send(o.recorder, messages.Record{At: o.env.clock.Now(), Event: m.event})
		}
	case messages.AutoscalerEnded:
		o.done = &m
		o.depose(ctx)
	case autoscalerBegan:
		if o.stop != nil && o.child != nil {
			ctx.Request(o.child, o.stop.message)
		}
	case messages.RecordsFlushed:
		if m.Lost > 0 {
			o.env.log.Error().Int("lost", m.Lost).Msg("events that could not be published are lost")
		}
		o.next.cancel()
		o.afterwards(ctx)
	case reconfigure:
		o.reconfigure(ctx, m)
	case released:
		if o.stop != nil && o.done != nil && !m.stray {
			ctx.Send(o.stop.asker, *o.done)
		}
	case rang:
		switch {
		case m.name == "next" && o.next.heeds(m):
			o.ask(ctx)
		case m.name == "flushed" && o.next.heeds(m):
			o.afterwards(ctx)
		case m.name == "deadline" && o.deadline.heeds(m):
			o.env.log.Error().Msg("the lease could not be renewed in time; nothing is done until it is held again")
			o.lost(ctx)
		}
	default:
		o.env.unhandled(ctx)
	}
}

// begin starts the recorder and asks for the lease.
func (o *owner) begin(ctx actor.Context) {
	text := o.cfg.Text
	if text == nil {
		text = func(r messages.Recorded) string { return r.Event.Kind() }
	}
	publisher, watch, seed := o.cfg.Publisher, o.cfg.Watch, o.cfg.Seed
	o.recorder = o.env.spawn(ctx, "recorder", func() actor.Actor {
		return &recorder{env: o.env, publisher: publisher, text: text, watch: watch, rand: rand.New(rand.NewPCG(seed, 1)), outbox: &o.outbox}
	})
	ctx.Send(ctx.Parent(), autoscalerBegan{name: o.cfg.Name})
	o.ask(ctx)
}

// ask acquires or renews, whichever is due.
func (o *owner) ask(ctx actor.Context) {
	o.calls++
	answer := leased{call: o.calls, begun: momentOf(o.env.clock), renewal: o.held}
	cfg, lease := o.cfg, o.lease
	timeout := max(time.Second, o.cfg.Lease.TTL/3)
	o.env.pipe(ctx, timeout, func(io context.Context) any {
		if answer.renewal {
			answer.lease, answer.err = cfg.Ownership.Renew(io, lease)
		} else {
			answer.lease, answer.err = cfg.Ownership.Acquire(io, cfg.Name)
		}
		return answer
	})
}

func (o *owner) leased(ctx actor.Context, m leased) {
	switch {
	case m.call != o.calls || o.done != nil:
		if m.err == nil && !m.renewal { // nobody here wants it any more
			o.release(ctx, m.lease, true)
		}
		return
	case m.err != nil:
		o.refused(ctx, messages.FailureOf(m.err))
		return
	}
	until := m.begun.add(o.cfg.Lease.TTL - o.cfg.Lease.Margin)
	left := until.left(o.env.clock)
	o.lease, o.held = m.lease, true
	if left <= 0 { // so late that it may have passed again
		o.lost(ctx)
		return
	}
	o.problem = ""
	if o.child == nil {
		o.tenure = &tenure{clock: o.env.clock, epoch: m.lease.Epoch}
	}
	o.tenure.extend(until)
	o.deadline.set(o.env, ctx, "deadline", left)
	o.next.set(o.env, ctx, "next", min(o.cfg.Lease.Renew, max(0, m.begun.add(o.cfg.Lease.Renew).left(o.env.clock))))
	if o.child == nil {
		o.act(ctx)
	}
}

// act starts the autoscaler.
func (o *owner) act(ctx actor.Context) {
	o.env.log.Info().Uint64("epoch", uint64(o.lease.Epoch)).Str("holder", o.lease.Holder).Msg("this process acts for the autoscaler")
	cfg, lease, changed := o.cfg.entitled(o.tenure), o.lease, o.changed
	o.changed = messages.AutoscalerReconfigured{}
	own := *o.env
	own.tenure = o.tenure
	o.child = o.env.spawn(ctx, "autoscaler-"+string(cfg.Name), func() actor.Actor {
		told := changed
		changed = messages.AutoscalerReconfigured{} // a later life has nothing new to tell
		return &autoscaler{env: &own, cfg: cfg, lease: lease, changed: told, outbox: &o.outbox, closed: &o.closed, recorder: o.recorder}
	})
	ctx.Watch(o.child)
	o.tell(true)
}

// tell says outside whether this process acts now.
func (o *owner) tell(acts bool) {
	if o.env.acting != nil && o.told != acts {
		o.told = acts
		o.env.acting(o.cfg.Name, acts)
	}
}

// refused handles an acquisition or a renewal that did not succeed.
func (o *owner) refused(ctx actor.Context, failure *messages.Failure) {
	if o.held {
		o.env.log.Warn().Str("failure", failure.Error()).Msg("lease not renewed")
		if failure.Class == messages.ClassFenced {
			o.lost(ctx)
			return
		}
		o.next.set(o.env, ctx, "next", renewAgain)
		return
	}
	if o.problem != failure.Class {
		o.problem = failure.Class
		o.env.log.Info().Str("why", failure.Error()).Msg("standing by until the lease is free")
	}
	wait := standbyAgain
	if failure.Class != messages.ClassHeld {
		wait = renewAgain
	}
	o.next.set(o.env, ctx, "next", wait)
}

// lost ends acting and begins to stand by.
func (o *owner) lost(ctx actor.Context) {
	o.held = false
	o.depose(ctx)
}

// depose stops the autoscaler, if it runs. What comes next waits for its end.
func (o *owner) depose(ctx actor.Context) {
	o.calls++ // answers on their way do not count
	o.tenure.end()
	o.next.cancel()
	o.deadline.cancel()
	o.tell(false)
	if o.child == nil {
		o.afterwards(ctx)
		return
	}
	if !o.ending {
		o.ending = true
		ctx.Stop(o.child)
	}
}

// order hands an order on to the autoscaler, if it acts here.
func (o *owner) order(ctx actor.Context, m messages.Ordered) {
	if o.child == nil || o.ending {
		ctx.Respond(messages.Answered{Ask: m.Ask, Failure: &messages.Failure{
			Class: messages.ClassHeld, Message: "this process does not act for the autoscaler now; another one does, or will in a moment",
		}})
		return
	}
	ctx.Forward(o.child)
}

func (o *owner) childGone(ctx actor.Context, m *actor.Terminated) {
	if o.child == nil || m.Who.GetId() != o.child.GetId() {
		return
	}
	o.child, o.ending = nil, false
	if !o.held || o.done != nil {
		o.afterwards(ctx)
		return
	}
	until := o.tenure.until.Load() // it goes on: with a new configuration, or to be stopped in order
	o.tenure.end()
	o.tenure = &tenure{clock: o.env.clock, epoch: o.lease.Epoch}
	if until != nil {
		o.tenure.extend(*until)
	}
	o.act(ctx)
}

// afterwards goes on once no autoscaler runs here: with standing by, or with
// the end.
func (o *owner) afterwards(ctx actor.Context) {
	if o.stop == nil {
		o.next.set(o.env, ctx, "next", standbyAgain)
		return
	}
	if o.done == nil { // no autoscaler of this process has seen to the last events
		o.done = &messages.AutoscalerEnded{Autoscaler: o.cfg.Name}
		ctx.Request(o.recorder, messages.FlushRecords{Patience: flushPatience})
		o.next.set(o.env, ctx, "flushed", flushPatience+recorderPatience)
		return
	}
	if !o.held {
		ctx.Send(o.stop.asker, *o.done)
		return
	}
	o.held = false
	o.release(ctx, o.lease, false)
}

func (o *owner) release(ctx actor.Context, lease messages.Lease, stray bool) {
	ownership := o.cfg.Ownership
	o.env.pipe(ctx, releaseTime, func(io context.Context) any {
		if err := ownership.Release(io, lease); err != nil {
			o.env.log.Warn().Err(err).Msg("lease not released; a standby waits until it lapses")
		}
		return released{stray: stray}
	})
}

func (o *owner) beginStop(ctx actor.Context, m messages.StopAutoscaler) {
	if o.stop != nil {
		return
	}
	o.stop = &stopOne{message: m, asker: ctx.Sender()}
	switch {
	case o.child != nil && !o.ending:
		ctx.Request(o.child, m)
	case o.child == nil:
		o.depose(ctx)
	}
}

// reconfigure takes a new configuration. An autoscaler that runs is ended, as
// by a crash, and begins anew with it under the same lease: what a restart finds
// again is found again, so nothing has to be changed while it works.
func (o *owner) reconfigure(ctx actor.Context, m reconfigure) {
	if m.version <= o.version || o.stop != nil {
		return
	}
	if o.child != nil { // nobody acts by what a standby is told
		lines := m.Lines
		if lines == nil {
			lines = o.cfg.changes(m.Config)
		}
		o.changed.Changes = append(o.changed.Changes, lines...)
		o.changed.Restart = append(o.changed.Restart, m.Restart...)
	}
	o.cfg, o.version = m.Config, m.version
	if o.child == nil {
		o.env.log.Info().Msg("new configuration; it takes effect when this process acts")
	}
	if o.child != nil && !o.ending {
		o.ending = true
		ctx.Stop(o.child)
	}
}
