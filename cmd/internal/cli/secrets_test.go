package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/cmd/internal/cli"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
)

// TestSecretsHidden runs every command that reads the configuration with its
// planted secrets, good and bad ways, and looks for them in what is printed.
func TestSecretsHidden(t *testing.T) {
	t.Parallel()

	const two = "testdata/two.yaml"
	for _, line := range [][]string{
		{"config", "check", two},
		{"config", "check", "testdata/bad.yaml"},
		{"config", "export", two},
		{"config", "export", two, "--format", "json"},
		{"userdata", "--config", two, "--autoscaler", "prod", "--resource", "gpu"},
		{"userdata", "--config", two, "--autoscaler", "prod", "--resource", "cpu"},
		{"userdata", "--config", two, "--autoscaler", "dev", "--resource", "cpu"},
		{"userdata", "--config", two, "--autoscaler", "dev", "--resource", "none"},
		{"events", "--config", two},
		{"run", "--config", two},
		{"run", "--config", "testdata/bad.yaml"},
		{"doctor", "--config", "testdata/bad.yaml"},
		{"doctor", "--config", "testdata/bad.yaml", "--json"},
	} {
		p, stdout, stderr := program()
		p.Commands.Doctor = doctor.Run
		p.Commands.Run = func(_ context.Context, o cli.RunOptions) error {
			o.Log.Info().Interface("file", o.File).Any("autoscalers", o.File.Autoscalers).Msg("loaded")
			return nil
		}
		p.Execute(t.Context(), line)
		for _, text := range []string{stdout.String(), stderr.String()} {
			if at := strings.Index(text, "planted"); at >= 0 {
				t.Errorf("%s prints a secret: %.60q", strings.Join(line, " "), text[max(0, at-20):])
			}
		}
	}
}

// TestUserdataShown reads the printed script as an instance would.
func TestUserdataShown(t *testing.T) {
	t.Parallel()

	line := []string{"userdata", "--config", "testdata/two.yaml", "--autoscaler", "prod", "--resource", "gpu"}
	code, hidden, notes := ebb(t.Context(), line...)
	boot, err := fake.ReadUserData([]byte(hidden))
	if code != 0 || err != nil {
		t.Fatalf("exit %d, %v: %s", code, err, notes)
	}
	if boot.SecretKey != "***" || boot.AccessKey != "***" || boot.WorkerName != "dynamic_aws:gpu" || strings.Join(boot.Queues, " ") != "urgent gpu" {
		t.Errorf("got %+v", boot)
	}
	if !strings.Contains(hidden, "EBB_INIT_SCRIPT='***'") || !strings.Contains(hidden, "EBB_DOCKER='ubuntu:24.04 ***'") {
		t.Error("the init script or the docker arguments are not replaced")
	}
	for _, word := range []string{"*** stands for access_key, secret_key, git user, git password, clearml_conf, init_script, docker arguments", "--with-secrets prints them", "of at most 16384"} {
		if !strings.Contains(notes, word) {
			t.Errorf("standard error lacks %q:\n%s", word, notes)
		}
	}

	code, shown, notes := ebb(t.Context(), append(line, "--with-secrets")...)
	boot, err = fake.ReadUserData([]byte(shown))
	if code != 0 || err != nil {
		t.Fatalf("exit %d, %v", code, err)
	}
	if boot.SecretKey != "planted-clearml" || !strings.Contains(shown, "planted-init") || !strings.Contains(shown, "hidden-docker") {
		t.Error("--with-secrets does not print the secrets")
	}
	if !strings.Contains(notes, "keep it private") {
		t.Errorf("standard error does not warn: %s", notes)
	}
}

// TestImportFile imports into a file that only its owner reads, once.
func TestImportFile(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "ebb.yaml")
	code, stdout, stderr := ebb(t.Context(), "config", "import", "testdata/wizard.yaml", "-o", path)
	if code != 0 || stdout != "" || !strings.Contains(stderr, "mode 0600") || !strings.Contains(stderr, "credentials are written as they are") {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v", info.Mode())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := config.Import(data, "yaml")
	if err != nil || f.Autoscalers[0].AWS.SecretAccessKey.Reveal() != "wizard-secret" {
		t.Errorf("the file does not hold the credentials: %v", err)
	}
	if code, _, stderr := ebb(t.Context(), "config", "import", "testdata/wizard.yaml", "-o", path); code != 1 || !strings.Contains(stderr, "exists already") {
		t.Errorf("second time: exit %d: %s", code, stderr)
	}
	if code, _, stderr := ebb(t.Context(), "config", "import", "testdata/wizard.yaml", "-o", filepath.Join(path, "x")); code != 1 || !strings.Contains(stderr, "write configuration") {
		t.Errorf("no such directory: exit %d: %s", code, stderr)
	}
}

// TestImportStandardInput imports what a pipe brings.
func TestImportStandardInput(t *testing.T) {
	t.Parallel()

	data, err := os.ReadFile("testdata/wizard.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, piped, stderr := program()
	p.Stdin = strings.NewReader(string(data))
	if code := p.Execute(t.Context(), []string{"config", "import", "-"}); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if _, named, _ := ebb(t.Context(), "config", "import", "testdata/wizard.yaml"); named != piped.String() {
		t.Error("standard input and file give different results")
	}
}
