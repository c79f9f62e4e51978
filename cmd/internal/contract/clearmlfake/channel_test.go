package clearmlfake_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/messages"
)

var (
	_ actors.Signals = (*clearml.Client)(nil)
	_ actors.Tasks   = (*clearml.Client)(nil)
)

func (w *world) queue(name string, tags ...string) fakeclearml.Queue {
	w.t.Helper()
	queue, err := w.fake.CreateQueue(fakeclearml.QueueSpec{Name: name, Tags: tags})
	w.must(err)
	return queue
}

func (w *world) wantFailure(err error, class messages.FailureClass, code string) {
	w.t.Helper()
	if failure := messages.FailureOf(err); err == nil || failure.Class != class || failure.Code != code {
		w.t.Errorf("error is %v, want %s %s", err, class, code)
	}
}

func TestSignal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	queue := w.queue("gpu")
	drain, ack := messages.DrainKey("i-0abc"), messages.AckKey("i-0abc")
	signal := func(signal messages.Signal) map[string]string {
		t.Helper()
		signal.QueueID = queue.ID
		w.must(w.client.Signal(t.Context(), signal))
		return queueOf(t, w.observe("gpu"), "gpu").Metadata
	}
	told := messages.Drain{Epoch: 7, At: w.clock.Now()}
	got := signal(messages.Signal{Set: map[string]string{drain: told.String(), "$a b/c.d": "é 'x'"}})
	if read, ok := messages.ParseDrain(got[drain]); !ok || read != told || got["$a b/c.d"] != "é 'x'" {
		t.Errorf("metadata is %v", got)
	}
	w.must(w.fake.SetMetadata(queue.ID, fakeclearml.MetadataItem{Key: ack, Type: "ebb", Value: "7 1 running"}))
	told.Epoch, told.Run = 8, true
	got = signal(messages.Signal{Set: map[string]string{drain: told.String()}, Delete: []string{"$a b/c.d", "never was"}})
	if want := map[string]string{drain: told.String(), ack: "7 1 running"}; !maps.Equal(got, want) {
		t.Errorf("metadata is %v, want %v", got, want)
	}
	if got = signal(messages.Signal{Delete: []string{drain, ack}}); len(got) != 0 {
		t.Errorf("metadata is %v after all was deleted", got)
	}
	w.wantFailure(w.client.Signal(t.Context(), messages.Signal{QueueID: "nope", Set: map[string]string{"a": "b"}}), messages.ClassNotFound, "400/701")
	w.wantFailure(w.client.Signal(t.Context(), messages.Signal{QueueID: "nope", Delete: []string{"a"}}), messages.ClassNotFound, "400/701")
}

func TestSignalsOfManyWriters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	queue := w.queue("gpu")
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			key := messages.DrainKey(messages.InstanceID(fmt.Sprintf("i-%d", i)))
			if err := w.client.Signal(t.Context(), messages.Signal{QueueID: queue.ID, Set: map[string]string{key: "1 1 drain"}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := queueOf(t, w.observe("gpu"), "gpu").Metadata; len(got) != 200 {
		t.Errorf("%d keys, want 200", len(got))
	}
}

func TestSetTag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	queue := w.queue("gpu", "team-a", "z")
	tags := func() []string { return queueOf(t, w.observe("gpu"), "gpu").Tags }
	for range 2 {
		w.must(w.client.SetTag(t.Context(), queue.ID, messages.BarrierTag, true))
		if got := tags(); !slices.Equal(slices.Sorted(slices.Values(got)), []string{messages.BarrierTag, "team-a", "z"}) {
			t.Errorf("tags are %v", got)
		}
	}
	for range 2 {
		w.must(w.client.SetTag(t.Context(), queue.ID, messages.BarrierTag, false))
		if got := tags(); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"team-a", "z"}) {
			t.Errorf("tags are %v", got)
		}
	}
	if writes := w.calls("queues.update"); writes != 2 {
		t.Errorf("%d writes, want 2", writes)
	}
	bare := w.queue("bare", messages.BarrierTag)
	w.must(w.client.SetTag(t.Context(), bare.ID, messages.BarrierTag, false))
	if got := queueOf(t, w.observe("bare"), "bare").Tags; len(got) != 0 {
		t.Errorf("tags are %v", got)
	}
	w.wantFailure(w.client.SetTag(t.Context(), "nope", "x", true), messages.ClassNotFound, "no_such_queue")
}

func TestUnfinished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.demo("gpu", 3)
	queue := queueOf(t, w.observe("gpu"), "gpu")
	w.clock.advance(time.Minute)
	const worker = messages.WorkerID("pfx:r:t:i-1")
	ended, running := w.run(worker, queue), w.run(worker, queue)
	_, err := w.fake.Completed(fakeclearml.StatusRequest{Task: string(ended)})
	w.must(err)
	got, err := w.client.Unfinished(t.Context())
	w.must(err)
	slices.SortFunc(got, func(a, b messages.TaskState) int { return strings.Compare(a.Name, b.Name) })
	now := w.clock.Now()
	want := []messages.TaskState{
		{ID: running, Name: "demo-1", Status: messages.TaskInProgress, QueueID: queue.ID, LastWorker: worker, LastUpdate: now},
		{
			ID: queue.Entries[2].Task, Name: "demo-2", Status: messages.TaskQueued, QueueID: queue.ID,
			LastUpdate: now.Add(-time.Minute),
		},
	}
	if !slices.Equal(got, want) {
		t.Errorf("tasks are\n%+v\nwant\n%+v", got, want)
	}
	w.demo("gpu", 1100)
	if got, err = w.client.Unfinished(t.Context()); err != nil || len(got) != 1102 {
		t.Errorf("%d tasks, %v", len(got), err)
	}
}

