package messages

import "time"

// Event is a recorded fact: what goes out on the bus and into the log. The
// set is sealed; docs/events.md lists it, with an example of each.
//
//sumtype:decl
type Event interface {
	// Kind is the noun and the verb, such as "instance.launched"; it is the end
	// of the event's subject on the bus.
	Kind() string
	// About is what the event is about: a queue, a resource type, an instance,
	// or empty for the autoscaler itself.
	About() string

	event()
}

// Recorded is an event with what every event has.
type Recorded struct {
	// ID is unique over all events of all autoscalers; publishing the same ID
	// twice stores it once.
	ID         string
	Autoscaler AutoscalerName
	At         time.Time
	Event      Event
}

// ReasonCode is the machine's word for why something was or was not done.
type ReasonCode string

// The reasons. docs/events.md says what each one means to an operator.
const (
	// ReasonWaitingTasks: tasks wait that no capacity covers.
	ReasonWaitingTasks ReasonCode = "waiting_tasks"
	// ReasonCovered: idle, booting or requested instances cover the tasks.
	ReasonCovered ReasonCode = "covered"
	// ReasonAtMax: the resource type is at its max_instances.
	ReasonAtMax ReasonCode = "at_max_instances"
	// ReasonBlocked: no offering of the resource type can be asked now.
	ReasonBlocked ReasonCode = "offerings_blocked"
	// ReasonFleetUnknown: EC2 has not been listed completely yet.
	ReasonFleetUnknown ReasonCode = "fleet_unknown"
	// ReasonStale: the last answer of the ClearML server is too old to act on.
	ReasonStale ReasonCode = "observation_stale"
	// ReasonIdle: idle for longer than max_idle_time.
	ReasonIdle ReasonCode = "idle"
	// ReasonNeeded: waiting tasks need this instance.
	ReasonNeeded ReasonCode = "needed"
	// ReasonTookWork: the worker ran a task after it was seen idle.
	ReasonTookWork ReasonCode = "took_work"
	// ReasonIdleTooShort: it has been idle, but not for max_idle_time: its last task
	// ended later than this process could know before it asked.
	ReasonIdleTooShort ReasonCode = "idle_too_short"
	// ReasonUnconfirmed: nobody could say that the worker is idle.
	ReasonUnconfirmed ReasonCode = "unconfirmed"
	// ReasonNeverRegistered: no worker appeared within max_spin_up_time.
	ReasonNeverRegistered ReasonCode = "never_registered"
	// ReasonWorkerVanished: the worker was there and is not any more.
	ReasonWorkerVanished ReasonCode = "worker_vanished"
	// ReasonShutdown: the autoscaler stops and on_shutdown says so.
	ReasonShutdown ReasonCode = "shutdown"
	// ReasonNoResource: the instance's resource type is not configured.
	ReasonNoResource ReasonCode = "no_such_resource"
	// ReasonEnded: EC2 or the instance itself ended it, not we.
	ReasonEnded ReasonCode = "ended_by_itself"
	// ReasonInterrupted: EC2 took a spot instance back.
	ReasonInterrupted ReasonCode = "spot_interrupted"
	// ReasonMaxLifetime: older than max_lifetime.
	ReasonMaxLifetime ReasonCode = "max_lifetime"
	// ReasonOverMax: there are more than max_instances, which was lowered.
	ReasonOverMax ReasonCode = "over_max_instances"
	// ReasonBootFailures: too many instances in a row got no worker.
	ReasonBootFailures ReasonCode = "boot_failures"
	// ReasonLaunchRefused: EC2 refuses launches for a reason that does not pass
	// by itself.
	ReasonLaunchRefused ReasonCode = "launch_refused"
	// ReasonInstanceGone: the instance that ran the task exists no more.
	ReasonInstanceGone ReasonCode = "instance_gone"
	// ReasonNeverStarted: a worker took the task and never started it.
	ReasonNeverStarted ReasonCode = "never_started"
	// ReasonGuarded: too many instances look unhealthy at once to believe it.
	ReasonGuarded ReasonCode = "guarded"
	// ReasonPolicy: the configuration says so.
	ReasonPolicy ReasonCode = "policy"
	// ReasonContested: another ebb acts for the same autoscaler, and did so before; with
	// a limit it may, and that is clear within so many seconds.
	ReasonContested ReasonCode = "contested"
	// ReasonPaused: an operator has paused launching.
	ReasonPaused ReasonCode = "paused"
	// ReasonOperator: an operator asked for it.
	ReasonOperator ReasonCode = "operator"
)

// DrainMethod is how it was made certain that an instance has no work.
type DrainMethod string

