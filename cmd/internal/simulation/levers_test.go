package simulation

import (
	"fmt"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/messages"
)

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

// rivalEvery is how often a rival gives its sign of life; rivalEpochs lie between it
// and us.
const (
	rivalEvery  = time.Minute
	rivalEpochs = 1000
)

// Rival lets another ebb, with another event server, give signs of life for our
// autoscaler on a queue, for a while. One that is older than ours has a lower epoch.
func (w *World) Rival(queue string, older bool, lives time.Duration) error {
	q, known := w.ml.QueueByName(queue)
	if !known {
		return fmt.Errorf("there is no queue %q", queue)
	}
	var epoch messages.Epoch
	if !older {
		epoch = w.store.epochs + rivalEpochs
	}
	w.laws.rival = true
	ends := w.Now().Add(lives)
	var sign func()
	sign = func() {
		if w.Now().After(ends) {
			return
		}
		value := messages.Sign{At: w.Now(), Epoch: epoch}.String()
		_ = w.ml.SetMetadata(q.ID, fakeclearml.MetadataItem{Key: messages.SignKey(autoscalerName), Type: "str", Value: value}) // the queue is there
		w.loop.clock.AfterFunc(rivalEvery, sign)
	}
	sign()
	return nil
}
