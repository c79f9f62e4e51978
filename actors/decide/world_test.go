package decide_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// maxAge is the SnapshotMaxAge of every policy in these tests.
const maxAge = 2 * time.Minute

// noon is the moment of every evaluation that does not care.
func noon() time.Time { return time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC) }

// world is everything that Evaluate is told.
type world struct {
	now    time.Time
	policy decide.Policy
	view   decide.View
}

func (w *world) evaluate() decide.Plan { return decide.Evaluate(w.now, w.policy, w.view) }

func (w *world) check(plan decide.Plan) []string {
	return decide.Check(w.now, w.policy, w.view, plan)
}

// newWorld has a fresh poll and nothing else.
func newWorld() *world {
	return &world{
		now:    noon(),
		policy: decide.Policy{SnapshotMaxAge: maxAge},
		view: decide.View{
			SnapshotAt: noon().Add(-time.Second),
			Demand:     map[messages.QueueName]int{},
			Capacity:   map[messages.ResourceName]messages.Capacity{},
		},
	}
}

func (w *world) resource(name messages.ResourceName, limit int, capacity messages.Capacity) {
	w.policy.Resources = append(w.policy.Resources, decide.ResourcePolicy{Name: name, Max: limit})
	capacity.Known = true
	w.view.Capacity[name] = capacity
}

func (w *world) queue(name messages.QueueName, waiting int, resources ...messages.ResourceName) {
	w.policy.Queues = append(w.policy.Queues, decide.QueuePolicy{Name: name, Resources: resources})
	w.view.Demand[name] = waiting
}

// clone shares nothing with the world that it was made from.
func (w *world) clone() *world {
	c := newWorld()
	c.now, c.view.SnapshotAt = w.now, w.view.SnapshotAt
	c.policy.Resources = slices.Clone(w.policy.Resources)
	for _, queue := range w.policy.Queues {
		c.policy.Queues = append(c.policy.Queues, decide.QueuePolicy{
			Name: queue.Name, Resources: slices.Clone(queue.Resources),
		})
	}
	maps.Copy(c.view.Demand, w.view.Demand)
	for name, capacity := range w.view.Capacity {
		capacity.Idle = slices.Clone(capacity.Idle)
		capacity.Busy = slices.Clone(capacity.Busy)
		capacity.Recallable = slices.Clone(capacity.Recallable)
		c.view.Capacity[name] = capacity
	}
	return c
}

// idle makes idle instances, longest idle first; the first ones are expired.
func idle(resource messages.ResourceName, count, expired int) []messages.IdleInstance {
	instances := make([]messages.IdleInstance, 0, count)
	for n := range count {
		instances = append(instances, messages.IdleInstance{
			Instance: messages.InstanceID(fmt.Sprintf("i-%s-%d", resource, n)),
			Since:    noon().Add(-time.Duration(60-n) * time.Minute),
			Expired:  n < expired,
		})
	}
	return instances
}

// ids makes names of instances: i-NAME-STATE-0 and so on.
func ids(resource messages.ResourceName, state string, count int) []messages.InstanceID {
	instances := make([]messages.InstanceID, 0, count)
	for n := range count {
		instances = append(instances, messages.InstanceID(fmt.Sprintf("i-%s-%s-%d", resource, state, n)))
	}
	return instances
}

// apply is the world right after a plan was carried out: what is launched is on
// its way, what is taken back comes again, what drains is not capacity any more
// but still exists, and may be taken back if it was idle.
func (w *world) apply(plan decide.Plan) *world {
	next := w.clone()
	change := func(name messages.ResourceName, with func(*messages.Capacity)) {
		capacity := next.view.Capacity[name]
		with(&capacity)
		next.view.Capacity[name] = capacity
	}
	for _, launch := range plan.Launches {
		change(launch.Resource, func(c *messages.Capacity) {
			c.Alive += launch.Count
			c.Coming += launch.Count
			if c.LaunchLimit > 0 { // what may be tried is tried now
				if c.LaunchLimit -= launch.Count; c.LaunchLimit == 0 {
					c.Block, c.BlockedUntil = messages.ClassNoCapacity, w.now.Add(time.Minute)
				}
			}
		})
	}
	for _, recall := range plan.Recalls {
		change(recall.Resource, func(c *messages.Capacity) {
			c.Coming += len(recall.Instances)
			c.Recallable = slices.DeleteFunc(c.Recallable, func(id messages.InstanceID) bool {
				return slices.Contains(recall.Instances, id)
			})
		})
	}
	for _, drain := range plan.Drains {
		change(drain.Resource, func(c *messages.Capacity) {
			c.Idle = slices.DeleteFunc(c.Idle, func(instance messages.IdleInstance) bool {
				goes := slices.Contains(drain.Instances, instance.Instance)
				if goes {
					c.Recallable = append(c.Recallable, instance.Instance)
				}
				return goes
			})
			c.Busy = slices.DeleteFunc(c.Busy, func(id messages.InstanceID) bool { return slices.Contains(drain.Instances, id) })
		})
	}
	return next
}

