package decide_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// TestScenarios runs the files of testdata; testdata/README.md says how to read
// and write them. After a change on purpose:
//
//	go test ./actors/decide -run Scenarios -rewrite
func TestScenarios(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		t.Helper()
		if !strings.HasSuffix(path, ".txt") || strings.Contains(path, "rescue") {
			return
		}
		t.Parallel()
		s := &scenario{now: noon(), fleet: map[string]*fleet{}}
		datadriven.RunTest(t, path, s.run)
	})
}

// scenario is a small world with names, in which steps happen.
type scenario struct {
	now      time.Time
	polledAt time.Time
	demand   map[messages.QueueName]int
	queues   []decide.QueuePolicy
	order    []string // of the resource types
	fleet    map[string]*fleet
	plan     decide.Plan
}

// fleet is what exists of one resource type.
type fleet struct {
	max       int
	maxIdle   time.Duration
	unknown   bool
	idle      []messages.IdleInstance
	busy      []messages.InstanceID // with a name, launched last first
	leaving   []messages.InstanceID // drained for being idle, may be taken back
	noticed   int
	counted   map[string]int // by state, of those that have no name
	offerings []messages.Offering
	fallback  decide.Fallback
	memory    decide.Memory
	asked     []messages.Offering // the answer is awaited, first first
}

// run carries out one step.
func (s *scenario) run(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	steps := map[string]func(*testing.T, *datadriven.TestData) string{
		"resource": s.resource, "queue": s.queue, "have": s.have, "idle": s.idle, "vanish": s.vanish,
		"listing": s.listing, "advance": s.advance, "evaluate": s.evaluate, "carry-out": s.carryOut,
		"register": s.register, "take": s.take, "refuse": s.refuse, "grant": s.grant, "throttle": s.throttle,
		"ask": s.ask, "busy": s.busy, "notice": s.notice, "end": s.end,
	}
	step, ok := steps[d.Cmd]
	if !ok {
		d.Fatalf(t, "no step is called %q", d.Cmd)
	}
	return step(t, d)
}

// of is the resource type that a step names.
func (s *scenario) of(t *testing.T, d *datadriven.TestData) *fleet {
	t.Helper()
	var name string
	d.ScanArgs(t, "resource", &name)
	f, ok := s.fleet[name]
	if !ok {
		d.Fatalf(t, "no resource type is called %q", name)
	}
	return f
}

func (s *scenario) resource(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var name string
	d.ScanArgs(t, "name", &name)
	f, ok := s.fleet[name]
	if !ok {
		f = &fleet{maxIdle: 10 * time.Minute, counted: map[string]int{}}
		s.fleet[name] = f
		s.order = append(s.order, name)
	}
	d.ScanArgs(t, "max", &f.max)
	d.MaybeScanArgs(t, "max-idle", &f.maxIdle)
	if ok {
		return "ok"
	}
	market, instanceType, zones := string(messages.OnDemand), "g5.xlarge", []string{""}
	d.MaybeScanArgs(t, "market", &market)
	d.MaybeScanArgs(t, "type", &instanceType)
	d.MaybeScanArgs(t, "zones", &zones)
	f.fallback.Enabled = d.HasArg("patience")
	d.MaybeScanArgs(t, "patience", &f.fallback.Patience)
	d.MaybeScanArgs(t, "blackout", &f.fallback.Blackout)
	for _, market := range []messages.Market{messages.Market(market), messages.OnDemand} {
		for _, zone := range zones {
			f.offerings = append(f.offerings, messages.Offering{Market: market, InstanceType: instanceType, Zone: zone})
		}
		if !f.fallback.Enabled {
			break
		}
	}
	return "ok"
}

func (s *scenario) queue(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var name string
	var types []string
	d.ScanArgs(t, "name", &name)
	d.ScanArgs(t, "resources", &types)
	queue := decide.QueuePolicy{Name: messages.QueueName(name)}
	for _, resource := range types {
		queue.Resources = append(queue.Resources, messages.ResourceName(resource))
	}
	s.queues = append(s.queues, queue)
	return "ok"
}

