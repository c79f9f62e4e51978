package iam

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Options say what a policy is for. The restricted policy needs Region, Account,
// Autoscaler, and AMIs or AMIOwner; the basic one needs nothing.
type Options struct {
	// Partition is aws, aws-cn or aws-us-gov; empty for aws.
	Partition string
	// Region is the one region in which everything happens.
	Region string
	// Account is the 12-digit number of the account.
	Account string
	// Subnets are the ids of the subnets to launch into; none for any subnet
	// of the account in the region.
	Subnets []string
	// SecurityGroups are the ids of the groups that instances may get; none for
	// any.
	SecurityGroups []string
	// AMIs are the ids of the images; none for any image of AMIOwner.
	AMIs []string
	// AMIOwner is who owns the images that AMIs does not name: an account number,
	// amazon or aws-marketplace. See [Options.NeedsAMIOwner].
	AMIOwner string
	// AMIParameters are the paths of SSM parameters from which image ids are
	// resolved, such as /aws/service/…; none when images are given by id.
	AMIParameters []string
	// Snapshots are the ids of snapshots that volumes start with; none when
	// they start empty or with the image.
	Snapshots []string
	// KeyPairs are the names of the SSH key pairs that instances get.
	KeyPairs []string
	// ProfileRoles are the ARNs of the roles inside the instance profiles that
	// instances get. Their account may be * in the basic policy, for any.
	ProfileRoles []string
	// NoSpot leaves out what only spot instances need.
	NoSpot bool
	// SpotRole also grants to make the account's service-linked role for spot,
	// which the first spot request of an account needs.
	SpotRole bool
	// Autoscaler is the value of the owner tag.
	Autoscaler string
}

// NeedsAMIOwner tells whether the restricted policy has to know AMIOwner: no
// image is named by its id, or some are resolved from parameters, which can hold
// any.
func (o Options) NeedsAMIOwner() bool { return len(o.AMIs) == 0 || len(o.AMIParameters) > 0 }

// service is the name of EC2 as a service that is passed a role.
func (o Options) service() string {
	if o.Partition == "aws-cn" {
		return "ec2.amazonaws.com.cn"
	}
	return "ec2.amazonaws.com"
}

// arn is the ARN of something of EC2 in the account and region.
func (o Options) arn(kind, id string) string {
	return fmt.Sprintf("arn:%s:ec2:%s:%s:%s/%s", o.Partition, o.Region, o.Account, kind, id)
}

// public is the ARN of something of EC2 that has no account: images, snapshots.
func (o Options) public(kind, id string) string {
	return fmt.Sprintf("arn:%s:ec2:%s::%s/%s", o.Partition, o.Region, kind, id)
}

// arns are the ARNs of the given ids, sorted, or of all when none is given.
func (o Options) arns(kind string, ids []string) []string {
	if len(ids) == 0 {
		return []string{o.arn(kind, "*")}
	}
	var list []string
	for _, id := range ids {
		list = append(list, o.arn(kind, id))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// checkShared checks what both policies use.
func (o Options) checkShared() []error {
	var problems []error
	if !slices.Contains([]string{"aws", "aws-cn", "aws-us-gov"}, o.Partition) {
		problems = append(problems, fmt.Errorf("partition %q is none of aws, aws-cn, aws-us-gov", o.Partition))
	}
	for _, role := range o.ProfileRoles {
		problems = append(problems, match("profile role", role, `^arn:aws[a-z-]*:iam::([0-9]{12}|\*):role/[\w+=,.@/-]+$`,
			"the ARN of a role, such as arn:aws:iam::111122223333:role/worker (the role in the profile, not the profile)"))
	}
	if o.NoSpot && o.SpotRole {
		problems = append(problems, errors.New("the role for spot is asked for, and no spot instances are"))
	}
	for _, parameter := range o.AMIParameters {
		problems = append(problems, match("AMI parameter", parameter, `^/[\w./-]+$`, "the path of an SSM parameter, such as /aws/service/x"))
	}
	return problems
}

// checkRestricted checks what only the restricted policy uses.
func (o Options) checkRestricted() error {
	problems := o.checkShared()
	problems = append(problems,
		match("region", o.Region, `^[a-z]{2}(-[a-z]+)+-[0-9]+$`, "a region, such as us-east-1"),
		match("account", o.Account, `^[0-9]{12}$`, "an account number of 12 digits"))
	if o.NeedsAMIOwner() {
		problems = append(problems, match("AMI owner", o.AMIOwner, `^([0-9]{12}|amazon|aws-marketplace)$`, "an account number, amazon or aws-marketplace"))
	}
	for _, name := range o.KeyPairs {
		problems = append(problems, match("key pair", name, `^[^*?$\s]+$`, "the name of a key pair without *, ?, $ and blanks"))
	}
	for _, role := range o.ProfileRoles {
		if strings.Contains(role, "*") {
			problems = append(problems, fmt.Errorf("profile role %q has no account number", role))
		}
	}
	for _, list := range []struct {
		what, prefix string
		ids          []string
	}{{"AMI", "ami", o.AMIs}, {"subnet", "subnet", o.Subnets}, {"security group", "sg", o.SecurityGroups}, {"snapshot", "snap", o.Snapshots}} {
		for _, id := range list.ids {
			problems = append(problems, match(list.what, id, `^`+list.prefix+`-[0-9a-f]+$`, "an id that begins with "+list.prefix+"-"))
		}
	}
	// IAM replaces ${…} in values, even where it takes * literally.
	if o.Autoscaler == "" || len(o.Autoscaler) > 256 || strings.Contains(o.Autoscaler, "${") {
		problems = append(problems, fmt.Errorf("autoscaler %q: it must have 1 to 256 bytes, without ${", o.Autoscaler))
	}
	return errors.Join(problems...)
}

// match returns what is wrong with a value that does not match, or nil.
func match(what, value, pattern, want string) error {
	if regexp.MustCompile(pattern).MatchString(value) {
		return nil
	}
	return fmt.Errorf("%s %q is not %s", what, value, want)
}
