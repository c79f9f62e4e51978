package fakeec2

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"
)

// Clock is the time the region lives in.
type Clock interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// Dist is a lognormal distribution of durations, given by two of its quantiles.
// Without a P99 every draw is the median; the zero value always draws zero.
type Dist struct {
	Median time.Duration `json:"median"`
	P99    time.Duration `json:"p99"`
}

// z99 is the 99th percentile of the standard normal distribution.
const z99 = 2.3263478740408408

// Draw takes one duration from the distribution.
func (d Dist) Draw(rng *rand.Rand) time.Duration {
	if d.Median <= 0 {
		return 0
	}
	if d.P99 <= d.Median {
		return d.Median
	}
	sigma := math.Log(float64(d.P99)/float64(d.Median)) / z99
	return time.Duration(float64(d.Median) * math.Exp(sigma*rng.NormFloat64()))
}

// Timing is how long the region takes for things.
type Timing struct {
	Pending        Dist          // pending to running
	ShuttingDown   Dist          // shutting-down to terminated
	Stopping       Dist          // stopping to stopped
	Visible        Dist          // until Describe knows a new instance
	Stale          Dist          // until Describe shows a change of state
	StatusChecks   Dist          // running until the status checks pass
	ConsoleLag     time.Duration // age at which console text can be read
	TerminatedKept time.Duration // how long a terminated instance is still listed
	TokenKept      time.Duration // how long a ClientToken outlives its instances
	SpotNotice     time.Duration // between notice and termination, unless told otherwise
}

// DefaultTiming is the boot model of the project's measurements, with an
// eventual consistency of about a second.
func DefaultTiming() Timing {
	return Timing{
		Pending:        Dist{Median: 8 * time.Second, P99: 40 * time.Second},
		ShuttingDown:   Dist{Median: 25 * time.Second, P99: 90 * time.Second},
		Stopping:       Dist{Median: 20 * time.Second, P99: 60 * time.Second},
		Visible:        Dist{Median: 400 * time.Millisecond, P99: 5 * time.Second},
		Stale:          Dist{Median: 200 * time.Millisecond, P99: 3 * time.Second},
		StatusChecks:   Dist{Median: 100 * time.Second, P99: 180 * time.Second},
		ConsoleLag:     0,
		TerminatedKept: time.Hour,
		TokenKept:      24 * time.Hour,
		SpotNotice:     2 * time.Minute,
	}
}

// LaunchFailure makes a share of the launches end between pending and running.
type LaunchFailure struct {
	Probability float64
	Reason      Reason // the state reason, Server.InternalError when empty
}

// Config is what a region is made of. Clock and Rand are required, and the
// region is the only user of Rand. Everything else has a meaning when zero.
type Config struct {
	Clock         Clock
	Rand          *rand.Rand
	Log           zerolog.Logger
	Catalog       Catalog       // zero: DefaultCatalog
	Timing        Timing        // zero: everything happens at once and is seen at once
	Throttle      bool          // whether the token buckets are on
	Limits        []Limit       // overrides of the published buckets
	AccessKeys    []string      // access key ids that are let in, empty lets everybody in
	Denied        []string      // actions answered with UnauthorizedOperation
	OnlyTagged    Tag           // launches must carry it, and what has it alone can be ended and its console read; zero: no such policy
	LaunchFailure LaunchFailure // zero: every launch reaches running
}
