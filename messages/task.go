package messages

import "time"

// TaskStatus is ClearML's own status of a task.
type TaskStatus string

// The statuses that matter here, by ClearML's names.
const (
	TaskQueued     TaskStatus = "queued"
	TaskInProgress TaskStatus = "in_progress"
	TaskStopped    TaskStatus = "stopped"
)

// TaskState is one task as the tasks API told it.
type TaskState struct {
	ID     TaskID
	Name   string
	Status TaskStatus
	// StatusReason is what the server or a person gave for the last change.
	StatusReason string
	// Stopping says that somebody asked to stop it and that its worker has not
	// done so yet.
	Stopping bool
	// QueueID is the queue that it was last enqueued in, by ClearML's id; empty
	// when it never was.
	QueueID string
	// LastWorker is who reported it last; it stays when the task is put back.
	LastWorker WorkerID
	// LastUpdate is the newest sign of life of the task, by the server's clock.
	LastUpdate time.Time
}

// Requeue is the wish to put one task back into a queue.
type Requeue struct {
	Task    TaskID
	QueueID string
	// Status and LastWorker are what the task must still show: a task that its
	// user aborted, or that another worker runs meanwhile, is left alone.
	Status     TaskStatus
	LastWorker WorkerID
	// Reason is for people; it becomes the task's status_reason.
	Reason string
}

// RequeueOutcome is what became of a [Requeue].
type RequeueOutcome struct {
	// Done says that the task is in the queue.
	Done bool
	// NoQueue says that there is no such queue any more.
	NoQueue bool
	// Found is the task as it was found right before; with NoQueue, right after.
	Found TaskState
}
