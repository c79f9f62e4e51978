package messages

import "time"

// AutoscalerMessage is the inbox of the autoscaler actor.
//
//sumtype:decl
type AutoscalerMessage interface{ autoscalerMessage() }

// ClearMLObserved is sent at each good poll, by the observer, handled by the
// autoscaler, which begins an evaluation with it.
type ClearMLObserved struct{ Snapshot ClearMLSnapshot }

// ClearMLFailed is sent at each poll that failed, by the observer.
type ClearMLFailed struct {
	At      time.Time
	Failure Failure
}

// QueuesCreated is sent by the observer after it made missing queues.
type QueuesCreated struct{ Queues []QueueName }

// FleetObserved is sent at each complete listing, by the inventory, handled by
// the autoscaler, which gives each resource type its part.
type FleetObserved struct {
	// At is when the listing began: an instance launched before and missing
	// here may only be late, one launched after cannot be in it.
	At        time.Time
	Instances []Instance
}

// FleetFailed is sent at each listing that failed, by the inventory.
type FleetFailed struct {
	At      time.Time
	Failure Failure
}

// DemandStated answers [QueuePolled] and [StateDemand], by a queue.
type DemandStated struct {
	Tick    Tick
	Queue   QueueName
	Waiting int
	// Oldest is when the first task in line was enqueued; zero when none waits.
	Oldest time.Time
}

// CapacityStated answers [WorkersPolled] and [StateCapacity], by a resource
// type.
type CapacityStated struct {
	Tick     Tick
	Resource ResourceName
	Capacity Capacity
}

// CapacityChanged is sent by a resource type when something happened that may
// change the plan before the next poll: a launch was refused, or an instance
// has been idle for too long.
type CapacityChanged struct{ Resource ResourceName }

// ProvisionerStarted is sent by the provisioner whenever it (re)starts, and
// handed on to every resource type, which asks again for what it had asked.
type ProvisionerStarted struct{}

// SuspectInstance is sent by a resource type for an instance that looks dead;
// answered with [SuspectJudged].
type SuspectInstance struct {
	Resource ResourceName
	Instance InstanceID
}

// AskBarrier is sent by a resource type for an instance that can only be ended
// while its queues are closed; answered with [BarrierRaised] or
// [BarrierRefused].
type AskBarrier struct {
	Resource ResourceName
	Instance InstanceID
	// Queues are those that its worker was last seen to pull from, Unserved those of
	// its resource type that it does not. Forsaken is [WorkerState.Forsaken].
	Queues, Unserved []QueueName
	Forsaken         bool
}

// BarrierDone is sent by a resource type when such an instance has ended, or
// stays after all.
type BarrierDone struct{ Instance InstanceID }

// TaskPutBack is sent by the rescuer when a task is in its queue again: a poll
// is wanted soon.
type TaskPutBack struct{}

// StopAutoscaler is sent once by the node, which waits for
// [AutoscalerEnded].
type StopAutoscaler struct {
	// OnShutdown says what becomes of the instances.
	OnShutdown OnShutdown
	// Patience is how long stopping may take before the rest is left as it is.
	Patience time.Duration
}

// AutoscalerEnded answers [StopAutoscaler]: everything is done, events
// included, and the actor may be stopped.
type AutoscalerEnded struct {
	Autoscaler AutoscalerName
	// Acted says that this process acted for it to the end; one that only stood by
	// knows nothing of its instances.
	Acted bool
	// Left is how many instances go on running.
	Left int
}

// ResourceSettled is sent by a resource type that was told to shut down, when
// it has no launch in flight and nothing left to drain.
type ResourceSettled struct {
	Resource ResourceName
	Left     int
}

// OnShutdown says what happens to instances when the autoscaler stops.
type OnShutdown string

// The choices of on_shutdown.
const (
	// ShutdownKeep leaves every instance; a restart finds them again.
	ShutdownKeep OnShutdown = "keep"
	// ShutdownIdle drains those that are idle.
	ShutdownIdle OnShutdown = "idle"
	// ShutdownAll terminates all, running tasks included.
	ShutdownAll OnShutdown = "all"
)

// Capacity is what a resource type has to give at one moment.
type Capacity struct {
	// Known is false while the resource type does not know its instances;
	// then nothing else is to be read.
	Known bool
	// Alive counts the instances that exist or may exist: launches in flight
	// included, those that EC2 shows as ended excluded.
	Alive int
	// Idle are the instances that could take a task now, longest idle first.
	Idle []IdleInstance
	// Coming counts launches in flight, booting instances, and those whose
	// drain has been taken back.
	Coming int
	// Busy are the instances that run a task, the one that was launched last
	// first.
	Busy []InstanceID
	// Recallable are instances that are drained for being idle and may still be
	// taken back.
	Recallable []InstanceID
	// Extra is how many launches are wanted at once in place of instances that
	// EC2 has announced to take back with their tasks.
	Extra int
	// LaunchLimit is the most that may be launched now, besides the budget; zero
	// is no further limit.
	LaunchLimit int
	// BlockedUntil is set while no offering may be asked; Block says why.
	BlockedUntil time.Time
	Block        FailureClass
}

// IdleInstance is an instance whose worker has nothing to do.
type IdleInstance struct {
	Instance InstanceID
	Since    time.Time
	// Expired says that it has been idle for its max_idle_time.
	Expired bool
}

func (ClearMLObserved) autoscalerMessage()    {}
func (ClearMLFailed) autoscalerMessage()      {}
func (QueuesCreated) autoscalerMessage()      {}
func (FleetObserved) autoscalerMessage()      {}
func (FleetFailed) autoscalerMessage()        {}
func (DemandStated) autoscalerMessage()       {}
func (CapacityStated) autoscalerMessage()     {}
func (CapacityChanged) autoscalerMessage()    {}
func (StopAutoscaler) autoscalerMessage()     {}
func (SuspectInstance) autoscalerMessage()    {}
func (AskBarrier) autoscalerMessage()         {}
func (BarrierDone) autoscalerMessage()        {}
func (TaskPutBack) autoscalerMessage()        {}
func (ResourceSettled) autoscalerMessage()    {}
func (ProvisionerStarted) autoscalerMessage() {}
