package simulation

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/adapters/bootstrap"
	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/messages"
)

const (
	autoscalerName = "sim"
	workersPrefix  = "ebb"
	clearMLHost    = "clearml.simulation:8008"
	apiHost        = "http://" + clearMLHost
	ec2Host        = "ec2.simulation"
	// unreachable is how long an idle instance waits for a ClearML that does not
	// answer, until it powers itself off.
	unreachable = 6 * time.Hour
	accessKey   = "SIMULATIONKEY"
	secretKey   = "simulation-secret"
	image       = "ami-0e3a1b2c3d4e5f601"
)

// Options say what world to make. Everything but Queues and Resources has a
// default.
type Options struct {
	Queues    []Queue
	Resources []Resource
	// Polling is the time between two polls, 30 s by default.
	Polling time.Duration
	// Region is how long EC2 takes for things; zero takes what was measured.
	Region fakeec2.Timing
	// Throttle turns EC2's token buckets on.
	Throttle bool
	// LaunchFailure makes a share of the launches fail after EC2 accepted them.
	LaunchFailure fakeec2.LaunchFailure
	// Install is the time from a running instance to its agent.
	Install fakeec2.Dist
	// AgentFaults befall a share of the agents.
	AgentFaults []fake.Share
	// Agent is how often an agent does things; zero as recorded.
	Agent fakeagent.Timing
	// Network is how long a message takes in one direction.
	Network fakeec2.Dist
	// NoQueues leaves it to the autoscaler to create the queues.
	NoQueues bool
	// InOrder runs what became ready first, in place of what is drawn: stories
	// then change only when the program does.
	InOrder bool
	// Stale is how long after the last need a launch may still happen, 3 min by
	// default; worlds in which calls fail need more.
	Stale time.Duration
	// Unsupervised leaves out the supervisors on the instances.
	Unsupervised bool
	// Story keeps what happens, for [World.Story].
	Story bool
	// Wire lets the autoscaler reach ClearML and EC2 through the adapters' HTTP
	// in place of calling the fakes directly, which is ten times as fast.
	Wire bool
	// Processes is how many processes run the autoscaler; 0 is 1.
	Processes int
	// Requeue turns the policy requeue_lost_tasks on.
	Requeue bool
	// Lease is how leases are kept; zero takes the default.
	Lease messages.LeaseTiming
	// Skews are how far the clocks of the processes are off, by seat.
	Skews []time.Duration

	mistake *mistake // that a test has made
}

// skew is how far the clock of a seat's host is off.
func (o Options) skew(seat int) time.Duration {
	if seat < len(o.Skews) {
		return o.Skews[seat]
	}
	return 0
}

// Queue is a queue with the resource types that serve it, first choice first.
type Queue struct {
	Name      string
	Resources []string
}

// Resource is a resource type. Market is on-demand by default, Types is
// g4dn.xlarge, MaxIdle 5 min, MaxSpinUp 15 min, Image one that the region has.
type Resource struct {
	Name      string
	Max       int
	Market    messages.Market
	Types     []string
	Zones     []string
	MaxIdle   time.Duration
	MaxSpinUp time.Duration
	// MaxLifetime is how long an instance takes work; zero is for ever.
	MaxLifetime time.Duration
	// Fallback puts on-demand behind the offerings of a spot type.
	Fallback bool
	// Image is what its machines are made of.
	Image string
}

func (o Options) filled() (Options, error) {
	if len(o.Queues) == 0 || len(o.Resources) == 0 {
		return o, errors.New("make world: give at least one queue and one resource type")
	}
	if o.Polling == 0 {
		o.Polling = 30 * time.Second
	}
	if o.Region == (fakeec2.Timing{}) {
		o.Region = fakeec2.DefaultTiming()
	}
	if o.Network == (fakeec2.Dist{}) {
		o.Network = fakeec2.Dist{Median: 15 * time.Millisecond, P99: 150 * time.Millisecond}
	}
	if o.Stale == 0 {
		o.Stale = 3 * time.Minute
	}
	o.Processes, o.Lease = cmp.Or(o.Processes, 1), cmp.Or(o.Lease, messages.DefaultLeaseTiming())
	resources := make([]Resource, 0, len(o.Resources))
	for _, r := range o.Resources {
		if r.Market == "" {
			r.Market = messages.OnDemand
		}
		if len(r.Types) == 0 {
			r.Types = []string{"g4dn.xlarge"}
		}
		if r.MaxIdle == 0 {
			r.MaxIdle = 5 * time.Minute
		}
		if r.MaxSpinUp == 0 {
			r.MaxSpinUp = 15 * time.Minute
		}
		r.Image = cmp.Or(r.Image, image)
		resources = append(resources, r)
	}
	o.Resources = resources
	return o, nil
}

