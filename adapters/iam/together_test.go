package iam_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/adapters/iam"
)

// TestNamedImages: images named by their ids need no owner, and no other image
// can be launched from.
func TestNamedImages(t *testing.T) {
	t.Parallel()

	options := example()
	options.AMIOwner, options.AMIs, options.NoSpot, options.SpotRole = "", []string{"ami-0aaa"}, true, false
	policy, err := iam.Restricted(options)
	if err != nil {
		t.Fatal(err)
	}
	const public = "arn:aws:ec2:us-east-1::image/"
	for _, c := range []struct {
		query
		want bool
	}{
		{query{"ec2:RunInstances", public + "ami-0aaa", nil}, true},
		{query{"ec2:RunInstances", public + "ami-0bbb", nil}, false},
		{query{"ec2:RunInstances", public + "ami-0bbb", map[string]string{"ec2:Owner": "111122223333"}}, false},
		{query{"ec2:RunInstances", "arn:aws:ec2:us-east-1:111122223333:spot-instances-request/*", map[string]string{"aws:RequestTag/ebb:autoscaler": "prod"}}, false},
		{query{"ec2:DescribeSpotInstanceRequests", "*", map[string]string{"aws:RequestedRegion": "us-east-1"}}, false},
		{query{"ec2:DescribeInstances", "*", map[string]string{"aws:RequestedRegion": "us-east-1"}}, true},
	} {
		if got := allows(t, policy, c.query); got != c.want {
			t.Errorf("%s on %s with %v: allowed is %t", c.action, c.resource, c.context, got)
		}
	}
	// A parameter can hold any image, so that the owner is needed again.
	options.AMIParameters = []string{"/mine/ami"}
	if _, err := iam.Restricted(options); err == nil || !strings.Contains(err.Error(), "AMI owner") {
		t.Errorf("got %v", err)
	}
}

// TestTogether: one policy for two autoscalers grants what each of theirs does.
func TestTogether(t *testing.T) {
	t.Parallel()

	one, two := example(), example()
	two.Autoscaler, two.Region = "dev", "eu-west-1"
	parts := make([]iam.Policy, 0, 2)
	for _, options := range []iam.Options{one, two} {
		policy, err := iam.Restricted(options)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, policy)
	}
	policy, err := iam.Together(parts...)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, statement := range policy.Statement {
		if seen[statement.ID] {
			t.Errorf("%s is there twice", statement.ID)
		}
		seen[statement.ID] = true
	}
	if !seen["OnlyOwn2"] || seen["GiveRole2"] || seen["FirstSpotLaunch2"] {
		t.Errorf("the statements are %v", seen)
	}
	if !slices.Equal(policy.Actions(), parts[0].Actions()) {
		t.Errorf("the actions are %q", policy.Actions())
	}
	for instance, want := range map[string]map[string]bool{
		"arn:aws:ec2:us-east-1:111122223333:instance/i-1": {"prod": true, "dev": false},
		"arn:aws:ec2:eu-west-1:111122223333:instance/i-1": {"prod": false, "dev": true},
	} {
		for owner, allowed := range want {
			q := query{"ec2:TerminateInstances", instance, map[string]string{"aws:ResourceTag/ebb:autoscaler": owner}}
			if got := allows(t, policy, q); got != allowed {
				t.Errorf("%s of %s: allowed is %t", instance, owner, got)
			}
		}
	}
	for i := range 20 {
		options := example()
		options.Autoscaler = fmt.Sprintf("a%d", i)
		policy, err := iam.Restricted(options)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, policy)
	}
	if _, err := iam.Together(parts...); err == nil || !strings.Contains(err.Error(), "one for each autoscaler") {
		t.Errorf("got %v", err)
	}
}
