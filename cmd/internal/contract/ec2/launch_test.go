package ec2_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

func launchChecks() []check {
	return []check{
		{"launch: the answer is what was asked for", checkLaunchAnswer},
		{"launch: one call gives as many as asked", checkLaunchMany},
		{"launch: the instance is set up as configured", checkSetup},
		{"launch: the instance has every tag", func(ctx context.Context, w *world) error {
			return checkTags(ctx, w, func(i types.Instance) []string { return []string{*i.InstanceId} })
		}},
		{"launch: volumes have every tag", func(ctx context.Context, w *world) error {
			return checkTags(ctx, w, func(i types.Instance) []string {
				var ids []string
				for _, disk := range i.BlockDeviceMappings {
					ids = append(ids, *disk.Ebs.VolumeId)
				}
				return ids
			})
		}},
		{"launch: network interfaces have every tag", func(ctx context.Context, w *world) error {
			return checkTags(ctx, w, func(i types.Instance) []string {
				var ids []string
				for _, card := range i.NetworkInterfaces {
					ids = append(ids, *card.NetworkInterfaceId)
				}
				return ids
			})
		}},
		{"launch: the same request launches once", checkLaunchOnce},
		{"launch: the same token with another type is a mismatch", checkMismatch},
		{"launch: the token of terminated instances is spent", checkSpent},
		{"launch: spot is spot", checkSpot},
		{"launch: a zone without a subnet places", checkZone},
		{"launch: no such image", refused(func(r *messages.LaunchRequest) { r.Resource = "no-image" })},
		{"launch: no such key pair", refused(func(r *messages.LaunchRequest) { r.Resource = "no-key" })},
		{"launch: no such security group", refused(func(r *messages.LaunchRequest) { r.Resource = "no-group" })},
		{"launch: no such subnet", refused(func(r *messages.LaunchRequest) { r.Offering.Subnet = "subnet-0123456789abcdef0" })},
		{"launch: no such zone", refused(func(r *messages.LaunchRequest) { r.Offering.Subnet, r.Offering.Zone = "", "us-east-1x" })},
		{"launch: no such type", refused(func(r *messages.LaunchRequest) { r.Offering.InstanceType = "z9.huge" })},
	}
}

func checkLaunchAnswer(ctx context.Context, w *world) error {
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		return err
	}
	instances, err := w.launch(ctx, a, "gpu", "gpu-1")
	if err != nil {
		return err
	}
	request := w.request("gpu-1", "gpu", 1)
	for _, got := range instances {
		want := messages.Instance{
			ID: got.ID, Resource: "gpu", Launch: "gpu-1", Token: request.Token, State: got.State,
			Offering: request.Offering, LaunchedAt: got.LaunchedAt, StateReason: got.StateReason, Home: home,
		}
		if got != want || got.ID == "" || got.LaunchedAt.IsZero() {
			return fmt.Errorf("got %+v, want %+v", got, want)
		}
	}
	return nil
}

func checkLaunchMany(ctx context.Context, w *world) error {
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		return err
	}
	launched, err := a.Launch(ctx, w.request("gpu-1", "gpu", 3))
	if err != nil {
		return err
	}
	w.settle()
	listed, err := find(ctx, a)
	if err != nil {
		return err
	}
	if len(launched) != 3 || len(listed) != 3 {
		return fmt.Errorf("answered %d and listed %d instances, want 3", len(launched), len(listed))
	}
	return nil
}

// described launches one instance and asks EC2 for it.
func described(ctx context.Context, w *world) (types.Instance, error) {
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		return types.Instance{}, err
	}
	launched, err := w.launch(ctx, a, "gpu", "gpu-1")
	if err != nil {
		return types.Instance{}, err
	}
	answer, err := w.client.DescribeInstances(ctx, &awsec2.DescribeInstancesInput{InstanceIds: []string{string(launched[0].ID)}})
	if err != nil {
		return types.Instance{}, err
	}
	return answer.Reservations[0].Instances[0], nil
}

func checkSetup(ctx context.Context, w *world) error {
	got, err := described(ctx, w)
	if err != nil {
		return err
	}
	text, err := w.userData(ctx, *got.InstanceId)
	if err != nil {
		return err
	}
	if text != userData {
		return fmt.Errorf("user data is %q", text)
	}
	metadata := got.MetadataOptions
	switch {
	case aws.ToString(got.ImageId) != w.ami, aws.ToString(got.KeyName) != w.key:
		return fmt.Errorf("image %v, key %v", aws.ToString(got.ImageId), aws.ToString(got.KeyName))
	case len(got.SecurityGroups) != 1 || aws.ToString(got.SecurityGroups[0].GroupId) != w.group:
		return fmt.Errorf("security groups %+v", got.SecurityGroups)
	case metadata == nil || metadata.HttpTokens != types.HttpTokensStateRequired || aws.ToInt32(metadata.HttpPutResponseHopLimit) != 2:
		return fmt.Errorf("metadata options %+v", metadata)
	case got.Monitoring == nil || got.Monitoring.State != types.MonitoringStateEnabled && got.Monitoring.State != types.MonitoringStatePending:
		return fmt.Errorf("monitoring %+v", got.Monitoring)
	case len(got.BlockDeviceMappings) != 1 || !aws.ToBool(got.BlockDeviceMappings[0].Ebs.DeleteOnTermination):
		return fmt.Errorf("disks %+v", got.BlockDeviceMappings)
	}
	return nil
}

