package bus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

// ownership and memories are what the consumers of this package declare.
type (
	ownership interface {
		Acquire(ctx context.Context, autoscaler messages.AutoscalerName) (messages.Lease, error)
		Renew(ctx context.Context, lease messages.Lease) (messages.Lease, error)
		Release(ctx context.Context, lease messages.Lease) error
	}
	memories interface {
		Load(ctx context.Context, key messages.StateKey) ([]byte, error)
		Save(ctx context.Context, key messages.StateKey, value []byte) error
	}
	fence interface {
		Claim(ctx context.Context, epoch messages.Epoch) error
	}
)

var (
	_ ownership = (*bus.Leases)(nil)
	_ memories  = (*bus.States)(nil)
	_ fence     = (*bus.Ledger)(nil)
)

// quick is a timing whose leases run out at the server after 1.1 s.
var quick = messages.LeaseTiming{TTL: 1200 * time.Millisecond, Renew: 400 * time.Millisecond, Margin: 300 * time.Millisecond}

// lasting is a timing whose leases do not run out in a test, however slow the machine.
var lasting = messages.LeaseTiming{TTL: 10 * time.Minute, Renew: 20 * time.Second, Margin: 10 * time.Second}

const leaseStream = "KV_" + bus.LeaseBucket

func leases(tb testing.TB, conn *bus.Bus, holder string, timing messages.LeaseTiming) *bus.Leases {
	tb.Helper()
	opened, err := conn.OpenLeases(tb.Context(), bus.LeasesConfig{Holder: holder, Timing: timing, Now: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	return opened
}

func acquire(tb testing.TB, leases *bus.Leases, autoscaler messages.AutoscalerName) messages.Lease {
	tb.Helper()
	lease, err := leases.Acquire(tb.Context(), autoscaler)
	if err != nil {
		tb.Fatal(err)
	}
	return lease
}

// acquireSoon tries like one who stands by.
func acquireSoon(tb testing.TB, leases *bus.Leases, autoscaler messages.AutoscalerName) messages.Lease {
	tb.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		lease, err := leases.Acquire(tb.Context(), autoscaler)
		if err == nil {
			return lease
		}
		if time.Now().After(end) {
			tb.Fatalf("not acquired in %s: %v", patience, err)
		}
	}
}

func renew(tb testing.TB, leases *bus.Leases, lease messages.Lease) messages.Lease {
	tb.Helper()
	renewed, err := leases.Renew(tb.Context(), lease)
	if err != nil {
		tb.Fatal(err)
	}
	return renewed
}

// renewedSoon acquires and renews; began is from before the renewal. A machine that
// stands still in between loses the lease, and begins again.
func renewedSoon(tb testing.TB, leases *bus.Leases, autoscaler messages.AutoscalerName) (lease messages.Lease, began time.Time) {
	tb.Helper()
	for end := time.Now().Add(patience); ; {
		lease, began = acquireSoon(tb, leases, autoscaler), time.Now()
		renewed, err := leases.Renew(tb.Context(), lease)
		if err == nil {
			return renewed, began
		}
		if time.Now().After(end) {
			tb.Fatalf("not renewed in %s: %v", patience, err)
		}
	}
}

func acquireError(leases *bus.Leases, autoscaler messages.AutoscalerName) error {
	_, err := leases.Acquire(context.Background(), autoscaler)
	return err
}

func renewError(leases *bus.Leases, lease messages.Lease) error {
	_, err := leases.Renew(context.Background(), lease)
	return err
}

func TestLeaseIsOnePerAutoscaler(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	conn := connect(t, server)
	a, b := leases(t, conn, "host-a:1", lasting), leases(t, conn, "host-b:2", lasting)
	const name = "prod ä.1"
	first := acquire(t, a, name)
	if first.Autoscaler != name || first.Holder != "host-a:1" || first.Epoch == 0 || first.Revision != uint64(first.Epoch) ||
		first.First == 0 || first.First > first.Epoch {
		t.Errorf("lease %+v", first)
	}
	for _, holder := range []*bus.Leases{a, b} {
		err := acquireError(holder, name)
		wantClass(t, messages.ClassHeld, err)
		if err == nil || !strings.Contains(err.Error(), "held by host-a:1") {
			t.Errorf("error %v", err)
		}
	}
	acquire(t, b, "other")
	renewed := renew(t, a, renew(t, a, first))
	if renewed.Epoch != first.Epoch || renewed.Revision <= first.Revision {
		t.Errorf("renewed to %+v from %+v", renewed, first)
	}
	again := renew(t, a, first) // an old revision of the same lease
	if again.Epoch != first.Epoch || again.Revision <= renewed.Revision {
		t.Errorf("renewed to %+v from %+v", again, first)
	}
	wantClass(t, messages.ClassHeld, acquireError(b, name))
	if err := a.Release(t.Context(), first); err != nil { // also by an old revision
		t.Fatal(err)
	}
	second := acquire(t, b, name) // at once
	if second.First != first.First {
		t.Errorf("the event server's first epoch is %d, and was %d", second.First, first.First)
	}
	if second.Epoch <= first.Epoch || second.Epoch <= messages.Epoch(again.Revision) {
		t.Errorf("epoch %d after %d", second.Epoch, first.Epoch)
	}
	wantClass(t, messages.ClassFenced, renewError(a, again))
	if err := a.Release(t.Context(), again); err != nil { // lost already
		t.Fatal(err)
	}
	renew(t, b, second)

	// What an operator sees, with any key-value client.
	store, err := admin(t, server.URL()).KeyValue(t.Context(), bus.LeaseBucket)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := store.Get(t.Context(), "prod=20=C3=A4=2E1")
	if err != nil {
		t.Fatal(err)
	}
	var value struct {
		Holder string    `json:"holder"`
		At     time.Time `json:"at"`
	}
	if err := json.Unmarshal(entry.Value(), &value); err != nil || value.Holder != "host-b:2" || time.Since(value.At) > time.Minute {
		t.Errorf("the key holds %s, %v", entry.Value(), err)
	}
}

// An epoch never comes again: not after the lease ran out, was given back or
// purged, nor after a restart, nor when the whole bucket is lost.
func TestEpochsGrow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := start(t, dir, "127.0.0.1:0")
	conn := connect(t, server)
	last, began := renewedSoon(t, leases(t, conn, "a", quick), "prod")
	grows := func(what string, next messages.Lease) {
		t.Helper()
		if next.Epoch <= last.Epoch || uint64(next.Epoch) <= last.Revision {
			t.Errorf("%s: epoch %d after %+v", what, next.Epoch, last)
		}
		last = next
	}
	grows("ran out", acquireSoon(t, leases(t, conn, "b", quick), "prod"))
	if took := time.Since(began); took < quick.TTL-quick.Margin {
		t.Errorf("another acts %s after the renewal; the holder may act for %s", took, quick.TTL-quick.Margin)
	}
	ours := leases(t, conn, "a", lasting)
	stream, err := admin(t, server.URL()).Stream(t.Context(), leaseStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantClass(t, messages.ClassFenced, renewError(ours, last))
	grows("purged", acquire(t, ours, "prod"))
	if err := ours.Release(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	server = start(t, dir, "127.0.0.1:0")
	conn = connect(t, server)
	ours = leases(t, conn, "a", lasting)
	grows("restarted", acquire(t, ours, "prod"))
	deleteStream(t, server.URL(), leaseStream)
	wantClass(t, messages.ClassFenced, renewError(ours, last))
	grows("deleted", acquire(t, ours, "prod"))
	// A lost state directory is a deleted bucket too.
	grows("lost", acquire(t, leases(t, connect(t, start(t, t.TempDir(), "")), "a", lasting), "prod"))
}

func TestEveryRaceForALeaseHasOneWinner(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	var conns []*bus.Bus
	for range 4 {
		conns = append(conns, dial(t, bus.ConnConfig{URL: server.URL(), Log: zerolog.Nop()}))
	}
	race(t, conns, 60)
}

// race lets two holders on each connection race for many leases.
func race(t *testing.T, conns []*bus.Bus, rounds int) {
	t.Helper()
	var group sync.WaitGroup
	won := make([][]messages.Lease, 2*len(conns))
	start := make(chan struct{})
	for n := range won {
		ours := leases(t, conns[n%len(conns)], fmt.Sprint("holder-", n), lasting)
		group.Go(func() {
			<-start
			for round := range rounds {
				lease, err := ours.Acquire(t.Context(), messages.AutoscalerName(fmt.Sprint("a", round)))
				if err == nil {
					won[n] = append(won[n], lease)
				} else if messages.FailureOf(err).Class != messages.ClassHeld {
					t.Error(err)
				}
			}
		})
	}
	close(start)
	group.Wait()
	winners := map[messages.AutoscalerName]int{}
	epochs := map[messages.Epoch]bool{}
	for _, leases := range won {
		for _, lease := range leases {
			winners[lease.Autoscaler]++
			epochs[lease.Epoch] = true
		}
	}
	if len(winners) != rounds || len(epochs) != rounds {
		t.Errorf("%d of %d leases were won, with %d epochs", len(winners), rounds, len(epochs))
	}
	for name, count := range winners {
		if count != 1 {
			t.Errorf("%s has %d holders", name, count)
		}
	}
}

// lossy is a server whose answers are lost while there is somebody to be told so.
type lossy struct {
	jetstream.JetStream
	lost *func()
}

func (l lossy) PublishMsg(ctx context.Context, message *nats.Msg, options ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ack, err := l.JetStream.PublishMsg(ctx, message, options...)
	if *l.lost != nil {
		(*l.lost)()
		return nil, errLost
	}
	return ack, err
}

func TestLeaseWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	var lost func()
	ours := leases(t, bus.Over(lossy{admin(t, server.URL()), &lost}), "a", lasting)
	theirs := leases(t, connect(t, server), "b", lasting)
	// losing gives a call up that has tried three times, and heard of none.
	losing := func(call func(context.Context) error) error {
		ctx, giveUp := context.WithCancel(t.Context())
		defer giveUp()
		tries := 0
		lost = func() {
			if tries++; tries == 3 {
				giveUp()
			}
		}
		defer func() { lost = nil }()
		return call(ctx)
	}

	wantClass(t, messages.ClassTransient, losing(func(ctx context.Context) error {
		_, err := ours.Acquire(ctx, "prod")
		return err
	}))
	wantClass(t, messages.ClassHeld, acquireError(theirs, "prod"))
	lease := acquire(t, ours, "prod") // what nobody has, we may take over
	wantClass(t, messages.ClassHeld, acquireError(ours, "prod"))

	wantClass(t, messages.ClassTransient, losing(func(ctx context.Context) error {
		_, err := ours.Renew(ctx, lease)
		return err
	}))
	renewed := renew(t, ours, lease)
	stream, err := admin(t, server.URL()).Stream(t.Context(), leaseStream)
	if err != nil {
		t.Fatal(err)
	}
	// The lost renewal is found again, but its time is not the call's: the lease
	// is written once more.
	if last := stream.CachedInfo().State.LastSeq; renewed.Epoch != lease.Epoch || renewed.Revision != last || last < lease.Revision+2 {
		t.Errorf("renewed to %+v from %+v; the last revision is %d", renewed, lease, last)
	}
	wantClass(t, messages.ClassTransient, losing(func(ctx context.Context) error { return ours.Release(ctx, renewed) }))
	acquire(t, theirs, "prod") // it was released all the same
	wantClass(t, messages.ClassFenced, renewError(ours, renewed))
}

// Whoever restarts over a locked state directory knows that the earlier run is
// dead.
func TestRestartInTheSamePlaceNeedNotWait(t *testing.T) {
	t.Parallel()
	conn := connect(t, start(t, t.TempDir(), ""))
	at := func(holder, place string) *bus.Leases {
		opened, err := conn.OpenLeases(t.Context(), bus.LeasesConfig{Holder: holder, Place: place, Timing: lasting, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		return opened
	}
	before := at("run-1", "directory /a")
	first := renew(t, before, acquire(t, before, "prod"))
	for _, other := range []*bus.Leases{before, at("run-1", "directory /a"), at("run-2", "directory /b"), at("run-2", "")} {
		wantClass(t, messages.ClassHeld, acquireError(other, "prod"))
	}
	second := acquire(t, at("run-2", "directory /a"), "prod")
	if second.Epoch <= messages.Epoch(first.Revision) {
		t.Errorf("epoch %d after %+v", second.Epoch, first)
	}
	wantClass(t, messages.ClassFenced, renewError(before, first))
	acquire(t, at("run-1", ""), "other") // in no place, like all who share a server
	wantClass(t, messages.ClassHeld, acquireError(at("run-2", ""), "other"))
}

func TestLeaseTimingIsChecked(t *testing.T) {
	t.Parallel()
	conn := connect(t, start(t, t.TempDir(), ""))
	for want, config := range map[string]bus.LeasesConfig{
		"no holder":           {Now: time.Now},
		"no clock":            {Holder: "a"},
		"above zero":          {Holder: "a", Now: time.Now, Timing: messages.LeaseTiming{TTL: time.Second}},
		"longer than both":    {Holder: "a", Now: time.Now, Timing: messages.LeaseTiming{TTL: 5 * time.Second, Renew: 2 * time.Second, Margin: 3 * time.Second}},
		"for 100ms or longer": {Holder: "a", Now: time.Now, Timing: messages.LeaseTiming{TTL: 100 * time.Millisecond, Renew: time.Millisecond, Margin: 30 * time.Millisecond}},
	} {
		if _, err := conn.OpenLeases(t.Context(), config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", config, err, want)
		}
	}
}

// The bucket never lets a lease run out sooner than its holder counts on.
func TestLeaseBucketFitsTheTiming(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	conn := connect(t, server)
	ttl := func() jetstream.StreamConfig {
		stream, err := admin(t, server.URL()).Stream(t.Context(), leaseStream)
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().Config
	}
	want := func(what string, age time.Duration) {
		t.Helper()
		if got := ttl(); got.MaxAge != age || got.Duplicates != age || got.SubjectDeleteMarkerTTL != time.Minute || got.AllowDirect {
			t.Errorf("%s: %+v, want a TTL of %s", what, got, age)
		}
	}
	long := messages.LeaseTiming{TTL: 60 * time.Second, Renew: 10 * time.Second, Margin: 5 * time.Second}
	ours := leases(t, conn, "a", messages.LeaseTiming{})
	want("default", 14*time.Second)
	lease := acquire(t, ours, "prod")
	leases(t, conn, "b", long)
	want("raised, though held", 59*time.Second)
	leases(t, conn, "c", messages.LeaseTiming{})
	want("not lowered while held", 59*time.Second)
	renew(t, ours, lease)
	if err := ours.Release(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	theirs := leases(t, conn, "d", messages.LeaseTiming{})
	want("lowered while free", 14*time.Second)
	acquire(t, leases(t, conn, "b", long), "prod")
	want("raised", 59*time.Second)
	stream, err := admin(t, server.URL()).Stream(t.Context(), leaseStream)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxAge, config.Duplicates = time.Second, time.Second // an operator's hand
	if _, err := admin(t, server.URL()).UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	acquire(t, theirs, "other")
	want("raised by who acquires", 14*time.Second)

	config = ttl()
	config.AllowDirect = true
	if _, err := admin(t, server.URL()).UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.OpenLeases(t.Context(), bus.LeasesConfig{Holder: "a", Now: time.Now}); err == nil || !strings.Contains(err.Error(), "allow_direct must be off") {
		t.Errorf("error %v", err)
	}
}
