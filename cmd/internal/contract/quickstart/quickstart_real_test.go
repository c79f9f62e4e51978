//go:build real

package quickstart_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ebbscale/ebb/internal/output"
)

// block is a piece of the page that is to be run.
type block struct {
	background bool
	says       []string // one of these is in what it prints
	commands   string
}

// blocks are those of the page, in order.
func blocks(page string) []block {
	var all []block
	for _, m := range regexp.MustCompile("(?s)<!-- test(?:: ([^\n]*))? -->\n```sh\n(.*?)```").FindAllStringSubmatch(page, -1) {
		b := block{background: m[1] == "background", commands: m[2]}
		if said, ok := strings.CutPrefix(m[1], "says "); ok {
			b.says = strings.Split(said, " or ")
		}
		all = append(all, b)
	}
	return all
}

// TestQuickStart plays the page in one shell, with its servers behind it. The
// addresses are those of the page: nothing else may listen there.
func TestQuickStart(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/quickstart.md")
	if err != nil {
		t.Fatal(err)
	}
	all := blocks(string(page))
	if len(all) < 10 {
		t.Fatalf("the page has only %d blocks to run", len(all))
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "bin", "ebb"), "./cmd/ebb")
	build.Dir = "../../../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	env := append(newcomers(os.Environ()), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	exports := ""
	for n, b := range all {
		what := fmt.Sprintf("block %d (%s)", n+1, strings.SplitN(strings.TrimSpace(b.commands), "\n", 2)[0])
		out := &output.Buffer{}
		shell := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail", "-c", exports+b.commands)
		shell.Dir, shell.Env, shell.Stdout, shell.Stderr = dir, env, out, out
		if b.background {
			shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := shell.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { stop(t, shell, what, out) })
			up(ctx, t, b.commands, out)
			continue
		}
		if err := shell.Run(); err != nil {
			t.Fatalf("%s: %v\n%s", what, err, out)
		}
		if !sayOne(out.String(), b.says) {
			t.Errorf("%s does not say %q:\n%s", what, b.says, out)
		}
		if strings.HasPrefix(b.commands, "export ") {
			exports += b.commands + "\n"
		}
	}
}

// newcomers is an environment without anything that ebb, AWS or ClearML would read.
func newcomers(environ []string) []string {
	return slices.DeleteFunc(environ, func(entry string) bool {
		return strings.HasPrefix(entry, "EBB_") || strings.HasPrefix(entry, "AWS_") || strings.HasPrefix(entry, "CLEARML_")
	})
}

// sayOne says whether a text has one of these; "no line with X" wants X absent.
func sayOne(text string, says []string) bool {
	for _, want := range says {
		if absent, ok := strings.CutPrefix(want, "no line with "); ok {
			if !strings.Contains(text, absent) {
				return true
			}
		} else if strings.Contains(text, want) {
			return true
		}
	}
	return len(says) == 0
}

// up waits until a server of the page answers.
func up(ctx context.Context, t *testing.T, commands string, out *output.Buffer) {
	t.Helper()
	url := map[string]string{
		"ebb fake clearml": "http://127.0.0.1:8008/_fake/state", "ebb fake ec2": "http://127.0.0.1:4566/_fake/state", "ebb run": "http://127.0.0.1:8480/readyz",
	}
	for prefix, address := range url {
		if !strings.HasPrefix(commands, prefix) {
			continue
		}
		for range 600 {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			if response, err := http.DefaultClient.Do(request); err == nil {
				response.Body.Close()
				if response.StatusCode == http.StatusOK {
					return
				}
			}
			time.Sleep(200 * time.Millisecond)
		}
		t.Fatalf("%s is not up after two minutes:\n%s", prefix, out)
	}
}

// stop ends a server as Ctrl-C does.
func stop(t *testing.T, shell *exec.Cmd, what string, out *output.Buffer) {
	t.Helper()
	_ = syscall.Kill(-shell.Process.Pid, syscall.SIGINT)
	ended := make(chan error, 1)
	go func() { ended <- shell.Wait() }()
	select {
	case <-ended:
	case <-time.After(90 * time.Second):
		_ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL)
		t.Errorf("%s does not end at Ctrl-C:\n%s", what, out)
	}
}
