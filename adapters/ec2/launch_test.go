package ec2_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

const launched = `<RunInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><reservationId>r-1</reservationId>
<instancesSet><item><instanceId>i-0a1</instanceId><instanceState><code>0</code><name>pending</name></instanceState><instanceType>g5.xlarge</instanceType>
<launchTime>2026-01-31T12:00:00.000Z</launchTime><placement><availabilityZone>us-east-1a</availabilityZone></placement><subnetId>subnet-0a</subnetId>
<clientToken>ebb-gpu-7</clientToken></item></instancesSet></RunInstancesResponse>`

// TestLaunchWire holds the calls as they go over the wire.
func TestLaunchWire(t *testing.T) {
	t.Parallel()

	keep := false
	everything := ec2.Template{
		AMI: "ami-1", KeyPair: "ops", SecurityGroups: []string{"sg-2", "sg-1"},
		Tags:        map[string]string{"team": "vision", "Name": "chosen by the user", ec2.TagIntent: "forged", ec2.TagQueue: "forged"},
		Home:        "training",
		ProfileName: "worker", Monitoring: true, UserData: []byte("#!/bin/sh\necho hello\n"), DockerMode: true, SpotMaxPrice: "0.35",
		Volumes: []ec2.Volume{
			{Device: "/dev/sda1", SizeGB: 200, Type: "gp3", IOPS: 6000, Throughput: 250, Encrypted: true},
			{Device: "/dev/sdf", SnapshotID: "snap-1", DeleteOnTermination: &keep},
		},
	}
	withExtra := everything
	withExtra.Extra = map[string]any{
		"InstanceType":        "p5.48xlarge",
		"EbsOptimized":        true,
		"MetadataOptions":     map[string]any{"HttpPutResponseHopLimit": 3},
		"Placement":           map[string]any{"GroupName": "cluster", "AvailabilityZone": "us-east-1f"},
		"IamInstanceProfile":  map[string]any{"Arn": "arn:aws:iam::111122223333:instance-profile/other"},
		"SecurityGroups":      []any{"by-name"},
		"BlockDeviceMappings": []any{map[string]any{"DeviceName": "/dev/xvda", "Ebs": map[string]any{"VolumeSize": 50.0}}},
		"InstanceMarketOptions": map[string]any{"SpotOptions": map[string]any{
			"ValidUntil": "2027-01-31T12:00:00Z",
		}},
		"TagSpecifications": []any{
			map[string]any{"ResourceType": "volume", "Tags": []any{
				map[string]any{"Key": "backup", "Value": "daily"}, map[string]any{"Key": ec2.TagAutoscaler, "Value": "forged"},
			}},
			map[string]any{"ResourceType": "spot-instances-request", "Tags": []any{map[string]any{"Key": "bid", "Value": "low"}}},
		},
	}
	withCards := ec2.Template{AMI: "ami-1", SecurityGroups: []string{"sg-1"}, Extra: map[string]any{
		"NetworkInterfaces": []any{map[string]any{"DeviceIndex": 0, "AssociatePublicIpAddress": true}},
	}}

	spot := messages.Offering{Market: messages.Spot, InstanceType: "g5.xlarge", Zone: "us-east-1a"}
	for _, c := range []struct {
		name     string
		template ec2.Template
		offering messages.Offering
	}{
		{"plain", ec2.Template{AMI: "ami-1", Tags: map[string]string{ec2.TagQueue: "forged"}}, messages.Offering{Market: messages.OnDemand, InstanceType: "t3.micro"}},
		{"subnet_wins_over_zone", ec2.Template{AMI: "ami-1"}, request().Offering},
		{"spot_with_everything", everything, spot},
		{"extra_on_spot", withExtra, spot},
		{"extra_on_demand", withExtra, request().Offering},
		{"network_interfaces", withCards, request().Offering},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			s := newServer(t, answer(http.StatusOK, launched))
			a := adapter(t, client(t, s.URL), c.template)
			r := request()
			r.Offering = c.offering
			for range 2 {
				if _, err := a.Launch(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			sent := s.sent()
			if len(sent) != 2 || sent[0] != sent[1] {
				t.Fatalf("the same request must be sent as the same call:\n%s", strings.Join(sent, "\n--\n"))
			}
			golden(t, "launch_"+c.name+".golden", sent[0])
		})
	}
}