func checkTags(ctx context.Context, w *world, of func(types.Instance) []string) error {
	instance, err := described(ctx, w)
	if err != nil {
		return err
	}
	ids := of(instance)
	if len(ids) == 0 {
		return fmt.Errorf("instance %s has none of them", *instance.InstanceId)
	}
	want := map[string]string{
		ec2.TagAutoscaler: string(w.name), ec2.TagResource: "gpu", ec2.TagIntent: "gpu-1", "Name": string(w.name) + "-gpu", "team": "vision", ec2.TagQueue: home,
	}
	for _, id := range ids {
		answer, err := w.client.DescribeTags(ctx, &awsec2.DescribeTagsInput{
			Filters: []types.Filter{{Name: aws.String("resource-id"), Values: []string{id}}},
		})
		if err != nil {
			return err
		}
		got := make(map[string]string)
		for _, tag := range answer.Tags {
			got[*tag.Key] = *tag.Value
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("tags of %s are %v, want %v", id, got, want)
		}
	}
	return nil
}

func checkLaunchOnce(ctx context.Context, w *world) error {
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		return err
	}
	first, err := w.launch(ctx, a, "gpu", "gpu-1")
	if err != nil {
		return err
	}
	second, err := w.launch(ctx, a, "gpu", "gpu-1")
	if err != nil {
		return err
	}
	list, err := a.List(ctx)
	if err != nil {
		return err
	}
	if first[0].ID != second[0].ID || len(list) != 1 {
		return fmt.Errorf("launched %s and %s with one token, and listed %d", first[0].ID, second[0].ID, len(list))
	}
	return nil
}

func checkMismatch(ctx context.Context, w *world) error {
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		return err
	}
	if _, err := w.launch(ctx, a, "gpu", "gpu-1"); err != nil {
		return err
	}
	other := w.request("gpu-1", "gpu", 1)
	other.Offering.InstanceType = "m5.xlarge"
	_, err = a.Launch(ctx, other)
	return wantClass(err, messages.ClassTokenMismatch)
}

func checkSpent(ctx context.Context, w *world) error {
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		return err
	}
	launched, err := w.launch(ctx, a, "gpu", "gpu-1")
	if err != nil {
		return err
	}
	if _, err := a.Terminate(ctx, []messages.InstanceID{launched[0].ID}); err != nil {
		return err
	}
	w.settle()
	_, err = a.Launch(ctx, w.request("gpu-1", "gpu", 1))
	return wantClass(err, messages.ClassTokenSpent)
}

func checkSpot(ctx context.Context, w *world) error {
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		return err
	}
	request := w.request("gpu-1", "gpu", 1)
	request.Offering.Market = messages.Spot
	launched, err := a.Launch(ctx, request)
	if err != nil {
		return err
	}
	w.settle()
	listed, err := find(ctx, a)
	if err != nil {
		return err
	}
	if got := listed[launched[0].ID].Offering; got != request.Offering {
		return fmt.Errorf("listed as %q, want %q", got, request.Offering)
	}
	return nil
}

func checkZone(ctx context.Context, w *world) error {
	a, err := w.adapter(w.name, w.client)
	if err != nil {
		return err
	}
	for i, zone := range w.zones {
		request := w.request(fmt.Sprintf("gpu-%d", i), "gpu", 1)
		request.Offering.Zone, request.Offering.Subnet = zone, ""
		launched, err := a.Launch(ctx, request)
		if err != nil {
			return err
		}
		if got := launched[0].Offering; got.Zone != zone || got.Subnet != w.subnets[i] {
			return fmt.Errorf("launched %q, want zone %s with its subnet %s", got, zone, w.subnets[i])
		}
	}
	return nil
}

// refused is a check that a spoiled request is invalid for good, and launches
// nothing.
func refused(spoil func(*messages.LaunchRequest)) func(context.Context, *world) error {
	return func(ctx context.Context, w *world) error {
		a, err := ec2.New(ec2.Config{Autoscaler: w.name, Client: w.client, Resources: map[messages.ResourceName]ec2.Template{
			"gpu":      {AMI: w.ami},
			"no-image": {AMI: "ami-0123456789abcdef0"},
			"no-key":   {AMI: w.ami, KeyPair: "nobody"},
			"no-group": {AMI: w.ami, SecurityGroups: []string{"sg-0123456789abcdef0"}},
		}})
		if err != nil {
			return err
		}
		request := w.request("gpu-1", "gpu", 1)
		spoil(&request)
		if _, err := a.Launch(ctx, request); err != nil {
			return wantClass(err, messages.ClassInvalid)
		}
		return fmt.Errorf("it was launched")
	}
}