// rescue is the usual request for a task as it is now.
func (w *world) rescue(task messages.TaskID) messages.Requeue {
	w.t.Helper()
	all, err := w.client.Unfinished(w.t.Context())
	w.must(err)
	at := slices.IndexFunc(all, func(state messages.TaskState) bool { return state.ID == task })
	if at < 0 {
		w.t.Fatalf("task %s is not among %+v", task, all)
	}
	return messages.Requeue{
		Task: task, QueueID: all[at].QueueID, Status: all[at].Status, LastWorker: all[at].LastWorker, Reason: "instance i-1 is gone",
	}
}

func (w *world) requeue(request messages.Requeue) messages.RequeueOutcome {
	w.t.Helper()
	w.clock.advance(time.Second)
	outcome, err := w.client.Requeue(w.t.Context(), request)
	w.must(err)
	return outcome
}

func TestRequeueOfARunningTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.demo("gpu", 1)
	queue := queueOf(t, w.observe("gpu"), "gpu")
	task := w.run("pfx:r:t:i-1", queue)
	request := w.rescue(task)
	other := request
	other.LastWorker = "pfx:r:t:i-2"
	if got := w.requeue(other); got.Done || got.Found.LastWorker != "pfx:r:t:i-1" {
		t.Errorf("a task of another worker: %+v", got)
	}
	// Twice: the second call finds it back by its reason.
	for range 2 {
		if got := w.requeue(request); !got.Done {
			t.Errorf("outcome is %+v", got)
		}
		got := w.rescue(task)
		entries := queueOf(t, w.observe("gpu"), "gpu").Entries
		if got.Status != messages.TaskQueued || len(entries) != 1 || entries[0].Task != task {
			t.Errorf("task is %+v, waiting are %+v", got, entries)
		}
	}
	state, err := w.fake.Task(string(task))
	w.must(err)
	if state.StatusReason != "instance i-1 is gone" || w.calls("tasks.enqueue") != 1 {
		t.Errorf("reason %q after %d writes", state.StatusReason, w.calls("tasks.enqueue"))
	}
	// Once another worker runs it, the same request does nothing any more.
	w.run("pfx:r:t:i-3", queue)
	if got := w.requeue(request); got.Done || got.Found.Status != messages.TaskInProgress {
		t.Errorf("outcome is %+v", got)
	}
}

func TestRequeueOfATaskThatWasPoppedAndNeverStarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	task := w.demo("gpu", 1)[0]
	queue := queueOf(t, w.observe("gpu"), "gpu")
	request := w.rescue(task)
	// It is in its queue: the server says so, and that is fine.
	if got := w.requeue(request); !got.Done {
		t.Errorf("outcome is %+v", got)
	}
	_, _, err := w.fake.NextTask(queue.ID, "")
	w.must(err)
	if got := w.requeue(request); !got.Done || got.Found.Status != messages.TaskQueued {
		t.Errorf("outcome is %+v", got)
	}
	if entries := queueOf(t, w.observe("gpu"), "gpu").Entries; len(entries) != 1 || entries[0].Task != task {
		t.Errorf("waiting are %+v", entries)
	}
	w.run("pfx:r:t:i-1", queue)
	if got := w.requeue(request); got.Done || got.Found.Status != messages.TaskInProgress {
		t.Errorf("outcome is %+v", got)
	}
	nowhere := w.rescue(task)
	nowhere.QueueID = "nope"
	if got := w.requeue(nowhere); got.Done || !got.NoQueue {
		t.Errorf("outcome is %+v", got)
	}
}

func TestRequeueThroughFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault fakeclearml.Fault
		done  bool
	}{
		"the answer is lost":      {fakeclearml.Fault{Endpoint: "tasks.enqueue", Times: 1, Drop: true}, true},
		"a proxy's time-out":      {fakeclearml.Fault{Endpoint: "tasks.enqueue", Times: 1, Status: 504, RawBody: "x", Execute: true}, true},
		"a proxy that is away":    {fakeclearml.Fault{Endpoint: "tasks.enqueue", Times: 2, Status: 502, RawBody: "x"}, true},
		"a look that is lost":     {fakeclearml.Fault{Endpoint: "tasks.get_all", Times: 1, Drop: true}, true},
		"half an answer":          {fakeclearml.Fault{Endpoint: "tasks.enqueue", Times: 1, Truncate: 200}, true},
		"aborted in the meantime": {fakeclearml.Fault{Endpoint: "tasks.enqueue", Times: 1, Race: fakeclearml.StatusStopped}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.demo("gpu", 1)
			task := w.run("pfx:r:t:i-1", queueOf(t, w.observe("gpu"), "gpu"))
			request := w.rescue(task)
			_, err := w.fake.AddFault(test.fault)
			w.must(err)
			got := w.requeue(request)
			entries := queueOf(t, w.observe("gpu"), "gpu").Entries
			if got.Done != test.done || (len(entries) == 1) != test.done {
				t.Errorf("outcome is %+v, waiting are %+v", got, entries)
			}
			if state, err := w.fake.Task(string(task)); err != nil || (test.done && state.StatusReason != request.Reason) {
				t.Errorf("reason is %q, %v", state.StatusReason, err)
			}
		})
	}
}
