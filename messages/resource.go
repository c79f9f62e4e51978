package messages

import "time"

// ResourceMessage is the inbox of a resource type actor.
//
//sumtype:decl
type ResourceMessage interface{ resourceMessage() }

// WorkersPolled is sent at each good poll, by the autoscaler, with the rows of
// this resource type; answered with [CapacityStated].
type WorkersPolled struct {
	Tick      Tick
	At        time.Time
	ServerNow time.Time
	Workers   []WorkerState
	Board     Board
}

// StateCapacity is sent by the autoscaler when it evaluates again between two
// polls; answered with [CapacityStated].
type StateCapacity struct{ Tick Tick }

// FleetListed is sent at each complete listing, by the autoscaler, with the
// instances of this resource type. That one is missing is evidence.
type FleetListed struct {
	At        time.Time
	Instances []Instance
}

// LaunchInstances is sent by the autoscaler when the plan says so. The
// resource type grants what its budget allows.
type LaunchInstances struct {
	Tick    Tick
	Count   int
	Reasons []Reason
}

// DrainInstances is sent by the autoscaler when the plan says so.
type DrainInstances struct {
	Tick      Tick
	Instances []InstanceID
	Reasons   []Reason
	// Finish lets running tasks end.
	Finish bool
}

// RecallInstances is sent by the autoscaler when the plan says so: waiting tasks
// need instances that are being drained.
type RecallInstances struct {
	Tick      Tick
	Instances []InstanceID
	Reasons   []Reason
}

// ShutDownResource is sent when the autoscaler stops; answered with
// [ResourceSettled] when done.
type ShutDownResource struct{ OnShutdown OnShutdown }

// LaunchIntended is sent by the provisioner when the intent is on disk, before
// EC2 is called.
type LaunchIntended struct {
	Request RequestID
	Launch  LaunchID
}

// LaunchSettled is sent by the provisioner when a launch has ended for good.
// It may come more than once, and for requests of an earlier life.
type LaunchSettled struct {
	Request  RequestID
	Launch   LaunchID
	Offering Offering
	// Count is how many were asked for.
	Count     int
	Instances []Instance
	// Failure is set when there are none.
	Failure *Failure
}

// LaunchesReported answers [ReportLaunches], by the provisioner.
type LaunchesReported struct {
	// Pending are launches whose end is not known; one without a launch id has not
	// been written yet.
	Pending []LaunchRecord
	// Recent are launches that ended lately: their instances may not be in
	// listings yet.
	Recent []LaunchRecord
}

// InstanceStarted is sent by an instance actor whenever it (re)starts;
// answered with [InstanceSighted].
type InstanceStarted struct{ Instance InstanceID }

// InstanceExpired is sent by an instance actor when it has been idle for its
// max_idle_time; the plan decides whether it goes.
type InstanceExpired struct {
	Instance InstanceID
	Since    time.Time
}

// InstanceOutlived is sent by an instance actor, again and again, once its
// instance is older than its max_lifetime.
type InstanceOutlived struct{ Instance InstanceID }

// InstanceForetold is sent by an instance actor that EC2 has announced to take
// back: a replacement for its task is wanted at once.
type InstanceForetold struct{ Instance InstanceID }

// InstanceCornered is sent by an instance actor whose supervisor does not
// answer: only closing its queues can make certain that it has no work.
type InstanceCornered struct{ Instance InstanceID }

// InstanceRetained is sent by an instance actor when it calls a drain off:
// its worker took work, or nobody could say that it is idle.
type InstanceRetained struct {
	Instance InstanceID
	// IdleSince is what is known now; zero when it is busy.
	IdleSince time.Time
}

// InstanceDoomed is sent by an instance actor that wants to go by itself: it
// has no live worker and none is expected. It is not capacity any more. It goes
// once [SuspectJudged] says so, and asks again until then.
type InstanceDoomed struct {
	Instance InstanceID
	Reasons  []Reason
}

// InstanceCondemned is sent by an instance actor when EC2 accepted to
// terminate it: listings will show its end soon.
type InstanceCondemned struct {
	Instance InstanceID
	Reasons  []Reason
	Method   DrainMethod
}

func (WorkersPolled) resourceMessage()      {}
func (StateCapacity) resourceMessage()      {}
func (FleetListed) resourceMessage()        {}
func (LaunchInstances) resourceMessage()    {}
func (DrainInstances) resourceMessage()     {}
func (RecallInstances) resourceMessage()    {}
func (InstanceOutlived) resourceMessage()   {}
func (InstanceForetold) resourceMessage()   {}
func (InstanceCornered) resourceMessage()   {}
func (SuspectJudged) resourceMessage()      {}
func (BarrierRaised) resourceMessage()      {}
func (BarrierRefused) resourceMessage()     {}
func (ShutDownResource) resourceMessage()   {}
func (LaunchIntended) resourceMessage()     {}
func (LaunchSettled) resourceMessage()      {}
func (LaunchesReported) resourceMessage()   {}
func (InstanceStarted) resourceMessage()    {}
func (InstanceExpired) resourceMessage()    {}
func (InstanceRetained) resourceMessage()   {}
func (InstanceDoomed) resourceMessage()     {}
func (InstanceCondemned) resourceMessage()  {}
func (ProvisionerStarted) resourceMessage() {}
