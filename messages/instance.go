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
}

// DrainInstance is sent by the resource type: end this instance once it is
// certain that it has no work.
type DrainInstance struct {
	Reasons []Reason
	// Force terminates without asking; only an operator's on_shutdown says so.
	Force bool
}

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
func (DrainInstance) instanceMessage()      {}
func (WorkerChecked) instanceMessage()      {}
func (TerminationSettled) instanceMessage() {}
