package fakeec2_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
)

// identity is a client of STS for the region.
func (r *region) identity(name, key string) *sts.Client {
	return sts.New(sts.Options{
		Region: name, BaseEndpoint: aws.String(r.server.URL), HTTPClient: r.server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider(key, "secret", ""), Retryer: aws.NopRetryer{},
	})
}

func TestGetCallerIdentity(t *testing.T) {
	t.Parallel()

	r := newRegion(t, func(c *fakeec2.Config) { c.AccessKeys = []string{"AKIDEXAMPLE"} })
	for _, name := range []string{"us-east-1", "eu-west-1"} { // a key is good in every region
		who, err := r.identity(name, "AKIDEXAMPLE").GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if err != nil || aws.ToString(who.Account) != "123456789012" || aws.ToString(who.Arn) != "arn:aws:iam::123456789012:user/ebb" {
			t.Errorf("got %+v, %v", who, err)
		}
	}
	_, err := r.identity("us-east-1", "AKIDOTHER").GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	wantError(t, err, "InvalidClientTokenId", 403)
	r.SetDenied("GetCallerIdentity")
	if err := r.Inject(fakeec2.Fault{Action: "GetCallerIdentity", Kind: fakeec2.FaultErrorBefore, Code: "Throttling"}); err != nil {
		t.Fatal(err)
	}
	_, err = r.identity("us-east-1", "AKIDEXAMPLE").GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	wantError(t, err, "Throttling", 400)
}

// TestDryRunChecks: a dry run tells what a call would be told, and does nothing.
func TestDryRunChecks(t *testing.T) {
	t.Parallel()

	r := newRegion(t, nil)
	id := r.run(t, 1, nil)[0]
	terminate := func(id string) error {
		_, err := r.client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}, DryRun: aws.Bool(true)})
		return err
	}
	wantError(t, terminate(id), "DryRunOperation", 412)
	wantError(t, terminate("i-0123456789abcdef0"), "InvalidInstanceID.NotFound", 400)
	_, err := r.client.GetConsoleOutput(t.Context(), &ec2.GetConsoleOutputInput{InstanceId: aws.String(id), DryRun: aws.Bool(true)})
	wantError(t, err, "DryRunOperation", 412)
	r.SetDenied("TerminateInstances")
	wantError(t, terminate("i-0123456789abcdef0"), "UnauthorizedOperation", 403)
	if list := r.describe(t, &ec2.DescribeInstancesInput{}); len(list) != 1 || list[0].State.Name != types.InstanceStateNamePending {
		t.Errorf("got %+v", list)
	}
}

