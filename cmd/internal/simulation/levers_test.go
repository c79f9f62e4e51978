package simulation

import "time"

// These are levers that only stories pull; seeds have theirs in faults.go.

// SetLatency is how long a message takes in one direction from now on, between
// anybody and any server.
func (w *World) SetLatency(d time.Duration) { w.options.Network.Median = d }

// Lose loses the next requests to the ledger and the bus whose names begin so, such
// as "settle launch": no answer comes, and nothing happens.
func (w *World) Lose(request string, times int) {
	w.storing.swallows = map[string]int{request: times}
}

// Delay has the next request to the ledger and the bus whose name begins so arrive
// later.
func (w *World) Delay(request string, by time.Duration) {
	w.storing.delays = map[string]time.Duration{request: by}
}

// SetClock sets the clock of a host so far off, also under a process that runs:
// its timers and what it measures by [actors.Clock.Elapsed] take no notice.
func (w *World) SetClock(seat int, off time.Duration) {
	skews := make([]time.Duration, len(w.seats))
	copy(skews, w.options.Skews)
	skews[seat] = off
	w.options.Skews = skews
	if p := w.seats[seat]; p != nil {
		p.skew = off
	}
}
