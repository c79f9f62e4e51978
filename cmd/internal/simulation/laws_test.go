package simulation

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/messages"
)

// worker launches an instance by the book, lets it boot, and waits until it runs
// a task.
func (h *host) worker() *instance {
	h.t.Helper()
	if err := h.world.Enqueue("default", 1, time.Hour); err != nil {
		h.t.Fatal(err)
	}
	_, err := h.call(func(ctx context.Context) (any, error) {
		record, err := h.ports.store.Intend(ctx, messages.LaunchIntent{
			Request: messages.RequestID(h.world.Now().String()), Resource: "A", Offering: anywhere(), Count: 1, At: h.world.Now(),
		})
		if err != nil {
			return nil, err
		}
		return h.ports.ec2.Launch(ctx, messages.LaunchRequest{
			Launch: record.Launch, Token: record.Token, Resource: "A", Offering: anywhere(), Count: 1,
		})
	})
	if err != nil {
		h.t.Fatal(err)
	}
	i := h.world.laws.order[len(h.world.laws.order)-1]
	for range 60 {
		if h.world.Advance(10 * time.Second); i.task != nil && h.world.status(i.task) == fakeclearml.StatusInProgress {
			return i
		}
	}
	h.t.Fatal("no worker runs a task ten minutes after its launch")
	return nil
}

func (h *host) queueID() string {
	queue, there := h.world.ml.QueueByName("default")
	if !there {
		h.t.Fatal("there is no queue default")
	}
	return queue.ID
}

// TestLawsBite does what an autoscaler must not do, by hand: each law notices.
func TestLawsBite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		do   func(h *host) error
		want string
	}{
		{"nothing", func(h *host) error { h.worker(); return nil }, ""},
		{"launch without intent", func(h *host) error {
			_, err := h.call(func(ctx context.Context) (any, error) { return h.launch(ctx, "L99", anywhere()) })
			return err
		}, "without an intent in the ledger"},
		{"launch over the maximum", func(h *host) error {
			for range 5 {
				h.worker()
			}
			return nil
		}, "5 instances of A are alive, at most 4 may be"},
		{"kill a busy worker", func(h *host) error {
			i := h.worker()
			_, err := h.call(func(ctx context.Context) (any, error) {
				return h.ports.ec2.Terminate(ctx, []messages.InstanceID{messages.InstanceID(i.id)})
			})
			return err
		}, "was terminated with task-1"},
		{"put back what runs", func(h *host) error {
			i := h.worker()
			worker := messages.WorkerID("ebb:A:g4dn.xlarge:" + i.id)
			_, err := h.call(func(ctx context.Context) (any, error) {
				return h.ports.clearML.Requeue(ctx, messages.Requeue{
					Task: messages.TaskID(i.task.id), QueueID: h.queueID(), Status: messages.TaskInProgress, LastWorker: worker, Reason: "by hand",
				})
			})
			return err
		}, "was put back although it had not lost its worker"},
		{"put back what was aborted", func(h *host) error {
			if err := h.world.Enqueue("default", 1, time.Hour); err != nil {
				return err
			}
			if _, err := h.world.Abort(0); err != nil {
				return err
			}
			h.world.laws.requeued(h.world.laws.listed[0].id)
			return nil
		}, "although its user had aborted it"},
		{"run twice", func(h *host) error {
			first, second := h.worker(), h.worker()
			h.world.laws.popped(second, first.task.id)
			return nil
		}, "popped task-1, which"},
		{"act without the lease", func(h *host) error {
			h.process.epoch, h.world.store.epochs = 1, 2
			_, err := h.call(func(ctx context.Context) (any, error) {
				return h.ports.ec2.Terminate(ctx, []messages.InstanceID{"i-0123456789abcdef0"})
			})
			return err
		}, "sends TerminateInstances to ec2.simulation although"},
		{"leave a key behind", func(h *host) error {
			return h.world.ml.SetMetadata(h.queueID(), fakeclearml.MetadataItem{Key: "ebb.drain.i-1", Type: "str", Value: "1 1 drain"})
		}, "queue default is left with key ebb.drain.i-1"},
		{"leave a barrier", func(h *host) error {
			return h.world.ml.UpdateQueue(h.queueID(), fakeclearml.QueueUpdate{Tags: []string{messages.BarrierTag}})
		}, "queue default is left with tag force_workers:off"},
		{"leave a job lost", func(h *host) error {
			i := h.worker()
			return h.world.cloud.Kill(i.id)
		}, "task-1 is not put back 40m0s after it was lost"},
		{"leave an instance", func(h *host) error {
			i := h.worker()
			_, err := h.world.ml.Completed(fakeclearml.StatusRequest{Task: i.task.id, Force: true})
			return err
		}, "still runs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, false)
			h.world.options.Requeue, h.world.options.Stale = true, time.Hour
			if err := c.do(h); err != nil {
				t.Fatal(err)
			}
			wrong := h.world.Breaches()
			if strings.HasPrefix(c.name, "leave") {
				wrong = append(wrong, h.world.Converged(time.Hour)...)
				wrong = append(wrong, h.world.Breaches()...)
			}
			text := strings.Join(wrong, "\n")
			if (c.want == "") != (text == "") || !strings.Contains(text, c.want) {
				t.Errorf("want %q among:\n%s", c.want, text)
			}
		})
	}
}

