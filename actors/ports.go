package actors

import (
	"context"
	"time"

	"github.com/ebbscale/ebb/messages"
)

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
}

// Publisher puts events on the bus.
type Publisher interface {
	// Publish stores the events in order. On error some may be stored; the
	// same events again store each one once.
	Publish(ctx context.Context, events []messages.Recorded) error
}

// Clock is the one clock. Nothing under actors reads another.
type Clock interface {
	// Now is the current time in UTC.
	Now() time.Time
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
