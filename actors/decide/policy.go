package decide

import (
	"time"

	"github.com/ebbscale/ebb/messages"
)

// Policy is what an operator may set, as far as deciding needs it. Names are
// unique; of a name that is there twice the first entry counts.
type Policy struct {
	Resources []ResourcePolicy
	Queues    []QueuePolicy
	// Hold is why nothing may be launched; with an empty code launching is allowed.
	// Instances are drained and taken back all the same.
	Hold messages.Reason
	// SnapshotMaxAge is the age at which an answer of the ClearML server is too
	// old to act on.
	SnapshotMaxAge time.Duration
}

// ResourcePolicy is the part of one resource type.
type ResourcePolicy struct {
	Name messages.ResourceName
	// Max is max_instances, in instances; zero for a type that is being retired.
	Max int
}

// QueuePolicy is one watched queue with its resource types in priority order.
type QueuePolicy struct {
	Name      messages.QueueName
	Resources []messages.ResourceName
}

// View is what is known at one moment.
type View struct {
	// SnapshotAt is when the last good poll began; zero when there was none.
	SnapshotAt time.Time
	// Demand has the waiting tasks of each queue; one without entry has none.
	Demand map[messages.QueueName]int
	// Capacity has each resource type's statement; one without is not known.
	Capacity map[messages.ResourceName]messages.Capacity
}

// Plan is what to do. The order of execution does not matter.
type Plan struct {
	Launches []Launch
	Recalls  []Recall
	Drains   []Drain
	// Verdicts has one entry for each queue, in the order of the policy.
	Verdicts []messages.QueuePlanned
}

// Launch says how many instances to launch of a resource type.
type Launch struct {
	Resource messages.ResourceName
	Count    int
	Reasons  []messages.Reason
}

// Recall says which drains of a resource type to take back: waiting tasks need
// the instances. One that cannot be taken back any more goes, and the next
// evaluation launches in its place.
type Recall struct {
	Resource  messages.ResourceName
	Instances []messages.InstanceID
	Reasons   []messages.Reason
}

// Drain says which instances of a resource type to drain. A
// busy one among them finishes its task. There may be two of one resource type,
// with different reasons.
type Drain struct {
	Resource  messages.ResourceName
	Instances []messages.InstanceID
	Reasons   []messages.Reason
}
