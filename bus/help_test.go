package bus_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is when everything happens in these tests.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// small keeps the disk that a test reserves small.
const small = 64 << 20

// start runs an embedded server over dir until the test ends.
func start(t testing.TB, dir, listen string) *bus.Server {
	t.Helper()
	server, err := bus.Start(t.Context(), bus.ServerConfig{StateDir: dir, Listen: listen, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// connect connects in process until the test ends.
func connect(t testing.TB, server *bus.Server) *bus.Bus {
	t.Helper()
	return dial(t, bus.ConnConfig{Server: server, Name: t.Name(), EventsMaxBytes: small, Log: zerolog.Nop()})
}

// dial connects as configured until the test ends.
func dial(t testing.TB, config bus.ConnConfig) *bus.Bus {
	t.Helper()
	conn, err := bus.Connect(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// external runs a NATS server that is not ours, with JetStream.
func external(t testing.TB, change func(*natsserver.Options)) *natsserver.Server {
	t.Helper()
	options := &natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(),
	}
	change(options)
	server, err := natsserver.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(func() {
		server.Shutdown()
		server.WaitForShutdown()
	})
	if !server.ReadyForConnections(10 * time.Second) {
		t.Fatal("server not ready")
	}
	return server
}

// observed is event number n of an autoscaler.
func observed(autoscaler messages.AutoscalerName, n int) messages.Recorded {
	return messages.Recorded{
		ID:         fmt.Sprintf("%s-%06d", autoscaler, n),
		Autoscaler: autoscaler,
		At:         noon.Add(time.Duration(n) * time.Second),
		Event:      messages.QueueObserved{Queue: "default", Waiting: n, OldestWaitSeconds: 1.5},
	}
}

// manyObserved are events from up to but not including to.
func manyObserved(autoscaler messages.AutoscalerName, from, to int) []messages.Recorded {
	events := make([]messages.Recorded, 0, to-from)
	for n := from; n < to; n++ {
		events = append(events, observed(autoscaler, n))
	}
	return events
}

// stored reads everything that a query finds now.
func stored(t testing.TB, conn *bus.Bus, query bus.EventQuery) []bus.StoredEvent {
	t.Helper()
	var all []bus.StoredEvent
	err := conn.Events(t.Context(), query, func(event bus.StoredEvent) error {
		all = append(all, event)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// wantIDs checks the ids of events, in order.
func wantIDs(t testing.TB, got []bus.StoredEvent, want []messages.Recorded) {
	t.Helper()
	ids := func(n int, id func(int) string) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = id(i)
		}
		return list
	}
	gotIDs := ids(len(got), func(i int) string { return got[i].ID })
	wantIDs := ids(len(want), func(i int) string { return want[i].ID })
	if !slices.Equal(gotIDs, wantIDs) {
		t.Fatalf("ids of %d events, want %d:\n got %v\nwant %v", len(got), len(want), gotIDs, wantIDs)
	}
}
