package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/messages"
)

// rescuedMost is how often a task is put back at most.
const rescuedMost = 3

// rescuedWithin is how long after all is well again, and after its instance is
// gone, a task that lost its worker is in a queue again at the latest.
const rescuedWithin = 40 * time.Minute

// Finished counts the tasks that completed.
func (w *World) Finished() int { return w.count(fakeclearml.StatusCompleted) }

func (w *World) count(status fakeclearml.Status) int {
	n := 0
	for _, t := range w.laws.listed {
		if w.status(t) == status {
			n++
		}
	}
	return n
}

// Unfinished lists the tasks that are not as they should be in the end: neither
// completed nor, if their user gave them up, stopped. Without
// [Options.Requeue] those that lost their worker are left out.
func (w *World) Unfinished() []string {
	var list []string
	for _, t := range w.laws.listed {
		status, want := w.status(t), fakeclearml.StatusCompleted
		switch {
		case status == want, t.aborted && status == fakeclearml.StatusStopped, t.losses > 0 && !w.options.Requeue, t.givenUp(), w.strayed(t):
		default:
			list = append(list, strings.TrimSuffix(fmt.Sprintf("%s of %s is %s, %s", t.name, t.queue, status, t.lost), ", "))
		}
	}
	return list
}

// strayed says that a task waits in a queue that the autoscaler does not serve any
// more, or has none to be put back into.
func (w *World) strayed(t *task) bool {
	return !w.watched(t) && (t.lost != "" || w.status(t) == fakeclearml.StatusQueued)
}

// hopeless says that nobody can put a task back: it has no queue to go to, or it was
// popped and never started, which only the queues that are served are searched for.
func (w *World) hopeless(t *task) bool {
	return t.queue == "" || (!w.watched(t) && w.status(t) == fakeclearml.StatusQueued)
}

// givenUp says that a task was lost once more after it had been put back as often
// as it may be.
func (t *task) givenUp() bool { return t.lost != "" && t.requeues >= rescuedMost }

// Lost counts the tasks whose worker was taken away from them at least once.
func (w *World) Lost() int {
	n := 0
	for _, t := range w.laws.listed {
		n += min(t.losses, 1)
	}
	return n
}

// Alive counts the instances of a resource type that are pending or running; of
// all when the name is empty.
func (w *World) Alive(resource string) int {
	if resource != "" {
		return w.laws.alive[resource]
	}
	sum := 0
	for _, n := range w.laws.alive {
		sum += n
	}
	return sum
}

// Converged lets time pass until all tasks are done and no instance is left, at
// most for the given time, and says what is not as it should be then.
func (w *World) Converged(within time.Duration) []string { return w.converged(within, false) }

// converged is Converged; in haste it ends with the first law that is broken.
func (w *World) converged(within time.Duration, hasty bool) []string {
	healed := w.Now()
	w.laws.healed = healed
	for end := healed.Add(within); w.Now().Before(end); w.Advance(time.Minute) {
		if len(w.Unfinished()) == 0 && w.Alive("") == 0 {
			w.Advance(5 * time.Minute) // for the last listings and events
			if w.Alive("") > 0 {
				continue // launched for a task that its user aborted
			}
			return slices.Concat(w.unexplained(), w.laws.untold(), w.leftovers())
		}
		w.laws.rescued()
		w.laws.letGo()
		if hasty && len(w.Breaches()) > 0 {
			return nil
		}
	}
	var wrong []string
	for _, task := range w.Unfinished() {
		wrong = append(wrong, "not converged: "+task)
	}
	for _, i := range w.laws.order {
		if i.ended.IsZero() {
			wrong = append(wrong, fmt.Sprintf("not converged: %s of %s, launched at %s, still runs", i.id, i.resource, i.launched.Format(time.TimeOnly)))
		}
	}
	return append(wrong, w.leftovers()...)
}

