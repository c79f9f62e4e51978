package control

import (
	"time"

	"github.com/ebbscale/ebb/messages"
)

// The verbs: the ends of the subjects ebb.control.v1.<autoscaler>.<verb>.
const (
	VerbStatus       = "status"
	VerbExplain      = "explain"
	VerbPause        = "pause"
	VerbResume       = "resume"
	VerbDrain        = "drain"
	VerbShutdownIdle = "shutdown_idle"
	VerbReload       = "reload"
)

// byLimit, whyLimit and nameLimit are the most characters of who asks, of why, and
// of the name of a queue, a resource type or an instance.
const (
	byLimit   = 100
	whyLimit  = 500
	nameLimit = 300
)

// StatusRequest asks for a [Status].
type StatusRequest struct {
	// After leaves out the instances up to this one, by id, and queues and resource
	// types; the answer says whether there are more than it holds.
	After messages.InstanceID `json:"after,omitempty"`
}

// Status answers [StatusRequest].
type Status struct {
	messages.Status
	// More says that there are instances behind the last one.
	More bool `json:"more,omitempty"`
}

// ExplainRequest asks why the tasks of a queue wait; answered with an [Explanation].
type ExplainRequest struct {
	Queue messages.QueueName `json:"queue"`
}

// PauseRequest ends launching until it is resumed, or for a while. Answered with
// [Done].
type PauseRequest struct {
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
	// Seconds is for how long; zero is until it is resumed.
	Seconds float64 `json:"seconds,omitempty"`
}

// ResumeRequest ends a pause. Answered with [Done].
type ResumeRequest struct {
	By string `json:"by,omitempty"`
}

// DrainRequest lets one instance go: its task ends first, unless Force says to
// terminate it with whatever it runs. Answered with [Done].
type DrainRequest struct {
	By       string              `json:"by,omitempty"`
	Instance messages.InstanceID `json:"instance"`
	Force    bool                `json:"force,omitempty"`
}

// ShutdownIdleRequest lets all idle instances go, or those of one resource type.
// Answered with [Done].
type ShutdownIdleRequest struct {
	By       string                `json:"by,omitempty"`
	Resource messages.ResourceName `json:"resource,omitempty"`
}

// ReloadRequest has the configuration file read again. Answered with [Reloaded].
type ReloadRequest struct {
	By string `json:"by,omitempty"`
}

// Done says that an order is being carried out.
type Done struct {
	// Instances are those that are let go.
	Instances []messages.InstanceID `json:"instances,omitempty"`
}

// Reloaded is what a new configuration changed, a line each.
type Reloaded struct {
	Changes []string `json:"changes"`
	// Restart are the changes that take effect at the next start only.
	Restart []string `json:"restart,omitempty"`
}

// until is when a pause ends that begins now.
func (r PauseRequest) until(now time.Time) time.Time {
	if r.Seconds == 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(r.Seconds * float64(time.Second)))
}
