package decide

import (
	"time"

	"github.com/ebbscale/ebb/messages"
)

// Fate is what EC2's listings say of an instance.
type Fate string

// The fates. The zero Fate is that of an instance that the last listing does
// not show.
const (
	// FateAlive: it runs, or will, or may again.
	FateAlive Fate = "alive"
	// FateEnding: it is shutting down; its worker may still be at work.
	FateEnding Fate = "ending"
	// FateGone: a listing showed that it is terminated.
	FateGone Fate = "gone"
)

// fateKept is how long an instance that was shown as terminated is remembered
// after listings show it no more.
const fateKept = 6 * time.Hour

// Fates is what complete listings say of the instances of an autoscaler. The
// zero value has seen no listing.
type Fates struct {
	// At is when the last listing began; zero when there was none.
	At time.Time
	// Of has the instances that it shows, and those that were shown as
	// terminated earlier.
	Of map[messages.InstanceID]Sighting
}

// Sighting is a fate, and since when listings show it.
type Sighting struct {
	Fate  Fate
	Since time.Time
}

// Listed returns the fates after a complete listing that began at at. One that
// began before an earlier one tells nothing new, unless that one lies ahead of
// now: then our clock was set back.
func (f Fates) Listed(now, at time.Time, instances []messages.Instance) Fates {
	if at.Before(f.At) && !f.At.After(now) {
		return f
	}
	next := Fates{At: at, Of: make(map[messages.InstanceID]Sighting, len(instances))}
	for id, seen := range f.Of {
		if seen.Fate == FateGone && at.Sub(seen.Since) < fateKept {
			next.Of[id] = seen
		}
	}
	for _, found := range instances {
		seen := Sighting{Fate: fateOf(found.State), Since: at}
		if before, known := f.Of[found.ID]; known && before.Fate == seen.Fate {
			seen = before
		}
		next.Of[found.ID] = seen
	}
	return next
}

// fateOf reads EC2's word. A stopped instance may run again, and one in a state
// that nobody knows may run now.
func fateOf(state messages.InstanceState) Fate {
	switch state {
	case messages.StateTerminated:
		return FateGone
	case messages.StateShuttingDown:
		return FateEnding
	case messages.StatePending, messages.StateRunning, messages.StateStopping, messages.StateStopped:
		return FateAlive
	}
	return FateAlive
}
