package fakeec2_test

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
)

func decode(text *string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(aws.ToString(text))
	return string(raw), err
}

// TestInterruption gives notice, then takes the instance away with spot's reason.
func TestInterruption(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	spot, other := r.run(t, 1, spotMarket)[0], r.run(t, 1, nil)[0]
	r.clock.Advance(10 * time.Second)
	request := func() string {
		out, err := r.client.DescribeSpotInstanceRequests(t.Context(), &ec2.DescribeSpotInstanceRequestsInput{
			Filters: []types.Filter{filter("instance-id", spot)},
		})
		wantNone(t, err)
		return string(out.SpotInstanceRequests[0].State) + " " + aws.ToString(out.SpotInstanceRequests[0].Status.Code)
	}
	if err := r.InterruptSpot(other, 0); err == nil {
		t.Error("an on-demand instance was interrupted")
	}
	wantNone(t, r.RecommendRebalance(spot))
	wantNone(t, r.InterruptSpot(spot, 0))
	notice, _ := r.Notice(spot)
	if notice.Action != "terminate" || !notice.At.Equal(r.clock.Now().Add(2*time.Minute)) || !notice.RebalanceAt.Equal(r.clock.Now()) {
		t.Errorf("notice is %+v", notice)
	}
	got := request()
	r.clock.Advance(119 * time.Second)
	if i, _ := r.Instance(spot); i.State != fakeec2.Running {
		t.Errorf("a second before the end it is %s", i.State)
	}
	r.clock.Advance(time.Second)
	got += ", " + request()
	if want := "closed instance-terminated-no-capacity, closed instance-terminated-no-capacity"; got != want {
		t.Errorf("request went %s, want %s", got, want)
	}
	i := r.describe(t, &ec2.DescribeInstancesInput{InstanceIds: []string{spot}})[0]
	if i.State.Name != "shutting-down" || aws.ToString(i.StateReason.Code) != "Server.SpotInstanceTermination" {
		t.Errorf("instance is %s for %s", i.State.Name, aws.ToString(i.StateReason.Code))
	}
}

func TestCancelSpotRequest(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	id := r.run(t, 1, spotMarket)[0]
	i, _ := r.Instance(id)
	out, err := r.client.CancelSpotInstanceRequests(t.Context(), &ec2.CancelSpotInstanceRequestsInput{SpotInstanceRequestIds: []string{i.SpotRequestID}})
	wantNone(t, err)
	if out.CancelledSpotInstanceRequests[0].State != types.CancelSpotInstanceRequestStateCancelled {
		t.Errorf("answer is %+v", out.CancelledSpotInstanceRequests)
	}
	if i, _ = r.Instance(id); i.State != fakeec2.Pending {
		t.Errorf("its instance is %s", i.State)
	}
	_, err = r.client.CancelSpotInstanceRequests(t.Context(), &ec2.CancelSpotInstanceRequestsInput{SpotInstanceRequestIds: []string{"sir-00000000"}})
	wantError(t, err, "InvalidSpotInstanceRequestID.NotFound", 400)
}

func TestTags(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	list := r.run(t, 2, func(in *ec2.RunInstancesInput) {
		in.TagSpecifications = []types.TagSpecification{tagSpec("instance", "a", "1", "b", "2")}
	})
	tags := func(id string) string {
		i := r.describe(t, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})[0]
		text := ""
		for _, tag := range i.Tags {
			text += aws.ToString(tag.Key) + "=" + aws.ToString(tag.Value) + " "
		}
		return text
	}
	_, err := r.client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: list, Tags: []types.Tag{
		{Key: aws.String("a"), Value: aws.String("3")}, {Key: aws.String("c"), Value: aws.String("")},
	}})
	wantNone(t, err)
	_, err = r.client.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: list[:1], Tags: []types.Tag{
		{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b")},
	}})
	wantNone(t, err)
	if got := tags(list[0]) + "| " + tags(list[1]); got != "a=3 c= | a=3 b=2 c= " {
		t.Errorf("tags are %s", got)
	}
	var many []types.Tag
	for n := range 49 {
		many = append(many, types.Tag{Key: aws.String(fmt.Sprintf("k%d", n)), Value: aws.String("v")})
	}
	_, err = r.client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: list, Tags: many})
	wantError(t, err, "TagLimitExceeded", 400)
	if got := tags(list[0]); got != "a=3 c= " {
		t.Errorf("a refused call left %s", got)
	}
	_, err = r.client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{list[0], "i-00000000000000000"}, Tags: many[:1]})
	wantError(t, err, "InvalidInstanceID.NotFound", 400)
	if got := tags(list[0]); got != "a=3 c= " {
		t.Errorf("a refused call left %s", got)
	}
}

func TestCatalogCalls(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	ctx := t.Context()
	kinds, err := r.client.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"g5.12xlarge"}})
	wantNone(t, err)
	k := kinds.InstanceTypes[0]
	if *k.VCpuInfo.DefaultVCpus != 48 || *k.MemoryInfo.SizeInMiB != 196608 || *k.GpuInfo.Gpus[0].Count != 4 || *k.GpuInfo.TotalGpuMemoryInMiB != 4*22888 ||
		k.ProcessorInfo.SupportedArchitectures[0] != "x86_64" || len(k.SupportedUsageClasses) != 2 {
		t.Errorf("type is %+v", k)
	}
	_, err = r.client.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"g99.huge"}})
	wantError(t, err, "InvalidInstanceType", 400)
	offers, err := r.client.DescribeInstanceTypeOfferings(ctx, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: types.LocationTypeAvailabilityZone, Filters: []types.Filter{filter("instance-type", "g5.xlarge")},
	})
	wantNone(t, err)
	images, err := r.client.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{ami}})
	wantNone(t, err)
	_, err = r.client.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{"ami-00000000000000009"}})
	wantError(t, err, "InvalidAMIID.NotFound", 400)
	subnets, err := r.client.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []types.Filter{filter("availability-zone", "us-east-1b")}})
	wantNone(t, err)
	groups, err := r.client.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{})
	wantNone(t, err)
	keys, err := r.client.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{KeyNames: []string{"ops"}})
	wantNone(t, err)
	zones, err := r.client.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	wantNone(t, err)
	got := fmt.Sprint(len(offers.InstanceTypeOfferings), *images.Images[0].RootDeviceName, len(subnets.Subnets), *subnets.Subnets[0].SubnetId, len(groups.SecurityGroups),
		len(keys.KeyPairs), len(zones.AvailabilityZones), *zones.AvailabilityZones[0].ZoneId)
	if want := fmt.Sprint(4, "/dev/sda1", 1, subnetB, 2, 1, 4, "use1-az1"); got != want {
		t.Errorf("catalog says %s, want %s", got, want)
	}
	_, err = r.client.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
	wantError(t, err, "InvalidAction", 400)
}
