package simulation

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/messages"
)

const (
	// pollLag is how old what an event says of a queue may be when it is recorded,
	// besides two polls.
	pollLag = 2 * time.Minute
	// answerLag is by how much an idle time may be off: it is counted from when the
	// poll began that showed it, and a poll with its retries takes up to so long.
	answerLag = 45 * time.Second
	// calm is how long after the last misfortune its effects are over.
	calm = 30 * time.Minute
	// comesTooLate is how long after its drain was called off an instance may
	// still end itself: its supervisor may not have heard that yet.
	comesTooLate = 2 * time.Minute
	// At most so many instances, or so many in a hundred, may be ended in ten
	// minutes because they look dead; twice as many are a breach, since what was
	// allowed in the ten minutes before may have had to wait.
	deadLeast, deadPercent = 3, 30
)

// registered sees an agent register.
func (l *laws) registered(i *instance) {
	if !i.registered {
		i.registered, i.worked = true, append(i.worked, l.world.Now())
	}
}

// finished sees the end of an instance's task.
func (l *laws) finished(i *instance) { i.task, i.worked = nil, append(i.worked, l.world.Now()) }

// clockOf notes how far the clock of a process is off.
func (l *laws) clockOf(p *process) {
	if before, known := l.clocks[p.seat]; known && before != p.skew {
		l.turned = l.world.Now()
	}
	l.clocks[p.seat] = p.skew
	if !slices.Contains(l.skews, p.skew) {
		l.skews = append(l.skews, p.skew)
	}
}

// whenever are the moments at which an event can have been recorded, by what its
// process took for the time.
func (l *laws) whenever(recorded time.Time) []time.Time {
	var moments []time.Time
	for _, skew := range l.skews {
		if at := recorded.Add(-skew); !at.After(l.world.Now()) {
			moments = append(moments, at)
		}
	}
	return moments
}

// soonest is the first of those moments.
func (l *laws) soonest(recorded time.Time) time.Time {
	return slices.MinFunc(append(l.whenever(recorded), l.world.Now()), time.Time.Compare)
}

// acked sees what a supervisor writes to the channel.
func (l *laws) acked(i *instance, text string) {
	if strings.Contains(text, messages.AckKey(messages.InstanceID(i.id))) {
		i.drained = strings.Contains(text, string(messages.AckDrained))
	}
}

// said looks for the secret in what leaves the program.
func (l *laws) said(where string, text []byte) {
	if bytes.Contains(text, []byte(secretKey)) && l.leaks == 0 { // telling it once is enough
		l.leaks++
		l.breach("%s has the secret key in it", where)
	}
}

// told judges what an event says against what is true.
func (l *laws) told(recorded messages.Recorded) {
	if i := l.instances[recorded.Event.About()]; i != nil {
		l.toldOf(i, recorded)
	}
	switch e := any(recorded.Event).(type) {
	case messages.QueueObserved:
		l.toldWaiting(recorded.At, e)
	case messages.InstanceRefused:
		if e.Class == messages.ClassNoCapacity && !e.RetryAt.IsZero() && !slices.Contains(capacityCodes(), e.Code) {
			l.breach("%s is left out for want of capacity, and EC2 said %q", e.Offering, e.Code)
		}
	case messages.AutoscalerContested:
		if !l.rival {
			l.breach("owner %d of another event server is told of, and there is none", e.Epoch)
		}
	case messages.TaskRequeued:
		if t := l.tasks[string(e.Task)]; t != nil {
			t.toldBack = l.world.Now()
		}
	}
}

// toldOf judges what an event says of an instance.
func (l *laws) toldOf(i *instance, recorded messages.Recorded) {
	switch e := any(recorded.Event).(type) {
	case messages.InstanceDraining:
		i.calledOff, i.picked = time.Time{}, l.soonest(recorded.At)
	case messages.InstanceKept, messages.InstanceRecalled:
		i.calledOff = l.world.Now()
	case messages.InstanceUnready:
		i.unready = true
	case messages.InstanceTerminating:
		l.toldIdle(i, e)
		l.toldDead(e)
	}
}

// capacityCodes are those with which the region says that it has no capacity.
func capacityCodes() []string {
	return []string{"InsufficientInstanceCapacity", "SpotMaxPriceTooLow"}
}