// have adds instances that are not idle: busy, booting, requested, vanished.
func (s *scenario) have(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	f := s.of(t, d)
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "resource":
		case "busy", "booting", "requested", "vanished":
			var count int
			arg.Scan(t, 0, &count)
			f.counted[arg.Key] += count
		default:
			d.Fatalf(t, "nothing can be %q", arg.Key)
		}
	}
	return "ok"
}

// idle adds an idle instance.
func (s *scenario) idle(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	f := s.of(t, d)
	var instance string
	var since time.Duration
	d.ScanArgs(t, "instance", &instance)
	d.MaybeScanArgs(t, "for", &since)
	f.idle = append(f.idle, messages.IdleInstance{Instance: messages.InstanceID(instance), Since: s.now.Add(-since)})
	return "ok"
}

// register ends the boot of instances: they are idle from now on.
func (s *scenario) register(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	f := s.of(t, d)
	var instances []string
	d.ScanArgs(t, "instances", &instances)
	for _, instance := range instances {
		f.leave(t, d, "booting", "requested")
		f.idle = append(f.idle, messages.IdleInstance{Instance: messages.InstanceID(instance), Since: s.now})
	}
	return "ok"
}

// leave takes one instance out of the first of the states that has one.
func (f *fleet) leave(t *testing.T, d *datadriven.TestData, states ...string) {
	t.Helper()
	for _, state := range states {
		if f.counted[state] > 0 {
			f.counted[state]--
			return
		}
	}
	d.Fatalf(t, "no instance is %s", strings.Join(states, " or "))
}

// take lets an idle instance take a task.
func (s *scenario) take(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	s.become(t, d, "busy")
	return "ok"
}

// vanish lets the worker of an idle instance fall silent.
func (s *scenario) vanish(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	s.become(t, d, "vanished")
	return "ok"
}

func (s *scenario) become(t *testing.T, d *datadriven.TestData, state string) {
	t.Helper()
	f := s.of(t, d)
	var instance string
	d.ScanArgs(t, "instance", &instance)
	before := len(f.idle)
	f.remove([]messages.InstanceID{messages.InstanceID(instance)})
	if len(f.idle) == before {
		d.Fatalf(t, "no instance %s is idle", instance)
	}
	f.counted[state]++
}

// busy adds busy instances with names, the one that was launched last first.
func (s *scenario) busy(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var instances []string
	d.ScanArgs(t, "instances", &instances)
	f := s.of(t, d)
	for _, instance := range instances {
		f.busy = append(f.busy, messages.InstanceID(instance))
	}
	return "ok"
}

// end is when a draining instance cannot be taken back any more.
func (s *scenario) end(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	f := s.of(t, d)
	var instance string
	d.ScanArgs(t, "instance", &instance)
	i := slices.Index(f.leaving, messages.InstanceID(instance))
	if i < 0 {
		d.Fatalf(t, "no instance %s is draining", instance)
	}
	f.leaving = slices.Delete(f.leaving, i, i+1)
	f.counted["ending"]++
	return "ok"
}

// notice says how many instances EC2 will take back with their tasks.
func (s *scenario) notice(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	f := s.of(t, d)
	d.ScanArgs(t, "count", &f.noticed)
	return "ok"
}

func (f *fleet) remove(instances []messages.InstanceID) {
	f.idle = slices.DeleteFunc(f.idle, func(instance messages.IdleInstance) bool {
		return slices.Contains(instances, instance.Instance)
	})
}

// listing says whether the instances of a resource type are known.
func (s *scenario) listing(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	s.of(t, d).unknown = d.HasArg("missing")
	return "ok"
}

func (s *scenario) advance(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var by time.Duration
	d.ScanArgs(t, "by", &by)
	s.now = s.now.Add(by)
	return "ok"
}

