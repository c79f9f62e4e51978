package dashboard_test

import (
	"context"
	"fmt"
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

// What a dashboard may cost, and how old what it shows may be: [TestLoad] holds both
// when it is asked to measure.
const (
	latestEvent  = 500 * time.Millisecond // p99, from its storing until it is out of the socket of a browser
	shareOfACore = 30                     // percent, for 20 browsers
)

// TestLoad has 1,000 instances change at 100 events a second before 20 browsers, one
// more of which is stuck, and holds that everybody gets everything. EBB_LOAD_SECONDS
// makes it longer than its two seconds, and has it judge the figures too: a machine
// can stand still for a while, so one of three rounds has to be good.
func TestLoad(t *testing.T) {
	seconds := os.Getenv("EBB_LOAD_SECONDS")
	if seconds == "" {
		t.Log(load(t, 2*time.Second))
		return
	}
	took, err := time.ParseDuration(seconds + "s")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		got := load(t, took)
		t.Log(got)
		if got.p99 <= latestEvent && got.core <= shareOfACore {
			return
		}
	}
	t.Errorf("in none of three rounds were 99 %% of the events shown within %s at %d %% of a core", latestEvent, shareOfACore)
}

// figures are what a load came to. CPU is that of the whole process: server, world
// and the 20 readers.
type figures struct {
	events, browsers int
	p50, p99, worst  time.Duration
	core             float64 // percent
	each             int     // bytes to a browser
}

func (f figures) String() string {
	return fmt.Sprintf("%d events to %d browsers: p50 %s, p99 %s, worst %s; %.1f %% of a core; %d kB to each",
		f.events, f.browsers, f.p50, f.p99, f.worst, f.core, f.each/1000)
}

func load(t *testing.T, seconds time.Duration) figures {
	t.Helper()
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
	steps := 0
	for time.Since(begun) < seconds {
		<-beat.C
		world.Step()
		steps++
	}
	used, took := processTime(t)-cpu, time.Since(begun)
	stored := eventsSince(t, world, begun)
	if len(stored) < steps {
		t.Errorf("%d events of %d steps", len(stored), steps)
	}
	waitFor(t, "every event to every browser", func() bool {
		return !slices.ContainsFunc(pictures, func(a *arrivals) bool { return !a.has(stored) })
	})
	found := measure(t, stored, pictures)
	found.core = 100 * used.Seconds() / took.Seconds()
	return found
}

// arrivals are the frames as they came.
type arrivals struct {
	mu     sync.Mutex
	frames []message
	bytes  int
	folded picture
}

func (a *arrivals) take(m message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.frames = append(a.frames, m)
	a.bytes += len(m.data)
}

// has says whether all these events have come; it reads the frames that are new.
func (a *arrivals) has(events map[string]time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.folded.lines == nil {
		a.folded.instances, a.folded.lines = make(map[messages.InstanceID]messages.Condition), make(map[string]time.Time)
	}
	for _, m := range a.frames {
		a.folded.take(m)
	}
	a.frames = a.frames[:0]
	for id := range events {
		if _, came := a.folded.lines[id]; !came {
			return false
		}
	}
	return true
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.frames)
}

// eventsSince are the events that a world has stored since a time, and when.
func eventsSince(t *testing.T, world *dashtest.World, begun time.Time) map[string]time.Time {
	t.Helper()
	stored := make(map[string]time.Time)
	ctx, cancel := context.WithCancel(t.Context())
	_ = world.Events(ctx, begun, func(r messages.Recorded) {
		if r.Autoscaler == "prod" {
			stored[r.ID] = r.At
		}
	}, cancel)
	return stored
}

// measure says how long each event took to each browser.
func measure(t *testing.T, stored map[string]time.Time, all []*arrivals) figures {
	t.Helper()
	var delays []time.Duration
	bytes := 0
	for i, a := range all {
		a.mu.Lock()
		if a.folded.missed > 0 || a.folded.snapshots != 1 {
			t.Errorf("browser %d: %d frames missed, %d snapshots", i, a.folded.missed, a.folded.snapshots)
		}
		bytes += a.bytes
		for id, at := range stored {
			delays = append(delays, a.folded.lines[id].Sub(at))
		}
		a.mu.Unlock()
	}
	slices.Sort(delays)
	at := func(share float64) time.Duration {
		return delays[int(share*float64(len(delays)-1))].Round(time.Millisecond)
	}
	return figures{events: len(stored), browsers: len(all), p50: at(0.5), p99: at(0.99), worst: at(1), each: bytes / len(all)}
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
