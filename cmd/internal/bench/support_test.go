package bench_test

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// work counts what is under way, so that a benchmark knows when the engine has
// come to rest. It is the dispatcher of the mailboxes, which is proto.actor's
// own (a goroutine each) but for the counting, and the runner of I/O.
type work struct {
	underway atomic.Int64
	rest     chan struct{}
}

func newWork() *work { return &work{rest: make(chan struct{}, 1)} }

func (w *work) begin() { w.underway.Add(1) }

func (w *work) end() {
	if w.underway.Add(-1) == 0 {
		select {
		case w.rest <- struct{}{}:
		default:
		}
	}
}

// Schedule implements actor.Dispatcher.
func (w *work) Schedule(run func()) {
	w.begin()
	go func() {
		defer w.end()
		run()
	}()
}

// Throughput implements actor.Dispatcher, with proto.actor's own number.
func (w *work) Throughput() int { return 300 }

// Go implements actors.Runner.
func (w *work) Go(timeout time.Duration, f func(ctx context.Context)) {
	w.begin()
	go func() {
		defer w.end()
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		f(ctx)
	}()
}

// wait returns once nothing is under way.
func (w *work) wait() {
	for w.underway.Load() != 0 {
		<-w.rest
	}
}

// manual is a clock that moves when a benchmark says so.
type manual struct {
	work *work

	mu     sync.Mutex
	now    time.Time
	timers timers
}

type timer struct {
	at    time.Time
	f     func()
	index int // in the heap, -1 once it is not there any more
}

// Now implements actors.Clock.
func (c *manual) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Elapsed implements actors.Clock.
func (c *manual) Elapsed() time.Duration {
	return c.Now().Sub(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
}

// AfterFunc implements actors.Clock.
func (c *manual) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{at: c.now.Add(max(0, d)), f: f}
	heap.Push(&c.timers, t)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if t.index < 0 {
			return false
		}
		heap.Remove(&c.timers, t.index)
		return true
	}
}

// advance moves the clock by d. Timers of the same moment go off together;
// before the clock moves on, everything they started has ended.
func (c *manual) advance(d time.Duration) {
	c.work.wait()
	target := c.Now().Add(d)
	for {
		due := c.due(target)
		if len(due) == 0 {
			break
		}
		for _, f := range due {
			f()
		}
		c.work.wait()
	}
	c.mu.Lock()
	c.now = target
	c.mu.Unlock()
}

// due takes the earliest timers up to target, and moves the clock to them.
func (c *manual) due(target time.Time) []func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var due []func()
	for len(c.timers) > 0 && !c.timers[0].at.After(target) {
		if len(due) > 0 && c.timers[0].at.After(c.now) {
			break
		}
		t, _ := heap.Pop(&c.timers).(*timer)
		if t.at.After(c.now) {
			c.now = t.at
		}
		due = append(due, t.f)
	}
	return due
}

// timers is a heap, earliest first.
type timers []*timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

// Push implements heap.Interface.
func (t *timers) Push(x any) {
	added, _ := x.(*timer)
	added.index = len(*t)
	*t = append(*t, added)
}

// Pop implements heap.Interface.
func (t *timers) Pop() any {
	last := len(*t) - 1
	taken := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	taken.index = -1
	return taken
}

// cpu is the processor time that the whole process has used so far, user and
// system, the garbage collector included.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// reportTimes reports the median and the 99th percentile in milliseconds.
func reportTimes(b *testing.B, name string, samples []time.Duration) {
	b.Helper()
	if len(samples) == 0 {
		b.Fatalf("no sample of %s", name)
	}
	slices.Sort(samples)
	at := func(percent int) float64 { return milliseconds(samples[(len(samples)-1)*percent/100]) }
	b.ReportMetric(at(50), name+"_p50_ms")
	b.ReportMetric(at(99), name+"_p99_ms")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
