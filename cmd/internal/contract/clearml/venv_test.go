//go:build real

package clearml_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/internal/output"
)

const (
	accessKey = "EBBREALTESTKEY"
	secretKey = "ebb-real-test-secret"
)

// tool is a program of the virtual environment; that it is missing is a failure.
func tool(t *testing.T, name string) string {
	t.Helper()
	venv := os.Getenv("EBB_REAL_VENV")
	if venv == "" {
		t.Fatal("EBB_REAL_VENV is not set; point it at a Python virtual environment with cmd/internal/contract/requirements.txt installed (make test-real does)")
	}
	path, err := filepath.Abs(filepath.Join(venv, "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("find %s: %v; install cmd/internal/contract/requirements.txt into %s", name, err, venv)
	}
	return path
}

// server is the fake on a loopback port, with a record of what went wrong.
type server struct {
	*fakeclearml.Server
	url string

	mu      sync.Mutex
	refused []string
}

func serve(t *testing.T) *server {
	t.Helper()
	fake, err := fakeclearml.New(fakeclearml.Config{
		Clock: clock.System(), Seed: 1, Keys: map[string]string{accessKey: secretKey},
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Server: fake, url: "http://" + ln.Addr().String()}
	handler := fake.Handler()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		handler.ServeHTTP(rec, r)
		if rec.status >= http.StatusBadRequest {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.refused = append(s.refused, fmt.Sprintf("%s %d", r.URL.Path, rec.status))
		}
	})}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return s
}

// refusals are the calls that the fake refused, other than those that an
// open-source server refuses as well.
func (s *server) refusals() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, r := range s.refused {
		if !strings.Contains(r, "workers.get_runtime_properties 404") {
			out = append(out, r)
		}
	}
	return out
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// environment is all that a program gets to see: nothing of the caller's own
// ClearML or AWS configuration.
func (s *server) environment(t *testing.T, more ...string) []string {
	t.Helper()
	home := t.TempDir()
	return append([]string{
		"HOME=" + home, "TMPDIR=" + t.TempDir(), "LANG=C.UTF-8", "PYTHONUNBUFFERED=1",
		"PATH=" + filepath.Dir(tool(t, "python3")) + ":/usr/local/bin:/usr/bin:/bin",
		"NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost",
		"CLEARML_API_HOST=" + s.url, "CLEARML_WEB_HOST=" + s.url, "CLEARML_FILES_HOST=" + s.url,
		"CLEARML_API_ACCESS_KEY=" + accessKey, "CLEARML_API_SECRET_KEY=" + secretKey,
	}, more...)
}

// process is a program under way and what it has written.
type process struct {
	cmd  *exec.Cmd
	out  output.Buffer
	done chan struct{}
	err  error
}

// start runs a program in a process group of its own, which is killed when the
// test ends.
func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.CommandContext(context.Background(), name, args...), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, &p.out, &p.out
	p.cmd.Dir = t.TempDir()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
		if t.Failed() {
			t.Logf("%s wrote:\n%s", filepath.Base(name), p.out.String())
		}
	})
	return p
}

// eventually waits until ok answers true.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	limit += 2 * time.Minute // for a machine with other things to do
	for end := time.Now().Add(limit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}
