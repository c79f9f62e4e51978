package actors

import (
	"context"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// endings are the terminations asked for and not yet answered.
type endings struct {
	askers  map[messages.InstanceID]ending
	order   []messages.InstanceID // not yet called for
	calling bool
	tries   int // failed calls in a row
	flush   alarm
}

// ending is who asked, and when.
type ending struct {
	asker   *actor.PID
	at      time.Time // steady
	certain bool      // what was known then cannot grow old
}

func newEndings() endings {
	return endings{askers: make(map[messages.InstanceID]ending)}
}

func (e *endings) add(id messages.InstanceID, asked ending) {
	if !slices.Contains(e.order, id) {
		e.order = append(e.order, id)
	}
	e.askers[id] = asked
}

type terminateCalled struct {
	ids     []messages.InstanceID
	outcome messages.TerminateOutcome
	err     error
}

// terminateNext sends what was gathered, one call at a time.
func (p *provisioner) terminateNext(ctx actor.Context) {
	e := &p.endings
	if e.calling {
		return
	}
	p.forgetStale(ctx)
	if len(e.order) == 0 {
		return
	}
	n := min(terminateBatch, len(e.order))
	governor, wait := p.governor.TakeTerminate(p.env.clock.Now(), n)
	p.governor = governor
	if wait > 0 {
		e.flush.set(p.env, ctx, "terminate", wait)
		return
	}
	e.calling = true
	ids := append([]messages.InstanceID(nil), e.order[:n]...)
	e.order = e.order[n:]
	p.env.pipe(ctx, callTimeout, func(io context.Context) any {
		outcome, err := p.ec2.Terminate(io, ids)
		return terminateCalled{ids: ids, outcome: outcome, err: err}
	})
}

// forgetStale answers those that have waited for too long: what they knew of
// their worker was true when they asked, and they have to look again.
func (p *provisioner) forgetStale(ctx actor.Context) {
	fresh := p.env.steady().Add(-p.fresh)
	for _, id := range slices.Clone(p.endings.order) {
		if asked := p.endings.askers[id]; !asked.certain && asked.at.Before(fresh) {
			p.endings.order = slices.DeleteFunc(p.endings.order, func(other messages.InstanceID) bool { return other == id })
			p.ended(ctx, messages.TerminationSettled{
				Instance: id, Failure: &messages.Failure{Class: messages.ClassThrottled, Message: "calls to EC2 are held back"},
			})
		}
	}
}

func (p *provisioner) terminateCalled(ctx actor.Context, m terminateCalled) {
	e := &p.endings
	e.calling = false
	failed := false
	if failure := messages.FailureOf(m.err); failure != nil {
		failed = true
		if failure.Class == messages.ClassThrottled {
			p.governor = p.governor.Throttled(p.env.clock.Now(), decide.CallTerminate)
		}
		for _, id := range m.ids {
			p.ended(ctx, messages.TerminationSettled{Instance: id, Failure: failure})
		}
	}
	for _, id := range m.outcome.Terminating {
		p.ended(ctx, messages.TerminationSettled{Instance: id})
	}
	for _, id := range m.outcome.Gone {
		p.ended(ctx, messages.TerminationSettled{Instance: id, Unknown: true})
	}
	for i, id := range m.outcome.Failed {
		class := m.outcome.Failures[i].Class
		failed = failed || class == messages.ClassThrottled || class == messages.ClassTransient // else it is about this one alone
		p.ended(ctx, messages.TerminationSettled{Instance: id, Failure: &m.outcome.Failures[i]})
	}
	if !failed {
		e.tries = 0
		p.terminateNext(ctx)
		return
	}
	e.tries++
	e.flush.set(p.env, ctx, "terminate", p.backoff().Wait(e.tries, p.rand.Float64()))
}

// ended answers whoever asked for one id. Nothing is tried again here: what was
// known of the worker grows old.
func (p *provisioner) ended(ctx actor.Context, settled messages.TerminationSettled) {
	if asked, ok := p.endings.askers[settled.Instance]; ok {
		ctx.Send(asked.asker, settled)
		delete(p.endings.askers, settled.Instance)
	}
}
