package decide

import (
	"time"

	"github.com/ebbscale/ebb/messages"
)

const (
	// guardLeast instances, or guardPercent of those alive, may be let go in
	// guardEpoch for looking dead.
	guardLeast   = 3
	guardPercent = 30
	guardEpoch   = 10 * time.Minute
)

// Guard keeps a wrong picture from ending a fleet: instances that look dead, or
// of which nobody knows anything, go a few at a time. The zero value has been
// asked about none.
type Guard struct {
	suspects []suspect
	alarmed  bool
}

// suspect is an instance that was asked about lately.
type suspect struct {
	instance messages.InstanceID
	asked    time.Time // last
	let      time.Time // when it was allowed to go; zero when it was not
}

// Judge says whether an instance that looks dead may go, with so many alive in
// all: at most [Guard.Allowed] are let go in ten minutes. One that was allowed
// stays so for as long as it is asked about. alarmed is true at the first of a
// row of refusals only.
func (g Guard) Judge(now time.Time, alive int, instance messages.InstanceID) (next Guard, allowed, alarmed bool) {
	this := suspect{instance: instance}
	let, refused := 0, false
	for _, s := range g.suspects {
		switch {
		case s.instance == instance:
			this.let = s.let
		case !recent(now, s.asked):
			continue
		default:
			next.suspects = append(next.suspects, s)
			refused = refused || s.let.IsZero()
		}
		if recent(now, s.let) {
			let++
		}
	}
	this.asked = now
	if this.let.IsZero() && let < g.Allowed(alive) {
		this.let = now
	}
	next.suspects = append(next.suspects, this)
	allowed = !this.let.IsZero()
	next.alarmed = !allowed || (g.alarmed && refused)
	return next, allowed, !allowed && !g.alarmed
}

// Suspects is how many instances looked dead in the last ten minutes.
func (g Guard) Suspects() int { return len(g.suspects) }

// Allowed is how many of so many instances may go in ten minutes.
func (g Guard) Allowed(alive int) int { return max(guardLeast, alive*guardPercent/100) }

// recent says whether something was in this epoch. What is still to come was
// written before our clock was set back.
func recent(now, at time.Time) bool {
	age := now.Sub(at)
	return !at.IsZero() && age >= 0 && age < guardEpoch
}