func TestLaunchAnswer(t *testing.T) {
	t.Parallel()

	s := newServer(t, answer(http.StatusOK, launched))
	got, err := adapter(t, client(t, s.URL), ec2.Template{AMI: "ami-1", Home: "training"}).Launch(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	want := messages.Instance{
		ID: "i-0a1", Resource: "gpu", Launch: "gpu-7", Token: "ebb-gpu-7", Home: "training", State: messages.StatePending,
		Offering:   request().Offering,
		LaunchedAt: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
	}
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want one %+v", got, want)
	}
}

// TestLaunchAnswerThatMakesNoSense must leave open what EC2 did.
func TestLaunchAnswerThatMakesNoSense(t *testing.T) {
	t.Parallel()

	for name, body := range map[string]string{
		"no instance": strings.Replace(launched, "item>", "thing>", 2),
		"no id":       strings.Replace(launched, "instanceId>", "x>", 2),
		"cut off":     launched[:300],
		"not XML":     "<html>proxy</html",
	} {
		s := newServer(t, answer(http.StatusOK, body))
		instances, err := adapter(t, client(t, s.URL), ec2.Template{AMI: "ami-1"}).Launch(t.Context(), request())
		if f := failure(t, err); f.Class != messages.ClassTransient || f.Definitive() || instances != nil {
			t.Errorf("%s: got %v and %v, want a failure that is not definitive", name, instances, err)
		}
	}
}

func TestLaunchRefusesBadRequests(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		spoil func(*messages.LaunchRequest)
		want  string
	}{
		"resource": {func(r *messages.LaunchRequest) { r.Resource = "cpu" }, "not configured"},
		"count":    {func(r *messages.LaunchRequest) { r.Count = 0 }, "count 0"},
		"launch":   {func(r *messages.LaunchRequest) { r.Launch = "" }, "no launch id"},
		"no token": {func(r *messages.LaunchRequest) { r.Token = "" }, "needs 1 to 64"},
		"long":     {func(r *messages.LaunchRequest) { r.Token = strings.Repeat("x", 65) }, "needs 1 to 64"},
		"umlaut":   {func(r *messages.LaunchRequest) { r.Token = "ü" }, "ASCII"},
		"type":     {func(r *messages.LaunchRequest) { r.Offering.InstanceType = "" }, "no instance type"},
		"market":   {func(r *messages.LaunchRequest) { r.Offering.Market = "futures" }, `market "futures"`},
	} {
		r := request()
		c.spoil(&r)
		// The stub has no RunInstances: a call would crash.
		_, err := adapter(t, stub{}, ec2.Template{AMI: "ami-1"}).Launch(t.Context(), r)
		if f := failure(t, err); f.Class != messages.ClassInvalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an invalid request that says %q", name, err, c.want)
		}
	}
}

// TestLaunchOperationNotPermitted: the code that means protection of an
// instance elsewhere must end a launch, not have it sent for ever.
func TestLaunchOperationNotPermitted(t *testing.T) {
	t.Parallel()

	s := newServer(t, answer(http.StatusBadRequest, refusal("OperationNotPermitted", "no")))
	_, err := adapter(t, client(t, s.URL), ec2.Template{AMI: "ami-1"}).Launch(t.Context(), request())
	if f := failure(t, err); f.Class != messages.ClassUnauthorized || !f.Definitive() {
		t.Errorf("got %v", err)
	}
}

// TestLaunchesDoNotShare looks for state that leaks from one launch into the
// next through the template.
func TestLaunchesDoNotShare(t *testing.T) {
	t.Parallel()

	var inputs []*awsec2.RunInstancesInput
	api := stub{run: func(in *awsec2.RunInstancesInput) (*awsec2.RunInstancesOutput, error) {
		inputs = append(inputs, in)
		return &awsec2.RunInstancesOutput{}, nil
	}}
	a := adapter(t, api, ec2.Template{AMI: "ami-1", Extra: map[string]any{
		"Placement":         map[string]any{"Tenancy": "default"},
		"NetworkInterfaces": []any{map[string]any{"DeviceIndex": 0}},
	}})
	first, second := request(), request()
	first.Offering.Subnet = ""
	_, _ = a.Launch(t.Context(), first)
	_, _ = a.Launch(t.Context(), second)
	if got := inputs[0].Placement.AvailabilityZone; got == nil || *got != "us-east-1a" {
		t.Errorf("first launch went to zone %v", got)
	}
	if got := inputs[1].Placement.AvailabilityZone; got != nil {
		t.Errorf("the zone %s of the first launch is in the second", *got)
	}
	if got := inputs[0].NetworkInterfaces[0].SubnetId; got != nil {
		t.Errorf("the subnet %s of the second launch is in the first", *got)
	}
}
