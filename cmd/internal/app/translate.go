// Package app puts a process together: it turns the configuration into what the
// adapters and actors take, makes them, and starts and stops them in order.
package app

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/adapters/bootstrap"
	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/messages"
)

// Translated is one autoscaler's configuration in the words of the adapters and
// of the core. It holds secrets: print none of it.
type Translated struct {
	Name messages.AutoscalerName
	// Query says what the observer polls: all queues, in the order of the
	// configuration, and the workers of our prefix.
	Query messages.ClearMLQuery
	// Queues are in the order of the configuration, each with its resource types
	// in the order they are asked.
	Queues []decide.QueuePolicy
	// Resources are the resource types in the order of the configuration.
	Resources []Resource
	// ClearML has the server and the credentials; clock, dice and log are the
	// caller's to add.
	ClearML clearml.Config
	// EC2 is how to reach EC2.
	EC2             ec2.ClientConfig
	PollingInterval time.Duration
	OnShutdown      messages.OnShutdown
	// RequeueLost and WarnDuplicates are requeue_lost_tasks and
	// warn_duplicate_tasks.
	RequeueLost    bool
	WarnDuplicates bool
}

// Resource is one resource type.
type Resource struct {
	Name messages.ResourceName
	// Max is max_instances.
	Max int
	// Offerings are asked in this order.
	Offerings []messages.Offering
	// Queues are served by the workers in this order.
	Queues        []messages.QueueName
	MaxIdleTime   time.Duration
	MaxSpinUpTime time.Duration
	// MaxLifetime is how long after its launch an instance takes no more work;
	// zero is for ever.
	MaxLifetime time.Duration
	// PricePerHour is in US dollars, for estimates; zero takes the list price.
	PricePerHour float64
	// Fallback says when the on-demand offerings are asked in place of spot.
	Fallback decide.Fallback
	// Spec is what the instances' bootstrap script was rendered from, and Script
	// the result.
	Spec   bootstrap.Spec
	Script bootstrap.Script
	// Template is how EC2 is asked for the instances.
	Template ec2.Template
}

// Templates are the templates of all resource types, by name.
func (t Translated) Templates() map[messages.ResourceName]ec2.Template {
	templates := make(map[messages.ResourceName]ec2.Template, len(t.Resources))
	for _, r := range t.Resources {
		templates[r.Name] = r.Template
	}
	return templates
}

// ResourceNamed finds a resource type; ok is false when there is none.
func (t Translated) ResourceNamed(name messages.ResourceName) (r Resource, ok bool) {
	for _, r := range t.Resources {
		if r.Name == name {
			return r, true
		}
	}
	return Resource{}, false
}

