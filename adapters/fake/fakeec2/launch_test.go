package fakeec2_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
)

func tagSpec(kind types.ResourceType, pairs ...string) types.TagSpecification {
	spec := types.TagSpecification{ResourceType: kind}
	for n := 0; n < len(pairs); n += 2 {
		spec.Tags = append(spec.Tags, types.Tag{Key: aws.String(pairs[n]), Value: aws.String(pairs[n+1])})
	}
	return spec
}

// TestLaunchIsSeenAsAsked launches with every option the model has and reads it back.
func TestLaunchIsSeenAsAsked(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	in := runInput(1, 1)
	in.ClientToken = aws.String("token-1")
	in.KeyName = aws.String("ops")
	in.SecurityGroupIds = []string{"sg-0f00000000000000b"}
	in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String("worker")}
	in.InstanceInitiatedShutdownBehavior = types.ShutdownBehaviorTerminate
	in.Monitoring = &types.RunInstancesMonitoringEnabled{Enabled: aws.Bool(true)}
	in.MetadataOptions = &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired, HttpPutResponseHopLimit: aws.Int32(2)}
	in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot, SpotOptions: &types.SpotMarketOptions{MaxPrice: aws.String("0.3")}}
	in.BlockDeviceMappings = []types.BlockDeviceMapping{
		{DeviceName: aws.String("/dev/sda1"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(100), DeleteOnTermination: aws.Bool(false)}},
		{DeviceName: aws.String("/dev/sdf"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(50), VolumeType: types.VolumeTypeGp3}},
	}
	in.TagSpecifications = []types.TagSpecification{
		tagSpec(types.ResourceTypeInstance, "Name", "w <1>", "ebb:autoscaler", "prod"), tagSpec(types.ResourceTypeVolume, "of", "volume"),
		tagSpec(types.ResourceTypeNetworkInterface, "of", "eni"), tagSpec(types.ResourceTypeSpotInstancesRequest, "of", "spot"),
	}
	out, err := r.client.RunInstances(t.Context(), in)
	wantNone(t, err)
	if aws.ToString(out.OwnerId) != "123456789012" || out.Instances[0].State.Name != types.InstanceStateNamePending {
		t.Errorf("answer is %+v", out)
	}
	i := r.describe(t, &ec2.DescribeInstancesInput{InstanceIds: ids(out.Instances)})[0]
	got := map[string]string{
		"token": aws.ToString(i.ClientToken), "key": aws.ToString(i.KeyName), "group": aws.ToString(i.SecurityGroups[0].GroupName),
		"profile": aws.ToString(i.IamInstanceProfile.Arn), "monitoring": string(i.Monitoring.State), "tokens": string(i.MetadataOptions.HttpTokens),
		"lifecycle": string(i.InstanceLifecycle), "zone": aws.ToString(i.Placement.AvailabilityZone), "subnet": aws.ToString(i.SubnetId),
		"name": aws.ToString(i.Tags[0].Value), "owner": aws.ToString(i.Tags[1].Value), "device": aws.ToString(i.BlockDeviceMappings[1].DeviceName),
		"state reason": aws.ToString(i.StateReason.Code), "launched": i.LaunchTime.Format(time.RFC3339),
	}
	want := map[string]string{
		"token": "token-1", "key": "ops", "group": "workers", "profile": "arn:aws:iam::123456789012:instance-profile/worker", "monitoring": "enabled",
		"tokens": "required", "lifecycle": "spot", "zone": "us-east-1a", "subnet": subnetA, "name": "w <1>", "owner": "prod", "device": "/dev/sdf",
		"state reason": "pending", "launched": "2026-11-23T12:00:00Z",
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %q, want %q", k, got[k], v)
		}
	}
	if *i.BlockDeviceMappings[0].Ebs.DeleteOnTermination || !*i.BlockDeviceMappings[1].Ebs.DeleteOnTermination || *i.MetadataOptions.HttpPutResponseHopLimit != 2 {
		t.Errorf("options are %+v %+v", i.BlockDeviceMappings, i.MetadataOptions)
	}
	spots, err := r.client.DescribeSpotInstanceRequests(t.Context(), &ec2.DescribeSpotInstanceRequestsInput{SpotInstanceRequestIds: []string{aws.ToString(i.SpotInstanceRequestId)}})
	wantNone(t, err)
	s := spots.SpotInstanceRequests[0]
	if aws.ToString(s.InstanceId) != aws.ToString(i.InstanceId) || s.State != types.SpotInstanceStateActive || aws.ToString(s.Tags[0].Value) != "spot" ||
		aws.ToString(s.SpotPrice) != "0.3" || aws.ToString(s.Status.Code) != "fulfilled" {
		t.Errorf("spot request is %+v", s)
	}
	tags, err := r.client.DescribeTags(t.Context(), &ec2.DescribeTagsInput{Filters: []types.Filter{{Name: aws.String("key"), Values: []string{"of"}}}})
	wantNone(t, err)
	kinds := map[types.ResourceType]int{}
	for _, tag := range tags.Tags {
		kinds[tag.ResourceType]++
	}
	if kinds[types.ResourceTypeVolume] != 2 || kinds[types.ResourceTypeNetworkInterface] != 1 || kinds[types.ResourceTypeSpotInstancesRequest] != 1 {
		t.Errorf("tags are %v", kinds)
	}
}

