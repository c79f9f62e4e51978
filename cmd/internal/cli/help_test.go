package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/cmd/internal/cli"
	"github.com/ebbscale/ebb/internal/output"
)

// patience is how long a test waits for what should take milliseconds.
const patience = 2 * time.Minute

// running is a command that runs beside the test.
type running struct {
	stdout, stderr *output.Buffer
	stop           context.CancelFunc
	done           chan int
}

// start runs a command until stop, or the end of the test.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	now := time.Now() // when the command was started, whenever it reads the clock
	r := &running{stdout: &output.Buffer{}, stderr: &output.Buffer{}, stop: cancel, done: make(chan int, 1)}
	p := cli.Program{
		Version: "v1.2.3", Environ: environ(), Stdin: strings.NewReader(""), Stdout: r.stdout, Stderr: r.stderr,
		Now: func() time.Time { return now },
	}
	go func() { r.done <- p.Execute(ctx, args) }()
	t.Cleanup(func() { r.end(t) })
	return r
}

// end stops the command, which is no error. Ending twice is fine.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	select {
	case code := <-r.done:
		r.done <- code
		if code != 0 {
			t.Errorf("exit %d: %s", code, r.stderr)
		}
	case <-time.After(patience):
		t.Fatal("the command does not stop")
	}
}

// eventually waits until f says yes.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %s", what, patience)
		}
	}
}

// url is where a fake says that it listens.
func (r *running) url(t *testing.T) string {
	t.Helper()
	eventually(t, "the fake listens", func() bool {
		if len(r.done) > 0 {
			t.Fatalf("the fake ended: %s", r.stderr)
		}
		return strings.Contains(r.stdout.String(), "look:") || strings.Contains(r.stdout.String(), "AWS SDKs:")
	})
	first, _, _ := strings.Cut(r.stdout.String(), "\n")
	_, address, ok := strings.Cut(first, " listens on ")
	if !ok || !strings.HasPrefix(address, "http://127.0.0.1:") {
		t.Fatalf("first line is %q", first)
	}
	return address
}
