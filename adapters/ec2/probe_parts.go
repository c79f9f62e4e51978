package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/messages"
)

// Parts are what a launch names, as EC2 will see it: with the extra launch
// parameters laid over the rest. What is empty is not named.
type Parts struct {
	// Image is an id, or resolve:ssm: and a parameter; empty with a launch
	// template alone.
	Image        string
	InstanceType string
	Market       messages.Market
	Zone         string
	Subnets      []string
	Groups       []string
	KeyPair      string
	// Profile is the name or the ARN of the instance profile.
	Profile string
	// Snapshots are what volumes start with, besides those of the image.
	Snapshots []string
	// Keys are those of KMS that volumes are encrypted with, where one is named.
	Keys []string
	// Template says that a launch template may add to all of this.
	Template bool
	// Extra has the fields of RunInstances that come from the extra launch
	// parameters, by EC2's names.
	Extra map[string]bool
}

// PartsOf is [Adapter.PartsOf].
func (p *Prober) PartsOf(resource messages.ResourceName, offering messages.Offering) (Parts, error) {
	return p.adapter.PartsOf(resource, offering)
}

// PartsOf says what a launch of the resource names. It calls nothing.
func (a *Adapter) PartsOf(resource messages.ResourceName, offering messages.Offering) (Parts, error) {
	input, err := a.launchInput(messages.LaunchRequest{
		Launch: probeLaunch, Token: probeLaunch, Resource: resource, Offering: offering, Count: 1,
	})
	if err != nil {
		return Parts{}, err
	}
	parts := Parts{
		Image: aws.ToString(input.ImageId), InstanceType: string(input.InstanceType), Market: messages.OnDemand,
		KeyPair: aws.ToString(input.KeyName), Groups: input.SecurityGroupIds, Template: input.LaunchTemplate != nil,
		Extra: map[string]bool{},
	}
	for name := range a.plans[resource].template.Extra {
		parts.Extra[name] = true
	}
	if input.InstanceMarketOptions != nil && input.InstanceMarketOptions.MarketType == types.MarketTypeSpot {
		parts.Market = messages.Spot
	}
	if input.Placement != nil {
		parts.Zone = aws.ToString(input.Placement.AvailabilityZone)
	}
	if profile := input.IamInstanceProfile; profile != nil {
		parts.Profile = aws.ToString(profile.Arn) + aws.ToString(profile.Name)
	}
	if input.SubnetId != nil {
		parts.Subnets = []string{*input.SubnetId}
	}
	for i := range input.NetworkInterfaces {
		card := &input.NetworkInterfaces[i]
		if subnet := aws.ToString(card.SubnetId); subnet != "" && !slices.Contains(parts.Subnets, subnet) {
			parts.Subnets = append(parts.Subnets, subnet)
		}
		parts.Groups = append(slices.Clone(parts.Groups), card.Groups...)
	}
	parts.disks(input)
	if offering.Subnet != "" && slices.Contains(parts.Subnets, offering.Subnet) {
		parts.Zone = offering.Zone // which the configuration says that the subnet is in
	}
	return parts, nil
}

// disks adds what the volumes of a launch name.
func (p *Parts) disks(input *awsec2.RunInstancesInput) {
	for i := range input.BlockDeviceMappings {
		disk := input.BlockDeviceMappings[i].Ebs
		if disk == nil {
			continue
		}
		if id := aws.ToString(disk.SnapshotId); id != "" {
			p.Snapshots = append(p.Snapshots, id)
		}
		if id := aws.ToString(disk.KmsKeyId); id != "" {
			p.Keys = append(p.Keys, id)
		}
	}
}

// IsMissing tells whether an error of a look-up says that there is no such
// thing, or that it is not ours to see.
func IsMissing(err error) bool {
	if err == nil {
		return false
	}
	code := messages.FailureOf(err).Code
	return errors.Is(err, errNotThere) || strings.HasSuffix(code, ".NotFound") || strings.HasSuffix(code, ".Malformed") ||
		code == "InvalidInstanceType" || code == "InvalidAMIID.Unavailable"
}

// errNotThere is an answer without what was asked for by its id.
var errNotThere = errors.New("EC2 shows none of that id")

// IsRefused tells whether an error says that the credentials may not make a
// call, as opposed to being no good at all.
func IsRefused(err error) bool {
	if err == nil {
		return false
	}
	switch messages.FailureOf(err).Code {
	case "UnauthorizedOperation", "AccessDenied", "AccessDeniedException":
		return true
	}
	return false
}

// Image is an AMI.
type Image struct {
	ID    string
	Name  string
	State string
	// Architecture is x86_64, arm64 or another one.
	Architecture string
	// Windows says that it is one of Windows.
	Windows bool
}

// Image looks an AMI up.
func (p *Prober) Image(ctx context.Context, id string) (Image, error) {
	output, err := p.client.DescribeImages(ctx, &awsec2.DescribeImagesInput{ImageIds: []string{id}})
	if err != nil {
		return Image{}, lookUp("image", id, err)
	}
	for i := range output.Images {
		if image := &output.Images[i]; aws.ToString(image.ImageId) == id {
			return Image{
				ID: id, Name: aws.ToString(image.Name), State: string(image.State), Architecture: string(image.Architecture),
				Windows: image.Platform == types.PlatformValuesWindows,
			}, nil
		}
	}
	return Image{}, lookUp("image", id, errNotThere)
}

