package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// opStage is how far a launch has come.
type opStage string

const (
	opNew       opStage = "new"       // waits for the ledger to be read, then for EC2's tokens
	opIntending opStage = "intending" // the intent is being written
	opCalling   opStage = "calling"   // EC2 is to be called, or is being called
	opSettling  opStage = "settling"  // the outcome is known and being written
)

// oldIntent is the age at which a launch that has not begun is given up: what
// was needed then may not be needed any more. Whoever still needs it asks again.
const oldIntent = 2 * time.Minute

// launchOp is one launch on its way through ledger, EC2 and ledger again.
type launchOp struct {
	intent   messages.LaunchIntent
	record   messages.LaunchRecord // after intending
	outcome  messages.LaunchOutcome
	stage    opStage
	failures int
	// doubtful is set while an earlier try may have launched: its answer never
	// came. Then a refusal of a later one proves nothing, since EC2 may refuse
	// before it looks at the token.
	doubtful bool
	// refusal is such a refusal, or that the token was used with other
	// parameters: it counts once every listing must show what was launched.
	refusal *messages.Failure
	wait    alarm
}

// retryLaunch wakes one launch.
type retryLaunch struct {
	request messages.RequestID
	rang    rang
}

type intended struct {
	request messages.RequestID
	record  messages.LaunchRecord
	err     error
}

type launchCalled struct {
	request   messages.RequestID
	instances []messages.Instance
	err       error
}

type outcomeWritten struct {
	request messages.RequestID
	err     error
}

// accept takes a launch on, once. One whose end is known already is told again:
// whoever asks may not have heard it.
func (p *provisioner) accept(ctx actor.Context, intent messages.LaunchIntent) {
	if op := p.launches[intent.Request]; op != nil {
		if op.record.Settled {
			p.tell(ctx, op, op.result(nil))
		} else {
			p.tellIntended(ctx, op)
		}
		return
	}
	op := &launchOp{intent: intent, stage: opNew}
	p.launches[intent.Request] = op
	if p.ready {
		p.enqueue(ctx, op)
	}
}

// enqueue puts a launch behind those that wait for EC2's tokens.
func (p *provisioner) enqueue(ctx actor.Context, op *launchOp) {
	p.queue = append(p.queue, op.intent.Request)
	p.drive(ctx)
}

func (p *provisioner) intend(ctx actor.Context, op *launchOp) {
	op.stage = opIntending
	intent := op.intent
	p.env.pipe(ctx, ledgerTimeout, func(io context.Context) any {
		record, err := p.ledger.Intend(io, intent)
		return intended{request: intent.Request, record: record, err: err}
	})
}

func (p *provisioner) intended(ctx actor.Context, m intended) {
	op := p.launches[m.request]
	if op == nil || op.stage != opIntending {
		return
	}
	if m.err != nil {
		p.env.log.Warn().Err(m.err).Str("request", string(m.request)).Msg("intent not written; nothing launched")
		op.stage = opNew
		p.freeLane(ctx)
		p.later(ctx, op)
		return
	}
	op.record, op.failures = m.record, 0
	if m.record.Settled { // an earlier life had it done
		op.outcome = m.record.Outcome
		p.freeLane(ctx)
		p.settled(ctx, op, nil)
		return
	}
	p.tellIntended(ctx, op)
	op.stage = opCalling
	if p.env.clock.Now().Sub(op.intent.At) > oldIntent {
		p.freeLane(ctx)
		p.refused(ctx, op, &messages.Failure{Class: messages.ClassUnknown, Message: "given up: it took longer than " + oldIntent.String() + " to write it down"})
		return
	}
	p.call(ctx, op)
}

// tellIntended tells under which id a launch is in the ledger, once it is there:
// instances that listings show belong to it.
func (p *provisioner) tellIntended(ctx actor.Context, op *launchOp) {
	if op.record.Launch != "" {
		p.tell(ctx, op, messages.LaunchIntended{Request: op.intent.Request, Launch: op.record.Launch})
	}
}

func (p *provisioner) freeLane(ctx actor.Context) {
	p.lanes = max(0, p.lanes-1)
	p.drive(ctx)
}

