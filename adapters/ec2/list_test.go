package ec2_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

func described(id string) types.Instance {
	return types.Instance{
		InstanceId: aws.String(id), InstanceType: types.InstanceTypeG5Xlarge, LaunchTime: aws.Time(time.Date(2026, 1, 31, 13, 0, 0, 0, time.FixedZone("", 3600))),
		State: &types.InstanceState{Name: types.InstanceStateNameRunning}, ClientToken: aws.String("ebb-gpu-7"),
		Placement: &types.Placement{AvailabilityZone: aws.String("us-east-1a")}, SubnetId: aws.String("subnet-0a"),
		Tags: []types.Tag{
			{Key: aws.String(ec2.TagQueue), Value: aws.String("training")},
			{Key: aws.String(ec2.TagIntent), Value: aws.String("gpu-7")},
			{Key: aws.String(ec2.TagResource), Value: aws.String("gpu")},
			{Key: aws.String(ec2.TagAutoscaler), Value: aws.String("prod")},
		},
	}
}

// pages answers DescribeInstances with one page after the other, and checks
// that it is asked for them as EC2 wants it.
func pages(t *testing.T, all ...[]types.Instance) stub {
	t.Helper()

	return stub{describe: func(in *awsec2.DescribeInstancesInput) (*awsec2.DescribeInstancesOutput, error) {
		if *in.MaxResults != 1000 || len(in.InstanceIds) != 0 || len(in.Filters) != 1 || *in.Filters[0].Name != "tag:ebb:autoscaler" ||
			len(in.Filters[0].Values) != 1 || in.Filters[0].Values[0] != "prod" {
			t.Errorf("asked with %+v", in)
		}
		page := 0
		if in.NextToken != nil {
			if _, err := fmt.Sscanf(*in.NextToken, "page-%d", &page); err != nil {
				t.Errorf("token %q", *in.NextToken)
			}
		}
		output := &awsec2.DescribeInstancesOutput{}
		for _, instance := range all[page] {
			output.Reservations = append(output.Reservations, types.Reservation{Instances: []types.Instance{instance}})
		}
		if page+1 < len(all) {
			output.NextToken = aws.String(fmt.Sprintf("page-%d", page+1))
		}
		return output, nil
	}}
}

func TestList(t *testing.T) {
	t.Parallel()

	spot := described("i-2")
	spot.InstanceLifecycle = types.InstanceLifecycleTypeSpot
	spot.State.Name = types.InstanceStateNameTerminated
	spot.StateReason = &types.StateReason{Code: aws.String("Server.SpotInstanceTermination")}
	spot.SubnetId, spot.Placement, spot.ClientToken = nil, nil, nil
	spot.Tags = spot.Tags[3:]
	newer := described("i-1")
	newer.State = &types.InstanceState{Name: types.InstanceStateNameShuttingDown}

	got, err := adapter(t, pages(t, []types.Instance{described("i-1")}, nil, []types.Instance{spot, newer}), ec2.Template{AMI: "a"}).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	want := []messages.Instance{
		{
			ID: "i-1", Resource: "gpu", Launch: "gpu-7", Token: "ebb-gpu-7", State: messages.StateShuttingDown, LaunchedAt: at,
			Offering: request().Offering, Home: "training",
		},
		{
			ID: "i-2", State: messages.StateTerminated, LaunchedAt: at, StateReason: "Server.SpotInstanceTermination",
			Offering: messages.Offering{Market: messages.Spot, InstanceType: "g5.xlarge"},
		},
	}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
}

func TestListStates(t *testing.T) {
	t.Parallel()

	for _, state := range types.InstanceStateName("").Values() {
		instance := described("i-1")
		instance.State.Name = state
		got, err := adapter(t, pages(t, []types.Instance{instance}), ec2.Template{AMI: "a"}).List(t.Context())
		if err != nil || string(got[0].State) != string(state) {
			t.Errorf("%s: got %+v, %v", state, got, err)
		}
	}
}

// TestListIsCompleteOrAnError: one instance that makes no sense, on any page,
// and there is no listing.
func TestListIsCompleteOrAnError(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		spoil func(*types.Instance)
		want  string
	}{
		"id":          {func(i *types.Instance) { i.InstanceId = nil }, "without an id"},
		"no state":    {func(i *types.Instance) { i.State = nil }, "i-2: it has no state"},
		"state":       {func(i *types.Instance) { i.State.Name = "napping" }, `i-2: its state "napping" is not known`},
		"type":        {func(i *types.Instance) { i.InstanceType = "" }, "i-2 has no type"},
		"launch time": {func(i *types.Instance) { i.LaunchTime = nil }, "i-2 has no launch time"},
		"no owner":    {func(i *types.Instance) { i.Tags = i.Tags[:3] }, `i-2 belongs to ""`},
		"foreign":     {func(i *types.Instance) { i.Tags[3].Value = aws.String("other") }, `i-2 belongs to "other"`},
	} {
		bad := described("i-2")
		c.spoil(&bad)
		got, err := adapter(t, pages(t, []types.Instance{described("i-1")}, []types.Instance{bad}), ec2.Template{AMI: "a"}).List(t.Context())
		if f := failure(t, err); got != nil || f.Class != messages.ClassUnknown || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v, want an error that says %q", name, got, err, c.want)
		}
	}
}

func TestListFailures(t *testing.T) {
	t.Parallel()

	t.Run("second page", func(t *testing.T) {
		t.Parallel()
		api := stub{describe: func(in *awsec2.DescribeInstancesInput) (*awsec2.DescribeInstancesOutput, error) {
			if in.NextToken != nil {
				return nil, &smithy.GenericAPIError{Code: "RequestLimitExceeded", Message: "slow down"}
			}
			return &awsec2.DescribeInstancesOutput{NextToken: aws.String("x"), Reservations: []types.Reservation{{Instances: []types.Instance{described("i-1")}}}}, nil
		}}
		got, err := adapter(t, api, ec2.Template{AMI: "a"}).List(t.Context())
		if f := failure(t, err); got != nil || f.Class != messages.ClassThrottled || !strings.Contains(err.Error(), "page 2") {
			t.Errorf("got %v, %v", got, err)
		}
	})
	t.Run("no end", func(t *testing.T) {
		t.Parallel()
		api := stub{describe: func(*awsec2.DescribeInstancesInput) (*awsec2.DescribeInstancesOutput, error) {
			return &awsec2.DescribeInstancesOutput{NextToken: aws.String("x")}, nil
		}}
		_, err := adapter(t, api, ec2.Template{AMI: "a"}).List(t.Context())
		if err == nil || !strings.Contains(err.Error(), "same page") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		t.Parallel()
		got, err := adapter(t, pages(t, nil), ec2.Template{AMI: "a"}).List(t.Context())
		if err != nil || len(got) != 0 {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
