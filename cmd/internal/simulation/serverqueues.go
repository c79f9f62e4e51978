package simulation

import (
	"fmt"
	"slices"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

// RenameQueue gives a queue of the ClearML server another name, as a person does
// in its web interface. The tasks in it stay in it, and those that came from it go
// back to it when they are put back.
func (w *World) RenameQueue(name, to string) error {
	q, known := w.ml.QueueByName(name)
	if !known {
		return fmt.Errorf("rename queue %q: there is none", name)
	}
	w.tell("RENAME of queue %s to %s", name, to)
	if err := w.ml.UpdateQueue(q.ID, fakeclearml.QueueUpdate{Name: &to}); err != nil {
		return fmt.Errorf("rename queue %q: %w", name, err)
	}
	w.laws.left(name, to, len(q.Entries))
	w.laws.sample(to, len(q.Entries))
	return nil
}

// DeleteQueue removes a queue from the ClearML server, also one in which tasks
// wait.
func (w *World) DeleteQueue(name string) error {
	q, known := w.ml.QueueByName(name)
	if !known {
		return fmt.Errorf("delete queue %q: there is none", name)
	}
	w.tell("DELETE of queue %s", name)
	if err := w.ml.DeleteQueue(q.ID, true); err != nil {
		return fmt.Errorf("delete queue %q: %w", name, err)
	}
	w.laws.left(name, "", len(q.Entries))
	return nil
}

// MoveTask lets the user of a task that waits put it into another queue, as in
// ClearML's web interface: the n-th of those that wait. It reports whether there
// was one.
func (w *World) MoveTask(n int, to string) (bool, error) {
	waiting := slices.DeleteFunc(slices.Clone(w.laws.listed), func(t *task) bool {
		return w.status(t) != fakeclearml.StatusQueued || !w.waits(t) || t.aborted
	})
	if _, there := w.ml.QueueByName(to); !there || len(waiting) == 0 {
		return false, nil
	}
	t := waiting[n%len(waiting)]
	w.tell("MOVE of %s from %s to %s", t.name, t.queue, to)
	about := fakeclearml.StatusRequest{Task: t.id}
	if _, err := w.ml.Dequeue(fakeclearml.DequeueRequest{NewStatus: fakeclearml.StatusCreated, StatusRequest: about}); err != nil {
		return false, fmt.Errorf("take %s out of %s: %w", t.name, t.queue, err)
	}
	w.laws.sample(t.queue, -1)
	if _, err := w.ml.Enqueue(fakeclearml.EnqueueRequest{StatusRequest: about, QueueName: to}); err != nil {
		return false, fmt.Errorf("enqueue %s into %s: %w", t.name, to, err)
	}
	t.queue = to
	w.laws.sample(to, 1)
	return true, nil
}

// left notes that a queue has another name now, or is no more: so many tasks do not
// wait under the old name any longer.
func (l *laws) left(name, to string, waiting int) {
	for _, t := range l.listed {
		if t.queue == name {
			t.queue = to
		}
	}
	l.sample(name, -waiting)
	if to != "" {
		l.renamed[name] = l.world.Now()
	}
}

// watched says whether the queue of a task is one that the autoscaler serves: one
// that was renamed or deleted is not, and what waits there is for its user to see to.
func (w *World) watched(t *task) bool {
	return slices.ContainsFunc(w.options.Queues, func(q Queue) bool { return q.Name == t.queue })
}

// answers says whether the supervisor of an instance can be asked.
func (l *laws) answers(i *instance) bool {
	return l.world.machines.Answers(i.id) && !l.astray(i)
}

// astray says that the home queue of an instance may have been renamed: its
// supervisor goes on with that one, where it does not hear what is said since.
func (l *laws) astray(i *instance) bool {
	return slices.ContainsFunc(l.servedBy(i.resource), func(name string) bool { return l.renamed[name].After(i.launched) })
}
