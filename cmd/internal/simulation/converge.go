package simulation

import (
	"fmt"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/messages"
)

// Finished counts the tasks that completed, and Unfinished lists those that did
// not although no worker was taken away from them.
func (w *World) Finished() int {
	n := 0
	for _, task := range w.tasks {
		if w.ml.TaskStatus(task) == fakeclearml.StatusCompleted {
			n++
		}
	}
	return n
}

// Unfinished lists the tasks that are not done, with where they stand. Those
// that lost their worker are left out: this version does not put them back.
func (w *World) Unfinished() []string {
	var list []string
	for n, task := range w.tasks {
		status := w.ml.TaskStatus(task)
		if _, lost := w.laws.lost[task]; !lost && status != fakeclearml.StatusCompleted {
			list = append(list, fmt.Sprintf("task-%d of %s is %s", n+1, w.laws.queueOf[task], status))
		}
	}
	return list
}

// Lost counts the tasks whose worker was taken away from them.
func (w *World) Lost() int { return len(w.laws.lost) }

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
func (w *World) Converged(within time.Duration) []string {
	for end := w.Now().Add(within); w.Now().Before(end); w.Advance(time.Minute) {
		if len(w.Unfinished()) == 0 && w.Alive("") == 0 {
			w.Advance(5 * time.Minute) // for the last listings and events
			return w.unexplained()
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
	return wrong
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
