package decide_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// Goal: no plan breaks a law. Method: the checker on random worlds, and the
// two laws that money hangs on once more in other words.
func TestEveryPlanIsSound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := withExtra(t, drawn(5).Draw(t, "world"))
		if rapid.Bool().Draw(t, "odd age") {
			w.view.SnapshotAt = w.now.Add(-time.Duration(rapid.IntRange(-400, 400).Draw(t, "age")) * time.Second)
		}
		if rapid.Bool().Draw(t, "held") {
			w.policy.Hold = messages.Reason{Code: messages.ReasonPaused}
		}
		plan := w.evaluate()
		for _, breach := range w.check(plan) {
			t.Errorf("breach: %s", breach)
		}
		for _, launch := range plan.Launches {
			limit := w.policy.Resources[slices.IndexFunc(w.policy.Resources, func(r decide.ResourcePolicy) bool {
				return r.Name == launch.Resource
			})].Max
			if total := w.view.Capacity[launch.Resource].Alive + launch.Count; total > limit {
				t.Errorf("%s would have %d instances, at most %d may be", launch.Resource, total, limit)
			}
			if limit := w.view.Capacity[launch.Resource].LaunchLimit; limit > 0 && launch.Count > limit {
				t.Errorf("%s launches %d, at most %d may be tried", launch.Resource, launch.Count, limit)
			}
		}
		wanted := 0
		for _, verdict := range plan.Verdicts {
			wanted += verdict.Waiting - verdict.Covered
		}
		for _, capacity := range w.view.Capacity {
			wanted += capacity.Extra
		}
		if launched(plan) > wanted {
			t.Errorf("%d launches for %d uncovered tasks and replacements", launched(plan), wanted)
		}
	})
}

// Goal: as many tasks as possible are served, with as few launches as possible,
// and with as few instances taken back as that needs.
// Method: compare with an oracle that tries everything.
func TestNoPlanIsBetter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawn(oracleTypes).Draw(t, "world")
		plan := w.evaluate()
		if got, want := (outcome{served(plan), launched(plan), recalled(plan)}), best(w); got != want {
			t.Errorf("the plan is %+v, and %+v was possible", got, want)
		}
	})
}

// Goal: what is covered was possible without a launch, and no less than that.
// Method: the oracle on the world in which nothing may be launched.
func TestNothingCoversMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawn(oracleTypes).Draw(t, "world")
		covered := 0
		for _, verdict := range w.evaluate().Verdicts {
			covered += verdict.Covered
		}
		if want := best(w.noLaunches()).served; covered != want {
			t.Errorf("covers %d tasks, and %d could be", covered, want)
		}
	})
}

func TestMoreDemandNeverMeansFewerLaunches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawn(5).Draw(t, "world")
		if len(w.policy.Queues) == 0 {
			return
		}
		more := w.clone()
		queue := rapid.SampledFrom(w.policy.Queues).Draw(t, "queue").Name
		more.view.Demand[queue] += rapid.IntRange(1, 4).Draw(t, "more")
		before, after := w.evaluate(), more.evaluate()
		if launched(after) < launched(before) || served(after) < served(before) {
			t.Errorf("more tasks in %s: %d launches and %d served became %d and %d",
				queue, launched(before), served(before), launched(after), served(after))
		}
	})
}

// Goal: the order of resource types in the policy means nothing; priority is
// the order inside a queue.
func TestOrderOfResourcesMeansNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := withExtra(t, drawn(5).Draw(t, "world"))
		shuffled := w.clone()
		shuffled.policy.Resources = rapid.Permutation(w.policy.Resources).Draw(t, "resources")
		before, after := w.evaluate(), shuffled.evaluate()
		slices.SortFunc(after.Launches, func(a, b decide.Launch) int { return compare(a.Resource, b.Resource) })
		slices.SortFunc(after.Recalls, func(a, b decide.Recall) int { return compare(a.Resource, b.Resource) })
		slices.SortStableFunc(after.Drains, func(a, b decide.Drain) int { return compare(a.Resource, b.Resource) })
		if !reflect.DeepEqual(before, after) {
			t.Errorf("another order of resource types, another plan:\n%+v\n%+v", before, after)
		}
	})
}

func compare(a, b messages.ResourceName) int { return len(a) - len(b) + int(a[1]) - int(b[1]) }

// Goal: the order of queues says who is served first when there is not enough,
// and never how many are.
func TestOrderOfQueuesKeepsTheTotals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawn(5).Draw(t, "world")
		shuffled := w.clone()
		if len(w.policy.Queues) > 0 {
			shuffled.policy.Queues = rapid.Permutation(w.policy.Queues).Draw(t, "queues")
		}
		before, after := w.evaluate(), shuffled.evaluate()
		if launched(before) != launched(after) || served(before) != served(after) {
			t.Errorf("another order of queues: %d launches and %d served became %d and %d",
				launched(before), served(before), launched(after), served(after))
		}
	})
}

