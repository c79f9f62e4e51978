package simulation

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/messages"
)

// The bent* are ports that do something else than they should, where one of their
// functions is set.

type bentEC2 struct {
	actors.EC2
	launch func(context.Context, messages.LaunchRequest) ([]messages.Instance, error)
	list   func(context.Context) ([]messages.Instance, error)
}

func (b bentEC2) Launch(ctx context.Context, request messages.LaunchRequest) ([]messages.Instance, error) {
	if b.launch == nil {
		return b.EC2.Launch(ctx, request)
	}
	return b.launch(ctx, request)
}

func (b bentEC2) List(ctx context.Context) ([]messages.Instance, error) {
	if b.list == nil {
		return b.EC2.List(ctx)
	}
	return b.list(ctx)
}

type bentClearML struct {
	actors.ClearML
	observe    func(context.Context, messages.ClearMLQuery) (messages.ClearMLSnapshot, error)
	activity   func(context.Context, time.Time, []messages.WorkerID) ([]messages.WorkerActivity, error)
	signal     func(context.Context, messages.Signal) error
	setTag     func(ctx context.Context, queueID, tag string, on bool) error
	unfinished func(context.Context) ([]messages.TaskState, error)
	requeue    func(context.Context, messages.Requeue) (messages.RequeueOutcome, error)
}

func (b bentClearML) Observe(ctx context.Context, query messages.ClearMLQuery) (messages.ClearMLSnapshot, error) {
	if b.observe == nil {
		return b.ClearML.Observe(ctx, query)
	}
	return b.observe(ctx, query)
}

func (b bentClearML) Activity(ctx context.Context, since time.Time, workers []messages.WorkerID) ([]messages.WorkerActivity, error) {
	if b.activity == nil {
		return b.ClearML.Activity(ctx, since, workers)
	}
	return b.activity(ctx, since, workers)
}

func (b bentClearML) Signal(ctx context.Context, signal messages.Signal) error {
	if b.signal == nil {
		return b.ClearML.Signal(ctx, signal)
	}
	return b.signal(ctx, signal)
}

func (b bentClearML) SetTag(ctx context.Context, queueID, tag string, on bool) error {
	if b.setTag == nil {
		return b.ClearML.SetTag(ctx, queueID, tag, on)
	}
	return b.setTag(ctx, queueID, tag, on)
}

func (b bentClearML) Unfinished(ctx context.Context) ([]messages.TaskState, error) {
	if b.unfinished == nil {
		return b.ClearML.Unfinished(ctx)
	}
	return b.unfinished(ctx)
}

func (b bentClearML) Requeue(ctx context.Context, request messages.Requeue) (messages.RequeueOutcome, error) {
	if b.requeue == nil {
		return b.ClearML.Requeue(ctx, request)
	}
	return b.requeue(ctx, request)
}

type bentLedger struct {
	actors.Ledger
	claim    func(context.Context, messages.Epoch) error
	intend   func(context.Context, messages.LaunchIntent) (messages.LaunchRecord, error)
	settle   func(context.Context, messages.LaunchID, messages.LaunchOutcome) error
	launches func(context.Context, time.Time) ([]messages.LaunchRecord, error)
}

func (b bentLedger) Claim(ctx context.Context, epoch messages.Epoch) error {
	if b.claim == nil {
		return b.Ledger.Claim(ctx, epoch)
	}
	return b.claim(ctx, epoch)
}

func (b bentLedger) Intend(ctx context.Context, intent messages.LaunchIntent) (messages.LaunchRecord, error) {
	if b.intend == nil {
		return b.Ledger.Intend(ctx, intent)
	}
	return b.intend(ctx, intent)
}

func (b bentLedger) Settle(ctx context.Context, launch messages.LaunchID, outcome messages.LaunchOutcome) error {
	if b.settle == nil {
		return b.Ledger.Settle(ctx, launch, outcome)
	}
	return b.settle(ctx, launch, outcome)
}

func (b bentLedger) Launches(ctx context.Context, since time.Time) ([]messages.LaunchRecord, error) {
	if b.launches == nil {
		return b.Ledger.Launches(ctx, since)
	}
	return b.launches(ctx, since)
}

type bentOwnership struct {
	actors.Ownership
	acquire func(context.Context, messages.AutoscalerName) (messages.Lease, error)
	renew   func(context.Context, messages.Lease) (messages.Lease, error)
}

func (b bentOwnership) Acquire(ctx context.Context, autoscaler messages.AutoscalerName) (messages.Lease, error) {
	if b.acquire == nil {
		return b.Ownership.Acquire(ctx, autoscaler)
	}
	return b.acquire(ctx, autoscaler)
}

func (b bentOwnership) Renew(ctx context.Context, lease messages.Lease) (messages.Lease, error) {
	if b.renew == nil {
		return b.Ownership.Renew(ctx, lease)
	}
	return b.renew(ctx, lease)
}

// bentPublisher says that it has published, and leaves some events out.
type bentPublisher struct {
	actors.Publisher
	drops func(messages.Recorded) bool
}

func (b bentPublisher) Publish(ctx context.Context, events []messages.Recorded) error {
	var kept []messages.Recorded
	for _, event := range events {
		if !b.drops(event) {
			kept = append(kept, event)
		}
	}
	return b.Publisher.Publish(ctx, kept)
}

// bentAgents changes what agents and supervisors send.
type bentAgents struct {
	fakeagent.API
	sends func(endpoint string, in fakeagent.Body) fakeagent.Body
}

func (b bentAgents) Call(ctx context.Context, endpoint string, in fakeagent.Body, out any) error {
	return b.API.Call(ctx, endpoint, b.sends(endpoint, in), out)
}

// The bend* build mistakes of one part.

func bendEC2(bend func(p *process, b *bentEC2)) *mistake {
	return &mistake{configure: func(p *process, cfg *actors.Config) {
		b := bentEC2{EC2: cfg.EC2}
		bend(p, &b)
		cfg.EC2 = b
	}}
}

func bendClearML(bend func(p *process, b *bentClearML)) *mistake {
	return &mistake{configure: func(p *process, cfg *actors.Config) {
		b := bentClearML{ClearML: cfg.ClearML}
		bend(p, &b)
		cfg.ClearML = b
	}}
}

func bendLedger(bend func(p *process, b *bentLedger)) *mistake {
	return &mistake{configure: func(p *process, cfg *actors.Config) {
		b := bentLedger{Ledger: cfg.Ledger}
		bend(p, &b)
		cfg.Ledger = b
	}}
}

func bendOwnership(bend func(p *process, b *bentOwnership)) *mistake {
	return &mistake{configure: func(p *process, cfg *actors.Config) {
		b := bentOwnership{Ownership: cfg.Ownership}
		bend(p, &b)
		cfg.Ownership = b
	}}
}

// bendMessages changes the messages that the actors of one kind receive. What
// change returns is received in place of the message, in this order.
func bendMessages(kind string, change func(message any) []any) *mistake {
	return &mistake{messages: func(*process) actor.ReceiverMiddleware {
		return func(next actor.ReceiverFunc) actor.ReceiverFunc {
			return func(ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) {
				if kindOf(ctx.Self()) != kind {
					next(ctx, envelope)
					return
				}
				for _, message := range change(envelope.Message) {
					next(ctx, &actor.MessageEnvelope{Header: envelope.Header, Message: message, Sender: envelope.Sender})
				}
			}
		}
	}}
}
