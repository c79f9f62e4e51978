package view

import (
	"time"

	"github.com/ebbscale/ebb/messages"
)

// spendingKeep is how long an ended instance is remembered for its cost.
const spendingKeep = 48 * time.Hour

// Spending is what instances cost, estimated: the price of an hour times the time
// that they lived. It misses disks, traffic and discounts.
type Spending struct {
	ended map[messages.InstanceID]ended
}

type ended struct {
	from, to time.Time
	hourly   float64
}

// Cost is an estimate in US dollars.
type Cost struct {
	// HourlyUSD is what the instances that live cost an hour.
	HourlyUSD float64
	// TodayUSD is what has been spent since midnight UTC.
	TodayUSD float64
	// UnknownNow instances of those that live have no known price, and UnknownToday
	// of all since midnight; the estimates leave them out.
	UnknownNow   int
	UnknownToday int
}

// NewSpending remembers nothing yet.
func NewSpending() *Spending {
	return &Spending{ended: make(map[messages.InstanceID]ended)}
}

// Apply takes an event in. The same event again changes nothing.
func (s *Spending) Apply(r messages.Recorded) {
	e, ok := r.Event.(messages.InstanceGone)
	if !ok {
		return
	}
	s.ended[e.Instance] = ended{
		from: r.At.Add(-time.Duration(e.UpSeconds * float64(time.Second))), to: r.At, hourly: e.HourlyUSD,
	}
}

// Cost is the estimate at the time now, with the instances of state alive.
func (s *Spending) Cost(state *State, now time.Time) Cost {
	var cost Cost
	midnight := now.UTC().Truncate(24 * time.Hour)
	for _, i := range state.Instances {
		if i.HourlyUSD == 0 {
			cost.UnknownNow++
			cost.UnknownToday++
			continue
		}
		cost.HourlyUSD += i.HourlyUSD
		cost.TodayUSD += i.HourlyUSD * hours(later(i.LaunchedAt, midnight), now)
	}
	for id, e := range s.ended {
		switch {
		case now.Sub(e.to) > spendingKeep:
			delete(s.ended, id)
		case e.to.Before(midnight) || lives(state, id):
		case e.hourly == 0:
			cost.UnknownToday++
		default:
			cost.TodayUSD += e.hourly * hours(later(e.from, midnight), e.to)
		}
	}
	return cost
}

func hours(from, to time.Time) float64 { return max(0, to.Sub(from).Hours()) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func lives(state *State, id messages.InstanceID) bool {
	_, ok := state.Instances[id]
	return ok
}
