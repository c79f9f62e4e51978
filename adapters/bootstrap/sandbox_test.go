package bootstrap_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/bootstrap"
)

// imds is an instance metadata service that speaks version 2 only.
type imds struct {
	*httptest.Server
	instance atomic.Value // string; what it answers for instance-id
	refuse   atomic.Int64 // how many more requests get a 503
	asked    atomic.Int64
	more     sync.Map // paths and texts
}

func newIMDS(t *testing.T) *imds {
	t.Helper()
	service := &imds{}
	service.instance.Store("i-0123456789abcdef0")
	service.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		service.asked.Add(1)
		switch {
		case service.refuse.Add(-1) >= 0:
			http.Error(w, "busy", http.StatusServiceUnavailable)
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") != "":
			_, _ = fmt.Fprint(w, "AQAE-token==")
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "AQAE-token==":
			http.Error(w, "version 2 only", http.StatusUnauthorized)
		case r.URL.Path == "/latest/meta-data/instance-id":
			_, _ = fmt.Fprint(w, service.instance.Load())
		case r.URL.Path == "/latest/meta-data/instance-type":
			_, _ = fmt.Fprint(w, "p5.48xlarge")
		default:
			if text, ok := service.more.Load(r.URL.Path); ok {
				_, _ = fmt.Fprint(w, text)
				return
			}
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(service.Close)
	return service
}

// sandbox is a machine in a temporary directory: a root for the script's files
// and a PATH on which everything that would change the real machine is a stub.
type sandbox struct {
	root, state string
	imds        *imds
	env         []string // beside the sandbox's own
}

// realTools change nothing outside the paths that they are given.
var realTools = []string{"bash", "cat", "chmod", "cp", "cut", "date", "env", "flock", "grep", "mkdir", "mv", "rm", "sed", "stat", "tail", "touch"}

// newSandbox makes a machine of a distribution ("apt-get" or "dnf") that has the
// tools named, beside a base system.
func newSandbox(t *testing.T, distribution string, tools ...string) *sandbox {
	t.Helper()
	box := &sandbox{root: t.TempDir(), state: t.TempDir(), imds: newIMDS(t)}
	bin, stubs := box.path("bin"), box.path("stubs")
	for _, directory := range []string{bin, stubs, filepath.Join(box.root, "root")} {
		must(t, os.MkdirAll(directory, 0o755))
	}
	for _, tool := range realTools {
		link(t, tool, filepath.Join(bin, tool))
	}
	link(t, "sleep", filepath.Join(bin, "real-sleep"))
	self, err := os.Executable()
	must(t, err)
	// The race detector would let every process sleep a second before it ends.
	curl := fmt.Sprintf("#!/bin/bash\n. \"$EBB_TEST/stubs/lib.sh\"\nEBB_TEST_CURL=1 GORACE=atexit_sleep_ms=0 exec '%s' \"$@\"\n", self)
	must(t, os.WriteFile(filepath.Join(stubs, "curl"), []byte(curl), 0o755))
	for name, source := range map[string]string{
		"lib.sh": "lib.sh", "systemctl": "systemctl", "python3": "python3",
		"apt-get": "install", "dnf": "install", "dpkg": "install",
		"timeout": "other", "sleep": "other", "sync": "other", "shutdown": "other", "poweroff": "other",
		"git": "other", "gcc": "other", "docker": "other",
	} {
		text, err := os.ReadFile(filepath.Join("testdata", "stubs", source))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(stubs, name), text, 0o755))
	}
	present := append([]string{distribution, "curl", "systemctl", "timeout", "sleep", "sync", "shutdown", "poweroff"}, tools...)
	if distribution == "apt-get" {
		present = append(present, "dpkg")
	}
	for _, name := range present {
		must(t, os.Symlink(filepath.Join(stubs, name), filepath.Join(bin, name)))
	}
	box.set(t, "agent.code", "0")
	return box
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, tool, path string) {
	t.Helper()
	target, err := exec.LookPath(tool)
	if err != nil {
		t.Fatalf("%v: these tests need bash and the core utilities", err)
	}
	must(t, os.Symlink(target, path))
}

