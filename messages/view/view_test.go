package view_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/messages"
	"github.com/ebbscale/ebb/messages/view"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// recorded numbers events as the engine does.
func recorded(number, second int, event messages.Event) messages.Recorded {
	return messages.Recorded{ID: fmt.Sprintf("host.prod.%d", number), Autoscaler: "prod", At: at(second), Event: event}
}

// world is what happens in a property test: a life of events, and the status that
// a truthful autoscaler would tell at any moment.
type world struct {
	events []messages.Recorded
}

// drawWorld draws a life of some instances and queues, one event a second.
func drawWorld(t *rapid.T) world {
	ids := []messages.InstanceID{"i-1", "i-2", "i-3", "i-4"}
	queues := []messages.QueueName{"gpu", "cpu"}
	var w world
	ended := make(map[messages.InstanceID]bool)
	for second := range rapid.IntRange(0, 60).Draw(t, "events") {
		id := rapid.SampledFrom(ids).Draw(t, "instance")
		var event messages.Event
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			event = messages.InstanceLaunched{Instance: id, Resource: "r", HourlyUSD: 1}
		case 1:
			event = messages.InstanceRegistered{Instance: id, Resource: "r", Worker: messages.WorkerID("w:" + id)}
		case 2:
			event = messages.InstanceBusy{Instance: id, Resource: "r", Task: "t"}
		case 3:
			event = messages.InstanceIdle{Instance: id, Resource: "r", Since: at(second)}
		case 4:
			event = messages.InstanceDraining{Instance: id, Resource: "r", Reasons: []messages.Reason{{Code: messages.ReasonIdle}}}
		case 5:
			event = messages.InstanceRecalled{Instance: id, Resource: "r"}
		case 6:
			event = messages.InstanceTerminating{Instance: id, Resource: "r"}
		case 7:
			event = messages.InstanceGone{Instance: id, Resource: "r"}
		case 8:
			event = messages.QueueObserved{Queue: rapid.SampledFrom(queues).Draw(t, "queue"), Waiting: rapid.IntRange(0, 5).Draw(t, "waiting")}
		default:
			event = messages.AutoscalerPaused{By: "ana"}
		}
		// Nothing is recorded of an instance after its end.
		if about := messages.InstanceID(event.About()); about == id {
			if ended[id] {
				continue
			}
			_, ended[id] = event.(messages.InstanceGone)
		}
		w.events = append(w.events, recorded(second+1, second, event))
	}
	return w
}

// status is what the events up to a second, folded in order, amount to.
func (w world) status(second int) messages.Status {
	v := view.New()
	for _, r := range w.events {
		if !r.At.After(at(second)) {
			v.Apply(r)
		}
	}
	s := v.State()
	status := messages.Status{Autoscaler: "prod", At: at(second).Add(time.Millisecond), Epoch: 1, Pause: s.Pause}
	for _, name := range slices.Sorted(maps.Keys(s.Queues)) {
		status.Queues = append(status.Queues, s.Queues[name].QueueStatus)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Resources)) {
		status.Resources = append(status.Resources, s.Resources[name])
	}
	for _, id := range slices.Sorted(maps.Keys(s.Instances)) {
		status.Instances = append(status.Instances, s.Instances[id])
	}
	return status
}

// shown is what of a state is compared: what a status tells.
func shown(s *view.State) map[string]any {
	queues := make(map[messages.QueueName]messages.QueueStatus)
	for name, q := range s.Queues {
		queues[name] = q.QueueStatus
	}
	return map[string]any{"queues": queues, "instances": s.Instances, "pause": s.Pause}
}

