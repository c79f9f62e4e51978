package actors

import (
	"cmp"
	"fmt"
	"reflect"
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
	// Ownership and Lease say which process acts, and how it keeps its right to.
	Ownership Ownership
	Lease     messages.LeaseTiming
	State     State
	// RequeueLost puts tasks back whose worker is lost; WarnDuplicates tells of
	// tasks that two workers run.
	RequeueLost    bool
	WarnDuplicates bool
	// Seed is for everything that is drawn: waits with jitter. It is part of ids
	// too, so that of two processes has to be different.
	Seed uint64
	// Watch is told of each event as it is recorded, whether or not it reaches the
	// bus; nil tells nobody. It must not block.
	Watch func(messages.Recorded)
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
	// MaxLifetime is how long after its launch an instance takes no more work;
	// zero is for ever.
	MaxLifetime time.Duration
	// Fallback says when the on-demand offerings behind the spot ones are asked.
	Fallback decide.Fallback
	// Price estimates what an hour of an offering costs in US dollars, zero when
	// nobody knows; nil knows nothing. It is told, never decided by.
	Price func(messages.Offering) float64
	// Image names what the instances boot from: failures to boot are counted anew
	// when it changes.
	Image string
}

// filled is the configuration with its defaults.
func (c Config) filled() Config {
	c.AnswerFresh = cmp.Or(c.AnswerFresh, DefaultAnswerFresh)
	c.Lease = cmp.Or(c.Lease, messages.DefaultLeaseTiming())
	return c
}

// snapshotMaxAge is the age at which a poll is too old to act on.
func (c Config) snapshotMaxAge() time.Duration { return 2*c.PollingInterval + 15*time.Second }

// policy is the part of the configuration that deciding needs.
func (c Config) policy(retired []messages.ResourceName) decide.Policy {
	policy := decide.Policy{Queues: c.Queues, SnapshotMaxAge: c.snapshotMaxAge()}
	for _, resource := range c.Resources {
		policy.Resources = append(policy.Resources, decide.ResourcePolicy{Name: resource.Name, Max: resource.Max})
	}
	for _, name := range retired {
		policy.Resources = append(policy.Resources, decide.ResourcePolicy{Name: name, Max: 0})
	}
	return policy
}

// entitled is the configuration with ports that refuse to change anything once
// the lease may have passed to another process. The ledger comes with [tenure.turn].
func (c Config) entitled(t *tenure) Config {
	c.EC2 = entitledEC2{EC2: c.EC2, tenure: t}
	c.State = entitledState{State: c.State, tenure: t}
	c.ClearML = entitledClearML{ClearML: c.ClearML, tenure: t}
	return c
}

// changes are what another configuration of the same autoscaler changes, a line
// each.
func (c Config) changes(next Config) []string {
	var lines []string
	tell := func(what string, from, to any) {
		if !reflect.DeepEqual(from, to) {
			lines = append(lines, fmt.Sprintf("%s: %v → %v", what, from, to))
		}
	}
	tell("polling_interval", c.PollingInterval, next.PollingInterval)
	tell("requeue_lost_tasks", c.RequeueLost, next.RequeueLost)
	tell("warn_duplicate_tasks", c.WarnDuplicates, next.WarnDuplicates)
	resources := make(map[messages.ResourceName]Resource, len(next.Resources))
	for _, r := range next.Resources {
		resources[r.Name] = r
	}
	for _, old := range c.Resources {
		at := "resource " + string(old.Name)
		now, stays := resources[old.Name]
		delete(resources, old.Name)
		if !stays {
			lines = append(lines, at+": removed; its instances finish their tasks and are drained")
			continue
		}
		tell(at+" max_instances", old.Max, now.Max)
		tell(at+" max_idle_time", old.MaxIdle, now.MaxIdle)
		tell(at+" max_spin_up_time", old.MaxSpinUp, now.MaxSpinUp)
		tell(at+" max_lifetime", old.MaxLifetime, now.MaxLifetime)
		tell(at+" offerings", old.Offerings, now.Offerings)
		tell(at+" on_demand_fallback", old.Fallback, now.Fallback)
		tell(at+" image", old.Image, now.Image)
	}
	for _, r := range next.Resources {
		if _, added := resources[r.Name]; added {
			lines = append(lines, fmt.Sprintf("resource %s: added, max_instances %d", r.Name, r.Max))
		}
	}
	tell("queues", c.Queues, next.Queues)
	return lines
}