// later wakes a launch after a wait that grows with its failures.
func (p *provisioner) later(ctx actor.Context, op *launchOp) {
	op.failures++
	p.wake(ctx, op, p.backoff().Wait(op.failures, p.rand.Float64()))
}

func (p *provisioner) wake(ctx actor.Context, op *launchOp, wait time.Duration) {
	op.wait.cancel()
	op.wait.stop = p.env.after(ctx, wait, retryLaunch{request: op.intent.Request, rang: rang{gen: op.wait.gen}})
}

func (p *provisioner) retry(ctx actor.Context, m retryLaunch) {
	op := p.launches[m.request]
	if op == nil || !op.wait.heeds(m.rang) {
		return
	}
	switch op.stage {
	case opNew:
		p.enqueue(ctx, op)
	case opCalling:
		if op.refusal != nil {
			p.refused(ctx, op, op.refusal)
			return
		}
		p.enqueue(ctx, op)
	case opSettling:
		p.write(ctx, op)
	case opIntending:
	}
}

// drive goes on with as many launches as lanes and EC2's tokens allow. An intent
// is written only when its call may follow at once: until then whoever asked for
// it may still ask for more in one call.
func (p *provisioner) drive(ctx actor.Context) {
	for p.lanes < launchLanes && len(p.queue) > 0 && !p.launchAt.pending() {
		op := p.launches[p.queue[0]]
		if op == nil || (op.stage != opCalling && op.stage != opNew) { // settled by the answer to a call of an earlier life
			p.queue = p.queue[1:]
			continue
		}
		now := p.env.clock.Now()
		if op.stage == opNew && op.failures == 0 && now.Sub(op.intent.At) > oldIntent {
			p.queue = p.queue[1:]
			p.forget(ctx, op)
			continue
		}
		governor, wait := p.governor.TakeLaunch(now, op.intent.Count)
		p.governor = governor
		if wait > 0 {
			p.launchAt.set(p.env, ctx, "launch", wait)
			return
		}
		p.queue = p.queue[1:]
		p.lanes++
		if op.stage == opNew {
			p.intend(ctx, op)
		} else {
			p.call(ctx, op)
		}
	}
}

// forget gives a launch up that was never written and never sent.
func (p *provisioner) forget(ctx actor.Context, op *launchOp) {
	op.wait.cancel()
	delete(p.launches, op.intent.Request)
	op.outcome.Failure = &messages.Failure{
		Class: messages.ClassTransient, Message: "it could not be begun within " + oldIntent.String() + "; asked for again if it is still needed",
	}
	p.tell(ctx, op, op.result(nil))
}

func (p *provisioner) call(ctx actor.Context, op *launchOp) {
	request := messages.LaunchRequest{
		Launch: op.record.Launch, Token: op.record.Token, Resource: op.intent.Resource,
		Offering: op.intent.Offering, Count: op.intent.Count,
	}
	id := op.intent.Request
	p.env.pipe(ctx, callTimeout, func(io context.Context) any {
		instances, err := p.ec2.Launch(io, request)
		return launchCalled{request: id, instances: instances, err: err}
	})
}

func (p *provisioner) launchCalled(ctx actor.Context, m launchCalled) {
	p.lanes = max(0, p.lanes-1)
	defer p.drive(ctx)
	op := p.launches[m.request]
	if op == nil || op.stage != opCalling {
		return
	}
	failure := messages.FailureOf(m.err)
	switch {
	case failure == nil:
		p.throttles = 0
		op.outcome = messages.LaunchOutcome{At: p.env.clock.Now()}
		for _, launched := range m.instances {
			op.outcome.Instances = append(op.outcome.Instances, launched.ID)
		}
		p.settled(ctx, op, m.instances)
	case failure.Class == messages.ClassTokenMismatch,
		failure.Definitive() && op.doubtful && failure.Class != messages.ClassTokenSpent:
		// The instances may exist, launched by the earlier request. They are
		// counted as in flight until any listing must show them; then they are
		// adopted by their tags.
		op.refusal = failure
		p.wake(ctx, op, decide.SettleTime)
	case failure.Definitive():
		p.refused(ctx, op, failure)
	default:
		op.doubtful = op.doubtful || failure.Class != messages.ClassThrottled
		p.env.log.Warn().Str("launch", string(op.record.Launch)).Str("failure", failure.Error()).
			Msg("launch has no definitive answer; the same request is sent again")
		if failure.Class == messages.ClassThrottled {
			p.throttles++
			p.governor = p.governor.Throttled(p.env.clock.Now(), decide.CallLaunch)
			p.launchAt.set(p.env, ctx, "launch", p.backoff().Wait(p.throttles, p.rand.Float64()))
		}
		p.later(ctx, op)
	}
}

