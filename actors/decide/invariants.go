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
	if stale(now, policy, view) && len(plan.Launches)+len(plan.Recalls)+len(plan.Drains) > 0 {
		c.breach("acts on a stale snapshot")
	}
	if policy.Hold.Code != "" && len(plan.Launches) > 0 {
		c.breach("launches although launching is held")
	}
	c.launches()
	c.recalls()
	c.drains()
	c.surplus()
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
	recalled map[messages.ResourceName]int
	drained  map[messages.ResourceName]int
	breaches []string
}

func newChecker(now time.Time, policy Policy, view View, plan Plan) *checker {
	c := &checker{
		now: now, policy: policy, view: view, plan: plan,
		limit:    make(map[messages.ResourceName]int, len(policy.Resources)),
		launched: make(map[messages.ResourceName]int, len(plan.Launches)),
		recalled: make(map[messages.ResourceName]int, len(plan.Recalls)),
		drained:  make(map[messages.ResourceName]int, len(plan.Drains)),
	}
	for _, resource := range policy.Resources {
		if _, twice := c.limit[resource.Name]; !twice {
			c.limit[resource.Name] = resource.Max
		}
	}
	for _, launch := range plan.Launches {
		c.launched[launch.Resource] += launch.Count
	}
	for _, recall := range plan.Recalls {
		c.recalled[recall.Resource] += len(recall.Instances)
	}
	for _, drain := range plan.Drains {
		c.drained[drain.Resource] += len(drain.Instances)
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
		if limit := capacity.LaunchLimit; limit > 0 && c.launched[launch.Resource] > limit {
			c.breach("launches %d of %s, and %d may be tried", c.launched[launch.Resource], launch.Resource, limit)
		}
		if c.recalled[launch.Resource] < recallable(capacity, c.limit[launch.Resource]) {
			c.breach("launches %s instead of taking back what may be", launch.Resource)
		}
		if len(launch.Reasons) == 0 {
			c.breach("launches %s without a reason", launch.Resource)
		}
	}
}

// instanceOf tells instances of one id under two resource types apart.
type instanceOf struct {
	resource messages.ResourceName
	id       messages.InstanceID
}

// recalls checks that what is taken back may be, once, and stays.
func (c *checker) recalls() {
	free := make(map[instanceOf]bool)
	for _, recall := range c.plan.Recalls {
		capacity := c.view.Capacity[recall.Resource]
		if !capacity.Known {
			c.breach("takes %s back without knowing its instances", recall.Resource)
		}
		if c.drained[recall.Resource] > 0 {
			c.breach("takes back and drains %s at once", recall.Resource)
		}
		if got, most := c.recalled[recall.Resource], recallable(capacity, c.limit[recall.Resource]); got > most {
			c.breach("takes %d of %s back, at most %d may be", got, recall.Resource, most)
		}
		for _, id := range capacity.Recallable {
			if _, before := free[instanceOf{recall.Resource, id}]; !before {
				free[instanceOf{recall.Resource, id}] = true
			}
		}
		for _, id := range recall.Instances {
			key := instanceOf{recall.Resource, id}
			if !free[key] {
				c.breach("takes %s of %s back, which is not drained for being idle or taken back already", id, recall.Resource)
			}
			free[key] = false // a second time is a breach too
		}
		if len(recall.Reasons) == 0 {
			c.breach("takes %s back without a reason", recall.Resource)
		}
	}
}

// drains checks that what goes may go, once, and is not replaced.
func (c *checker) drains() {
	may := make(map[instanceOf]bool)
	for _, drain := range c.plan.Drains {
		capacity := c.view.Capacity[drain.Resource]
		if !capacity.Known {
			c.breach("drains %s without knowing its instances", drain.Resource)
		}
		if c.launched[drain.Resource] > 0 {
			c.breach("launches and drains %s at once", drain.Resource)
		}
		surplus := over(capacity, c.limit[drain.Resource]) > 0
		allow := func(id messages.InstanceID, allowed bool) {
			if _, before := may[instanceOf{drain.Resource, id}]; !before {
				may[instanceOf{drain.Resource, id}] = allowed
			}
		}
		for _, idle := range capacity.Idle {
			allow(idle.Instance, idle.Expired || surplus)
		}
		for _, id := range capacity.Busy {
			allow(id, surplus)
		}
		for _, id := range drain.Instances {
			key := instanceOf{drain.Resource, id}
			if !may[key] {
				c.breach("drains %s of %s, which is not idle for long enough or drained already", id, drain.Resource)
			}
			may[key] = false // a second time is a breach too
		}
		if len(drain.Reasons) == 0 {
			c.breach("drains %s without a reason", drain.Resource)
		}
	}
}

