package ec2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/messages"
)

// tokenMax is how many ASCII characters a ClientToken has at most.
const tokenMax = 64

const (
	hopLimit       = 1 // the instance itself
	hopLimitDocker = 2 // and containers behind its bridge
)

// Launch sends one RunInstances call. It answers at least one and at most
// request.Count instances, or an error. The same request may be sent again at
// any time, as long as the template of its resource is the same.
func (a *Adapter) Launch(ctx context.Context, request messages.LaunchRequest) ([]messages.Instance, error) {
	what := fmt.Sprintf("launch %d %q of resource %q", request.Count, request.Offering, string(request.Resource))
	input, err := a.launchInput(request)
	if err != nil {
		return nil, failing(what, &messages.Failure{Class: messages.ClassInvalid, Message: err.Error()}, nil)
	}
	if err := messages.Permitted(ctx); err != nil {
		return nil, failing(what, messages.FailureOf(err), nil)
	}
	output, err := a.client.RunInstances(ctx, input)
	if err != nil {
		failure := failureOf(err)
		if failure.Class == messages.ClassProtected {
			// The code for protected instances also means that the account may
			// not do this; of a launch nothing else can be meant.
			failure.Class = messages.ClassUnauthorized
		}
		return nil, failing(what, failure, err)
	}

	launched := make([]messages.Instance, 0, len(output.Instances))
	for i := range output.Instances {
		instance, err := toInstance(&output.Instances[i])
		if err != nil {
			return nil, failing(what, unclear(err), nil)
		}
		// What was asked for is known for sure; tags in the answer are not
		// waited for.
		instance.Resource, instance.Launch, instance.Token = request.Resource, request.Launch, request.Token
		instance.Home = a.plans[request.Resource].template.Home
		launched = append(launched, instance)
	}
	if len(launched) == 0 {
		return nil, failing(what, unclear(errors.New("EC2 answered no instance and no error")), nil)
	}
	a.log.Debug().Str("resource", string(request.Resource)).Str("launch", string(request.Launch)).
		Str("offering", request.Offering.String()).Int("asked", request.Count).Int("launched", len(launched)).
		Msg("called RunInstances")
	return launched, nil
}

// unclear is the failure of an answer that makes no sense: EC2 may have
// launched, so it is not definitive.
func unclear(err error) *messages.Failure {
	return &messages.Failure{Class: messages.ClassTransient, Message: err.Error()}
}

// launchInput is the RunInstances call for a request: the same for the same
// request, down to the order of lists.
func (a *Adapter) launchInput(request messages.LaunchRequest) (*awsec2.RunInstancesInput, error) {
	plan, ok := a.plans[request.Resource]
	if !ok {
		return nil, errors.New("this resource is not configured")
	}
	if err := checkRequest(request); err != nil {
		return nil, err
	}
	input := plan.base(request.Offering)
	if plan.extra.IamInstanceProfile != nil {
		input.IamInstanceProfile = nil // not the name of one with the ARN of the other
	}
	if plan.extra.SecurityGroups != nil {
		input.SecurityGroupIds = nil // EC2 takes names or ids
	}
	merge(reflect.ValueOf(input).Elem(), reflect.ValueOf(plan.extra).Elem())
	plan.settlePlace(input, request.Offering)
	if input.InstanceMarketOptions != nil && input.InstanceMarketOptions.MarketType == "" {
		// Extra has spot options, for when the market is spot; this is not.
		input.InstanceMarketOptions = nil
	}
	spot := input.InstanceMarketOptions != nil && input.InstanceMarketOptions.MarketType == types.MarketTypeSpot
	input.TagSpecifications = plan.tagSpecifications(request.Launch, spot)
	input.ClientToken = aws.String(request.Token)
	input.MinCount = aws.Int32(1)
	input.MaxCount = aws.Int32(int32(request.Count))
	return input, nil
}

func checkRequest(request messages.LaunchRequest) error {
	switch {
	case request.Count < 1 || request.Count > math.MaxInt32:
		return fmt.Errorf("count %d is not a number of instances", request.Count)
	case request.Launch == "":
		return errors.New("no launch id: the instances could not be matched to their intent")
	case request.Token == "" || len(request.Token) > tokenMax:
		return fmt.Errorf("ClientToken has %d characters: it needs 1 to %d", len(request.Token), tokenMax)
	case slices.ContainsFunc([]byte(request.Token), func(b byte) bool { return b <= ' ' || b > '~' }):
		return errors.New("ClientToken has a character that is not printable ASCII")
	case request.Offering.InstanceType == "":
		return errors.New("no instance type")
	}
	switch request.Offering.Market {
	case messages.OnDemand, messages.Spot:
		return nil
	}
	return fmt.Errorf("market %q is neither %s nor %s", string(request.Offering.Market), messages.OnDemand, messages.Spot)
}

