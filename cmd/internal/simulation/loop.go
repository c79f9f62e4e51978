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
	steps   uint64
	inOrder bool // what became ready first runs first
}

// routine is a call to the outside: code that can sleep on the virtual clock.
type routine struct {
	next  func() (time.Duration, bool)
	halt  func()
	yield func(time.Duration) bool
	dead  bool
}

// enqueue puts f on the list of what is ready.
func (l *loop) enqueue(f func()) { l.ready = append(l.ready, f) }

// start makes a routine ready; its code may call sleep.
func (l *loop) start(f func()) *routine {
	r := &routine{}
	r.next, r.halt = iter.Pull(func(yield func(time.Duration) bool) {
		r.yield = yield
		f()
	})
	l.enqueue(func() { l.resume(r) })
	return r
}

// resume runs a routine until it sleeps or ends.
func (l *loop) resume(r *routine) {
	if r.dead {
		return
	}
	outer := l.current
	l.current = r
	wait, alive := r.next()
	l.current = outer
	if !alive {
		r.dead = true
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
	outer := l.current
	l.current = r
	r.halt()
	l.current = outer
}

// sleep lets time pass for the routine that calls it. It reports false when the
// routine was killed meanwhile. Outside a routine no time passes.
func (l *loop) sleep(d time.Duration) bool {
	r := l.current
	if r == nil {
		return true
	}
	return !r.dead && r.yield(max(0, d)) && !r.dead
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
