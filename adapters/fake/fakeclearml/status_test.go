package fakeclearml_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

// bring takes a new task to a status by legal steps.
func bring(t *testing.T, s *fakeclearml.Server, to fakeclearml.Status) string {
	t.Helper()
	id := newTask(t, s, "some task")
	r := fakeclearml.StatusRequest{Task: id}
	change := must[fakeclearml.Change](t)
	switch to {
	case fakeclearml.StatusQueued:
		enqueued(t, s, id, "default")
	case fakeclearml.StatusInProgress:
		change(s.Started(r))
	case fakeclearml.StatusStopped:
		change(s.Started(r))
		change(s.Stopped(r))
	case fakeclearml.StatusFailed:
		change(s.Started(r))
		change(s.Failed(r))
	case fakeclearml.StatusCompleted:
		change(s.Started(r))
		change(s.Completed(r))
	default: // created, as it is
	}
	if got := s.TaskStatus(id); got != to {
		t.Fatalf("task is %s, want %s", got, to)
	}
	return id
}

// code is the code of an error as "400/110", or "ok".
func code(err error) string {
	var e *fakeclearml.Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &e):
		return fmt.Sprintf("%d/%d", e.Code, e.Subcode)
	}
	return err.Error()
}

func TestStatusMachine(t *testing.T) {
	t.Parallel()
	type action func(*fakeclearml.Server, fakeclearml.StatusRequest) (fakeclearml.Change, error)
	actions := map[string]action{
		"enqueue": func(s *fakeclearml.Server, r fakeclearml.StatusRequest) (fakeclearml.Change, error) {
			return s.Enqueue(fakeclearml.EnqueueRequest{StatusRequest: r, QueueName: "other"})
		},
		"started":   (*fakeclearml.Server).Started,
		"stopped":   (*fakeclearml.Server).Stopped,
		"failed":    (*fakeclearml.Server).Failed,
		"completed": (*fakeclearml.Server).Completed,
		"reset":     (*fakeclearml.Server).Reset,
	}
	target := map[string]fakeclearml.Status{
		"enqueue": "queued", "started": "in_progress", "stopped": "stopped", "failed": "failed", "completed": "completed", "reset": "created",
	}
	allowed := map[fakeclearml.Status]string{
		"created":     "enqueue started reset",
		"queued":      "enqueue started stopped reset",
		"in_progress": "started stopped failed completed reset",
		"stopped":     "enqueue started stopped failed completed reset",
		"failed":      "enqueue stopped failed reset",
		"completed":   "started completed reset",
	}
	for from, names := range allowed {
		for name, do := range actions {
			t.Run(string(from)+" "+name, func(t *testing.T) {
				t.Parallel()
				s, _ := newServer(t)
				id := bring(t, s, from)
				want, wantStatus := "400/110", from
				if slices.Contains(strings.Fields(names), name) {
					want, wantStatus = "ok", target[name]
				}
				_, err := do(s, fakeclearml.StatusRequest{Task: id})
				if got := code(err); got != want || s.TaskStatus(id) != wantStatus {
					t.Errorf("answer %s and status %s, want %s and %s", got, s.TaskStatus(id), want, wantStatus)
				}
				if want == "ok" {
					return
				}
				if _, err := do(s, fakeclearml.StatusRequest{Task: id, Force: true}); err != nil || s.TaskStatus(id) != target[name] {
					t.Errorf("with force: %v and status %s, want %s", err, s.TaskStatus(id), target[name])
				}
			})
		}
	}
}

func TestEnqueueTwiceLeavesAReason(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	id := bring(t, s, fakeclearml.StatusQueued)
	_, err := s.Enqueue(fakeclearml.EnqueueRequest{StatusRequest: fakeclearml.StatusRequest{Task: id}, QueueName: "default"})
	task := must[fakeclearml.Task](t)(s.Task(id))
	if code(err) != "400/706" || task.Status != "queued" || task.StatusReason != "failed enqueueing" {
		t.Errorf("answer %s, status %s, reason %q", code(err), task.Status, task.StatusReason)
	}
	_, err = s.Enqueue(fakeclearml.EnqueueRequest{StatusRequest: fakeclearml.StatusRequest{Task: id, Force: true}, Queue: "nope"})
	if code(err) != "400/701" || s.TaskStatus(id) != "queued" {
		t.Errorf("unknown queue: answer %s, status %s", code(err), s.TaskStatus(id))
	}
}

func TestEnqueueMovesBetweenQueues(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	id := newTask(t, s, "mover")
	enqueued(t, s, id, "first")
	enqueued(t, s, id, "second")
	first, _ := s.QueueByName("first")
	second, _ := s.QueueByName("second")
	if len(first.Entries) != 0 || len(second.Entries) != 1 || second.Entries[0].Task != id {
		t.Errorf("first holds %v, second %v", first.Entries, second.Entries)
	}
}

// A popped task that nobody starts is queued and in no queue; enqueueing it again
// is the cure.
func TestOrphan(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	id := bring(t, s, fakeclearml.StatusQueued)
	q, _ := s.QueueByName("default")
	e, ok, err := s.NextTask(q.ID, "")
	if err != nil || !ok || e.Task != id {
		t.Fatalf("popped %v %v %v", e, ok, err)
	}
	task := must[fakeclearml.Task](t)(s.Task(id))
	if task.Status != "queued" || task.Queue != q.ID || task.LastWorker != "" {
		t.Errorf("orphan is %s in %q with worker %q", task.Status, task.Queue, task.LastWorker)
	}
	if _, ok, _ := s.NextTask(q.ID, ""); ok {
		t.Error("popped twice")
	}
	enqueued(t, s, id, "default")
	if _, ok, _ := s.NextTask(q.ID, id); !ok {
		t.Error("the head by name is not popped")
	}
}

