package iam_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/adapters/iam"
)

// query is one question to IAM: may this be done to that, in this context?
type query struct {
	action, resource string
	context          map[string]string
}

// allows evaluates the policy as IAM does, for the little of the language that
// these policies use.
func allows(t *testing.T, policy iam.Policy, q query) bool {
	t.Helper()

	return slices.ContainsFunc(policy.Statement, func(s iam.Statement) bool {
		if s.Effect != "Allow" || !slices.Contains(s.Action, q.action) {
			return false
		}
		if !slices.ContainsFunc(s.Resource, func(pattern string) bool { return like(pattern, q.resource) }) {
			return false
		}
		for operator, conditions := range s.Condition {
			if operator != "StringEquals" {
				t.Fatalf("operator %s is not known here", operator)
			}
			for key, want := range conditions {
				if got, ok := q.context[key]; !ok || got != want {
					return false
				}
			}
		}
		return true
	})
}

func like(pattern, text string) bool {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$").MatchString(text)
}

// TestRestrictedPolicyRestricts asks the policy what it is for.
func TestRestrictedPolicyRestricts(t *testing.T) {
	t.Parallel()

	policy, err := iam.Restricted(example())
	if err != nil {
		t.Fatal(err)
	}
	const (
		here     = "arn:aws:ec2:us-east-1:111122223333:"
		instance = here + "instance/i-0123"
	)
	tag := func(owner string) map[string]string { return map[string]string{"aws:RequestTag/ebb:autoscaler": owner} }
	mine := map[string]string{"aws:ResourceTag/ebb:autoscaler": "prod"}
	theirs := map[string]string{"aws:ResourceTag/ebb:autoscaler": "staging"}
	for _, c := range []struct {
		query
		want bool
	}{
		{query{"ec2:TerminateInstances", instance, mine}, true},
		{query{"ec2:TerminateInstances", instance, theirs}, false},
		{query{"ec2:TerminateInstances", instance, nil}, false},
		{query{"ec2:TerminateInstances", strings.Replace(instance, "us-east-1", "eu-west-1", 1), mine}, false},
		{query{"ec2:TerminateInstances", strings.Replace(instance, "111122223333", "444455556666", 1), mine}, false},
		{query{"ec2:GetConsoleOutput", instance, mine}, true},
		{query{"ec2:GetConsoleOutput", instance, theirs}, false},
		{query{"ec2:DescribeInstances", "*", map[string]string{"aws:RequestedRegion": "us-east-1"}}, true},
		{query{"ec2:DescribeInstances", "*", map[string]string{"aws:RequestedRegion": "eu-west-1"}}, false},
		{query{"ec2:DescribeSpotInstanceRequests", "*", map[string]string{"aws:RequestedRegion": "us-east-1"}}, true},
		{query{"ec2:DescribeSpotInstanceRequests", "*", map[string]string{"aws:RequestedRegion": "eu-west-1"}}, false},

		{query{"ec2:RunInstances", here + "instance/*", tag("prod")}, true},
		{query{"ec2:RunInstances", here + "volume/*", tag("prod")}, true},
		{query{"ec2:RunInstances", here + "network-interface/*", tag("prod")}, true},
		{query{"ec2:RunInstances", here + "spot-instances-request/*", tag("prod")}, true},
		{query{"ec2:RunInstances", here + "instance/*", tag("staging")}, false},
		{query{"ec2:RunInstances", here + "instance/*", nil}, false},
		{query{"ec2:RunInstances", here + "volume/*", nil}, false},
		{query{"ec2:RunInstances", here + "subnet/subnet-0aaaaaaaaaaaaaaaa", nil}, true},
		{query{"ec2:RunInstances", here + "subnet/subnet-0ccc", nil}, false},
		{query{"ec2:RunInstances", here + "security-group/sg-0aaaaaaaaaaaaaaaa", nil}, true},
		{query{"ec2:RunInstances", here + "security-group/sg-0ccc", nil}, false},
		{query{"ec2:RunInstances", here + "key-pair/ops", nil}, true},
		{query{"ec2:RunInstances", here + "key-pair/root", nil}, false},
		{query{"ec2:RunInstances", "arn:aws:ec2:us-east-1::image/ami-1", map[string]string{"ec2:Owner": "111122223333"}}, true},
		{query{"ec2:RunInstances", "arn:aws:ec2:us-east-1::image/ami-1", map[string]string{"ec2:Owner": "444455556666"}}, false},

		{query{"ec2:CreateTags", instance, map[string]string{"ec2:CreateAction": "RunInstances"}}, true},
		{query{"ec2:CreateTags", instance, nil}, false},
		{query{"ec2:CreateTags", instance, tag("prod")}, false},
		{query{"ec2:DeleteTags", instance, mine}, false},
		{query{"ec2:StopInstances", instance, mine}, false},

		{query{"iam:PassRole", "arn:aws:iam::111122223333:role/ebb-worker", map[string]string{"iam:PassedToService": "ec2.amazonaws.com"}}, true},
		{query{"iam:PassRole", "arn:aws:iam::111122223333:role/ebb-worker", map[string]string{"iam:PassedToService": "lambda.amazonaws.com"}}, false},
		{query{"iam:PassRole", "arn:aws:iam::111122223333:role/admin", map[string]string{"iam:PassedToService": "ec2.amazonaws.com"}}, false},
	} {
		if got := allows(t, policy, c.query); got != c.want {
			t.Errorf("%s on %s with %v: allowed is %t", c.action, c.resource, c.context, got)
		}
	}
}
