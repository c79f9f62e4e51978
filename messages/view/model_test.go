package view_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/messages"
	"github.com/ebbscale/ebb/messages/view"
)

// engine is a model of an autoscaler: resource types that keep launches in flight
// and instances, a queue, and statuses that are put together while they go on.
type engine struct {
	t      *rapid.T
	now    time.Time
	steps  int
	names  []messages.ResourceName
	fleets map[messages.ResourceName]*fleet
	queue  messages.QueueStatus
	lived  int
	asked  int
	// events are recorded in this order; by is the step that each belongs to.
	events []messages.Recorded
	by     []int
	open   []*report
	told   []*report
	// truth is how each resource type stood after each step, waits the queue.
	truth map[messages.ResourceName][]count
	waits []int
}

// fleet is what a resource type knows.
type fleet struct {
	flights   map[messages.RequestID]int
	instances map[messages.InstanceID]messages.Condition
	order     []messages.InstanceID
}

// count is what a picture must show of a resource type.
type count struct {
	alive, launching int
	conditions       map[messages.InstanceID]messages.Condition
}

// report is a status under way, with the step at which each part was told.
type report struct {
	status  messages.Status
	missing []messages.ResourceName
	queued  bool
	at      map[messages.ResourceName]int
	queueAt int
}

func newEngine(t *rapid.T) *engine {
	e := &engine{
		t: t, now: noon, names: []messages.ResourceName{"spot", "gpu"}, fleets: make(map[messages.ResourceName]*fleet),
		queue: messages.QueueStatus{Queue: "training"}, truth: make(map[messages.ResourceName][]count),
	}
	for _, name := range e.names {
		e.fleets[name] = &fleet{flights: make(map[messages.RequestID]int), instances: make(map[messages.InstanceID]messages.Condition)}
	}
	e.record(messages.AutoscalerStarted{Epoch: 1, Queues: []messages.QueueName{"training"}, Resources: e.names})
	e.remember()
	return e
}

func (e *engine) tick() { e.now = e.now.Add(time.Millisecond) }

func (e *engine) record(event messages.Event) {
	e.tick()
	e.events = append(e.events, messages.Recorded{ID: fmt.Sprintf("host.prod.%d", len(e.events)+1), Autoscaler: "prod", At: e.now, Event: event})
	e.by = append(e.by, e.steps)
}

// remember ends a step.
func (e *engine) remember() {
	for _, name := range e.names {
		f := e.fleets[name]
		c := count{alive: len(f.instances), conditions: maps.Clone(f.instances)}
		for _, n := range f.flights {
			c.launching += n
		}
		c.alive += c.launching
		e.truth[name] = append(e.truth[name], c)
	}
	e.waits = append(e.waits, e.queue.Waiting)
	e.steps++
	e.tick()
}

// step is anything that an autoscaler does.
func (e *engine) step() {
	name := rapid.SampledFrom(e.names).Draw(e.t, "resource")
	switch rapid.IntRange(0, 9).Draw(e.t, "step") {
	case 0, 1:
		e.request(name)
	case 2, 3:
		e.settle(name)
	case 4, 5:
		e.live(name)
	case 6:
		e.end(name)
	case 7:
		e.queue.Waiting = rapid.IntRange(0, 5).Draw(e.t, "waiting")
		e.record(messages.QueueObserved{Queue: "training", Waiting: e.queue.Waiting})
	case 8:
		e.open = append(e.open, &report{
			status:  messages.Status{Autoscaler: "prod", At: e.now, Epoch: 1},
			missing: slices.Clone(e.names), at: make(map[messages.ResourceName]int), queueAt: -1,
		})
	default:
		e.tell()
	}
	e.remember()
}

func (e *engine) request(name messages.ResourceName) {
	e.asked++
	request, n := messages.RequestID(fmt.Sprintf("%s-%d", name, e.asked)), rapid.IntRange(1, 3).Draw(e.t, "count")
	e.record(messages.InstanceRequested{Resource: name, Request: request, Count: n, Max: 9})
	e.fleets[name].flights[request] = n
}

