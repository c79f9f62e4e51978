package decide_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

func workerOf(instance messages.InstanceID) messages.WorkerID {
	return messages.Worker{Prefix: "ebb", Resource: "a", InstanceType: "g5.xlarge", Instance: instance}.ID()
}

func TestFates(t *testing.T) {
	t.Parallel()
	list := func(f decide.Fates, after time.Duration, states map[messages.InstanceID]messages.InstanceState) decide.Fates {
		instances := []messages.Instance{}
		for _, id := range slices.Sorted(maps.Keys(states)) {
			instances = append(instances, messages.Instance{ID: id, State: states[id]})
		}
		return f.Listed(noon().Add(after), noon().Add(after), instances)
	}
	type states = map[messages.InstanceID]messages.InstanceState
	all := states{
		"i-1": messages.StatePending, "i-2": messages.StateRunning, "i-3": messages.StateStopping, "i-4": messages.StateStopped,
		"i-5": messages.StateShuttingDown, "i-6": messages.StateTerminated, "i-7": "of a later version",
	}
	f := list(decide.Fates{}, 0, all)
	want := map[messages.InstanceID]decide.Fate{
		"i-1": decide.FateAlive, "i-2": decide.FateAlive, "i-3": decide.FateAlive, "i-4": decide.FateAlive,
		"i-5": decide.FateEnding, "i-6": decide.FateGone, "i-7": decide.FateAlive,
	}
	for id, fate := range want {
		if got := f.Of[id]; got != (decide.Sighting{Fate: fate, Since: noon()}) {
			t.Errorf("%s: %+v, want %s", id, got, fate)
		}
	}
	all["i-1"] = messages.StateTerminated
	f = list(f, time.Minute, all)
	if got := f.Of["i-1"]; got.Fate != decide.FateGone || !got.Since.Equal(noon().Add(time.Minute)) {
		t.Errorf("i-1: %+v", got)
	}
	if got := f.Of["i-2"]; !got.Since.Equal(noon()) {
		t.Errorf("i-2 is alive since the first listing, not %+v", got)
	}
	if old := f.Listed(noon().Add(time.Minute), noon().Add(30*time.Second), nil); !reflect.DeepEqual(old, f) {
		t.Error("a listing that began earlier changes something")
	}
	if back := list(f, -time.Hour, states{"i-2": messages.StateTerminated}); back.Of["i-2"].Fate != decide.FateGone {
		t.Errorf("after the clock was set back listings are not heeded: %+v", back.Of["i-2"])
	}
	// Terminated instances vanish from listings after an hour; they stay gone.
	f = list(f, 2*time.Hour, states{"i-2": messages.StateRunning})
	if len(f.Of) != 3 || f.Of["i-1"].Fate != decide.FateGone || f.Of["i-6"].Fate != decide.FateGone {
		t.Errorf("after two hours: %+v", f.Of)
	}
	if f = list(f, 6*time.Hour, nil); len(f.Of) != 1 || f.Of["i-1"].Fate != decide.FateGone {
		t.Errorf("after six hours: %+v", f.Of)
	}
}

