package messages

import (
	"slices"
	"strings"
)

type (
	// AutoscalerName names one configuration; unique in a process.
	AutoscalerName string
	// QueueName is the name of a ClearML queue, as people see it.
	QueueName string
	// ResourceName names a resource type within its autoscaler.
	ResourceName string
	// InstanceID is EC2's id of an instance, such as i-0123456789abcdef0.
	InstanceID string
	// WorkerID is a clearml-agent's id: prefix:resource:instance_type:instance_id.
	WorkerID string
	// TaskID is ClearML's id of a task.
	TaskID string
	// RequestID names one launch that a resource type asked for. It is unique
	// over restarts and is what makes asking again harmless.
	RequestID string
	// LaunchID names one intent in the launch ledger; the ClientToken is a
	// function of it. It is also the value of the tag ebb:intent.
	LaunchID string
	// Tick numbers the evaluations of an autoscaler, from 1.
	Tick uint64
)

// workerIDParts is how many colon-separated parts a worker id has.
const workerIDParts = 4

// Worker is a WorkerID taken apart.
type Worker struct {
	Prefix       string
	Resource     ResourceName
	InstanceType string
	Instance     InstanceID
}

// ID puts the parts together again.
func (w Worker) ID() WorkerID {
	return WorkerID(strings.Join([]string{w.Prefix, string(w.Resource), w.InstanceType, string(w.Instance)}, ":"))
}

// ParseWorkerID takes a worker id apart. ok is false when it does not have
// exactly four non-empty parts, that is, when no autoscaler started it.
func ParseWorkerID(id WorkerID) (w Worker, ok bool) {
	parts := strings.Split(string(id), ":")
	if len(parts) != workerIDParts {
		return Worker{}, false
	}
	if slices.Contains(parts, "") {
		return Worker{}, false
	}
	return Worker{
		Prefix:       parts[0],
		Resource:     ResourceName(parts[1]),
		InstanceType: parts[2],
		Instance:     InstanceID(parts[3]),
	}, true
}
