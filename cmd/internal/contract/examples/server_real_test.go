//go:build real

package examples_test

import (
	"context"
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/internal/freeport"
	"github.com/ebbscale/ebb/messages"
)

const (
	// examplesDir is the directory with the examples, seen from this package.
	examplesDir = "../../../../examples"

	ebbPassword    = "p-of-ebb"
	keeperPassword = "p-of-keeper"
	viewerPassword = "p-of-viewer"

	autoscaler = messages.AutoscalerName("prod.eu")
)

// TestMain sets what examples/nats-server.conf reads from the environment.
func TestMain(m *testing.M) {
	flag.Parse()
	for name, value := range map[string]string{
		"EBB_PASSWORD": ebbPassword, "KEEPER_PASSWORD": keeperPassword, "VIEWER_PASSWORD": viewerPassword,
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// eventServer is a nats-server with the configuration of the examples. Only its ports
// and its directory are others: tests run side by side.
type eventServer struct {
	change   func(*natsserver.Options)
	storeDir string
	nats     *natsserver.Server
	// url and pageURL are where programs and browsers connect.
	url, pageURL string
}

// newServer starts a server; change may bend its configuration.
func newServer(t *testing.T, change func(*natsserver.Options)) *eventServer {
	t.Helper()
	s := &eventServer{change: change, storeDir: t.TempDir()}
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

// start starts the server, the second time with the ports of the first.
func (s *eventServer) start(t *testing.T) {
	t.Helper()
	options, err := natsserver.ProcessConfigFile(filepath.Join(examplesDir, "nats-server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	options.Port, options.Websocket.Port = portOf(t, s.url), portOf(t, s.pageURL)
	options.StoreDir, options.NoSigs, options.NoLog = s.storeDir, true, true
	options.AuthTimeout, options.Websocket.HandshakeTimeout = slow.Seconds(), slow // two seconds are too few on a busy machine
	if s.change != nil {
		s.change(options)
	}
	server, err := natsserver.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	if !server.ReadyForConnections(slow) {
		t.Fatal("the event server takes no connections")
	}
	s.nats, s.url, s.pageURL = server, server.ClientURL(), server.WebsocketURL()
}

// portOf is the port of a URL; without one it is a free port, which stays the test's
// while its server is down.
func portOf(t *testing.T, text string) int {
	t.Helper()
	if text == "" {
		return freeport.Number(t)
	}
	parsed, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(parsed.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (s *eventServer) stop() {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
}

// connect logs in with nats.go.
func (s *eventServer) connect(t *testing.T, user, password string, more ...nats.Option) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(s.url, append(more, nats.UserInfo(user, password))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// ebb connects as ebb does; that makes the streams.
func (s *eventServer) ebb(t *testing.T) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(t.Context(), bus.ConnConfig{
		URL: s.url, User: "ebb", Password: ebbPassword, Name: "ebb", Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// mirror makes the viewers' copy of the events, from the file and by the user that the
// examples have for it.
func (s *eventServer) mirror(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(examplesDir, "events-mirror.json"))
	if err != nil {
		t.Fatal(err)
	}
	var config jetstream.StreamConfig
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(s.connect(t, "keeper", keeperPassword))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatalf("make the copy of the events: %v", err)
	}
}

// publish writes events as ebb does, and repeats until they are stored.
func publish(t *testing.T, b *bus.Bus, events ...messages.Recorded) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(slow); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err = b.Publish(ctx, events)
		cancel()
		if err == nil {
			return
		}
	}
	t.Fatalf("publish: %v", err)
}

func recorded(id string, event messages.Event) messages.Recorded {
	return messages.Recorded{ID: id, Autoscaler: autoscaler, At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Event: event}
}

// slow is what a machine with other things to do may add to any limit.
const slow = 2 * time.Minute

// within waits until something is so, or fails the test.
func within(t *testing.T, patience time.Duration, what string, is func() bool) {
	t.Helper()
	patience += slow
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