// An in_progress task whose instance is lost is put back with force, which keeps
// what it has done.
func TestRequeueKeepsRuntime(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	id := bring(t, s, fakeclearml.StatusInProgress)
	if err := s.ReportStatus(fakeclearml.Report{Worker: "w:1", Task: id}); err != nil {
		t.Fatal(err)
	}
	res := must[fakeclearml.Change](t)(s.Enqueue(fakeclearml.EnqueueRequest{
		StatusRequest: fakeclearml.StatusRequest{Task: id, Force: true, Reason: "instance lost"}, QueueName: "default",
	}))
	task := must[fakeclearml.Task](t)(s.Task(id))
	if res.Fields["enqueue_status"] != "in_progress" || task.StatusReason != "instance lost" || task.LastWorker != "w:1" || task.Started.IsZero() {
		t.Errorf("fields %v, task %+v", res.Fields, task)
	}
	back := must[fakeclearml.Change](t)(s.Dequeue(fakeclearml.DequeueRequest{StatusRequest: fakeclearml.StatusRequest{Task: id}}))
	if back.Fields["status"] != "in_progress" {
		t.Errorf("dequeued to %v, want the status it was enqueued with", back.Fields["status"])
	}
	q, _ := s.QueueByName("default")
	if len(q.Entries) != 0 {
		t.Errorf("entries after dequeue: %v", q.Entries)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reported bool
		wait     time.Duration
		status   fakeclearml.Status
		message  string
	}{
		"live worker is told":     {true, time.Minute, "in_progress", "stopping"},
		"no worker":               {false, time.Minute, "stopped", "Stopped by tests"},
		"worker silent for long":  {true, 11 * time.Minute, "stopped", "Stopped by tests"},
		"just before the timeout": {true, 599 * time.Second, "in_progress", "stopping"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, clk := newServer(t)
			id := bring(t, s, fakeclearml.StatusInProgress)
			if tt.reported {
				if err := s.ReportStatus(fakeclearml.Report{Worker: "w", Task: id}); err != nil {
					t.Fatal(err)
				}
			}
			clk.Advance(tt.wait)
			must[fakeclearml.Change](t)(s.Stop(fakeclearml.StatusRequest{Task: id}))
			task := must[fakeclearml.Task](t)(s.Task(id))
			if task.Status != tt.status || task.StatusMessage != tt.message {
				t.Errorf("status %s, message %q, want %s, %q", task.Status, task.StatusMessage, tt.status, tt.message)
			}
		})
	}
}

func TestWatchdogStopsSilentTasks(t *testing.T) {
	t.Parallel()
	s, clk := newServer(t)
	silent := bring(t, s, fakeclearml.StatusInProgress)
	alive := bring(t, s, fakeclearml.StatusInProgress)
	waiting := bring(t, s, fakeclearml.StatusQueued)
	for range 7 { // 7 × 1000 s < 7200 s
		clk.Advance(1000 * time.Second)
		s.Ping("", alive)
	}
	if got := s.TaskStatus(silent); got != "in_progress" {
		t.Errorf("after 7000 s the silent task is %s", got)
	}
	clk.Advance(1200 * time.Second) // the tick at 8100 s has passed
	task := must[fakeclearml.Task](t)(s.Task(silent))
	if task.Status != "stopped" || task.StatusReason != "Forced stop (non-responsive)" {
		t.Errorf("after 8200 s the silent task is %s, reason %q", task.Status, task.StatusReason)
	}
	if s.TaskStatus(alive) != "in_progress" || s.TaskStatus(waiting) != "queued" {
		t.Errorf("others are %s and %s", s.TaskStatus(alive), s.TaskStatus(waiting))
	}
}

func TestResetAndDelete(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	id := bring(t, s, fakeclearml.StatusInProgress)
	if err := s.Delete(fakeclearml.StatusRequest{Task: id}); code(err) != "400/123" {
		t.Errorf("delete of a running task: %s", code(err))
	}
	if err := s.ReportStatus(fakeclearml.Report{Worker: "w", Task: id}); err != nil {
		t.Fatal(err)
	}
	must[fakeclearml.Change](t)(s.Reset(fakeclearml.StatusRequest{Task: id}))
	task := must[fakeclearml.Task](t)(s.Task(id))
	if task.Status != "created" || task.LastWorker != "" || !task.Started.IsZero() || task.Queue != "" {
		t.Errorf("after reset: %+v", task)
	}
	if err := s.Delete(fakeclearml.StatusRequest{Task: id}); err != nil {
		t.Errorf("delete of a created task: %v", err)
	}
	if _, err := s.Task(id); code(err) != "400/101" {
		t.Errorf("deleted task: %s", code(err))
	}
}

// An abort that arrives after the enqueue must not make the agent drop the task.
func TestPopOfAStoppedTaskQueuesIt(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	id := bring(t, s, fakeclearml.StatusQueued)
	must[fakeclearml.Change](t)(s.Stopped(fakeclearml.StatusRequest{Task: id, Force: true}))
	q, _ := s.QueueByName("default")
	if _, ok, err := s.NextTask(q.ID, ""); !ok || err != nil || s.TaskStatus(id) != "queued" {
		t.Errorf("popped %v, %v, status %s", ok, err, s.TaskStatus(id))
	}
}
