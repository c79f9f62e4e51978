// Package virtual is a clock that only moves when told to. What was put on it
// runs on the goroutine that moves it, in order of due time and, at the same
// time, in the order it was put there.
package virtual

import (
	"container/heap"
	"sync"
	"time"
)

// Clock is a virtual clock. The zero value is not usable: take [New].
type Clock struct {
	mu    sync.Mutex
	now   time.Time
	next  uint64
	queue timers
}

// New returns a clock that shows start.
func New(start time.Time) *Clock { return &Clock{now: start} }

// Now is the time that the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc has f run by Advance when the clock has moved by d. stop prevents
// that and reports whether it did.
func (c *Clock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	due := c.now.Add(max(d, 0))
	t := &timer{due: due, nanos: due.UnixNano(), order: c.next, run: f}
	heap.Push(&c.queue, t)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		live := t.run != nil
		t.run = nil
		return live
	}
}

// Advance moves the clock by d, running everything due on the way at the time
// it is due.
func (c *Clock) Advance(d time.Duration) {
	end := c.Now().Add(d)
	for c.Step(end) {
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = end
}

// Step moves the clock to the next thing due, not past limit, and runs it. It
// reports whether there was one.
func (c *Clock) Step(limit time.Time) bool {
	c.mu.Lock()
	for len(c.queue) > 0 && c.queue[0].run == nil {
		heap.Pop(&c.queue)
	}
	if len(c.queue) == 0 || c.queue[0].due.After(limit) {
		c.mu.Unlock()
		return false
	}
	t, ok := heap.Pop(&c.queue).(*timer)
	run := t.run
	t.run = nil
	c.now = t.due
	c.mu.Unlock()
	run()
	return ok
}

type timer struct {
	due   time.Time
	nanos int64 // due, quicker to compare
	order uint64
	run   func() // nil once run or stopped
}

type timers []*timer

func (q timers) Len() int { return len(q) }

func (q timers) Less(i, j int) bool {
	if q[i].nanos == q[j].nanos {
		return q[i].order < q[j].order
	}
	return q[i].nanos < q[j].nanos
}

func (q timers) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push is for container/heap only.
func (q *timers) Push(x any) {
	if t, ok := x.(*timer); ok {
		*q = append(*q, t)
	}
}

// Pop is for container/heap only.
func (q *timers) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}
