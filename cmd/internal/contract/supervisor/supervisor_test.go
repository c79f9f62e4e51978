//go:build real

package supervisor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/bootstrap"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeimds"
	"github.com/ebbscale/ebb/messages"
)

// An idle instance that is told to drain has answered and powered itself off
// within 15 s, at the pace that real instances have.
func TestIdleDrain(t *testing.T) {
	t.Parallel()
	m := boot(t, bootstrap.Spec{MaxIdle: 5 * time.Minute, Unreachable: 6 * time.Hour})
	eventually(t, time.Minute, "the agent polls", func() bool { return m.registered(t) && m.polling() })
	m.order(t, 7, false)
	acked := eventually(t, 15*time.Second, "the drain is answered", func() bool { return m.acked(t, 7, messages.AckDrained, "") })
	if m.registered(t) {
		t.Error("drained, and the worker is listed still")
	}
	task := m.enqueue(t, 1)
	off := eventually(t, 15*time.Second-acked, "the machine is off", m.off)
	t.Logf("answered after %s, off %s later", acked, off)
	if s := m.clearml.TaskStatus(task); s != fakeclearml.StatusQueued {
		t.Errorf("a task that came after the drain is %s", s)
	}
	m.wantConsole(t, "told to drain (epoch 7)")
	for _, secret := range []string{accessKey, secretKey} {
		if strings.Contains(m.console(t), secret) {
			t.Errorf("%q is on the console", secret)
		}
	}
}

// A running task is finished, and nothing is pulled after it.
func TestDrainWaitsForTheTask(t *testing.T) {
	t.Parallel()
	m := boot(t, bootstrap.Spec{}, "EBB_POLL_SECONDS=1", "EBB_GRACE_SECONDS=1", "CLEARML_AGENT_QUEUE_POLL_FREQ_SEC=1")
	first := m.enqueue(t, 600)
	eventually(t, time.Minute, "the task runs", func() bool { return m.clearml.TaskLog(first) != "" })
	second := m.enqueue(t, 1)
	m.order(t, 3, false)
	eventually(t, 10*time.Second, "busy is answered", func() bool { return m.acked(t, 3, messages.AckBusy, first) })
	m.finish(t)
	eventually(t, time.Minute, "drained is answered", func() bool { return m.acked(t, 3, messages.AckDrained, "") })
	if s := m.clearml.TaskStatus(first); s != fakeclearml.StatusCompleted {
		t.Errorf("the task that ran is %s", s)
	}
	eventually(t, 20*time.Second, "the machine is off", m.off)
	if s := m.clearml.TaskStatus(second); s != fakeclearml.StatusQueued {
		t.Errorf("the task that waited is %s", s)
	}
	if log := m.clearml.TaskLog(first); !strings.Contains(log, "fence of the task: False") {
		t.Errorf("the task did not run as ever: %s", log)
	}
}

// Drains are taken back: of a busy agent, and of one that has ended already.
func TestDrainTakenBack(t *testing.T) {
	t.Parallel()
	m := boot(t, bootstrap.Spec{}, "EBB_POLL_SECONDS=1", "EBB_GRACE_SECONDS=20", "CLEARML_AGENT_QUEUE_POLL_FREQ_SEC=1")
	task := m.enqueue(t, 600)
	eventually(t, time.Minute, "the task runs", func() bool { return m.clearml.TaskLog(task) != "" })
	m.order(t, 3, false)
	eventually(t, 10*time.Second, "busy is answered", func() bool { return m.acked(t, 3, messages.AckBusy, task) })
	m.order(t, 4, true)
	eventually(t, 10*time.Second, "running is answered", func() bool { return m.acked(t, 4, messages.AckRunning, "") })
	m.finish(t)
	completed := func() bool { return m.clearml.TaskStatus(task) == fakeclearml.StatusCompleted }
	task = m.enqueue(t, 1)
	eventually(t, time.Minute, "the next task is done", completed)

	m.order(t, 2, false) // an old one, which came late
	never(t, 4*time.Second, "an old order was heeded", func() bool { return !m.acked(t, 4, messages.AckRunning, "") })
	m.order(t, 9, false)
	eventually(t, 20*time.Second, "drained is answered", func() bool { return m.acked(t, 9, messages.AckDrained, "") })
	m.order(t, 10, true)
	task = m.enqueue(t, 1)
	eventually(t, 20*time.Second, "running is answered", func() bool { return m.acked(t, 10, messages.AckRunning, "") })
	eventually(t, time.Minute, "the new agent has done a task", completed)
	if m.off() {
		t.Error("the machine is off")
	}
}

