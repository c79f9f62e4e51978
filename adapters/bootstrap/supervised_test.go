package bootstrap_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/bootstrap"
	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/internal/output"
	"github.com/ebbscale/ebb/messages"
)

const instance = messages.InstanceID("i-0123456789abcdef0")

// lifeCycle is where the metadata service says whether the instance is a spot one.
const lifeCycle = "/latest/meta-data/instance-life-cycle"

// supervised is a sandbox whose runner is under way, with a ClearML server and an
// agent that waits to be ended.
type supervised struct {
	*sandbox
	clearml *fakeclearml.Server
	queue   string
	refuse  atomic.Int64 // how many more requests of ClearML get a 503
	console output.Buffer
	ended   chan struct{}
}

// supervise sets a machine up with secrets as awkward as they come and starts its
// runner, some twenty times as quick as a real one. Before it starts, prepare may
// change the sandbox and the spec.
func supervise(t *testing.T, prepare func(*supervised, *bootstrap.Spec), settings ...string) *supervised {
	t.Helper()
	s := &supervised{sandbox: newSandbox(t, "apt-get", "git", "gcc", "python3"), ended: make(chan struct{})}
	spec := full()
	var err error
	s.clearml, err = fakeclearml.New(fakeclearml.Config{Clock: clock.System(), Seed: 1, Keys: map[string]string{spec.AccessKey: spec.SecretKey}})
	must(t, err)
	queue, err := s.clearml.CreateQueue(fakeclearml.QueueSpec{Name: "später's (1)"})
	must(t, err)
	s.queue = queue.ID
	handler := s.clearml.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.refuse.Add(-1) >= 0 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	spec.APIServer, spec.Queues = server.URL, []string{queue.Name, "default"}
	s.set(t, "detached", "")
	must(t, syscall.Mkfifo(s.path("agent.waits"), 0o600))
	s.imds.more.Store(lifeCycle, "on-demand")
	if prepare != nil {
		prepare(s, &spec)
	}
	s.boot(t, spec)
	s.set(t, "real-time", "")
	s.env = append([]string{"EBB_TICK_SECONDS=0.1", "EBB_POLL_SECONDS=0", "EBB_GRACE_SECONDS=0.3"}, settings...)
	s.start(t)
	return s
}

// start starts the runner.
func (s *supervised) start(t *testing.T) {
	t.Helper()
	runner := s.command(t, filepath.Join(s.root, "opt/ebb/run-agent.sh"))
	runner.Stdout = &s.console
	runner.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, runner.Start())
	ended := make(chan struct{})
	s.ended = ended
	go func() {
		_ = runner.Wait() // its exit code says nothing
		close(ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-runner.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("console:\n%s\nrunner.log:\n%s", s.console.String(), s.file("var/log/ebb/runner.log"))
		}
	})
}

// order writes what the autoscaler writes.
func (s *supervised) order(t *testing.T, epoch uint64, run bool) {
	t.Helper()
	s.write(t, messages.DrainKey(instance), messages.Drain{Epoch: epoch, At: time.Unix(1764000000, 0), Run: run}.String())
}

func (s *supervised) write(t *testing.T, key, value string) {
	t.Helper()
	must(t, s.clearml.SetMetadata(s.queue, fakeclearml.MetadataItem{Key: key, Type: "str", Value: value}))
}

// waitAck waits for the supervisor's answer.
func (s *supervised) waitAck(t *testing.T, epoch uint64, state messages.AckState, task messages.TaskID) {
	t.Helper()
	var value string
	within(t, "ack "+string(state), func() bool {
		queue, err := s.clearml.Queue(s.queue)
		must(t, err)
		value = queue.Metadata[messages.AckKey(instance)].Value
		ack, ok := messages.ParseAck(value)
		return ok && ack.Epoch == epoch && ack.State == state && ack.Task == task && time.Since(ack.At).Abs() < 2*patience
	})
}

func (s *supervised) waitOff(t *testing.T) {
	t.Helper()
	within(t, "the runner ends", func() bool {
		select {
		case <-s.ended:
			return true
		default:
			return false
		}
	})
	s.wantPoweredOff(t, s.console.String())
}

// agents counts how many agents have started or ended.
func (s *supervised) agents(what string) int {
	return strings.Count(s.read(s.path("agent."+what)), "\n")
}

// run is the path of a file of the run directory.
func (s *supervised) run(name string) string { return filepath.Join(s.root, "run/ebb", name) }

// patience is how long something is waited for that takes a second on a machine that has
// nothing else to do.
const patience = 2 * time.Minute

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// stays fails the test when ok is not so for some of the supervisor's looks at the channel.
func (s *supervised) stays(t *testing.T, what string, ok func() bool) {
	t.Helper()
	asked := func() int { return s.clearml.CallCounts()["queues.get_all"] }
	for begin := asked(); asked() < begin+3; time.Sleep(10 * time.Millisecond) {
		if !ok() {
			t.Fatalf("no longer: %s", what)
		}
	}
}

func (s *supervised) on() bool {
	select {
	case <-s.ended:
		return false
	default:
		return s.called("shutdown") == 0
	}
}

// lasts fails the test when the machine does not stay on for some seconds.
func (s *supervised) lasts(t *testing.T, seconds int) {
	t.Helper()
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if !s.on() {
			t.Fatalf("the machine did not stay on for %d s", seconds)
		}
	}
}
