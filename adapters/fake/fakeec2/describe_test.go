package fakeec2_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
)

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: values}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	tagged := func(pairs ...string) func(*ec2.RunInstancesInput) {
		return func(in *ec2.RunInstancesInput) {
			in.TagSpecifications = []types.TagSpecification{tagSpec("instance", pairs...)}
		}
	}
	a := r.run(t, 1, tagged("Name", "gpu-1", "team", "a"))[0]
	r.clock.Advance(10 * time.Second)
	b := r.run(t, 1, func(in *ec2.RunInstancesInput) {
		tagged("Name", "gpu-2")(in)
		spotMarket(in)
		in.SubnetId, in.InstanceType, in.ClientToken = aws.String(subnetB), types.InstanceTypeM5Large, aws.String("tok")
	})[0]
	c := r.run(t, 1, tagged("Name", "x*y"))[0]
	cases := map[string]struct {
		filters []types.Filter
		want    []string
	}{
		"none":             {nil, []string{a, b, c}},
		"tag value":        {[]types.Filter{filter("tag:Name", "gpu-1")}, []string{a}},
		"any of values":    {[]types.Filter{filter("tag:Name", "gpu-1", "gpu-2")}, []string{a, b}},
		"star":             {[]types.Filter{filter("tag:Name", "gpu-*")}, []string{a, b}},
		"question mark":    {[]types.Filter{filter("tag:Name", "???")}, []string{c}},
		"escaped star":     {[]types.Filter{filter("tag:Name", `x\*y`)}, []string{c}},
		"tag key":          {[]types.Filter{filter("tag-key", "team")}, []string{a}},
		"tag value alone":  {[]types.Filter{filter("tag-value", "a")}, []string{a}},
		"absent tag":       {[]types.Filter{filter("tag:nothing", "*")}, nil},
		"state":            {[]types.Filter{filter("instance-state-name", "pending")}, []string{b, c}},
		"state code":       {[]types.Filter{filter("instance-state-code", "16")}, []string{a}},
		"token":            {[]types.Filter{filter("client-token", "tok")}, []string{b}},
		"id":               {[]types.Filter{filter("instance-id", b, c)}, []string{b, c}},
		"lifecycle":        {[]types.Filter{filter("instance-lifecycle", "spot")}, []string{b}},
		"type":             {[]types.Filter{filter("instance-type", "m5.*")}, []string{b}},
		"zone":             {[]types.Filter{filter("availability-zone", "us-east-1b")}, []string{b}},
		"subnet and state": {[]types.Filter{filter("subnet-id", subnetA), filter("instance-state-name", "pending")}, []string{c}},
	}
	for name, k := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := ids(r.describe(t, &ec2.DescribeInstancesInput{Filters: k.filters})); !slices.Equal(got, k.want) {
				t.Errorf("found %v, want %v", got, k.want)
			}
		})
	}
	_, err := r.client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: []types.Filter{filter("flavor", "sweet")}})
	wantError(t, err, "InvalidParameterValue", 400)
}

// TestPaging walks pages while instances come and go, and misses none that stays.
func TestPaging(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	all := append(r.run(t, 7, nil), r.run(t, 6, nil)...)
	pages := ec2.NewDescribeInstancesPaginator(r.client, &ec2.DescribeInstancesInput{MaxResults: aws.Int32(5)})
	var got []string
	for n := 0; pages.HasMorePages(); n++ {
		page, err := pages.NextPage(t.Context())
		wantNone(t, err)
		for _, res := range page.Reservations {
			got = append(got, ids(res.Instances)...)
		}
		if n == 0 {
			all = append(all, r.run(t, 1, nil)...)
			_, err := r.TerminateInstances(all[:2], false)
			wantNone(t, err)
			r.clock.Advance(20*time.Second + time.Hour + time.Minute) // the first two are no longer listed
		}
	}
	if !slices.Equal(got, all) {
		t.Errorf("walked %v, want %v", got, all)
	}
}

func TestListingRefusals(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	id := r.run(t, 1, nil)[0]
	for name, c := range map[string]struct {
		in   ec2.DescribeInstancesInput
		code string
	}{
		"ids and page size": {ec2.DescribeInstancesInput{InstanceIds: []string{id}, MaxResults: aws.Int32(5)}, "InvalidParameterCombination"},
		"small page":        {ec2.DescribeInstancesInput{MaxResults: aws.Int32(4)}, "InvalidParameterValue"},
		"large page":        {ec2.DescribeInstancesInput{MaxResults: aws.Int32(1001)}, "InvalidParameterValue"},
		"odd token":         {ec2.DescribeInstancesInput{MaxResults: aws.Int32(5), NextToken: aws.String("x")}, "InvalidNextToken"},
		"malformed id":      {ec2.DescribeInstancesInput{InstanceIds: []string{"i-x"}}, "InvalidInstanceID.Malformed"},
		"one unknown id":    {ec2.DescribeInstancesInput{InstanceIds: []string{id, "i-00000000000000000"}}, "InvalidInstanceID.NotFound"},
		"dry run":           {ec2.DescribeInstancesInput{DryRun: aws.Bool(true)}, "DryRunOperation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := r.client.DescribeInstances(t.Context(), &c.in)
			status := 400
			if c.code == "DryRunOperation" {
				status = 412
			}
			wantError(t, err, c.code, status)
		})
	}
}