// TestAnyOrderConverges delivers events in any order, some twice, with statuses in
// between, and ends with a status newer than all: what is shown is that status.
func TestAnyOrderConverges(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		delivered := rapid.Permutation(append(slices.Clone(w.events), w.events...)).Draw(t, "order")
		v := view.New()
		for _, r := range delivered {
			if rapid.IntRange(0, 9).Draw(t, "resync") == 0 {
				v.Resync(w.status(rapid.IntRange(0, 60).Draw(t, "when")))
			}
			v.Apply(r)
		}
		last := w.status(100)
		v.Resync(last)
		want := view.New()
		want.Resync(last)
		if got, want := shown(v.State()), shown(want.State()); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

// TestEventsAfterAStatus delivers a status and the events around it in any order:
// what is shown is what has happened, neither less nor twice.
func TestEventsAfterAStatus(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		from := rapid.IntRange(0, 60).Draw(t, "status")
		delivered := rapid.Permutation(append(slices.Clone(w.events), w.events...)).Draw(t, "order")
		v := view.New()
		v.Resync(w.status(from))
		for _, r := range delivered {
			v.Apply(r)
		}
		want := view.New()
		for _, r := range w.events {
			want.Apply(r)
		}
		if got, want := shown(v.State()), shown(want.State()); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

func TestOldEventUndoesNothing(t *testing.T) {
	t.Parallel()

	v := view.New()
	v.Resync(messages.Status{At: at(10), Epoch: 1, Instances: []messages.InstanceStatus{{Instance: "i-1", Condition: messages.ConditionBusy, Task: "t"}}})
	for _, old := range []messages.Event{
		messages.InstanceIdle{Instance: "i-1"},
		messages.InstanceGone{Instance: "i-1"},
		messages.InstanceLaunched{Instance: "i-2"},
	} {
		if v.Apply(recorded(1, 9, old)) {
			t.Errorf("%s from before the status was taken in", old.Kind())
		}
	}
	if got := v.State().Instances; len(got) != 1 || got["i-1"].Condition != messages.ConditionBusy {
		t.Errorf("got %+v", got)
	}
	if v.Resync(messages.Status{At: at(9), Epoch: 1}) {
		t.Error("an older status was taken in")
	}
	if !v.Resync(messages.Status{At: at(9), Epoch: 2}) || len(v.State().Instances) != 0 {
		t.Error("the status of a later owner was not taken in")
	}
}

func TestGoneStaysGone(t *testing.T) {
	t.Parallel()

	v := view.New()
	v.Apply(recorded(1, 1, messages.InstanceLaunched{Instance: "i-1", Resource: "r"}))
	v.Apply(recorded(2, 2, messages.InstanceGone{Instance: "i-1", Resource: "r"}))
	v.Apply(recorded(3, 3, messages.InstanceIdle{Instance: "i-1", Resource: "r"}))
	if got := v.State().Instances; len(got) != 0 {
		t.Errorf("a later event revived it: %+v", got)
	}
	v.Resync(messages.Status{At: at(3), Epoch: 1})
	v.Apply(recorded(4, 4, messages.InstanceBusy{Instance: "i-1", Resource: "r"}))
	if got := v.State().Instances; len(got) != 0 {
		t.Errorf("an event after a status revived it: %+v", got)
	}
	v.Resync(messages.Status{At: at(5), Epoch: 1, Instances: []messages.InstanceStatus{{Instance: "i-1", Condition: messages.ConditionIdle}}})
	if got := v.State().Instances; len(got) != 1 {
		t.Errorf("a status knows better, got %+v", got)
	}
}

func TestSilentIsNotEmpty(t *testing.T) {
	t.Parallel()

	v := view.New()
	v.Resync(messages.Status{
		At: at(1), Epoch: 1, Queues: []messages.QueueStatus{{Queue: "gpu", Waiting: 3, Known: true}},
		Resources: []messages.ResourceStatus{{Resource: "r", Max: 4}}, Instances: []messages.InstanceStatus{{Instance: "i-1", Resource: "r"}},
	})
	v.Resync(messages.Status{At: at(2), Epoch: 1, Silent: []string{"queue gpu", "resource r"}})
	s := v.State()
	if s.Queues["gpu"].Waiting != 3 || s.Resources["r"].Max != 4 || len(s.Instances) != 1 {
		t.Errorf("what did not answer is not there any more: %+v", s)
	}
}

// TestWithoutStatus holds that events alone do not grow without bound, and that the
// newest of them count.
func TestWithoutStatus(t *testing.T) {
	t.Parallel()

	v := view.New()
	v.Apply(recorded(0, 0, messages.InstanceLaunched{Instance: "i-1", Resource: "r"}))
	for n := 1; n <= 20000; n++ {
		v.Apply(recorded(n, n, messages.QueueObserved{Queue: "gpu", Waiting: n}))
	}
	if s := v.State(); s.Queues["gpu"].Waiting != 20000 || len(s.Instances) != 1 {
		t.Errorf("got %d waiting and %d instances", s.Queues["gpu"].Waiting, len(s.Instances))
	}
	if v.Apply(recorded(1, 1, messages.QueueObserved{Queue: "gpu", Waiting: 1})) {
		t.Error("an event from long before was taken in")
	}
}

func TestLaunchesInFlight(t *testing.T) {
	t.Parallel()

	v := view.New()
	v.Apply(recorded(1, 1, messages.InstanceRequested{Resource: "r", Request: "q", Count: 3, Max: 9}))
	v.Apply(recorded(2, 2, messages.InstanceLaunched{Instance: "i-1", Resource: "r"}))
	retry := at(100)
	spot := messages.Offering{Market: messages.Spot, InstanceType: "g5.xlarge"}
	v.Apply(recorded(3, 3, messages.InstanceRefused{Resource: "r", Offering: spot, Count: 1, Class: messages.ClassNoCapacity, RetryAt: retry}))
	r := v.State().Resources["r"]
	if r.Alive != 2 || r.Launching != 1 || r.Max != 9 || len(r.Blocks) != 1 || !r.Blocks[0].Until.Equal(retry) {
		t.Errorf("got %+v", r)
	}
	v.Apply(recorded(4, 4, messages.InstanceGone{Instance: "i-1", Resource: "r"}))
	if r := v.State().Resources["r"]; r.Alive != 1 {
		t.Errorf("got %+v after its end", r)
	}
}

// A rival is known from the event, or a status, until one says that it is none.
func TestRival(t *testing.T) {
	t.Parallel()

	v := view.New()
	for n, step := range []struct {
		event messages.Event
		known bool
	}{
		{messages.AutoscalerContested{Epoch: 7, Queue: "q", Holds: true}, true},
		{messages.AutoscalerUncontested{}, false},
		{messages.AutoscalerContested{Epoch: 8, Queue: "q"}, true},
		{messages.AutoscalerStarted{Holder: "h"}, false}, // it has looked for none yet
	} {
		v.Apply(recorded(n+1, n+1, step.event))
		if s := v.State(); (s.Rival != nil) != step.known {
			t.Errorf("after %+v the rival is %+v", step.event, s.Rival)
		}
	}
}

func TestOutageAndPause(t *testing.T) {
	t.Parallel()

	v := view.New()
	v.Apply(recorded(1, 1, messages.ObservationFailed{Source: "ec2", Class: messages.ClassThrottled, Message: "slow down"}))
	v.Apply(recorded(2, 2, messages.ObservationFailed{Source: "ec2", Class: messages.ClassTransient}))
	v.Apply(recorded(3, 3, messages.AutoscalerPaused{By: "ana", Why: "data"}))
	s := v.State()
	if !s.EC2.DownSince.Equal(at(1)) || s.EC2.Class != messages.ClassTransient || s.Pause == nil || s.Pause.By != "ana" {
		t.Errorf("got %+v %+v", s.EC2, s.Pause)
	}
	v.Apply(recorded(4, 4, messages.ObservationRecovered{Source: "ec2"}))
	v.Apply(recorded(5, 5, messages.AutoscalerResumed{}))
	if s := v.State(); !s.EC2.DownSince.IsZero() || s.Pause != nil {
		t.Errorf("got %+v %+v after the recovery", s.EC2, s.Pause)
	}
}

func TestWaitGoesOn(t *testing.T) {
	t.Parallel()

	v := view.New()
	v.Apply(recorded(1, 10, messages.QueueObserved{Queue: "gpu", Waiting: 2, OldestWaitSeconds: 30}))
	tasks, oldest := v.State().Waiting(at(15))
	if tasks != 2 || oldest != 35*time.Second {
		t.Errorf("got %d tasks and %s", tasks, oldest)
	}
}