// ask asks EC2 for instances of what may be asked, as far as that goes.
func (s *scenario) ask(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	f := s.of(t, d)
	left := 0
	d.ScanArgs(t, "count", &left)
	var b strings.Builder
	for left > 0 {
		choice := f.memory.Choose(s.now, f.offerings, f.fallback)
		if !choice.OK {
			fmt.Fprintf(&b, "%d not asked for: %s; look again in %s\n", left, choice.Class, choice.Until.Sub(s.now))
			break
		}
		count := left
		if choice.Limit > 0 {
			count = min(count, choice.Limit)
		}
		left -= count
		f.memory = f.memory.Asked(s.now, choice)
		f.asked = append(f.asked, choice.Offering)
		f.counted["requested"] += count
		fmt.Fprintf(&b, "%d of %s%s\n", count, choice.Offering, map[bool]string{true: ", to try it"}[choice.Probe])
	}
	return b.String()
}

// answered is the offering that EC2 answers about: the first that was asked
// for, or the one that would be.
func (s *scenario) answered(t *testing.T, d *datadriven.TestData, f *fleet) messages.Offering {
	t.Helper()
	if len(f.asked) > 0 {
		first := f.asked[0]
		f.asked = f.asked[1:]
		return first
	}
	choice := f.memory.Choose(s.now, f.offerings, f.fallback)
	if !choice.OK {
		d.Fatalf(t, "no offering may be asked, so none can be answered")
	}
	return choice.Offering
}

// refuse is EC2's answer to a launch of the offering that is tried now.
func (s *scenario) refuse(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	f := s.of(t, d)
	var class string
	count := 0
	d.ScanArgs(t, "class", &class)
	d.MaybeScanArgs(t, "count", &count)
	for range count {
		f.leave(t, d, "requested")
	}
	offering := s.answered(t, d, f)
	var until time.Time
	f.memory, until = f.memory.Refused(s.now, offering, messages.FailureClass(class), middle)
	if until.IsZero() {
		return fmt.Sprintf("%s: not blocked", offering)
	}
	return fmt.Sprintf("%s: asked again in %s", offering, until.Sub(s.now))
}

// throttle is no answer.
func (s *scenario) throttle(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	f := s.of(t, d)
	f.leave(t, d, "requested")
	offering := s.answered(t, d, f)
	f.memory = f.memory.Unanswered(offering)
	return fmt.Sprintf("%s: no answer", offering)
}

// grant is EC2's other answer: requested instances boot.
func (s *scenario) grant(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	f := s.of(t, d)
	var count int
	d.ScanArgs(t, "count", &count)
	offering := s.answered(t, d, f)
	for range count {
		f.leave(t, d, "requested")
		f.counted["booting"]++
	}
	f.memory = f.memory.Granted(offering)
	return fmt.Sprintf("%s: %d booting", offering, count)
}

// evaluate polls ClearML, unless it is silent, and prints the plan.
func (s *scenario) evaluate(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	if !d.HasArg("silent") {
		s.polledAt, s.demand = s.now, map[messages.QueueName]int{}
		for _, arg := range d.CmdArgs {
			waiting, err := strconv.Atoi(arg.SingleVal(t))
			if err != nil {
				d.Fatalf(t, "tasks of queue %s: %v", arg.Key, err)
			}
			s.demand[messages.QueueName(arg.Key)] = waiting
		}
	}
	policy := decide.Policy{Queues: s.queues, SnapshotMaxAge: maxAge}
	view := decide.View{
		SnapshotAt: s.polledAt, Demand: s.demand, Capacity: map[messages.ResourceName]messages.Capacity{},
	}
	for _, name := range s.order {
		f := s.fleet[name]
		policy.Resources = append(policy.Resources, decide.ResourcePolicy{Name: messages.ResourceName(name), Max: f.max})
		view.Capacity[messages.ResourceName(name)] = f.capacity(s.now)
	}
	s.plan = decide.Evaluate(s.now, policy, view)
	for _, breach := range decide.Check(s.now, policy, view, s.plan) {
		t.Errorf("%s: %s", d.Pos, breach)
	}
	return s.render()
}

