package actors

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// endings are the terminations asked for and not yet answered.
type endings struct {
	askers  map[messages.InstanceID]*actor.PID
	order   []messages.InstanceID // not yet called for
	calling bool
	tries   int // failed calls in a row
	bucket  decide.Bucket
	flush   alarm
}

func newEndings() endings {
	return endings{
		askers: make(map[messages.InstanceID]*actor.PID),
		bucket: decide.NewBucket(terminateTokens, terminateRefill),
	}
}

func (e *endings) add(id messages.InstanceID, asker *actor.PID) {
	if _, asked := e.askers[id]; !asked {
		e.order = append(e.order, id)
	}
	e.askers[id] = asker
}

type terminateCalled struct {
	ids     []messages.InstanceID
	outcome messages.TerminateOutcome
	err     error
}

// terminateNext sends what was gathered, one call at a time.
func (p *provisioner) terminateNext(ctx actor.Context) {
	e := &p.endings
	if e.calling || len(e.order) == 0 {
		return
	}
	bucket, wait := e.bucket.Take(p.env.clock.Now(), 1)
	if wait > 0 {
		e.flush.set(p.env, ctx, "terminate", wait)
		return
	}
	e.bucket, e.calling = bucket, true
	n := min(terminateBatch, len(e.order))
	ids := append([]messages.InstanceID(nil), e.order[:n]...)
	e.order = e.order[n:]
	p.env.pipe(ctx, callTimeout, func(io context.Context) any {
		outcome, err := p.ec2.Terminate(io, ids)
		return terminateCalled{ids: ids, outcome: outcome, err: err}
	})
}

func (p *provisioner) terminateCalled(ctx actor.Context, m terminateCalled) {
	e := &p.endings
	e.calling = false
	retry := false
	if m.err != nil {
		failure := messages.FailureOf(m.err)
		for _, id := range m.ids {
			retry = p.ended(ctx, id, failure) || retry
		}
	}
	for _, id := range m.outcome.Terminating {
		p.ended(ctx, id, nil)
	}
	for _, id := range m.outcome.Gone {
		p.ended(ctx, id, nil)
	}
	for i, id := range m.outcome.Failed {
		failure := m.outcome.Failures[i]
		retry = p.ended(ctx, id, &failure) || retry
	}
	if !retry {
		e.tries = 0
		p.terminateNext(ctx)
		return
	}
	e.tries++
	e.flush.set(p.env, ctx, "terminate", p.backoff().Wait(e.tries, p.rand.Float64()))
}

// ended answers whoever asked for one id, or keeps it to be tried again.
func (p *provisioner) ended(ctx actor.Context, id messages.InstanceID, failure *messages.Failure) (again bool) {
	if failure != nil {
		switch failure.Class {
		case messages.ClassThrottled, messages.ClassTransient, messages.ClassUnknown:
			p.env.log.Warn().Str("instance", string(id)).Str("failure", failure.Error()).Msg("not terminated; tried again")
			p.endings.order = append(p.endings.order, id)
			return true
		}
	}
	if asker := p.endings.askers[id]; asker != nil {
		ctx.Send(asker, messages.TerminationSettled{Instance: id, Failure: failure})
	}
	delete(p.endings.askers, id)
	return false
}
