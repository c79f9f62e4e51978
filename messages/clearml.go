package messages

import "time"

// QueueEntry is one waiting task.
type QueueEntry struct {
	Task TaskID
	// Added is when the task was enqueued, by the server's clock.
	Added time.Time
}

// QueueState is one ClearML queue as one poll saw it.
type QueueState struct {
	Name QueueName
	// ID is ClearML's id of the queue.
	ID string
	// Entries are the waiting tasks, first in line first.
	Entries []QueueEntry
	// Tags are the queue's user tags.
	Tags []string
	// Metadata are the queue's key-value pairs, values only.
	Metadata map[string]string
}

// WorkerState is one worker row as one poll saw it. A row proves only that an
// agent reported once: a dead agent stays listed until its time-out.
type WorkerState struct {
	ID WorkerID
	// Task is what the agent is running, empty when it reports none.
	Task     TaskID
	TaskName string
	// Registered and LastActive are by the server's clock; LastActive is the
	// newest sign of life (report or registration).
	Registered time.Time
	LastActive time.Time
	// Queues are those that it pulls from, sorted; a queue that does not exist any
	// more is left out. Rows share the list: it is not to be changed.
	Queues []QueueName
	// Forsaken says that it pulls from a queue that does not exist any more, beside
	// those or alone.
	Forsaken bool
}

// ClearMLSnapshot is what one tick's calls to the ClearML server answered, whole.
// There is no partial snapshot: a call that fails is an error, never an empty
// list.
type ClearMLSnapshot struct {
	// At is when the first request was sent, by our clock: the answer is at
	// least as new as this.
	At time.Time
	// ServerNow is the server's clock when it answered; compare rows with this
	// and not with our own clock.
	ServerNow time.Time
	// Queues holds every watched queue that exists, in no particular order.
	Queues []QueueState
	// Missing are the watched queues that the server does not have.
	Missing []QueueName
	// Workers holds every worker whose id starts with the prefix and a colon.
	Workers []WorkerState
}

// ClearMLQuery says what one poll should look at.
type ClearMLQuery struct {
	Queues []QueueName
	// WorkersPrefix is the first part of the worker ids of this autoscaler.
	WorkersPrefix string
}

// WorkerActivity is what the tasks API knows of one worker since some time.
type WorkerActivity struct {
	Worker WorkerID
	// Running is a task in progress whose last worker is this one, else empty.
	Running TaskID
	// Beat is the last sign of life of that task, by the server's clock.
	Beat time.Time
	// LastEnd is the end of the newest task of this worker that ended since the
	// time asked for, by the server's clock; zero when there was none.
	LastEnd time.Time
}
