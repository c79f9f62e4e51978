package cli_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/cmd/internal/doctor"
	"github.com/ebbscale/ebb/internal/freeport"
)

// TestDoctorOptions: what the doctor is told comes from file, flags and
// environment as for ebb run.
func TestDoctorOptions(t *testing.T) {
	t.Parallel()

	var told doctor.Options
	p, stdout, stderr := program()
	p.Commands.Doctor = func(_ context.Context, o doctor.Options) doctor.Report {
		told = o
		return doctor.Report{{ID: doctor.Config, Status: doctor.Warn, Message: "so so", Fix: "nothing"}}
	}
	p.Environ = append(p.Environ, "EBB_LEASE__TTL=20s")
	if code := p.Execute(t.Context(), []string{"doctor", "--config", "testdata/two.yaml", "--state-dir", "/elsewhere", "--timeout", "3s"}); code != 0 {
		t.Fatalf("a warning is no failure: exit %d: %s", code, stderr)
	}
	if told.Timeout != 3*time.Second || told.File.StateDir != "/elsewhere" || told.File.Lease.TTL != 20*time.Second || len(told.Problems) != 0 ||
		len(told.File.Autoscalers) != 2 || told.Path != "testdata/two.yaml" || !strings.HasPrefix(told.About, "2 autoscalers, ") {
		t.Errorf("told %+v", told)
	}
	if got := stdout.String(); !strings.Contains(got, "warn  config: so so\n        to do: nothing\n") {
		t.Errorf("printed %q", got)
	}
}

// TestDoctorUsage holds the exit codes apart.
func TestDoctorUsage(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		line []string
		code int
		want string
	}{
		{[]string{"doctor"}, 2, "--config ebb.yaml"},
		{[]string{"doctor", "ebb.yaml"}, 2, "--config"},
		{[]string{"doctor", "--config", "testdata/two.yaml", "--timeout", "0s"}, 2, "--timeout 0s"},
		{[]string{"doctor", "--config", "testdata/none.yaml"}, 1, "1 check failed"},
		{[]string{"doctor", "--config", "testdata/bad.yaml"}, 1, "checks failed"},
	} {
		p, _, stderr := program()
		p.Commands.Doctor = doctor.Run
		if code := p.Execute(t.Context(), c.line); code != c.code || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%q: exit %d: %s", c.line, code, stderr)
		}
	}
}

// TestDoctorShowsProblemsOfTheConfiguration as ebb config check does.
func TestDoctorShowsProblemsOfTheConfiguration(t *testing.T) {
	t.Parallel()

	_, checked, _ := ebb(t.Context(), "config", "check", "testdata/bad.yaml")
	p, stdout, _ := program()
	p.Commands.Doctor = doctor.Run
	p.Execute(t.Context(), []string{"doctor", "--config", "testdata/bad.yaml"})
	problems := 0
	for line := range strings.Lines(checked) {
		problems++
		if !strings.Contains(stdout.String(), "  FAIL  config: "+line) {
			t.Errorf("the doctor does not say %q", line)
		}
	}
	if problems == 0 || !strings.Contains(stdout.String(), "clearml.login") || !strings.Contains(stdout.String(), "not checked: because the configuration is not sound") {
		t.Errorf("%d problems; printed\n%s", problems, stdout)
	}
	p, stdout, _ = program()
	p.Commands.Doctor = doctor.Run
	p.Execute(t.Context(), []string{"doctor", "--config", "testdata/bad.yaml", "--json"})
	var report doctor.Report
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	if report[0].Status != doctor.Fail || report[0].Fix == "" || len(report) != problems+len(doctor.Checks())-1 {
		t.Errorf("%d checks, the first is %+v", len(report), report[0])
	}
}

// TestDoctorOnFakes examines a configuration for the fakes that ebb fake runs,
// before and after something is broken there.
func TestDoctorOnFakes(t *testing.T) {
	t.Parallel()

	clearml := start(t, "fake", "clearml", "--listen", "127.0.0.1:0", "--access-key", "AK", "--secret-key", "SK", "--queue", "cpu-queue")
	ec2 := start(t, "fake", "ec2", "--listen", "127.0.0.1:0")
	path := filepath.Join(t.TempDir(), "ebb.yaml")
	text := "state_dir: " + t.TempDir() + `
http: {listen: "off"}
nats: {listen: "127.0.0.1:1"}
autoscalers:
  - name: prod
    clearml: {api_server: "` + clearml.url(t) + `", access_key: AK, secret_key: SK}
    aws: {region: us-east-1, endpoint_url: "` + ec2.url(t) + `", access_key_id: any, secret_access_key: any}
    resources:
      - {name: cpu, instance_types: [c5.xlarge], market: spot, ami_id: ami-0123456789abcdef0, key_pair: mine,
         security_groups: [sg-0123456789abcdef0], max_instances: 2, queues: [cpu-queue], availability_zones: [us-east-1a]}
`
	if err := os.WriteFile(path, []byte(strings.Replace(text, "127.0.0.1:1", freeport.Address(t), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	examine := func() (int, string) {
		p, stdout, stderr := program()
		p.Commands.Doctor = doctor.Run
		code := p.Execute(t.Context(), []string{"doctor", "--config", path, "--timeout", patience.String()})
		return code, stdout.String() + stderr.String()
	}
	if code, said := examine(); code != 0 || strings.Contains(said, "FAIL") || strings.Contains(said, "warn") {
		t.Errorf("exit %d:\n%s", code, said)
	}
	postJSON(t, ec2.url(t)+"/_fake/denied", `{"actions": ["TerminateInstances"]}`)
	if code, said := examine(); code != 1 || !strings.Contains(said, "FAIL  aws.permission ec2:TerminateInstances") || !strings.Contains(said, "ebb: 1 check failed") {
		t.Errorf("exit %d:\n%s", code, said)
	}
}

// postJSON sends a body to a fake's admin API.
func postJSON(t *testing.T, url, body string) {
	t.Helper()
	carrier := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	answer, err := carrier.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, answer.Status)
	}
}