// However orders and tasks meet, no task is lost: each is done or in its queue.
func TestNoTaskIsLost(t *testing.T) {
	t.Parallel()
	m := boot(t, bootstrap.Spec{}, "EBB_TICK_SECONDS=0.2", "EBB_POLL_SECONDS=0", "EBB_GRACE_SECONDS=3", "CLEARML_AGENT_QUEUE_POLL_FREQ_SEC=0.1")
	eventually(t, time.Minute, "the agent polls", m.polling)
	var tasks []string
	for epoch := uint64(1); epoch < 10; epoch += 2 {
		m.order(t, epoch, false)
		time.Sleep(time.Duration(epoch*37%11) * 20 * time.Millisecond)
		tasks = append(tasks, m.enqueue(t, 0))
		eventually(t, time.Minute, "drained is answered", func() bool { return m.acked(t, epoch, messages.AckDrained, "") })
		queue, err := m.clearml.Queue(m.queue)
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			waits := fmt.Sprint(queue.Entries) != "[]" && strings.Contains(fmt.Sprint(queue.Entries), task)
			if done := m.clearml.TaskStatus(task) == fakeclearml.StatusCompleted; done == waits {
				t.Fatalf("epoch %d: drained, and task %s is %s; in its queue: %t", epoch, task, m.clearml.TaskStatus(task), waits)
			}
		}
		m.order(t, epoch+1, true)
		eventually(t, 20*time.Second, "running is answered", func() bool { return m.acked(t, epoch+1, messages.AckRunning, "") })
	}
}

// What EC2 announces is passed on, the graver after the lesser.
func TestNotice(t *testing.T) {
	t.Parallel()
	m := boot(t, bootstrap.Spec{}, "EBB_POLL_SECONDS=1")
	eventually(t, time.Minute, "the agent polls", m.polling)
	notice := func(kind messages.NoticeKind, when time.Time) func() bool {
		return func() bool {
			notice, ok := messages.ParseNotice(m.value(t, messages.NoticeKey(instanceID)))
			return ok && notice.Kind == kind && notice.When.Equal(when) && time.Since(notice.At).Abs() < time.Minute
		}
	}
	m.change(func(meta *fakeimds.Metadata) { meta.RebalanceAt = time.Now() })
	eventually(t, 10*time.Second, "the rebalance notice arrives", notice(messages.NoticeRebalance, time.Time{}))
	at := time.Now().Add(2 * time.Minute).UTC().Truncate(time.Second)
	m.change(func(meta *fakeimds.Metadata) { meta.Action, meta.ActionAt = "terminate", at })
	eventually(t, 10*time.Second, "the interruption notice arrives", notice(messages.NoticeInterruption, at))
	before := m.value(t, messages.NoticeKey(instanceID))
	never(t, 4*time.Second, "it was written again", func() bool { return m.value(t, messages.NoticeKey(instanceID)) != before })
	if n := strings.Count(m.console(t), "EC2 takes this spot instance back at "); n != 1 {
		t.Errorf("the console tells of the interruption %d times", n)
	}
}

// An idle instance whose autoscaler has died ends itself; one with a task does not,
// nor does one whose autoscaler lives.
func TestDeadMan(t *testing.T) {
	t.Parallel()
	m := boot(t, bootstrap.Spec{}, "EBB_POLL_SECONDS=1", "EBB_DEADMAN_SECONDS=15", "CLEARML_AGENT_QUEUE_POLL_FREQ_SEC=1")
	eventually(t, time.Minute, "the agent polls", m.polling)
	sign := func(epoch messages.Epoch) {
		m.write(t, messages.SignKey(autoscaler), messages.Sign{At: time.Now(), Epoch: epoch}.String())
	}
	for i := range messages.Epoch(6) {
		sign(i)
		never(t, 3*time.Second, "off while the autoscaler lives", m.off)
	}
	task := m.enqueue(t, 20)
	eventually(t, time.Minute, "the task is done", func() bool {
		if m.off() {
			t.Fatal("off with a task")
		}
		return m.clearml.TaskStatus(task) == fakeclearml.StatusCompleted
	})
	took := eventually(t, 30*time.Second, "the machine is off", m.off)
	t.Logf("off %s after the task", took)
	m.wantConsole(t, "without a sign of life of autoscaler "+autoscaler)
	if m.registered(t) {
		t.Error("off, and the worker is listed still")
	}
}

// Without ClearML nothing can be pulled and nobody can ask: an idle instance ends.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	m := boot(t, bootstrap.Spec{Unreachable: 6 * time.Second}, "EBB_POLL_SECONDS=1", "EBB_STUCK_SECONDS=6", "EBB_STOP_SECONDS=5")
	eventually(t, time.Minute, "the agent polls", m.polling)
	never(t, 9*time.Second, "off although ClearML answers", m.off)
	if err := m.wire.Close(); err != nil {
		t.Fatal(err)
	}
	took := eventually(t, time.Minute, "the machine is off", m.off)
	t.Logf("off after %s", took)
	if silent := m.offAt(t).Sub(time.Unix(0, m.answered.Load())); silent < 5*time.Second {
		t.Errorf("off after %s without an answer, and 6 s are allowed", silent)
	}
	m.wantConsole(t, "no answer from the ClearML server for 6 s, and no task here")
}