// TestLaunchRefusals gives each malformed launch the error that EC2 gives it.
func TestLaunchRefusals(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		code   string
		status int
		change func(*ec2.RunInstancesInput)
	}{
		"dry run":            {"DryRunOperation", 412, func(in *ec2.RunInstancesInput) { in.DryRun = aws.Bool(true) }},
		"min over max":       {"InvalidParameterCombination", 400, func(in *ec2.RunInstancesInput) { in.MinCount = aws.Int32(3) }},
		"no minimum":         {"InvalidParameterValue", 400, func(in *ec2.RunInstancesInput) { in.MinCount = aws.Int32(0) }},
		"long token":         {"InvalidParameterValue", 400, func(in *ec2.RunInstancesInput) { in.ClientToken = aws.String(strings.Repeat("x", 65)) }},
		"unknown type":       {"InvalidParameterValue", 400, func(in *ec2.RunInstancesInput) { in.InstanceType = "g99.huge" }},
		"malformed image":    {"InvalidAMIID.Malformed", 400, func(in *ec2.RunInstancesInput) { in.ImageId = aws.String("ami-x") }},
		"unknown image":      {"InvalidAMIID.NotFound", 400, func(in *ec2.RunInstancesInput) { in.ImageId = aws.String("ami-00000000000000009") }},
		"wrong architecture": {"InvalidParameterValue", 400, func(in *ec2.RunInstancesInput) { in.ImageId = aws.String("ami-0e3a1b2c3d4e5f603") }},
		"unknown group":      {"InvalidGroup.NotFound", 400, func(in *ec2.RunInstancesInput) { in.SecurityGroupIds = []string{"sg-1"} }},
		"unknown key":        {"InvalidKeyPair.NotFound", 400, func(in *ec2.RunInstancesInput) { in.KeyName = aws.String("mine") }},
		"unknown subnet":     {"InvalidSubnetID.NotFound", 400, func(in *ec2.RunInstancesInput) { in.SubnetId = aws.String("subnet-1") }},
		"unknown zone": {"InvalidParameterValue", 400, func(in *ec2.RunInstancesInput) {
			in.SubnetId, in.Placement = nil, &types.Placement{AvailabilityZone: aws.String("mars-1a")}
		}},
		"zone without type":   {"Unsupported", 400, func(in *ec2.RunInstancesInput) { in.InstanceType = "p5.48xlarge" }},
		"bad base64":          {"InvalidParameterValue", 400, func(in *ec2.RunInstancesInput) { in.UserData = aws.String("!") }},
		"user data too large": {"InvalidParameterValue", 400, func(in *ec2.RunInstancesInput) { in.UserData = aws.String(userData(16*1024 + 1)) }},
		"reserved tag": {"InvalidParameterValue", 400, func(in *ec2.RunInstancesInput) {
			in.TagSpecifications = []types.TagSpecification{tagSpec("instance", "aws:x", "1")}
		}},
		"doubled tag": {"InvalidParameterValue", 400, func(in *ec2.RunInstancesInput) {
			in.TagSpecifications = []types.TagSpecification{tagSpec("instance", "a", "1", "a", "2")}
		}},
		"tags of other kinds": {"InvalidParameterValue", 400, func(in *ec2.RunInstancesInput) {
			in.TagSpecifications = []types.TagSpecification{tagSpec("spot-instances-request", "a", "1")}
		}},
		"metadata tag key": {"InvalidParameterValue", 400, func(in *ec2.RunInstancesInput) {
			in.MetadataOptions = &types.InstanceMetadataOptionsRequest{InstanceMetadataTags: types.InstanceMetadataTagsStateEnabled}
			in.TagSpecifications = []types.TagSpecification{tagSpec("instance", "team/owner", "1")}
		}},
		"persistent spot": {"Unsupported", 400, func(in *ec2.RunInstancesInput) {
			in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: "spot", SpotOptions: &types.SpotMarketOptions{SpotInstanceType: "persistent"}}
		}},
		"two subnets": {"InvalidParameterCombination", 400, func(in *ec2.RunInstancesInput) {
			in.NetworkInterfaces = []types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), SubnetId: aws.String(subnetB)}}
		}},
		"launch template": {"Unsupported", 400, func(in *ec2.RunInstancesInput) {
			in.LaunchTemplate = &types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("x")}
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegion(t, func(cfg *fakeec2.Config) {
				cfg.Catalog = fakeec2.DefaultCatalog()
				for n := range cfg.Catalog.Types {
					if cfg.Catalog.Types[n].Name == "p5.48xlarge" {
						cfg.Catalog.Types[n].Zones = []string{"us-east-1c"}
					}
				}
			})
			in := runInput(1, 1)
			c.change(in)
			_, err := r.client.RunInstances(t.Context(), in)
			wantError(t, err, c.code, c.status)
			if got := len(r.Instances()); got != 0 {
				t.Errorf("%d instances were launched", got)
			}
		})
	}
}

