package clearml_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/messages"
)

const (
	testKey    = "ACCESSKEYOFTEST"
	testSecret = "s3cr3t-of-the-test"
	prefix     = "pfx"
)

func epoch() time.Time { return time.Date(2026, 11, 23, 9, 45, 0, 0, time.UTC) }

// virtualClock moves by itself as far as somebody waits, at once: a retry costs
// no time, and the pauses are kept for the test to see.
type virtualClock struct {
	mu     sync.Mutex
	now    time.Time
	pauses []time.Duration
	frozen bool // timers never fire
}

func newClock() *virtualClock { return &virtualClock{now: epoch()} }

func (c *virtualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *virtualClock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pauses = append(c.pauses, d)
	if c.frozen {
		return func() bool { return true }
	}
	c.now = c.now.Add(d)
	go f()
	return func() bool { return false }
}

func (c *virtualClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *virtualClock) waited() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]time.Duration(nil), c.pauses...)
}

// asked is one request that the stub got.
type asked struct {
	path          string
	authorization string
	header        http.Header
	body          map[string]any
	raw           string
}

// answer is what the stub says.
type answer struct {
	status int
	body   string
	header map[string]string
}

// stub is a ClearML server of canned answers. It logs in whoever comes, with
// tokens of the given lifetime, unless told otherwise.
type stub struct {
	t      *testing.T
	clock  *virtualClock
	server *httptest.Server

	mu    sync.Mutex
	calls []asked
	// reply answers a call of an action, n counting from 1.
	reply map[string]func(n int, a asked) answer
	count map[string]int
	// skew is how far the server's clock is ahead; noDate leaves the header out.
	skew   time.Duration
	noDate bool
	life   time.Duration
}

func newStub(t *testing.T) *stub {
	t.Helper()
	s := &stub{
		t: t, clock: newClock(), reply: map[string]func(int, asked) answer{}, count: map[string]int{},
		life: 30 * 24 * time.Hour,
	}
	s.on("queues.get_all", ok(`{"queues": []}`))
	s.on("workers.get_all", ok(`{"workers": []}`))
	s.on("tasks.get_all", ok(`{"tasks": []}`))
	s.on("queues.create", ok(`{"id": "0123"}`))
	s.on("queues.update", ok(`{"updated": 1, "fields": {}}`))
	s.on("queues.add_or_update_metadata", ok(`{"updated": 1}`))
	s.on("queues.delete_metadata", ok(`{"updated": 1}`))
	s.on("tasks.enqueue", ok(`{"queued": 1, "updated": 1, "fields": {}}`))
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.server.Close)
	return s
}

func (s *stub) now() time.Time { return s.clock.Now().Add(s.skew) }

func (s *stub) serve(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	a := asked{path: r.URL.Path, authorization: r.Header.Get("Authorization"), header: r.Header.Clone(), raw: string(raw)}
	_ = json.Unmarshal(raw, &a.body)
	action := strings.TrimPrefix(r.URL.Path, "/v2.30/")
	s.mu.Lock()
	s.calls = append(s.calls, a)
	s.count[action]++
	n, reply := s.count[action], s.reply[action]
	noDate := s.noDate
	s.mu.Unlock()
	var got answer
	switch {
	case reply != nil:
		got = reply(n, a)
	case action == "auth.login":
		got = answer{status: 200, body: envelope(fmt.Sprintf(`{"token": %q}`, s.jwt(n)))}
	default:
		got = answer{status: 404, body: failure(404, 0, "Unable to find endpoint")}
	}
	if noDate {
		w.Header()["Date"] = nil
	} else {
		w.Header().Set("Date", s.now().Format(http.TimeFormat))
	}
	for name, value := range got.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(got.status)
	_, _ = io.WriteString(w, got.body)
}

// jwt makes a token of the stub's lifetime; n makes it unique.
func (s *stub) jwt(n int) string {
	now := s.now()
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	claims := fmt.Sprintf(`{"env":"","iat":%d,"exp":%d,"n":%d}`, now.Unix(), now.Add(s.life).Unix(), n)
	return part(`{"alg":"HS256","typ":"JWT"}`) + "." + part(claims) + "." + part(fmt.Sprintf("signature-%d", n))
}

func (s *stub) on(action string, reply func(n int, a asked) answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply[action] = reply
}

