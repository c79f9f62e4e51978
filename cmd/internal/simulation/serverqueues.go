package simulation

import (
	"fmt"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

// RenameQueue gives a queue of the ClearML server another name, as a person does
// in its web interface.
func (w *World) RenameQueue(name, to string) error {
	q, known := w.ml.QueueByName(name)
	if !known {
		return fmt.Errorf("rename queue %q: there is none", name)
	}
	w.tell("RENAME of queue %s to %s", name, to)
	if err := w.ml.UpdateQueue(q.ID, fakeclearml.QueueUpdate{Name: &to}); err != nil {
		return fmt.Errorf("rename queue %q: %w", name, err)
	}
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
	return nil
}