// What a rescue says is enough to carry it out and to record it.
func TestRescueIsComplete(t *testing.T) {
	t.Parallel()
	task := messages.TaskState{
		ID: "t1", Name: "train", Status: messages.TaskInProgress, QueueID: "q-id", LastWorker: workerOf("i-1"), LastUpdate: noon(),
	}
	snapshot := messages.ClearMLSnapshot{At: noon(), ServerNow: noon(), Queues: []messages.QueueState{{Name: "gpu", ID: "q-id"}}}
	sweep := decide.Sweep{
		Now: noon(), ServerNow: noon(), Tasks: []messages.TaskState{task}, Snapshot: snapshot,
		Fates: decide.Fates{}.Listed(noon(), noon(), []messages.Instance{{ID: "i-1", State: messages.StateTerminated}}),
	}
	reasons := []messages.Reason{{Code: messages.ReasonInstanceGone, Subject: "i-1", Detail: "its instance i-1 is terminated"}}
	losses, rescues, lost := decide.Losses{}.Judge(decide.RescuePolicy{Requeue: true, Prefix: "ebb"}, sweep)
	want := []decide.Rescue{{
		Request: messages.Requeue{
			Task: "t1", QueueID: "q-id", Status: messages.TaskInProgress, LastWorker: workerOf("i-1"),
			Reason: "put back by ebb (1 of at most 3 times): its instance i-1 is terminated",
		},
		Event: messages.TaskRequeued{Task: "t1", Name: "train", Queue: "gpu", Worker: workerOf("i-1"), Reasons: reasons, Instance: "i-1"},
	}}
	if !reflect.DeepEqual(rescues, want) || lost != nil {
		t.Errorf("rescues %+v and %+v, want %+v", rescues, lost, want)
	}
	_, rescues, lost = decide.Losses{}.Judge(decide.RescuePolicy{Prefix: "ebb"}, sweep)
	left := []messages.TaskLost{{
		Task: "t1", Name: "train", Queue: "gpu", Worker: workerOf("i-1"), Instance: "i-1",
		Reasons: append(reasons, messages.Reason{Code: messages.ReasonPolicy, Detail: "requeue_lost_tasks is off"}),
	}}
	if !reflect.DeepEqual(lost, left) || rescues != nil {
		t.Errorf("lost %+v and %+v, want %+v", lost, rescues, left)
	}

	text, err := json.Marshal(losses)
	var again decide.Losses
	if err != nil || json.Unmarshal(text, &again) != nil || !reflect.DeepEqual(again, losses) {
		t.Errorf("%s became %+v (%v)", text, again, err)
	}
	if got := losses.Failed("t9"); !reflect.DeepEqual(got, losses) {
		t.Errorf("a task that nobody knows failed, and changed %+v", got)
	}
	if got := losses.Failed("t1").Tasks["t1"]; got.Times != 0 || got.Judged != (decide.Judgement{}) {
		t.Errorf("after a failure: %+v", got)
	}
	changed := messages.TaskState{Status: messages.TaskInProgress, LastWorker: workerOf("i-1"), LastUpdate: noon().Add(time.Minute)}
	without, told := losses.Leave(decide.Rescue{Event: messages.TaskRequeued{Task: "t1", Instance: "i-1", Reasons: reasons}}, changed)
	if loss := without.Tasks["t1"]; loss.Times != 0 || !loss.Judged.Left || !loss.Judged.LastUpdate.Equal(changed.LastUpdate) {
		t.Errorf("without a queue: %+v", loss)
	}
	if told.Task != "t1" || told.Instance != "i-1" || len(told.Reasons) != len(reasons)+1 || told.Reasons[len(reasons)].Code != messages.ReasonPolicy {
		t.Errorf("told of a task without a queue: %+v", told)
	}
	if losses.Tasks["t1"].Times != 1 {
		t.Error("Failed has changed the losses that it was asked of")
	}

	// One bad answer, an empty one, makes nobody forget what was done; an hour does.
	sweep.Tasks = nil
	sweep.Now = noon().Add(59 * time.Minute)
	losses, _, _ = losses.Judge(decide.RescuePolicy{}, sweep)
	if losses.Tasks["t1"].Times != 1 {
		t.Errorf("forgotten at once: %+v", losses)
	}
	sweep.Now = noon().Add(time.Hour)
	if losses, _, _ = losses.Judge(decide.RescuePolicy{}, sweep); len(losses.Tasks) != 0 {
		t.Errorf("not forgotten after an hour: %+v", losses)
	}
}

// Whoever polls slowly may believe older polls.
func TestEvidenceMayBeAsOldAsThePolicySays(t *testing.T) {
	t.Parallel()
	sweep := decide.Sweep{
		Now: noon(), ServerNow: noon(),
		Tasks:    []messages.TaskState{{ID: "t1", Status: messages.TaskInProgress, QueueID: "q", LastWorker: workerOf("i-1")}},
		Snapshot: messages.ClearMLSnapshot{At: noon().Add(-10 * time.Minute)},
		Fates:    decide.Fates{}.Listed(noon(), noon(), []messages.Instance{{ID: "i-1", State: messages.StateTerminated}}),
	}
	for maxAge, want := range map[time.Duration]int{0: 0, time.Minute: 0, 10 * time.Minute: 1} {
		policy := decide.RescuePolicy{Requeue: true, Prefix: "ebb", MaxAge: maxAge}
		if _, rescues, _ := (decide.Losses{}).Judge(policy, sweep); len(rescues) != want {
			t.Errorf("%d rescues with polls of %s, want %d", len(rescues), maxAge, want)
		}
	}
}

