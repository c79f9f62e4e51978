package decide_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// counts is what a plan launches, by resource type.
func counts(plan decide.Plan) map[messages.ResourceName]int {
	result := map[messages.ResourceName]int{}
	for _, launch := range plan.Launches {
		result[launch.Resource] += launch.Count
	}
	return result
}

// The arithmetic that other autoscalers get wrong: a need of five is five, with
// several resource types, too.
func TestFiveTasksLaunchFive(t *testing.T) {
	t.Parallel()
	type types = map[messages.ResourceName]int
	cases := []struct {
		name  string
		max   [3]int
		alive [3]messages.Capacity
		want  types
	}{
		{name: "first type full, rest from the second", max: [3]int{3, 5}, want: types{"a": 3, "b": 2}},
		{name: "room for many more", max: [3]int{3, 10}, want: types{"a": 3, "b": 2}},
		{name: "three types", max: [3]int{4, 4, 4}, want: types{"a": 4, "b": 1}},
		{name: "first type is enough", max: [3]int{5, 5, 5}, want: types{"a": 5}},
		{name: "not enough at all", max: [3]int{1, 1, 1}, want: types{"a": 1, "b": 1, "c": 1}},
		{name: "no room", max: [3]int{0, 0, 0}, want: types{}},
		{
			name: "booting instances count", max: [3]int{3, 5},
			alive: [3]messages.Capacity{{Alive: 2, Coming: 2}}, want: types{"a": 1, "b": 2},
		},
		{
			name: "so do launches in flight of any type", max: [3]int{3, 5, 5},
			alive: [3]messages.Capacity{{}, {}, {Alive: 4, Coming: 4}}, want: types{"a": 1},
		},
		{
			name: "and idle ones", max: [3]int{3, 5},
			alive: [3]messages.Capacity{{Alive: 1, Idle: idle("a", 1, 1)}, {Alive: 1, Idle: idle("b", 1, 0)}},
			want:  types{"a": 2, "b": 1},
		},
		{
			name: "busy ones take room and no task", max: [3]int{3, 5},
			alive: [3]messages.Capacity{{Alive: 3}}, want: types{"b": 5},
		},
		{
			name: "vanished workers take room and no task", max: [3]int{3, 2},
			alive: [3]messages.Capacity{{Alive: 2}}, want: types{"a": 1, "b": 2},
		},
		{
			name: "more alive than the maximum", max: [3]int{3, 5},
			alive: [3]messages.Capacity{{Alive: 7}}, want: types{"b": 5},
		},
		{
			name: "what is idle or coming is alive, whatever else is said", max: [3]int{3, 5},
			alive: [3]messages.Capacity{{Alive: 1, Coming: 2, Idle: idle("a", 1, 0)}}, want: types{"b": 2},
		},
		{
			name: "everything covered", max: [3]int{3, 5},
			alive: [3]messages.Capacity{{Alive: 2, Coming: 2}, {Alive: 3, Idle: idle("b", 3, 3)}}, want: types{},
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			for r, name := range []messages.ResourceName{"a", "b", "c"} {
				w.resource(name, tc.max[r], tc.alive[r])
			}
			w.queue("gpu", 5, "a", "b", "c")
			plan := w.evaluate()
			if got := counts(plan); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("launches %v, want %v", got, tc.want)
			}
			for _, breach := range w.check(plan) {
				t.Error(breach)
			}
		})
	}
}

// A task of a queue that can only use one type gets it, and the queue that has
// a choice moves on: in covering and in launching, over several steps.
func TestChoiceMovesOn(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.resource("a", 1, messages.Capacity{})
	w.resource("b", 1, messages.Capacity{})
	w.resource("c", 2, messages.Capacity{Alive: 1, Idle: idle("c", 1, 1)})
	w.queue("wide", 1, "a", "b")
	w.queue("middle", 1, "b", "c")
	w.queue("narrow", 1, "a")
	w.queue("last", 1, "c")
	plan := w.evaluate()
	if got, want := counts(plan), (map[messages.ResourceName]int{"a": 1, "b": 1, "c": 1}); !reflect.DeepEqual(got, want) {
		t.Errorf("launches %v, want %v", got, want)
	}
	if len(plan.Drains) > 0 {
		t.Errorf("drains %v, which is needed", plan.Drains)
	}
	for _, verdict := range plan.Verdicts {
		if verdict.Unmet > 0 {
			t.Errorf("queue %s gets nothing", verdict.Queue)
		}
	}
}

