package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/adapters/iam"
	"github.com/ebbscale/ebb/messages"
)

// resolvePrefix marks an image that is named by a parameter of SSM.
const resolvePrefix = "resolve:ssm:"

// PolicyGiven is what a policy needs besides the configuration, which does not
// say it. What is empty is not known.
type PolicyGiven struct {
	// Account is the number of the account, and AMIOwner who owns images that are
	// resolved from parameters.
	Account  string
	AMIOwner string
	// ProfileRoles are the ARNs of the roles in the instance profiles; without any
	// a role is taken to have the name of its profile.
	ProfileRoles []string
	// NoSpotRole says that the account has its role for spot.
	NoSpotRole bool
}

// PolicyOf says what the IAM policy of an autoscaler is to grant: what its
// launches name, as EC2 will see them, and nothing else. The notes are for
// people: what was supposed, and what the policy cannot grant.
func PolicyOf(t Translated, given PolicyGiven) (options iam.Options, notes []string, err error) {
	adapter, err := ec2.New(ec2.Config{
		Autoscaler: t.Name, Client: struct{ ec2.API }{}, Resources: t.Templates(), Log: zerolog.Nop(),
	})
	if err != nil {
		return iam.Options{}, nil, err
	}
	n := needs{
		options:  iam.Options{Partition: partitionOf(t.EC2.Region), Region: t.EC2.Region, Autoscaler: string(t.Name), Account: given.Account, NoSpot: true},
		anywhere: map[string]bool{}, profiles: map[string]bool{}, notes: map[string]bool{},
	}
	for _, r := range t.Resources {
		for _, offering := range r.Offerings {
			parts, err := adapter.PartsOf(r.Name, offering)
			if err != nil {
				return iam.Options{}, nil, fmt.Errorf("autoscaler %s: resource %s: %w", t.Name, r.Name, err)
			}
			n.launch(string(r.Name), parts)
		}
	}
	if n.anywhere["subnet"] {
		n.options.Subnets = nil
	}
	if n.anywhere["group"] {
		n.options.SecurityGroups = nil
	}
	n.options.SpotRole = !n.options.NoSpot && !given.NoSpotRole
	if n.options.NeedsAMIOwner() {
		n.options.AMIOwner = given.AMIOwner
	}
	if err := n.roles(given.ProfileRoles); err != nil {
		return iam.Options{}, nil, fmt.Errorf("autoscaler %s: %w", t.Name, err)
	}
	return n.options, slices.Sorted(maps.Keys(n.notes)), nil
}

// partitionOf is the partition of AWS that a region belongs to.
func partitionOf(region string) string {
	for _, partition := range []string{"cn", "us-gov"} {
		if strings.HasPrefix(region, partition+"-") {
			return "aws-" + partition
		}
	}
	return "aws"
}

// needs gathers what launches name.
type needs struct {
	options iam.Options
	// anywhere has what some launch leaves to EC2: subnet, group.
	anywhere map[string]bool
	// profiles are names or ARNs.
	profiles map[string]bool
	notes    map[string]bool
}

// launch adds what one launch names.
func (n *needs) launch(resource string, parts ec2.Parts) {
	o := &n.options
	if parts.Market == messages.Spot {
		o.NoSpot = false
	}
	o.Subnets = append(o.Subnets, parts.Subnets...)
	o.SecurityGroups = append(o.SecurityGroups, parts.Groups...)
	o.Snapshots = append(o.Snapshots, parts.Snapshots...)
	if len(parts.Subnets) == 0 {
		n.anywhere["subnet"] = true
	}
	if len(parts.Groups) == 0 {
		n.anywhere["group"] = true // EC2 takes the default one of the VPC
	}
	if parts.KeyPair != "" {
		o.KeyPairs = append(o.KeyPairs, parts.KeyPair)
	}
	if parts.Profile != "" {
		n.profiles[parts.Profile] = true
	}
	n.image(resource, parts.Image)
	for _, key := range parts.Keys {
		n.notes[fmt.Sprintf("resource %s: its volumes are encrypted with %s, whose use the policy does not grant: "+
			"kms:CreateGrant, kms:Decrypt and kms:GenerateDataKeyWithoutPlaintext on that key", resource, key)] = true
	}
	for _, field := range []string{"LaunchTemplate", "Placement", "CapacityReservationSpecification", "LicenseSpecifications"} {
		if parts.Extra[field] {
			n.notes[fmt.Sprintf("resource %s: what extra_launch_parameters.%s names is not in the restricted policy; ebb doctor tells whether it is needed", resource, field)] = true
		}
	}
}

// image adds an image, or the parameter that holds one.
func (n *needs) image(resource, image string) {
	parameter, resolved := strings.CutPrefix(image, resolvePrefix)
	switch {
	case image == "":
		return // a launch template names it, which has a note
	case !resolved:
		n.options.AMIs = append(n.options.AMIs, image)
	case strings.HasPrefix(parameter, "arn:"):
		n.notes[fmt.Sprintf("resource %s: its image is in a parameter of another account: grant ssm:GetParameters on %s too", resource, parameter)] = true
	default:
		path, _, _ := strings.Cut(parameter, ":") // a version or a label follows
		n.options.AMIParameters = append(n.options.AMIParameters, "/"+strings.TrimPrefix(path, "/"))
	}
}

// roles adds the roles in the profiles.
func (n *needs) roles(given []string) error {
	if len(n.profiles) == 0 {
		return nil
	}
	n.options.ProfileRoles = given
	for _, profile := range slices.Sorted(maps.Keys(n.profiles)) {
		name, account := profile, n.options.Account
		if strings.HasPrefix(profile, "arn:") {
			fields := strings.SplitN(profile, ":", 6)
			path, ok := strings.CutPrefix(fields[len(fields)-1], "instance-profile/")
			if len(fields) != 6 || !ok {
				return fmt.Errorf("%q is not the ARN of an instance profile", profile)
			}
			name, account = path, fields[4]
		}
		if n.options.Account == "" {
			n.options.Account = account
		}
		if len(given) > 0 {
			continue
		}
		if account == "" {
			account = "*"
		}
		role := fmt.Sprintf("arn:%s:iam::%s:role/%s", n.options.Partition, account, name)
		n.options.ProfileRoles = append(n.options.ProfileRoles, role)
		n.notes[fmt.Sprintf("the role in the instance profile %s is taken to be %s; if it is another, write --profile-role with its ARN: "+
			"aws iam get-instance-profile --instance-profile-name %s --query InstanceProfile.Roles[].Arn", profile, role, name[strings.LastIndex(name, "/")+1:])] = true
	}
	return nil
}
