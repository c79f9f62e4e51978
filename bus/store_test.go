package bus_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/internal/freeport"
	"github.com/ebbscale/ebb/internal/output"
	"github.com/ebbscale/ebb/messages"
)

// heals breaks the store of a server, and waits until it has been started anew.
func heals(t *testing.T, server *bus.Server) {
	t.Helper()
	before := server.Generation()
	if err := server.Break(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); server.Generation() == before || server.Store().Fault != bus.StoreGood; time.Sleep(5 * time.Millisecond) {
		if !server.Running() {
			t.Fatal("a server that is started anew counts as ended")
		}
		if time.Now().After(end) {
			t.Fatalf("not started anew: %+v", server.Store())
		}
	}
}

// TestServerStartsAnew breaks the store again and again, while events are published,
// launches are intended and a lease is renewed over connections of both kinds.
func TestServerStartsAnew(t *testing.T) {
	t.Parallel()
	var lines output.Buffer
	dir := t.TempDir()
	server, err := bus.Start(t.Context(), bus.ServerConfig{
		StateDir: dir, Listen: freeport.Address(t), SyncAlways: true, Log: zerolog.New(&lines),
	})
	if err != nil {
		t.Fatal(err)
	}
	url := server.URL()
	inside := dial(t, bus.ConnConfig{Server: server, EventsMaxBytes: small, Log: zerolog.Nop()})
	outside := dial(t, bus.ConnConfig{URL: url, EventsMaxBytes: small, Log: zerolog.Nop()})
	work := startWork(t, inside, outside)
	for range 2 {
		work.goOn(t)
		heals(t, server)
		if _, err := bus.Start(t.Context(), bus.ServerConfig{StateDir: dir, Log: zerolog.Nop()}); err == nil || !strings.Contains(err.Error(), "in use by") {
			t.Fatalf("a second server over the directory: %v", err)
		}
	}
	work.goOn(t)
	work.end()
	if server.URL() != url {
		t.Errorf("the server moved from %s to %s", url, server.URL())
	}
	inside.Close()
	outside.Close()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if said := strings.Count(lines.String(), `"level":"error"`); said != 2 {
		t.Errorf("%d errors were logged for 2 faults:\n%s", said, lines.String())
	}
	if _, err := os.Stat(filepath.Join(dir, "ebb.trial")); err == nil {
		t.Error("the file that was written to try the disk is still there")
	}
	again := connect(t, start(t, dir, ""))
	work.isWhole(t, again)
}

// work is what was confirmed to two clients.
type work struct {
	stop context.CancelFunc
	done sync.WaitGroup
	w    *witness

	mu       sync.Mutex
	events   []messages.Recorded
	launches map[messages.LaunchID]messages.RequestID
}

func startWork(t *testing.T, conns ...*bus.Bus) *work {
	t.Helper()
	timing := messages.LeaseTiming{TTL: 2300 * time.Millisecond, Renew: 400 * time.Millisecond, Margin: 900 * time.Millisecond}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	w := &work{stop: stop, w: &witness{until: map[string]time.Time{}}, launches: map[messages.LaunchID]messages.RequestID{}}
	for n, conn := range conns {
		ours, ledger := leases(t, conn, fmt.Sprint("holder-", n), timing), open(t, conn, "prod")
		w.done.Go(func() { own(t, ours, timing, w.w, ctx.Done()) })
		w.done.Go(func() { w.intend(ctx, t, ledger, n) })
		w.done.Go(func() { w.publish(ctx, conn, n) })
	}
	return w
}