// TestLaunchNames looks at what a launch names besides type and subnet.
func TestLaunchNames(t *testing.T) {
	t.Parallel()

	catalog := fakeec2.DefaultCatalog()
	catalog.SecurityGroups = append(catalog.SecurityGroups, fakeec2.SecurityGroup{ID: "sg-0f0000000000000ff", Name: "x", VPCID: "vpc-2"})
	catalog.Subnets = append(catalog.Subnets, fakeec2.Subnet{ID: "subnet-0f0000000000000ff", Zone: "us-east-1a", CIDR: "10.0.0.0/24", Addresses: 9, VPCID: "vpc-2"})
	catalog.Images[2].State = "deregistered"
	profile := func(name, arn *string) func(*ec2.RunInstancesInput) {
		return func(in *ec2.RunInstancesInput) {
			in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: name, Arn: arn}
		}
	}
	for name, c := range map[string]struct {
		change func(*ec2.RunInstancesInput)
		deny   string
		code   string
		status int
	}{
		"all is well":         {change: profile(aws.String("worker"), nil), code: "DryRunOperation", status: 412},
		"profile by ARN":      {change: profile(nil, aws.String("arn:aws:iam::123456789012:instance-profile/worker")), code: "DryRunOperation", status: 412},
		"no such profile":     {change: profile(aws.String("nobody"), nil), code: "InvalidParameterValue", status: 400},
		"no such profile ARN": {change: profile(nil, aws.String("arn:aws:iam::123456789012:instance-profile/nobody")), code: "InvalidParameterValue", status: 400},
		"role not to give":    {change: profile(aws.String("worker"), nil), deny: "PassRole", code: "UnauthorizedOperation", status: 403},
		"role not needed":     {deny: "PassRole", code: "DryRunOperation", status: 412},
		"parameter":           {change: func(in *ec2.RunInstancesInput) { in.ImageId = aws.String("resolve:ssm:/ebb/images/x86_64") }, code: "DryRunOperation", status: 412},
		"no such parameter":   {change: func(in *ec2.RunInstancesInput) { in.ImageId = aws.String("resolve:ssm:/none") }, code: "SsmInvalidParameter", status: 400},
		"parameter denied":    {change: func(in *ec2.RunInstancesInput) { in.ImageId = aws.String("resolve:ssm:/ebb/images/x86_64") }, deny: "GetParameters", code: "UnauthorizedOperation", status: 403},
		"image is gone": {change: func(in *ec2.RunInstancesInput) {
			in.ImageId, in.InstanceType = aws.String("ami-0e3a1b2c3d4e5f603"), "c7g.xlarge"
		}, code: "InvalidAMIID.Unavailable", status: 400},
		"other network": {change: func(in *ec2.RunInstancesInput) { in.SecurityGroupIds = []string{"sg-0f0000000000000ff"} }, code: "InvalidParameter", status: 400},
		"that network": {change: func(in *ec2.RunInstancesInput) {
			in.SecurityGroupIds, in.SubnetId = []string{"sg-0f0000000000000ff"}, aws.String("subnet-0f0000000000000ff")
		}, code: "DryRunOperation", status: 412},
		"that network's default": {change: func(in *ec2.RunInstancesInput) { in.SubnetId = aws.String("subnet-0f0000000000000ff") }, code: "DryRunOperation", status: 412},
		"role for spot": {change: func(in *ec2.RunInstancesInput) {
			in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}
		}, deny: "CreateServiceLinkedRole", code: "AuthFailure.ServiceLinkedRoleCreationNotPermitted", status: 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := newRegion(t, func(config *fakeec2.Config) {
				config.Catalog = catalog
				if c.deny != "" {
					config.Denied = []string{c.deny}
				}
			})
			in := runInput(1, 1)
			in.DryRun = aws.Bool(true)
			if c.change != nil {
				c.change(in)
			}
			_, err := r.client.RunInstances(t.Context(), in)
			wantError(t, err, c.code, c.status)
			if len(r.Instances()) != 0 {
				t.Error("it was launched")
			}
		})
	}
}

// TestOnlyTagged is the policy that lets a caller have what carries its tag.
func TestOnlyTagged(t *testing.T) {
	t.Parallel()

	r := newRegion(t, func(c *fakeec2.Config) { c.OnlyTagged = fakeec2.Tag{Key: "ebb:autoscaler", Value: "prod"} })
	tagged := func(owner string) *ec2.RunInstancesInput {
		in := runInput(1, 1)
		in.TagSpecifications = []types.TagSpecification{{
			ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("ebb:autoscaler"), Value: aws.String(owner)}},
		}}
		return in
	}
	for _, in := range []*ec2.RunInstancesInput{runInput(1, 1), tagged("other")} {
		_, err := r.client.RunInstances(t.Context(), in)
		wantError(t, err, "UnauthorizedOperation", 403)
	}
	out, err := r.client.RunInstances(t.Context(), tagged("prod"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}})
	wantError(t, err, "UnauthorizedOperation", 403)
	if _, err := r.client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: ids(out.Instances)}); err != nil {
		t.Error(err)
	}
}

// TestPermissiveKnowsAll: with a permissive catalog, what can be launched with
// can be looked up.
func TestPermissiveKnowsAll(t *testing.T) {
	t.Parallel()

	catalog := fakeec2.DefaultCatalog()
	catalog.Permissive = true
	r := newRegion(t, func(c *fakeec2.Config) { c.Catalog = catalog })
	groups, err := r.client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{"sg-0123456789abcdef0"}})
	if err != nil || len(groups.SecurityGroups) != 1 {
		t.Errorf("got %+v, %v", groups, err)
	}
	pairs, err := r.client.DescribeKeyPairs(t.Context(), &ec2.DescribeKeyPairsInput{KeyNames: []string{"mine"}})
	if err != nil || len(pairs.KeyPairs) != 1 {
		t.Errorf("got %+v, %v", pairs, err)
	}
	in := runInput(1, 1)
	in.DryRun, in.ImageId = aws.Bool(true), aws.String("resolve:ssm:/any")
	in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String("any")}
	_, err = r.client.RunInstances(t.Context(), in)
	wantError(t, err, "DryRunOperation", 412)
}
