package fakeec2_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
)

// TestClientToken is the table of token rules. Each case launches two instances
// with a token, lets something happen, and launches again with the same token.
func TestClientToken(t *testing.T) {
	t.Parallel()
	zonal := func(subnet string) func(*ec2.RunInstancesInput) {
		return func(in *ec2.RunInstancesInput) { in.SubnetId = aws.String(subnet) }
	}
	regional := func(in *ec2.RunInstancesInput) { in.SubnetId = nil }
	zone := func(name string) func(*ec2.RunInstancesInput) {
		return func(in *ec2.RunInstancesInput) {
			in.SubnetId, in.Placement = nil, &types.Placement{AvailabilityZone: aws.String(name)}
		}
	}
	terminate := func(age time.Duration, count int) func(*testing.T, *region, []string) {
		return func(t *testing.T, r *region, ids []string) {
			t.Helper()
			r.clock.Advance(10 * time.Second)
			_, err := r.TerminateInstances(ids[:count], false)
			wantNone(t, err)
			r.clock.Advance(20*time.Second + age)
		}
	}
	const replay, fresh = "replay", "fresh"
	cases := map[string]struct {
		first, second func(*ec2.RunInstancesInput)
		between       func(*testing.T, *region, []string)
		want          string // replay, fresh or an error code
	}{
		"same request":              {zonal(subnetA), zonal(subnetA), nil, replay},
		"same request, regional":    {regional, regional, nil, replay},
		"other count":               {zonal(subnetA), func(in *ec2.RunInstancesInput) { in.MaxCount = aws.Int32(3) }, nil, "IdempotentParameterMismatch"},
		"other user data":           {zonal(subnetA), func(in *ec2.RunInstancesInput) { in.UserData = nil }, nil, "IdempotentParameterMismatch"},
		"parameter without a field": {zonal(subnetA), func(in *ec2.RunInstancesInput) { in.EbsOptimized = aws.Bool(true) }, nil, "IdempotentParameterMismatch"},
		"other market": {zonal(subnetA), func(in *ec2.RunInstancesInput) {
			in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: "spot"}
		}, nil, "IdempotentParameterMismatch"},
		"other zone launches again":   {zonal(subnetA), zonal(subnetB), nil, fresh},
		"zones by name":               {zone("us-east-1a"), zone("us-east-1b"), nil, fresh},
		"zone by subnet and by name":  {zonal(subnetA), zone("us-east-1a"), nil, "IdempotentParameterMismatch"},
		"regional after zonal":        {zonal(subnetA), regional, nil, fresh},
		"half of it terminated":       {zonal(subnetA), zonal(subnetA), terminate(0, 1), replay},
		"all of it terminated":        {zonal(subnetA), zonal(subnetA), terminate(0, 2), "IdempotentInstanceTerminated"},
		"no longer listed":            {zonal(subnetA), zonal(subnetA), terminate(2*time.Hour, 2), "IdempotentInstanceTerminated"},
		"terminated and mismatch":     {zonal(subnetA), func(in *ec2.RunInstancesInput) { in.UserData = nil }, terminate(0, 2), "IdempotentParameterMismatch"},
		"a day after the termination": {zonal(subnetA), zonal(subnetA), terminate(25*time.Hour, 2), fresh},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegion(t, nil)
			launch := func(change func(*ec2.RunInstancesInput)) (*ec2.RunInstancesOutput, error) {
				in := runInput(1, 2)
				in.ClientToken = aws.String("intent-7")
				change(in)
				return r.client.RunInstances(t.Context(), in)
			}
			first, err := launch(c.first)
			wantNone(t, err)
			if c.between != nil {
				c.between(t, r, ids(first.Instances))
			}
			second, err := launch(c.second)
			switch c.want {
			case replay:
				wantNone(t, err)
				if *first.ReservationId != *second.ReservationId || !slices.Equal(ids(first.Instances), ids(second.Instances)) || len(r.Ledger().Launches) != 2 {
					t.Errorf("first answer %s %v, second %s %v", *first.ReservationId, ids(first.Instances), *second.ReservationId, ids(second.Instances))
				}
			case fresh:
				wantNone(t, err)
				if *first.ReservationId == *second.ReservationId || len(r.Ledger().Launches) != 4 {
					t.Errorf("the same launch answered again: %v", ids(second.Instances))
				}
			default:
				wantError(t, err, c.want, 400)
				if len(r.Ledger().Launches) != 2 {
					t.Error("it launched all the same")
				}
			}
		})
	}
}

// TestTokenOfFailedLaunch may be used again for the identical request only.
func TestTokenOfFailedLaunch(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	offering := fakeec2.Offering{Type: "g4dn.xlarge", Zone: "us-east-1a", Market: fakeec2.OnDemand}
	r.SetCapacity(offering, 0)
	in := runInput(1, 1)
	in.ClientToken = aws.String("t")
	_, err := r.client.RunInstances(t.Context(), in)
	wantError(t, err, "InsufficientInstanceCapacity", 500)

	other := runInput(1, 1)
	other.ClientToken = aws.String("t")
	other.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}
	_, err = r.client.RunInstances(t.Context(), other)
	wantError(t, err, "IdempotentParameterMismatch", 400)

	r.SetCapacity(offering, 1)
	out, err := r.client.RunInstances(t.Context(), in)
	wantNone(t, err)
	found := r.describe(t, &ec2.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("client-token"), Values: []string{"t"}}}})
	if !slices.Equal(ids(found), ids(out.Instances)) {
		t.Errorf("by token %v, launched %v", ids(found), ids(out.Instances))
	}
}

// TestReplayIsNotSubjectToConsistency: the writer knows what the readers do not.
func TestReplayIsNotSubjectToConsistency(t *testing.T) {
	t.Parallel()
	r := newRegion(t, func(c *fakeec2.Config) { c.Timing.Visible = fakeec2.Dist{Median: time.Minute} })
	in := runInput(2, 2)
	in.ClientToken = aws.String("t")
	first, err := r.client.RunInstances(t.Context(), in)
	wantNone(t, err)
	if seen := r.describe(t, &ec2.DescribeInstancesInput{}); len(seen) != 0 {
		t.Errorf("%d instances are visible", len(seen))
	}
	second, err := r.client.RunInstances(t.Context(), in)
	wantNone(t, err)
	if !slices.Equal(ids(first.Instances), ids(second.Instances)) {
		t.Errorf("replay answered %v, not %v", ids(second.Instances), ids(first.Instances))
	}
}