// capacity is what the resource type states.
func (f *fleet) capacity(now time.Time) messages.Capacity {
	capacity := messages.Capacity{
		Known: !f.unknown, Alive: len(f.idle) + len(f.busy) + len(f.leaving), Coming: f.counted["booting"] + f.counted["requested"],
		Busy: f.busy, Recallable: f.leaving, Extra: f.noticed,
	}
	for _, count := range f.counted {
		capacity.Alive += count
	}
	slices.SortStableFunc(f.idle, func(a, b messages.IdleInstance) int { return cmp.Compare(a.Since.UnixNano(), b.Since.UnixNano()) })
	for _, instance := range f.idle {
		instance.Expired = now.Sub(instance.Since) >= f.maxIdle
		capacity.Idle = append(capacity.Idle, instance)
	}
	choice := f.memory.Choose(now, f.offerings, f.fallback)
	capacity.BlockedUntil, capacity.Block = choice.Until, choice.Class
	capacity.LaunchLimit = f.memory.LaunchLimit(now, f.offerings, f.fallback)
	return capacity
}

// carryOut does what the last plan says: launches are requested, what drains
// for being idle may be taken back until a listing shows its end, and what is
// taken back is soon idle again.
func (s *scenario) carryOut(*testing.T, *datadriven.TestData) string {
	for _, launch := range s.plan.Launches {
		s.fleet[string(launch.Resource)].counted["requested"] += launch.Count
	}
	for _, recall := range s.plan.Recalls {
		f := s.fleet[string(recall.Resource)]
		f.leaving = slices.DeleteFunc(f.leaving, func(id messages.InstanceID) bool { return slices.Contains(recall.Instances, id) })
		f.counted["booting"] += len(recall.Instances)
	}
	for _, drain := range s.plan.Drains {
		f := s.fleet[string(drain.Resource)]
		for _, id := range drain.Instances {
			if i := slices.Index(f.busy, id); i >= 0 {
				f.busy = slices.Delete(f.busy, i, i+1)
				f.counted["draining"]++
			} else {
				f.leaving = append(f.leaving, id)
			}
		}
		f.remove(drain.Instances)
	}
	s.plan = decide.Plan{}
	return "ok"
}

// render is a plan as people read it.
func (s *scenario) render() string {
	var b strings.Builder
	for _, launch := range s.plan.Launches {
		details := []string{}
		for _, reason := range launch.Reasons {
			details = append(details, reason.Detail)
		}
		fmt.Fprintf(&b, "launch %s %d: %s\n", launch.Resource, launch.Count, strings.Join(details, "; "))
		f := s.fleet[string(launch.Resource)]
		if choice := f.memory.Choose(s.now, f.offerings, f.fallback); choice.OK && len(f.offerings) > 1 {
			fmt.Fprintf(&b, "  asks for %s\n", choice.Offering)
		}
	}
	for _, recall := range s.plan.Recalls {
		fmt.Fprintf(&b, "take back %s %v: %s\n", recall.Resource, recall.Instances, recall.Reasons[0].Detail)
	}
	for _, drain := range s.plan.Drains {
		fmt.Fprintf(&b, "drain %s %v: %s\n", drain.Resource, drain.Instances, drain.Reasons[0].Detail)
	}
	for _, verdict := range s.plan.Verdicts {
		fmt.Fprintf(&b, "%s: waiting=%d covered=%d launching=%d unmet=%d\n",
			verdict.Queue, verdict.Waiting, verdict.Covered, verdict.Launching, verdict.Unmet)
		for _, reason := range verdict.Reasons {
			fmt.Fprintf(&b, "  %s %s: %s\n", reason.Code, reason.Subject, reason.Detail)
		}
	}
	return b.String()
}