// settle ends a launch, with all the instances, some or none, or with some that a
// listing has shown instead of the answer.
func (e *engine) settle(name messages.ResourceName) {
	f := e.fleets[name]
	if len(f.flights) == 0 {
		return
	}
	request := rapid.SampledFrom(slices.Sorted(maps.Keys(f.flights))).Draw(e.t, "settled")
	n := f.flights[request]
	delete(f.flights, request)
	got, lost := rapid.IntRange(0, n).Draw(e.t, "got"), rapid.Bool().Draw(e.t, "answer lost")
	missing := n - got
	if lost {
		missing = n
	}
	for range got {
		e.lived++
		id := messages.InstanceID(fmt.Sprintf("i-%d", e.lived))
		f.instances[id], f.order = messages.ConditionBooting, append(f.order, id)
		if lost {
			e.record(messages.InstanceAdopted{Instance: id, Resource: name})
		} else {
			e.record(messages.InstanceLaunched{Instance: id, Resource: name, Request: request})
		}
	}
	if missing > 0 {
		e.record(messages.InstanceRefused{Resource: name, Request: request, Count: missing, Class: messages.ClassNoCapacity})
	}
}

func (e *engine) live(name messages.ResourceName) {
	f := e.fleets[name]
	if len(f.order) == 0 {
		return
	}
	id := rapid.SampledFrom(f.order).Draw(e.t, "instance")
	switch f.instances[id] {
	case messages.ConditionBooting:
		f.instances[id] = messages.ConditionIdle
		e.record(messages.InstanceRegistered{Instance: id, Resource: name})
	case messages.ConditionIdle:
		f.instances[id] = messages.ConditionBusy
		e.record(messages.InstanceBusy{Instance: id, Resource: name, Task: "t"})
	case messages.ConditionBusy:
		f.instances[id] = messages.ConditionIdle
		e.record(messages.InstanceIdle{Instance: id, Resource: name})
	case messages.ConditionVanished, messages.ConditionDraining, messages.ConditionTerminating: // nothing but its end comes
	}
}

func (e *engine) end(name messages.ResourceName) {
	f := e.fleets[name]
	if len(f.order) == 0 {
		return
	}
	id := rapid.SampledFrom(f.order).Draw(e.t, "ended")
	if f.instances[id] != messages.ConditionTerminating {
		f.instances[id] = messages.ConditionTerminating
		e.record(messages.InstanceTerminating{Instance: id, Resource: name})
		return
	}
	delete(f.instances, id)
	f.order = slices.DeleteFunc(f.order, func(other messages.InstanceID) bool { return other == id })
	e.record(messages.InstanceGone{Instance: id, Resource: name})
}

// tell has one more part of the oldest report told, or ends it without: what has
// not been told is silent then.
func (e *engine) tell() {
	if len(e.open) == 0 {
		return
	}
	r := e.open[0]
	over := rapid.IntRange(0, 7).Draw(e.t, "patience") == 0
	switch {
	case !over && !r.queued:
		r.queued, r.queueAt = true, e.steps
		queue := e.queue
		queue.AsOf = e.now
		r.status.Queues = append(r.status.Queues, queue)
	case !over:
		name := rapid.SampledFrom(r.missing).Draw(e.t, "who")
		r.missing = slices.DeleteFunc(r.missing, func(other messages.ResourceName) bool { return other == name })
		f, now := e.fleets[name], count{}
		for _, n := range f.flights {
			now.launching += n
		}
		r.at[name] = e.steps
		r.status.Resources = append(r.status.Resources, messages.ResourceStatus{
			Resource: name, AsOf: e.now, Launching: now.launching, Alive: now.launching + len(f.instances),
		})
		for _, id := range f.order {
			r.status.Instances = append(r.status.Instances, messages.InstanceStatus{Instance: id, Resource: name, Condition: f.instances[id]})
		}
	}
	if !over && len(r.missing) > 0 {
		return
	}
	if !r.queued {
		r.status.Silent = append(r.status.Silent, "queue training")
	}
	for _, name := range r.missing {
		r.status.Silent = append(r.status.Silent, "resource "+string(name))
	}
	e.open, e.told = e.open[1:], append(e.told, r)
}

// looker is a view that is told late, some of it twice, and statuses in any order.
type looker struct {
	engine *engine
	view   *view.View
	next   int // event
	events int // the step of the newest event that was delivered
	// known is the step as of which each resource type is known by statuses.
	known  map[messages.ResourceName]int
	queued int
	newest time.Time // status
}