// TestEventualConsistency hides a new instance and shows changes late.
func TestEventualConsistency(t *testing.T) {
	t.Parallel()
	r := newRegion(t, func(c *fakeec2.Config) {
		c.Timing.Visible = fakeec2.Dist{Median: 3 * time.Second}
		c.Timing.Stale = fakeec2.Dist{Median: 2 * time.Second}
	})
	id := r.run(t, 1, nil)[0]
	one := &ec2.DescribeInstancesInput{InstanceIds: []string{id}}
	_, err := r.client.DescribeInstances(t.Context(), one)
	wantError(t, err, "InvalidInstanceID.NotFound", 400)
	_, err = r.client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	wantError(t, err, "InvalidInstanceID.NotFound", 400)
	_, err = r.client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{{Key: aws.String("a")}}})
	wantError(t, err, "InvalidInstanceID.NotFound", 400)
	if n := len(r.describe(t, &ec2.DescribeInstancesInput{})); n != 0 {
		t.Errorf("%d instances are listed at once", n)
	}
	var trace string
	for range 14 {
		r.clock.Advance(time.Second)
		state := "-"
		if list := r.describe(t, &ec2.DescribeInstancesInput{}); len(list) == 1 {
			state = string(list[0].State.Name)[:1]
		}
		trace += state
	}
	if trace != "--pppppppppr"+"rr" { // visible after 3 s, running after 10 s, shown after 12 s
		t.Errorf("second by second it was shown as %s", trace)
	}
}

func TestTermination(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	a, b := r.run(t, 2, nil), r.run(t, 2, func(in *ec2.RunInstancesInput) { in.SubnetId = aws.String(subnetB) })
	alive := func() (n int) {
		for _, i := range r.Instances() {
			if i.State.Alive() {
				n++
			}
		}
		return n
	}
	_, err := r.client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{a[0], "i-0123456789abcdef0", b[0]}})
	wantError(t, err, "InvalidInstanceID.NotFound", 400)
	if alive() != 4 {
		t.Errorf("%d instances are alive after a call with an unknown id, want 4", alive())
	}
	_, err = r.client.ModifyInstanceAttribute(t.Context(), &ec2.ModifyInstanceAttributeInput{
		InstanceId: &a[1], DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(true)},
	})
	wantNone(t, err)
	_, err = r.client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: append(a, b...)})
	wantError(t, err, "OperationNotPermitted", 400)
	for id, want := range map[string]bool{a[0]: true, a[1]: true, b[0]: false, b[1]: false} {
		if i, _ := r.Instance(id); i.State.Alive() != want {
			t.Errorf("%s in %s is %s", id, i.Zone, i.State)
		}
	}
	many := make([]string, 1001)
	for n := range many {
		many[n] = fmt.Sprintf("i-%017x", n)
	}
	_, err = r.client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: many})
	wantError(t, err, "InvalidParameterValue", 400)
	_, err = r.client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: a[:1], DryRun: aws.Bool(true)})
	wantError(t, err, "DryRunOperation", 412)
}

func TestStatusAndConsole(t *testing.T) {
	t.Parallel()
	r := newRegion(t, func(c *fakeec2.Config) { c.Timing.ConsoleLag = 30 * time.Second })
	id := r.run(t, 1, nil)[0]
	status := func(all bool) string {
		out, err := r.client.DescribeInstanceStatus(t.Context(), &ec2.DescribeInstanceStatusInput{IncludeAllInstances: aws.Bool(all)})
		wantNone(t, err)
		if len(out.InstanceStatuses) == 0 {
			return "none"
		}
		return string(out.InstanceStatuses[0].InstanceStatus.Status)
	}
	if got := status(false) + " " + status(true); got != "none not-applicable" {
		t.Errorf("status of a pending instance is %s", got)
	}
	r.clock.Advance(10 * time.Second)
	r.AppendConsole(id, "ebb: hello\n")
	got := status(false)
	r.clock.Advance(60 * time.Second)
	got += " " + status(false)
	wantNone(t, r.Impair(id, true))
	if got += " " + status(false); got != "initializing ok impaired" {
		t.Errorf("status went %s", got)
	}
	r.AppendConsole(id, "ebb: world\n")
	for latest, want := range map[bool]string{false: "ebb: hello\n", true: "ebb: hello\nebb: world\n"} {
		out, err := r.client.GetConsoleOutput(t.Context(), &ec2.GetConsoleOutputInput{InstanceId: &id, Latest: aws.Bool(latest)})
		wantNone(t, err)
		if text, err := decode(out.Output); err != nil || text != want {
			t.Errorf("console (latest %t) is %q, %v", latest, text, err)
		}
	}
}
