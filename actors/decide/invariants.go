package decide

import (
	"fmt"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// Check says what is wrong with a plan, one line for each breach of a law;
// empty for a sound one. It knows nothing of how plans are made.
func Check(now time.Time, policy Policy, view View, plan Plan) []string {
	c := newChecker(now, policy, view, plan)
	if stale(now, policy, view) && len(plan.Launches)+len(plan.Drains) > 0 {
		c.breach("acts on a stale snapshot")
	}
	c.launches()
	c.drains()
	c.verdicts()
	c.wanted()
	c.enough()
	return c.breaches
}

// checker holds a plan beside what it was made from, by name.
type checker struct {
	now      time.Time
	policy   Policy
	view     View
	plan     Plan
	limit    map[messages.ResourceName]int
	launched map[messages.ResourceName]int
	breaches []string
}

func newChecker(now time.Time, policy Policy, view View, plan Plan) *checker {
	c := &checker{
		now: now, policy: policy, view: view, plan: plan,
		limit:    make(map[messages.ResourceName]int, len(policy.Resources)),
		launched: make(map[messages.ResourceName]int, len(plan.Launches)),
	}
	for _, resource := range policy.Resources {
		if _, twice := c.limit[resource.Name]; !twice {
			c.limit[resource.Name] = resource.Max
		}
	}
	for _, launch := range plan.Launches {
		c.launched[launch.Resource] += launch.Count
	}
	return c
}

func (c *checker) breach(format string, args ...any) {
	c.breaches = append(c.breaches, fmt.Sprintf(format, args...))
}

// launches checks each resource type against its own limits.
func (c *checker) launches() {
	for _, launch := range c.plan.Launches {
		capacity := c.view.Capacity[launch.Resource]
		if launch.Count <= 0 {
			c.breach("launches %d of %s", launch.Count, launch.Resource)
		}
		if !capacity.Known {
			c.breach("launches %s without knowing its instances", launch.Resource)
		}
		if blocked(c.now, capacity) {
			c.breach("launches %s while no offering of it may be asked", launch.Resource)
		}
		// All entries of the type together: two halves must not be one too many.
		if got, limit := alive(capacity), c.limit[launch.Resource]; got+c.launched[launch.Resource] > limit {
			c.breach("launches %d of %s with %d alive of at most %d", c.launched[launch.Resource], launch.Resource, got, limit)
		}
		if len(launch.Reasons) == 0 {
			c.breach("launches %s without a reason", launch.Resource)
		}
	}
}

// drains checks that what goes may go, once, and is not replaced.
func (c *checker) drains() {
	type instanceOf struct {
		resource messages.ResourceName
		id       messages.InstanceID
	}
	expired := make(map[instanceOf]bool)
	for _, drain := range c.plan.Drains {
		capacity := c.view.Capacity[drain.Resource]
		if !capacity.Known {
			c.breach("drains %s without knowing its instances", drain.Resource)
		}
		if c.launched[drain.Resource] > 0 {
			c.breach("launches and drains %s at once", drain.Resource)
		}
		for _, idle := range capacity.Idle {
			key := instanceOf{drain.Resource, idle.Instance}
			if _, before := expired[key]; !before {
				expired[key] = idle.Expired
			}
		}
		for _, id := range drain.Instances {
			key := instanceOf{drain.Resource, id}
			if !expired[key] {
				c.breach("drains %s of %s, which is not idle for long enough or drained already", id, drain.Resource)
			}
			expired[key] = false // a second time is a breach too
		}
		if len(drain.Reasons) == 0 {
			c.breach("drains %s without a reason", drain.Resource)
		}
	}
}

// verdicts checks that each queue has one, in order, and that it adds up.
func (c *checker) verdicts() {
	if len(c.plan.Verdicts) != len(c.policy.Queues) {
		c.breach("has %d verdicts for %d queues", len(c.plan.Verdicts), len(c.policy.Queues))
		return
	}
	waiting := waitingOf(c.policy, c.view)
	for q, verdict := range c.plan.Verdicts {
		queue := c.policy.Queues[q]
		if verdict.Queue != queue.Name || verdict.Waiting != waiting[q] {
			c.breach("the verdict on queue %s speaks of %d tasks of queue %s, and %d wait",
				queue.Name, verdict.Waiting, verdict.Queue, waiting[q])
		}
		if min(verdict.Covered, verdict.Launching, verdict.Unmet) < 0 ||
			verdict.Covered+verdict.Launching+verdict.Unmet != verdict.Waiting {
			c.breach("the verdict on queue %s does not add up", verdict.Queue)
		}
		if verdict.Unmet > 0 && len(verdict.Reasons) == 0 {
			c.breach("%d tasks of queue %s are left without a reason", verdict.Unmet, verdict.Queue)
		}
		if verdict.Unmet > 0 && !stale(c.now, c.policy, c.view) {
			c.roomFor(queue)
		}
	}
}

// roomFor checks that a queue with tasks left has no resource type that could
// take one.
func (c *checker) roomFor(queue QueuePolicy) {
	for _, name := range queue.Resources {
		capacity := c.view.Capacity[name]
		if limit, configured := c.limit[name]; configured && capacity.Known && !blocked(c.now, capacity) &&
			alive(capacity)+c.launched[name] < limit {
			c.breach("leaves tasks of queue %s although %s has room", queue.Name, name)
		}
	}
}

// wanted checks that each resource type launches for queues that it serves.
func (c *checker) wanted() {
	tasks := make(map[messages.ResourceName]int, len(c.limit))
	for q, queue := range c.policy.Queues {
		if q < len(c.plan.Verdicts) {
			for _, name := range queue.Resources {
				tasks[name] += c.plan.Verdicts[q].Launching
			}
		}
	}
	for _, launch := range c.plan.Launches {
		if count := c.launched[launch.Resource]; count > tasks[launch.Resource] {
			c.breach("launches %d of %s for %d tasks that it serves", count, launch.Resource, tasks[launch.Resource])
		}
	}
}

// enough checks that every launch is for a task that nothing covers, and that
// what covers tasks exists and stays.
func (c *checker) enough() {
	covered, launching, launched := 0, 0, 0
	for _, verdict := range c.plan.Verdicts {
		covered += verdict.Covered
		launching += verdict.Launching
	}
	for _, count := range c.launched {
		launched += count
	}
	if launched != launching {
		c.breach("launches %d instances for %d uncovered tasks", launched, launching)
	}
	staying := 0
	for name := range c.limit {
		if capacity := c.view.Capacity[name]; capacity.Known {
			staying += len(capacity.Idle) + max(0, capacity.Coming)
		}
	}
	for _, drain := range c.plan.Drains {
		staying -= len(drain.Instances)
	}
	if covered > staying {
		c.breach("covers %d tasks with the %d instances that stay free or are coming", covered, staying)
	}
}
