package dashboard_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/adapters/dashboard/dashtest"
	"github.com/ebbscale/ebb/internal/leaks"
	"github.com/ebbscale/ebb/messages"
)

const token = "a-token-of-the-test"

func TestMain(m *testing.M) { leaks.Main(m) }

// configOf is a dashboard over a world, on loopback with a token.
func configOf(world *dashtest.World) dashboard.Config {
	return dashboard.Config{
		Engine: world, Operator: world, Events: world, Wizard: dashtest.Wizard{},
		Words: func(r messages.Recorded) string { return r.Event.Kind() }, Reason: func(r messages.Reason) string { return string(r.Code) },
		Clock: clock.System(), Wall: patient{clock.System()}, Version: "v1", Listen: "127.0.0.1:8480", Token: token, Log: zerolog.Nop(),
	}
}

// patient is a clock by which a browser has an hour more to take a frame: one that
// stands still with its machine is not let go.
type patient struct{ dashboard.Clock }

func (p patient) Now() time.Time { return p.Clock.Now().Add(time.Hour) }

// begin runs a server over a world of n instances, and ends it with the test.
func begin(tb testing.TB, n int, change ...func(*dashboard.Config)) (*dashboard.Server, *dashtest.World) {
	tb.Helper()
	world := dashtest.New(clock.System(), 1, n, "prod", "research")
	server := run(tb, world, change...)
	waitFor(tb, "the first status", func() bool {
		return strings.Contains(body(ask(server, "GET", "/api/v1/autoscalers", "", trusted)), `"told":1`)
	})
	return server, world
}

// run runs a server over a world, and ends it with the test.
func run(tb testing.TB, world *dashtest.World, change ...func(*dashboard.Config)) *dashboard.Server {
	tb.Helper()
	config := configOf(world)
	for _, c := range change {
		c(&config)
	}
	server, err := dashboard.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Run(ctx)
	}()
	tb.Cleanup(func() {
		server.Close()
		cancel()
		<-done
	})
	return server
}

// trusted makes any request allowed.
func trusted(r *http.Request) {
	r.Header.Set("Authorization", "Bearer "+token)
}

func ask(server *dashboard.Server, method, path, content string, change ...func(*http.Request)) *http.Response {
	r := httptest.NewRequestWithContext(context.Background(), method, "http://127.0.0.1:8480"+path, strings.NewReader(content))
	r.RemoteAddr = "127.0.0.1:5555"
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	server.Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(response *http.Response) string {
	text, _ := io.ReadAll(response.Body)
	return string(text)
}

// patience is how long something is waited for that comes at once, on a machine that
// has much else to do.
const patience = 2 * time.Minute

func waitFor(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if so() {
			return
		}
	}
	tb.Fatalf("%s did not come", what)
}

// serve listens for real, for streams.
func serve(tb testing.TB, server *dashboard.Server) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	return "http://" + listener.Addr().String()
}

func decode[T any](tb testing.TB, response *http.Response) T {
	tb.Helper()
	var value T
	if err := json.NewDecoder(response.Body).Decode(&value); err != nil {
		tb.Fatalf("decode the answer: %v", err)
	}
	return value
}
