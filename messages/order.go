package messages

import "time"

// AskID numbers what operators ask of the autoscalers of one process.
type AskID uint64

// Ordered is sent by the node when an operator asks something; answered with
// [Answered].
type Ordered struct {
	Ask AskID
	// By is who asks, as far as that is known, for events.
	By    string
	Order Order
}

// Order is what an operator may ask of an autoscaler.
//
//sumtype:decl
type Order interface{ order() }

// ReportStatus asks what it knows.
type ReportStatus struct{}

// PauseLaunches ends launching until it is resumed. Instances are drained as
// usual, so that a pause costs nothing, and lost tasks are put back.
type PauseLaunches struct {
	Why string
	// Until is when it ends by itself; zero is never.
	Until time.Time
}

// ResumeLaunches ends a pause.
type ResumeLaunches struct{}

// DrainInstanceNow lets one instance go: a running task ends first.
type DrainInstanceNow struct {
	Instance InstanceID
	// Force terminates it at once, with whatever it runs.
	Force bool
}

// DrainIdleNow lets all idle instances go, whatever their idle time; of one
// resource type when it is named.
type DrainIdleNow struct{ Resource ResourceName }

func (ReportStatus) order()     {}
func (PauseLaunches) order()    {}
func (ResumeLaunches) order()   {}
func (DrainInstanceNow) order() {}
func (DrainIdleNow) order()     {}

// Answered answers [Ordered]. With a Failure nothing was done.
type Answered struct {
	Ask     AskID
	Failure *Failure
	// Status answers [ReportStatus].
	Status *Status
	// Instances are those that are let go.
	Instances []InstanceID
}

func (Ordered) autoscalerMessage() {}

// ReportQueue is sent to a queue for a status; answered with [QueueReported].
type ReportQueue struct{ Ask AskID }

// QueueReported answers [ReportQueue].
type QueueReported struct {
	Ask    AskID
	Status QueueStatus
}

func (ReportQueue) queueMessage()        {}
func (QueueReported) autoscalerMessage() {}

// ReportResource is sent to a resource type for a status; answered with
// [ResourceReported].
type ReportResource struct{ Ask AskID }

// ResourceReported answers [ReportResource].
type ResourceReported struct {
	Ask       AskID
	Status    ResourceStatus
	Instances []InstanceStatus
}

// ReleaseInstances is sent to a resource type when an operator wants instances
// gone; answered with [InstancesReleased] at once, and with [ReleaseKept] later when
// there are any.
type ReleaseInstances struct {
	Ask AskID
	// Instance is the one, if it is of this resource type; empty is all idle ones.
	Instance InstanceID
	Force    bool
	Reasons  []Reason
}

// InstancesReleased answers [ReleaseInstances].
type InstancesReleased struct {
	Ask       AskID
	Resource  ResourceName
	Instances []InstanceID
	// Failure says why the one that was asked for is not let go; nil also when it
	// is not of this resource type.
	Failure *Failure
}

// ReleaseKept says that the resource type holds to [ReleaseInstances] over a restart
// from now on.
type ReleaseKept struct {
	Ask      AskID
	Resource ResourceName
}

func (ReportResource) resourceMessage()      {}
func (ReleaseInstances) resourceMessage()    {}
func (ResourceReported) autoscalerMessage()  {}
func (InstancesReleased) autoscalerMessage() {}
func (ReleaseKept) autoscalerMessage()       {}
