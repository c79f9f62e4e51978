package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/cli"
	"github.com/ebbscale/ebb/cmd/internal/config"
)

// enough are the answers that --yes needs.
func enough() []string {
	var line []string
	for _, s := range []string{
		"clearml.api_server=https://api.clear.ml", "clearml.access_key=KEY", "aws.region=us-east-1", "aws.use_iam_role=true",
		"resources[0].name=gpu", "resources[0].instance_types=g5.xlarge,g4dn.xlarge", "resources[0].ami_id=ami-0123456789abcdef0",
		"resources[0].max_instances=4", "autoscalers[0].resources[0].queues=gpu", "log.level=debug",
	} {
		line = append(line, "--set", s)
	}
	return line
}

// initIn runs ebb init for a file of its own.
func initIn(t *testing.T, args ...string) (path string, code int, stdout, stderr string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "ebb.yaml")
	code, stdout, stderr = ebb(t.Context(), append([]string{"init", path}, args...)...)
	return path, code, strings.ReplaceAll(stdout, filepath.Dir(path)+"/", ""), strings.ReplaceAll(stderr, filepath.Dir(path)+"/", "")
}

func TestInitYes(t *testing.T) {
	t.Parallel()
	path, code, stdout, stderr := initIn(t, append(enough(), "--yes")...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	golden(t, "init_yes", stdout+"--- stderr\n"+stderr)
	f, err := config.Load(config.Source{Path: path, Environ: []string{"CLEARML_API_SECRET_KEY=x"}})
	if err != nil || f.Autoscalers[0].Resources[0].MaxInstances != 4 || f.Log.Level != "debug" {
		t.Errorf("%+v, %v", f, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v: %v", info.Mode(), err)
	}
	// Again: not without --force, and from the file itself.
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := ebb(t.Context(), "init", path, "--yes", "--from", path); code != 1 || !strings.Contains(stderr, "--force") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := ebb(t.Context(), "init", path, "--yes", "--from", path, "--force"); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the wizard changes its own file:\n%s\n%v", after, err)
	}
}

// TestInitRefuses holds what is said when a file cannot be written.
func TestInitRefuses(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"init_missing":       {"--yes", "--set", "aws.region=us-east-1"},
		"init_no_terminal":   {},
		"init_set":           {"--set", "name", "--set", "regon=x", "--set", "resources.name=x", "--set", "resources[0].queue=x", "--set", "aws=x", "--set", "resources[].name=x", "--set", "clearml.secret_key=hunter2", "--yes"},
		"init_ended":         {"--accessible"},
		"init_from_missing":  {"--from", "testdata/none.yaml"},
		"init_from_two":      {"--from", "testdata/two.yaml", "--yes"},
		"init_no_autoscaler": {"--from", "testdata/two.yaml", "--autoscaler", "test", "--yes"},
		"init_from_bad":      {"--from", "testdata/bad.yaml", "--yes"},
		"init_from_stdin":    {"--from", "-", "--accessible"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "init_from_stdin" {
				p, stdout, stderr := program()
				p.Stdin = strings.NewReader(`{"workers_prefix": "w"}`)
				if code := p.Execute(t.Context(), append([]string{"init", filepath.Join(t.TempDir(), "ebb.yaml")}, args...)); code != 2 || !strings.Contains(stderr.String(), "cannot answer questions") {
					t.Errorf("exit %d: %s%s", code, stdout, stderr)
				}
				return
			}
			path, code, stdout, stderr := initIn(t, args...)
			if code == 0 {
				t.Error("exit 0")
			}
			golden(t, name, stdout+"--- stderr\n"+stderr)
			if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) > 0 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
	if code, _, stderr := ebb(t.Context(), "init", "ebb.json"); code != 2 || !strings.Contains(stderr, "name it .yaml") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestInitFrom takes a file of secrets over, with and without them.
func TestInitFrom(t *testing.T) {
	t.Parallel()
	args := []string{"--from", "testdata/two.yaml", "--autoscaler", "prod", "--yes"}
	path, code, stdout, stderr := initIn(t, args...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	golden(t, "init_from", stdout+"--- stderr\n"+stderr)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(data) + stdout + stderr; strings.Contains(text, "planted-git") || strings.Contains(text, "planted-aws") || strings.Contains(text, "planted-clearml") {
		t.Errorf("a secret is in the file or on the screen:\n%s", text)
	}
	path, code, _, stderr = initIn(t, append(args, "--inline-secrets")...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	got, err := config.Load(config.Source{Path: path, Environ: environ()})
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.Load(config.Source{Path: "testdata/two.yaml", Environ: environ()})
	if err != nil || got.Autoscalers[0].Git != want.Autoscalers[0].Git || len(got.Autoscalers) != 2 {
		t.Errorf("the file is another one: %v", err)
	}
}

// TestInitDumb asks line by line where a terminal cannot draw, or on request.
func TestInitDumb(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ebb.yaml")
	p, stdout, stderr := program()
	p.Stdin = strings.NewReader("https://api.clear.ml\n\n\nKEY\n\nus-east-1\nyes\n\n\n\n\n\ngpu\ng5.xlarge\n\n\n\nami-01234567\n2\ngpu\n\n\n\n\n\n1\n\n\n\n\n\n\n1\n")
	code := p.Execute(t.Context(), []string{"init", path, "--accessible"})
	if code != 0 || !strings.Contains(stdout.String(), "wrote "+path) {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	if _, err := config.Load(config.Source{Path: path, Environ: []string{"CLEARML_API_SECRET_KEY=x"}}); err != nil {
		t.Error(err)
	}
}

// TestConfigSchema prints the committed schema.
func TestConfigSchema(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("../../../deployments/examples/ebb.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := ebb(t.Context(), "config", "schema"); code != 0 || stdout != string(want) {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// TestInitStateDir keeps the default of state_dir where this user can write it, and
// names a directory of the user where not, with the reason, in the file and at the end.
func TestInitStateDir(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environ []string
		can     []string
		set     []string
		want    string
	}{
		"root":             {[]string{"HOME=/root"}, []string{"/var/lib/ebb", "/root/.local/state/ebb"}, nil, "/var/lib/ebb"},
		"a user":           {[]string{"HOME=/home/ana"}, []string{"/home/ana/.local/state/ebb"}, nil, "/home/ana/.local/state/ebb"},
		"a user's choice":  {[]string{"HOME=/home/ana", "XDG_STATE_HOME=/data/state"}, []string{"/data/state/ebb"}, nil, "/data/state/ebb"},
		"no absolute path": {[]string{"HOME=/home/ana", "XDG_STATE_HOME=state"}, []string{"/home/ana/.local/state/ebb"}, nil, "/home/ana/.local/state/ebb"},
		"no home":          {nil, nil, nil, "/var/lib/ebb"},
		"nothing can be":   {[]string{"HOME=/nonexistent"}, nil, nil, "/var/lib/ebb"},
		"answered":         {[]string{"HOME=/home/ana"}, nil, []string{"--set", "state_dir=/srv/ebb"}, "/srv/ebb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "ebb.yaml")
			p, stdout, stderr := program()
			p.Environ = append(p.Environ, test.environ...)
			p.CanKeep = func(dir string) bool { return slices.Contains(test.can, dir) }
			line := append([]string{"init", path, "--yes"}, enough()...)
			if code := p.Execute(t.Context(), append(line, test.set...)); code != 0 {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := config.Load(config.Source{Path: path, Environ: []string{"CLEARML_API_SECRET_KEY=x"}})
			if err != nil || f.StateDir != test.want {
				t.Errorf("state_dir is %q, want %q: %v", f.StateDir, test.want, err)
			}
			own := strings.HasSuffix(test.want, "/state/ebb")
			const why = "It is a directory of this user, who cannot write the default, /var/lib/ebb."
			if strings.Contains(stdout.String(), "state_dir is "+test.want+". "+why) != own || strings.Contains(string(text), "# "+why) != own {
				t.Errorf("the reason is wanted: %t; got\n%s\n%s", own, stdout, text)
			}
		})
	}
}

// TestInitStateDirOfTheSystem looks at the disk: a file is in the way of the directory.
func TestInitStateDirOfTheSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "state"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for state, want := range map[string]bool{filepath.Join(dir, "new"): true, filepath.Join(dir, "state"): false} {
		if got := cli.CanKeep(state); got != want {
			t.Errorf("%s: %t", state, got)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("looking left %v behind: %v", entries, err)
	}
}