// surplus checks that of each resource type with more than its maximum just the
// surplus goes, idle instances first.
func (c *checker) surplus() {
	if stale(c.now, c.policy, c.view) {
		return
	}
	for name, limit := range c.limit {
		capacity := c.view.Capacity[name]
		if !capacity.Known {
			continue
		}
		expired, idle, busy := c.going(name)
		surplus := over(capacity, limit)
		if least := min(surplus, len(capacity.Idle)+len(capacity.Busy)); expired+idle+busy < least {
			c.breach("drains %d of %s with %d over its maximum", expired+idle+busy, name, surplus)
		}
		if idle+busy > max(0, surplus-expired) {
			c.breach("drains %d of %s for being over its maximum by %d", idle+busy, name, surplus)
		}
		if busy > 0 && expired+idle < len(capacity.Idle) {
			c.breach("drains busy instances of %s before idle ones", name)
		}
	}
}

// going counts what is drained of a resource type: expired idle instances,
// other idle ones, and busy ones.
func (c *checker) going(name messages.ResourceName) (expired, idle, busy int) {
	drained := make(map[messages.InstanceID]bool, c.drained[name])
	for _, drain := range c.plan.Drains {
		if drain.Resource == name {
			for _, id := range drain.Instances {
				drained[id] = true
			}
		}
	}
	if len(drained) == 0 {
		return 0, 0, 0
	}
	for _, instance := range c.view.Capacity[name].Idle {
		switch {
		case drained[instance.Instance] && instance.Expired:
			expired++
		case drained[instance.Instance]:
			idle++
		}
	}
	for _, id := range c.view.Capacity[name].Busy {
		if drained[id] {
			busy++
		}
	}
	return expired, idle, busy
}

// verdicts checks that each queue has one, in order, and that it adds up.
func (c *checker) verdicts() {
	if len(c.plan.Verdicts) != len(c.policy.Queues) {
		c.breach("has %d verdicts for %d queues", len(c.plan.Verdicts), len(c.policy.Queues))
		return
	}
	waiting := waitingOf(c.policy, c.view)
	unsure, _ := unsureQueues(c.policy, c.known())
	for q, verdict := range c.plan.Verdicts {
		queue := c.policy.Queues[q]
		if unsure[q] && verdict.Launching > 0 {
			c.breach("launches %d for queue %s without knowing what all of its resource types have", verdict.Launching, queue.Name)
		}
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
			c.roomFor(queue, unsure[q])
		}
	}
}

func (c *checker) known() map[messages.ResourceName]bool {
	known := make(map[messages.ResourceName]bool, len(c.view.Capacity))
	for name, capacity := range c.view.Capacity {
		known[name] = capacity.Known
	}
	return known
}

// roomFor checks that a queue with tasks left has no resource type that could
// take one.
func (c *checker) roomFor(queue QueuePolicy, unsure bool) {
	for _, name := range queue.Resources {
		capacity := c.view.Capacity[name]
		limit, configured := c.limit[name]
		if !configured || !capacity.Known {
			continue
		}
		if !unsure && c.policy.Hold.Code == "" && room(c.now, capacity, limit) > c.launched[name] {
			c.breach("leaves tasks of queue %s although %s has room", queue.Name, name)
		}
		if recallable(capacity, limit) > c.recalled[name] {
			c.breach("leaves tasks of queue %s although instances of %s may be taken back", queue.Name, name)
		}
	}
}

// wanted checks that each resource type launches and takes back for queues that
// it serves, or for replacements that it wants.
func (c *checker) wanted() {
	launching := make(map[messages.ResourceName]int, len(c.limit))
	covered := make(map[messages.ResourceName]int, len(c.limit))
	for q, queue := range c.policy.Queues {
		if q < len(c.plan.Verdicts) {
			for _, name := range queue.Resources {
				launching[name] += c.plan.Verdicts[q].Launching
				covered[name] += c.plan.Verdicts[q].Covered
			}
		}
	}
	for name, count := range c.launched {
		if tasks, extra := launching[name], max(0, c.view.Capacity[name].Extra); count > tasks+extra {
			c.breach("launches %d of %s for %d tasks that it serves and %d replacements", count, name, tasks, extra)
		}
	}
	for name, count := range c.recalled {
		if tasks, extra := covered[name], max(0, c.view.Capacity[name].Extra); count > tasks+extra {
			c.breach("takes %d of %s back for %d tasks that it serves and %d replacements", count, name, tasks, extra)
		}
	}
}

// enough checks that every launch is for a task that nothing covers or for a
// replacement, and that what covers tasks exists and stays.
func (c *checker) enough() {
	covered, launching := 0, 0
	for _, verdict := range c.plan.Verdicts {
		covered += verdict.Covered
		launching += verdict.Launching
	}
	launched, extra, stay := 0, 0, 0
	for name, count := range c.launched {
		launched += count
		extra += min(count, max(0, c.view.Capacity[name].Extra))
	}
	if launched < launching || launched > launching+extra {
		c.breach("launches %d instances for %d uncovered tasks", launched, launching)
	}
	for name := range c.limit {
		if capacity := c.view.Capacity[name]; capacity.Known {
			expired, idle, _ := c.going(name)
			stay += len(capacity.Idle) + coming(capacity) + c.recalled[name] - expired - idle
		}
	}
	if covered > stay {
		c.breach("covers %d tasks with the %d instances that stay free or are coming", covered, stay)
	}
}
