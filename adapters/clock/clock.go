// Package clock is the one place that reads the machine's clock. Everything
// else is given a [Clock], so that the simulator can hand out a virtual one and
// the demo a fast one.
package clock

import "time"

// Clock tells the time and runs functions later. The zero value is not usable:
// take [System] or [Scaled].
type Clock struct {
	origin time.Time // real time at which the clock showed start
	start  time.Time
	factor float64 // virtual seconds per real second
}

// System returns the machine's own clock.
func System() Clock {
	now := time.Now()
	return Clock{origin: now, start: now, factor: 1}
}

// Scaled returns a clock that shows start now and runs factor times as fast as
// the machine's. factor must be positive.
func Scaled(start time.Time, factor float64) Clock {
	return Clock{origin: time.Now(), start: start, factor: factor}
}

// Now is the current time on this clock, always in UTC. A factor of one reads
// the wall clock anew, so that a machine that slept is not behind.
func (c Clock) Now() time.Time {
	if c.factor == 1 && c.origin.Equal(c.start) {
		return time.Now().UTC()
	}
	elapsed := time.Since(c.origin)
	return c.start.Add(time.Duration(float64(elapsed) * c.factor)).UTC()
}

// Elapsed is how much time has passed on this clock since it was made. It never
// goes back, whatever is done to the machine's wall clock.
func (c Clock) Elapsed() time.Duration {
	return time.Duration(float64(time.Since(c.origin)) * c.factor)
}

// AfterFunc runs f on its own goroutine once d has passed on this clock. stop
// prevents it and reports whether it did.
func (c Clock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return time.AfterFunc(c.Real(d), f).Stop
}

// Real converts a duration of this clock into one of the machine's.
func (c Clock) Real(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.factor)
}
