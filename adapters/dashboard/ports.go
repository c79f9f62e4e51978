package dashboard

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// Engine tells about the autoscalers of the process. Its methods may be called by
// several goroutines, and return soon: an error when the answer takes too long.
type Engine interface {
	// Autoscalers are those that are configured, in the order of the configuration.
	Autoscalers(ctx context.Context) ([]Autoscaler, error)
	// Status is what an autoscaler knows of itself. The error carries a
	// [messages.Failure] when nobody acts for it here.
	Status(ctx context.Context, name messages.AutoscalerName) (messages.Status, error)
	// Explain says why a queue waits, or does not.
	Explain(ctx context.Context, name messages.AutoscalerName, queue messages.QueueName) (Explanation, error)
}

// Autoscaler is one that is configured. It holds no secret.
type Autoscaler struct {
	Name messages.AutoscalerName
	// Region is EC2's, such as us-east-1.
	Region string
	// WebServer is the address of ClearML's web pages; empty when it is not known.
	WebServer string
}

// Explanation answers why tasks wait.
type Explanation struct {
	// Summary is one sentence with the numbers that matter.
	Summary string `json:"summary"`
	// Lines are the parts of the answer, and what to do.
	Lines []string `json:"lines,omitempty"`
}

// Operator carries out what an operator asks. An error carries a
// [messages.Failure] whose message may be shown.
type Operator interface {
	// Order hands an order to an autoscaler; by is who asks.
	Order(ctx context.Context, name messages.AutoscalerName, by string, order messages.Order) (messages.Answered, error)
	// Reload reads the configuration again, and says what that changed.
	Reload(ctx context.Context) (Change, error)
	// Export is the configuration of one autoscaler as a file of its own, in
	// "yaml" or "json". Without secrets each of them is left out or a reference.
	Export(ctx context.Context, name messages.AutoscalerName, format string, secrets bool) ([]byte, error)
	// Clone is one autoscaler as answers, and as the only one: references stay what
	// they are, and a secret that is written out is not in it.
	Clone(ctx context.Context, name messages.AutoscalerName) (Imported, error)
	// Plan says what Apply would do, and does nothing.
	Plan(ctx context.Context, yaml []byte) (Change, error)
	// Apply checks a configuration, puts it into the file of this process, keeps the
	// old one beside it, and reloads. Autoscalers and settings that it does not name
	// stay. Nothing has changed when it returns an error.
	Apply(ctx context.Context, yaml []byte) (Change, error)
}

// Change is what becomes of a new configuration, a line for each difference.
type Change struct {
	// Changes take effect at once, Restart at the next start of the process.
	Changes []string `json:"changes"`
	Restart []string `json:"restart"`
	// File is the file that is replaced, and Before where the one before it is kept;
	// empty when none is.
	File   string `json:"file,omitempty"`
	Before string `json:"before,omitempty"`
}

// Trouble is something that is wrong with the process, or that somebody should know.
type Trouble struct {
	// About is what was looked at, and Autoscaler whose it is; empty for the process'.
	About      string                  `json:"about"`
	Autoscaler messages.AutoscalerName `json:"autoscaler,omitempty"`
	// Wrong says that the process is not ready because of it; else it is a notice.
	Wrong bool `json:"wrong"`
	// Found is what was found, Cure what to do about it, Lines are details.
	Found string   `json:"found"`
	Cure  string   `json:"cure,omitempty"`
	Lines []string `json:"lines,omitempty"`
}

// Events are what the autoscalers of all processes record.
type Events interface {
	// Events calls handle for each event that was stored since a time, in order,
	// and goes on with new ones until ctx ends or the bus is lost. Between two of
	// them it calls caughtUp once: those that were stored already have been handled.
	Events(ctx context.Context, since time.Time, handle func(messages.Recorded), caughtUp func()) error
}

// Wizard makes configuration files out of answers. Its values are JSON for the
// page; docs/dashboard.md says how they look.
type Wizard interface {
	// Steps are the questions.
	Steps() (json.RawMessage, error)
	// Check is what is wrong with answers: an object of answers by path.
	Check(answers json.RawMessage) ([]Problem, error)
	// Import reads a file that exists; name is what it is called, for its format.
	Import(name string, data []byte) (Imported, error)
	// Write is the file that answers describe. Secrets that were answered are in it
	// only if inline says so.
	Write(answers json.RawMessage, inline bool) (Written, error)
}

// Problem is what is wrong with an answer, or with a file.
type Problem struct {
	Path    string `json:"path"`
	Message string `json:"message"`
	Fix     string `json:"fix"`
}

// Imported is a file as answers.
type Imported struct {
	Answers json.RawMessage `json:"answers"`
	// Notes say what could not be taken over, and what was changed.
	Notes []string `json:"notes,omitempty"`
	// Unset are the paths of secrets that the file has and the answers do not: they
	// have no default, somebody has to write them.
	Unset []string `json:"unset,omitempty"`
}

// Written is a configuration file.
type Written struct {
	YAML string `json:"yaml"`
	// Needs are environment variables and files that it refers to, in words.
	Needs []string `json:"needs,omitempty"`
	// Inline are the paths of secrets that are in it.
	Inline []string `json:"inline,omitempty"`
}

// Clock tells the time and calls later.
type Clock interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}