// Goal: the first queue of the policy gets what it would get alone, once it is
// known what there is for it and for those that it shares with.
func TestFirstQueueComesFirst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawn(5).Draw(t, "world")
		if len(w.policy.Queues) == 0 || !w.sure(w.policy.Queues[0], map[messages.QueueName]bool{}) {
			return
		}
		alone := w.clone()
		alone.policy.Queues = alone.policy.Queues[:1]
		if got, want := w.evaluate().Verdicts[0].Unmet, alone.evaluate().Verdicts[0].Unmet; got != want {
			t.Errorf("the first queue has %d unmet tasks, alone %d", got, want)
		}
	})
}

func TestUnknownNeverActs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawn(5).Draw(t, "world")
		for _, resource := range w.policy.Resources {
			if !rapid.Bool().Draw(t, "unknown") {
				continue
			}
			capacity := w.view.Capacity[resource.Name]
			capacity.Known = false
			w.view.Capacity[resource.Name] = capacity
		}
		plan := w.evaluate()
		for _, launch := range plan.Launches {
			if !w.view.Capacity[launch.Resource].Known {
				t.Errorf("launches %s, whose instances are not known", launch.Resource)
			}
		}
		for _, recall := range plan.Recalls {
			if !w.view.Capacity[recall.Resource].Known {
				t.Errorf("takes %s back, whose instances are not known", recall.Resource)
			}
		}
		for _, drain := range plan.Drains {
			if !w.view.Capacity[drain.Resource].Known {
				t.Errorf("drains %s, whose instances are not known", drain.Resource)
			}
		}
		stale := w.clone()
		stale.view.SnapshotAt = w.now.Add(-maxAge - time.Duration(rapid.IntRange(1, 1000).Draw(t, "late")))
		if rapid.Bool().Draw(t, "never polled") {
			stale.view.SnapshotAt = time.Time{}
		}
		if plan := stale.evaluate(); len(plan.Launches)+len(plan.Recalls)+len(plan.Drains) > 0 {
			t.Errorf("acts on a stale poll: %+v", plan)
		}
	})
}

// Goal: only expired instances and the surplus go, longest idle first, and every
// task that was covered stays covered by what is left. Method: carry out all
// but the launches, forbid launching, and evaluate again.
func TestDrainsTakeNothingThatCovers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := withExtra(t, drawn(5).Draw(t, "world"))
		plan := w.evaluate()
		gone := map[messages.InstanceID]bool{}
		for _, drain := range plan.Drains {
			for _, id := range drain.Instances {
				gone[id] = true
			}
		}
		for _, resource := range w.policy.Resources {
			capacity, stays := w.view.Capacity[resource.Name], map[bool]bool{}
			tooMany := len(capacity.Idle)+capacity.Coming+len(capacity.Busy) > resource.Max
			for _, instance := range capacity.Idle {
				if !gone[instance.Instance] {
					stays[instance.Expired] = true
					continue
				}
				if !instance.Expired && !tooMany {
					t.Errorf("drains %s, which has not been idle for long enough", instance.Instance)
				}
				if stays[instance.Expired] {
					t.Errorf("drains %s before one that was idle for longer", instance.Instance)
				}
			}
			for _, id := range capacity.Busy {
				if gone[id] && (!tooMany || len(stays) > 0) {
					t.Errorf("drains %s, which is busy; too many: %t, some idle ones stay: %v", id, tooMany, stays)
				}
			}
		}
		left := w.apply(decide.Plan{Drains: plan.Drains, Recalls: plan.Recalls}).noLaunches()
		if before, after := served(w.noLaunches().evaluate()), served(left.evaluate()); before != after {
			t.Errorf("%d tasks were covered, after the drains %d", before, after)
		}
	})
}

// Goal: replacements take nothing from waiting tasks, and are launched as far as
// there is room and no more than wanted.
func TestReplacementsComeLast(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		without := drawn(5).Draw(t, "world")
		with := withExtra(t, without)
		before, after := without.evaluate(), with.evaluate()
		for q := range before.Verdicts {
			if a, b := before.Verdicts[q], after.Verdicts[q]; a.Unmet != b.Unmet {
				t.Errorf("queue %s has %d unmet tasks, and %d beside replacements", a.Queue, a.Unmet, b.Unmet)
			}
		}
		for _, resource := range with.policy.Resources {
			name, capacity := resource.Name, with.view.Capacity[resource.Name]
			if !capacity.Known || capacity.Extra == 0 {
				continue
			}
			alone := newWorld()
			alone.resource(name, resource.Max, capacity)
			spare := resource.Max - len(capacity.Idle) - capacity.Coming - len(capacity.Busy)
			free := max(0, len(capacity.Idle)+min(0, spare)) + capacity.Coming + min(len(capacity.Recallable), max(0, spare))
			room := max(0, resource.Max-capacity.Alive)
			if limit := capacity.LaunchLimit; limit > 0 {
				room = min(room, limit)
			}
			if with.now.Before(capacity.BlockedUntil) {
				room = 0
			}
			if got, want := launched(alone.evaluate()), min(room, max(0, capacity.Extra-free)); got != want {
				t.Errorf("%s alone launches %d for %d replacements, want %d", name, got, capacity.Extra, want)
			}
		}
	})
}