// queuesOf are the queues that a resource type serves, in order.
func (o Options) queuesOf(resource string) []string {
	var names []string
	for _, q := range o.Queues {
		for _, r := range q.Resources {
			if r == resource {
				names = append(names, q.Name)
			}
		}
	}
	return names
}

func (o Options) queuePolicies() []decide.QueuePolicy {
	policies := make([]decide.QueuePolicy, 0, len(o.Queues))
	for _, q := range o.Queues {
		policy := decide.QueuePolicy{Name: messages.QueueName(q.Name)}
		for _, r := range q.Resources {
			policy.Resources = append(policy.Resources, messages.ResourceName(r))
		}
		policies = append(policies, policy)
	}
	return policies
}

// offerings are what EC2 is asked for: every type in every zone, in this order.
func (r Resource) offerings() []messages.Offering {
	markets := []messages.Market{r.Market}
	if r.Fallback {
		markets = append(markets, messages.OnDemand)
	}
	zones := r.Zones
	if len(zones) == 0 {
		zones = []string{""}
	}
	var offerings []messages.Offering
	for _, market := range markets {
		for _, instanceType := range r.Types {
			for _, zone := range zones {
				offerings = append(offerings, messages.Offering{Market: market, InstanceType: instanceType, Zone: zone})
			}
		}
	}
	return offerings
}

// resources are the resource types as the actors take them.
func (o Options) resources() []actors.Resource {
	resources := make([]actors.Resource, 0, len(o.Resources))
	for _, r := range o.Resources {
		resource := actors.Resource{
			Name: messages.ResourceName(r.Name), Max: r.Max, Offerings: r.offerings(), MaxIdle: r.MaxIdle, MaxSpinUp: r.MaxSpinUp,
			MaxLifetime: r.MaxLifetime, Image: r.Image,
		}
		if r.Fallback {
			resource.Fallback = decide.Fallback{Enabled: true, Patience: 2 * time.Minute, Blackout: 10 * time.Minute}
		}
		resources = append(resources, resource)
	}
	return resources
}

// templates render what every instance of a resource type is launched with.
func (w *World) templates() (map[messages.ResourceName]ec2.Template, error) {
	templates := make(map[messages.ResourceName]ec2.Template, len(w.options.Resources))
	for _, r := range w.options.Resources {
		spec := bootstrap.Spec{
			WorkerPrefix: workersPrefix, Resource: r.Name, Queues: w.options.queuesOf(r.Name),
			APIServer: apiHost, AccessKey: accessKey, SecretKey: secretKey,
		}
		if !w.options.Unsupervised {
			spec.Autoscaler, spec.MaxIdle, spec.Unreachable = autoscalerName, r.MaxIdle, unreachable
		}
		if len(r.Types) == 1 {
			spec.InstanceType = r.Types[0]
		}
		if len(spec.Queues) == 0 {
			return nil, fmt.Errorf("make world: no queue names resource type %s", r.Name)
		}
		userData, err := w.userData(spec)
		if err != nil {
			return nil, fmt.Errorf("make world: resource type %s: %w", r.Name, err)
		}
		template := ec2.Template{AMI: r.Image, UserData: userData}
		if !w.options.Unsupervised {
			template.Home = messages.QueueName(spec.Queues[0])
		}
		templates[messages.ResourceName(r.Name)] = template
	}
	return templates, nil
}

// userData renders a script, once for each specification: that takes a while.
func (w *World) userData(spec bootstrap.Spec) ([]byte, error) {
	key := fmt.Sprintf("%+v", spec)
	if rendered, done := w.scripts[key]; done {
		return rendered, nil
	}
	script, err := bootstrap.Render(spec)
	if err != nil {
		return nil, err
	}
	w.scripts[key] = script.UserData
	return script.UserData, nil
}
