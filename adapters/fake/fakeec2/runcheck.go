package fakeec2

import (
	"encoding/base64"
	"slices"
	"strings"
)

// maxUserData is EC2's bound on raw user data, in bytes.
const maxUserData = 16 * 1024

// check refuses what EC2 would refuse before it looks for capacity, and fills
// in defaults.
func (c *Cloud) check(l *launch) error {
	checks := []func(*launch) error{
		c.checkCounts, c.checkWhat, c.checkNames, c.checkMarket, c.checkTags, c.checkWhere, c.checkNetworks, c.checkProfile, c.checkUserData,
	}
	for _, f := range checks {
		if err := f(l); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cloud) checkCounts(l *launch) error {
	switch {
	case l.MinCount < 1:
		return errorf("InvalidParameterValue", "Value (%d) for parameter minCount is invalid. The minimum is 1.", l.MinCount)
	case l.MaxCount < l.MinCount:
		return errorf("InvalidParameterCombination", "Maximum instance count (%d) must be greater than or equal to the minimum (%d).", l.MaxCount, l.MinCount)
	case len(l.ClientToken) > 64 || strings.ContainsFunc(l.ClientToken, func(r rune) bool { return r < 0x20 || r > 0x7e }):
		return errorf("InvalidParameterValue", "Value (%s) for parameter clientToken is invalid. Use at most 64 ASCII characters.", l.ClientToken)
	default:
		return nil
	}
}

func (c *Cloud) checkWhat(l *launch) error {
	if l.InstanceType == "" {
		l.InstanceType = "m1.small"
	}
	typ, ok := c.cat.typeNamed(l.InstanceType)
	if !ok {
		return errorf("InvalidParameterValue", "Invalid value '%s' for InstanceType.", l.InstanceType)
	}
	l.typ = typ
	if l.ImageID == "" {
		return errorf("MissingParameter", "The request must contain the parameter ImageId")
	}
	if err := c.resolveImage(l); err != nil {
		return err
	}
	if !wellFormed(l.ImageID, "ami-") {
		return errorf("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", l.ImageID)
	}
	l.image, ok = c.cat.image(l.ImageID, typ.Architecture)
	if !ok {
		return errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", l.ImageID)
	}
	if l.image.state() != "available" {
		return errorf("InvalidAMIID.Unavailable", "The image id '[%s]' is no longer available", l.ImageID)
	}
	if l.image.Architecture != typ.Architecture {
		return errorf("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. "+
			"Specify an instance type and an AMI that have matching architectures, and try again.", typ.Architecture, l.image.Architecture)
	}
	return c.checkOptions(l)
}

func (c *Cloud) checkOptions(l *launch) error {
	if l.ShutdownBehavior == "" {
		l.ShutdownBehavior = "stop"
	}
	if l.Metadata.HTTPTokens == "" {
		l.Metadata.HTTPTokens = "optional"
		if l.image.IMDSv2 {
			l.Metadata.HTTPTokens = "required"
		}
	}
	if l.Metadata.HTTPEndpoint == "" {
		l.Metadata.HTTPEndpoint = "enabled"
	}
	if l.Metadata.InstanceTags == "" {
		l.Metadata.InstanceTags = "disabled"
	}
	if l.Metadata.HopLimit == 0 {
		l.Metadata.HopLimit = 1
	}
	for _, choice := range []struct{ name, value, a, b string }{
		{"InstanceInitiatedShutdownBehavior", l.ShutdownBehavior, "stop", "terminate"},
		{"HttpTokens", l.Metadata.HTTPTokens, "optional", "required"},
		{"HttpEndpoint", l.Metadata.HTTPEndpoint, "enabled", "disabled"},
		{"InstanceMetadataTags", l.Metadata.InstanceTags, "enabled", "disabled"},
	} {
		if choice.value != choice.a && choice.value != choice.b {
			return errorf("InvalidParameterValue", "Value (%s) for parameter %s is invalid. Valid values are %s, %s.", choice.value, choice.name, choice.a, choice.b)
		}
	}
	if l.Metadata.HopLimit < 1 || l.Metadata.HopLimit > 64 {
		return errorf("InvalidParameterValue", "Value (%d) for parameter HttpPutResponseHopLimit is invalid. Valid values are 1 to 64.", l.Metadata.HopLimit)
	}
	return nil
}

func (c *Cloud) checkNames(l *launch) error {
	l.anyGroup = len(l.SecurityGroupIDs) == 0
	if l.anyGroup && len(c.cat.SecurityGroups) > 0 {
		l.SecurityGroupIDs = []string{c.cat.SecurityGroups[0].ID}
	}
	if c.cat.Permissive {
		return nil
	}
	for _, id := range l.SecurityGroupIDs {
		if !slices.ContainsFunc(c.cat.SecurityGroups, func(g SecurityGroup) bool { return g.ID == id }) {
			return errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
		}
	}
	if l.KeyName != "" && !slices.Contains(c.cat.KeyPairs, l.KeyName) {
		return errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", l.KeyName)
	}
	return nil
}

func (c *Cloud) checkMarket(l *launch) error {
	l.market = OnDemand
	if l.Spot == nil {
		return nil
	}
	l.market = Spot
	switch {
	case l.Spot.RequestType != "" && l.Spot.RequestType != "one-time":
		return errorf("Unsupported", "This fake region only has one-time Spot requests, not %s.", l.Spot.RequestType)
	case l.Spot.InterruptionBehavior != "" && l.Spot.InterruptionBehavior != "terminate":
		return errorf("InvalidParameterCombination", "Interruption behavior %s is only supported for persistent Spot requests.", l.Spot.InterruptionBehavior)
	case l.typ.SpotUSD == 0:
		return errorf("InvalidInput", "The instance type %s is not supported for Spot requests.", l.typ.Name)
	case slices.Contains(c.denied, "CreateServiceLinkedRole"):
		return errorf("AuthFailure.ServiceLinkedRoleCreationNotPermitted", "The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances.")
	default:
		return nil
	}
}

func (c *Cloud) checkTags(l *launch) error {
	if len(l.TagSpecifications) > 0 && slices.Contains(c.denied, "CreateTags") {
		return c.cat.errDenied("ec2:CreateTags", c.cat.deniedOn("CreateTags"))
	}
	if c.owner.Key != "" && !slices.Contains(l.tagsFor("instance"), c.owner) {
		return c.cat.errDenied("ec2:RunInstances", c.cat.deniedOn("RunInstances"))
	}
	kinds := []string{"instance", "volume", "network-interface"}
	if l.market == Spot {
		kinds = append(kinds, "spot-instances-request")
	}
	var seen []string
	for _, s := range l.TagSpecifications {
		if !slices.Contains(kinds, s.ResourceType) {
			return errorf("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", s.ResourceType)
		}
		if slices.Contains(seen, s.ResourceType) {
			return errorf("InvalidParameterValue", "Tag specification resource type '%s' may only be specified once.", s.ResourceType)
		}
		seen = append(seen, s.ResourceType)
		if err := checkTags(nil, s.Tags); err != nil {
			return err
		}
		if s.ResourceType == "instance" && l.Metadata.InstanceTags == "enabled" {
			if err := checkMetadataTags(s.Tags); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkWhere settles in which subnets the launch may land.
func (c *Cloud) checkWhere(l *launch) error {
	l.zonal = l.SubnetID != "" || l.Zone != ""
	offered := c.cat.zonesOf(l.typ)
	if l.SubnetID != "" {
		s, ok := c.cat.subnetWithID(l.SubnetID)
		if !ok {
			return errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", l.SubnetID)
		}
		if l.Zone != "" && l.Zone != s.Zone {
			return errorf("InvalidParameterValue", "The availability zone '%s' does not match the zone '%s' of subnet '%s'.", l.Zone, s.Zone, s.ID)
		}
		l.Zone, l.candidates = s.Zone, []Subnet{s}
	}
	if l.Zone != "" && !slices.Contains(c.cat.Zones, l.Zone) {
		return errorf("InvalidParameterValue", "Invalid availability zone: [%s]", l.Zone)
	}
	if l.Zone != "" && !slices.Contains(offered, l.Zone) {
		return errorf("Unsupported", "Your requested instance type (%s) is not supported in your requested Availability Zone (%s). "+
			"Please retry your request by not specifying an Availability Zone or choosing %s.", l.typ.Name, l.Zone, strings.Join(offered, ", "))
	}
	if len(l.candidates) > 0 {
		return nil
	}
	return c.checkDefaultSubnets(l, offered)
}

// checkDefaultSubnets finds the default subnets of the zones that will do.
func (c *Cloud) checkDefaultSubnets(l *launch, offered []string) error {
	for _, zone := range offered {
		if s, ok := c.cat.defaultSubnet(zone); ok && (l.Zone == "" || l.Zone == zone) {
			l.candidates = append(l.candidates, s)
		}
	}
	if len(l.candidates) == 0 {
		return errorf("MissingInput", "No subnets found for the default VPC '%s'. Please specify a subnet.", c.cat.VPCID)
	}
	return nil
}

func (c *Cloud) checkUserData(l *launch) error {
	raw, err := base64.StdEncoding.DecodeString(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, l.UserData))
	if err != nil {
		return errorf("InvalidParameterValue", "Invalid BASE64 encoding of user data.")
	}
	if len(raw) > maxUserData {
		return errorf("InvalidParameterValue", "User data is limited to %d bytes", maxUserData)
	}
	l.userData = raw
	return nil
}