// Only as many tasks move on as there are to move.
func TestChoiceMovesOnAsFarAsItGoes(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.resource("a", 3, messages.Capacity{})
	w.resource("b", 5, messages.Capacity{})
	w.queue("wide", 1, "a", "b")
	w.queue("narrow", 2, "a")
	w.queue("last", 3, "a")
	plan := w.evaluate()
	if got, want := counts(plan), (map[messages.ResourceName]int{"a": 3, "b": 1}); !reflect.DeepEqual(got, want) {
		t.Errorf("launches %v, want %v", got, want)
	}
	if got := plan.Verdicts[2]; got.Launching != 1 || got.Unmet != 2 {
		t.Errorf("verdict %+v, want one launching and two unmet", got)
	}
}

// The verdict on a queue speaks of its own resource types: what is launched for
// a queue can serve it.
func TestVerdictNamesWhoIsLaunchedFor(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.resource("a", 1, messages.Capacity{Alive: 1, Idle: idle("a", 1, 0)})
	w.resource("b", 1, messages.Capacity{})
	w.queue("wide", 1, "a", "b")
	w.queue("narrow", 1, "a")
	want := []messages.QueuePlanned{
		{Queue: "wide", Waiting: 1, Launching: 1},
		{Queue: "narrow", Waiting: 1, Covered: 1},
	}
	if got := w.evaluate().Verdicts; !reflect.DeepEqual(got, want) {
		t.Errorf("verdicts %+v, want %+v", got, want)
	}
}

func TestEveryUnmetTaskHasItsReason(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name      string
		capacity  messages.Capacity
		max       int
		types     []messages.ResourceName
		waiting   int // one if zero
		launching int
		want      messages.Reason
	}{
		{
			name: "at max", max: 2, types: []messages.ResourceName{"a"}, capacity: messages.Capacity{Known: true, Alive: 2},
			want: messages.Reason{
				Code: messages.ReasonAtMax, Subject: "a", Got: 2, Limit: 2,
				Detail: "2 of at most 2 instances exist, are on their way or are launched now",
			},
		},
		{
			name: "blocked", max: 2, types: []messages.ResourceName{"a"},
			capacity: messages.Capacity{Known: true, Block: messages.ClassQuota, BlockedUntil: noon().Add(90 * time.Second)},
			want: messages.Reason{
				Code: messages.ReasonBlocked, Subject: "a", Limit: 2, Detail: "quota; asked again in 1m30s",
			},
		},
		{
			name: "one is tried", max: 2, types: []messages.ResourceName{"a"},
			capacity: messages.Capacity{Known: true, LaunchLimit: 1, Block: messages.ClassQuota},
			waiting:  2, launching: 1,
			want: messages.Reason{
				Code: messages.ReasonBlocked, Subject: "a", Got: 1, Limit: 2,
				Detail: "quota; only 1 instance may be launched until it is known whether that works again",
			},
		},
		{
			name: "one is tried, nobody says why", max: 3, types: []messages.ResourceName{"a"},
			capacity: messages.Capacity{Known: true, LaunchLimit: 2},
			waiting:  3, launching: 2,
			want: messages.Reason{
				Code: messages.ReasonBlocked, Subject: "a", Got: 2, Limit: 3,
				Detail: "only 2 instances may be launched until it is known whether that works again",
			},
		},
		{
			name: "fleet unknown", max: 2, types: []messages.ResourceName{"a"},
			capacity: messages.Capacity{Alive: 7, Coming: 7},
			want: messages.Reason{
				Code: messages.ReasonFleetUnknown, Subject: "a", Limit: 2, Detail: "EC2 has not been listed completely yet",
			},
		},
		{
			name: "no resource type", types: []messages.ResourceName{"gone"}, capacity: messages.Capacity{Known: true},
			want: messages.Reason{
				Code: messages.ReasonNoResource, Subject: "gpu", Detail: "no configured resource type serves this queue",
			},
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.resource("a", tc.max, messages.Capacity{})
			w.view.Capacity["a"] = tc.capacity
			w.queue("gpu", max(1, tc.waiting), tc.types...)
			plan := w.evaluate()
			want := []messages.QueuePlanned{{
				Queue: "gpu", Waiting: max(1, tc.waiting), Launching: tc.launching, Unmet: 1, Reasons: []messages.Reason{tc.want},
			}}
			if !reflect.DeepEqual(plan.Verdicts, want) || launched(plan) != tc.launching {
				t.Errorf("plan %+v, want verdicts %+v", plan, want)
			}
		})
	}
}