// Translate turns a checked configuration into what the adapters and the core
// take. It does no I/O. The error lists everything that is wrong, each with the
// autoscaler, the resource and the key; it repeats no secret.
func Translate(a config.Autoscaler) (Translated, error) {
	t := Translated{
		Name:            messages.AutoscalerName(a.Name),
		Query:           query(a),
		Queues:          queues(a),
		ClearML:         clearmlConfig(a.ClearML),
		EC2:             ec2Config(a.AWS),
		PollingInterval: a.PollingInterval,
		RequeueLost:     a.RequeueLostTasks,
		WarnDuplicates:  a.WarnDuplicateTasks,
	}
	var problems []error
	add := func(err error) { problems = append(problems, fmt.Errorf("autoscaler %q: %w", a.Name, err)) }
	onShutdown, err := shutdown(a.OnShutdown)
	if err != nil {
		add(err)
	}
	t.OnShutdown = onShutdown
	for i, r := range a.Resources {
		resource, err := translateResource(a, r)
		if err != nil {
			for _, cause := range causes(err) {
				add(fmt.Errorf("resources[%d] (%s): %w", i, r.Name, cause))
			}
			continue
		}
		t.Resources = append(t.Resources, resource)
	}
	if err := checkTemplates(t); err != nil {
		for _, cause := range causes(err) {
			add(cause)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return Translated{}, err
	}
	return t, nil
}

// Offerings is what EC2 can be asked for: for each type in order, each place in
// order. Places are the subnets, with their zones when these are given too, else
// the zones; without either EC2 chooses.
func Offerings(r config.Resource) ([]messages.Offering, error) {
	market, err := market(r.Market)
	if err != nil {
		return nil, err
	}
	places, err := places(r)
	if err != nil {
		return nil, err
	}
	offerings := make([]messages.Offering, 0, len(r.InstanceTypes)*len(places))
	for _, instanceType := range r.InstanceTypes {
		for _, place := range places {
			place.Market, place.InstanceType = market, instanceType
			offerings = append(offerings, place)
		}
	}
	if len(offerings) == 0 {
		return nil, errors.New("instance_types: is empty; write one or several, such as [g5.xlarge, g4dn.xlarge]")
	}
	return offerings, nil
}

func places(r config.Resource) ([]messages.Offering, error) {
	zones := r.AvailabilityZones
	if slices.Equal(zones, []string{config.ZoneAuto}) {
		zones = nil
	}
	var places []messages.Offering
	switch {
	case len(zones) > 0 && len(r.Subnets) > 0:
		if len(zones) != len(r.Subnets) {
			return nil, fmt.Errorf("availability_zones: has %d elements and subnets has %d; write one zone for each subnet, or no zones", len(zones), len(r.Subnets))
		}
		for i, subnet := range r.Subnets {
			places = append(places, messages.Offering{Zone: zones[i], Subnet: subnet})
		}
	case len(r.Subnets) > 0:
		for _, subnet := range r.Subnets {
			places = append(places, messages.Offering{Subnet: subnet})
		}
	case len(zones) > 0:
		for _, zone := range zones {
			places = append(places, messages.Offering{Zone: zone})
		}
	default:
		places = []messages.Offering{{}}
	}
	return places, nil
}

func market(m config.Market) (messages.Market, error) {
	switch m {
	case config.Spot:
		return messages.Spot, nil
	case config.OnDemand:
		return messages.OnDemand, nil
	}
	return "", fmt.Errorf("market: %q is neither %s nor %s", string(m), config.Spot, config.OnDemand)
}

func shutdown(action config.ShutdownAction) (messages.OnShutdown, error) {
	switch action {
	case config.ShutdownKeep:
		return messages.ShutdownKeep, nil
	case config.ShutdownIdle:
		return messages.ShutdownIdle, nil
	case config.ShutdownAll:
		return messages.ShutdownAll, nil
	}
	return "", fmt.Errorf("on_shutdown: %q is none of keep, idle, all", string(action))
}

func query(a config.Autoscaler) messages.ClearMLQuery {
	q := messages.ClearMLQuery{WorkersPrefix: a.WorkersPrefix}
	for _, queue := range a.Queues {
		q.Queues = append(q.Queues, messages.QueueName(queue.Queue))
	}
	return q
}

// queues says which resource types each queue asks, in order.
func queues(a config.Autoscaler) []decide.QueuePolicy {
	policies := make([]decide.QueuePolicy, 0, len(a.Queues))
	for _, queue := range a.Queues {
		q := decide.QueuePolicy{Name: messages.QueueName(queue.Queue)}
		for _, name := range queue.Resources {
			q.Resources = append(q.Resources, messages.ResourceName(name))
		}
		policies = append(policies, q)
	}
	return policies
}

func clearmlConfig(c config.ClearML) clearml.Config {
	return clearml.Config{
		APIServer: c.APIServer, AccessKey: c.AccessKey,
		SecretKey: c.SecretKey.Reveal(), AuthToken: c.AuthToken.Reveal(),
	}
}

func ec2Config(c config.AWS) ec2.ClientConfig {
	return ec2.ClientConfig{
		Region: c.Region, UseIAMRole: c.UseIAMRole, EndpointURL: c.EndpointURL, AccessKeyID: c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey.Reveal(), SessionToken: c.SessionToken.Reveal(),
	}
}

// causes takes joined errors apart, wherever in the chain they were joined, so
// that each gets its place in front. What stands before the joint is repeated.
func causes(err error) []error {
	var joint interface {
		error
		Unwrap() []error
	}
	if !errors.As(err, &joint) {
		return []error{err}
	}
	lines := make([]string, 0, len(joint.Unwrap()))
	for _, inner := range joint.Unwrap() {
		lines = append(lines, inner.Error())
	}
	before, ok := strings.CutSuffix(err.Error(), strings.Join(lines, "\n"))
	if !ok { // not joined line by line
		return []error{err}
	}
	var all []error
	for _, inner := range joint.Unwrap() {
		for _, cause := range causes(inner) {
			if before != "" {
				cause = fmt.Errorf("%s%w", before, cause)
			}
			all = append(all, cause)
		}
	}
	return all
}
