package ec2_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

type (
	spotsInput  = awsec2.DescribeSpotInstanceRequestsInput
	spotsOutput = awsec2.DescribeSpotInstanceRequestsOutput
)

func onSpot(id string, state types.InstanceStateName) types.Instance {
	instance := described(id)
	instance.InstanceLifecycle = types.InstanceLifecycleTypeSpot
	instance.State.Name = state
	return instance
}

func spotRequest(instance, code string) types.SpotInstanceRequest {
	return types.SpotInstanceRequest{InstanceId: aws.String(instance), Status: &types.SpotInstanceStatus{Code: aws.String(code)}}
}

// TestListNotices: which status of a spot request is a notice, over two pages.
func TestListNotices(t *testing.T) {
	t.Parallel()

	taken := []string{
		"marked-for-termination", "marked-for-stop", "marked-for-stop-by-experiment", "instance-terminated-no-capacity",
		"instance-terminated-by-price", "instance-terminated-by-experiment", "instance-terminated-by-service",
	}
	kept := []string{"fulfilled", "instance-terminated-by-user", "request-canceled-and-instance-running", ""}
	var instances []types.Instance
	var requests []types.SpotInstanceRequest
	for i, code := range append(append([]string(nil), taken...), kept...) {
		id := fmt.Sprintf("i-%d", i)
		instances = append(instances, onSpot(id, types.InstanceStateNameRunning))
		requests = append(requests, spotRequest(id, code))
	}
	instances = append(instances, onSpot("i-ending", types.InstanceStateNameShuttingDown), described("i-on-demand"))
	requests = append(requests, spotRequest("i-ending", taken[0]), spotRequest("i-on-demand", taken[0]),
		spotRequest("i-nobody", taken[0]), types.SpotInstanceRequest{})

	api := pages(t, instances[:4], instances[4:])
	calls := 0
	api.spots = func(in *spotsInput) (*spotsOutput, error) {
		calls++
		if *in.MaxResults != 1000 || len(in.SpotInstanceRequestIds) != 0 || len(in.Filters) != 2 || *in.Filters[0].Name != "tag:ebb:autoscaler" ||
			in.Filters[0].Values[0] != "prod" || *in.Filters[1].Name != "status-code" {
			t.Errorf("asked with %+v", in)
		}
		if in.NextToken == nil {
			return &spotsOutput{SpotInstanceRequests: requests[:5], NextToken: aws.String("2")}, nil
		}
		return &spotsOutput{SpotInstanceRequests: requests[5:]}, nil
	}
	list, err := adapter(t, api, ec2.Template{AMI: "a"}).List(t.Context())
	if err != nil || len(list) != len(instances) || calls != 2 {
		t.Fatalf("listed %d, %v, with %d calls for spot requests", len(list), err, calls)
	}
	for i, instance := range list {
		want := messages.NoticeKind("")
		if i < len(taken) {
			want = messages.NoticeInterruption
		}
		if instance.Notice != want {
			t.Errorf("%s with status %q has notice %q, want %q", instance.ID, aws.ToString(requests[i].Status.Code), instance.Notice, want)
		}
	}
}

// TestListAsksForNoNoticesInVain: spots is nil, so a call of it would panic.
func TestListAsksForNoNoticesInVain(t *testing.T) {
	t.Parallel()

	ended := onSpot("i-1", types.InstanceStateNameTerminated)
	list, err := adapter(t, pages(t, []types.Instance{ended, described("i-2")}), ec2.Template{AMI: "a"}).List(t.Context())
	if err != nil || len(list) != 2 {
		t.Errorf("got %v, %v", list, err)
	}
}

// TestListOutlivesItsNotices: whatever happens to the spot requests, the listing
// is whole, and the log says so once.
func TestListOutlivesItsNotices(t *testing.T) {
	t.Parallel()

	denied := &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: "You are not authorized"}
	var answers []func() (*spotsOutput, error)
	refuse := func(err error) func() (*spotsOutput, error) {
		return func() (*spotsOutput, error) { return nil, err }
	}
	api := pages(t, []types.Instance{onSpot("i-1", types.InstanceStateNameRunning)})
	api.spots = func(in *spotsInput) (*spotsOutput, error) {
		if in.NextToken != nil { // the first page, again and again
			return &spotsOutput{NextToken: in.NextToken}, nil
		}
		answer := answers[0]
		answers = answers[1:]
		return answer()
	}
	var log bytes.Buffer
	a, err := ec2.New(ec2.Config{
		Autoscaler: "prod", Client: api, Log: zerolog.New(&log).Level(zerolog.InfoLevel),
		Resources: map[messages.ResourceName]ec2.Template{"gpu": {AMI: "a"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what   string
		answer func() (*spotsOutput, error)
		notice messages.NoticeKind
		logged string // empty: nothing
	}{
		{"denied", refuse(denied), "", "grant ec2:DescribeSpotInstanceRequests"},
		{"denied again", refuse(denied), "", ""},
		{"throttled", refuse(&smithy.GenericAPIError{Code: "RequestLimitExceeded"}), "", `"class":"throttled"`},
		{"good", func() (*spotsOutput, error) { return &spotsOutput{}, nil }, "", "can be read again"},
		{"good again", func() (*spotsOutput, error) { return &spotsOutput{}, nil }, "", ""},
		{"no end", func() (*spotsOutput, error) {
			return &spotsOutput{NextToken: aws.String("x"), SpotInstanceRequests: []types.SpotInstanceRequest{spotRequest("i-1", "marked-for-stop")}}, nil
		}, messages.NoticeInterruption, "same page"},
		{"something else", refuse(errors.New("odd")), "", ""},
	} {
		log.Reset()
		answers = append(answers, step.answer)
		list, err := a.List(t.Context())
		if err != nil || len(list) != 1 || list[0].ID != "i-1" || list[0].Notice != step.notice {
			t.Errorf("%s: listed %+v, %v", step.what, list, err)
		}
		if got := log.String(); step.logged == "" && got != "" || !strings.Contains(got, step.logged) {
			t.Errorf("%s: logged %q, want %q", step.what, got, step.logged)
		}
	}
}
