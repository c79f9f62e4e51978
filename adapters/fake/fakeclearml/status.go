package fakeclearml

import (
	"slices"
	"time"
)

// Change is the answer to a change of status: how many tasks changed and the
// fields that were written, with microseconds.
type Change struct {
	Updated int
	Fields  map[string]any
}

type fieldUpdate int

const (
	keepField  fieldUpdate = iota
	clearField             // written as null and absent afterwards
	setField
)

// change is one change of status.
type change struct {
	to              Status
	reason, message string
	force           bool
	user            string
	// from overrides the status the task is known to have.
	from Status

	enqueueStatus fieldUpdate
	enqueueValue  Status
	// stamp is the name of a date field to be set to now: started or completed.
	stamp string
}

// allowedNext are the states that may follow s without force.
func allowedNext(s Status) []Status {
	switch s {
	case StatusCreated:
		return []Status{StatusQueued, StatusInProgress}
	case StatusQueued:
		return []Status{StatusCreated, StatusInProgress, StatusStopped}
	case StatusInProgress:
		return []Status{StatusStopped, StatusFailed, StatusCreated, StatusCompleted}
	case StatusStopped:
		return []Status{
			StatusClosed, StatusCreated, StatusFailed, StatusQueued, StatusInProgress,
			StatusPublished, StatusPublishing, StatusCompleted,
		}
	case StatusClosed:
		return []Status{StatusCreated, StatusFailed, StatusPublished, StatusPublishing, StatusStopped}
	case StatusFailed:
		return []Status{StatusCreated, StatusStopped, StatusPublished, StatusQueued}
	case StatusPublishing:
		return []Status{StatusPublished}
	case StatusCompleted:
		return []Status{StatusPublished, StatusInProgress, StatusCreated}
	case StatusPublished, StatusUnknown:
		return nil
	}
	return nil
}

// Allowed reports whether a task may go from one state to another without force.
// Staying in a state is always allowed.
func Allowed(from, to Status) bool {
	return from == to || slices.Contains(allowedNext(from), to)
}

// changeStatus checks the change against the state machine and writes it by
// compare-and-set on the status that it started from.
func (s *Server) changeStatus(t *Task, c change) (Change, error) {
	from := t.Status
	if c.from != "" {
		from = c.from
	}
	if !c.force && !Allowed(from, c.to) {
		return Change{}, errTaskStatus("Invalid status change", from, c.to)
	}
	if s.race != "" { // somebody else is faster, as a fault asked for
		t.Status, s.race = s.race, ""
	}
	if t.Status != from {
		return Change{}, fail(400, 121, "failed changing task status. probably someone changed it before you", "",
			kv{"task_id", t.ID}, kv{"current_status", string(from)}, kv{"new_status", string(c.to)})
	}
	now := s.now()
	t.Status, t.StatusReason, t.StatusMessage = c.to, c.reason, c.message
	t.StatusChanged, t.LastUpdate, t.LastChange, t.LastChangedBy = milli(now), milli(now), milli(now), c.user
	fields := map[string]any{
		"status": string(c.to), "status_reason": c.reason, "status_message": c.message,
		"status_changed": now, "last_update": now, "last_change": now, "last_changed_by": c.user,
	}
	if c.to == StatusQueued {
		t.SystemTags = slices.DeleteFunc(t.SystemTags, func(x string) bool { return x == developmentTag })
	}
	switch c.enqueueStatus {
	case keepField:
	case clearField:
		t.EnqueueStatus = ""
		fields["enqueue_status"] = nil
	case setField:
		t.EnqueueStatus = c.enqueueValue
		fields["enqueue_status"] = string(c.enqueueValue)
	}
	switch c.stamp {
	case "started":
		t.Started = milli(now)
	case "completed":
		t.Completed = milli(now)
	}
	if c.stamp != "" {
		fields[c.stamp] = now
	}
	s.touchProject(t.Project, now)
	return Change{Updated: 1, Fields: fields}, nil
}

// watchdog stops tasks that nobody has updated for two hours, as the server does
// every quarter of an hour. It is run before each call, for the last tick that
// the clock has passed.
func (s *Server) watchdog() {
	now := s.cfg.Clock.Now()
	if now.Before(s.nextWatchdog) {
		return
	}
	late := now.Sub(s.nextWatchdog) % watchdogInterval
	tick := now.Add(-late).UTC().Truncate(time.Millisecond)
	s.nextWatchdog = tick.Add(watchdogInterval)
	const reason = "Forced stop (non-responsive)"
	for _, id := range s.taskOrder {
		t := s.tasks[id]
		if t.Status != StatusInProgress || t.LastUpdate.After(tick.Add(-watchdogThreshold)) {
			continue
		}
		t.Status, t.StatusReason, t.StatusMessage = StatusStopped, reason, reason
		t.StatusChanged, t.LastUpdate, t.LastChange = tick, tick, tick
	}
}
