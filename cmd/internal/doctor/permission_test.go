package doctor_test

import (
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/adapters/iam"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
)

// TestEachPermission takes one action after the other away, all that the
// policies of ebb iam-policy may grant: the check of that action has to tell.
func TestEachPermission(t *testing.T) {
	t.Parallel()

	policy, err := iam.Basic(iam.Options{
		ProfileRoles: []string{"arn:aws:iam::111122223333:role/worker"}, AMIParameters: []string{"/ebb/images/arm64"}, SpotRole: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	listed := doctor.Permissions()
	slices.Sort(listed)
	if granted := policy.Actions(); !slices.Equal(granted, listed) {
		t.Fatalf("the policy grants %q, the doctor asks for %q", granted, listed)
	}
	for _, action := range policy.Actions() {
		t.Run(action, func(t *testing.T) {
			t.Parallel()

			c := newClinic(t)
			_, plain, _ := strings.Cut(action, ":")
			c.region.Denied = []string{plain}
			report := c.examine()
			want := doctor.Fail
			if action == "ec2:GetConsoleOutput" || action == "ec2:DescribeSpotInstanceRequests" {
				want = doctor.Warn // ebb runs without
			}
			check, _ := find(report, doctor.AWSPermission, action)
			if check.Status != want || !strings.Contains(check.Fix, plain) && !strings.Contains(check.Fix, "create-service-linked-role") ||
				!strings.Contains(check.Fix, "ebb iam-policy") {
				t.Errorf("got %+v\n%s", check, show(t, report))
			}
			for _, other := range report {
				if other.Status == doctor.Fail && other.Subject != action {
					t.Errorf("%s %s fails too: %s", other.ID, other.Subject, other.Message)
				}
			}
		})
	}
}

// TestRefusalWithoutAction: EC2 does not name the action in every refusal. Then
// launches that do without a part of it tell.
func TestRefusalWithoutAction(t *testing.T) {
	t.Parallel()

	for _, action := range []string{"ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()

			c := newClinic(t)
			_, plain, _ := strings.Cut(action, ":")
			c.region.Denied = []string{plain}
			c.prepare = func(c *clinic) { c.atEC2 = serve(c.t, silent{c.ec2.Handler()}) }
			report := c.examine()
			for _, other := range []string{"ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"} {
				check, _ := find(report, doctor.AWSPermission, other)
				if (check.Status == doctor.Fail) != (other == action) || check.Status == doctor.OK {
					t.Errorf("got %+v\n%s", check, show(t, report))
				}
			}
		})
	}
}

// silent takes out of refusals who may not do what.
type silent struct{ http.Handler }

func (s silent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	s.Handler.ServeHTTP(answer, r)
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(regexp.MustCompile(` User: [^<]*`).ReplaceAll(answer.Body.Bytes(), nil))
}

// lookUps are what the doctor asks and ebb does not.
func lookUps() []string {
	return []string{
		"DescribeImages", "DescribeInstanceTypes", "DescribeInstanceTypeOfferings", "DescribeSubnets", "DescribeSecurityGroups", "DescribeKeyPairs",
	}
}

// TestLeastPolicy has the rights that ebb needs and no others: nothing fails,
// and what could not be looked up is not called ok.
func TestLeastPolicy(t *testing.T) {
	t.Parallel()

	c := newClinic(t)
	c.region.Denied = lookUps()
	report := c.examine()
	if bad := wrong(report, doctor.Fail, doctor.Warn); len(bad) > 0 {
		t.Errorf("complains of %q:\n%s", bad, show(t, report))
	}
	for _, id := range []doctor.ID{doctor.AWSImage, doctor.AWSOffering, doctor.AWSSubnet, doctor.AWSGroup, doctor.AWSKeyPair} {
		if check, _ := find(report, id, "gpu"); check.Status != doctor.NotChecked || !strings.Contains(check.Message, "not checked: because") {
			t.Errorf("%s: got %+v", id, check)
		}
	}
	for _, subject := range []string{"gpu", "cpu"} {
		if check, _ := find(report, doctor.AWSLaunch, subject); check.Status != doctor.OK {
			t.Errorf("got %+v", check)
		}
	}
}

