//go:build real

package supervisor_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/bootstrap"
	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeimds"
	"github.com/ebbscale/ebb/messages"
)

const (
	accessKey  = "EBBREALTESTKEY"
	secretKey  = "ebb-real-test\"secret\\"
	instanceID = "i-0123456789abcdef0"
	workerID   = "ebb:cpu:c7i.large:" + instanceID
	autoscaler = "prod"
)

// machine is one instance in a temporary directory, and the services that it talks to.
type machine struct {
	root, state string
	clearml     *fakeclearml.Server
	wire        *http.Server // in front of clearml
	queue       string       // id of the home queue
	answered    atomic.Int64 // when clearml answered last, in nanoseconds since 1970

	mu   sync.Mutex
	meta fakeimds.Metadata
}

// boot renders a script for a spot instance and runs it, with the settings given
// as NAME=value in the supervisor's environment. The stubs are what would change the
// machine that the test runs on; all else is real.
func boot(t *testing.T, spec bootstrap.Spec, settings ...string) *machine {
	t.Helper()
	m := &machine{root: t.TempDir(), state: t.TempDir(), meta: fakeimds.Metadata{
		InstanceID: instanceID, InstanceType: "c7i.large", LifeCycle: "spot", TokenNeeded: true,
	}}
	var err error
	if m.clearml, err = fakeclearml.New(fakeclearml.Config{Clock: clock.System(), Seed: 1, Keys: map[string]string{accessKey: secretKey}}); err != nil {
		t.Fatal(err)
	}
	queue, err := m.clearml.CreateQueue(fakeclearml.QueueSpec{Name: "home (1)"})
	if err != nil {
		t.Fatal(err)
	}
	m.queue = queue.ID
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := m.clearml.Handler()
	m.wire = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		m.answered.Store(time.Now().UnixNano())
	})}
	go func() { _ = m.wire.Serve(listener) }()
	t.Cleanup(func() { _ = m.wire.Close() })
	imds := httptest.NewServer(fakeimds.New(fakeimds.Config{Now: time.Now, Lookup: m.lookup}))
	t.Cleanup(imds.Close)

	url := "http://" + listener.Addr().String()
	spec.WorkerPrefix, spec.Resource, spec.InstanceType = "ebb", "cpu", "c7i.large"
	spec.Queues, spec.CPUOnly, spec.Autoscaler = []string{queue.Name, "default"}, true, autoscaler
	spec.APIServer, spec.WebServer, spec.FilesServer, spec.IMDS = url, url, url, imds.URL
	spec.AccessKey, spec.SecretKey = accessKey, secretKey
	script, err := bootstrap.Render(spec)
	if err != nil {
		t.Fatal(err)
	}
	m.prepare(t, script.Text, settings)
	return m
}

func (m *machine) lookup() (fakeimds.Metadata, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.meta, true
}

// change changes what the metadata service says.
func (m *machine) change(how func(*fakeimds.Metadata)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	how(&m.meta)
}

// systemctl starts the service as systemd would, in a session of its own.
const systemctl = `#!/bin/bash
case "$*" in
"restart ebb-agent.service")
	setsid bash "$EBB_ROOT/opt/ebb/run-agent.sh" >>"$EBB_TEST/console" 2>&1 </dev/null &
	echo "$!" >"$EBB_TEST/service" ;;
is-system-running) echo running ;;
esac
`

func (m *machine) prepare(t *testing.T, script string, settings []string) {
	t.Helper()
	venv, err := filepath.Abs(os.Getenv("EBB_REAL_VENV"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(venv, "bin", "python")); err != nil || os.Getenv("EBB_REAL_VENV") == "" {
		t.Fatalf("EBB_REAL_VENV has no Python: %v; run make test-real, which prepares it with clearml-agent", err)
	}
	write := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, directory := range []string{"root", "opt/ebb"} {
		if err := os.MkdirAll(filepath.Join(m.root, directory), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(venv, filepath.Join(m.root, "opt/ebb/venv")); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(m.state, "bin/systemctl"), systemctl)
	write(filepath.Join(m.state, "bin/shutdown"), "#!/bin/bash\ndate +%s.%N >\"$EBB_TEST/off\"\nkill -KILL \"$PPID\"\n")
	for _, name := range []string{"apt-get", "dnf", "dpkg", "sync", "poweroff", "gcc", "git"} {
		write(filepath.Join(m.state, "bin", name), "#!/bin/bash\nexit 0\n")
	}
	write(filepath.Join(m.state, "user-data"), script)
	command := exec.Command("bash", filepath.Join(m.state, "user-data"))
	command.Env = append([]string{
		"PATH=" + filepath.Join(m.state, "bin") + ":" + filepath.Join(venv, "bin") + ":/usr/local/bin:/usr/bin:/bin",
		"EBB_ROOT=" + m.root, "EBB_TEST=" + m.state, "TMPDIR=" + t.TempDir(), "LANG=C.UTF-8", "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
		"CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL=1", "CLEARML_AGENT_SKIP_PIP_VENV_INSTALL=1", "CLEARML_AGENT_STATUS_REPORT_FREQ_SEC=1",
	}, settings...)
	t.Cleanup(func() { m.end(t) })
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("the bootstrap: %v\n%s", err, output)
	}
}

// end kills what is left of the service and its agent.
func (m *machine) end(t *testing.T) {
	t.Helper()
	if pid := m.pid(); pid > 0 {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
	if t.Failed() {
		for _, name := range []string{"bootstrap.log", "runner.log", "agent.log"} {
			text, err := os.ReadFile(filepath.Join(m.root, "var/log/ebb", name))
			t.Logf("%s (%v):\n%s", name, err, bytes.TrimSpace(text))
		}
	}
}

func (m *machine) pid() (pid int) {
	text, err := os.ReadFile(filepath.Join(m.state, "service"))
	if err == nil {
		_, err = fmt.Sscan(string(text), &pid)
	}
	if err != nil {
		return 0
	}
	return pid
}

// off tells whether the machine has powered itself off.
func (m *machine) off() bool {
	_, err := os.Stat(filepath.Join(m.state, "off"))
	return err == nil
}

// offAt is when it did.
func (m *machine) offAt(t *testing.T) time.Time {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.state, "off"))
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, int64(seconds*1e9))
}

