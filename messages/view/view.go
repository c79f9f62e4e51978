package view

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ebbscale/ebb/messages"
)

const (
	// keptMax is how many events since the last status are kept apart; then the
	// older half of them becomes part of what is under them.
	keptMax = 4096
	// goneFor is how long it is remembered that an instance has ended.
	goneFor = time.Hour
)

// View is what is known of one autoscaler.
type View struct {
	base   State
	baseAt mark
	events []messages.Recorded // not older than base, sorted, each once
	now    State
	// told is when the last status was put together, known that there was one.
	told  time.Time
	known bool
	epoch messages.Epoch
	last  time.Time // the time of the newest event
}

// mark is a place in the order of events.
type mark struct {
	at     time.Time
	number int64
}

func markOf(r messages.Recorded) mark {
	n, err := strconv.ParseInt(r.ID[strings.LastIndexByte(r.ID, '.')+1:], 10, 64)
	if err != nil {
		n = 0
	}
	return mark{at: r.At, number: n}
}

func (m mark) compare(other mark) int {
	if c := m.at.Compare(other.at); c != 0 {
		return c
	}
	switch {
	case m.number < other.number:
		return -1
	case m.number > other.number:
		return 1
	}
	return 0
}

// compare orders events by time, number, and id.
func compare(a, b messages.Recorded) int {
	if c := markOf(a).compare(markOf(b)); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

// New is a view that knows nothing yet.
func New() *View {
	return &View{base: newState(), now: newState()}
}

// State is what is known now. It must not be changed, and is good until the next
// call of Apply or Resync.
func (v *View) State() *State { return &v.now }

// Told is when the last status was put together, by the autoscaler's clock; false
// while there was none.
func (v *View) Told() (time.Time, bool) { return v.told, v.known }

// Newest is the time of the newest that is known: a status or an event.
func (v *View) Newest() time.Time {
	if v.last.After(v.told) {
		return v.last
	}
	return v.told
}

// Resync takes a status in. One that is older than what is known already, of the
// same or an earlier owner, is passed over; then it returns false.
func (v *View) Resync(status messages.Status) bool {
	newer := status.Epoch > v.epoch
	if !newer && v.known && status.At.Before(v.told) {
		return false
	}
	from := mark{at: status.At, number: -1}
	if !newer && v.baseAt.number >= 0 && from.compare(v.baseAt) < 0 {
		return false // newer events are under it for good
	}
	base := stateOf(status, &v.base, &v.now)
	for id, at := range v.now.gone {
		_, lives := base.Instances[id]
		if !lives && status.At.Sub(at) < goneFor {
			base.gone[id] = at
		}
	}
	if len(status.Silent) > 0 && v.baseAt.compare(from) < 0 {
		from = v.baseAt // what was silent is known by the events since
	}
	v.base, v.baseAt, v.told, v.known, v.epoch = base, from, status.At, true, status.Epoch
	v.events = slices.DeleteFunc(v.events, func(r messages.Recorded) bool { return markOf(r).compare(from) < 0 })
	v.rebuild()
	return true
}

// Apply takes an event in. It returns false when it was known already.
func (v *View) Apply(r messages.Recorded) bool {
	if r.Event == nil {
		return false
	}
	if markOf(r).compare(v.baseAt) < 0 {
		v.remember(r)
		return false
	}
	if r.At.After(v.last) {
		v.last = r.At
	}
	at, found := slices.BinarySearchFunc(v.events, r, compare)
	if found {
		return false
	}
	v.events = slices.Insert(v.events, at, r)
	if at == len(v.events)-1 {
		v.now.fold(r)
	} else {
		v.rebuild()
	}
	if len(v.events) > keptMax {
		v.compact()
	}
	return true
}

// remember takes from an event that is too old only that an instance has ended.
func (v *View) remember(r messages.Recorded) {
	e, ok := r.Event.(messages.InstanceGone)
	if _, lives := v.now.Instances[e.Instance]; ok && !lives {
		v.base.gone[e.Instance], v.now.gone[e.Instance] = r.At, r.At
	}
}

func (v *View) rebuild() {
	v.now = v.base.clone()
	for _, r := range v.events {
		v.now.fold(r)
	}
}

// compact folds the older half of the events for good. Later ones that are older
// still are passed over from then on.
func (v *View) compact() {
	half := keptMax / 2
	base := v.base.clone()
	for _, r := range v.events[:half] {
		base.fold(r)
	}
	last := v.events[half-1]
	for id, at := range base.gone {
		if last.At.Sub(at) > goneFor {
			delete(base.gone, id)
		}
	}
	v.base, v.baseAt = base, markOf(v.events[half])
	v.events = slices.Clone(v.events[half:])
}
