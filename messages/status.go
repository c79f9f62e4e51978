package messages

import "time"

// Status is what one autoscaler knows of itself at one moment, for people and
// their tools. Its JSON is what the control service and the dashboard hand out.
type Status struct {
	Autoscaler AutoscalerName `json:"autoscaler"`
	// At is when it was put together, by the autoscaler's clock.
	At      time.Time `json:"at"`
	Version string    `json:"version"`
	// Holder is the process that acts, Epoch its number among the owners, and
	// StartedAt when it began to.
	Holder    string    `json:"holder"`
	Epoch     Epoch     `json:"epoch"`
	StartedAt time.Time `json:"started_at"`
	// Stopping says that it is about to end.
	Stopping bool   `json:"stopping,omitempty"`
	Pause    *Pause `json:"pause,omitempty"`
	// Rival is another ebb that acts for the same autoscaler; nil while none shows.
	Rival *Rival `json:"rival,omitempty"`

	ClearML SourceStatus `json:"clearml"`
	EC2     SourceStatus `json:"ec2"`
	// Configuration is what is so of the configuration file and not in effect; nil when
	// all of it is.
	Configuration *ConfigurationStatus `json:"configuration,omitempty"`
	// EventsPending are not on the bus yet; EventsLost never will be.
	EventsPending int `json:"events_pending"`
	EventsLost    int `json:"events_lost"`

	Queues    []QueueStatus    `json:"queues"`
	Resources []ResourceStatus `json:"resources"`
	Instances []InstanceStatus `json:"instances"`
	// Silent are the queues and resource types that did not answer in time: what
	// is said of them is not there, which does not mean that there is nothing.
	Silent []string `json:"silent,omitempty"`
}

// ConfigurationStatus is what keeps a configuration file from being what runs.
type ConfigurationStatus struct {
	// Unsound are the mistakes for which it was not taken over, a line each, and
	// UnsoundSince is when they were found first.
	Unsound      []string  `json:"unsound,omitempty"`
	UnsoundSince time.Time `json:"unsound_since,omitzero"`
	// Restart are the differences that take effect at the next start, a line each.
	Restart []string `json:"restart,omitempty"`
}

// Pause says that nothing is launched because an operator wants it so.
type Pause struct {
	At time.Time `json:"at"`
	// By is who asked, as far as that is known, Why what they said.
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
	// Until is when it ends by itself; zero is never.
	Until time.Time `json:"until,omitzero"`
}

// Rival is another ebb that acts for the same autoscaler without a lease on our event
// server. It is known by the sign of life that it writes on queues of the ClearML server.
type Rival struct {
	// Epoch is the number that it has as an owner, on its own event server.
	Epoch Epoch `json:"epoch"`
	// Queue is one on which it gives its sign of life.
	Queue QueueName `json:"queue"`
	// Since is when it was found out.
	Since time.Time `json:"since"`
	// Holds says that this process launches nothing for it: its own epoch is the higher
	// one, so it is the younger one as a rule.
	Holds bool `json:"holds"`
}

// SourceStatus is how one of the outside worlds answers.
type SourceStatus struct {
	// LastGood is when the last good answer was asked for; zero before the first.
	LastGood time.Time `json:"last_good,omitzero"`
	// DownSince is since when it fails; zero while it answers.
	DownSince time.Time    `json:"down_since,omitzero"`
	Class     FailureClass `json:"class,omitempty"`
	Message   string       `json:"message,omitempty"`
}

// QueueStatus is one watched queue.
type QueueStatus struct {
	Queue QueueName `json:"queue"`
	// AsOf is when the queue said this, a little after [Status.At], and what
	// WaitSeconds counts up to.
	AsOf time.Time `json:"as_of,omitzero"`
	// Known says that a poll has shown it.
	Known   bool `json:"known"`
	Waiting int  `json:"waiting"`
	// WaitSeconds is how long the first task in line has waited.
	WaitSeconds float64 `json:"wait_seconds"`
	// Resources serve it, the first one asked first.
	Resources []ResourceName `json:"resources"`
	// Verdict is the answer to why its tasks wait, as of the last evaluation.
	Verdict QueuePlanned `json:"verdict"`
}

// ResourceStatus is one resource type.
type ResourceStatus struct {
	Resource ResourceName `json:"resource"`
	// AsOf is when the resource type said this, and what its instances are, a little
	// after [Status.At]: what it has recorded before is in these numbers.
	AsOf time.Time `json:"as_of,omitzero"`
	// Known is false while nobody knows its instances; it launches nothing then.
	Known bool `json:"known"`
	// Retired says that it is not configured and only lets its instances go.
	Retired bool `json:"retired,omitempty"`
	Max     int  `json:"max"`
	// Alive counts against Max: instances and launches in flight.
	Alive int `json:"alive"`
	// Launching are launches in flight.
	Launching     int        `json:"launching"`
	Offerings     []Offering `json:"offerings"`
	Blocks        []Blocked  `json:"blocks,omitempty"`
	Held          []Reason   `json:"held,omitempty"`
	IdleSeconds   float64    `json:"max_idle_seconds"`
	SpinUpSeconds float64    `json:"max_spin_up_seconds"`
	// BootSeconds is how long a boot may take, by what was seen.
	BootSeconds float64 `json:"boot_within_seconds"`
}

// Blocked is an offering that is not asked for now.
type Blocked struct {
	Offering Offering     `json:"offering"`
	Class    FailureClass `json:"class"`
	Until    time.Time    `json:"until"`
	// Message is what EC2 last said to refuse for this class, as far as this life has
	// asked; at most 300 characters.
	Message string `json:"message,omitempty"`
}

// Condition is where an instance is, in one word: its [Phase], or what is done
// about it.
type Condition string

// The conditions, in the order of a life.
const (
	ConditionBooting     Condition = "booting"
	ConditionIdle        Condition = "idle"
	ConditionBusy        Condition = "busy"
	ConditionVanished    Condition = "vanished"
	ConditionDraining    Condition = "draining"
	ConditionTerminating Condition = "terminating"
)

// Conditions are all conditions, in the order of a life.
func Conditions() []Condition {
	return []Condition{
		ConditionBooting, ConditionIdle, ConditionBusy, ConditionVanished, ConditionDraining, ConditionTerminating,
	}
}

// InstanceStatus is one instance.
type InstanceStatus struct {
	Instance   InstanceID   `json:"instance"`
	Resource   ResourceName `json:"resource"`
	Offering   Offering     `json:"offering"`
	Condition  Condition    `json:"condition"`
	Since      time.Time    `json:"since"`
	LaunchedAt time.Time    `json:"launched_at"`
	Worker     WorkerID     `json:"worker,omitempty"`
	Task       TaskID       `json:"task,omitempty"`
	TaskName   string       `json:"task_name,omitempty"`
	// Reasons are why it drains or terminates.
	Reasons []Reason   `json:"reasons,omitempty"`
	Notice  NoticeKind `json:"notice,omitempty"`
	// HourlyUSD is the estimated price of an hour; zero when it is not known.
	HourlyUSD float64 `json:"hourly_usd,omitempty"`
}