// What is launched in place of instances that EC2 takes back says so, and what
// is free or coming already needs no launch.
func TestReplacements(t *testing.T) {
	t.Parallel()
	taken := func(want, got int64, detail string) messages.Reason {
		return messages.Reason{Code: messages.ReasonInterrupted, Want: want, Got: got, Limit: 5, Detail: detail}
	}
	tasks := messages.Reason{
		Code: messages.ReasonWaitingTasks, Want: 2, Got: 1, Limit: 5,
		Detail: "2 waiting tasks for this type, 1 instance free or coming",
	}
	cases := []struct {
		name     string
		capacity messages.Capacity
		waiting  int
		launches int
		recalls  int
		reasons  []messages.Reason
	}{
		{
			name: "one", capacity: messages.Capacity{Alive: 1, Extra: 1}, launches: 1,
			reasons: []messages.Reason{taken(1, 0, "EC2 takes back 1 instance with a task, 0 instances free or coming in place")},
		},
		{name: "on its way", capacity: messages.Capacity{Alive: 2, Coming: 1, Extra: 1}},
		{name: "idle, and so kept", capacity: messages.Capacity{Alive: 2, Idle: idle("a", 1, 1), Extra: 1}},
		{name: "taken back", capacity: messages.Capacity{Alive: 2, Recallable: ids("a", "back", 1), Extra: 1}, recalls: 1},
		{
			name: "beside waiting tasks", capacity: messages.Capacity{Alive: 2, Coming: 1, Extra: 2}, waiting: 2, launches: 3,
			reasons: []messages.Reason{tasks, taken(2, 0, "EC2 takes back 2 instances with a task, 0 instances free or coming in place")},
		},
		{
			name: "after waiting tasks", capacity: messages.Capacity{Alive: 4, Coming: 1, Extra: 2}, waiting: 2, launches: 1,
			reasons: []messages.Reason{tasks},
		},
		{name: "no room", capacity: messages.Capacity{Alive: 5, Extra: 2}},
		{name: "less than none", capacity: messages.Capacity{Alive: 1, Extra: -2}},
		{
			name: "as far as may be tried", capacity: messages.Capacity{Alive: 1, Extra: 3, LaunchLimit: 1}, launches: 1,
			reasons: []messages.Reason{taken(3, 0, "EC2 takes back 3 instances with a task, 0 instances free or coming in place")},
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.resource("a", 5, tc.capacity)
			w.queue("gpu", tc.waiting, "a")
			plan := w.evaluate()
			if launched(plan) != tc.launches || recalled(plan) != tc.recalls || len(plan.Drains) > 0 {
				t.Fatalf("plan %+v, want %d launches and %d taken back", plan, tc.launches, tc.recalls)
			}
			if tc.launches > 0 && !reflect.DeepEqual(plan.Launches[0].Reasons, tc.reasons) {
				t.Errorf("reasons %+v, want %+v", plan.Launches[0].Reasons, tc.reasons)
			}
			for _, breach := range w.check(plan) {
				t.Error(breach)
			}
		})
	}
}

// What is over the maximum goes: idle instances first, expired or not, then the
// busy ones that were launched last. What is leaving already is not counted.
func TestSurplusGoes(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		max      int
		capacity messages.Capacity
		want     []decide.Drain
	}{
		{
			name: "idle, then busy", max: 1,
			capacity: messages.Capacity{Alive: 4, Idle: idle("a", 2, 0), Busy: ids("a", "busy", 2)},
			want: []decide.Drain{{Instances: []messages.InstanceID{"i-a-0", "i-a-1", "i-a-busy-0"}, Reasons: []messages.Reason{{
				Code: messages.ReasonOverMax, Got: 4, Limit: 1,
				Detail: "4 instances, at most 1 may be; running tasks are finished first",
			}}}},
		},
		{
			name: "the expired ones for their own reason", max: 1,
			capacity: messages.Capacity{Alive: 3, Idle: idle("a", 3, 1)},
			want: []decide.Drain{
				{Instances: []messages.InstanceID{"i-a-0"}, Reasons: []messages.Reason{{
					Code: messages.ReasonIdle, Got: 3, Detail: "3 idle, 0 of them needed",
				}}},
				{Instances: []messages.InstanceID{"i-a-1"}, Reasons: []messages.Reason{{
					Code: messages.ReasonOverMax, Got: 3, Limit: 1,
					Detail: "3 instances, at most 1 may be; running tasks are finished first",
				}}},
			},
		},
		{
			name: "what is coming counts and cannot go yet", max: 2,
			capacity: messages.Capacity{Alive: 4, Coming: 3, Idle: idle("a", 1, 0)},
			want: []decide.Drain{{Instances: []messages.InstanceID{"i-a-0"}, Reasons: []messages.Reason{{
				Code: messages.ReasonOverMax, Got: 4, Limit: 2,
				Detail: "4 instances, at most 2 may be; running tasks are finished first",
			}}}},
		},
		{name: "leaving already", max: 2, capacity: messages.Capacity{Alive: 5, Busy: ids("a", "busy", 2), Recallable: ids("a", "back", 3)}},
		{name: "nobody knows what they do", max: 2, capacity: messages.Capacity{Alive: 5, Busy: ids("a", "busy", 2)}},
		{
			name: "retired", max: 0,
			capacity: messages.Capacity{Alive: 3, Idle: idle("a", 2, 2), Busy: ids("a", "busy", 1)},
			want: []decide.Drain{
				{Instances: []messages.InstanceID{"i-a-0", "i-a-1"}, Reasons: []messages.Reason{{
					Code: messages.ReasonIdle, Got: 2, Detail: "2 idle, 0 of them needed",
				}}},
				{Instances: []messages.InstanceID{"i-a-busy-0"}, Reasons: []messages.Reason{{
					Code: messages.ReasonOverMax, Got: 3,
					Detail: "3 instances, at most 0 may be; running tasks are finished first",
				}}},
			},
		},
		{
			name: "a maximum below zero is none", max: -1, capacity: messages.Capacity{Alive: 1, Busy: ids("a", "busy", 1)},
			want: []decide.Drain{{Instances: ids("a", "busy", 1), Reasons: []messages.Reason{{
				Code: messages.ReasonOverMax, Got: 1, Detail: "1 instance, at most 0 may be; running tasks are finished first",
			}}}},
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.resource("a", tc.max, tc.capacity)
			plan := w.evaluate()
			for i := range tc.want {
				tc.want[i].Resource = "a"
			}
			if !reflect.DeepEqual(plan.Drains, tc.want) || len(plan.Launches)+len(plan.Recalls) > 0 {
				t.Errorf("plan %+v, want drains %+v", plan, tc.want)
			}
			for _, breach := range w.check(plan) {
				t.Error(breach)
			}
		})
	}
}