// TestLeastPolicyFaults: without the right to look things up, the dry runs find
// what is wrong, and name the key.
func TestLeastPolicyFaults(t *testing.T) {
	t.Parallel()

	const resource = "autoscalers[0].resources[0]."
	for name, f := range map[string]struct{ old, new, message, fix string }{
		"image":    {x86Image, "ami-0123456789abcdef0", "InvalidAMIID.NotFound", resource + "ami_id"},
		"fit":      {x86Image, armImage, "architecture", resource + "ami_id"},
		"subnet":   {subnetA, "subnet-0123456789abcdef0", "InvalidSubnetID.NotFound", resource + "subnets"},
		"zone":     {"[us-east-1a, us-east-1b]\n        subnets: [" + subnetA + ", " + subnetB + "]", "[us-east-1x]", "Invalid availability zone", resource + "availability_zones"},
		"group":    {goodGroup, "sg-0123456789abcdef0", "InvalidGroup.NotFound", resource + "security_groups"},
		"network":  {goodGroup, otherGroup, "different networks", resource + "security_groups"},
		"key":      {"key_pair: ops", "key_pair: sesame", "InvalidKeyPair.NotFound", resource + "key_pair"},
		"type":     {"[g5.xlarge]", "[g99.xlarge]", "Invalid value 'g99.xlarge' for InstanceType", resource + "instance_types"},
		"offering": {"[g5.xlarge]", "[p3.2xlarge]", "Unsupported", resource + "availability_zones"},
		"no spot":  {"[g5.xlarge]", "[p5.48xlarge]", "InvalidInput", resource + "instance_types"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := newClinic(t)
			c.region.Denied = lookUps()
			c.edit(f.old, f.new)
			report := c.examine()
			var found bool
			for _, check := range report {
				found = found || check.ID == doctor.AWSLaunch && check.Subject == "gpu" && check.Status == doctor.Fail &&
					strings.Contains(check.Message, f.message) && strings.Contains(check.Fix, f.fix)
			}
			if !found {
				t.Errorf("no failure of aws.launch gpu with %q, cure %q:\n%s", f.message, f.fix, show(t, report))
			}
		})
	}
}

// TestRestrictedPolicy has the right to end what carries the owner tag alone:
// before there is such an instance nobody can tell, and then it is tried on one.
func TestRestrictedPolicy(t *testing.T) {
	t.Parallel()

	for _, running := range []bool{false, true} {
		c := newClinic(t)
		owner := fakeec2.Tag{Key: "ebb:autoscaler", Value: "prod"}
		c.region.OnlyTagged = owner
		if running {
			c.prepare = func(c *clinic) {
				if _, err := c.ec2.RunInstances(fakeec2.RunInstancesInput{
					ImageID: x86Image, InstanceType: "g5.xlarge", MinCount: 1, MaxCount: 1, SubnetID: subnetA,
					TagSpecifications: []fakeec2.TagSpecification{{ResourceType: "instance", Tags: []fakeec2.Tag{owner}}},
				}); err != nil {
					c.t.Fatal(err)
				}
			}
		}
		report := c.examine()
		want := doctor.NotChecked
		if running {
			want = doctor.OK
		}
		for _, action := range []string{"ec2:TerminateInstances", "ec2:GetConsoleOutput"} {
			if check, _ := find(report, doctor.AWSPermission, action); check.Status != want {
				t.Errorf("with an instance (%t): got %+v", running, check)
			}
		}
		if bad := wrong(report, doctor.Fail, doctor.Warn); len(bad) > 0 {
			t.Errorf("complains of %q:\n%s", bad, show(t, report))
		}
		if running && !c.ec2.Instances()[0].State.Alive() {
			t.Error("the instance was ended")
		}
	}
}

// TestThrottled: what EC2 throttles is asked again.
func TestThrottled(t *testing.T) {
	t.Parallel()

	c := newClinic(t)
	c.prepare = func(c *clinic) {
		for _, action := range []string{"RunInstances", "DescribeImages", "TerminateInstances"} {
			if err := c.ec2.Inject(fakeec2.Fault{Action: action, Kind: fakeec2.FaultErrorBefore, Code: "RequestLimitExceeded", Times: 1}); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	report := c.examine()
	if bad := wrong(report, doctor.Fail, doctor.Warn); len(bad) > 0 {
		t.Errorf("complains of %q:\n%s", bad, show(t, report))
	}
}

// TestDeadServers: servers that take a connection and say nothing cost the
// time-out and no more, and nothing is called ok that was not looked at.
func TestDeadServers(t *testing.T) {
	t.Parallel()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	dead := listener.Addr().String() // the kernel takes connections, and nobody answers
	c := newClinic(t)
	c.timeout = 700 * time.Millisecond
	c.prepare = func(c *clinic) { c.atEC2, c.atClearML = "http://"+dead, "http://"+dead }
	c.external(dead, goodLogin)
	began := time.Now()
	report := c.examine()
	if took := time.Since(began); took > patience { // a busy machine is slow, one that waits for the server never ends
		t.Errorf("took %s", took)
	}
	for id, fix := range map[doctor.ID]string{doctor.NATSLogin: "nats.url", doctor.ClearMLServer: "--timeout", doctor.AWSRegion: "endpoint_url"} {
		if check, _ := find(report, id, ""); check.Status != doctor.Fail || !strings.Contains(check.Fix, fix) && !strings.Contains(check.Fix, "--timeout") {
			t.Errorf("%s: got %+v", id, check)
		}
	}
	for _, check := range report {
		if check.Status == doctor.OK && check.ID != doctor.Config && check.ID != doctor.HTTPListen { // which ask no server
			t.Errorf("%s is called ok: %s", check.ID, check.Message)
		}
	}
}