// noLaunches is the world in which nothing may be launched.
func (w *world) noLaunches() *world {
	next := w.clone()
	for name, capacity := range next.view.Capacity {
		capacity.Block, capacity.BlockedUntil = messages.ClassQuota, w.now.Add(time.Minute)
		next.view.Capacity[name] = capacity
	}
	return next
}

// recalled is the number of instances that a plan takes back.
func recalled(plan decide.Plan) int {
	total := 0
	for _, recall := range plan.Recalls {
		total += len(recall.Instances)
	}
	return total
}

// launched is the number of instances that a plan launches.
func launched(plan decide.Plan) int {
	total := 0
	for _, launch := range plan.Launches {
		total += launch.Count
	}
	return total
}

// served is the number of tasks that a plan has something for.
func served(plan decide.Plan) int {
	total := 0
	for _, verdict := range plan.Verdicts {
		total += verdict.Covered + verdict.Launching
	}
	return total
}

// drawn is a generator of worlds with up to size resource types and queues and
// up to size of everything countable. All of them have a fresh poll, and no
// resource type wants replacements.
func drawn(size int) *rapid.Generator[*world] {
	return rapid.Custom(func(t *rapid.T) *world {
		w := newWorld()
		count := rapid.IntRange(0, size)
		names := []messages.ResourceName{}
		for r := range count.Draw(t, "resources") {
			name := messages.ResourceName(fmt.Sprintf("r%d", r))
			names = append(names, name)
			capacity := drawnCapacity(t, w.now, name, size)
			w.resource(name, rapid.IntRange(0, 3*size).Draw(t, "max"), capacity)
			if rapid.IntRange(0, 5).Draw(t, "unknown") == 0 {
				capacity.Known = false // what else it says is not to be read
				w.view.Capacity[name] = capacity
			}
		}
		for q := range count.Draw(t, "queues") {
			served := []messages.ResourceName{}
			if len(names) > 0 {
				order := rapid.Permutation(names).Draw(t, "order")
				served = order[:rapid.IntRange(0, len(order)).Draw(t, "served")]
			}
			w.queue(messages.QueueName(fmt.Sprintf("q%d", q)), count.Draw(t, "waiting"), served...)
		}
		return w
	})
}

func drawnCapacity(t *rapid.T, now time.Time, name messages.ResourceName, size int) messages.Capacity {
	count := rapid.IntRange(0, size)
	idles := count.Draw(t, "idle")
	capacity := messages.Capacity{
		Idle:   idle(name, idles, min(idles, count.Draw(t, "expired"))),
		Coming: count.Draw(t, "coming"),
	}
	if rapid.Bool().Draw(t, "some are busy") {
		capacity.Busy = ids(name, "busy", count.Draw(t, "busy"))
	}
	if rapid.Bool().Draw(t, "some may be taken back") {
		capacity.Recallable = ids(name, "back", count.Draw(t, "recallable"))
	}
	// What else is alive is on its way out, or nobody knows what it does.
	capacity.Alive = len(capacity.Idle) + capacity.Coming + len(capacity.Busy) + len(capacity.Recallable) + count.Draw(t, "others")
	switch rapid.IntRange(0, 5).Draw(t, "refused") {
	case 0:
		capacity.Block = messages.ClassNoCapacity
		capacity.BlockedUntil = now.Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "until")) * time.Second)
	case 1:
		capacity.LaunchLimit = rapid.IntRange(1, 3).Draw(t, "limit")
	}
	return capacity
}

// withExtra wants replacements of some of the resource types of a world.
func withExtra(t *rapid.T, w *world) *world {
	next := w.clone()
	for _, resource := range next.policy.Resources { // in order, so that a failure replays
		capacity := next.view.Capacity[resource.Name]
		capacity.Extra = rapid.IntRange(0, 3).Draw(t, "extra")
		next.view.Capacity[resource.Name] = capacity
	}
	return next
}
