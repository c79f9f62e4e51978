package decide

import (
	"time"

	"github.com/ebbscale/ebb/messages"
)

// Fallback is the policy of using on-demand instances in place of spot ones.
// The zero value is none.
type Fallback struct {
	// Enabled makes the on-demand offerings of a list a fallback for its spot
	// offerings. Without it they are offerings like all others.
	Enabled bool
	// Patience is how long spot has to be refused before on-demand is asked.
	Patience time.Duration
	// Blackout is for how long, after on-demand took over or spot was refused
	// again, spot is not tried.
	Blackout time.Duration
}

// Drought is a time in which no spot capacity was granted. It begins with a
// refusal of spot and ends with a grant.
type Drought struct {
	// Since is the first refusal, Last the newest one, Until when the block of
	// the newest ends. Class is why.
	Since time.Time             `json:"since,omitzero"`
	Last  time.Time             `json:"last,omitzero"`
	Until time.Time             `json:"until,omitzero"`
	Class messages.FailureClass `json:"class,omitempty"`
	// Fallen is when on-demand was first asked in place of spot; zero when it
	// was not yet.
	Fallen time.Time `json:"fallen,omitzero"`
}

// refused returns the drought after one more refusal of spot. One that nobody
// has tried to end for long, because nothing was needed, is not the same.
func (d Drought) refused(now time.Time, block Block) Drought {
	if d.Since.IsZero() || now.Before(d.Since) || d.stale(now) {
		d = Drought{Since: now}
	}
	d.Last, d.Class = now, block.Class
	if block.Until.After(d.Until) {
		d.Until = block.Until
	}
	return d
}

// stale says that spot might have been asked long ago and was not.
func (d Drought) stale(now time.Time) bool {
	return d.Fallen.IsZero() && now.After(d.Until.Add(capacityWaitMax))
}

// keepsFrom is until when a market is not asked for the other's sake; zero when
// it may be. Spot waits while on-demand has taken over, and on-demand until
// spot has been refused for long enough.
func (d Drought) keepsFrom(now time.Time, market messages.Market, fallback Fallback) time.Time {
	var until time.Time
	switch {
	case market == messages.Spot && !d.Fallen.IsZero():
		from := d.Fallen
		if d.Last.After(from) {
			from = d.Last
		}
		if until = from.Add(fallback.Blackout); now.Before(from) { // our clock was set back
			return time.Time{}
		}
	case market == messages.OnDemand && (d.Since.IsZero() || d.stale(now)):
		return now.Add(lookAgain) // spot comes first
	case market == messages.OnDemand && d.Fallen.IsZero():
		until = d.Since.Add(fallback.Patience)
	}
	if !now.Before(until) {
		return time.Time{}
	}
	return until
}

// Choice is what may be asked of EC2 next.
type Choice struct {
	// OK says that Offering may be asked for; else Until, Class and Stop say why
	// nothing may.
	OK       bool
	Offering messages.Offering
	// Limit is the most instances of it; zero is no limit. A Probe has a limit of
	// one: it tries whether a refusal still holds.
	Limit int
	Probe bool
	// Fallback says that it is an on-demand offering in place of spot.
	Fallback bool
	// Until is when to look again. Class is why nothing may be asked, or why one
	// instance only; Stop says that this does not pass by itself.
	Until time.Time
	Class messages.FailureClass
	Stop  bool
}

// Choose returns the first of the offerings that may be asked at now. Whoever
// asks for it says so with [Memory.Asked] and chooses again for what is left:
// a probe leaves the rest to the next offering. With a fallback, on-demand
// offerings come in only while no spot offering may be asked.
func (m Memory) Choose(now time.Time, offerings []messages.Offering, fallback Fallback) Choice {
	none := Choice{}
	for _, second := range []bool{false, true} {
		for _, offering := range offerings {
			if second != (fallback.Enabled && offering.Market == messages.OnDemand) {
				continue
			}
			switch state, until, class := m.outlook(now, offering, fallback); state {
			case open:
				return Choice{OK: true, Offering: offering, Fallback: second}
			case halfOpen:
				return Choice{OK: true, Offering: offering, Limit: 1, Probe: true, Fallback: second, Class: class}
			case shut, probing:
				if none.Until.IsZero() || until.Before(none.Until) {
					none.Until, none.Class = until, class
				}
			}
		}
	}
	_, _, none.Stop = m.Stopped(now)
	return none
}

// outlook is how far an offering may be asked for, and if not at all, when to
// look again and why not now.
func (m Memory) outlook(
	now time.Time, offering messages.Offering, fallback Fallback,
) (state openness, until time.Time, class messages.FailureClass) {
	state = open
	for _, b := range m.Blocks {
		if !b.Scope.Holds(offering) {
			continue
		}
		at, end := b.state(now)
		if at < state || (at == state && end.After(until)) {
			state, until, class = at, end, b.Class
		}
	}
	if fallback.Enabled {
		if wait := m.Drought.keepsFrom(now, offering.Market, fallback); wait.After(until) {
			state, until, class = shut, wait, m.Drought.Class
		}
	}
	return state, until, class
}

// LaunchLimit is how many instances may be asked for at now, all offerings
// together: zero is no limit. Without an offering that may be asked it is zero
// too: ask [Memory.Choose] first.
func (m Memory) LaunchLimit(now time.Time, offerings []messages.Offering, fallback Fallback) int {
	limit := 0
	for range len(offerings) {
		choice := m.Choose(now, offerings, fallback)
		if !choice.OK {
			break
		}
		if choice.Limit == 0 {
			return 0
		}
		limit += choice.Limit
		m = m.Asked(now, choice)
	}
	return limit
}