// base is the request without what Extra says.
func (p *launchPlan) base(offering messages.Offering) *awsec2.RunInstancesInput {
	t := p.template
	input := &awsec2.RunInstancesInput{
		ImageId:          optional(t.AMI),
		InstanceType:     types.InstanceType(offering.InstanceType),
		KeyName:          optional(t.KeyPair),
		SecurityGroupIds: slices.Clone(t.SecurityGroups),
		UserData:         optional(p.userData),
		MetadataOptions: &types.InstanceMetadataOptionsRequest{
			HttpEndpoint:            types.InstanceMetadataEndpointStateEnabled,
			HttpTokens:              types.HttpTokensStateRequired,
			HttpPutResponseHopLimit: aws.Int32(hopLimit),
		},
		// An instance that shuts itself down is gone, disks and all: that is
		// how it ends itself when nobody is left to end it.
		InstanceInitiatedShutdownBehavior: types.ShutdownBehaviorTerminate,
	}
	if t.DockerMode {
		input.MetadataOptions.HttpPutResponseHopLimit = aws.Int32(hopLimitDocker)
	}
	if t.Monitoring {
		input.Monitoring = &types.RunInstancesMonitoringEnabled{Enabled: aws.Bool(true)}
	}
	if t.ProfileARN != "" || t.ProfileName != "" {
		input.IamInstanceProfile = &types.IamInstanceProfileSpecification{Arn: optional(t.ProfileARN), Name: optional(t.ProfileName)}
	}
	if offering.Market == messages.Spot {
		input.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{
			MarketType: types.MarketTypeSpot,
			SpotOptions: &types.SpotMarketOptions{
				SpotInstanceType:             types.SpotInstanceTypeOneTime,
				InstanceInterruptionBehavior: types.InstanceInterruptionBehaviorTerminate,
				MaxPrice:                     optional(t.SpotMaxPrice),
			},
		}
	}
	for _, volume := range t.Volumes {
		input.BlockDeviceMappings = append(input.BlockDeviceMappings, volume.mapping())
	}
	return input
}

func (v Volume) mapping() types.BlockDeviceMapping {
	disk := &types.EbsBlockDevice{
		VolumeType:          types.VolumeType(v.Type),
		SnapshotId:          optional(v.SnapshotID),
		VolumeSize:          optionalNumber(v.SizeGB),
		Iops:                optionalNumber(v.IOPS),
		Throughput:          optionalNumber(v.Throughput),
		DeleteOnTermination: aws.Bool(v.DeleteOnTermination == nil || *v.DeleteOnTermination),
	}
	if v.Encrypted {
		disk.Encrypted = aws.Bool(true)
	}
	return types.BlockDeviceMapping{DeviceName: aws.String(v.Device), Ebs: disk}
}

// settlePlace puts the offering's subnet, or else its zone, into the request,
// unless Extra says where to launch. With network interfaces in the request EC2
// wants subnet and security groups on these, and nowhere else.
func (p *launchPlan) settlePlace(input *awsec2.RunInstancesInput, offering messages.Offering) {
	switch {
	case p.extraPlaces():
	case offering.Subnet != "":
		input.SubnetId = aws.String(offering.Subnet)
	case offering.Zone != "":
		if input.Placement == nil {
			input.Placement = &types.Placement{}
		}
		input.Placement.AvailabilityZone = aws.String(offering.Zone)
	}
	if len(input.NetworkInterfaces) == 0 {
		return
	}
	input.NetworkInterfaces = slices.Clone(input.NetworkInterfaces)
	for i := range input.NetworkInterfaces {
		card := &input.NetworkInterfaces[i]
		if card.NetworkInterfaceId != nil {
			continue
		}
		if card.SubnetId == nil {
			card.SubnetId = input.SubnetId
		}
		if len(card.Groups) == 0 {
			card.Groups = input.SecurityGroupIds
		}
	}
	input.SubnetId, input.SecurityGroupIds = nil, nil
}

// extraPlaces tells whether Extra says where to launch.
func (p *launchPlan) extraPlaces() bool {
	if p.extra.SubnetId != nil {
		return true
	}
	if place := p.extra.Placement; place != nil && (place.AvailabilityZone != nil || place.AvailabilityZoneId != nil || place.HostId != nil) {
		return true
	}
	return slices.ContainsFunc(p.extra.NetworkInterfaces, func(card types.InstanceNetworkInterfaceSpecification) bool {
		return card.SubnetId != nil || card.NetworkInterfaceId != nil
	})
}

// optional is nil for the empty text.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// optionalNumber is nil for 0.
func optionalNumber(number int) *int32 {
	if number == 0 {
		return nil
	}
	return aws.Int32(int32(number))
}