func (m *machine) console(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.state, "console"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// order writes what the autoscaler writes.
func (m *machine) order(t *testing.T, epoch uint64, run bool) {
	t.Helper()
	m.write(t, messages.DrainKey(instanceID), messages.Drain{Epoch: epoch, At: time.Now(), Run: run}.String())
}

func (m *machine) write(t *testing.T, key, value string) {
	t.Helper()
	if err := m.clearml.SetMetadata(m.queue, fakeclearml.MetadataItem{Key: key, Type: "str", Value: value}); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) value(t *testing.T, key string) string {
	t.Helper()
	queue, err := m.clearml.Queue(m.queue)
	if err != nil {
		t.Fatal(err)
	}
	return queue.Metadata[key].Value
}

// acked tells whether the supervisor's last answer is this one.
func (m *machine) acked(t *testing.T, epoch uint64, state messages.AckState, task string) bool {
	t.Helper()
	ack, ok := messages.ParseAck(m.value(t, messages.AckKey(instanceID)))
	return ok && ack.Epoch == epoch && ack.State == state && string(ack.Task) == task && time.Since(ack.At).Abs() < time.Minute
}

// registered tells whether the agent's worker is listed.
func (m *machine) registered(t *testing.T) bool {
	t.Helper()
	list, err := m.clearml.Workers(fakeclearml.WorkerFilter{})
	if err != nil {
		t.Fatal(err)
	}
	return len(list) == 1 && list[0].ID == workerID
}

// polling tells whether the agent has asked for a task through the fence.
func (m *machine) polling() bool {
	_, err := os.Stat(filepath.Join(m.root, "run/ebb/answered"))
	return err == nil
}

// enqueue adds a task to the home queue that runs for some seconds, or until finish.
func (m *machine) enqueue(t *testing.T, seconds int) string {
	t.Helper()
	task, err := m.clearml.CreateTask(fakeclearml.TaskSpec{Name: "sleeper", Script: map[string]any{
		"binary": "python3", "entry_point": "sleeper.py", "working_dir": ".", "requirements": map[string]any{"pip": ""},
		"diff": fmt.Sprintf("import os, time\nprint('fence of the task:', 'agent.py' in open('/proc/self/cmdline').read(), flush=True)\n"+
			"end = time.time() + %d\nwhile time.time() < end and not os.path.exists(%q):\n    time.sleep(0.1)\n", seconds, m.finished()),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.clearml.Enqueue(fakeclearml.EnqueueRequest{StatusRequest: fakeclearml.StatusRequest{Task: task}, Queue: m.queue}); err != nil {
		t.Fatal(err)
	}
	return task
}

func (m *machine) finished() string { return filepath.Join(m.state, "finished") }

// finish ends the tasks that run, and lets later ones end at once.
func (m *machine) finish(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(m.finished(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) wantConsole(t *testing.T, part string) {
	t.Helper()
	if console := m.console(t); !strings.Contains(console, part) {
		t.Errorf("no %q on the console:\n%s", part, console)
	}
}

// busy is what a machine with other things to do may add to any limit.
const busy = 2 * time.Minute

// eventually waits until ok answers true, and returns how long that took.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > limit+busy {
			t.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(begin)
}

// never fails the test when ok answers true before the time is over.
func never(t *testing.T, during time.Duration, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < during; time.Sleep(50 * time.Millisecond) {
		if ok() {
			t.Fatalf("after %s: %s", time.Since(begin).Round(time.Millisecond), what)
		}
	}
}