// TestPause stops a process in the middle of what it does: its request arrives,
// its answer and its timers wait, and all is there when it goes on.
func TestPause(t *testing.T) {
	t.Parallel()
	h := newHost(t, false)
	var order []string
	h.process.AfterFunc(5*time.Second, func() { order = append(order, "timer") })
	h.process.Schedule(func() { order = append(order, "mailbox") })
	h.process.Go(time.Hour, func(ctx context.Context) {
		_, err := h.launch(ctx, "L1", anywhere())
		order = append(order, "answer")
		if err != nil {
			t.Error(err)
		}
	})
	h.world.Advance(10 * time.Millisecond) // the request is on its way for 20 ms
	h.process.pause()
	h.process.Schedule(func() { order = append(order, "mailbox while paused") })
	h.world.Advance(time.Minute)
	if n := len(h.world.cloud.Instances()); n != 1 || len(order) != 1 || order[0] != "mailbox" {
		t.Errorf("%d instances were launched while the process was paused, and %v ran", n, order)
	}
	h.process.resume()
	h.world.Advance(0)
	if len(order) != 4 {
		t.Errorf("once resumed %v ran", order)
	}
}

// TestKillWithRequestOnItsWay kills a process that has sent a request: EC2 gets
// it, and nobody gets the answer.
func TestKillWithRequestOnItsWay(t *testing.T) {
	t.Parallel()
	h := newHost(t, false)
	answered := false
	h.process.Go(time.Hour, func(ctx context.Context) {
		_, err := h.launch(ctx, "L1", anywhere())
		answered = err == nil
	})
	h.world.Advance(10 * time.Millisecond)
	h.process.kill()
	h.world.Advance(time.Minute)
	if n := len(h.world.cloud.Instances()); n != 1 || answered {
		t.Errorf("%d instances were launched, answered %t", n, answered)
	}
}

// TestLease plays two processes against the store's lease.
func TestLease(t *testing.T) {
	t.Parallel()
	h := newHost(t, false)
	other := &link{store: h.world.store, holder: "the other", wire: h.world.wire(&process{world: h.world}, "store", &h.world.storing)}
	class := func(f func(context.Context) error) messages.FailureClass {
		_, err := h.call(func(ctx context.Context) (any, error) { return nil, f(ctx) })
		if err == nil {
			return ""
		}
		return messages.FailureOf(err).Class
	}
	var mine, theirs messages.Lease
	acquire := func(l *link, into *messages.Lease) func(context.Context) error {
		return func(ctx context.Context) (err error) {
			*into, err = l.Acquire(ctx, autoscalerName)
			return err
		}
	}
	renew := func(ctx context.Context) error {
		_, err := h.ports.store.Renew(ctx, mine)
		return err
	}
	for n, step := range []struct {
		do   func(context.Context) error
		wait time.Duration
		want messages.FailureClass
	}{
		{acquire(h.ports.store, &mine), 5 * time.Second, ""},
		{acquire(other, &theirs), 5 * time.Second, messages.ClassHeld},
		{renew, 9 * time.Second, ""},
		{renew, 15 * time.Second, ""},
		{renew, 0, messages.ClassFenced},
		{acquire(other, &theirs), 0, ""},
		{renew, 0, messages.ClassFenced},
		{func(ctx context.Context) error { return other.Claim(ctx, theirs.Epoch) }, 0, ""},
		{func(ctx context.Context) error { return h.ports.store.Claim(ctx, mine.Epoch) }, 0, messages.ClassFenced},
		{func(ctx context.Context) error {
			_, err := h.ports.store.Intend(ctx, messages.LaunchIntent{Request: "late", Resource: "A", Offering: anywhere(), Count: 1, Epoch: mine.Epoch})
			return err
		}, 0, messages.ClassFenced},
		{func(ctx context.Context) error { return other.Release(ctx, theirs) }, 0, ""},
		{acquire(h.ports.store, &mine), 0, ""},
	} {
		if got := class(step.do); got != step.want {
			t.Fatalf("step %d: failure %q, want %q", n+1, got, step.want)
		}
		h.world.Advance(step.wait)
	}
	if mine.Epoch != 3 || theirs.Epoch != 2 {
		t.Errorf("epochs %d and %d", mine.Epoch, theirs.Epoch)
	}
}
