package actors

import (
	"time"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// DefaultAnswerFresh is the default of [Config.AnswerFresh].
const DefaultAnswerFresh = 5 * time.Second

// Config is what one autoscaler is made of.
type Config struct {
	Name    messages.AutoscalerName
	Version string
	// WorkersPrefix is the first part of the ids of its workers.
	WorkersPrefix string
	// PollingInterval is the time between two looks at the queues.
	PollingInterval time.Duration
	// AnswerFresh is how old an answer about a worker may be to be acted on: it
	// is made of several calls, the first may be old when the last one comes, and
	// the termination that follows may have to wait. Zero is [DefaultAnswerFresh].
	AnswerFresh time.Duration
	Resources   []Resource
	Queues      []decide.QueuePolicy

	ClearML   ClearML
	EC2       EC2
	Ledger    Ledger
	Publisher Publisher
	// Seed is for everything that is drawn: waits with jitter.
	Seed uint64
	// Text puts an event into a sentence for the log.
	Text func(messages.Recorded) string
}

// Resource is one resource type as the actors need it.
type Resource struct {
	Name messages.ResourceName
	Max  int
	// Offerings are what may be asked of EC2, first choice first.
	Offerings []messages.Offering
	// MaxIdle is how long a worker may be idle, MaxSpinUp how long an instance
	// may take until its worker appears.
	MaxIdle   time.Duration
	MaxSpinUp time.Duration
}

// policy is the part of the configuration that deciding needs.
func (c Config) policy(retired []messages.ResourceName) decide.Policy {
	policy := decide.Policy{Queues: c.Queues, SnapshotMaxAge: 2*c.PollingInterval + 15*time.Second}
	for _, resource := range c.Resources {
		policy.Resources = append(policy.Resources, decide.ResourcePolicy{Name: resource.Name, Max: resource.Max})
	}
	for _, name := range retired {
		policy.Resources = append(policy.Resources, decide.ResourcePolicy{Name: name, Max: 0})
	}
	return policy
}
