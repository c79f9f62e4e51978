package fakeec2_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
)

func spotMarket(in *ec2.RunInstancesInput) {
	in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}
}

// TestPartialSuccess launches what there is, down to MinCount, whatever bounds it.
func TestPartialSuccess(t *testing.T) {
	t.Parallel()
	bounds := map[string]struct {
		bound  func(r *region, n int) // lets n instances of four vCPUs through
		change func(*ec2.RunInstancesInput)
		code   string
		status int
	}{
		"capacity": {func(r *region, n int) {
			r.SetCapacity(fakeec2.Offering{Type: "g4dn.xlarge", Zone: "us-east-1a", Market: fakeec2.OnDemand}, n)
		}, nil, "InsufficientInstanceCapacity", 500},
		"spot capacity": {func(r *region, n int) {
			r.SetCapacity(fakeec2.Offering{Type: "g4dn.xlarge", Zone: "us-east-1a", Market: fakeec2.Spot}, n)
		}, spotMarket, "InsufficientInstanceCapacity", 500},
		"quota":      {func(r *region, n int) { r.SetQuota("G", fakeec2.OnDemand, 4*n+3) }, nil, "VcpuLimitExceeded", 400},
		"spot quota": {func(r *region, n int) { r.SetQuota("G", fakeec2.Spot, 4*n) }, spotMarket, "MaxSpotInstanceCountExceeded", 400},
		"addresses":  {func(r *region, n int) { r.SetAddresses(subnetA, n) }, nil, "InsufficientFreeAddressesInSubnet", 400},
	}
	for name, b := range bounds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegion(t, nil)
			b.bound(r, 3)
			launch := func(least, most int32) (*ec2.RunInstancesOutput, error) {
				in := runInput(least, most)
				if b.change != nil {
					b.change(in)
				}
				return r.client.RunInstances(t.Context(), in)
			}
			_, err := launch(4, 5)
			wantError(t, err, b.code, b.status)
			out, err := launch(2, 5)
			wantNone(t, err)
			if len(out.Instances) != 3 {
				t.Fatalf("%d instances were launched, want 3", len(out.Instances))
			}
			_, err = launch(1, 1)
			wantError(t, err, b.code, b.status)

			r.clock.Advance(10 * time.Second)
			_, err = r.TerminateInstances(ids(out.Instances)[:1], false)
			wantNone(t, err)
			_, err = launch(1, 1)
			wantError(t, err, b.code, b.status) // shutting down still holds it
			r.clock.Advance(20 * time.Second)
			b.bound(r, 3)
			if name == "addresses" {
				r.SetAddresses(subnetA, 1) // it says how many are free, not how many there are
			}
			out, err = launch(1, 2)
			wantNone(t, err)
			if len(out.Instances) != 1 {
				t.Errorf("%d instances were launched, want the one that was freed", len(out.Instances))
			}
		})
	}
}

// TestRegionalLaunch goes as a whole to a zone that has capacity.
func TestRegionalLaunch(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	for _, zone := range []string{"us-east-1a", "us-east-1b", "us-east-1d"} {
		r.SetCapacity(fakeec2.Offering{Type: "g4dn.xlarge", Zone: zone, Market: fakeec2.OnDemand}, 1)
	}
	in := runInput(2, 4)
	in.SubnetId = nil
	out, err := r.client.RunInstances(t.Context(), in)
	wantNone(t, err)
	for _, i := range out.Instances {
		if *i.Placement.AvailabilityZone != "us-east-1c" {
			t.Errorf("instance went to %s", *i.Placement.AvailabilityZone)
		}
	}
	r.SetCapacity(fakeec2.Offering{Type: "g4dn.xlarge", Zone: "us-east-1c", Market: fakeec2.OnDemand}, 0)
	in.ClientToken = nil // the SDK has put one in
	_, err = r.client.RunInstances(t.Context(), in)
	wantError(t, err, "InsufficientInstanceCapacity", 500)
}

// TestCapacityMessage names the zones that do have capacity, as EC2 does.
func TestCapacityMessage(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	for _, zone := range []string{"us-east-1a", "us-east-1c"} {
		r.SetCapacity(fakeec2.Offering{Type: "g4dn.xlarge", Zone: zone, Market: fakeec2.OnDemand}, 0)
	}
	_, err := r.client.RunInstances(t.Context(), runInput(1, 1))
	if err == nil || !strings.Contains(err.Error(), "We currently do not have sufficient g4dn.xlarge capacity in the Availability Zone you requested (us-east-1a).") ||
		!strings.Contains(err.Error(), "or choosing us-east-1b, us-east-1d.") {
		t.Errorf("error is %v", err)
	}
	_, err = r.client.RunInstances(t.Context(), func() *ec2.RunInstancesInput {
		in := runInput(1, 1)
		in.InstanceType = types.InstanceTypeP548xlarge
		spotMarket(in)
		return in
	}())
	wantError(t, err, "InvalidInput", 400)
}

// TestFamilies counts types in the quota group that EC2 counts them in.
func TestFamilies(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"m5.large": "Standard", "t3.micro": "Standard", "g4dn.xlarge": "G", "gr6.4xlarge": "G", "vt1.3xlarge": "G", "p4d.24xlarge": "P",
		"inf2.xlarge": "Inf", "trn1.2xlarge": "Trn", "dl1.24xlarge": "DL", "u-6tb1.metal": "HighMemory", "x2idn.metal": "X", "x1.16xlarge": "X", "f1.2xlarge": "F",
	} {
		if got := fakeec2.Family(name); got != want {
			t.Errorf("%s is counted as %s, want %s", name, got, want)
		}
	}
}

// TestQuotaIsPerFamilyAndMarket leaves other families and the other market alone.
func TestQuotaIsPerFamilyAndMarket(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	r.SetQuota("G", fakeec2.OnDemand, 0)
	_, err := r.client.RunInstances(t.Context(), runInput(1, 1))
	wantError(t, err, "VcpuLimitExceeded", 400)
	if !strings.Contains(err.Error(), "current vCPU limit of 0") {
		t.Errorf("message is %v", err)
	}
	r.run(t, 1, spotMarket)
	r.run(t, 1, func(in *ec2.RunInstancesInput) { in.InstanceType = types.InstanceTypeM5Large })
}

// TestSubnetAddressesAreShown counts down what DescribeSubnets tells.
func TestSubnetAddressesAreShown(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	r.run(t, 5, nil)
	out, err := r.client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{SubnetIds: []string{subnetA}})
	wantNone(t, err)
	if n := aws.ToInt32(out.Subnets[0].AvailableIpAddressCount); n != 4086 {
		t.Errorf("%d addresses are free, want 4086", n)
	}
}
