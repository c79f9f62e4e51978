package fakeclearml

import (
	"slices"
	"time"
)

// StatusRequest asks for a change of a task's status.
type StatusRequest struct {
	// User asks; empty means the default user.
	User            string
	Task            string
	Reason, Message string
	// Force skips the state machine.
	Force bool
}

// EnqueueRequest puts a task into a queue, named by id or by name; a name that
// does not exist is created, and neither means the default queue.
type EnqueueRequest struct {
	StatusRequest
	Queue, QueueName string
	// KeepExecutionQueue leaves the task's execution.queue as it is.
	KeepExecutionQueue bool
}

// DequeueRequest takes a task out of its queue.
type DequeueRequest struct {
	StatusRequest
	// NewStatus is the status afterwards; empty means the one before it was queued.
	NewStatus           Status
	RemoveFromAllQueues bool
}

func (s *Server) resolveQueue(id, name string) (string, error) {
	switch {
	case id != "" && name != "":
		return "", errValidation("Either queue id or queue name should be provided")
	case name != "":
		if q := s.queueByName(name); q != nil {
			return q.ID, nil
		}
		q, err := s.createQueue(QueueSpec{Name: name})
		if err != nil {
			return "", err
		}
		return q.ID, nil
	case id != "":
		return id, nil
	}
	q, err := s.defaultQueue()
	if err != nil {
		return "", err
	}
	return q.ID, nil
}

// enqueue changes the status first and undoes it when the task cannot be added,
// as the server does; that leaves a status_reason behind.
func (s *Server) enqueue(r EnqueueRequest) (Change, error) {
	queue, err := s.resolveQueue(r.Queue, r.QueueName)
	if err != nil {
		return Change{}, err
	}
	t, err := s.task(r.Task)
	if err != nil {
		return Change{}, err
	}
	before, enqueueStatus := t.Status, t.Status
	if t.Status == StatusQueued && t.EnqueueStatus != "" {
		enqueueStatus = t.EnqueueStatus
	}
	res, err := s.changeStatus(t, change{
		to: StatusQueued, reason: r.Reason, message: r.Message, force: r.Force, user: r.User,
		enqueueStatus: setField, enqueueValue: enqueueStatus,
	})
	if err != nil {
		return Change{}, err
	}
	if err := s.addToQueue(queue, t.ID); err != nil {
		_, undo := s.changeStatus(t, change{
			to: before, from: StatusQueued, reason: "failed enqueueing", force: true, user: r.User, enqueueStatus: clearField,
		})
		if undo != nil {
			return Change{}, undo
		}
		return Change{}, err
	}
	s.removeFromAllQueues(t.ID, queue)
	if !r.KeepExecutionQueue {
		t.Queue = queue
		res.Fields["execution.queue"] = queue
	}
	return res, nil
}

// dequeue also answers success for a task that is in progress.
func (s *Server) dequeue(r DequeueRequest) (Change, error) {
	t, err := s.task(r.Task)
	if err != nil {
		return Change{}, err
	}
	return s.dequeueTask(t, r)
}

func (s *Server) dequeueTask(t *Task, r DequeueRequest) (Change, error) {
	if t.Status == StatusQueued && t.Queue != "" {
		if q := s.queues[t.Queue]; q != nil {
			s.pull(q, t.ID)
		}
	}
	if r.RemoveFromAllQueues {
		s.removeFromAllQueues(t.ID, "")
	}
	if t.Status != StatusQueued && t.Status != StatusInProgress {
		return Change{}, nil
	}
	to := r.NewStatus
	if to == "" {
		to = t.before()
	}
	return s.changeStatus(t, change{
		to: to, reason: r.Reason, message: r.Message, force: true, user: r.User, enqueueStatus: clearField,
	})
}

func (s *Server) started(r StatusRequest) (Change, error) {
	t := s.tasks[r.Task]
	if t == nil {
		return Change{}, errInvalidID(kv{"task", "None"})
	}
	c := change{to: StatusInProgress, reason: r.Reason, message: r.Message, force: r.Force, user: r.User}
	fresh := t.Status != StatusInProgress || t.Started.IsZero()
	if fresh {
		c.stamp = "started"
	}
	res, err := s.changeStatus(t, c)
	if err == nil && fresh {
		t.Completed, t.ActiveDuration, t.hasActive = time.Time{}, 0, false
	}
	return res, err
}

// finish is stopped, failed, completed and close.
func (s *Server) finish(r StatusRequest, to Status) (Change, error) {
	t, err := s.task(r.Task)
	if err != nil {
		return Change{}, err
	}
	c := change{to: to, reason: r.Reason, message: r.Message, force: r.Force, user: r.User}
	if to != StatusClosed {
		c.stamp = "completed"
	}
	return s.changeStatus(t, c)
}

