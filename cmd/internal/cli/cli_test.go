package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ebbscale/ebb/cmd/internal/cli"
	"github.com/ebbscale/ebb/internal/leaks"
)

var update = flag.Bool("update", false, "rewrite testdata/golden")

// TestMain passes over what a form's cursor leaves: a command of bubbletea outlives its
// program until it returns, half a second later. So does what reads the terminal, for
// ever, when the terminal answers a question of a program that has just ended.
func TestMain(m *testing.M) {
	leaks.Main(m,
		goleak.IgnoreAnyFunction("charm.land/bubbletea/v2.(*Program).handleCommands.func1.1"),
		goleak.IgnoreAnyFunction("github.com/charmbracelet/ultraviolet.(*TerminalReader).sendEvents"))
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// environ is what testdata/two.yaml refers to.
func environ() []string {
	return []string{"PLANTED_CLEARML=planted-clearml", "PLANTED_NATS=planted-nats"}
}

// program is a program whose output goes to the returned buffers.
func program() (p cli.Program, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return cli.Program{
		Version: "v1.2.3", Environ: environ(), Stdin: strings.NewReader(""), Stdout: stdout, Stderr: stderr,
		Now:     func() time.Time { return noon },
		CanKeep: func(string) bool { return true }, // as for root, whoever runs the tests
	}, stdout, stderr
}

// ebb runs one command line.
func ebb(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	p, out, err := program()
	code = p.Execute(ctx, args)
	return code, out.String(), err.String()
}

// TestGolden holds what commands print to testdata/golden.
func TestGolden(t *testing.T) {
	t.Parallel()

	const two = "testdata/two.yaml"
	for name, line := range map[string][]string{
		"version":                 {"--version"},
		"version_command":         {"version"},
		"version_argument":        {"version", "ebb"},
		"help":                    {},
		"help_events":             {"events", "--help"},
		"help_init":               {"init", "--help"},
		"help_status":             {"status", "--help"},
		"unknown_command":         {"cofnig"},
		"unknown_subcommand":      {"config", "chekc"},
		"unknown_flag":            {"iam-policy", "--regoin", "us-east-1"},
		"unknown_flag_far":        {"events", "--frobnicate"},
		"unknown_kind":            {"events", "--kind", "whatever"},
		"check_ok":                {"config", "check", two},
		"check_bad":               {"config", "check", two, "testdata/bad.yaml", "testdata/none.yaml"},
		"check_nothing":           {"config", "check"},
		"check_flag":              {"config", "check", "--config", two},
		"export_two_files":        {"config", "export", "--config", two, "testdata/bad.yaml"},
		"import":                  {"config", "import", "testdata/wizard.yaml"},
		"import_json":             {"config", "import", "--format", "json", "--from", "yaml", "testdata/wizard.yaml"},
		"import_from":             {"config", "import", "--from", "toml", "testdata/wizard.yaml"},
		"import_foreign":          {"config", "import", "cli_test.go"},
		"import_two":              {"config", "import", "a.yaml", "b.yaml"},
		"import_missing":          {"config", "import", "testdata/none.yaml"},
		"export":                  {"config", "export", two},
		"export_json":             {"config", "export", two, "--format=json"},
		"export_secrets":          {"config", "export", two, "--with-secrets"},
		"export_format":           {"config", "export", two, "--format=hocon"},
		"userdata_resource":       {"userdata", "--config", two},
		"userdata_config":         {"userdata", "--resource", "gpu"},
		"userdata_argument":       {"userdata", two, "--resource", "gpu"},
		"userdata_autoscaler":     {"userdata", "--config", two, "--resource", "gpu"},
		"userdata_no_autoscaler":  {"userdata", "--config", two, "--resource", "gpu", "--autoscaler", "test"},
		"userdata_no_resource":    {"userdata", "--config", two, "--resource", "tpu", "--autoscaler", "prod"},
		"policy_basic":            {"iam-policy"},
		"policy_restricted":       {"iam-policy", "--restricted", "--account", "111122223333", "--region", "us-east-1", "--ami-owner", "amazon", "--autoscaler", "prod", "--subnet", "subnet-0aaaaaaaaaaaaaaaa", "--subnet", "subnet-0bbbbbbbbbbbbbbbb", "--security-group", "sg-0aaaaaaaaaaaaaaaa"},
		"policy_lacks":            {"iam-policy", "--restricted", "--region", "us-east-1"},
		"policy_wrong":            {"iam-policy", "--restricted", "--account", "12", "--region", "moon", "--ami-owner", "amazon", "--autoscaler", "prod"},
		"policy_without_effect":   {"iam-policy", "--subnet", "subnet-0aaaaaaaaaaaaaaaa"},
		"policy_config":           {"iam-policy", "--config", two},
		"policy_config_least":     {"iam-policy", "--config", two, "--restricted", "--account", "111122223333"},
		"policy_config_one":       {"iam-policy", "--config", two, "--restricted", "--account", "111122223333", "--autoscaler", "dev"},
		"policy_config_parts":     {"iam-policy", "--config", "testdata/policy.yaml"},
		"policy_config_all":       {"iam-policy", "--config", "testdata/policy.yaml", "--restricted", "--ami-owner", "amazon", "--spot-role=false"},
		"policy_config_role":      {"iam-policy", "--config", "testdata/policy.yaml", "--profile-role", "arn:aws-cn:iam::111122223333:role/other"},
		"policy_config_lacks":     {"iam-policy", "--config", two, "--restricted"},
		"policy_config_owner":     {"iam-policy", "--config", "testdata/policy.yaml", "--restricted"},
		"policy_config_said":      {"iam-policy", "--config", two, "--restricted", "--account", "111122223333", "--region", "us-east-1"},
		"policy_config_no_such":   {"iam-policy", "--config", two, "--autoscaler", "test"},
		"policy_config_no_role":   {"iam-policy", "--config", two, "--profile-role", "arn:aws:iam::111122223333:role/other"},
		"policy_config_no_owner":  {"iam-policy", "--config", two, "--restricted", "--account", "111122223333", "--ami-owner", "amazon"},
		"policy_config_effect":    {"iam-policy", "--config", two, "--account", "111122223333"},
		"policy_two_partitions":   {"iam-policy", "--config", "testdata/partitions.yaml"},
		"events_kind":             {"events", "--kind", "instance.luanched"},
		"events_since":            {"events", "--since", "-1h"},
		"events_since_form":       {"events", "--since", "yesterday"},
		"events_both":             {"events", "--config", two, "--nats-url", "nats://127.0.0.1:1"},
		"events_creds":            {"events", "--nats-creds-file", "x"},
		"fake_listen_everywhere":  {"fake", "ec2", "--listen", "0.0.0.0:0"},
		"fake_listen_no_host":     {"fake", "clearml", "--listen", ":0"},
		"fake_listen_name":        {"fake", "imds", "--listen", "example.com:80"},
		"fake_listen_form":        {"fake", "imds", "--listen", "4566"},
		"fake_install_alone":      {"fake", "ec2", "--install", "5s"},
		"fake_keys_empty":         {"fake", "clearml", "--secret-key", ""},
		"fake_worker_timeout":     {"fake", "clearml", "--worker-timeout", "0s"},
		"fake_log_level":          {"fake", "ec2", "--log-level", "loud"},
		"fake_queue_name_refused": {"fake", "clearml", "--listen", "127.0.0.1:0", "--queue", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			code, stdout, stderr := ebb(t.Context(), line...)
			golden(t, name, fmt.Sprintf("exit %d\n--- stdout\n%s--- stderr\n%s", code, stdout, stderr))
		})
	}
}