// Goal: nothing is launched while an instance of that type may be taken back.
func TestTakingBackComesBeforeLaunching(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := withExtra(t, drawn(5).Draw(t, "world"))
		plan := w.evaluate()
		back := map[messages.ResourceName]int{}
		for _, recall := range plan.Recalls {
			back[recall.Resource] += len(recall.Instances)
		}
		for name := range counts(plan) {
			if capacity := w.view.Capacity[name]; back[name] < len(capacity.Recallable) {
				t.Errorf("launches %s with %d of %d taken back", name, back[name], len(capacity.Recallable))
			}
		}
	})
}

// Goal: a pause keeps back launches and nothing else, and says so wherever it
// leaves tasks.
func TestAPauseOnlyKeepsLaunchesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := withExtra(t, drawn(5).Draw(t, "world"))
		free := w.evaluate()
		w.policy.Hold = messages.Reason{Code: messages.ReasonPaused, Detail: "by ana"}
		held := w.evaluate()
		if len(held.Launches) > 0 || recalled(held) != recalled(free) || !reflect.DeepEqual(held.Drains, free.Drains) {
			t.Errorf("paused %+v\nnot paused %+v", held, free)
		}
		for n, verdict := range held.Verdicts {
			if served := len(w.policy.Queues[n].Resources) > 0; verdict.Unmet > 0 && served &&
				!slices.Equal(verdict.Reasons, []messages.Reason{w.policy.Hold}) && verdict.Reasons[0].Code != messages.ReasonNoResource {
				t.Errorf("queue %s: reasons %+v", verdict.Queue, verdict.Reasons)
			}
		}
	})
}

// Goal: a plan is whole: carried out, it leaves nothing to do.
func TestCarriedOutPlanLeavesNothingToDo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := withExtra(t, drawn(5).Draw(t, "world"))
		plan := w.evaluate()
		after := w.apply(plan)
		again := after.evaluate()
		if len(again.Launches)+len(again.Recalls)+len(again.Drains) > 0 {
			t.Errorf("first %+v, then again %+v", plan, again)
		}
		if got, want := served(again), served(plan); got != want {
			t.Errorf("the plan serves %d tasks; carried out it covers %d", want, got)
		}
	})
}

func TestShiftingTimeChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := withExtra(t, drawn(5).Draw(t, "world"))
		w.view.SnapshotAt = w.now.Add(-time.Duration(rapid.IntRange(0, 200).Draw(t, "age")) * time.Second)
		by := time.Duration(rapid.Int64Range(-1e17, 1e17).Draw(t, "by"))
		later := w.clone()
		later.now = w.now.Add(by)
		later.view.SnapshotAt = w.view.SnapshotAt.Add(by)
		for name, capacity := range later.view.Capacity {
			for n := range capacity.Idle {
				capacity.Idle[n].Since = capacity.Idle[n].Since.Add(by)
			}
			if !capacity.BlockedUntil.IsZero() {
				capacity.BlockedUntil = capacity.BlockedUntil.Add(by)
			}
			later.view.Capacity[name] = capacity
		}
		if before, after := w.evaluate(), later.evaluate(); !reflect.DeepEqual(before, after) {
			t.Errorf("at another time, another plan:\n%+v\n%+v", before, after)
		}
	})
}

// Goal: Evaluate and Check answer whatever they are told, numbers that cannot
// be and names that are there twice included, and what cannot be is not
// launched for.
func TestAnyInputGivesASoundPlan(t *testing.T) {
	t.Parallel()
	number := rapid.IntRange(-3, 6)
	resource := rapid.SampledFrom([]messages.ResourceName{"a", "b", "c"})
	queue := rapid.SampledFrom([]messages.QueueName{"p", "q"})
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		for range rapid.IntRange(0, 5).Draw(t, "resources") {
			name := resource.Draw(t, "name")
			w.resource(name, number.Draw(t, "max"), messages.Capacity{
				Alive: number.Draw(t, "alive"), Coming: number.Draw(t, "coming"), Idle: idle(name, max(0, number.Draw(t, "idle")), 1),
				Busy: ids(name, "busy", max(0, number.Draw(t, "busy"))), Recallable: ids(name, "back", max(0, number.Draw(t, "back"))),
				Extra: number.Draw(t, "extra"), LaunchLimit: number.Draw(t, "limit"),
			})
		}
		for range rapid.IntRange(0, 4).Draw(t, "queues") {
			w.queue(queue.Draw(t, "name"), number.Draw(t, "waiting"), rapid.SliceOfN(resource, 0, 4).Draw(t, "types")...)
		}
		plan := w.evaluate()
		if breaches := w.check(plan); len(breaches) > 0 {
			t.Errorf("breaches %q of %+v", breaches, plan)
		}
		waiting := 0
		for _, tasks := range w.view.Demand {
			waiting += max(0, tasks)
		}
		for _, capacity := range w.view.Capacity {
			waiting += max(0, capacity.Extra)
		}
		if launched(plan) > waiting {
			t.Errorf("%d launches for %d tasks and replacements", launched(plan), waiting)
		}
	})
}