func (w *work) intend(ctx context.Context, t *testing.T, ledger *bus.Ledger, client int) {
	t.Helper()
	for n := 0; ctx.Err() == nil; {
		request := messages.RequestID(fmt.Sprintf("%d/%d", client, n))
		record, err := ledger.Intend(ctx, wanted(request, "gpu"))
		if err != nil {
			continue // the same again
		}
		w.mu.Lock()
		if other, known := w.launches[record.Launch]; known && other != request {
			t.Errorf("launch %s is of %s and of %s", record.Launch, other, request)
		}
		w.launches[record.Launch] = request
		w.mu.Unlock()
		n++
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *work) publish(ctx context.Context, conn *bus.Bus, client int) {
	name := messages.AutoscalerName(fmt.Sprint("client-", client))
	for n := 0; ctx.Err() == nil; {
		batch := manyObserved(name, n, n+3)
		if conn.Publish(ctx, batch) != nil {
			continue // the same again
		}
		w.mu.Lock()
		w.events = append(w.events, batch...)
		w.mu.Unlock()
		n += 3
		time.Sleep(5 * time.Millisecond)
	}
}

// goOn waits until more of everything was confirmed.
func (w *work) goOn(t *testing.T) {
	t.Helper()
	count := func() [3]int {
		renewals, _ := w.w.seen()
		w.mu.Lock()
		defer w.mu.Unlock()
		return [3]int{len(w.events), len(w.launches), renewals}
	}
	before := count()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		now := count()
		if now[0] > before[0]+10 && now[1] > before[1]+3 && now[2] > before[2]+1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("events, launches and renewals went from %v to %v only", before, now)
		}
	}
}

func (w *work) end() {
	w.stop()
	w.done.Wait()
}

// isWhole looks that everything that was confirmed is there, once.
func (w *work) isWhole(t *testing.T, conn *bus.Bus) {
	t.Helper()
	held := map[messages.LaunchID]messages.RequestID{}
	for _, record := range launches(t, open(t, conn, "prod"), time.Time{}) {
		held[record.Launch] = record.Intent.Request
	}
	for launch, request := range w.launches {
		if held[launch] != request {
			t.Errorf("launch %s is of request %q, %q was confirmed", launch, held[launch], request)
		}
	}
	times := map[string]int{}
	for _, event := range stored(t, conn, bus.EventQuery{}) {
		times[event.ID]++
	}
	for _, event := range w.events {
		if times[event.ID] != 1 {
			t.Errorf("event %s is there %d times", event.ID, times[event.ID])
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]bus.StoreFault{
		"write /var/lib/ebb/1.blk: no space left on device":                              bus.StoreFull,
		"write C:\\ebb\\1.blk: There is not enough space on the disk.":                   bus.StoreFull,
		"JetStream stream '$G > EBB_LEDGER' write error: write x: disk quota exceeded":   bus.StoreQuota,
		"JetStream stream '$G > EBB_LEDGER' write error: write x: input/output error":    bus.StoreFailing,
		"JetStream stream '$G > EBB_LEDGER' write error: write x: read-only file system": bus.StoreFailing,
	} {
		got := bus.FaultOf(said)
		if got != want {
			t.Errorf("%s: %q, want %q", said, got, want)
		}
		if got.Words() == "" || got.Cure() == "" {
			t.Errorf("%q has the words %q and the cure %q", got, got.Words(), got.Cure())
		}
	}
	if good := bus.StoreGood; good.Words() != "" || good.Cure() != "" {
		t.Errorf("a good store has the words %q and the cure %q", good.Words(), good.Cure())
	}
}

// TestLow: a disk about the limit does not change its mind with each look.
func TestLow(t *testing.T) {
	t.Parallel()
	limit := bus.DiskNeeded()
	for _, c := range []struct {
		free      int64
		was, want bool
	}{
		{-1, false, false},
		{-1, true, false},
		{0, false, true},
		{limit - 1, false, true},
		{limit, false, false},
		{limit, true, true},
		{limit + limit/8, true, false},
	} {
		if got := bus.IsLow(c.free, c.was); got != c.want {
			t.Errorf("%d free, low before: %t: low %t, want %t", c.free, c.was, got, c.want)
		}
	}
}