func (b *sandbox) path(name string) string { return filepath.Join(b.state, name) }

// set writes a file that tells the stubs how to behave.
func (b *sandbox) set(t *testing.T, name, content string) {
	t.Helper()
	must(t, os.WriteFile(b.path(name), []byte(content), 0o644))
}

// state of a file of the machine, "" when it is not there.
func (b *sandbox) read(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(content)
}

func (b *sandbox) file(name string) string { return b.read(filepath.Join(b.root, name)) }

func (b *sandbox) calls() []string {
	return strings.Split(strings.TrimSpace(b.read(b.path("calls"))), "\n")
}

// called counts the calls that begin with prefix.
func (b *sandbox) called(prefix string) (n int) {
	for _, call := range b.calls() {
		if strings.HasPrefix(call, prefix) {
			n++
		}
	}
	return n
}

// boot runs a spec's script as cloud-init does and returns what the console
// showed, the service's lines included.
func (b *sandbox) boot(t *testing.T, spec bootstrap.Spec) string {
	t.Helper()
	spec.IMDS = b.imds.URL
	script, err := bootstrap.Render(spec)
	must(t, err)
	return b.run(t, script.Text)
}

// run runs a script's text to its end and returns what the console showed.
func (b *sandbox) run(t *testing.T, text string) string {
	t.Helper()
	path := b.path("user-data")
	must(t, os.WriteFile(path, []byte(text), 0o700))
	return b.runFile(t, path)
}

func (b *sandbox) runFile(t *testing.T, args ...string) string {
	t.Helper()
	command := b.command(t, args...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		fmt.Fprintf(&output, "(%v)\n", err)
	}
	return output.String() + b.read(b.path("console"))
}

func (b *sandbox) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, filepath.Join(b.state, "bin", "bash"), args...)
	command.Env = append([]string{"PATH=" + b.path("bin"), "EBB_ROOT=" + b.root, "EBB_TEST=" + b.state}, b.env...)
	command.WaitDelay = time.Second
	return command
}

// agentArguments are the agent's own arguments, after those of its fence.
func (b *sandbox) agentArguments() []string {
	words := strings.Split(strings.TrimSuffix(b.read(b.path("agent.arguments")), "\x00"), "\x00")
	if len(words) < 2 {
		return nil
	}
	return words[2:]
}

// agentEnvironment is the value of a variable that the agent was started with.
func (b *sandbox) agentEnvironment(name string) (string, bool) {
	for variable := range strings.SplitSeq(b.read(b.path("agent.environment")), "\x00") {
		if key, value, _ := strings.Cut(variable, "="); key == name {
			return value, true
		}
	}
	return "", false
}

// wantSecretsHidden fails when a secret of spec is on the console or was an argument.
func (b *sandbox) wantSecretsHidden(t *testing.T, console string, spec bootstrap.Spec) {
	t.Helper()
	shown := console + "\n" + strings.Join(b.calls(), "\n")
	for _, secret := range []string{spec.AccessKey, spec.SecretKey, spec.AuthToken, spec.GitPassword, spec.GitUser, "hunter2"} {
		for line := range strings.SplitSeq(secret, "\n") {
			if line != "" && strings.Contains(shown, line) {
				t.Errorf("the secret %q is on the console or on a command line:\n%s", line, shown)
			}
		}
	}
}

func (b *sandbox) wantPoweredOff(t *testing.T, console string) {
	t.Helper()
	if !slices.Contains(b.calls(), "shutdown -h now") || !strings.Contains(console, "ebb-bootstrap: powering off\n") {
		t.Errorf("the machine was not powered off; calls:\n%s\nconsole:\n%s", strings.Join(b.calls(), "\n"), console)
	}
}

func wantLine(t *testing.T, console, part string) {
	t.Helper()
	for line := range strings.SplitSeq(console, "\n") {
		if strings.HasPrefix(line, "ebb-bootstrap: ") && strings.Contains(line, part) {
			return
		}
	}
	t.Errorf("no line with %q on the console:\n%s", part, console)
}
