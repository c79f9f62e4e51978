package actors

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// tenure is the right to act for an autoscaler, as far as this process knows.
// It is shared by all its actors and by the calls they have under way, so that
// a process that slept past its lease does nothing when it wakes up.
type tenure struct {
	clock Clock
	epoch atomic.Uint64
	until atomic.Pointer[time.Time]
}

// extend says until when this process may act.
func (t *tenure) extend(epoch messages.Epoch, until time.Time) {
	t.epoch.Store(uint64(epoch))
	t.until.Store(&until)
}

// end says that this process may not act any more.
func (t *tenure) end() { t.until.Store(nil) }

// Epoch is that of the owner.
func (t *tenure) Epoch() messages.Epoch { return messages.Epoch(t.epoch.Load()) }

// check fails when the lease may have passed to another. Both clocks count: the
// monotonic one stands still while a machine sleeps, the other one may be set.
func (t *tenure) check() error {
	until := t.until.Load()
	if until == nil {
		return &messages.Failure{Class: messages.ClassFenced, Message: "this process does not hold the lease"}
	}
	if now := t.clock.Now(); !now.Before(*until) || !now.Round(0).Before(until.Round(0)) {
		return &messages.Failure{Class: messages.ClassFenced, Message: "this process could not renew its lease in time"}
	}
	return nil
}

// entitled* are the ports as the actors of an autoscaler get them: what changes
// the world is refused when the lease may have passed. The adapters ask right
// before each request that they send.
type (
	entitledEC2 struct {
		EC2
		tenure *tenure
	}
	entitledLedger struct {
		Ledger
		tenure *tenure
	}
	entitledClearML struct {
		ClearML
		tenure *tenure
	}
)

func (e entitledEC2) Launch(ctx context.Context, request messages.LaunchRequest) ([]messages.Instance, error) {
	return e.EC2.Launch(messages.WithPermit(ctx, e.tenure.check), request)
}

func (e entitledEC2) Terminate(ctx context.Context, ids []messages.InstanceID) (messages.TerminateOutcome, error) {
	return e.EC2.Terminate(messages.WithPermit(ctx, e.tenure.check), ids)
}

// Intend is fenced by the ledger, too: a claim decides for good.
func (e entitledLedger) Intend(ctx context.Context, intent messages.LaunchIntent) (messages.LaunchRecord, error) {
	if err := e.tenure.check(); err != nil {
		return messages.LaunchRecord{}, err
	}
	intent.Epoch = e.tenure.Epoch()
	return e.Ledger.Intend(ctx, intent)
}

// Settle is not refused here: what became of a launch is true whoever says so,
// and what is not the ledger refuses.
func (e entitledLedger) Settle(ctx context.Context, launch messages.LaunchID, outcome messages.LaunchOutcome) error {
	outcome.Epoch = e.tenure.Epoch()
	return e.Ledger.Settle(ctx, launch, outcome)
}

func (e entitledClearML) CreateQueues(ctx context.Context, names []messages.QueueName) error {
	return e.ClearML.CreateQueues(messages.WithPermit(ctx, e.tenure.check), names)
}

func (e entitledClearML) Signal(ctx context.Context, signal messages.Signal) error {
	return e.ClearML.Signal(messages.WithPermit(ctx, e.tenure.check), signal)
}

func (e entitledClearML) SetTag(ctx context.Context, queueID, tag string, on bool) error {
	return e.ClearML.SetTag(messages.WithPermit(ctx, e.tenure.check), queueID, tag, on)
}

func (e entitledClearML) Requeue(ctx context.Context, request messages.Requeue) (messages.RequeueOutcome, error) {
	return e.ClearML.Requeue(messages.WithPermit(ctx, e.tenure.check), request)
}
