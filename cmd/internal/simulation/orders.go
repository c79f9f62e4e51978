package simulation

import (
	"maps"
	"slices"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// orderPatience is how long an operator waits for an answer.
const orderPatience = 15 * time.Second

// Order has an operator ask something of whichever process acts. The answer has
// a failure of [messages.ClassHeld] when none does, or none answers in time.
func (w *World) Order(order messages.Order) messages.Answered {
	w.tell("ORDER %T %+v", order, order)
	answer := messages.Answered{Failure: &messages.Failure{Class: messages.ClassHeld, Message: "nobody answers"}}
	w.laws.ordering(order)
	done := false
	for _, p := range w.seats {
		if p == nil || p.paused || p.dead {
			continue
		}
		forget := p.node.Order(autoscalerName, "operator", order, func(answered messages.Answered) {
			if answered.Failure == nil || answered.Failure.Class != messages.ClassHeld {
				answer, done = answered, true
			}
		})
		defer forget()
	}
	for waited := time.Duration(0); !done && waited < orderPatience; waited += 100 * time.Millisecond {
		w.Advance(100 * time.Millisecond)
	}
	w.laws.ordered(order, answer.Failure)
	return answer
}

// ordered takes note of what an operator was promised.
func (l *laws) ordered(order messages.Order, failure *messages.Failure) {
	if failure != nil {
		return
	}
	switch o := order.(type) {
	case messages.PauseLaunches:
		l.paused, l.pausedUntil = l.world.Now(), o.Until
	case messages.DrainInstanceNow:
		l.promised[string(o.Instance)] = l.world.Now()
	case messages.ResumeLaunches, messages.ReportStatus, messages.DrainIdleNow:
	}
}

// goesWithin is how long after all is well an instance that an operator was told
// goes may take another task, and how long it may stay without one: what could not be
// told to finish is told again after ten. One whose supervisor does not answer cannot be kept from taking tasks.
const goesWithin = 12 * time.Minute

// letGo looks for instances that stay although an operator was told that they go.
func (l *laws) letGo() {
	for _, id := range slices.Sorted(maps.Keys(l.promised)) {
		at := l.promised[id]
		since := at
		if l.healed.After(since) {
			since = l.healed
		}
		i, now := l.instances[id], l.world.Now()
		switch {
		case i == nil || !i.ended.IsZero() || now.Sub(since) < goesWithin || !l.answers(i):
			continue
		case i.task == nil:
			l.breach("%s still runs without a task: an operator was told at %s that it goes", id, at.Format(time.TimeOnly))
		case i.taskAt.Sub(since) > goesWithin:
			l.breach("%s has taken %s: an operator was told at %s that it goes", id, i.task.name, at.Format(time.TimeOnly))
		default:
			continue
		}
		delete(l.promised, id)
	}
}

// ordering takes note of what may be changed from now on.
func (l *laws) ordering(order messages.Order) {
	switch o := order.(type) {
	case messages.PauseLaunches, messages.ResumeLaunches:
		l.paused = time.Time{}
	case messages.DrainInstanceNow:
		l.dismissed[string(o.Instance)] = o.Force || l.dismissed[string(o.Instance)]
	case messages.ReportStatus, messages.DrainIdleNow:
	}
}

// launchedPaused: after an operator was told that launching is paused nothing is
// decided to be launched until it is resumed.
func (l *laws) launchedPaused(id string, recorded time.Time) {
	intended := l.soonest(recorded)
	latest := slices.MaxFunc(append(l.whenever(recorded), intended), time.Time.Compare)
	if l.paused.IsZero() || (!l.pausedUntil.IsZero() && !latest.Before(l.pausedUntil.Add(-l.skewed()))) {
		return
	}
	if intended.After(l.paused) {
		l.breach("%s was decided on at %s, and launching is paused since %s", id, intended.Format(time.TimeOnly), l.paused.Format(time.TimeOnly))
	}
}

// skewed is how far a process's clock was ever off, for the worse.
func (l *laws) skewed() time.Duration {
	most := time.Duration(0)
	for _, skew := range l.skews {
		most = max(most, skew.Abs())
	}
	return most
}