func (s *stub) asked(action string) []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []asked
	for _, a := range s.calls {
		if action == "" || a.path == "/v2.30/"+action {
			found = append(found, a)
		}
	}
	return found
}

func (s *stub) config() clearml.Config { return s.configFor(s.server.URL, s.server.Client()) }

// configFor is a configuration for another server by the stub's clock.
func (s *stub) configFor(url string, carrier *http.Client) clearml.Config {
	return clearml.Config{
		APIServer: url, AccessKey: testKey, SecretKey: testSecret,
		HTTPClient: carrier, Clock: s.clock, Rand: rand.New(rand.NewPCG(1, 2)), Log: zerolog.Nop(),
	}
}

func (s *stub) client() *clearml.Client {
	s.t.Helper()
	return mustNew(s.t, s.config())
}

func mustNew(tb testing.TB, cfg clearml.Config) *clearml.Client {
	tb.Helper()
	c, err := clearml.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func ok(data string) func(int, asked) answer {
	return func(int, asked) answer { return answer{status: 200, body: envelope(data)} }
}

func always(a answer) func(int, asked) answer { return func(int, asked) answer { return a } }

// first answers like this n times and like that afterwards.
func first(n int, this answer, that func(int, asked) answer) func(int, asked) answer {
	return func(call int, a asked) answer {
		if call <= n {
			return this
		}
		return that(call, a)
	}
}

func envelope(data string) string {
	return `{"meta":{"id":"1","trx":"1","endpoint":{"name":"x","requested_version":"2.30","actual_version":"2.4"},` +
		`"result_code":200,"result_subcode":0,"result_msg":"OK","error_stack":null,"error_data":{}},"data":` + data + `}`
}

func failure(code, subcode int, text string) string {
	return fmt.Sprintf(`{"meta":{"id":"1","endpoint":{"name":"x","requested_version":1.5,"actual_version":null},`+
		`"result_code":%d,"result_subcode":%d,"result_msg":%q,"error_data":{}},"data":{}}`, code, subcode, text)
}

// recording is one exchange with a real server.
type recording struct {
	Label  string          `json:"label"`
	Path   string          `json:"path"`
	Req    json.RawMessage `json:"req"`
	Status int             `json:"status"`
	Resp   json.RawMessage `json:"resp"`
}

func recorded(tb testing.TB, label string) answer {
	tb.Helper()
	for _, r := range recordings(tb) {
		if r.Label == label {
			return r.answer()
		}
	}
	tb.Fatalf("testdata/recorded.jsonl has no recording %q", label)
	return answer{}
}

func (r recording) answer() answer {
	body := string(r.Resp)
	var text string
	if json.Unmarshal(r.Resp, &text) == nil {
		body = text
	}
	return answer{status: r.Status, body: body}
}

func recordings(tb testing.TB) []recording {
	tb.Helper()
	raw, err := os.ReadFile("testdata/recorded.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	var all []recording
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r recording
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			tb.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func query(names ...messages.QueueName) messages.ClearMLQuery {
	return messages.ClearMLQuery{Queues: names, WorkersPrefix: prefix}
}

func observe(t *testing.T, c *clearml.Client, names ...messages.QueueName) messages.ClearMLSnapshot {
	t.Helper()
	snapshot, err := c.Observe(t.Context(), query(names...))
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func wantClass(t *testing.T, err error, class messages.FailureClass, code string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s %s", class, code)
	}
	got := messages.FailureOf(err)
	if got.Class != class || got.Code != code {
		t.Fatalf("failure is %s %q, want %s %q; error: %v", got.Class, got.Code, class, code, err)
	}
}

// roundTrip is a transport that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func respond(status int, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

var (
	_ interface {
		Observe(ctx context.Context, query messages.ClearMLQuery) (messages.ClearMLSnapshot, error)
		CreateQueues(ctx context.Context, names []messages.QueueName) error
		Activity(ctx context.Context, since time.Time, workers []messages.WorkerID) ([]messages.WorkerActivity, error)
	} = (*clearml.Client)(nil)
	_ interface {
		Signal(ctx context.Context, signal messages.Signal) error
		SetTag(ctx context.Context, queueID, tag string, on bool) error
	} = (*clearml.Client)(nil)
	_ interface {
		Unfinished(ctx context.Context) ([]messages.TaskState, error)
		Requeue(ctx context.Context, request messages.Requeue) (messages.RequeueOutcome, error)
	} = (*clearml.Client)(nil)
)
