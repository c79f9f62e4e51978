//go:build real

package clearml_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

const workerID = "ebb:cpu:c7i.large:i-0123456789abcdef0"

// startAgent runs a real agent in virtual-environment mode that polls every
// second and installs nothing.
func startAgent(t *testing.T, s *server, queue string) *process {
	t.Helper()
	env := s.environment(t,
		"CLEARML_WORKER_ID="+workerID, "CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL=1", "CLEARML_AGENT_SKIP_PIP_VENV_INSTALL=1",
		"CLEARML_AGENT_QUEUE_POLL_FREQ_SEC=1", "CLEARML_AGENT_STATUS_REPORT_FREQ_SEC=1", "CLEARML_CPU_ONLY=1",
	)
	return start(t, env, tool(t, "clearml-agent"), "daemon", "--queue", queue, "--foreground", "--cpu-only")
}

func worker(t *testing.T, s *server) (fakeclearml.Worker, bool) {
	t.Helper()
	list, err := s.Workers(fakeclearml.WorkerFilter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		return fakeclearml.Worker{}, false
	}
	if list[0].ID != workerID {
		t.Fatalf("worker registered as %q, want %q", list[0].ID, workerID)
	}
	return list[0], true
}

// TestAgent lets a real agent register, pull a task, run it and leave.
func TestAgent(t *testing.T) {
	s := serve(t)
	queue, err := s.CreateQueue(fakeclearml.QueueSpec{Name: "real-cpu"})
	if err != nil {
		t.Fatal(err)
	}
	agent := startAgent(t, s, queue.Name)
	eventually(t, time.Minute, "agent registers and reports", func() bool {
		w, ok := worker(t, s)
		return ok && !w.LastReport.IsZero() && w.Task == ""
	})
	task := enqueue(t, s, queue.ID, 3)
	eventually(t, time.Minute, "worker shows the task", func() bool {
		w, ok := worker(t, s)
		return ok && w.Task == task
	})
	eventually(t, 2*time.Minute, "task is completed", func() bool {
		st := s.TaskStatus(task)
		if st == fakeclearml.StatusFailed || st == fakeclearml.StatusStopped {
			t.Fatalf("task ended %s", st)
		}
		return st == fakeclearml.StatusCompleted
	})
	eventually(t, time.Minute, "worker is idle again", func() bool {
		w, ok := worker(t, s)
		return ok && w.Task == ""
	})
	done, err := s.Task(task)
	if err != nil {
		t.Fatal(err)
	}
	if done.LastWorker != workerID || done.Started.IsZero() || done.Completed.IsZero() || done.Queue != queue.ID {
		t.Errorf("task after its run: last_worker %q, started %v, completed %v, queue %q",
			done.LastWorker, done.Started, done.Completed, done.Queue)
	}
	if log := s.TaskLog(task); !strings.Contains(log, "ebb says hello") {
		t.Errorf("the task's log does not hold what it printed: %q", log)
	}
	leave(t, s, agent)
	if refused := s.refusals(); len(refused) > 0 {
		t.Errorf("the fake refused calls of a real agent: %q", refused)
	}
	t.Logf("calls: %v", s.CallCounts())
}

// enqueue makes a task that says hello and sleeps, and puts it into the queue.
func enqueue(t *testing.T, s *server, queue string, seconds int) string {
	t.Helper()
	task, err := s.CreateTask(fakeclearml.TaskSpec{Name: "sleeper", Script: map[string]any{
		"binary": "python3", "entry_point": "sleeper.py", "working_dir": ".", "requirements": map[string]any{"pip": ""},
		"diff": fmt.Sprintf("import time\nprint('ebb says hello', flush=True)\ntime.sleep(%d)\n", seconds),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Enqueue(fakeclearml.EnqueueRequest{StatusRequest: fakeclearml.StatusRequest{Task: task}, Queue: queue}); err != nil {
		t.Fatal(err)
	}
	return task
}

// TestAgentHeldBackAndKilled: a queue tagged force_workers:off is left alone, and
// an agent that is terminated while it runs a task stops the task and unregisters.
func TestAgentHeldBackAndKilled(t *testing.T) {
	s := serve(t)
	queue, err := s.CreateQueue(fakeclearml.QueueSpec{Name: "real-held", Tags: []string{"force_workers:off"}})
	if err != nil {
		t.Fatal(err)
	}
	task := enqueue(t, s, queue.ID, 120)
	agent := startAgent(t, s, queue.Name)
	eventually(t, time.Minute, "agent polls the queue", func() bool { return s.CallCounts()["queues.get_all"] >= 6 })
	if n := s.CallCounts()["queues.get_next_task"]; n != 0 || s.TaskStatus(task) != fakeclearml.StatusQueued {
		t.Errorf("held back, the agent asked %d times for a task, and it is %s", n, s.TaskStatus(task))
	}
	if err := s.UpdateQueue(queue.ID, fakeclearml.QueueUpdate{Tags: []string{}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "task prints", func() bool { return strings.Contains(s.TaskLog(task), "ebb says hello") })
	leave(t, s, agent)
	done, err := s.Task(task)
	if err != nil {
		t.Fatal(err)
	}
	if done.Status != fakeclearml.StatusStopped || done.StatusReason != "user abort" {
		t.Errorf("task is %s, %q, want stopped, user abort", done.Status, done.StatusReason)
	}
}

// leave ends the agent as an operating system that shuts down does.
func leave(t *testing.T, s *server, agent *process) {
	t.Helper()
	if err := agent.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "agent unregisters and exits", func() bool {
		select {
		case <-agent.done:
			_, listed := worker(t, s)
			return !listed
		default:
			return false
		}
	})
}