// toldWaiting: a queue that is said to have so many waiting tasks had as many
// not long before.
func (l *laws) toldWaiting(recorded time.Time, e messages.QueueObserved) {
	lag := pollLag + 2*l.world.options.Polling
	for _, at := range l.whenever(recorded) {
		from := at.Add(-lag)
		if l.world.emptied || l.emptied.After(from) || l.hadWaiting(string(e.Queue), e.Waiting, from, at) {
			return // or the server says so itself
		}
	}
	l.breach("queue %s is said to have %d waiting tasks, and had not in the last %s", e.Queue, e.Waiting, lag)
}

// hadWaiting says whether a queue had so many waiting tasks at any moment between
// two times.
func (l *laws) hadWaiting(queue string, want int, from, to time.Time) bool {
	n := 0
	for _, s := range l.waiting[queue] {
		if n == want && s.at.After(from) {
			return true
		}
		if s.at.After(to) {
			return false
		}
		n = s.n
	}
	return n == want
}

// toldIdle: an instance that is ended for being idle has been so for its
// max_idle_time. One whose resource type was not configured meanwhile goes at once.
func (l *laws) toldIdle(i *instance, e messages.InstanceTerminating) {
	if len(e.Reasons) == 0 || e.Reasons[0].Code != messages.ReasonIdle {
		return
	}
	var last time.Time // it may take a last task until its supervisor has heard
	for _, at := range i.worked {
		if at.Before(i.picked) {
			last = at
		}
	}
	if last.IsZero() || l.world.emptied || l.emptied.After(last) || l.turned.After(last) {
		return // the server said that it ran nothing, or a clock was set that idle times are counted by
	}
	least := l.shortestIdle(i.resource, i.launched)
	if idle := l.world.Now().Sub(last); idle < least-answerLag {
		l.breach("%s is ended as idle %s after it last had work, its max_idle_time is %s", i.id, idle, least)
	}
}

// shortestIdle is the shortest max_idle_time that a resource type had since a
// time; zero when it was not configured for a while.
func (l *laws) shortestIdle(resource string, since time.Time) time.Duration {
	shortest := time.Duration(-1)
	for n, c := range l.configurations {
		if n+1 < len(l.configurations) && l.configurations[n+1].since.Before(since) {
			continue
		}
		at := slices.IndexFunc(c.options.Resources, func(r Resource) bool { return r.Name == resource })
		if at < 0 {
			return 0
		}
		if idle := c.options.Resources[at].MaxIdle; shortest < 0 || idle < shortest {
			shortest = idle
		}
	}
	return max(0, shortest)
}

// toldDead: only a few instances are ended at a time because they look dead. What
// has waited for misfortunes to pass may go together.
func (l *laws) toldDead(e messages.InstanceTerminating) {
	now := l.world.Now()
	if (e.Method != messages.DrainVanished && e.Method != messages.DrainNeverRegistered) || now.Sub(l.struck) < calm {
		return
	}
	l.dead = append(slices.DeleteFunc(l.dead, func(at time.Time) bool { return now.Sub(at) >= 10*time.Minute }), now)
	alive := 0
	for _, i := range l.order {
		if i.ended.IsZero() || now.Sub(i.ended) < 20*time.Minute {
			alive++
		}
	}
	if most := 2 * max(deadLeast, alive*deadPercent/100); len(l.dead) > most {
		l.breach("%d of %d instances were ended within ten minutes because they looked dead", len(l.dead), alive)
	}
}

// endsItself: once all is well, an instance whose drain was called off goes on.
func (l *laws) endsItself(i *instance) {
	now := l.world.Now()
	well := !l.healed.IsZero() && i.calledOff.Sub(l.healed) > time.Minute || now.Sub(l.struck) > calm
	if well && !l.astray(i) && i.drained && i.endedBy == selfEnded && !i.calledOff.IsZero() && now.Sub(i.calledOff) > comesTooLate {
		l.breach("%s ended itself as drained %s after its drain had been called off", i.id, now.Sub(i.calledOff))
	}
}

// untold lists the tasks that were put back since all is well, without an event.
func (l *laws) untold() []string {
	var wrong []string
	for _, t := range l.listed {
		if t.putBack.After(l.healed.Add(time.Minute)) && t.toldBack.Before(t.putBack) && !l.disturbedAround(t.putBack, t.putBack) {
			wrong = append(wrong, fmt.Sprintf("no event tells that %s was put back", t.name))
		}
	}
	return wrong
}
