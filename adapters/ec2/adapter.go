package ec2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/messages"
)

// API is what the adapter asks of EC2; *ec2.Client of the AWS SDK satisfies it.
// The permissions in deployments/iam are those of its methods.
type API interface {
	RunInstances(context.Context, *awsec2.RunInstancesInput, ...func(*awsec2.Options)) (*awsec2.RunInstancesOutput, error)
	TerminateInstances(context.Context, *awsec2.TerminateInstancesInput, ...func(*awsec2.Options)) (*awsec2.TerminateInstancesOutput, error)
	DescribeInstances(context.Context, *awsec2.DescribeInstancesInput, ...func(*awsec2.Options)) (*awsec2.DescribeInstancesOutput, error)
	DescribeSpotInstanceRequests(context.Context, *awsec2.DescribeSpotInstanceRequestsInput, ...func(*awsec2.Options)) (*awsec2.DescribeSpotInstanceRequestsOutput, error)
	GetConsoleOutput(context.Context, *awsec2.GetConsoleOutputInput, ...func(*awsec2.Options)) (*awsec2.GetConsoleOutputOutput, error)
}

var _ API = (*awsec2.Client)(nil)

// Config is what an adapter is made of.
type Config struct {
	// Autoscaler is the value of the owner tag. Whoever has the same name in
	// the same account and region owns the same instances.
	Autoscaler messages.AutoscalerName
	// Client calls EC2, without retries of its own; see [NewClient].
	Client API
	// Resources tells for each resource type how its instances are launched.
	Resources map[messages.ResourceName]Template
	// Log gets a line per call at debug level, and what is surprising at warn.
	Log zerolog.Logger
}

// Adapter is EC2 as seen by one autoscaler. It keeps no state but what it has
// logged, and may be used by many goroutines.
type Adapter struct {
	autoscaler string
	client     API
	plans      map[messages.ResourceName]launchPlan
	log        zerolog.Logger
	// noticeTrouble is the messages.FailureClass of the last reading of the spot
	// requests, empty when it went well.
	noticeTrouble atomic.Value
}

// New checks the configuration, all of it, and makes an adapter. It calls
// nothing. The error lists every mistake with its place.
func New(config Config) (*Adapter, error) {
	var problems []error
	if config.Client == nil {
		problems = append(problems, errors.New("make EC2 adapter: no client"))
	}
	if err := checkOwner(string(config.Autoscaler)); err != nil {
		problems = append(problems, err)
	}
	plans := make(map[messages.ResourceName]launchPlan, len(config.Resources))
	for _, name := range slices.Sorted(maps.Keys(config.Resources)) {
		plan, err := config.Resources[name].plan(string(config.Autoscaler), name)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		plans[name] = plan
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return &Adapter{autoscaler: string(config.Autoscaler), client: config.Client, plans: plans, log: config.Log}, nil
}

// checkOwner refuses names that cannot be the value of the owner tag: EC2 reads
// *, ? and \ in a filter as wildcards, and the listing would find the instances
// of others.
func checkOwner(name string) error {
	switch {
	case name == "":
		return errors.New("autoscaler name is empty: it is the owner tag of everything that is launched")
	case len(name) > tagValueMax:
		return fmt.Errorf("autoscaler name %.20q… has %d bytes: at most %d fit into a tag", name, len(name), tagValueMax)
	case strings.ContainsAny(name, `*?\`):
		return fmt.Errorf(`autoscaler name %q has a *, ? or \: EC2 would read it as a pattern, choose another name`, name)
	case strings.HasPrefix(strings.ToLower(name), "aws:"):
		return fmt.Errorf("autoscaler name %q begins with aws:, which AWS keeps for itself: choose another name", name)
	}
	return nil
}
