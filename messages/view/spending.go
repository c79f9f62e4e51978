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
	resource messages.ResourceName
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
	// Today is what each resource type has had since midnight; a resource type
	// without instances in that time is not in it.
	Today map[messages.ResourceName]Share
}

// Share is what the instances of one resource type add up to.
type Share struct {
	// Hours is how long they lived, all together, whether their price is known or
	// not; USD is what that cost, of those whose price is.
	Hours float64
	USD   float64
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
		resource: e.Resource, from: r.At.Add(-time.Duration(e.UpSeconds * float64(time.Second))), to: r.At, hourly: e.HourlyUSD,
	}
}

// Cost is the estimate at the time now, with the instances of state alive.
func (s *Spending) Cost(state *State, now time.Time) Cost {
	cost := Cost{Today: make(map[messages.ResourceName]Share)}
	midnight := now.UTC().Truncate(24 * time.Hour)
	for _, i := range state.Instances {
		if i.HourlyUSD == 0 {
			cost.UnknownNow++
		}
		cost.HourlyUSD += i.HourlyUSD
		cost.add(i.Resource, hours(later(i.LaunchedAt, midnight), now), i.HourlyUSD)
	}
	for id, e := range s.ended {
		switch {
		case now.Sub(e.to) > spendingKeep:
			delete(s.ended, id)
		case e.to.Before(midnight) || lives(state, id):
		default:
			cost.add(e.resource, hours(later(e.from, midnight), e.to), e.hourly)
		}
	}
	return cost
}

// add counts hours of one instance today; a price of zero is not known.
func (c *Cost) add(resource messages.ResourceName, lived, hourly float64) {
	if hourly == 0 {
		c.UnknownToday++
	}
	c.TodayUSD += hourly * lived
	share := c.Today[resource]
	c.Today[resource] = Share{Hours: share.Hours + lived, USD: share.USD + hourly*lived}
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
