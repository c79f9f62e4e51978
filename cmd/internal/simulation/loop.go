package simulation

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2/virtual"
)

// stepsAtOnce is how many steps may follow each other without time passing; more
// is taken for actors that keep each other busy for ever.
const stepsAtOnce = 1_000_000

// loop runs everything: what is ready in drawn order, then the clock.
type loop struct {
	clock   *virtual.Clock
	rng     *rand.Rand
	ready   []func()
	current *routine // whose code runs now; nil outside routines
	idle    []*thread
	steps   uint64
	inOrder bool // what became ready first runs first
}

// routine is a call to the outside: code that can sleep on the virtual clock.
type routine struct {
	thread *thread
	dead   bool
	// owner is the process whose code it is; nil for that of agents.
	owner *process
	// travels says that it sleeps because a request is on its way: that arrives
	// even if its sender is paused or killed meanwhile.
	travels bool
}

// thread runs one routine after the other: its stack has grown by then.
type thread struct {
	next  func() (time.Duration, bool)
	halt  func()
	yield func(time.Duration) bool
	code  func() // the routine
}

// finished is what a thread yields when its routine has ended.
const finished = time.Duration(-1)

func newThread() *thread {
	t := &thread{}
	t.next, t.halt = iter.Pull(func(yield func(time.Duration) bool) {
		t.yield = yield
		for more := true; more; more = yield(finished) {
			t.code()
		}
	})
	return t
}

// enqueue puts f on the list of what is ready.
func (l *loop) enqueue(f func()) { l.ready = append(l.ready, f) }

// start makes a routine ready; its code may call sleep.
func (l *loop) start(owner *process, code func()) *routine {
	r := &routine{owner: owner}
	l.enqueue(func() {
		if r.dead {
			return
		}
		if n := len(l.idle); n > 0 {
			r.thread, l.idle = l.idle[n-1], l.idle[:n-1]
		} else {
			r.thread = newThread()
		}
		r.thread.code = code
		l.resume(r)
	})
	return r
}

// resume runs a routine until it sleeps or ends. That of a paused process waits.
func (l *loop) resume(r *routine) {
	switch {
	case r.dead:
		return
	case !r.travels && r.owner.parks(func() { l.resume(r) }):
		return
	}
	outer := l.current
	l.current = r
	wait, _ := r.thread.next()
	l.current = outer
	if wait == finished {
		r.dead = true
		l.idle = append(l.idle, r.thread)
		return
	}
	l.clock.AfterFunc(wait, func() { l.resume(r) })
}

// kill ends a routine where it sleeps.
func (l *loop) kill(r *routine) {
	if r.dead {
		return
	}
	r.dead = true
	if r.thread == nil {
		return
	}
	outer := l.current
	l.current = r
	r.thread.halt()
	l.current = outer
}

// close ends the threads.
func (l *loop) close() {
	for _, t := range l.idle {
		t.halt()
	}
	l.idle = nil
}

// sleep lets time pass for the routine that calls it. It reports false when the
// routine or its process was killed meanwhile. Outside a routine no time passes.
func (l *loop) sleep(d time.Duration) bool {
	r := l.current
	if r == nil {
		return true
	}
	return !r.dead && !r.owner.isDead() && r.thread.yield(max(0, d)) && !r.dead && !r.owner.isDead()
}

// travel lets the time pass in which a request is on its way. It reports false
// when the routine was killed before.
func (l *loop) travel(d time.Duration) bool {
	r := l.current
	if r == nil {
		return true
	}
	if r.dead || r.owner.isDead() {
		return false
	}
	r.travels = true
	there := r.thread.yield(max(0, d))
	r.travels = false
	return there && !r.dead
}

// step runs one thing that is due until limit; false when there is none.
func (l *loop) step(limit time.Time) bool {
	l.steps++
	if n := len(l.ready); n > 0 {
		i := 0
		if !l.inOrder {
			i = l.rng.IntN(n)
		}
		f := l.ready[i]
		l.ready = slices.Delete(l.ready, i, i+1)
		f()
		return true
	}
	return l.clock.Step(limit)
}

// advance runs everything that is due within d.
func (l *loop) advance(d time.Duration) error {
	end := l.clock.Now().Add(d)
	at, since := l.clock.Now(), l.steps
	for l.step(end) {
		switch now := l.clock.Now(); {
		case !now.Equal(at):
			at, since = now, l.steps
		case l.steps-since > stepsAtOnce:
			return fmt.Errorf("advance world: %d steps at %s and no end", stepsAtOnce, at.Format(time.RFC3339Nano))
		}
	}
	l.clock.Advance(end.Sub(l.clock.Now()))
	return nil
}
