package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// SizeMax is how many characters a managed policy may have, blanks not counted.
const SizeMax = 6144

// ownerTag is the tag that says whose an instance is; the EC2 adapter puts it
// on everything inside the launch call.
const ownerTag = "ebb:autoscaler"

// Policy is an IAM policy document.
type Policy struct {
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Statement grants actions on resources under a condition.
type Statement struct {
	ID       string   `json:"Sid"`
	Effect   string   `json:"Effect"`
	Action   []string `json:"Action"`
	Resource []string `json:"Resource"`
	// Condition is operator, then key, then value.
	Condition map[string]map[string]string `json:"Condition,omitempty"`
}

// JSON is the policy as a file: indented, with a newline at the end.
func (p Policy) JSON() ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(p); err != nil {
		return nil, fmt.Errorf("write IAM policy: %w", err)
	}
	return text.Bytes(), nil
}

// Actions are the actions that the policy grants somewhere, sorted.
func (p Policy) Actions() []string {
	var actions []string
	for _, statement := range p.Statement {
		actions = append(actions, statement.Action...)
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

// Size is how many characters IAM counts. At most [SizeMax] are allowed.
func (p Policy) Size() (int, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return 0, fmt.Errorf("measure IAM policy: %w", err)
	}
	return len([]rune(string(text))), nil
}

// Policies makes both policies: the basic and the restricted one.
func Policies(options Options) (basic, restricted Policy, err error) {
	basic, basicErr := Basic(options)
	restricted, restrictedErr := Restricted(options)
	if err := errors.Join(basicErr, restrictedErr); err != nil {
		return Policy{}, Policy{}, err
	}
	return basic, restricted, nil
}

// Basic makes the policy without limits on where and what: all instances of the
// account can be ended with it. Of the options it uses Partition, NoSpot, and
// ProfileRoles, AMIParameters and SpotRole, of which each adds a grant. The error
// lists all that is wrong with them.
func Basic(options Options) (Policy, error) {
	options = options.normal()
	if err := errors.Join(options.checkShared()...); err != nil {
		return Policy{}, fmt.Errorf("make basic IAM policy: %w", err)
	}
	actions := append(options.listings(), "ec2:CreateTags", "ec2:GetConsoleOutput", "ec2:RunInstances", "ec2:TerminateInstances")
	slices.Sort(actions)
	statements := []Statement{allow("Autoscaler", actions, []string{"*"}, nil)}
	return sized(append(statements, options.optional("*", "*")...))
}

// Restricted makes the policy that only lets the autoscaler launch, see and end
// what is its own. The error lists all that is wrong with the options, and says
// when the policy would be too long for IAM.
func Restricted(options Options) (Policy, error) {
	options = options.normal()
	if err := options.checkRestricted(); err != nil {
		return Policy{}, fmt.Errorf("make restricted IAM policy: %w", err)
	}
	created := options.created()
	instances := []string{options.arn("instance", "*")}
	run := []string{"ec2:RunInstances"}
	statements := []Statement{
		// Listings know no resources: all or none.
		allow("See", options.listings(), []string{"*"}, equals("aws:RequestedRegion", options.Region)),
		// What a launch makes must carry the owner tag from the first moment.
		allow("LaunchOnlyTagged", run, created, equals("aws:RequestTag/"+ownerTag, options.Autoscaler)),
		allow("LaunchWith", run, options.used(), nil),
	}
	if options.NeedsAMIOwner() {
		statements = append(statements,
			allow("LaunchFromImage", run, []string{options.public("image", "*")}, equals("ec2:Owner", options.AMIOwner)))
	}
	statements = append(statements,
		// Tags only as part of a launch: a foreign instance cannot be made ours.
		allow("TagAtLaunch", []string{"ec2:CreateTags"}, created, equals("ec2:CreateAction", "RunInstances")),
		allow("OnlyOwn", []string{"ec2:GetConsoleOutput", "ec2:TerminateInstances"}, instances,
			equals("aws:ResourceTag/"+ownerTag, options.Autoscaler)))
	return sized(append(statements, options.optional(options.Region, options.Account)...))
}

// listings are the actions that list.
func (o Options) listings() []string {
	if o.NoSpot {
		return []string{"ec2:DescribeInstances"}
	}
	return []string{"ec2:DescribeInstances", "ec2:DescribeSpotInstanceRequests"}
}

// created are the ARNs of what a launch makes.
func (o Options) created() []string {
	kinds := []string{"instance", "network-interface", "spot-instances-request", "volume"}
	if o.NoSpot {
		kinds = []string{"instance", "network-interface", "volume"}
	}
	list := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		list = append(list, o.arn(kind, "*"))
	}
	return list
}

// used are the ARNs of what a launch names. None of a key pair, a snapshot or an
// image named by its id is none; none of the others is any.
func (o Options) used() []string {
	list := append(o.arns("subnet", o.Subnets), o.arns("security-group", o.SecurityGroups)...)
	for _, name := range distinct(o.KeyPairs) {
		list = append(list, o.arn("key-pair", name))
	}
	for _, snapshot := range distinct(o.Snapshots) {
		list = append(list, o.public("snapshot", snapshot))
	}
	for _, image := range distinct(o.AMIs) {
		list = append(list, o.public("image", image))
	}
	return list
}

// distinct is a list sorted, with each value once.
func distinct(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// normal is the options with the defaults filled in.
func (o Options) normal() Options {
	if o.Partition == "" {
		o.Partition = "aws"
	}
	return o
}

// optional are the statements that come with an option each.
func (o Options) optional(region, account string) []Statement {
	var statements []Statement
	if len(o.AMIParameters) > 0 {
		var parameters []string
		for _, path := range o.AMIParameters {
			// Those below /aws/ belong to AWS and have no account.
			owner := account
			if strings.HasPrefix(path, "/aws/") {
				owner = ""
			}
			parameters = append(parameters, fmt.Sprintf("arn:%s:ssm:%s:%s:parameter%s", o.Partition, region, owner, path))
		}
		slices.Sort(parameters)
		statements = append(statements, allow("ResolveImage", []string{"ssm:GetParameters"}, slices.Compact(parameters), nil))
	}
	if len(o.ProfileRoles) > 0 {
		statements = append(statements, allow("GiveRole", []string{"iam:PassRole"}, distinct(o.ProfileRoles),
			equals("iam:PassedToService", o.service())))
	}
	if o.SpotRole {
		role := fmt.Sprintf("arn:%s:iam::%s:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot", o.Partition, account)
		statements = append(statements, allow("FirstSpotLaunch", []string{"iam:CreateServiceLinkedRole"}, []string{role},
			equals("iam:AWSServiceName", "spot.amazonaws.com")))
	}
	return statements
}

func allow(id string, actions, resources []string, condition map[string]map[string]string) Statement {
	return Statement{ID: id, Effect: "Allow", Action: actions, Resource: resources, Condition: condition}
}

func equals(key, value string) map[string]map[string]string {
	return map[string]map[string]string{"StringEquals": {key: value}}
}

// sized is the policy, unless IAM would find it too long.
func sized(statements []Statement) (Policy, error) {
	policy := Policy{Version: "2012-10-17", Statement: statements}
	size, err := policy.Size()
	if err != nil {
		return Policy{}, err
	}
	if size > SizeMax {
		return Policy{}, fmt.Errorf("make IAM policy: it has %d characters and IAM takes %d: name fewer subnets, security groups and snapshots, or make one for each autoscaler", size, SizeMax)
	}
	return policy, nil
}
