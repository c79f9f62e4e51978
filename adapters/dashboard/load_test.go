package dashboard_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/dashboard/dashtest"
	"github.com/ebbscale/ebb/messages"
)

// TestLoad has 1,000 instances change at 100 events a second before 20 browsers, one
// more of which is stuck, and measures how long an event takes until it has come
// out of the socket of a browser. EBB_LOAD_SECONDS makes it longer than its two
// seconds; the figures are in the log. CPU is that of the whole process: server,
// world and the 20 readers.
func TestLoad(t *testing.T) {
	seconds := 2 * time.Second
	if text := os.Getenv("EBB_LOAD_SECONDS"); text != "" {
		longer, err := time.ParseDuration(text + "s")
		if err != nil {
			t.Fatal(err)
		}
		seconds = longer
	}
	server, world := begin(t, 1000)
	url := serve(t, server)
	stick(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	pictures := make([]*arrivals, 20)
	for i := range pictures {
		pictures[i] = &arrivals{}
		group.Go(func() { _ = listen(ctx, url+"/api/v1/autoscalers/prod/stream", pictures[i].take) })
	}
	waitFor(t, "a snapshot for everybody", func() bool {
		return !slices.ContainsFunc(pictures, func(a *arrivals) bool { return a.count() == 0 })
	})
	cpu, begun := processTime(t), time.Now()
	beat := time.NewTicker(10 * time.Millisecond)
	defer beat.Stop()
	for time.Since(begun) < seconds {
		<-beat.C
		world.Step()
	}
	used, took := processTime(t)-cpu, time.Since(begun)
	time.Sleep(600 * time.Millisecond)
	report(t, world, pictures, begun, 100*used.Seconds()/took.Seconds())
}

// arrivals are the frames as they came.
type arrivals struct {
	mu     sync.Mutex
	frames []message
}

func (a *arrivals) take(m message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.frames = append(a.frames, m)
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.frames)
}

// report says how long each event took to each browser; each must have got each.
func report(t *testing.T, world *dashtest.World, all []*arrivals, begun time.Time, percent float64) {
	t.Helper()
	stored := make(map[string]time.Time)
	ctx, cancel := context.WithCancel(t.Context())
	_ = world.Events(ctx, begun, func(r messages.Recorded) {
		stored[r.ID] = r.At
		if len(stored) == 1 {
			time.AfterFunc(100*time.Millisecond, cancel)
		}
	}, func() {})
	var delays []time.Duration
	bytes := 0
	for i, a := range all {
		p := newPicture()
		a.mu.Lock()
		for _, m := range a.frames {
			p.take(m)
			bytes += len(m.data)
		}
		a.mu.Unlock()
		if p.missed > 0 || p.snapshots != 1 {
			t.Errorf("browser %d: %d frames missed, %d snapshots", i, p.missed, p.snapshots)
		}
		for id, at := range stored {
			came, ok := p.lines[id]
			if !ok {
				t.Fatalf("browser %d never got %s", i, id)
			}
			delays = append(delays, came.Sub(at))
		}
	}
	slices.Sort(delays)
	at := func(share float64) time.Duration {
		return delays[int(share*float64(len(delays)-1))].Round(time.Millisecond)
	}
	t.Logf("%d events to %d browsers: p50 %s, p99 %s, worst %s; %.1f %% of a core; %d kB to each",
		len(stored), len(all), at(0.5), at(0.99), at(1), percent, bytes/len(all)/1000)
	if len(stored) < 100 {
		t.Errorf("only %d events", len(stored))
	}
	if at(0.99) > 2*time.Second { // the promise is 500 ms; machines of CI are busy
		t.Errorf("p99 is %s", at(0.99))
	}
}

// stick opens a stream and reads nothing of it.
func stick(t *testing.T, url string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, http.MethodGet+" /api/v1/autoscalers/prod/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
}

func processTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