// The methods, the best first.
const (
	// DrainAcknowledged: its supervisor stopped the agent and said so.
	DrainAcknowledged DrainMethod = "acknowledged"
	// DrainVanished: its worker has been gone for good and no task is in
	// progress on it.
	DrainVanished DrainMethod = "vanished"
	// DrainBarrier: its queues were empty and closed to all agents, and after
	// that its worker had no task.
	DrainBarrier DrainMethod = "barrier"
	// DrainNeverRegistered: no worker ever appeared, nor any task on it.
	DrainNeverRegistered DrainMethod = "never_registered"
	// DrainForced: an operator's on_shutdown all.
	DrainForced DrainMethod = "forced"
)

// PauseUnread is the detail of [ReasonPaused] while nobody knows whether launching is
// paused: it was not read yet.
const PauseUnread = "nobody knows yet whether launching is paused"

// Reason is a code with the numbers behind it. Which numbers are set depends
// on the code; durations are in seconds.
type Reason struct {
	Code ReasonCode `json:"code"`
	// Subject is what the reason is about when that is not the event's own
	// subject, such as the resource type that is at its maximum.
	Subject string `json:"subject,omitempty"`
	Want    int64  `json:"want,omitempty"`
	Got     int64  `json:"got,omitempty"`
	Limit   int64  `json:"limit,omitempty"`
	// Detail is for people.
	Detail string `json:"detail,omitempty"`
}

// AutoscalerStarted is recorded when an autoscaler begins to act.
type AutoscalerStarted struct {
	Version string `json:"version"`
	// Holder is the process that acts, Epoch its number among the owners.
	Holder    string         `json:"holder,omitempty"`
	Epoch     Epoch          `json:"epoch,omitempty"`
	Queues    []QueueName    `json:"queues"`
	Resources []ResourceName `json:"resources"`
}

// AutoscalerStopped is recorded last, when an autoscaler has stopped.
type AutoscalerStopped struct {
	OnShutdown string `json:"on_shutdown"`
	// Left is how many instances go on running without it.
	Left int `json:"left"`
}

// ObservationFailed is recorded when polling ClearML or listing EC2 begins to
// fail, and again when the class of failure changes.
type ObservationFailed struct {
	// Source is "clearml" or "ec2".
	Source  string       `json:"source"`
	Class   FailureClass `json:"class"`
	Code    string       `json:"code,omitempty"`
	Message string       `json:"message"`
	// LastGood is the time of the last good answer; zero when there was none.
	LastGood time.Time `json:"last_good,omitzero"`
}

// ObservationRecovered is recorded at the first good answer after failures.
type ObservationRecovered struct {
	Source      string  `json:"source"`
	DownSeconds float64 `json:"down_seconds"`
}

// QueueCreated is recorded when a watched queue was missing and was created.
type QueueCreated struct {
	Queue QueueName `json:"queue"`
}

// QueueObserved is recorded when the number of waiting tasks of a queue
// changes.
type QueueObserved struct {
	Queue   QueueName `json:"queue"`
	Waiting int       `json:"waiting"`
	// OldestWaitSeconds is how long the first task in line has waited.
	OldestWaitSeconds float64 `json:"oldest_wait_seconds"`
}

// QueuePlanned is recorded when the verdict on a queue changes: what covers
// its waiting tasks, what is launched for them, and why the rest is not.
type QueuePlanned struct {
	Queue     QueueName `json:"queue"`
	Waiting   int       `json:"waiting"`
	Covered   int       `json:"covered"`
	Launching int       `json:"launching"`
	Unmet     int       `json:"unmet"`
	Reasons   []Reason  `json:"reasons,omitempty"`
}

// InstanceRequested is recorded when a resource type asks for instances,
// before anything is written or called.
type InstanceRequested struct {
	Resource ResourceName `json:"resource"`
	Request  RequestID    `json:"request"`
	Offering Offering     `json:"offering"`
	Count    int          `json:"count"`
	// Alive is how many instances of the resource type there were, in flight
	// ones included, and Max how many there may be.
	Alive   int      `json:"alive"`
	Max     int      `json:"max"`
	Reasons []Reason `json:"reasons,omitempty"`
}

// InstanceRefused is recorded when a launch ended without the instances asked
// for.
type InstanceRefused struct {
	Resource ResourceName `json:"resource"`
	Request  RequestID    `json:"request"`
	Launch   LaunchID     `json:"launch,omitempty"`
	Offering Offering     `json:"offering"`
	Count    int          `json:"count"`
	Class    FailureClass `json:"class"`
	Code     string       `json:"code,omitempty"`
	Message  string       `json:"message,omitempty"`
	// RetryAt is when the offering is asked again; zero when nothing is blocked.
	RetryAt time.Time `json:"retry_at,omitzero"`
}