func userData(size int) string {
	return base64.StdEncoding.EncodeToString(make([]byte, size))
}

func TestLargestUserDataIsTaken(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	id := r.run(t, 1, func(in *ec2.RunInstancesInput) { in.UserData = aws.String(userData(16 * 1024)) })[0]
	if i, _ := r.Instance(id); len(i.UserData) != 16*1024 {
		t.Errorf("user data has %d bytes", len(i.UserData))
	}
}

// TestLifecycle follows an instance through its states and reasons.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	id := r.run(t, 1, nil)[0]
	state := func() string {
		i := r.describe(t, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})[0]
		reason := ""
		if i.StateReason != nil {
			reason = aws.ToString(i.StateReason.Code)
		}
		return string(i.State.Name) + "|" + reason + "|" + aws.ToString(i.StateTransitionReason)
	}
	check := func(want string) {
		t.Helper()
		if got := state(); got != want {
			t.Errorf("state is %q, want %q", got, want)
		}
	}
	check("pending|pending|")
	r.clock.Advance(10 * time.Second)
	check("running||")
	out, err := r.client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id, id}})
	wantNone(t, err)
	if len(out.TerminatingInstances) != 1 || out.TerminatingInstances[0].PreviousState.Name != "running" || out.TerminatingInstances[0].CurrentState.Name != "shutting-down" {
		t.Errorf("answer is %+v", out.TerminatingInstances)
	}
	check("shutting-down|Client.UserInitiatedShutdown|User initiated (2026-11-23 12:00:10 GMT)")
	r.clock.Advance(20 * time.Second)
	check("terminated|Client.UserInitiatedShutdown|User initiated (2026-11-23 12:00:10 GMT)")
	_, err = r.client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	wantNone(t, err)
	r.clock.Advance(59 * time.Minute)
	check("terminated|Client.UserInitiatedShutdown|User initiated (2026-11-23 12:00:10 GMT)")
	r.clock.Advance(2 * time.Minute)
	_, err = r.client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	wantError(t, err, "InvalidInstanceID.NotFound", 400)
}

// TestGuestShutdown stops or terminates as the launch said.
func TestGuestShutdown(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	stops := r.run(t, 1, nil)[0]
	ends := r.run(t, 1, func(in *ec2.RunInstancesInput) {
		in.InstanceInitiatedShutdownBehavior = types.ShutdownBehaviorTerminate
	})[0]
	if err := r.GuestShutdown(stops); err == nil {
		t.Error("a pending instance powered off")
	}
	r.clock.Advance(10 * time.Second)
	for _, id := range []string{stops, ends} {
		wantNone(t, r.GuestShutdown(id))
	}
	r.clock.Advance(20 * time.Second)
	a, _ := r.Instance(stops)
	b, _ := r.Instance(ends)
	if a.State != fakeec2.Stopped || b.State != fakeec2.Terminated || b.StateReason.Code != "Client.InstanceInitiatedShutdown" {
		t.Errorf("states are %s and %s (%s)", a.State, b.State, b.StateReason.Code)
	}
	if _, err := r.TerminateInstances([]string{stops}, false); err != nil {
		t.Error(err)
	}
	if a, _ = r.Instance(stops); a.State != fakeec2.Terminated {
		t.Errorf("stopped instance is %s after termination", a.State)
	}
}

func TestLaunchFailure(t *testing.T) {
	t.Parallel()
	r := newRegion(t, func(c *fakeec2.Config) {
		c.LaunchFailure = fakeec2.LaunchFailure{Probability: 1, Reason: fakeec2.Reason{Code: "Client.VolumeLimitExceeded", Message: "Volume limit exceeded"}}
	})
	id := r.run(t, 1, nil)[0]
	r.clock.Advance(10 * time.Second)
	if i, _ := r.Instance(id); i.State != fakeec2.Terminated || i.StateReason.Code != "Client.VolumeLimitExceeded" {
		t.Errorf("instance is %s for %v", i.State, i.StateReason)
	}
}
