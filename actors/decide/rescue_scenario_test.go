package decide_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// TestRescueScenarios runs the files of testdata/rescue; testdata/README.md says
// how to read and write them.
func TestRescueScenarios(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/rescue", func(t *testing.T, path string) {
		t.Helper()
		t.Parallel()
		s := &rescueScenario{now: noon(), policy: decide.RescuePolicy{Requeue: true, Prefix: "ebb"}}
		datadriven.RunTest(t, path, s.run)
	})
}

// rescueScenario is a ClearML server with tasks and workers, and EC2.
type rescueScenario struct {
	now     time.Time
	policy  decide.RescuePolicy
	queues  []messages.QueueState
	tasks   []messages.TaskState
	workers []messages.WorkerState
	polled  time.Time // zero polls at each sweep
	fates   decide.Fates
	losses  decide.Losses
}

func (s *rescueScenario) run(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	steps := map[string]func(*testing.T, *datadriven.TestData) string{
		"policy": s.setPolicy, "queue": s.queue, "task": s.task, "worker": s.worker,
		"list": s.list, "advance": s.advance, "sweep": s.sweep, "failed": s.failed, "polls": s.polls,
	}
	step, ok := steps[d.Cmd]
	if !ok {
		d.Fatalf(t, "no step is called %q", d.Cmd)
	}
	if answer := step(t, d); answer != "" {
		return answer
	}
	return "ok"
}

func (s *rescueScenario) setPolicy(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var requeue string
	d.ScanArgs(t, "requeue", &requeue)
	s.policy.Requeue = requeue == "on"
	return ""
}

// queue is a watched queue with what waits in it.
func (s *rescueScenario) queue(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var name string
	var tasks []string
	d.ScanArgs(t, "name", &name)
	d.MaybeScanArgs(t, "tasks", &tasks)
	queue := messages.QueueState{Name: messages.QueueName(name), ID: name + "-id"}
	for _, task := range tasks {
		queue.Entries = append(queue.Entries, messages.QueueEntry{Task: messages.TaskID(task)})
	}
	s.queues = slices.DeleteFunc(s.queues, func(q messages.QueueState) bool { return q.Name == queue.Name })
	s.queues = append(s.queues, queue)
	return ""
}

// task is what the tasks API says of a task from now on.
func (s *rescueScenario) task(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var id, status, queue, worker string
	var silent time.Duration
	d.ScanArgs(t, "id", &id)
	d.ScanArgs(t, "status", &status)
	d.MaybeScanArgs(t, "queue", &queue)
	d.MaybeScanArgs(t, "worker", &worker)
	d.MaybeScanArgs(t, "silent", &silent)
	s.tasks = slices.DeleteFunc(s.tasks, func(task messages.TaskState) bool { return task.ID == messages.TaskID(id) })
	if status != string(messages.TaskQueued) && status != string(messages.TaskInProgress) {
		return "" // it is not unfinished
	}
	task := messages.TaskState{
		ID: messages.TaskID(id), Status: messages.TaskStatus(status), LastWorker: messages.WorkerID(worker),
		LastUpdate: s.now.Add(-silent), Stopping: d.HasArg("stopping"),
	}
	if queue != "" {
		task.QueueID = queue + "-id"
	}
	s.tasks = append(s.tasks, task)
	return ""
}

// worker is a row from now on.
func (s *rescueScenario) worker(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var id, task string
	d.ScanArgs(t, "id", &id)
	d.MaybeScanArgs(t, "task", &task)
	s.workers = slices.DeleteFunc(s.workers, func(row messages.WorkerState) bool { return row.ID == messages.WorkerID(id) })
	if d.HasArg("away") {
		return ""
	}
	s.workers = append(s.workers, messages.WorkerState{
		ID: messages.WorkerID(id), Task: messages.TaskID(task), LastActive: s.now,
	})
	return ""
}

// list is a complete listing of EC2.
func (s *rescueScenario) list(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	instances := []messages.Instance{}
	for _, arg := range d.CmdArgs {
		for _, id := range arg.Vals {
			instances = append(instances, messages.Instance{ID: messages.InstanceID(id), State: messages.InstanceState(arg.Key)})
		}
	}
	s.fates = s.fates.Listed(s.now, s.now, instances)
	return ""
}

func (s *rescueScenario) advance(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var by time.Duration
	d.ScanArgs(t, "by", &by)
	s.now = s.now.Add(by)
	return ""
}

// polls says whether ClearML can be polled.
func (s *rescueScenario) polls(_ *testing.T, d *datadriven.TestData) string {
	s.polled = time.Time{}
	if d.HasArg("missing") {
		s.polled = s.now
	}
	return ""
}

func (s *rescueScenario) failed(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var id string
	d.ScanArgs(t, "task", &id)
	s.losses = s.losses.Failed(messages.TaskID(id))
	return ""
}

func (s *rescueScenario) sweep(*testing.T, *datadriven.TestData) string {
	sweep := decide.Sweep{
		Now: s.now, ServerNow: s.now, Tasks: s.tasks, Fates: s.fates,
		Snapshot: messages.ClearMLSnapshot{At: s.now, ServerNow: s.now, Queues: s.queues, Workers: s.workers},
	}
	if !s.polled.IsZero() {
		sweep.Snapshot.At, sweep.Snapshot.ServerNow = s.polled, s.polled
	}
	var b strings.Builder
	next, rescues, lost := s.losses.Judge(s.policy, sweep)
	s.losses = next
	for _, rescue := range rescues {
		fmt.Fprintf(&b, "put %s back into %s if still %s by %q\n  %s: %s\n", rescue.Request.Task, rescue.Request.QueueID,
			rescue.Request.Status, rescue.Request.LastWorker, rescue.Event.Reasons[0].Code, rescue.Request.Reason)
	}
	for _, loss := range lost {
		fmt.Fprintf(&b, "%s is lost and left alone\n", loss.Task)
		for _, reason := range loss.Reasons {
			fmt.Fprintf(&b, "  %s: %s\n", reason.Code, reason.Detail)
		}
	}
	for _, duplicate := range decide.Duplicates(sweep.Snapshot, sweep.Fates) {
		fmt.Fprintf(&b, "%s is run by %v\n", duplicate.Task, duplicate.Workers)
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}