func goldenFile(name string) string { return filepath.Join("testdata", "golden", name+".txt") }

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := goldenFile(name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant %s (go test ./cmd/internal/cli -update rewrites it)\n%s", got, path, want)
	}
}

// TestConfigVariable shows that EBB_CONFIG stands for --config.
func TestConfigVariable(t *testing.T) {
	t.Parallel()

	p, stdout, stderr := program()
	p.Environ = append(p.Environ, "EBB_CONFIG=testdata/two.yaml")
	if code := p.Execute(t.Context(), []string{"userdata", "--autoscaler", "dev", "--resource", "cpu"}); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if !strings.Contains(stdout.String(), "EBB_WORKER_NAME='dev:cpu:c5.xlarge'") {
		t.Errorf("got %.200s", stdout)
	}
}

// TestCompletion has cobra complete kinds of events.
func TestCompletion(t *testing.T) {
	t.Parallel()

	code, stdout, _ := ebb(t.Context(), "__complete", "events", "--kind", "instance.l")
	if code != 0 || !strings.Contains(stdout, "instance.launched") {
		t.Errorf("exit %d: %s", code, stdout)
	}
	if code, stdout, _ := ebb(t.Context(), "completion", "bash"); code != 0 || !strings.Contains(stdout, "__start_ebb") {
		t.Errorf("completion bash: exit %d, %d bytes", code, len(stdout))
	}
}

// TestFullDisk shows that output which cannot be written is not taken for
// success.
func TestFullDisk(t *testing.T) {
	t.Parallel()

	for _, line := range [][]string{{"config", "check", "testdata/two.yaml"}, {"iam-policy"}, {"--version"}} {
		p, _, stderr := program()
		p.Stdout = full{}
		if code := p.Execute(t.Context(), line); code == 0 || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%v: exit %d: %s", line, code, stderr)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

var _ io.Writer = full{}

func TestVersion(t *testing.T) {
	t.Parallel()

	if got := cli.Version("v9.9.9"); got != "v9.9.9" {
		t.Errorf("linked version: got %q", got)
	}
	if got := cli.Version(""); got == "" || got == "(devel)" {
		t.Errorf("stamped version: got %q", got)
	}
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for _, test := range []struct{ version, revision, modified, want string }{
		{"(devel)", "", "", "devel"},
		{"", "", "", "devel"},
		{"(devel)", commit, "false", "devel-0123456789ab"},
		{"(devel)", commit, "true", "devel-0123456789ab+changes"},
		{"v0.0.0-20261124040229-0123456789ab", commit, "false", "devel-0123456789ab"},
		{"v0.0.0-20261124040229-0123456789ab+dirty", commit, "true", "devel-0123456789ab+changes"},
		{"v1.2.3+dirty", commit, "true", "devel-0123456789ab+changes"},
		{"v1.2.3", commit, "false", "v1.2.3"},
		{"v0.0.0-20261124040229-0123456789ab", "", "", "v0.0.0-20261124040229-0123456789ab"}, // go install …@commit
	} {
		info := &debug.BuildInfo{Main: debug.Module{Version: test.version}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: test.revision}, {Key: "vcs.modified", Value: test.modified}}}
		if got := cli.VersionOf("", info); got != test.want {
			t.Errorf("%+v: got %q", test, got)
		}
	}
	if got := cli.VersionOf("", nil); got != "devel" {
		t.Errorf("without anything: got %q", got)
	}
}
