package fakeec2

import (
	"slices"
	"time"
)

// Transition is one change of state of one instance. From is empty for the
// launch itself.
type Transition struct {
	Seq        int       `json:"seq"` // from 1, without gaps
	At         time.Time `json:"at"`
	InstanceID string    `json:"instance_id"`
	Type       string    `json:"type"`
	Zone       string    `json:"zone"`
	Market     Market    `json:"market"`
	From       State     `json:"from,omitempty"`
	To         State     `json:"to"`
	Reason     string    `json:"reason,omitempty"`
}

// Launch is an instance as it was launched, with its tags and its price then.
type Launch struct {
	At          time.Time `json:"at"`
	InstanceID  string    `json:"instance_id"`
	ClientToken string    `json:"client_token,omitempty"`
	Type        string    `json:"type"`
	Zone        string    `json:"zone"`
	Market      Market    `json:"market"`
	Tags        []Tag     `json:"tags,omitempty"`
	HourlyUSD   float64   `json:"hourly_usd"`
}

// HasTag tells whether the launch carried a tag with that key and value.
func (l Launch) HasTag(key, value string) bool { return slices.Contains(l.Tags, Tag{key, value}) }

// Ledger is everything that happened to instances, in order. It is never cut.
type Ledger struct {
	Launches    []Launch     `json:"launches"`
	Transitions []Transition `json:"transitions"`
}

// Usage is what the instances of one type in one market add up to.
type Usage struct {
	Market  Market        `json:"market"`
	Type    string        `json:"type"`
	Count   int           `json:"count"`   // instances launched
	Alive   time.Duration `json:"alive"`   // pending or running
	Running time.Duration `json:"running"` // running
	Billed  time.Duration `json:"billed"`  // running, at least 60 s per start
	USD     float64       `json:"usd"`     // billed time at the launch price
}

// Ledger copies what happened so far.
func (c *Cloud) Ledger() Ledger {
	c.mu.Lock()
	defer c.unlock()
	return Ledger{Launches: slices.Clone(c.ledger.Launches), Transitions: slices.Clone(c.ledger.Transitions)}
}

// minBilled is what EC2 charges for a start at the least.
const minBilled = time.Minute

// Usage adds up the time until now, by market and type, sorted by both. keep
// selects launches; nil takes all.
func (l Ledger) Usage(now time.Time, keep func(Launch) bool) []Usage {
	type group struct {
		market Market
		typ    string
	}
	byGroup := map[group]*Usage{}
	launches := l.kept(keep)
	open := map[string]Transition{} // last transition of each instance
	of := func(id string) *Usage {
		launch := launches[id]
		g := group{launch.Market, launch.Type}
		if byGroup[g] == nil {
			byGroup[g] = &Usage{Market: g.market, Type: g.typ}
		}
		return byGroup[g]
	}
	add := func(t Transition, end time.Time) {
		u, span := of(t.InstanceID), end.Sub(t.At)
		if t.To.Alive() {
			u.Alive += span
		}
		if t.To == Running {
			billed := max(span, minBilled)
			u.Running += span
			u.Billed += billed
			u.USD += billed.Hours() * launches[t.InstanceID].HourlyUSD
		}
	}
	for _, t := range l.Transitions {
		if _, ok := launches[t.InstanceID]; !ok {
			continue
		}
		if last, ok := open[t.InstanceID]; ok {
			add(last, t.At)
		} else {
			of(t.InstanceID).Count++
		}
		open[t.InstanceID] = t
	}
	for _, launch := range l.Launches { // not the map: sums of floats depend on the order
		if last, ok := open[launch.InstanceID]; ok {
			add(last, now)
		}
	}
	list := make([]Usage, 0, len(byGroup))
	for _, u := range byGroup {
		list = append(list, *u)
	}
	slices.SortFunc(list, func(a, b Usage) int {
		if a.Market != b.Market {
			return compareText(string(a.Market), string(b.Market))
		}
		return compareText(a.Type, b.Type)
	})
	return list
}

// MaxAlive is the largest number of selected instances that were pending or
// running at the same time, and when that was first so. keep nil takes all.
func (l Ledger) MaxAlive(keep func(Launch) bool) (most int, at time.Time) {
	launches := l.kept(keep)
	alive := 0
	for _, t := range l.Transitions {
		if _, ok := launches[t.InstanceID]; !ok {
			continue
		}
		switch {
		case t.To.Alive() && !t.From.Alive():
			alive++
		case !t.To.Alive() && t.From.Alive():
			alive--
		}
		if alive > most {
			most, at = alive, t.At
		}
	}
	return most, at
}

// Tagged selects the launches that carried a tag, for Usage and MaxAlive.
func Tagged(key, value string) func(Launch) bool {
	return func(l Launch) bool { return l.HasTag(key, value) }
}

func (l Ledger) kept(keep func(Launch) bool) map[string]Launch {
	launches := make(map[string]Launch, len(l.Launches))
	for _, launch := range l.Launches {
		if keep == nil || keep(launch) {
			launches[launch.InstanceID] = launch
		}
	}
	return launches
}
