//go:build real

package process_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// call is a call to EC2 that changes something.
type call struct {
	key    string // access key id of the caller
	action string
	token  string // ClientToken of a launch
	count  int    // how many instances a launch asks for
	at     time.Time
}

// gate stands before EC2: it knows who called, and keeps launches waiting. What
// has reached it happens, whether its caller lives to see the answer or not.
type gate struct {
	next http.Handler

	mu      sync.Mutex
	calls   []call
	hold    time.Duration // of each launch
	answer  bool          // the launch happens at once, only its answer is kept back
	arrived chan call     // launches, as they come
}

func newGate(next http.Handler) *gate { return &gate{next: next, arrived: make(chan call, 100)} }

// slow keeps launches waiting from now on: their answers only, or all of them.
func (g *gate) slow(hold time.Duration, answer bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold, g.answer = hold, answer
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller died while it asked
	}
	r = r.WithContext(context.WithoutCancel(r.Context()))
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil || strings.HasPrefix(form.Get("Action"), "Describe") {
		g.next.ServeHTTP(w, r)
		return
	}
	count, _ := strconv.Atoi(form.Get("MaxCount"))
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(credential, "/")
	c := call{key: key, action: form.Get("Action"), token: form.Get("ClientToken"), count: count, at: time.Now()}
	g.mu.Lock()
	g.calls = append(g.calls, c)
	hold, answer := g.hold, g.answer
	g.mu.Unlock()
	if c.action != "RunInstances" {
		g.next.ServeHTTP(w, r)
		return
	}
	if !answer {
		g.arrive(c)
		time.Sleep(hold)
		g.next.ServeHTTP(w, r)
		return
	}
	kept := &keptAnswer{header: http.Header{}, status: http.StatusOK}
	g.next.ServeHTTP(kept, r)
	g.arrive(c)
	time.Sleep(hold)
	kept.send(w)
}

func (g *gate) arrive(c call) {
	select {
	case g.arrived <- c:
	default: // nobody waits for so many
	}
}

// launch waits until a launch is under way.
func (g *gate) launch(t *testing.T) call {
	t.Helper()
	select {
	case c := <-g.arrived:
		return c
	case <-time.After(slow):
		t.Fatal("nothing is launched")
		return call{}
	}
}

// made is what has been called so far.
func (g *gate) made() []call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]call(nil), g.calls...)
}

// keptAnswer is an answer that is sent later.
type keptAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (k *keptAnswer) Header() http.Header { return k.header }

// WriteHeader implements http.ResponseWriter.
func (k *keptAnswer) WriteHeader(status int) { k.status = status }

// Write implements http.ResponseWriter.
func (k *keptAnswer) Write(p []byte) (int, error) { return k.body.Write(p) }

func (k *keptAnswer) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), k.header)
	w.WriteHeader(k.status)
	w.Write(k.body.Bytes()) //nolint:errcheck // the caller may be dead
}
