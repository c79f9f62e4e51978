//go:build real

package doctor_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/iam"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/contract/motoserver"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
)

const region = "us-east-1"

// user is somebody with an access key.
type user struct {
	ARN    string `json:"arn"`
	Key    string `json:"key"`
	Secret string `json:"secret"`
}

// account is what testdata/prepare.py has made, and where.
type account struct {
	X86        string          `json:"x86_64"`
	ARM        string          `json:"arm64"`
	Subnets    []string        `json:"subnets"`
	Zones      []string        `json:"zones"`
	Group      string          `json:"group"`
	OtherGroup string          `json:"other_group"`
	RareType   string          `json:"rare_type"`
	Users      map[string]user `json:"users"`

	endpoint, clearml string
}

// open starts moto, makes the account, and has moto look at policies from then on.
func open(t *testing.T) account {
	t.Helper()

	endpoint := motoserver.Start(t)
	policy, err := iam.Basic(iam.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := policy.JSON()
	if err != nil {
		t.Fatal(err)
	}
	prepare := exec.CommandContext(t.Context(), motoserver.Tool(t, "python"), filepath.Join("testdata", "prepare.py"), endpoint, region, string(text))
	prepare.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir(), "LANG=C.UTF-8"}
	var said bytes.Buffer
	prepare.Stderr = &said
	out, err := prepare.Output()
	if err != nil {
		t.Fatalf("prepare moto: %v\n%s", err, said.String())
	}
	made := account{endpoint: endpoint}
	if err := json.Unmarshal(out, &made); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+"/moto-api/reset-auth", strings.NewReader("0"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("turn on moto's policies: %v, %v", answer, err)
	}
	_ = answer.Body.Close()

	tracker, err := fakeclearml.New(fakeclearml.Config{Clock: clock.System(), Seed: 1, Keys: map[string]string{"KEYFORTESTS": "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(tracker.Handler())
	t.Cleanup(server.Close)
	made.clearml = server.URL
	return made
}

// configuration is one in which all is well for the user good.
func (a account) configuration(dir string) string {
	who := a.Users["good"]
	return fmt.Sprintf(`state_dir: %s
http: {listen: "off"}
nats: {listen: "127.0.0.1:4222"}
autoscalers:
  - name: prod
    clearml: {api_server: "%s", access_key: KEYFORTESTS, secret_key: secret}
    aws: {region: %s, endpoint_url: "%s", access_key_id: %s, secret_access_key: "%s"}
    iam_instance_profile: {name: worker}
    resources:
      - name: cpu
        instance_types: [m5.large]
        market: spot
        availability_zones: [%s]
        subnets: [%s]
        ami_id: %s
        security_groups: [%s]
        key_pair: ops
        max_instances: 8
        queues: [default]
`, filepath.Join(dir, "state"), a.clearml, region, a.endpoint, who.Key, who.Secret,
		strings.Join(a.Zones, ", "), strings.Join(a.Subnets, ", "), a.X86, a.Group)
}

// examine runs the doctor over the configuration with some of it replaced. What
// it says of this machine is left out.
func (a account) examine(t *testing.T, edits ...string) doctor.Report {
	t.Helper()

	dir := t.TempDir()
	text := a.configuration(dir)
	for pair := range slices.Chunk(edits, 2) {
		if !strings.Contains(text, pair[0]) {
			t.Fatalf("the configuration has no %q", pair[0])
		}
		text = strings.Replace(text, pair[0], pair[1], 1)
	}
	path := filepath.Join(dir, "ebb.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := config.Load(config.Source{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	report := doctor.Run(t.Context(), doctor.Options{Path: path, File: file, Timeout: time.Minute, Log: zerolog.Nop()})
	return slices.DeleteFunc(report, func(c doctor.Check) bool { return c.Autoscaler == "" })
}

// TestMotoFaults plants one fault at a time in an account of moto, whose policies
// are looked at. The check that is about it has to find it and to name the cure,
// and no other may fail.
func TestMotoFaults(t *testing.T) {
	t.Parallel()

	a := open(t)
	good := a.Users["good"]
	as := func(name string) []string {
		return []string{good.Key, a.Users[name].Key, good.Secret, a.Users[name].Secret}
	}
	const resource = "autoscalers[0].resources[0]."
	for name, c := range map[string]struct {
		edits        []string
		id           doctor.ID // empty: all is well
		subject      string
		status       doctor.Status
		message, fix string
	}{
		"all is well": {},
		// The errors of moto's STS are not in the form of STS: only the status tells.
		"a key that nobody has": {
			edits: []string{good.Key, "AKIANOBODYNOBODY1234"},
			id:    doctor.AWSCredentials, message: "does not take the credentials", fix: "autoscalers[0].aws.access_key_id",
		},
		"the secret of another key": {
			edits: []string{good.Secret, "aNotherSecretThatIsNotTheOneOfThisKey123"},
			id:    doctor.AWSCredentials, message: "does not take the credentials", fix: "autoscalers[0].aws.access_key_id and autoscalers[0].aws.secret_access_key",
		},
		"no RunInstances": {
			edits: as("RunInstances"),
			id:    doctor.AWSPermission, subject: "ec2:RunInstances", fix: "grant ec2:RunInstances to " + a.Users["RunInstances"].ARN,
		},
		"no TerminateInstances": {
			edits: as("TerminateInstances"),
			id:    doctor.AWSPermission, subject: "ec2:TerminateInstances", fix: "grant ec2:TerminateInstances to " + a.Users["TerminateInstances"].ARN,
		},
		"no DescribeInstances": {
			edits: as("DescribeInstances"),
			id:    doctor.AWSPermission, subject: "ec2:DescribeInstances", fix: "grant ec2:DescribeInstances",
		},
		"no GetConsoleOutput": {
			edits: as("GetConsoleOutput"), status: doctor.Warn,
			id: doctor.AWSPermission, subject: "ec2:GetConsoleOutput", fix: "grant ec2:GetConsoleOutput",
		},
		"no DescribeSpotInstanceRequests": {
			edits: as("DescribeSpotInstanceRequests"), status: doctor.Warn,
			id: doctor.AWSPermission, subject: "ec2:DescribeSpotInstanceRequests", fix: "grant ec2:DescribeSpotInstanceRequests",
		},
		"an image that does not exist": {
			edits: []string{a.X86, "ami-0123456789abcdef0"},
			id:    doctor.AWSImage, subject: "cpu", message: "does not exist", fix: resource + "ami_id",
		},
		"an image of another architecture": {
			edits: []string{a.X86, a.ARM},
			id:    doctor.AWSImage, subject: "cpu", message: "is for arm64, and m5.large is x86_64", fix: resource + "ami_id",
		},
		"a subnet in another zone": {
			edits: []string{"[" + strings.Join(a.Zones, ", ") + "]", "[" + a.Zones[1] + ", " + a.Zones[1] + "]"},
			id:    doctor.AWSSubnet, subject: "cpu", message: a.Subnets[0] + " lies in " + a.Zones[0], fix: resource + "availability_zones",
		},
		"a subnet that does not exist": {
			edits: []string{a.Subnets[1], "subnet-0123456789abcdef0"},
			id:    doctor.AWSSubnet, subject: "cpu", message: "does not exist", fix: resource + "subnets",
		},
		"a security group of another VPC": {
			edits: []string{a.Group, a.OtherGroup},
			id:    doctor.AWSGroup, subject: "cpu", message: "belongs to", fix: resource + "security_groups",
		},
		"a security group that does not exist": {
			edits: []string{a.Group, "sg-0123456789abcdef0"},
			id:    doctor.AWSGroup, subject: "cpu", message: "does not exist", fix: resource + "security_groups",
		},
		"a key pair that does not exist": {
			edits: []string{"key_pair: ops", "key_pair: sesame"},
			id:    doctor.AWSKeyPair, subject: "cpu", message: "sesame", fix: resource + "key_pair",
		},
		"a type that the zone does not have": {
			edits: []string{"[m5.large]", "[" + a.RareType + "]", strings.Join(a.Zones, ", "), a.Zones[0], strings.Join(a.Subnets, ", "), a.Subnets[0]},
			id:    doctor.AWSOffering, subject: "cpu", message: a.RareType + " in " + a.Zones[0], fix: resource + "subnets",
		},
		"a type that does not exist": {
			edits: []string{"[m5.large]", "[m99.large]"},
			id:    doctor.AWSOffering, subject: "cpu", message: "m99.large", fix: resource + "instance_types",
		},
		"an instance profile that does not exist": {
			edits: []string{"{name: worker}", "{name: nobody}"},
			id:    doctor.AWSProfile, subject: "cpu", message: "nobody", fix: "autoscalers[0].iam_instance_profile.name",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			report := a.examine(t, c.edits...)
			if c.status == "" {
				c.status = doctor.Fail
			}
			found := c.id == ""
			for _, check := range report {
				switch {
				case check.ID == c.id && check.Subject == c.subject:
					found = check.Status == c.status && strings.Contains(check.Message, c.message) && strings.Contains(check.Fix, c.fix)
				case check.Status == doctor.Fail && check.ID != c.id:
					t.Errorf("%s %s fails: %s", check.ID, check.Subject, check.Message)
				}
			}
			if !found {
				t.Errorf("want %s %s %q with %q, cure %q; got\n%s", c.status, c.id, c.subject, c.message, c.fix, show(t, report))
			}
		})
	}
	t.Run("the policy of ebb iam-policy and no more", func(t *testing.T) {
		t.Parallel()

		report := a.examine(t, as("least")...)
		if report.Count(doctor.Fail)+report.Count(doctor.Warn) > 0 {
			t.Errorf("complains:\n%s", show(t, report))
		}
		for _, check := range report {
			if check.ID == doctor.AWSImage && check.Status != doctor.NotChecked {
				t.Errorf("got %+v", check)
			}
		}
	})
}

func show(t *testing.T, report doctor.Report) string {
	t.Helper()

	var text strings.Builder
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
