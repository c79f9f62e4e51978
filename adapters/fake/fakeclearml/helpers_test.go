package fakeclearml_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

// manualClock stands still until it is told to move.
type manualClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*manualTimer
}

type manualTimer struct {
	at   time.Time
	f    func()
	done bool
}

func newClock() *manualClock {
	return &manualClock{now: time.Date(2026, 11, 23, 9, 45, 5, 123456000, time.UTC)}
}

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &manualTimer{at: c.now.Add(d), f: f}
	c.timers = append(c.timers, t)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		was := !t.done
		t.done = true
		return was
	}
}

func (c *manualClock) Advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var due []func()
	for _, t := range c.timers {
		if !t.done && !t.at.After(c.now) {
			t.done = true
			due = append(due, t.f)
		}
	}
	c.mu.Unlock()
	for _, f := range due {
		f()
	}
}

// waiting is how many timers run.
func (c *manualClock) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, t := range c.timers {
		if !t.done {
			n++
		}
	}
	return n
}

const (
	accessKey = "AKEY"
	secretKey = "ASECRET"
)

func newServer(t *testing.T, change ...func(*fakeclearml.Config)) (*fakeclearml.Server, *manualClock) {
	t.Helper()
	clk := newClock()
	cfg := fakeclearml.Config{Clock: clk, Seed: 1, Keys: map[string]string{accessKey: secretKey}}
	for _, f := range change {
		f(&cfg)
	}
	s, err := fakeclearml.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, clk
}

// answer is a decoded envelope.
type answer struct {
	status  int
	subcode int
	msg     string
	data    map[string]any
	raw     []byte
	header  http.Header
}

// post calls an endpoint with Basic credentials.
func post(t *testing.T, s *fakeclearml.Server, path string, body any) answer {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(raw))
	r.SetBasicAuth(accessKey, secretKey)
	return send(t, s, r)
}

func send(t *testing.T, s *fakeclearml.Server, r *http.Request) answer {
	t.Helper()
	r.RemoteAddr = "127.0.0.1:4711"
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	a := answer{status: w.Code, raw: w.Body.Bytes(), header: w.Header()}
	var env struct {
		Meta struct {
			ResultSubcode int    `json:"result_subcode"`
			ResultMsg     string `json:"result_msg"`
		} `json:"meta"`
		Data map[string]any `json:"data"`
	}
	if json.Unmarshal(a.raw, &env) == nil {
		a.subcode, a.msg, a.data = env.Meta.ResultSubcode, env.Meta.ResultMsg, env.Data
	}
	return a
}

func must[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newTask(t *testing.T, s *fakeclearml.Server, name string) string {
	t.Helper()
	return must[string](t)(s.CreateTask(fakeclearml.TaskSpec{Name: name}))
}

func enqueued(t *testing.T, s *fakeclearml.Server, task, queueName string) {
	t.Helper()
	must[fakeclearml.Change](t)(s.Enqueue(fakeclearml.EnqueueRequest{
		StatusRequest: fakeclearml.StatusRequest{Task: task}, QueueName: queueName,
	}))
}