func (s *Server) publish(r StatusRequest) (Change, error) {
	t, err := s.task(r.Task)
	if err != nil {
		return Change{}, err
	}
	res, err := s.changeStatus(t, change{to: StatusPublished, reason: r.Reason, message: r.Message, force: r.Force, user: r.User})
	if err == nil {
		t.Published = t.StatusChanged
		res.Fields["published"] = res.Fields["status_changed"]
	}
	return res, err
}

// stop only leaves the word "stopping" for a worker that is alive; otherwise the
// task is stopped here and now.
func (s *Server) stop(r StatusRequest) (Change, error) {
	t, err := s.task(r.Task)
	if err != nil {
		return Change{}, err
	}
	byWorker := t.LastWorker != "" && s.now().Sub(t.LastUpdate) < taskUpdateTimeout
	if t.Status != StatusQueued && byWorker && !slices.Contains(t.SystemTags, developmentTag) {
		return s.changeStatus(t, change{to: t.Status, reason: r.Reason, message: "stopping", force: r.Force, user: r.User})
	}
	if t.Status == StatusQueued {
		if q := s.queues[t.Queue]; q != nil {
			s.pull(q, t.ID)
		}
	}
	return s.changeStatus(t, change{
		to: StatusStopped, reason: r.Reason, message: "Stopped by " + s.userName(r.User), force: r.Force, user: r.User,
	})
}

// reset returns whether the task left a queue.
func (s *Server) reset(r StatusRequest, clearAll bool) (Change, bool, error) {
	t, err := s.task(r.Task)
	if err != nil {
		return Change{}, false, err
	}
	if t.Status == StatusPublished && !r.Force {
		return Change{}, false, fail(400, 110, "invalid task status", "", kv{"task_id", t.ID}, kv{"status", string(t.Status)})
	}
	q := s.queues[t.Queue]
	dequeued := t.Status == StatusQueued && q != nil && q.index(t.ID) >= 0
	s.removeFromAllQueues(t.ID, "")
	res, err := s.changeStatus(t, change{to: StatusCreated, reason: "reset", message: "reset", force: r.Force, user: r.User})
	if err != nil {
		return Change{}, dequeued, err
	}
	t.Started, t.Completed, t.Published = time.Time{}, time.Time{}, time.Time{}
	t.ActiveDuration, t.hasActive, t.LastIteration = 0, false, 0
	t.EnqueueStatus, t.Queue, t.LastWorker, t.LastWorkerReport = "", "", "", time.Time{}
	t.Runtime = map[string]any{}
	t.Models["output"] = []any{}
	delete(t.Output, "result")
	delete(t.Output, "error")
	t.Execution["artifacts"] = inputArtifacts(t.Execution["artifacts"])
	if clearAll {
		t.Execution, t.Script = newExecution(), newScript()
	}
	delete(s.logs, t.ID)
	return res, dequeued, nil
}

func (s *Server) remove(r StatusRequest) error {
	t, err := s.task(r.Task)
	if err != nil {
		return err
	}
	if t.Status != StatusCreated && !slices.Contains(t.SystemTags, archivedTag) && !r.Force {
		return fail(400, 123, "task cannot be deleted", "due to status, use force=True",
			kv{"task", t.ID}, kv{"expected", string(StatusCreated)}, kv{"current", string(t.Status)})
	}
	s.removeFromAllQueues(t.ID, "")
	s.deleteTask(t.ID)
	return nil
}

// archive also takes the task out of its queues.
func (s *Server) archive(r StatusRequest) error {
	t, err := s.task(r.Task)
	if err != nil {
		return err
	}
	if _, err := s.dequeueTask(t, DequeueRequest{StatusRequest: r, RemoveFromAllQueues: true}); err != nil {
		return err
	}
	t.SystemTags = sortedTags(append(t.SystemTags, archivedTag))
	t.StatusReason, t.StatusMessage = r.Reason, r.Message
	t.LastChange, t.LastChangedBy = milli(s.now()), r.User
	return nil
}

// ping refreshes last_update; a task that does not exist is no error.
func (s *Server) ping(user, task string) {
	if t := s.tasks[task]; t != nil {
		s.touch(t, user)
	}
}

// touch notes a sign of life of the task.
func (s *Server) touch(t *Task, user string) {
	now := s.now()
	t.LastUpdate, t.LastChange, t.LastChangedBy = milli(now), milli(now), user
	if t.Status == StatusInProgress && !t.Started.IsZero() {
		t.ActiveDuration, t.hasActive = now.Sub(t.Started).Truncate(time.Second), true
	}
}

func inputArtifacts(v any) []any {
	list, _ := v.([]any)
	kept := []any{}
	for _, a := range list {
		if asMap(a)["mode"] == "input" {
			kept = append(kept, a)
		}
	}
	return kept
}
