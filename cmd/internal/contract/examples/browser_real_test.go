//go:build real

package examples_test

import (
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
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/ebbscale/ebb/messages"
)

// site builds the page with npm and esbuild, once, in a copy: the tree stays as it is.
var site = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ebb-example-test-")
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(examplesDir, "subscriber-browser"))); err != nil {
		return "", err
	}
	for _, arguments := range [][]string{{"ci", "--ignore-scripts", "--no-audit", "--no-fund"}, {"run", "build"}} {
		cmd := exec.Command("npm", arguments...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("npm %s (make real-env installs what is missing): %w\n%s", strings.Join(arguments, " "), err, out)
		}
	}
	return filepath.Join(dir, "www"), nil
})

// tab is a page in a browser of its own.
type tab struct {
	ctx context.Context // chromedp keeps the browser in it
}

// open opens the page as if it were served at origin, one of allowed_origins or not.
// ahead may hold a script to run before the page's own.
func open(t *testing.T, origin, ahead string) *tab {
	t.Helper()
	dir, err := site()
	if err != nil {
		t.Fatal(err)
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: make real-env installs it", err)
	}
	script, err := os.ReadFile(filepath.Join(dir, "subscriber.js"))
	if err != nil {
		t.Fatal(err)
	}
	site := http.NewServeMux()
	site.Handle("/", http.FileServer(http.Dir(dir)))
	site.HandleFunc("/subscriber.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprintf(w, "%s\n%s", ahead, script)
	})
	server := httptest.NewServer(site)
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(origin, "http://")
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("headless", "new"), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-background-timer-throttling", true),
		chromedp.Flag("host-resolver-rules", "MAP "+host+" "+strings.TrimPrefix(server.URL, "http://")),
		chromedp.WSURLReadTimeout(slow),
	}
	ctx, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	p := &tab{ctx: ctx}
	p.do(t, chromedp.Navigate(origin+"/"))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("status of the page: %q", p.status(t))
		}
	})
	return p
}

func (p *tab) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// read is what an expression is worth on the page.
func read[T any](t *testing.T, p *tab, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, slow)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("evaluate %s: %v", expression, err)
	}
	return value
}

// login fills the form.
func (p *tab) login(t *testing.T, server, user, password string) {
	t.Helper()
	for id, value := range map[string]string{"server": server, "user": user, "password": password} {
		read[string](t, p, fmt.Sprintf("document.getElementById(%q).value = %q", id, value))
	}
	p.do(t, chromedp.Click("button"))
}

func (p *tab) status(t *testing.T) string {
	t.Helper()
	return read[string](t, p, `document.getElementById("status").className + ": " + document.getElementById("status").textContent`)
}

func (p *tab) says(t *testing.T, text string) {
	t.Helper()
	within(t, 60*time.Second, "the page says "+text, func() bool { return strings.Contains(p.status(t), text) })
}

// shows waits until the page lists the events with these ids, the oldest first, and
// these counts.
func (p *tab) shows(t *testing.T, ids []string, counts string) {
	t.Helper()
	for deadline := time.Now().Add(slow); ; time.Sleep(50 * time.Millisecond) {
		gotIDs := read[[]string](t, p, `[...document.querySelectorAll("#events li")].map((line) => line.dataset.id).reverse()`)
		gotCounts := read[string](t, p, `[...document.querySelectorAll("#counts tr")].map((row) => [...row.cells].map((cell) => cell.textContent).join(" ")).join(", ")`)
		if slices.Equal(gotIDs, ids) && gotCounts == counts {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the page shows %q and counts %q; want %q and %q", gotIDs, gotCounts, ids, counts)
		}
	}
}

const allowedOrigin = "http://localhost:8000" // one of allowed_origins in nats-server.conf