// What is named twice is there once: nothing is launched twice or said twice.
func TestNamesThatAreThereTwice(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.resource("a", 3, messages.Capacity{Alive: 1, Idle: idle("a", 1, 1)})
	w.resource("a", 9, messages.Capacity{Alive: 1, Idle: idle("a", 1, 1)})
	w.queue("gpu", 4, "a", "a")
	w.queue("gpu", 4, "a")
	plan := w.evaluate()
	if got := launched(plan); got != 2 || len(plan.Drains) > 0 {
		t.Errorf("launches %d and drains %v, want 2 and none", got, plan.Drains)
	}
	want := messages.QueuePlanned{
		Queue: "gpu", Waiting: 4, Covered: 1, Launching: 2, Unmet: 1, Reasons: []messages.Reason{{
			Code: messages.ReasonAtMax, Subject: "a", Got: 3, Limit: 3,
			Detail: "3 of at most 3 instances exist, are on their way or are launched now",
		}},
	}
	if got := plan.Verdicts[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("verdict %+v, want %+v", got, want)
	}
	if got := plan.Verdicts[1]; !reflect.DeepEqual(got, messages.QueuePlanned{Queue: "gpu"}) {
		t.Errorf("the second entry has tasks: %+v", got)
	}
	for _, breach := range w.check(plan) {
		t.Error(breach)
	}
}

// A block that is over is no block, whoever forgot to say so.
func TestBlockEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.resource("a", 2, messages.Capacity{Block: messages.ClassNoCapacity, BlockedUntil: w.now})
	w.queue("gpu", 1, "a")
	if got := launched(w.evaluate()); got != 1 {
		t.Errorf("launches %d, want 1", got)
	}
}

func TestStalePollHolds(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		at     time.Time
		holds  bool
		detail string
	}{
		{name: "never polled", holds: true, detail: "no answer of the ClearML server yet"},
		{name: "just polled", at: noon()},
		{name: "at the limit", at: noon().Add(-maxAge)},
		{
			name: "over the limit", at: noon().Add(-maxAge - time.Second), holds: true,
			detail: "the last answer of the ClearML server is 2m1s old",
		},
		{name: "our clock was set back a little", at: noon().Add(time.Second)},
		{
			name: "our clock was set back a lot", at: noon().Add(time.Hour), holds: true,
			detail: "the last answer of the ClearML server is from 1h0m0s ahead of our clock",
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.view.SnapshotAt = tc.at
			w.resource("a", 3, messages.Capacity{Alive: 0})
			w.resource("b", 3, messages.Capacity{Alive: 1, Idle: idle("b", 1, 1)})
			w.queue("gpu", 2, "a")
			plan := w.evaluate()
			for _, breach := range w.check(plan) {
				t.Error(breach)
			}
			if acted := len(plan.Launches) > 0 && len(plan.Drains) > 0; acted == tc.holds {
				t.Errorf("holds: %t, plan %+v", tc.holds, plan)
			}
			if !tc.holds {
				return
			}
			verdict := plan.Verdicts[0]
			if verdict.Unmet != 2 || len(verdict.Reasons) != 1 {
				t.Fatalf("verdict %+v", verdict)
			}
			if reason := verdict.Reasons[0]; reason.Code != messages.ReasonStale || !strings.Contains(reason.Detail, tc.detail) {
				t.Errorf("reason %+v, want %q", reason, tc.detail)
			}
		})
	}
}
