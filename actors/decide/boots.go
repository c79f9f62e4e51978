package decide

import (
	"math"
	"slices"
	"time"
)

const (
	// bootsKept is how many boots are remembered, bootsTrusted how few say
	// nothing.
	bootsKept    = 50
	bootsTrusted = 3
	// bootPart of the boots were quicker than the one that the deadline is made
	// of, which it lasts bootFactor times; never less than bootLeast.
	bootPart   = 0.95
	bootFactor = 3
	bootLeast  = 3 * time.Minute
)

// Boots remembers how long the boots of a resource type took. The zero value
// has seen none. It is plain data: its JSON is what is kept over a restart.
type Boots struct {
	// Seconds are the last boots, oldest first, from EC2's launch time to the
	// worker's registration.
	Seconds []float64 `json:"seconds,omitempty"`
	// Missed counts the deadlines that passed in a row. What boots more slowly
	// than the deadline is never seen to boot; so each one doubles it.
	Missed int `json:"missed,omitempty"`
}

// Observed returns the memory with one more boot.
func (b Boots) Observed(took time.Duration) Boots {
	from := max(0, len(b.Seconds)-bootsKept+1)
	return Boots{Seconds: append(slices.Clone(b.Seconds[from:]), max(0, took.Seconds()))}
}

// Late returns the memory after the deadline of a boot has passed.
func (b Boots) Late() Boots {
	b.Missed++
	return b
}

// Deadline is how long a boot may take: three times what all but one in twenty
// took, at least three minutes and at most maxSpinUp, which is also the answer
// while little is known.
func (b Boots) Deadline(maxSpinUp time.Duration) time.Duration {
	if len(b.Seconds) < bootsTrusted {
		return maxSpinUp
	}
	sorted := slices.Sorted(slices.Values(b.Seconds))
	long := sorted[int(math.Ceil(bootPart*float64(len(sorted))))-1]
	seconds := max(bootLeast.Seconds(), bootFactor*long) * math.Exp2(float64(min(b.Missed, bootsKept)))
	if seconds >= maxSpinUp.Seconds() {
		return maxSpinUp
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second)
}
