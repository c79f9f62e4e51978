package ec2

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/ebbscale/ebb/messages"
)

const (
	// codeDryRun is EC2's answer to a dry run that would have worked.
	codeDryRun = "DryRunOperation"
	// probeLaunch names the launch that a dry run pretends to make.
	probeLaunch = "ebb-doctor"
	// probeOwner is the owner of a launch that is nobody's.
	probeOwner = "ebb-doctor-somebody-else"
	// nobodysInstance has the form of an id and, with near certainty, no instance.
	nobodysInstance = "i-0ebb0ebb0ebb0ebb0"
)

// Prober finds out whether the launches of an autoscaler would work, and
// changes nothing: what would change something is sent as a dry run. It may be
// used by many goroutines.
type Prober struct {
	adapter *Adapter
	client  *awsec2.Client
	sts     *sts.Client
}

// NewProber makes a prober of what an adapter is made of; the Client of config
// is made here, whatever it is. It calls nothing.
func NewProber(ctx context.Context, access ClientConfig, config Config) (*Prober, error) {
	client, err := NewClient(ctx, access)
	if err != nil {
		return nil, err
	}
	config.Client = client
	adapter, err := New(config)
	if err != nil {
		return nil, err
	}
	sdk, err := access.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("make STS client: %w", err)
	}
	return &Prober{adapter: adapter, client: client, sts: sts.NewFromConfig(sdk, func(options *sts.Options) {
		if access.EndpointURL != "" && !isAWS(access.EndpointURL) {
			options.BaseEndpoint = aws.String(access.EndpointURL)
		}
	})}, nil
}

// isAWS tells whether an endpoint is one of AWS's own: those serve one service
// each, while a stand-in for EC2 serves STS as well.
func isAWS(endpoint string) bool {
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host := strings.ToLower(parsed.Hostname())
	for _, suffix := range []string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonwebservices.com.cn"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// Identity is who the credentials belong to.
type Identity struct {
	Account string
	ARN     string
}

// Identity asks STS whose the credentials are. Every valid credential may ask.
func (p *Prober) Identity(ctx context.Context) (Identity, error) {
	output, err := p.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, failing("ask whose the credentials are", failureOf(err), err)
	}
	return Identity{Account: aws.ToString(output.Account), ARN: aws.ToString(output.Arn)}, nil
}

// Instances are those with our owner tag, as [Adapter.List] has them.
func (p *Prober) Instances(ctx context.Context) ([]messages.Instance, error) {
	return p.adapter.List(ctx)
}

// Trial is one launch to try.
type Trial struct {
	Resource messages.ResourceName
	Offering messages.Offering
	// WithoutTags and WithoutProfile leave these out, to see what a refusal is
	// about.
	WithoutTags    bool
	WithoutProfile bool
	// Foreign puts another owner tag on: a policy that only allows launches of
	// our own refuses it.
	Foreign bool
}

// TryLaunch sends the RunInstances call of one instance as a dry run, with the
// very parameters of a launch. The error is nil when EC2 would have launched,
// lack of capacity and of quota aside: a dry run does not look at them.
func (p *Prober) TryLaunch(ctx context.Context, trial Trial) error {
	what := fmt.Sprintf("try to launch %q of resource %q", trial.Offering, string(trial.Resource))
	input, err := p.trialInput(trial)
	if err != nil {
		return failing(what, &messages.Failure{Class: messages.ClassInvalid, Message: err.Error()}, nil)
	}
	_, err = p.client.RunInstances(ctx, input)
	return dryRun(what, err)
}

func (p *Prober) trialInput(trial Trial) (*awsec2.RunInstancesInput, error) {
	adapter := p.adapter
	if plan, ok := adapter.plans[trial.Resource]; ok && trial.Foreign {
		plan.autoscaler = probeOwner
		adapter = &Adapter{autoscaler: probeOwner, plans: map[messages.ResourceName]launchPlan{trial.Resource: plan}}
	}
	input, err := adapter.launchInput(messages.LaunchRequest{
		Launch: probeLaunch, Token: probeLaunch, Resource: trial.Resource, Offering: trial.Offering, Count: 1,
	})
	if err != nil {
		return nil, err
	}
	input.ClientToken = nil // the SDK draws one, which ties this call to no launch
	input.DryRun = aws.Bool(true)
	if trial.WithoutTags {
		input.TagSpecifications = nil
	}
	if trial.WithoutProfile {
		input.IamInstanceProfile = nil
	}
	return input, nil
}

// TryTerminate sends TerminateInstances for one instance as a dry run; for an
// empty id, for an instance that does not exist. Then the answer that there is
// no such instance is good: whoever may not end instances is told that instead.
func (p *Prober) TryTerminate(ctx context.Context, id messages.InstanceID) error {
	_, err := p.client.TerminateInstances(ctx, &awsec2.TerminateInstancesInput{
		InstanceIds: []string{orNobody(id)}, DryRun: aws.Bool(true),
	})
	return permitted("try to terminate an instance", id, err)
}

// TryConsole is [Prober.TryTerminate] for GetConsoleOutput.
func (p *Prober) TryConsole(ctx context.Context, id messages.InstanceID) error {
	_, err := p.client.GetConsoleOutput(ctx, &awsec2.GetConsoleOutputInput{
		InstanceId: aws.String(orNobody(id)), DryRun: aws.Bool(true),
	})
	return permitted("try to read the console of an instance", id, err)
}

// TrySpotRequests sends DescribeSpotInstanceRequests as a dry run.
func (p *Prober) TrySpotRequests(ctx context.Context) error {
	_, err := p.client.DescribeSpotInstanceRequests(ctx, &awsec2.DescribeSpotInstanceRequestsInput{DryRun: aws.Bool(true)})
	return dryRun("try to list spot requests", err)
}

func orNobody(id messages.InstanceID) string {
	if id == "" {
		return nobodysInstance
	}
	return string(id)
}

// dryRun turns the answer to a dry run into an error, nil when it would have
// worked.
func dryRun(what string, err error) error {
	if err == nil {
		return nil
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == codeDryRun {
		return nil
	}
	return failing(what, failureOf(err), err)
}

// permitted is dryRun for a call about an instance, which may be nobody's.
func permitted(what string, id messages.InstanceID, err error) error {
	err = dryRun(what, err)
	if err != nil && id == "" && messages.FailureOf(err).Class == messages.ClassNotFound {
		return nil
	}
	return err
}
