package messages

import "time"

// InstanceMessage is the inbox of an instance actor.
//
//sumtype:decl
type InstanceMessage interface{ instanceMessage() }

// Phase is where an instance is in its life, as far as its worker shows.
type Phase string

// The phases. Draining and terminating are what an instance actor does, not
// what is seen, and so are not among them.
const (
	// PhaseBooting: no worker has been seen yet.
	PhaseBooting Phase = "booting"
	// PhaseIdle: the worker is alive and reports no task.
	PhaseIdle Phase = "idle"
	// PhaseBusy: the worker is alive and reports a task.
	PhaseBusy Phase = "busy"
	// PhaseVanished: the worker was seen and has given no sign of life lately.
	PhaseVanished Phase = "vanished"
)

// InstanceSighted is sent by the resource type when what is known of an
// instance has changed, and as the answer to [InstanceStarted].
type InstanceSighted struct {
	// At is our clock at the poll or listing that showed it.
	At       time.Time
	Instance Instance
	Phase    Phase
	// Polled says that a poll has looked for its worker since this process knows
	// the instance; until then booting means no more than unknown.
	Polled   bool
	Worker   WorkerID
	Task     TaskID
	TaskName string
	// Registered is when the worker registered, by the server's clock; zero
	// while booting.
	Registered time.Time
	// IdleSince is since when it is idle, as far as known; zero unless idle.
	IdleSince time.Time
	// Found is our clock at the first poll of this process that showed its worker;
	// what that did before, nobody here has seen. Zero before.
	Found time.Time
	// BootWithin is how long its boot may take, by what was seen of others.
	BootWithin time.Duration
	// HomeID is ClearML's id of the queue that its supervisor listens on; empty
	// without a supervisor.
	HomeID string
	// Channel is what is written there about it; nil when nothing is. It is never
	// changed once it is sent.
	Channel *Channel
}

// Said is what is written about the instance, empty when nothing is.
func (s InstanceSighted) Said() Channel {
	if s.Channel == nil {
		return Channel{}
	}
	return *s.Channel
}

// DrainInstance is sent by the resource type: end this instance once it is
// certain that it has no work.
type DrainInstance struct {
	Reasons []Reason
	// Finish lets a running task end and then drains; without it a running task
	// calls the drain off.
	Finish bool
	// Force terminates without asking; only an operator's on_shutdown says so.
	Force bool
}

// RecallInstance is sent by the resource type: take the drain back, tasks wait.
type RecallInstance struct{ Reasons []Reason }

// SuspectJudged answers [SuspectInstance]; handed on by the resource type.
type SuspectJudged struct {
	Instance InstanceID
	// Allowed says that it may be ended; otherwise it asks again later.
	Allowed bool
}

// BarrierRaised answers [AskBarrier] once no agent can have pulled from its
// queues for long enough; handed on by the resource type.
type BarrierRaised struct{ Instance InstanceID }

// BarrierRefused answers [AskBarrier] when its queues are not empty, or are not
// any more.
type BarrierRefused struct{ Instance InstanceID }

// WorkerChecked answers [CheckWorker], by the observer.
type WorkerChecked struct {
	Activity WorkerActivity
	// ServerNow is the server's clock, by our reckoning.
	ServerNow time.Time
	// Failure is set when nobody knows; then Activity is empty.
	Failure *Failure
}

// TerminationSettled answers [TerminateInstance], by the provisioner.
type TerminationSettled struct {
	Instance InstanceID
	// Unknown says that EC2 does not know the instance: it is gone, or so young
	// that EC2 does not show it yet.
	Unknown bool
	// Failure is set when EC2 did not terminate it.
	Failure *Failure
}

func (InstanceSighted) instanceMessage()    {}
func (RecallInstance) instanceMessage()     {}
func (SuspectJudged) instanceMessage()      {}
func (BarrierRaised) instanceMessage()      {}
func (BarrierRefused) instanceMessage()     {}
func (DrainInstance) instanceMessage()      {}
func (WorkerChecked) instanceMessage()      {}
func (TerminationSettled) instanceMessage() {}
