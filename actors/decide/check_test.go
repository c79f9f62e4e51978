package decide_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// checkedWorld has a plan with a bit of everything: type a launches two, b
// drains two of its three idle instances, c is full, d takes one of its two
// draining instances back, and e has two too many: the idle one and one of the
// busy ones go.
func checkedWorld() *world {
	w := newWorld()
	w.resource("a", 3, messages.Capacity{Alive: 1})
	w.resource("b", 5, messages.Capacity{Alive: 3, Idle: idle("b", 3, 2)})
	w.resource("c", 1, messages.Capacity{Alive: 1})
	w.queue("one", 2, "a")
	w.queue("two", 1, "b")
	w.queue("three", 1, "c")
	w.resource("d", 2, messages.Capacity{Alive: 2, Recallable: ids("d", "back", 2)})
	w.queue("four", 1, "d")
	w.resource("e", 1, messages.Capacity{Alive: 3, Idle: idle("e", 1, 0), Busy: ids("e", "busy", 2)})
	return w
}

// Goal: the checker is awake. Method: plant each breach into a sound plan, or
// change the world under it, and look for the line that names it.
func TestCheckFindsEachBreach(t *testing.T) {
	t.Parallel()
	reasons := []messages.Reason{{Code: messages.ReasonIdle}}
	capacity := func(w *world, name messages.ResourceName, change func(*messages.Capacity)) {
		changed := w.view.Capacity[name]
		change(&changed)
		w.view.Capacity[name] = changed
	}
	cases := []struct {
		name  string
		plant func(w *world, plan *decide.Plan)
		want  string
	}{
		{"stale", func(w *world, _ *decide.Plan) { w.now = w.now.Add(time.Hour) }, "acts on a stale snapshot"},
		{"never polled", func(w *world, _ *decide.Plan) { w.view.SnapshotAt = time.Time{} }, "acts on a stale snapshot"},
		{"one too many", func(_ *world, plan *decide.Plan) { plan.Launches[0].Count++ }, "launches 3 of a with 1 alive of at most 3"},
		{"in two halves", func(_ *world, plan *decide.Plan) {
			plan.Launches = append(plan.Launches, decide.Launch{Resource: "a", Count: 1, Reasons: reasons})
		}, "launches 3 of a with 1 alive of at most 3"},
		{"limit lowered", func(w *world, _ *decide.Plan) { w.policy.Resources[0].Max = 2 }, "launches 2 of a with 1 alive of at most 2"},
		{"type not configured", func(w *world, _ *decide.Plan) { w.policy.Resources[0].Name = "x" }, "of at most 0"},
		{"zero", func(_ *world, plan *decide.Plan) { plan.Launches[0].Count = 0 }, "launches 0 of a"},
		{"fleet unknown", func(w *world, _ *decide.Plan) {
			capacity(w, "a", func(c *messages.Capacity) { c.Known = false })
		}, "launches a without knowing its instances"},
		{"blocked", func(w *world, _ *decide.Plan) {
			capacity(w, "a", func(c *messages.Capacity) { c.BlockedUntil = w.now.Add(time.Minute) })
		}, "launches a while no offering of it may be asked"},
		{"more than may be tried", func(w *world, _ *decide.Plan) {
			capacity(w, "a", func(c *messages.Capacity) { c.LaunchLimit = 1 })
		}, "launches 2 of a, and 1 may be tried"},
		{"launch instead of taking back", func(w *world, _ *decide.Plan) {
			capacity(w, "a", func(c *messages.Capacity) { c.Recallable = ids("a", "back", 1) })
		}, "launches a instead of taking back what may be"},
		{"launch without reason", func(_ *world, plan *decide.Plan) { plan.Launches[0].Reasons = nil }, "launches a without a reason"},
		{"more than tasks", func(_ *world, plan *decide.Plan) {
			plan.Launches = append(plan.Launches, decide.Launch{Resource: "b", Count: 1, Reasons: reasons})
		}, "launches 3 instances for 2 uncovered tasks"},
		{"fewer than tasks", func(_ *world, plan *decide.Plan) { plan.Launches[0].Count-- }, "launches 1 instances for 2 uncovered tasks"},
		{"for nobody", func(_ *world, plan *decide.Plan) { plan.Launches[0].Resource = "b" }, "launches 2 of b for 0 tasks that it serves and 0 replacements"},
		{"more than replacements", func(w *world, plan *decide.Plan) {
			capacity(w, "b", func(c *messages.Capacity) { c.Extra = 1 })
			plan.Launches = append(plan.Launches, decide.Launch{Resource: "b", Count: 2, Reasons: reasons})
		}, "launches 2 of b for 0 tasks that it serves and 1 replacements"},
		{"taking back of unknown", func(w *world, _ *decide.Plan) {
			capacity(w, "d", func(c *messages.Capacity) { c.Known = false })
		}, "takes d back without knowing its instances"},
		{"taking back while draining", func(_ *world, plan *decide.Plan) {
			plan.Drains = append(plan.Drains, decide.Drain{Resource: "d", Instances: ids("d", "back", 1), Reasons: reasons})
		}, "takes back and drains d at once"},
		{"taking back too many", func(w *world, _ *decide.Plan) { w.policy.Resources[3].Max = 0 }, "takes 1 of d back, at most 0 may be"},
		{"taking back what is not there", func(_ *world, plan *decide.Plan) {
			plan.Recalls[0].Instances[0] = "i-9"
		}, "takes i-9 of d back, which is not drained for being idle"},
		{"taking back twice", func(_ *world, plan *decide.Plan) {
			plan.Recalls = append(plan.Recalls, plan.Recalls[0])
		}, "takes i-d-back-0 of d back, which is not drained for being idle or taken back already"},
		{"taking back for nobody", func(_ *world, plan *decide.Plan) {
			plan.Recalls[0].Instances = ids("d", "back", 2)
		}, "takes 2 of d back for 1 tasks that it serves and 0 replacements"},
		{"taking back without reason", func(_ *world, plan *decide.Plan) { plan.Recalls[0].Reasons = nil }, "takes d back without a reason"},
		{"taking back left out", func(_ *world, plan *decide.Plan) {
			plan.Recalls, plan.Verdicts[3].Covered, plan.Verdicts[3].Unmet = nil, 0, 1
		}, "leaves tasks of queue four although instances of d may be taken back"},
		{"surplus left", func(_ *world, plan *decide.Plan) {
			plan.Drains[1].Instances = plan.Drains[1].Instances[:1]
		}, "drains 1 of e with 2 over its maximum"},
		{"more than the surplus", func(_ *world, plan *decide.Plan) {
			plan.Drains[1].Instances = append(plan.Drains[1].Instances, "i-e-busy-1")
		}, "drains 3 of e for being over its maximum by 2"},
		{"busy before idle", func(_ *world, plan *decide.Plan) {
			plan.Drains[1].Instances = ids("e", "busy", 2)
		}, "drains busy instances of e before idle ones"},
		{"busy without surplus", func(w *world, plan *decide.Plan) {
			capacity(w, "b", func(c *messages.Capacity) { c.Busy = ids("b", "busy", 1) })
			plan.Drains[0].Instances[0] = "i-b-busy-0"
		}, "drains i-b-busy-0 of b, which is not idle"},
		{"drain of unknown", func(w *world, _ *decide.Plan) {
			capacity(w, "b", func(c *messages.Capacity) { c.Known = false })
		}, "drains b without knowing its instances"},
		{"drain while launching", func(_ *world, plan *decide.Plan) {
			plan.Launches = append(plan.Launches, decide.Launch{Resource: "b", Count: 1, Reasons: reasons})
		}, "launches and drains b at once"},
		{"not expired", func(_ *world, plan *decide.Plan) { plan.Drains[0].Instances[0] = "i-b-2" }, "drains i-b-2 of b, which is not idle"},
		{"not there", func(_ *world, plan *decide.Plan) { plan.Drains[0].Instances[0] = "i-9" }, "drains i-9 of b, which is not idle"},
		{"twice", func(_ *world, plan *decide.Plan) { plan.Drains[0].Instances[0] = "i-b-1" }, "drains i-b-1 of b, which is not idle"},
		{"twice in two entries", func(_ *world, plan *decide.Plan) {
			plan.Drains = append(plan.Drains, plan.Drains[0])
		}, "drains i-b-0 of b, which is not idle for long enough or drained already"},
		{"of another type", func(_ *world, plan *decide.Plan) {
			plan.Drains = append(plan.Drains, decide.Drain{
				Resource: "c", Instances: []messages.InstanceID{"i-b-1"}, Reasons: reasons,
			})
		}, "drains i-b-1 of c, which is not idle"},
		{"drain without reason", func(_ *world, plan *decide.Plan) { plan.Drains[0].Reasons = nil }, "drains b without a reason"},
		{"covering one", func(w *world, plan *decide.Plan) {
			capacity(w, "b", func(c *messages.Capacity) { c.Idle[2].Expired = true })
			plan.Drains[0].Instances = append(plan.Drains[0].Instances, "i-b-2")
		}, "covers 2 tasks with the 1 instances that stay"},
		{"verdict missing", func(_ *world, plan *decide.Plan) { plan.Verdicts = plan.Verdicts[1:] }, "has 3 verdicts for 4 queues"},
		{"verdicts swapped", func(_ *world, plan *decide.Plan) { slices.Reverse(plan.Verdicts) }, "the verdict on queue one speaks of 1 tasks of queue four"},
		{"wrong demand", func(w *world, _ *decide.Plan) { w.view.Demand["two"] = 2 }, "the verdict on queue two speaks of 1 tasks of queue two, and 2 wait"},
		{"wrong sum", func(_ *world, plan *decide.Plan) { plan.Verdicts[1].Covered++ }, "the verdict on queue two does not add up"},
		{"negative", func(_ *world, plan *decide.Plan) {
			plan.Verdicts[1].Covered, plan.Verdicts[1].Unmet = 2, -1
		}, "the verdict on queue two does not add up"},
		{"no reason", func(_ *world, plan *decide.Plan) { plan.Verdicts[2].Reasons = nil }, "1 tasks of queue three are left without a reason"},
		{"room left", func(w *world, _ *decide.Plan) { w.policy.Resources[2].Max = 2 }, "leaves tasks of queue three although c has room"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := checkedWorld()
			plan := w.evaluate()
			if breaches := w.check(plan); len(breaches) > 0 {
				t.Fatalf("before anything is planted: %q", breaches)
			}
			tc.plant(w, &plan)
			breaches := w.check(plan)
			if !slices.ContainsFunc(breaches, func(breach string) bool { return strings.Contains(breach, tc.want) }) {
				t.Errorf("breaches %q, want one with %q", breaches, tc.want)
			}
		})
	}
}
