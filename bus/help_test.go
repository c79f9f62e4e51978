package bus_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/internal/leaks"
	"github.com/ebbscale/ebb/messages"
)

// A NATS server that is shut down in the middle of an atomic batch leaves the
// store of that batch behind (nats-server 2.15.2). What belongs to a server
// that nobody shut down is much more, and found.
func TestMain(m *testing.M) {
	if member := os.Getenv(memberEnv); member != "" {
		if err := runMember(member); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	const store = "github.com/nats-io/nats-server/v2/server"
	leaks.Main(m,
		goleak.IgnoreAnyFunction(store+".(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreAnyFunction(store+".(*msgBlock).flushLoop"),
		goleak.IgnoreAnyFunction(store+"/ats.Register.func1"),
	)
}

// noon is when everything happens in these tests.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// patience is how long something is waited for that comes at once on a machine that
// has nothing else to do.
const patience = 2 * time.Minute

// small keeps the disk that a test reserves small.
const small = 64 << 20

// start runs an embedded server over dir until the test ends.
func start(tb testing.TB, dir, listen string) *bus.Server {
	tb.Helper()
	server, err := bus.Start(tb.Context(), bus.ServerConfig{StateDir: dir, Listen: listen, Log: zerolog.Nop()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := server.Close(); err != nil {
			tb.Error(err)
		}
	})
	return server
}

// connect connects in process until the test ends.
func connect(tb testing.TB, server *bus.Server) *bus.Bus {
	tb.Helper()
	return dial(tb, bus.ConnConfig{Server: server, Name: tb.Name(), EventsMaxBytes: small, Log: zerolog.Nop()})
}

// dial connects as configured until the test ends.
func dial(tb testing.TB, config bus.ConnConfig) *bus.Bus {
	tb.Helper()
	conn, err := bus.Connect(tb.Context(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(conn.Close)
	return conn
}

// external runs a NATS server that is not ours, with JetStream.
func external(tb testing.TB, change func(*natsserver.Options)) *natsserver.Server {
	tb.Helper()
	options := &natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: tb.TempDir(),
		AuthTimeout: patience.Seconds(), TLSTimeout: patience.Seconds(), // two seconds are too few on a busy machine
	}
	change(options)
	server, err := natsserver.NewServer(options)
	if err != nil {
		tb.Fatal(err)
	}
	server.Start()
	tb.Cleanup(func() {
		server.Shutdown()
		server.WaitForShutdown()
	})
	if !server.ReadyForConnections(patience) {
		tb.Fatal("server not ready")
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
func stored(tb testing.TB, conn *bus.Bus, query bus.EventQuery) []bus.StoredEvent {
	tb.Helper()
	var all []bus.StoredEvent
	err := conn.Events(tb.Context(), query, func(event bus.StoredEvent) error {
		all = append(all, event)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// wantIDs checks the ids of events, in order.
func wantIDs(tb testing.TB, got []bus.StoredEvent, want []messages.Recorded) {
	tb.Helper()
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
		tb.Fatalf("ids of %d events, want %d:\n got %v\nwant %v", len(got), len(want), gotIDs, wantIDs)
	}
}