// InstanceLaunched is recorded for each instance that EC2 gave.
type InstanceLaunched struct {
	Instance InstanceID   `json:"instance"`
	Resource ResourceName `json:"resource"`
	Request  RequestID    `json:"request,omitempty"`
	Launch   LaunchID     `json:"launch"`
	Offering Offering     `json:"offering"`
	// HourlyUSD is the estimated price of an hour; zero when it is not known.
	HourlyUSD float64 `json:"hourly_usd,omitempty"`
}

// InstanceAdopted is recorded when a listing shows an instance of ours that
// this process did not know: after a restart, or a launch whose answer was
// lost.
type InstanceAdopted struct {
	Instance InstanceID    `json:"instance"`
	Resource ResourceName  `json:"resource"`
	Launch   LaunchID      `json:"launch,omitempty"`
	Offering Offering      `json:"offering"`
	State    InstanceState `json:"state"`
	// HourlyUSD is the estimated price of an hour; zero when it is not known.
	HourlyUSD float64 `json:"hourly_usd,omitempty"`
}

// InstanceRegistered is recorded when an instance's worker is first seen.
type InstanceRegistered struct {
	Instance InstanceID   `json:"instance"`
	Resource ResourceName `json:"resource"`
	Worker   WorkerID     `json:"worker"`
	// BootSeconds runs from EC2's launch time to the worker's registration.
	BootSeconds float64 `json:"boot_seconds"`
}

// InstanceBusy is recorded when an instance's worker starts a task.
type InstanceBusy struct {
	Instance InstanceID   `json:"instance"`
	Resource ResourceName `json:"resource"`
	Task     TaskID       `json:"task"`
	TaskName string       `json:"task_name,omitempty"`
}

// InstanceIdle is recorded when an instance's worker has no task any more.
type InstanceIdle struct {
	Instance InstanceID   `json:"instance"`
	Resource ResourceName `json:"resource"`
	// Since is when it became idle, as far as known.
	Since time.Time `json:"since"`
}

// InstanceDraining is recorded when an instance is picked to go; nothing has
// been done to it yet.
type InstanceDraining struct {
	Instance InstanceID   `json:"instance"`
	Resource ResourceName `json:"resource"`
	Reasons  []Reason     `json:"reasons"`
}

// InstanceKept is recorded when a drain is called off.
type InstanceKept struct {
	Instance InstanceID   `json:"instance"`
	Resource ResourceName `json:"resource"`
	Reasons  []Reason     `json:"reasons"`
}

// InstanceUnready is recorded when an instance has no live worker although it
// should have one. Console is the end of its console output, if it could be
// read.
type InstanceUnready struct {
	Instance InstanceID   `json:"instance"`
	Resource ResourceName `json:"resource"`
	Reasons  []Reason     `json:"reasons"`
	Console  string       `json:"console,omitempty"`
}

// InstanceTerminating is recorded when EC2 accepted to terminate an instance.
type InstanceTerminating struct {
	Instance InstanceID   `json:"instance"`
	Resource ResourceName `json:"resource"`
	// Method is how it was made certain that it has no work.
	Method  DrainMethod `json:"method"`
	Reasons []Reason    `json:"reasons"`
}

// InstanceGone is recorded when EC2 shows that an instance has ended.
type InstanceGone struct {
	Instance InstanceID   `json:"instance"`
	Resource ResourceName `json:"resource"`
	Offering Offering     `json:"offering"`
	// UpSeconds runs from EC2's launch time to when its end was seen.
	UpSeconds float64  `json:"up_seconds"`
	Reasons   []Reason `json:"reasons"`
	// Task is what its worker was running when last seen, if anything.
	Task TaskID `json:"task,omitempty"`
	// HourlyUSD is the estimated price of an hour; zero when it is not known.
	HourlyUSD float64 `json:"hourly_usd,omitempty"`
}

// InstanceStray is recorded when a listing shows an instance with our owner
// tag whose resource type is not configured (any more). It is left to finish
// its work, and drained once idle.
type InstanceStray struct {
	Instance InstanceID    `json:"instance"`
	Resource ResourceName  `json:"resource,omitempty"`
	State    InstanceState `json:"state"`
}

// AutoscalerReconfigured is recorded when a new configuration takes effect
// without a restart. Changes has one line for each change, Restart one for each
// that takes effect at the next start only.
type AutoscalerReconfigured struct {
	Changes []string `json:"changes"`
	Restart []string `json:"restart,omitempty"`
}

