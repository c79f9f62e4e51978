package actors

import (
	"context"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// Ports that change the world ask [messages.Permitted] right before each request
// that it sends, and fails with its error.

// ClearML is the job side of the world. Every error carries a
// [messages.Failure] (errors.As); a failure is never answered with an empty
// list. Calls are safe to repeat and to run at the same time.
type ClearML interface {
	// Observe polls all watched queues and workers: two calls, whatever the
	// number of queues.
	Observe(ctx context.Context, query messages.ClearMLQuery) (messages.ClearMLSnapshot, error)
	// CreateQueues makes the named queues; one that exists already is fine.
	CreateQueues(ctx context.Context, names []messages.QueueName) error
	// Activity asks the tasks API what the named workers ran since the given
	// time (server's clock). The answer has one entry for each worker asked,
	// in the order asked; a worker that ran nothing has a zero entry.
	Activity(ctx context.Context, since time.Time, workers []messages.WorkerID) ([]messages.WorkerActivity, error)
	Signals
	Tasks
}

// EC2 is the machine side of the world, seen through the owner tag of one
// autoscaler. Every error carries a [messages.Failure]. No method retries: the
// provisioner does.
type EC2 interface {
	// Launch sends one RunInstances call. The same request may be sent again
	// at any time: it launches once and answers the same instances.
	Launch(ctx context.Context, request messages.LaunchRequest) ([]messages.Instance, error)
	// Terminate ends the instances, any number of them; one bad id never
	// keeps the others alive. An id that EC2 does not know counts as gone.
	Terminate(ctx context.Context, ids []messages.InstanceID) (messages.TerminateOutcome, error)
	// List answers every instance with our owner tag, in any state, complete
	// or an error. An instance launched seconds ago may be missing.
	List(ctx context.Context) ([]messages.Instance, error)
	// Console answers the end of the instance's console output, at most a few
	// kilobytes; empty when EC2 has none yet.
	Console(ctx context.Context, id messages.InstanceID) (string, error)
}

// Ledger is the durable memory of launches. What Intend returned is on disk.
type Ledger interface {
	// Intend writes the intent and answers its id and ClientToken, which no
	// other intent ever had. The same intent.Request again answers the first
	// record.
	Intend(ctx context.Context, intent messages.LaunchIntent) (messages.LaunchRecord, error)
	// Settle writes the outcome; the same outcome again is fine.
	Settle(ctx context.Context, launch messages.LaunchID, outcome messages.LaunchOutcome) error
	// Launches answers all intents that are not settled, and those settled
	// since the given time, oldest first.
	Launches(ctx context.Context, since time.Time) ([]messages.LaunchRecord, error)
	Fence
}

// Fence is the part of the ledger that shuts an earlier owner out.
type Fence interface {
	// Claim makes the epoch the owner's. From its return on an intent of a lower
	// epoch is never written, and no failure that such an owner writes is taken
	// over; both fail with [messages.ClassFenced], and so does the claim of an
	// epoch below that of an earlier claim. The same claim again is fine.
	// Instances that an earlier owner has got are truth and may always be written.
	Claim(ctx context.Context, epoch messages.Epoch) error
}

// Signals is the channel to the supervisors on the instances: queue metadata
// and tags on the ClearML server. The other direction comes with each
// [ClearML.Observe]. Calls are safe to repeat.
type Signals interface {
	// Signal changes keys of one queue's metadata, and no others.
	Signal(ctx context.Context, signal messages.Signal) error
	// SetTag puts a tag on a queue or takes it off, and leaves its other tags.
	// The server cannot compare and set: two writers at once may lose a change.
	SetTag(ctx context.Context, queueID, tag string, on bool) error
}

// Tasks is what the Rescuer needs of ClearML.
type Tasks interface {
	// Unfinished answers every task that is queued or in progress, whole or an
	// error.
	Unfinished(ctx context.Context) ([]messages.TaskState, error)
	// Requeue puts a task back if it still is as the request says. A task that is
	// not is left alone, and the outcome tells how it was found. Between that
	// look and the write the server offers no guard: see the adapter.
	Requeue(ctx context.Context, request messages.Requeue) (messages.RequeueOutcome, error)
}

// Ownership says which of several processes acts for an autoscaler. A holder
// acts until TTL less the margin after it began its last renewal; another gets
// the lease no sooner than two thirds of the margin after that, and no later
// than the TTL.
type Ownership interface {
	// Acquire takes the lease if it is free, and fails with
	// [messages.ClassHeld] if it is not. Its epoch is above those of all earlier
	// leases.
	Acquire(ctx context.Context, autoscaler messages.AutoscalerName) (messages.Lease, error)
	// Renew keeps a lease for another TTL, counted from before the call.
	// [messages.ClassFenced] says that it is lost for good; after any other
	// error it may be renewed or not: renew again.
	Renew(ctx context.Context, lease messages.Lease) (messages.Lease, error)
	// Release gives a lease back at once; one that is lost already is fine.
	Release(ctx context.Context, lease messages.Lease) error
}

// State keeps what neither EC2 nor ClearML can tell: refusals, boot times,
// failures in a row, what operators asked. Whoever loses it acts safely without, but
// forgets those orders. An owner's word is not changed by an earlier one: both
// methods fail with [messages.ClassFenced] once a later epoch has loaded or saved
// under the key.
type State interface {
	// Load answers what was saved last under the key, empty when nothing was. From
	// its return on nothing of a lower epoch is saved there. What is not readable is
	// [messages.ClassInvalid].
	Load(ctx context.Context, key messages.StateKey) ([]byte, error)
	// Save replaces it.
	Save(ctx context.Context, key messages.StateKey, value []byte) error
}

// Publisher puts events on the bus.
type Publisher interface {
	// Publish stores the events in order. On error some may be stored; the
	// same events again store each one once.
	Publish(ctx context.Context, events []messages.Recorded) error
}

// Clock is the one clock. Nothing under actors reads another.
type Clock interface {
	// Now is the current time in UTC. It may be set, forth and back.
	Now() time.Time
	// Elapsed is the time since some moment; it is never set. It may stand still
	// while the machine sleeps.
	Elapsed() time.Duration
	// AfterFunc runs f once d has passed; stop prevents it and reports whether
	// it did. f must not block.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// Runner runs I/O beside the actors, and owns the context that ends it.
type Runner interface {
	// Go runs f soon, not on the caller's goroutine. f's context ends after
	// the time-out, or earlier when the process ends.
	Go(timeout time.Duration, f func(ctx context.Context))
}
