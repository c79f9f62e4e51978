//go:build real

package dashboard_test

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/adapters/dashboard/dashtest"
	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
)

const (
	web          = "../../../../adapters/dashboard/web"
	browserLimit = 3 * time.Minute
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
	world := dashtest.New(clock.System(), 1, 1000, "prod", "research")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := dashboard.New(dashboard.Config{
		Engine: world, Operator: world, Events: world, Wizard: dashtest.Wizard{},
		Words: func(r messages.Recorded) string { return eventtext.Words(r.Event) }, Reason: eventtext.Reason,
		Clock: clock.System(), Wall: clock.System(), Version: "test", Listen: listener.Addr().String(), Token: token, Log: zerolog.New(os.Stderr),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served, fed := make(chan error, 1), make(chan struct{})
	go func() { served <- server.Serve(ctx, listener) }()
	go func() {
		defer close(fed)
		go server.Run(ctx)
		beat := time.NewTicker(50 * time.Millisecond)
		defer beat.Stop()
		for ctx.Err() == nil {
			world.StepAll()
			<-beat.C
		}
	}()
	browse(t, "world", "http://"+listener.Addr().String(), token)
	cancel()
	<-fed
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// browse runs the script; what it prints is the story of the test.
func browse(t *testing.T, mode, url, token string) {
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
	script.Dir, script.Env = web, append(os.Environ(), "EBB_FAULTS="+t.TempDir())
	out, err := script.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("the browser: %v (a missing browser: apt-get install chromium, or set EBB_CHROMIUM)", err)
	}
}