// rescued looks for tasks that should have been put back by now.
func (l *laws) rescued() {
	if !l.world.options.Requeue {
		return
	}
	for _, t := range l.listed {
		since := t.lostAt
		if at := l.lastHeldBy(t); at.After(since) {
			since = at
		}
		if l.healed.After(since) {
			since = l.healed
		}
		if t.lost == "" || t.givenUp() || l.world.hopeless(t) || t.aborted || l.overdue[t] || l.world.Now().Sub(since) < rescuedWithin || l.world.status(t) == fakeclearml.StatusCompleted {
			continue
		}
		l.overdue[t] = true
		l.breach("%s is not put back %s after it was lost: %s", t.name, rescuedWithin, t.lost)
	}
}

// lastHeldBy is when the last worker of a task was seen to be gone; now while it
// is not, as nobody may put the task back before.
func (l *laws) lastHeldBy(t *task) time.Time {
	found, err := l.world.ml.Task(t.id)
	if err != nil {
		return time.Time{}
	}
	i := l.instances[endOfID(found.LastWorker)]
	switch {
	case i == nil || found.Status != fakeclearml.StatusInProgress:
		return time.Time{}
	case i.ended.IsZero():
		return l.world.Now()
	}
	return i.ended
}

// unexplained lists instances whose beginning or end no event tells. Around a
// crash or a kill an event may be missing: who comes back finds nothing of an
// instance that has come and gone meanwhile.
func (w *World) unexplained() []string {
	var wrong []string
	for _, i := range w.laws.order {
		told := w.laws.explained[messages.InstanceID(i.id)]
		if told == nil {
			told = &explanation{}
		}
		if !told.begin && !w.laws.disturbedAround(i.launched, i.launched) {
			wrong = append(wrong, fmt.Sprintf("no event tells of the launch of %s of %s", i.id, i.resource))
		}
		if !told.end && !i.ended.IsZero() && !w.laws.disturbedAround(told.last, i.ended) {
			wrong = append(wrong, fmt.Sprintf("no event tells why %s of %s ended (%s)", i.id, i.resource, i.endedBy))
		}
	}
	return wrong
}

func (l *laws) disturbedAround(from, to time.Time) bool {
	for _, at := range l.disturbs {
		if at.After(from.Add(-explainAfter)) && at.Before(to.Add(explainBefore)) {
			return true
		}
	}
	return false
}

// forgotten says that an instance has come and gone around a time when nobody or
// somebody else acted, or nobody could list it: who came then does not know it, and
// leaves its keys, which may be another autoscaler's, for a day.
func (l *laws) forgotten(id messages.InstanceID) bool {
	i := l.instances[string(id)]
	return i != nil && !i.ended.IsZero() && (i.unlisted || l.disturbedAround(i.ended, i.ended))
}

// unlisted follows outages of EC2, and notes at the end of one whose whole end it hid.
func (l *laws) unlisted(down bool) {
	now := l.world.Now()
	if down && l.outage.IsZero() {
		l.outage = now
	}
	if down || l.outage.IsZero() {
		return
	}
	for _, i := range l.order {
		i.unlisted = i.unlisted || (i.ended.After(l.outage) && now.Sub(i.ended) > l.world.options.Region.TerminatedKept)
	}
	l.outage = time.Time{}
}

// leftovers lists what is left on the queues of instances that are gone, and
// what keeps agents from pulling. Keys on a queue that was renamed stay: it is not
// the autoscaler's any more.
func (w *World) leftovers() []string {
	var wrong []string
	for _, q := range w.ml.Queues() {
		ours := slices.ContainsFunc(w.options.Queues, func(o Queue) bool { return o.Name == q.Name })
		if slices.Contains(q.Tags, messages.BarrierTag) {
			wrong = append(wrong, fmt.Sprintf("queue %s is left with tag %s", q.Name, messages.BarrierTag))
		}
		for key := range q.Metadata {
			id, about := messages.ChannelInstance(key)
			if ours && (key == messages.BarrierKey || (about && !w.laws.forgotten(id))) {
				wrong = append(wrong, fmt.Sprintf("queue %s is left with key %s", q.Name, key))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}
