package decide

import (
	"slices"
	"time"
)

const (
	// breakerRow failures in a row open a circuit, and so does breakerPart of the
	// last breakerWindow boots, once breakerLeast are known.
	breakerRow    = 3
	breakerPart   = 0.5
	breakerWindow = 10
	breakerLeast  = 4
	// A circuit opens for breakerWait, and for twice as long each further time.
	breakerWait    = time.Minute
	breakerWaitMax = 30 * time.Minute
	// bootPatience is when a probe without an answer gives its chance back: no
	// boot is waited for as long.
	bootPatience = time.Hour
	// circuitKept is when a circuit that nobody asked about is forgotten.
	circuitKept = 7 * 24 * time.Hour
)

// Breaker keeps a resource type from launching what does not boot. It has a
// circuit for each instance type and image: another image starts anew. The
// zero value lets everything through. It is plain data: its JSON is what is
// kept over a restart.
type Breaker struct {
	Circuits []Circuit `json:"circuits,omitempty"`
}

// Circuit is what is known of the boots of one instance type with one image.
type Circuit struct {
	InstanceType string `json:"instance_type"`
	Image        string `json:"image"`
	// Failed are the last boots since it was closed, oldest first: whether each
	// one failed.
	Failed []bool `json:"failed,omitempty"`
	// Opened counts how often in a row it opened; zero while it is closed. Until
	// is when one instance may be tried.
	Opened int       `json:"opened,omitempty"`
	Until  time.Time `json:"until,omitzero"`
	// Probe is when that instance was asked for; zero when it was not.
	Probe time.Time `json:"probe,omitzero"`
	// Last is when the newest boot ended.
	Last time.Time `json:"last"`
}

// Booted returns the breaker after an instance got its worker: its circuit is
// closed.
func (b Breaker) Booted(now time.Time, instanceType, image string) Breaker {
	return b.with(now, instanceType, image, func(c Circuit) Circuit {
		if c.Opened > 0 {
			return Circuit{InstanceType: instanceType, Image: image}
		}
		return c.boot(false)
	})
}

// Failed returns the breaker after an instance got no worker in time.
func (b Breaker) Failed(now time.Time, instanceType, image string) Breaker {
	return b.with(now, instanceType, image, func(c Circuit) Circuit {
		c = c.boot(true)
		if (c.Opened == 0 && c.bad()) || (c.Opened > 0 && c.over(now)) {
			c.Until = now.Add(min(breakerWaitMax, breakerWait<<min(c.Opened, 10)))
			c.Opened++
			c.Probe = time.Time{}
		}
		return c
	})
}

// Allows says how many instances may be launched: 1 is a probe, -1 no limit,
// and 0 none before until.
func (b Breaker) Allows(now time.Time, instanceType, image string) (limit int, until time.Time) {
	c, known := b.circuit(instanceType, image)
	switch {
	case !known || c.Opened == 0:
		return -1, time.Time{}
	case !c.over(now):
		return 0, c.Until
	case c.trying(now):
		return 0, now.Add(lookAgain)
	default:
		return 1, time.Time{}
	}
}

// Asked returns the breaker once instances are asked of EC2: a chance that was
// there once is taken.
func (b Breaker) Asked(now time.Time, instanceType, image string) Breaker {
	return b.change(instanceType, image, func(c Circuit) Circuit {
		if c.Opened > 0 && c.over(now) && !c.trying(now) {
			c.Probe = now
		}
		return c
	})
}

// Unanswered returns the breaker after a probe ended without a boot that
// succeeded or failed, because EC2 gave no instance or took it back: the chance
// is there again.
func (b Breaker) Unanswered(instanceType, image string) Breaker {
	return b.change(instanceType, image, func(c Circuit) Circuit {
		c.Probe = time.Time{}
		return c
	})
}

// Open says whether what is launched is limited, be it to one.
func (b Breaker) Open(instanceType, image string) bool {
	c, known := b.circuit(instanceType, image)
	return known && c.Opened > 0
}

func (b Breaker) circuit(instanceType, image string) (Circuit, bool) {
	for _, c := range b.Circuits {
		if c.InstanceType == instanceType && c.Image == image {
			return c, true
		}
	}
	return Circuit{}, false
}

// change returns the breaker with one circuit changed, if it is there.
func (b Breaker) change(instanceType, image string, how func(Circuit) Circuit) Breaker {
	next := Breaker{Circuits: slices.Clone(b.Circuits)}
	for i, c := range next.Circuits {
		if c.InstanceType == instanceType && c.Image == image {
			next.Circuits[i] = how(c)
		}
	}
	return next
}

// with returns the breaker after a boot at now. Circuits that nobody uses any
// more are forgotten.
func (b Breaker) with(now time.Time, instanceType, image string, how func(Circuit) Circuit) Breaker {
	c, known := b.circuit(instanceType, image)
	if !known {
		c = Circuit{InstanceType: instanceType, Image: image}
	}
	c = how(c)
	c.Last = now
	next := Breaker{}
	for _, other := range b.Circuits {
		same := other.InstanceType == instanceType && other.Image == image
		if !same && now.Sub(other.Last) < circuitKept {
			next.Circuits = append(next.Circuits, other)
		}
	}
	next.Circuits = append(next.Circuits, c)
	return next
}

func (c Circuit) boot(failed bool) Circuit {
	from := max(0, len(c.Failed)-breakerWindow+1)
	c.Failed = append(slices.Clone(c.Failed[from:]), failed)
	return c
}

// bad says whether what was seen is enough to open.
func (c Circuit) bad() bool {
	seen, failures := len(c.Failed), 0
	for _, failed := range c.Failed {
		if failed {
			failures++
		}
	}
	if seen >= breakerRow && !slices.Contains(c.Failed[seen-breakerRow:], false) {
		return true
	}
	return seen >= breakerLeast && float64(failures) >= breakerPart*float64(seen)
}

// over says whether one instance may be tried. An end that is further away than
// any wait was written before our clock was set back.
func (c Circuit) over(now time.Time) bool {
	left := c.Until.Sub(now)
	return left <= 0 || left > breakerWaitMax
}

// trying says whether the answer to a probe is awaited.
func (c Circuit) trying(now time.Time) bool {
	age := now.Sub(c.Probe)
	return !c.Probe.IsZero() && age >= 0 && age < bootPatience
}
