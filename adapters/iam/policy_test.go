package iam_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/adapters/iam"
)

var update = flag.Bool("update", false, "rewrite the policies in deployments/iam")

// example is what deployments/iam/restricted-example.json is made of.
func example() iam.Options {
	return iam.Options{
		Region: "us-east-1", Account: "111122223333", Autoscaler: "prod",
		Subnets:        []string{"subnet-0bbbbbbbbbbbbbbbb", "subnet-0aaaaaaaaaaaaaaaa"},
		SecurityGroups: []string{"sg-0aaaaaaaaaaaaaaaa"},
		AMIOwner:       "111122223333", KeyPairs: []string{"ops"},
		ProfileRoles: []string{"arn:aws:iam::111122223333:role/ebb-worker"},
		SpotRole:     true,
	}
}

// TestDeployments holds the files in deployments/iam to what the package makes.
func TestDeployments(t *testing.T) {
	t.Parallel()

	basic, err := iam.Basic(iam.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, restricted, err := iam.Policies(example())
	if err != nil {
		t.Fatal(err)
	}
	for name, policy := range map[string]iam.Policy{"basic.json": basic, "restricted-example.json": restricted} {
		path := filepath.Join("..", "..", "deployments", "iam", name)
		got, err := policy.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(path, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the package makes (go test ./adapters/iam -update rewrites it):\n%s", path, got)
		}
	}
}

// TestOrderDoesNotMatter: the same options in another order, or twice, are the
// same policy.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()

	a, b := example(), example()
	a.Snapshots, b.Snapshots = []string{"snap-1", "snap-2"}, []string{"snap-2", "snap-1"}
	a.AMIParameters, b.AMIParameters = []string{"/aws/service/x", "/own"}, []string{"/own", "/aws/service/x"}
	slices.Reverse(b.Subnets)
	b.Subnets = append(b.Subnets, b.Subnets[0])
	var texts [][]byte
	for _, options := range []iam.Options{a, b} {
		policy, err := iam.Restricted(options)
		if err != nil {
			t.Fatal(err)
		}
		text, err := policy.JSON()
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	if !bytes.Equal(texts[0], texts[1]) {
		t.Errorf("%s\nis not\n%s", texts[0], texts[1])
	}
}

func TestOptionsAddTheirGrantAlone(t *testing.T) {
	t.Parallel()

	base := iam.Options{Region: "cn-north-1", Partition: "aws-cn", Account: "111122223333", Autoscaler: "prod", AMIOwner: "amazon"}
	for name, c := range map[string]struct {
		set  func(*iam.Options)
		want []string
		text string
	}{
		"none": {func(*iam.Options) {}, nil, "arn:aws-cn:ec2:cn-north-1:111122223333:subnet/*"},
		"role": {func(o *iam.Options) { o.ProfileRoles = []string{"arn:aws-cn:iam::111122223333:role/x"} }, []string{"iam:PassRole"}, "ec2.amazonaws.com.cn"},
		"spot": {func(o *iam.Options) { o.SpotRole = true }, []string{"iam:CreateServiceLinkedRole"}, "arn:aws-cn:iam::111122223333:role/aws-service-role/"},
		"ssm": {
			func(o *iam.Options) { o.AMIParameters = []string{"/aws/service/a", "/own/b"} },
			[]string{"ssm:GetParameters"},
			"arn:aws-cn:ssm:cn-north-1::parameter/aws/service/a",
		},
		"own parameter": {
			func(o *iam.Options) { o.AMIParameters = []string{"/own/b"} },
			[]string{"ssm:GetParameters"},
			"arn:aws-cn:ssm:cn-north-1:111122223333:parameter/own/b",
		},
		"snapshot": {func(o *iam.Options) { o.Snapshots = []string{"snap-0a"} }, nil, "arn:aws-cn:ec2:cn-north-1::snapshot/snap-0a"},
	} {
		options := base
		c.set(&options)
		basic, restricted, err := iam.Policies(options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := append([]string{"ec2:CreateTags", "ec2:DescribeInstances", "ec2:DescribeSpotInstanceRequests", "ec2:GetConsoleOutput", "ec2:RunInstances", "ec2:TerminateInstances"}, c.want...)
		slices.Sort(want)
		for _, policy := range []iam.Policy{basic, restricted} {
			if got := policy.Actions(); !slices.Equal(got, want) {
				t.Errorf("%s: grants %q, want %q", name, got, want)
			}
		}
		text, err := restricted.JSON()
		if err != nil || !strings.Contains(string(text), c.text) {
			t.Errorf("%s: %q is not in %s", name, c.text, text)
		}
	}
}

func TestPoliciesRefuse(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		spoil func(*iam.Options)
		want  string
	}{
		"partition":   {func(o *iam.Options) { o.Partition = "aws-mars" }, `partition "aws-mars"`},
		"region":      {func(o *iam.Options) { o.Region = "us-east" }, `region "us-east" is not a region`},
		"zone":        {func(o *iam.Options) { o.Region = "us-east-1a" }, `region "us-east-1a"`},
		"account":     {func(o *iam.Options) { o.Account = "1111-2222-3333" }, "12 digits"},
		"owner":       {func(o *iam.Options) { o.AMIOwner = "" }, "AMI owner"},
		"subnet":      {func(o *iam.Options) { o.Subnets = []string{"subnet-*"} }, `subnet "subnet-*"`},
		"group":       {func(o *iam.Options) { o.SecurityGroups = []string{"web"} }, `security group "web"`},
		"snapshot":    {func(o *iam.Options) { o.Snapshots = []string{"x"} }, `snapshot "x"`},
		"key":         {func(o *iam.Options) { o.KeyPairs = []string{"*"} }, `key pair "*"`},
		"profile":     {func(o *iam.Options) { o.ProfileRoles = []string{"arn:aws:iam::111122223333:instance-profile/x"} }, "not the profile"},
		"any role":    {func(o *iam.Options) { o.ProfileRoles = []string{"arn:aws:iam::111122223333:role/*"} }, "profile role"},
		"parameter":   {func(o *iam.Options) { o.AMIParameters = []string{"x"} }, `AMI parameter "x"`},
		"no name":     {func(o *iam.Options) { o.Autoscaler = "" }, `autoscaler ""`},
		"a variable":  {func(o *iam.Options) { o.Autoscaler = "${aws:username}" }, "without ${"},
		"two at once": {func(o *iam.Options) { o.Region, o.Account = "", "" }, "account"},
		"too long": {func(o *iam.Options) {
			for i := range 120 {
				o.Subnets = append(o.Subnets, fmt.Sprintf("subnet-%017x", i))
			}
		}, "IAM takes 6144: name fewer"},
	} {
		options := example()
		c.spoil(&options)
		if _, _, err := iam.Policies(options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, c.want)
		}
	}
}

// TestSize counts as IAM does, and leaves room for some dozens of subnets.
func TestSize(t *testing.T) {
	t.Parallel()

	options := example()
	for i := range 40 {
		options.Subnets = append(options.Subnets, fmt.Sprintf("subnet-%017x", i))
	}
	policy, err := iam.Restricted(options)
	if err != nil {
		t.Fatal(err)
	}
	text, err := policy.JSON()
	if err != nil {
		t.Fatal(err)
	}
	size, err := policy.Size()
	if want := len(strings.Join(strings.Fields(string(text)), "")); err != nil || size != want {
		t.Errorf("size %d, %v, want the %d characters that are not blank", size, err, want)
	}
}
