package bus_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

// witness writes down when each holder may act.
type witness struct {
	mu    sync.Mutex
	until map[string]time.Time
	epoch messages.Epoch
	// renewals counts them, failures what failed and may be renewed or not.
	renewals, failures int
}

// acts notes that a lease, asked for at began, was had. One that is told of when its
// time is over already, by a machine that stood still, is not had.
func (w *witness) acts(t *testing.T, lease messages.Lease, began time.Time, timing messages.LeaseTiming) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	now, mine := time.Now(), began.Add(timing.TTL-timing.Margin)
	if !now.Before(mine) {
		return
	}
	for other, until := range w.until {
		if other != lease.Holder && now.Before(until) {
			t.Errorf("%s has the lease while %s may act for %s", lease.Holder, other, until.Sub(now))
		}
	}
	w.until[lease.Holder] = mine
	switch {
	case lease.Epoch > w.epoch:
		w.epoch = lease.Epoch
	case lease.Epoch < w.epoch:
		t.Errorf("epoch %d of %s after %d", lease.Epoch, lease.Holder, w.epoch)
	default:
		w.renewals++
	}
}

// seen answers the counts.
func (w *witness) seen() (renewals, failures int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.renewals, w.failures
}

// own acquires and renews until stop.
func own(t *testing.T, ours *bus.Leases, timing messages.LeaseTiming, w *witness, stop <-chan struct{}) {
	t.Helper()
	var lease *messages.Lease
	for {
		select {
		case <-stop:
			return
		case <-time.After(50 * time.Millisecond):
		}
		began := time.Now()
		if lease == nil {
			if got, err := ours.Acquire(t.Context(), "prod"); err == nil {
				lease = &got
				w.acts(t, got, began, timing)
			}
			continue
		}
		got, err := ours.Renew(t.Context(), *lease)
		switch {
		case err == nil:
			lease = &got
			w.acts(t, got, began, timing)
		case messages.FailureOf(err).Class == messages.ClassFenced:
			lease = nil
		default:
			w.mu.Lock()
			w.failures++
			w.mu.Unlock()
		}
	}
}

// The server stops and comes back over its files, once before the lease runs
// out and once about when it does. What it does then with a lease that ran out
// while it was down is open: renewed or lost, but never had by two.
func TestLeaseThroughServerRestarts(t *testing.T) {
	t.Parallel()
	timing := messages.LeaseTiming{TTL: 2300 * time.Millisecond, Renew: 400 * time.Millisecond, Margin: 900 * time.Millisecond}
	dir := t.TempDir()
	server := external(t, func(o *natsserver.Options) { o.StoreDir = dir })
	way := startRelay(t, server.Addr().String())
	w := &witness{until: map[string]time.Time{}}
	stop := make(chan struct{})
	var group sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		conn := dial(t, bus.ConnConfig{URL: way.url(), EventsMaxBytes: small, Log: zerolog.Nop()})
		ours := leases(t, conn, name, timing)
		group.Go(func() { own(t, ours, timing, w, stop) })
	}
	await := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				renewals, failures := w.seen()
				t.Fatalf("waited for %s: %d renewals, %d failures", what, renewals, failures)
			}
		}
	}
	for _, down := range []time.Duration{0, timing.TTL} {
		renewals, failures := w.seen()
		await("renewals", func() bool { now, _ := w.seen(); return now > renewals+2 })
		way.cut("")
		server.Shutdown()
		server.WaitForShutdown()
		if down > 0 {
			await("failed renewals", func() bool { _, now := w.seen(); return now > failures })
			time.Sleep(down - (timing.TTL - timing.Margin))
		}
		server = external(t, func(o *natsserver.Options) { o.StoreDir = dir })
		way.cut(server.Addr().String())
		renewals, _ = w.seen()
		await("renewals after a restart", func() bool { now, _ := w.seen(); return now > renewals+2 })
	}
	close(stop)
	group.Wait()
}

func TestClusterKeepsLeases(t *testing.T) {
	t.Parallel()
	addresses := cluster(t)
	var conns []*bus.Bus
	for _, address := range addresses {
		conns = append(conns, dialCluster(t, bus.ConnConfig{URL: address, EventsMaxBytes: small, Log: zerolog.Nop()}))
	}
	long := messages.LeaseTiming{TTL: 60 * time.Second, Renew: 8 * time.Second, Margin: 3 * time.Second}
	race(t, conns, 15)
	for _, name := range []string{leaseStream, bus.LedgerStream, bus.EventStream} {
		stream, err := admin(t, addresses[0]).Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().Config.Replicas; got != 3 {
			t.Errorf("%s is kept by %d servers, want 3", name, got)
		}
	}
	a, b := leases(t, conns[0], "a", long), leases(t, conns[1], "b", long)
	first := acquire(t, a, "prod")
	again := renew(t, a, renew(t, a, first))
	wantClass(t, messages.ClassHeld, acquireError(b, "prod"))
	if last := renew(t, a, first); last.Revision <= again.Revision { // found by its message id
		t.Errorf("renewed to %+v after %+v", last, again)
	}
	if err := a.Release(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	second := acquire(t, b, "prod")
	if second.Epoch <= first.Epoch {
		t.Errorf("epoch %d after %d", second.Epoch, first.Epoch)
	}
	wantClass(t, messages.ClassFenced, renewError(a, again))
	state := openState(t, conns[0])
	key := messages.StateKey{Autoscaler: "prod", Key: "k"}
	for n := range 5 {
		value := fmt.Sprint(n)
		if err := state.Save(t.Context(), key, []byte(value)); err != nil {
			t.Fatal(err)
		}
		if got, err := openState(t, conns[(n+1)%3]).Load(t.Context(), key); err != nil || string(got) != value {
			t.Errorf("another server answers %q, %v; want %q", got, err, value)
		}
	}
}
