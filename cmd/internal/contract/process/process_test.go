package process_test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/internal/output"
)

// TestMain runs the tests side by side: they mostly wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// binary builds ebb once for all tests of the package.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ebb-process-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ebb")
	out, err := exec.Command("go", "build", "-o", path, "github.com/ebbscale/ebb/cmd/ebb").CombinedOutput()
	if err != nil {
		return "", &buildError{text: string(out)}
	}
	return path, nil
})

type buildError struct{ text string }

func (e *buildError) Error() string { return "build ebb: " + e.text }

// program is a running ebb with its log.
type program struct {
	cmd  *exec.Cmd
	log  *output.Buffer
	done chan error
}

func start(t *testing.T, r *region) *program {
	t.Helper()
	return startWith(t, r.config)
}

func startWith(t *testing.T, config string, env ...string) *program {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{cmd: exec.CommandContext(context.WithoutCancel(t.Context()), path, "run", "--config", config), log: &output.Buffer{}, done: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, env...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() {
		p.cmd.Process.Kill() //nolint:errcheck // it may have ended
		if t.Failed() {
			t.Log(lastLines(p.log.String(), 60))
		}
		for _, secret := range []string{"not-to-be-seen", "nor-this"} {
			if strings.Contains(p.log.String(), secret) {
				t.Errorf("the log holds the secret %q", secret)
			}
		}
	})
	return p
}

func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// kill is kill -9.
func (p *program) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.done
}

// stop is SIGTERM, and the exit must be clean.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.done:
		if err != nil {
			t.Fatalf("ebb run ended with %v after SIGTERM", err)
		}
	case <-time.After(90*time.Second + slow):
		t.Fatal("ebb run did not end after SIGTERM")
	}
}

// slow is what a machine with other things to do may add to any limit: when something
// comes is the simulation's to judge, here it is only that it comes.
const slow = 2 * time.Minute

// within waits for something to become true.
func within(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	limit += slow
	for end := time.Now().Add(limit); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

func TestRunsTasksAndLetsInstancesGo(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "keep")
	p := start(t, r)
	within(t, 30*time.Second, "the queue is created", func() bool { return strings.Contains(p.log.String(), "queue.created") })
	r.enqueue(t, 3, time.Second)
	within(t, time.Minute, "all tasks run", func() bool { return r.completed() == 3 })
	within(t, time.Minute, "all instances go, and that is noticed", func() bool {
		return r.alive() == 0 && strings.Count(p.log.String(), `"event":"instance.gone"`) == 3
	})
	if r.launched() != 3 {
		t.Errorf("%d instances were launched for 3 tasks", r.launched())
	}
	p.stop(t)
	for _, want := range []string{`"waiting":{"training":3}`, "instance.launched", "autoscaler stopped"} {
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("the log does not show %s", want)
		}
	}
}

// TestKilledWhileLaunching kills the process after EC2 has launched and before
// it answered: nothing but the ledger knows of the launch.
func TestKilledWhileLaunching(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "keep")
	if err := r.cloud.Inject(fakeec2.Fault{Action: "RunInstances", Kind: fakeec2.FaultTimeoutAfter}); err != nil {
		t.Fatal(err)
	}
	p := start(t, r)
	within(t, 30*time.Second, "the queue is created", func() bool { return strings.Contains(p.log.String(), "queue.created") })
	r.enqueue(t, 3, 8*time.Second)
	within(t, 30*time.Second, "EC2 launches", func() bool { return r.launched() > 0 })
	p.kill(t)

	p = start(t, r)
	within(t, time.Minute, "all tasks run", func() bool { return r.completed() == 3 })
	if r.launched() != 3 {
		t.Errorf("%d instances were launched for 3 tasks", r.launched())
	}
	if most, _ := r.cloud.Ledger().MaxAlive(nil); most != 3 {
		t.Errorf("%d instances were alive at once", most)
	}
	within(t, time.Minute, "all instances go", func() bool { return r.alive() == 0 })
	p.stop(t)
}

// TestKilledAgainAndAgain kills the process at arbitrary moments of a busy
// minute; the tasks must not notice.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "keep")
	p := start(t, r)
	within(t, 30*time.Second, "the queue is created", func() bool { return strings.Contains(p.log.String(), "queue.created") })
	r.enqueue(t, 10, 2*time.Second)
	for milliseconds := 300; milliseconds <= 2300; milliseconds += 400 {
		time.Sleep(time.Duration(milliseconds) * time.Millisecond)
		p.kill(t)
		p = start(t, r)
	}
	within(t, 2*time.Minute, "all tasks run", func() bool { return r.completed() == 10 })
	within(t, time.Minute, "all instances go", func() bool { return r.alive() == 0 })
	if most, at := r.cloud.Ledger().MaxAlive(fakeec2.Tagged("ebb:resource", "gpu")); most > 4 {
		t.Errorf("%d instances were alive at %s, at most 4 may be", most, at)
	}
	p.stop(t)
}

func TestOnShutdown(t *testing.T) {
	t.Parallel()
	tests := []struct {
		mode  string
		alive int // one busy and one idle instance before
	}{{"keep", 2}, {"idle", 1}, {"all", 0}}
	for _, test := range tests {
		t.Run(test.mode, func(t *testing.T) {
			t.Parallel()
			r := newRegion(t, test.mode)
			r.edit(t, "max_idle_time: 4s", "max_idle_time: 1h") // what is idle goes with the process, or stays
			p := start(t, r)
			within(t, 30*time.Second, "the queue is created", func() bool { return strings.Contains(p.log.String(), "queue.created") })
			r.enqueue(t, 1, time.Second)
			r.enqueue(t, 1, time.Hour)
			within(t, time.Minute, "one task runs to its end, and the poll sees it", func() bool {
				log := p.log.String()
				busy := strings.LastIndex(log, `"event":"instance.busy"`)
				return r.completed() == 1 && busy > 0 && strings.LastIndex(log, `"event":"instance.idle"`) > busy
			})
			p.stop(t)
			within(t, 20*time.Second, "what may stay, stays", func() bool { return r.alive() == test.alive })
		})
	}
}

// TestShutdownAllWhileLaunching stops the process while EC2 is launching for
// it: what comes out of that call must go too, although EC2 does not show such
// young instances at once.
func TestShutdownAllWhileLaunching(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "all")
	if err := r.cloud.Inject(fakeec2.Fault{Action: "RunInstances", Kind: fakeec2.FaultSlow, DelaySeconds: 3}); err != nil {
		t.Fatal(err)
	}
	p := start(t, r)
	within(t, 30*time.Second, "the queue is created", func() bool { return strings.Contains(p.log.String(), "queue.created") })
	r.enqueue(t, 2, time.Hour)
	within(t, 30*time.Second, "instances are requested", func() bool { return strings.Contains(p.log.String(), "instance.requested") })
	p.stop(t)
	within(t, 20*time.Second, "nothing is left", func() bool { return r.alive() == 0 })
	if r.launched() != 2 {
		t.Errorf("%d instances were launched, so this test shows nothing", r.launched())
	}
}
