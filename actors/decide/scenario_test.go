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
//	go test ./actors/decide -run TestScenarios -rewrite
func TestScenarios(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		t.Helper()
		if !strings.HasSuffix(path, ".txt") {
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
	counted   map[string]int // by state, of those that are not idle
	offerings []messages.Offering
	memory    decide.Memory
}

// run carries out one step.
func (s *scenario) run(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	steps := map[string]func(*testing.T, *datadriven.TestData) string{
		"resource": s.resource, "queue": s.queue, "have": s.have, "idle": s.idle, "vanish": s.vanish,
		"listing": s.listing, "advance": s.advance, "evaluate": s.evaluate, "carry-out": s.carryOut,
		"register": s.register, "take": s.take, "refuse": s.refuse, "grant": s.grant,
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
	for _, zone := range zones {
		f.offerings = append(f.offerings, messages.Offering{
			Market: messages.Market(market), InstanceType: instanceType, Zone: zone,
		})
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
	offering, _, _, ok := f.memory.Choose(s.now, f.offerings)
	if !ok {
		d.Fatalf(t, "no offering may be asked, so none can be refused")
	}
	var until time.Time
	f.memory, until = f.memory.Refused(s.now, offering, messages.FailureClass(class))
	if until.IsZero() {
		return fmt.Sprintf("%s: not blocked", offering)
	}
	return fmt.Sprintf("%s: asked again in %s", offering, until.Sub(s.now))
}

// grant is EC2's other answer: requested instances boot.
func (s *scenario) grant(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	f := s.of(t, d)
	var count int
	d.ScanArgs(t, "count", &count)
	offering, _, _, ok := f.memory.Choose(s.now, f.offerings)
	if !ok {
		d.Fatalf(t, "no offering may be asked, so none can be granted")
	}
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
		Known: !f.unknown, Alive: len(f.idle), Coming: f.counted["booting"] + f.counted["requested"],
	}
	for _, count := range f.counted {
		capacity.Alive += count
	}
	slices.SortStableFunc(f.idle, func(a, b messages.IdleInstance) int { return cmp.Compare(a.Since.UnixNano(), b.Since.UnixNano()) })
	for _, instance := range f.idle {
		instance.Expired = now.Sub(instance.Since) >= f.maxIdle
		capacity.Idle = append(capacity.Idle, instance)
	}
	if _, until, class, ok := f.memory.Choose(now, f.offerings); !ok {
		capacity.BlockedUntil, capacity.Block = until, class
	}
	return capacity
}

// carryOut does what the last plan says: launches are requested, and what
// drains goes on existing until a listing shows its end.
func (s *scenario) carryOut(*testing.T, *datadriven.TestData) string {
	for _, launch := range s.plan.Launches {
		s.fleet[string(launch.Resource)].counted["requested"] += launch.Count
	}
	for _, drain := range s.plan.Drains {
		f := s.fleet[string(drain.Resource)]
		f.remove(drain.Instances)
		f.counted["draining"] += len(drain.Instances)
	}
	s.plan = decide.Plan{}
	return "ok"
}

// render is a plan as people read it.
func (s *scenario) render() string {
	var b strings.Builder
	for _, launch := range s.plan.Launches {
		fmt.Fprintf(&b, "launch %s %d: %s\n", launch.Resource, launch.Count, launch.Reasons[0].Detail)
		f := s.fleet[string(launch.Resource)]
		if offering, _, _, ok := f.memory.Choose(s.now, f.offerings); ok && len(f.offerings) > 1 {
			fmt.Fprintf(&b, "  asks for %s\n", offering)
		}
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