// AutoscalerMisconfigured is recorded when a new configuration is not sound; the
// old one stays in effect.
type AutoscalerMisconfigured struct {
	// Problems has a line for each, with the place and the cure.
	Problems []string `json:"problems"`
}

// AutoscalerContested is recorded when another ebb shows to act for the same autoscaler,
// with another event server: no lease keeps the two apart.
type AutoscalerContested Rival

// AutoscalerUncontested is recorded when that one has given no sign of life for long.
type AutoscalerUncontested struct {
	ContestedSeconds float64 `json:"contested_seconds"`
}

// AutoscalerPaused is recorded when an operator ends launching for a while.
type AutoscalerPaused struct {
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
	// Until is when it ends by itself; zero is never.
	Until time.Time `json:"until,omitzero"`
}

// AutoscalerResumed is recorded when launching goes on after a pause.
type AutoscalerResumed struct {
	// By is empty when the pause ended by itself.
	By            string  `json:"by,omitempty"`
	PausedSeconds float64 `json:"paused_seconds"`
}

// InstanceNoticed is recorded when EC2 announces to take an instance back.
type InstanceNoticed struct {
	Instance InstanceID   `json:"instance"`
	Resource ResourceName `json:"resource"`
	Notice   NoticeKind   `json:"notice"`
	// When is when it happens; zero when EC2 did not say.
	When time.Time `json:"when,omitzero"`
	// Task is what its worker is running, if anything.
	Task TaskID `json:"task,omitempty"`
}

// InstanceRecalled is recorded when a drain is taken back because waiting
// tasks need the instance.
type InstanceRecalled struct {
	Instance InstanceID   `json:"instance"`
	Resource ResourceName `json:"resource"`
	Reasons  []Reason     `json:"reasons"`
}

// InstanceUnended is recorded when EC2 refuses to terminate an instance for a
// reason that does not pass by itself; it goes on costing money.
type InstanceUnended struct {
	Instance InstanceID   `json:"instance"`
	Resource ResourceName `json:"resource"`
	Class    FailureClass `json:"class"`
	Code     string       `json:"code,omitempty"`
	Message  string       `json:"message,omitempty"`
}

// ResourceHeld is recorded when a resource type stops launching, or asks for
// one instance at a time only: its boots fail, or EC2 refuses for good.
type ResourceHeld struct {
	Resource     ResourceName `json:"resource"`
	InstanceType string       `json:"instance_type,omitempty"`
	Reasons      []Reason     `json:"reasons"`
	// Until is when one instance is tried again.
	Until time.Time `json:"until,omitzero"`
}

// ResourceReleased is recorded when what held a resource type has passed.
type ResourceReleased struct {
	Resource     ResourceName `json:"resource"`
	InstanceType string       `json:"instance_type,omitempty"`
}

// FleetGuarded is recorded when more instances than can be believed look
// unhealthy at once: only a few of them are terminated in ten minutes.
type FleetGuarded struct {
	// Suspects of Alive instances look unhealthy; Allowed may go in ten minutes.
	Suspects int `json:"suspects"`
	Alive    int `json:"alive"`
	Allowed  int `json:"allowed"`
}

// QueueClosed is recorded when a queue is closed to all agents for a moment,
// to end an instance that has no supervisor.
type QueueClosed struct {
	Queue    QueueName  `json:"queue"`
	Instance InstanceID `json:"instance,omitempty"`
}

// QueueOpened is recorded when a queue that was closed is open again.
type QueueOpened struct {
	Queue QueueName `json:"queue"`
}

// TaskRequeued is recorded when a lost task was put back into its queue.
type TaskRequeued struct {
	Task     TaskID     `json:"task"`
	Name     string     `json:"task_name,omitempty"`
	Queue    QueueName  `json:"queue"`
	Worker   WorkerID   `json:"worker,omitempty"`
	Reasons  []Reason   `json:"reasons"`
	Instance InstanceID `json:"instance,omitempty"`
}

// TaskLost is recorded when a task is lost and is not put back; Reasons say
// why it is lost, and why it stays so.
type TaskLost struct {
	Task     TaskID     `json:"task"`
	Name     string     `json:"task_name,omitempty"`
	Queue    QueueName  `json:"queue,omitempty"`
	Worker   WorkerID   `json:"worker,omitempty"`
	Reasons  []Reason   `json:"reasons"`
	Instance InstanceID `json:"instance,omitempty"`
}

// TaskDuplicated is recorded when two live workers report the same task.
type TaskDuplicated struct {
	Task    TaskID     `json:"task"`
	Name    string     `json:"task_name,omitempty"`
	Workers []WorkerID `json:"workers"`
}
