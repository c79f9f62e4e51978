package decide

import (
	"slices"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// The waits after a refusal: doubled at each further one, forgotten after a
// success.
const (
	capacityWait    = 2 * time.Minute
	capacityWaitMax = 30 * time.Minute
	// capacityJitter is how far a wait may be off to either side, so that what
	// was refused together is not asked again together.
	capacityJitter = 0.2
	// unsupportedWait is for what does not change by itself: this type is not
	// sold in this place. stopWait is for what a person has to change.
	unsupportedWait = time.Hour
	stopWait        = time.Hour
	// longestBlock is more than any wait. A block that seems to last longer was
	// written before our clock was set back, and counts as over.
	longestBlock = 2 * time.Hour
	// staleBlock is when a block that nobody tried to lift says nothing any more.
	staleBlock = 24 * time.Hour
	// probePatience is when a probe without an answer gives its chance back by
	// itself: the process that asked may have ended. lookAgain is when to look
	// whether an answer has come.
	probePatience = 10 * time.Minute
	lookAgain     = 10 * time.Second
)

// Memory remembers what EC2 refused, each refusal at the scope that it speaks
// of. The zero value remembers nothing. It is a value, and it is plain data:
// its JSON is what is kept over a restart.
//
// A refusal blocks for a while. When that is over the block is half-open: one
// instance may be asked for, which is the probe, and no more until EC2 has
// granted it, which lifts the block, or refused it, which doubles the wait.
type Memory struct {
	Blocks []Block `json:"blocks,omitempty"`
	// Drought is about spot capacity as a whole, for the fallback to on-demand.
	Drought Drought `json:"drought,omitzero"`
}

// Block is one refusal that has not been disproved.
type Block struct {
	Scope Scope                 `json:"scope"`
	Class messages.FailureClass `json:"class"`
	// Until is when the block becomes half-open.
	Until time.Time `json:"until"`
	// Times is how often it was refused in a row, from 1.
	Times int `json:"times"`
	// Probe is the one instance that was asked for since; zero when none was.
	Probe Probe `json:"probe,omitzero"`
}

// Probe is the one instance that is asked for to try a half-open block.
type Probe struct {
	Offering messages.Offering `json:"offering"`
	At       time.Time         `json:"at"`
}

// openness is how far an offering may be asked for, from worst to best.
type openness int

const (
	shut     openness = iota // refused a short time ago
	probing                  // the answer to a probe is awaited
	halfOpen                 // one instance may be asked for
	open
)

// state is how far the block lets its scope be asked for at now, and when to
// look again if not at all.
func (b Block) state(now time.Time) (openness, time.Time) {
	left := b.Until.Sub(now)
	switch age := now.Sub(b.Probe.At); {
	case left > 0 && left <= longestBlock:
		return shut, b.Until
	case left <= -staleBlock:
		return open, time.Time{}
	case !b.Probe.At.IsZero() && age >= 0 && age < probePatience:
		return probing, now.Add(min(lookAgain, probePatience-age))
	default:
		return halfOpen, time.Time{}
	}
}

// Refused returns the memory after a refusal, and when what it speaks of may
// be asked again; zero when the class of failure blocks nothing, which is as
// much as no answer at all. draw, from 0 to 1, picks the wait within its jitter.
func (m Memory) Refused(now time.Time, offering messages.Offering, class messages.FailureClass, draw float64) (Memory, time.Time) {
	where, blocks := scopeOf(offering, class)
	given := m.Unanswered(offering)
	if !blocks {
		return given, time.Time{}
	}
	next := Memory{Drought: m.Drought}
	fresh := Block{Scope: where, Class: class, Times: 1}
	for _, old := range given.Blocks {
		state, _ := old.state(now)
		switch {
		case old.Scope == where && state == shut: // of a request that was under way: it tells nothing new
			fresh.Times, fresh.Until = old.Times, old.Until
			if old.Until.After(now.Add(waitOf(class, old.Times, draw))) {
				fresh.Class = old.Class
			}
		case old.Scope == where && state != open:
			fresh.Times = old.Times + 1
		case state != open:
			next.Blocks = append(next.Blocks, old)
		}
	}
	if until := now.Add(waitOf(class, fresh.Times, draw)); until.After(fresh.Until) {
		fresh.Until = until
	}
	next.Blocks = append(next.Blocks, fresh)
	if offering.Market == messages.Spot && where != (Scope{}) { // the empty scope is not about spot
		next.Drought = next.Drought.refused(now, fresh)
	}
	return next, fresh.Until
}

// waitOf is how long the scope of a refusal is not asked.
func waitOf(class messages.FailureClass, times int, draw float64) time.Duration {
	switch {
	case Stops(class):
		return stopWait
	case class == messages.ClassUnsupported:
		return unsupportedWait
	}
	wait := min(capacityWaitMax, capacityWait<<min(times-1, 10))
	return time.Duration(float64(wait) * (1 - capacityJitter + 2*capacityJitter*min(max(draw, 0), 1))).Round(time.Second)
}

// Granted returns the memory after EC2 gave instances of an offering: every
// refusal that holds this offering is forgotten. Spot capacity ends a drought.
func (m Memory) Granted(offering messages.Offering) Memory {
	next := Memory{Drought: m.Drought}
	for _, b := range m.Blocks {
		if !b.Scope.Holds(offering) {
			next.Blocks = append(next.Blocks, b)
		}
	}
	if offering.Market == messages.Spot {
		next.Drought = Drought{}
	}
	return next
}

// Asked returns the memory once what Choose answered is asked of EC2: a chance
// that was there once is taken.
func (m Memory) Asked(now time.Time, choice Choice) Memory {
	if !choice.OK {
		return m
	}
	next := m
	next.Blocks = slices.Clone(m.Blocks)
	for i, b := range next.Blocks {
		if state, _ := b.state(now); state == halfOpen && b.Scope.Holds(choice.Offering) {
			next.Blocks[i].Probe = Probe{Offering: choice.Offering, At: now}
		}
	}
	if choice.Fallback && next.Drought.Fallen.IsZero() {
		next.Drought.Fallen = now
	}
	return next
}

// Unanswered returns the memory after a probe of an offering ended with neither
// yes nor no, because EC2 was throttled or it was never sent: the chance is
// there again.
func (m Memory) Unanswered(offering messages.Offering) Memory {
	next := m
	next.Blocks = slices.Clone(m.Blocks)
	for i, b := range next.Blocks {
		if b.Probe.Offering == offering {
			next.Blocks[i].Probe = Probe{}
		}
	}
	return next
}

// Shut says whether an offering may not be asked for at now, why, and until when.
func (m Memory) Shut(now time.Time, offering messages.Offering) (until time.Time, class messages.FailureClass, shut bool) {
	for _, b := range m.Blocks {
		if state, again := b.state(now); b.Scope.Holds(offering) && state < halfOpen && again.After(until) {
			until, class, shut = again, b.Class, true
		}
	}
	return until, class, shut
}

// Stopped says whether launching is stopped because EC2 refuses for a reason
// that does not pass by itself, why, and when one instance is tried again.
func (m Memory) Stopped(now time.Time) (until time.Time, class messages.FailureClass, stopped bool) {
	for _, b := range m.Blocks {
		if state, _ := b.state(now); state != open && Stops(b.Class) {
			return b.Until, b.Class, true
		}
	}
	return time.Time{}, "", false
}