func lookUp(kind, id string, err error) error {
	return failing(fmt.Sprintf("look up %s %s", kind, id), failureOf(err), err)
}

// Type is an instance type as a region has it.
type Type struct {
	Name          string
	Architectures []string
	// Spot says that it is sold on the spot market.
	Spot bool
}

// Type looks an instance type up.
func (p *Prober) Type(ctx context.Context, name string) (Type, error) {
	output, err := p.client.DescribeInstanceTypes(ctx, &awsec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{types.InstanceType(name)}})
	if err != nil {
		return Type{}, lookUp("instance type", name, err)
	}
	for i := range output.InstanceTypes {
		about := &output.InstanceTypes[i]
		if string(about.InstanceType) != name {
			continue
		}
		found := Type{Name: name, Spot: slices.Contains(about.SupportedUsageClasses, types.UsageClassTypeSpot)}
		if about.ProcessorInfo != nil {
			for _, architecture := range about.ProcessorInfo.SupportedArchitectures {
				found.Architectures = append(found.Architectures, string(architecture))
			}
		}
		return found, nil
	}
	return Type{}, lookUp("instance type", name, errNotThere)
}

// Offered lists the zones of the region that have an instance type, sorted.
func (p *Prober) Offered(ctx context.Context, instanceType string) ([]string, error) {
	input := &awsec2.DescribeInstanceTypeOfferingsInput{
		LocationType: types.LocationTypeAvailabilityZone,
		Filters:      []types.Filter{{Name: aws.String("instance-type"), Values: []string{instanceType}}},
	}
	var zones []string
	for {
		output, err := p.client.DescribeInstanceTypeOfferings(ctx, input)
		if err != nil {
			return nil, lookUp("offerings of", instanceType, err)
		}
		for _, offering := range output.InstanceTypeOfferings {
			zones = append(zones, aws.ToString(offering.Location))
		}
		next := aws.ToString(output.NextToken)
		if next == "" || next == aws.ToString(input.NextToken) {
			slices.Sort(zones)
			return slices.Compact(zones), nil
		}
		input.NextToken = aws.String(next)
	}
}

// Subnet is a subnet.
type Subnet struct {
	ID, Zone, VPC string
	// Free is how many addresses are left.
	Free int
}

// Subnet looks a subnet up.
func (p *Prober) Subnet(ctx context.Context, id string) (Subnet, error) {
	output, err := p.client.DescribeSubnets(ctx, &awsec2.DescribeSubnetsInput{SubnetIds: []string{id}})
	if err != nil {
		return Subnet{}, lookUp("subnet", id, err)
	}
	for i := range output.Subnets {
		if aws.ToString(output.Subnets[i].SubnetId) == id {
			return toSubnet(&output.Subnets[i]), nil
		}
	}
	return Subnet{}, lookUp("subnet", id, errNotThere)
}

// DefaultSubnets lists the default subnets of the region's zones, which are
// those that a launch without a subnet goes to.
func (p *Prober) DefaultSubnets(ctx context.Context) ([]Subnet, error) {
	output, err := p.client.DescribeSubnets(ctx, &awsec2.DescribeSubnetsInput{
		Filters: []types.Filter{{Name: aws.String("default-for-az"), Values: []string{"true"}}},
	})
	if err != nil {
		return nil, lookUp("subnets", "of the default VPC", err)
	}
	subnets := make([]Subnet, 0, len(output.Subnets))
	for i := range output.Subnets {
		subnets = append(subnets, toSubnet(&output.Subnets[i]))
	}
	return subnets, nil
}

func toSubnet(raw *types.Subnet) Subnet {
	return Subnet{
		ID: aws.ToString(raw.SubnetId), Zone: aws.ToString(raw.AvailabilityZone), VPC: aws.ToString(raw.VpcId),
		Free: int(aws.ToInt32(raw.AvailableIpAddressCount)),
	}
}

// GroupVPC is the VPC that a security group belongs to.
func (p *Prober) GroupVPC(ctx context.Context, id string) (string, error) {
	output, err := p.client.DescribeSecurityGroups(ctx, &awsec2.DescribeSecurityGroupsInput{GroupIds: []string{id}})
	if err != nil {
		return "", lookUp("security group", id, err)
	}
	for i := range output.SecurityGroups {
		if aws.ToString(output.SecurityGroups[i].GroupId) == id {
			return aws.ToString(output.SecurityGroups[i].VpcId), nil
		}
	}
	return "", lookUp("security group", id, errNotThere)
}

// KeyPair looks a key pair up by its name; the error is nil when it is there.
func (p *Prober) KeyPair(ctx context.Context, name string) error {
	output, err := p.client.DescribeKeyPairs(ctx, &awsec2.DescribeKeyPairsInput{KeyNames: []string{name}})
	if err != nil {
		return lookUp("key pair", name, err)
	}
	for i := range output.KeyPairs {
		if aws.ToString(output.KeyPairs[i].KeyName) == name {
			return nil
		}
	}
	return lookUp("key pair", name, errNotThere)
}