// TestBrowser follows a fleet on the page: what was before it was opened, what comes, and
// what happened while the server was away.
func TestBrowser(t *testing.T) {
	t.Parallel()

	s := newServer(t, nil)
	b := s.ebb(t)
	s.mirror(t)
	launched := func(id string, resource messages.ResourceName) messages.Recorded {
		return recorded("launched-"+id, messages.InstanceLaunched{Instance: messages.InstanceID(id), Resource: resource})
	}
	publish(t, b, launched("i-1", "gpu"), launched("i-2", "gpu"), launched("i-3", "cpu"))

	p := open(t, allowedOrigin, "")
	p.login(t, s.pageURL, "viewer", viewerPassword)
	p.says(t, "live: Live from")
	want := []string{"launched-i-1", "launched-i-2", "launched-i-3"}
	p.shows(t, want, "cpu 1, gpu 2")

	publish(t, b,
		recorded("held", messages.ResourceHeld{Resource: "gpu", Reasons: []messages.Reason{{Code: messages.ReasonBootFailures, Detail: "3 in <b>a row</b>"}}}),
		recorded("gone-i-3", messages.InstanceGone{Instance: "i-3", Resource: "cpu"}))
	want = append(want, "held", "gone-i-3")
	p.shows(t, want, "gpu 2")
	line := read[string](t, p, `document.querySelector('[data-kind="resource.held"]').textContent`)
	if line != "2026-03-01T12:00:00Z · prod.eu · resource.held · gpu · 3 in <b>a row</b>" {
		t.Errorf("the page shows %q", line)
	}

	s.stop()
	p.says(t, "trouble: The connection is lost")
	s.start(t)
	publish(t, b, launched("i-4", "cpu"))
	want = append(want, "launched-i-4")
	p.says(t, "live: Live from")
	p.shows(t, want, "cpu 1, gpu 2")

	// A page that believes to be opened two hours later lists none of these, and counts all.
	later := open(t, allowedOrigin, `{ const now = Date.now; Date.now = () => now() + 2 * 60 * 60 * 1000; }`)
	later.login(t, s.pageURL, "viewer", viewerPassword)
	later.says(t, "live: Live from")
	later.shows(t, nil, "cpu 1, gpu 2")
}

// TestBrowserWithoutLogin opens the page where the README's no_auth_user lets everybody watch.
func TestBrowserWithoutLogin(t *testing.T) {
	t.Parallel()

	s := newServer(t, func(options *natsserver.Options) { options.Websocket.NoAuthUser = "viewer" })
	b := s.ebb(t)
	s.mirror(t)
	publish(t, b, recorded("launched-i-1", messages.InstanceLaunched{Instance: "i-1", Resource: "gpu"}))
	p := open(t, allowedOrigin, "")
	p.login(t, s.pageURL, "", "")
	p.shows(t, []string{"launched-i-1"}, "gpu 1")
}

// TestBrowserSaysWhatIsWrong shows the page each trouble that a newcomer has.
func TestBrowserSaysWhatIsWrong(t *testing.T) {
	t.Parallel()

	s := newServer(t, nil)
	p := open(t, allowedOrigin, "")

	p.login(t, strings.Replace(s.url, "nats://", "ws://", 1), "viewer", viewerPassword)
	p.says(t, "trouble: No NATS WebSocket answers this page at "+strings.Replace(s.url, "nats://", "ws://", 1))
	p.says(t, "nats-server must run with a websocket {} block")

	p.login(t, s.pageURL, "viewer", "wrong")
	p.says(t, "trouble: The server refuses this user and password.")

	p.login(t, s.pageURL, "viewer", viewerPassword)
	p.says(t, "trouble: No stream EBB_EVENTS in this account")

	// All is set right meanwhile, and the page goes on by itself.
	b := s.ebb(t)
	s.mirror(t)
	publish(t, b, recorded("held", messages.ResourceHeld{Resource: "gpu"}))
	p.says(t, "live: Live from")
	p.shows(t, []string{"held"}, "")

	foreign := open(t, "http://localhost:8001", "")
	foreign.login(t, s.pageURL, "viewer", viewerPassword)
	foreign.says(t, "http://localhost:8001 must be in its allowed_origins")
}