// Our clock was set back: a sighting from the future does not count, and does
// not last for ever.
func TestLossesAfterClockSetBack(t *testing.T) {
	t.Parallel()
	policy := decide.RescuePolicy{Requeue: true, Prefix: "ebb"}
	sweep := func(l decide.Losses, now time.Time) (decide.Losses, int) {
		next, rescues, _ := l.Judge(policy, decide.Sweep{
			Now: now, ServerNow: noon(),
			Tasks:    []messages.TaskState{{ID: "t1", Status: messages.TaskQueued, QueueID: "q", LastUpdate: noon().Add(-time.Hour)}},
			Snapshot: messages.ClearMLSnapshot{At: now, ServerNow: noon(), Queues: []messages.QueueState{{Name: "gpu", ID: "q"}}},
		})
		return next, len(rescues)
	}
	losses, _ := sweep(decide.Losses{}, noon())
	back := noon().Add(-24 * time.Hour)
	losses, found := sweep(losses, back)
	if found != 0 {
		t.Error("lost at once")
	}
	if _, found = sweep(losses, back.Add(30*time.Second)); found != 1 {
		t.Error("not lost half a minute later")
	}
}

// Goal: no task is put back whose instance may still run, that a live worker
// reports or that waits in a queue; none more than three times, nor twice for
// the same loss, where one that the task shows nothing of was none; and what is
// certainly lost is told. Method: random worlds that change between sweeps.
func TestRescueProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := decide.RescuePolicy{Requeue: rapid.IntRange(0, 4).Draw(t, "policy") > 0, Prefix: "ebb"}
		losses, fates, now := decide.Losses{}, decide.Fates{}, noon()
		instances := []messages.InstanceID{"i-0", "i-1", "i-2"}
		put := map[messages.TaskID]int{}
		asIs := map[messages.TaskID]messages.TaskState{} // when it was put back
		type act struct {
			of     string
			status messages.TaskStatus
			at     time.Time
		}
		acted := map[messages.TaskID]act{} // last
		for range rapid.IntRange(1, 25).Draw(t, "sweeps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 700).Draw(t, "seconds")) * time.Second)
			sweep := decide.Sweep{Now: now, ServerNow: now.Add(time.Hour), Fates: fates, Snapshot: messages.ClearMLSnapshot{
				At: now.Add(-time.Duration(rapid.IntRange(0, 200).Draw(t, "poll age")) * time.Second), ServerNow: now.Add(time.Hour),
			}}
			listed := []messages.Instance{}
			states := []messages.InstanceState{"", messages.StateRunning, messages.StateShuttingDown, messages.StateTerminated}
			for _, id := range instances {
				if state := rapid.SampledFrom(states).Draw(t, "state"); state != "" {
					listed = append(listed, messages.Instance{ID: id, State: state})
				}
			}
			if rapid.IntRange(0, 3).Draw(t, "listing") > 0 {
				fates = fates.Listed(now, now, listed)
				sweep.Fates = fates
			}
			queue := messages.QueueState{Name: "gpu", ID: "q"}
			running, waiting, live := map[messages.TaskID]bool{}, map[messages.TaskID]bool{}, map[messages.WorkerID]bool{}
			for n := range 3 {
				task := messages.TaskState{
					ID: messages.TaskID(fmt.Sprintf("t%d", n)), Status: rapid.SampledFrom([]messages.TaskStatus{messages.TaskQueued, messages.TaskInProgress}).Draw(t, "status"),
					QueueID:    rapid.SampledFrom([]string{"q", "q", "other", ""}).Draw(t, "queue"),
					LastWorker: rapid.SampledFrom([]messages.WorkerID{"", "laptop", workerOf("i-0"), workerOf("i-1"), workerOf("i-2")}).Draw(t, "worker"),
					LastUpdate: sweep.ServerNow.Add(-time.Duration(rapid.IntRange(0, 1200).Draw(t, "silent")) * time.Second).Truncate(5 * time.Minute),
				}
				if rapid.IntRange(0, 9).Draw(t, "unfinished") > 0 {
					sweep.Tasks = append(sweep.Tasks, task)
				}
				switch rapid.IntRange(0, 6).Draw(t, "where") {
				case 0:
					queue.Entries, waiting[task.ID] = append(queue.Entries, messages.QueueEntry{Task: task.ID}), true
				case 1:
					id := rapid.SampledFrom(instances).Draw(t, "runs on")
					age := time.Duration(rapid.IntRange(0, 240).Draw(t, "row age")) * time.Second
					sweep.Snapshot.Workers = append(sweep.Snapshot.Workers, messages.WorkerState{
						ID: workerOf(id), Task: task.ID, LastActive: sweep.ServerNow.Add(-age),
					})
					live[workerOf(id)] = live[workerOf(id)] || age <= decide.WorkerFreshness
					running[task.ID] = running[task.ID] || (age <= decide.WorkerFreshness && fates.Of[id].Fate != decide.FateGone)
				}
			}
			sweep.Snapshot.Queues = []messages.QueueState{queue}
			before, _ := json.Marshal(losses)
			next, rescues, lost := losses.Judge(policy, sweep)
			if after, _ := json.Marshal(losses); string(after) != string(before) {
				t.Fatalf("the old losses have changed: %s became %s", before, after)
			}
			if len(rescues) > 0 && !policy.Requeue {
				t.Errorf("puts back, and the policy is off: %+v", rescues)
			}
			for _, task := range sweep.Tasks {
				if acted[task.ID].status == messages.TaskQueued && waiting[task.ID] {
					delete(acted, task.ID) // it was put back; what comes is another loss
					delete(asIs, task.ID)
				}
			}
			for _, task := range sweep.Tasks { // what shows as it did before it was put back was not
				told := func(id messages.TaskID) bool { return id == task.ID }
				again := slices.ContainsFunc(rescues, func(r decide.Rescue) bool { return told(r.Request.Task) }) ||
					slices.ContainsFunc(lost, func(l messages.TaskLost) bool { return told(l.Task) })
				if was, ok := asIs[task.ID]; again && ok {
					delete(asIs, task.ID)
					if was.Status == task.Status && was.LastWorker == task.LastWorker && was.LastUpdate.Equal(task.LastUpdate) {
						put[task.ID]--
					}
				}
			}
			named := map[messages.TaskID]bool{}
			for _, loss := range lost {
				named[loss.Task] = true
				delete(acted, loss.Task)
			}
			for _, rescue := range rescues {
				request := rescue.Request
				named[request.Task] = true
				index := slices.IndexFunc(sweep.Tasks, func(task messages.TaskState) bool { return task.ID == request.Task })
				task := sweep.Tasks[index]
				if request.Status != task.Status || request.LastWorker != task.LastWorker || request.QueueID != task.QueueID || request.QueueID == "" {
					t.Errorf("puts back %+v, which is %+v", request, task)
				}
				if running[task.ID] || (task.Status == messages.TaskQueued && waiting[task.ID]) {
					t.Errorf("puts back %+v, which runs or waits", task)
				}
				if silent := sweep.ServerNow.Sub(task.LastUpdate); task.Status == messages.TaskInProgress && task.LastWorker == "" && silent < 10*time.Minute {
					t.Errorf("puts back %+v, which nobody reported yet and which is silent for %s only", task, silent)
				}
				if worker, _ := messages.ParseWorkerID(task.LastWorker); task.Status == messages.TaskInProgress && task.LastWorker != "" {
					fate, silent := fates.Of[worker.Instance].Fate, sweep.ServerNow.Sub(task.LastUpdate)
					abandoned := fate == decide.FateAlive && live[task.LastWorker] && silent >= 10*time.Minute
					if (fate == decide.FateAlive && !abandoned) || fate == decide.FateEnding || worker.Prefix != "ebb" {
						t.Errorf("puts back %+v, whose instance is %q", task, fate)
					}
				}
				key := fmt.Sprint(task)
				if last := acted[task.ID]; last.of == key && now.Sub(last.at) < 10*time.Minute {
					t.Errorf("puts back %+v at %s and at %s", task, last.at, now)
				}
				acted[task.ID], asIs[task.ID] = act{of: key, status: task.Status, at: now}, task
				if put[task.ID]++; put[task.ID] > decide.RescueMost {
					t.Errorf("puts back %s for the %d. time", task.ID, put[task.ID])
				}
			}
			for _, task := range sweep.Tasks {
				worker, _ := messages.ParseWorkerID(task.LastWorker)
				fresh := now.Sub(sweep.Snapshot.At) <= 3*time.Minute && now.Sub(fates.At) <= 3*time.Minute
				if task.Status == messages.TaskInProgress && fates.Of[worker.Instance].Fate == decide.FateGone && fresh &&
					!running[task.ID] && losses.Tasks[task.ID].Judged.At.IsZero() && !named[task.ID] {
					t.Errorf("says nothing of %+v, which is lost", task)
				}
			}
			losses = next
			if len(rescues) > 0 && rapid.Bool().Draw(t, "fails") {
				task := rescues[0].Request.Task
				losses = losses.Failed(task)
				put[task]--
				delete(asIs, task)
				delete(acted, task) // it may be tried again
			}
			for id, loss := range losses.Tasks {
				if loss.Times != put[id] {
					t.Errorf("%s was put back %d times, and %d are known", id, put[id], loss.Times)
				}
			}
			for id := range put { // forgotten after an hour
				if _, known := losses.Tasks[id]; !known {
					delete(put, id)
					delete(asIs, id)
				}
			}
		}
	})
}
