//go:build real

package dashboard_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/adapters/dashboard/dashtest"
	"github.com/ebbscale/ebb/cmd/internal/certificate/certtest"
	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
)

const (
	web          = "../../../../adapters/dashboard/web"
	browserLimit = 10 * time.Minute
	token        = "a-token-of-the-browser-test"
)

// TestDemo watches `ebb demo`: instances come and go, a queue is explained, and one
// is drained with the token and not without.
func TestDemo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ebb")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/ebbscale/ebb/cmd/ebb").CombinedOutput(); err != nil {
		t.Fatalf("build ebb: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), browserLimit)
	defer cancel()
	// Slower than its default, so that an instance lives long enough to be clicked.
	demo := exec.CommandContext(ctx, path, "demo", "--headless", "--speed", "120")
	demo.Stderr = os.Stderr
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatalf("start the demo: %v", err)
	}
	defer func() {
		_ = demo.Process.Signal(syscall.SIGINT)
		_ = demo.Process.Signal(syscall.SIGINT) // at once
		_ = demo.Wait()
	}()
	lines := bufio.NewScanner(out)
	var address []string
	for address == nil && lines.Scan() {
		address = regexp.MustCompile(`dashboard: (http://\S+) +\(token: (\S+)\)$`).FindStringSubmatch(lines.Text())
	}
	if address == nil {
		t.Fatalf("the demo does not say where its dashboard is: %v", lines.Err())
	}
	go func() {
		for lines.Scan() { // what it says is not needed, but must be taken
		}
	}()
	browse(t, "demo", address[1], address[2])
}

// TestWorld looks at 1,000 instances: tables, keyboard, phone, dark, the wizard, and
// axe finds nothing serious anywhere.
func TestWorld(t *testing.T) {
	server, listener := live(t, 1000, func(*dashboard.Config) {})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	browse(t, "world", "http://"+listener.Addr().String(), token)
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestTLS serves as a dashboard does that other machines can reach, with a
// certificate of nobody's authority: by HTTP/2, and by HTTP/1.1 for whoever has a
// proxy between.
func TestTLS(t *testing.T) {
	t.Parallel()
	for protocol, two := range map[string]bool{"h2": true, "http/1.1": false} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			const user, password = "ana", "a-password-of-the-browser-test"
			files := certtest.SelfSigned(t, t.TempDir(), time.Now().Add(time.Hour))
			page, listener := live(t, 40, func(c *dashboard.Config) {
				_, port, _ := net.SplitHostPort(c.Listen)
				// It listens on loopback and believes that it does not.
				c.Listen, c.TLS, c.User, c.Password = net.JoinHostPort("0.0.0.0", port), true, user, password
			})
			server := page.HTTP()
			server.Protocols = new(http.Protocols)
			server.Protocols.SetHTTP1(true)
			server.Protocols.SetHTTP2(two)
			served := make(chan error, 1)
			go func() { served <- server.ServeTLS(listener, files.Cert, files.Key) }()
			browse(t, "tls", "https://"+listener.Addr().String(), token, "EBB_USER="+user, "EBB_PASSWORD="+password, "EBB_PROTOCOL="+protocol)
			page.Close()
			if err := server.Close(); err != nil {
				t.Error(err)
			}
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
	}
}

// patient is a clock by which a browser has an hour more to take a frame: one that
// stands still with its machine is not let go.
type patient struct{ dashboard.Clock }

func (p patient) Now() time.Time { return p.Clock.Now().Add(time.Hour) }

// TestRestart looks at a dashboard whose process is started again: it knows no session
// of the last one, may want the token to be looked at, or not have the autoscaler.
func TestRestart(t *testing.T) {
	t.Parallel()
	first, listener := live(t, 20, func(*dashboard.Config) {})
	var mu sync.Mutex
	serves := first
	front := http.NewServeMux()
	front.HandleFunc("POST /_test/restart", func(w http.ResponseWriter, r *http.Request) {
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		next, unused := liveNamed(t, 20, func(c *dashboard.Config) {
			c.Listen = net.JoinHostPort(r.URL.Query().Get("listen"), port)
			if r.URL.Query().Has("full") {
				c.Engine.(*dashtest.World).Sleep(true)
				c.Health = func(context.Context) []dashboard.Trouble {
					return []dashboard.Trouble{{About: "disk", Wrong: true, Found: "the disk of state_dir is full", Cure: "make room on it"}}
				}
			}
		}, messages.AutoscalerName(r.URL.Query().Get("name")))
		unused.Close()
		mu.Lock()
		defer mu.Unlock()
		serves.Close() // its streams end
		serves = next
		w.WriteHeader(http.StatusNoContent)
	})
	front.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now := serves
		mu.Unlock()
		now.Handler().ServeHTTP(w, r)
	})
	server := first.HTTP()
	server.Handler = front
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	browse(t, "restart", "http://"+listener.Addr().String(), token)
	mu.Lock()
	serves.Close()
	mu.Unlock()
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// live is a dashboard over a world of n instances in which something happens all the
// time, and where it is to listen. It ends with the test.
func live(t *testing.T, n int, change func(*dashboard.Config)) (*dashboard.Server, net.Listener) {
	t.Helper()
	return liveNamed(t, n, change, "prod", "research")
}

// still is an autoscaler in a world in which nothing happens by itself.
const still = "still"

func liveNamed(t *testing.T, n int, change func(*dashboard.Config), names ...messages.AutoscalerName) (*dashboard.Server, net.Listener) {
	t.Helper()
	world := dashtest.New(clock.System(), 1, n, names...)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := dashboard.Config{
		Engine: world, Operator: world, Events: world, Wizard: dashtest.Wizard{},
		Words: func(r messages.Recorded) string { return eventtext.Words(r.Event) }, Reason: eventtext.Reason,
		Clock: clock.System(), Wall: patient{clock.System()}, Version: "test", Listen: listener.Addr().String(), Token: token, TokenFile: "/var/lib/ebb/http-token",
		Log: zerolog.New(os.Stderr),
	}
	change(&config)
	server, err := dashboard.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var fed sync.WaitGroup
	fed.Go(func() { server.Run(ctx) })
	fed.Go(func() {
		beat := time.NewTicker(10 * time.Millisecond)
		defer beat.Stop()
		for ctx.Err() == nil && !slices.Contains(names, still) {
			world.StepAll()
			<-beat.C
		}
	})
	t.Cleanup(func() {
		cancel()
		fed.Wait()
	})
	return server, listener
}

// browse runs the script; what it prints is the story of the test.
func browse(t *testing.T, mode, url, token string, environment ...string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(web, "node_modules", "playwright-core")); err != nil {
		t.Fatalf("%v; run make web-modules first", err)
	}
	pictures := os.Getenv("EBB_PICTURES")
	if pictures != "" {
		absolute, err := filepath.Abs(pictures)
		if err != nil {
			t.Fatal(err)
		}
		pictures = absolute
	}
	ctx, cancel := context.WithTimeout(t.Context(), browserLimit)
	defer cancel()
	script := exec.CommandContext(ctx, "node", "browser.mjs", mode, url, token, pictures)
	script.Dir, script.Env = web, append(append(os.Environ(), "EBB_FAULTS="+t.TempDir()), environment...)
	out, err := script.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("the browser: %v (a missing browser: apt-get install chromium, or set EBB_CHROMIUM)", err)
	}
}
