package actors

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// tenure is the right to act for an autoscaler, as far as this process knows.
// It is shared by all its actors and by the calls they have under way, so that
// a process that slept past its lease does nothing when it wakes up. Each life
// of the autoscaler has its own: what a former life still has under way gets
// none of the rights of a later one.
type tenure struct {
	clock Clock
	epoch messages.Epoch
	until atomic.Pointer[moment]
}

// turnBits are the lower bits of an epoch of the ledger: the lives of the process. A
// later life of a provisioner shuts the earlier ones of the same lease out as a later
// lease does. What an earlier one was still writing would otherwise be found by the
// next but one, and launched beside all that was launched meanwhile. An epoch of a
// lease, in milliseconds since 1970, leaves room for them.
const turnBits = 20

// turn is the ledger for one life of the provisioner.
func (t *tenure) turn(ledger Ledger, life uint64) entitledLedger {
	const most = 1<<turnBits - 1 // lives above that do not shut each other out
	return entitledLedger{Ledger: ledger, tenure: t, epoch: t.epoch<<turnBits | messages.Epoch(min(life, most))}
}

// moment is a time on both clocks. The one that only passes is not moved by
// setting the other, and the other goes on while the machine sleeps.
type moment struct {
	wall    time.Time
	elapsed time.Duration
}

func momentOf(clock Clock) moment { return moment{wall: clock.Now(), elapsed: clock.Elapsed()} }

func (m moment) add(d time.Duration) moment {
	return moment{wall: m.wall.Add(d), elapsed: m.elapsed + d}
}

// left is how long it is until then, by the clock that says less.
func (m moment) left(clock Clock) time.Duration {
	return min(m.wall.Sub(clock.Now()), m.elapsed-clock.Elapsed())
}

// extend says until when this process may act.
func (t *tenure) extend(until moment) { t.until.Store(&until) }

// end says that this process may not act any more.
func (t *tenure) end() {
	if t != nil {
		t.until.Store(nil)
	}
}

// check fails when the lease may have passed to another.
func (t *tenure) check() error {
	until := t.until.Load()
	if until == nil {
		return &messages.Failure{Class: messages.ClassFenced, Message: "this process does not hold the lease"}
	}
	if until.left(t.clock) <= 0 {
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
		epoch  messages.Epoch
	}
	entitledState struct {
		State
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

// Claim shuts earlier tenures and earlier lives of this one out.
func (e entitledLedger) Claim(ctx context.Context) error { return e.Ledger.Claim(ctx, e.epoch) }

// Intend is fenced by the ledger, too: a claim decides for good.
func (e entitledLedger) Intend(ctx context.Context, intent messages.LaunchIntent) (messages.LaunchRecord, error) {
	if err := e.tenure.check(); err != nil {
		return messages.LaunchRecord{}, err
	}
	intent.Epoch = e.epoch
	return e.Ledger.Intend(ctx, intent)
}

// Settle is not refused here: what became of a launch is true whoever says so,
// and what is not the ledger refuses.
func (e entitledLedger) Settle(ctx context.Context, launch messages.LaunchID, outcome messages.LaunchOutcome) error {
	outcome.Epoch = e.epoch
	return e.Ledger.Settle(ctx, launch, outcome)
}

func (e entitledState) Load(ctx context.Context, key messages.StateKey) ([]byte, error) {
	if err := e.tenure.check(); err != nil {
		return nil, err
	}
	key.Epoch = e.tenure.epoch
	return e.State.Load(ctx, key)
}

// Save is fenced by the store, too.
func (e entitledState) Save(ctx context.Context, key messages.StateKey, value []byte) error {
	if err := e.tenure.check(); err != nil {
		return err
	}
	key.Epoch = e.tenure.epoch
	return e.State.Save(ctx, key, value)
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
