package ec2_test

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

// prober is one of the autoscaler "prod" with the template as resource "gpu".
func prober(t *testing.T, access ec2.ClientConfig, template ec2.Template) *ec2.Prober {
	t.Helper()

	access.Region, access.AccessKeyID, access.SecretAccessKey = "us-east-1", accessKey, secretKey
	p, err := ec2.NewProber(t.Context(), access, ec2.Config{
		Autoscaler: "prod", Log: zerolog.Nop(), Resources: map[messages.ResourceName]ec2.Template{"gpu": template},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTryLaunchSendsTheLaunch: a dry run is the call that Launch makes, but for
// what must not be of a real one.
func TestTryLaunchSendsTheLaunch(t *testing.T) {
	t.Parallel()

	s := newServer(t, answer(http.StatusPreconditionFailed, refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")))
	template := ec2.Template{
		AMI: "ami-0a", KeyPair: "ops", SecurityGroups: []string{"sg-0a"}, ProfileName: "worker", Tags: map[string]string{"team": "a"},
		UserData: []byte("#!/bin/sh\n"), Volumes: []ec2.Volume{{Device: "/dev/sda1", SizeGB: 10}}, Extra: map[string]any{"EbsOptimized": true},
	}
	offering := messages.Offering{Market: messages.Spot, InstanceType: "g5.xlarge", Zone: "us-east-1a", Subnet: "subnet-0a"}
	p := prober(t, ec2.ClientConfig{EndpointURL: s.URL}, template)
	for _, trial := range []ec2.Trial{{}, {WithoutTags: true}, {WithoutProfile: true}, {Foreign: true}} {
		trial.Resource, trial.Offering = "gpu", offering
		if err := p.TryLaunch(t.Context(), trial); err != nil {
			t.Fatal(err)
		}
	}
	launch := request()
	launch.Offering, launch.Count = offering, 1
	if _, err := adapter(t, client(t, s.URL), template).Launch(t.Context(), launch); err == nil {
		t.Fatal("no error")
	}
	sent := s.sent()
	common := func(text string, without ...string) string {
		lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool {
			return slices.ContainsFunc(without, func(prefix string) bool { return strings.HasPrefix(line, prefix) })
		})
		return regexp.MustCompile(`(?m)=(gpu-7|ebb-doctor)$`).ReplaceAllString(strings.Join(lines, "\n"), "=launch")
	}
	want := common(sent[4], "ClientToken=")
	for i, without := range [][]string{{"DryRun=", "ClientToken="}, {"DryRun=", "ClientToken=", "TagSpecification."}, {"DryRun=", "ClientToken=", "IamInstanceProfile."}} {
		if !strings.Contains(sent[i], "DryRun=true\n") || strings.Contains(sent[i], "ClientToken=ebb") {
			t.Errorf("trial %d is no dry run:\n%s", i, sent[i])
		}
		if got := common(sent[i], without...); got != common(want, without...) {
			t.Errorf("trial %d sent\n%s\nand a launch\n%s", i, got, want)
		}
	}
	if !strings.Contains(sent[0], "Value=prod\n") || strings.Contains(sent[3], "Value=prod\n") || !strings.Contains(sent[3], "DryRun=true") {
		t.Errorf("a foreign launch is\n%s", sent[3])
	}
}

// TestTryInstance judges answers about an instance that is ours, and about one
// that nobody has.
func TestTryInstance(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		code       string
		ours, none bool // granted
	}{
		{"DryRunOperation", true, true},
		{"InvalidInstanceID.NotFound", false, true},
		{"UnauthorizedOperation", false, false},
		{"RequestLimitExceeded", false, false},
	} {
		s := newServer(t, answer(http.StatusBadRequest, refusal(c.code, "so it is")))
		p := prober(t, ec2.ClientConfig{EndpointURL: s.URL}, ec2.Template{AMI: "a"})
		for id, want := range map[messages.InstanceID]bool{"i-0123456789abcdef0": c.ours, "": c.none} {
			for _, err := range []error{p.TryTerminate(t.Context(), id), p.TryConsole(t.Context(), id)} {
				if (err == nil) != want || ec2.IsRefused(err) != (c.code == "UnauthorizedOperation") {
					t.Errorf("%s for %q: got %v", c.code, id, err)
				}
			}
		}
		for _, call := range s.sent() {
			if !strings.Contains(call, "DryRun=true\n") {
				t.Fatalf("no dry run:\n%s", call)
			}
		}
	}
}

// carrier is an HTTP client that notes the hosts it is sent to.
type carrier struct{ hosts []string }

func (c *carrier) Do(r *http.Request) (*http.Response, error) {
	c.hosts = append(c.hosts, r.URL.Host)
	body := `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/x</Arn><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// TestIdentityGoesToSTS: a stand-in for EC2 is asked too, AWS's own endpoint of
// EC2 is not, as it serves EC2 alone.
func TestIdentityGoesToSTS(t *testing.T) {
	t.Parallel()

	for endpoint, want := range map[string]string{
		"":                                    "sts.us-east-1.amazonaws.com",
		"https://ec2.us-east-1.amazonaws.com": "sts.us-east-1.amazonaws.com",
		"https://vpce-1.ec2.us-east-1.vpce.amazonaws.com": "sts.us-east-1.amazonaws.com",
		"http://127.0.0.1:4566":                           "127.0.0.1:4566",
	} {
		over := &carrier{}
		who, err := prober(t, ec2.ClientConfig{EndpointURL: endpoint, HTTPClient: over}, ec2.Template{AMI: "a"}).Identity(t.Context())
		if err != nil || who != (ec2.Identity{Account: "1", ARN: "arn:aws:iam::1:user/x"}) {
			t.Errorf("%q: got %+v, %v", endpoint, who, err)
		}
		if !slices.Equal(over.hosts, []string{want}) {
			t.Errorf("%q: asked %q, want %s", endpoint, over.hosts, want)
		}
	}
}

// TestPartsOf: the extra launch parameters win, as they do at a launch.
func TestPartsOf(t *testing.T) {
	t.Parallel()

	offering := messages.Offering{Market: messages.Spot, InstanceType: "g5.xlarge", Zone: "us-east-1a", Subnet: "subnet-0a"}
	plain := ec2.Template{AMI: "ami-0a", KeyPair: "ops", SecurityGroups: []string{"sg-0a"}, ProfileName: "worker"}
	parts, err := prober(t, ec2.ClientConfig{}, plain).PartsOf("gpu", offering)
	if err != nil || parts.Image != "ami-0a" || parts.KeyPair != "ops" || parts.Profile != "worker" || parts.Market != messages.Spot ||
		parts.Zone != "us-east-1a" || !slices.Equal(parts.Subnets, []string{"subnet-0a"}) || !slices.Equal(parts.Groups, []string{"sg-0a"}) || len(parts.Extra) != 0 {
		t.Errorf("got %+v, %v", parts, err)
	}
	extra := plain
	extra.Extra = map[string]any{
		"ImageId": "ami-0b", "NetworkInterfaces": []any{map[string]any{"DeviceIndex": 0, "SubnetId": "subnet-0b", "Groups": []any{"sg-0b"}}},
		"LaunchTemplate": map[string]any{"LaunchTemplateName": "x"},
	}
	parts, err = prober(t, ec2.ClientConfig{}, extra).PartsOf("gpu", offering)
	if err != nil || parts.Image != "ami-0b" || !slices.Equal(parts.Subnets, []string{"subnet-0b"}) || !slices.Equal(parts.Groups, []string{"sg-0b"}) ||
		!parts.Template || !parts.Extra["ImageId"] || parts.Extra["KeyName"] {
		t.Errorf("got %+v, %v", parts, err)
	}
	if _, err := prober(t, ec2.ClientConfig{}, plain).PartsOf("none", offering); err == nil {
		t.Error("a resource that is not configured: no error")
	}
}