// look delivers something, and compares.
func (l *looker) look() {
	e := l.engine
	if len(e.told) > 0 && rapid.IntRange(0, 3).Draw(e.t, "deliver") == 0 {
		at := rapid.IntRange(0, len(e.told)-1).Draw(e.t, "status")
		r := e.told[at]
		e.told = slices.Delete(e.told, at, at+1)
		l.view.Resync(r.status)
		if !r.status.At.Before(l.newest) {
			l.newest = r.status.At
			l.queued = max(l.queued, r.queueAt)
			for name, step := range r.at {
				l.known[name] = max(l.known[name], step)
			}
		}
	} else if l.next < len(e.events) {
		l.next = max(0, l.next-rapid.SampledFrom([]int{0, 0, 0, 0, 1, 3}).Draw(e.t, "again"))
		step := e.by[l.next]
		for ; l.next < len(e.events) && e.by[l.next] == step; l.next++ {
			l.view.Apply(e.events[l.next])
		}
		l.events = max(l.events, step)
	}
	l.compare()
}

func (l *looker) compare() {
	e, s := l.engine, l.view.State()
	for _, name := range e.names {
		upTo := max(l.events, l.known[name])
		if upTo < 0 {
			continue
		}
		want, r := e.truth[name][upTo], s.Resources[name]
		shown := make(map[messages.InstanceID]messages.Condition)
		for id, i := range s.Instances {
			if i.Resource == name {
				shown[id] = i.Condition
			}
		}
		if r.Alive != want.alive || r.Launching != want.launching || len(shown) != len(want.conditions) {
			e.t.Fatalf("as of step %d (events to %d) %s has %d alive, %d launching, instances %v; it had %d, %d, %v",
				upTo, l.events, name, r.Alive, r.Launching, shown, want.alive, want.launching, want.conditions)
		}
		if l.events >= l.known[name] && !maps.Equal(shown, want.conditions) {
			e.t.Fatalf("as of step %d %s has instances %v; it had %v", upTo, name, shown, want.conditions)
		}
	}
	if upTo := max(l.events, l.queued); upTo >= 0 && s.Queues["training"].Waiting != e.waits[upTo] {
		e.t.Fatalf("as of step %d %d tasks wait; there were %d", upTo, s.Queues["training"].Waiting, e.waits[upTo])
	}
}

// TestShowsTheTruth has a view follow an engine: after each message it shows what
// was so at the newest moment that any message has told of.
func TestShowsTheTruth(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		l := &looker{
			engine: newEngine(t), view: view.New(), events: -1, queued: -1,
			known: map[messages.ResourceName]int{"spot": -1, "gpu": -1},
		}
		for range rapid.IntRange(1, 120).Draw(t, "moments") {
			if rapid.IntRange(0, 2).Draw(t, "who") > 0 {
				l.engine.step()
			} else {
				l.look()
			}
		}
		for l.next < len(l.engine.events) || len(l.engine.told) > 0 {
			l.look()
		}
	})
}

// TestRequestDuringAStatus is the launch that is asked for after a status was begun
// and before its resource type has told its part: it is one launch.
func TestRequestDuringAStatus(t *testing.T) {
	t.Parallel()

	requested := recorded(2, 11, messages.InstanceRequested{Resource: "r", Request: "q", Count: 1, Max: 4})
	launched := recorded(3, 13, messages.InstanceLaunched{Resource: "r", Request: "q", Instance: "i-1"})
	status := messages.Status{At: at(10), Epoch: 1, Resources: []messages.ResourceStatus{{Resource: "r", AsOf: at(12), Max: 4, Alive: 1, Launching: 1}}}
	for name, take := range map[string]func(*view.View){
		"status first": func(v *view.View) { v.Resync(status); v.Apply(requested); v.Apply(launched) },
		"event first":  func(v *view.View) { v.Apply(requested); v.Resync(status); v.Apply(launched) },
		"status last":  func(v *view.View) { v.Apply(requested); v.Apply(launched); v.Resync(status) },
	} {
		v := view.New()
		take(v)
		if r := v.State().Resources["r"]; r.Alive != 1 || r.Launching != 0 || len(v.State().Instances) != 1 {
			t.Errorf("%s: %d alive, %d launching, %d instances; want one that was launched", name, r.Alive, r.Launching, len(v.State().Instances))
		}
	}
}

// TestLateStatusOfSomebodySilent takes in a status whose resource type did not
// answer in time, after events of that time: each of them counts once.
func TestLateStatusOfSomebodySilent(t *testing.T) {
	t.Parallel()

	v := view.New()
	v.Apply(recorded(1, 11, messages.InstanceRequested{Resource: "r", Request: "q", Count: 2, Max: 4}))
	v.Resync(messages.Status{At: at(10), Epoch: 1, Silent: []string{"resource r"}})
	if r := v.State().Resources["r"]; r.Alive != 2 || r.Launching != 2 {
		t.Errorf("%d alive, %d launching; want 2 and 2", r.Alive, r.Launching)
	}
}