// refused ends a launch that gave nothing and never will.
func (p *provisioner) refused(ctx actor.Context, op *launchOp, failure *messages.Failure) {
	op.outcome = messages.LaunchOutcome{Failure: failure, At: p.env.clock.Now()}
	p.settled(ctx, op, nil)
}

// settled writes the outcome down and tells the resource type. Instances are told at
// once: if the process ends before they are written, the ledger still says "intended",
// the same request is sent again, and EC2 answers the same instances. A refusal is
// told once it is written: sent again, the same request may be granted, and whoever
// was told would have launched others in its place.
func (p *provisioner) settled(ctx actor.Context, op *launchOp, instances []messages.Instance) {
	op.record.Outcome = op.outcome
	if op.record.Settled { // by an earlier life
		p.tell(ctx, op, op.result(instances))
		delete(p.launches, op.intent.Request)
		return
	}
	op.stage, op.failures = opSettling, 0
	if op.granted() {
		p.told(ctx, op, instances)
	}
	p.write(ctx, op)
}

// told tells the resource type the outcome of a launch, and remembers it.
func (p *provisioner) told(ctx actor.Context, op *launchOp, instances []messages.Instance) {
	p.tell(ctx, op, op.result(instances))
	op.record.Settled = true
	p.remember(op.record)
}

// granted says that EC2 launched something.
func (op *launchOp) granted() bool { return op.outcome.Failure == nil }

// result is the end of a launch for its resource type. Without instances from an
// answer of EC2 those of the outcome are told by their ids.
func (op *launchOp) result(instances []messages.Instance) messages.LaunchSettled {
	if instances == nil {
		for _, id := range op.outcome.Instances {
			instances = append(instances, messages.Instance{
				ID: id, Resource: op.intent.Resource, Launch: op.record.Launch, Token: op.record.Token,
				State: messages.StatePending, Offering: op.intent.Offering, LaunchedAt: op.outcome.At,
			})
		}
	}
	return messages.LaunchSettled{
		Request: op.intent.Request, Launch: op.record.Launch, Offering: op.intent.Offering, Count: op.intent.Count,
		Instances: instances, Failure: op.outcome.Failure,
	}
}

func (p *provisioner) write(ctx actor.Context, op *launchOp) {
	id, launch, outcome := op.intent.Request, op.record.Launch, op.outcome
	p.env.pipe(ctx, ledgerTimeout, func(io context.Context) any {
		return outcomeWritten{request: id, err: p.ledger.Settle(io, launch, outcome)}
	})
}

func (p *provisioner) outcomeWritten(ctx actor.Context, m outcomeWritten) {
	op := p.launches[m.request]
	if op == nil || op.stage != opSettling {
		return
	}
	if failure := messages.FailureOf(m.err); failure != nil && failure.Class != messages.ClassNotFound { // a launch that is not there is not sent again
		p.env.log.Warn().Err(m.err).Str("launch", string(op.record.Launch)).Msg("outcome of a launch not written; tried again")
		p.later(ctx, op)
		return
	}
	if !op.record.Settled {
		p.told(ctx, op, nil)
	}
	op.wait.cancel()
	delete(p.launches, m.request)
}

// tell sends to the resource type of a launch. One that is not there (yet)
// finds the instances in its report or in a listing.
func (p *provisioner) tell(ctx actor.Context, op *launchOp, message messages.ResourceMessage) {
	if owner := p.owners[op.intent.Resource]; owner != nil {
		ctx.Send(owner, message)
	}
}
