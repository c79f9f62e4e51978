package decide

import (
	"fmt"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// Evaluate decides what to do at now. It is total: any input gives a plan, and
// a plan that does nothing says why. Numbers below zero count as zero.
func Evaluate(now time.Time, policy Policy, view View) Plan {
	if stale(now, policy, view) {
		return hold(now, policy, view)
	}
	e := newEvaluation(now, policy, view)
	e.serve(e.idle)
	copy(e.kept, e.flow.load)
	e.serve(e.coming)
	e.serve(e.room)
	return Plan{Launches: e.launches(), Drains: e.drains(), Verdicts: e.verdicts()}
}

// stale says whether what ClearML said last is too old to act on. A time far
// ahead of now means that our clock was set back: nobody knows how old it is.
func stale(now time.Time, policy Policy, view View) bool {
	return view.SnapshotAt.IsZero() || now.Sub(view.SnapshotAt).Abs() > policy.SnapshotMaxAge
}

// hold is the plan of somebody who does not know enough.
func hold(now time.Time, policy Policy, view View) Plan {
	reason := messages.Reason{
		Code: messages.ReasonStale, Subject: "clearml",
		Limit: int64(policy.SnapshotMaxAge.Seconds()), Detail: "no answer of the ClearML server yet",
	}
	if age := now.Sub(view.SnapshotAt); !view.SnapshotAt.IsZero() {
		reason.Got = int64(age.Seconds())
		reason.Detail = fmt.Sprintf("the last answer of the ClearML server is %s old", age.Round(time.Second))
		if age < 0 {
			reason.Detail = fmt.Sprintf("the last answer of the ClearML server is from %s ahead of our clock", -age.Round(time.Second))
		}
	}
	plan := Plan{Verdicts: make([]messages.QueuePlanned, 0, len(policy.Queues))}
	for q, waiting := range waitingOf(policy, view) {
		plan.Verdicts = append(plan.Verdicts, messages.QueuePlanned{
			Queue: policy.Queues[q].Name, Waiting: waiting, Unmet: waiting, Reasons: []messages.Reason{reason},
		})
	}
	return plan
}

// waitingOf is the number of waiting tasks by position in the policy. Of a
// queue that is there twice the first entry has them all.
func waitingOf(policy Policy, view View) []int {
	waiting := make([]int, len(policy.Queues))
	seen := make(map[messages.QueueName]bool, len(policy.Queues))
	for q, queue := range policy.Queues {
		if !seen[queue.Name] {
			seen[queue.Name] = true
			waiting[q] = max(0, view.Demand[queue.Name])
		}
	}
	return waiting
}

// evaluation is the scratch paper of one Evaluate.
type evaluation struct {
	now      time.Time
	policy   Policy
	capacity []messages.Capacity // by resource; zero where it is not known
	waiting  []int               // by queue
	served   []int               // by queue: tasks that something was given to
	kept     []int               // by resource: idle instances that were given
	flow     *assignment
}

func newEvaluation(now time.Time, policy Policy, view View) *evaluation {
	e := &evaluation{
		now:      now,
		policy:   policy,
		capacity: make([]messages.Capacity, len(policy.Resources)),
		waiting:  waitingOf(policy, view),
		served:   make([]int, len(policy.Queues)),
		kept:     make([]int, len(policy.Resources)),
	}
	index := make(map[messages.ResourceName]int, len(policy.Resources))
	for r, resource := range policy.Resources {
		if _, twice := index[resource.Name]; twice {
			continue // the second entry of a name has no capacity and no queue
		}
		index[resource.Name] = r
		if capacity := view.Capacity[resource.Name]; capacity.Known {
			e.capacity[r] = capacity
		}
	}
	edges := make([][]int, len(policy.Queues))
	for q, queue := range policy.Queues {
		edges[q] = make([]int, 0, len(queue.Resources))
		for _, name := range queue.Resources {
			if r, ok := index[name]; ok {
				edges[q] = append(edges[q], r)
			}
		}
	}
	e.flow = newAssignment(edges, len(policy.Resources))
	return e
}

// serve adds units of each resource type and gives them to the tasks that have
// nothing yet. It is called with the best units first: a task that has got one
// may be moved to another type later, but no unit that is given comes back. So
// as few launches as possible are made, and which idle instances are kept does
// not depend on what is coming or launched.
func (e *evaluation) serve(units func(r int) int) {
	for r := range e.policy.Resources {
		e.flow.supply(r, units(r))
	}
	for q := range e.policy.Queues {
		e.served[q] += e.flow.demand(q, e.waiting[q]-e.served[q])
	}
}

// idle is how many instances of a resource type could take a task now.
func (e *evaluation) idle(r int) int { return len(e.capacity[r].Idle) }

// coming is how many instances of a resource type will be idle soon.
func (e *evaluation) coming(r int) int { return max(0, e.capacity[r].Coming) }

// room is how many instances of a resource type may be launched now.
func (e *evaluation) room(r int) int {
	if capacity := e.capacity[r]; !capacity.Known || blocked(e.now, capacity) {
		return 0
	}
	return max(0, e.policy.Resources[r].Max-alive(e.capacity[r]))
}

// alive is how many instances count against max_instances.
func alive(capacity messages.Capacity) int {
	return max(capacity.Alive, len(capacity.Idle)+max(0, capacity.Coming))
}

// blocked says whether none of the offerings may be asked now.
func blocked(now time.Time, capacity messages.Capacity) bool {
	return now.Before(capacity.BlockedUntil)
}

// launching is how far a resource type's load goes over what it has.
func (e *evaluation) launching(r int) int { return max(0, e.flow.load[r]-e.idle(r)-e.coming(r)) }

// launches is what is missing of each resource type.
func (e *evaluation) launches() []Launch {
	var launches []Launch
	for r, resource := range e.policy.Resources {
		count := e.launching(r)
		if count == 0 {
			continue
		}
		load := e.flow.load[r]
		launches = append(launches, Launch{
			Resource: resource.Name,
			Count:    count,
			Reasons: []messages.Reason{{
				Code: messages.ReasonWaitingTasks, Want: int64(load), Got: int64(load - count), Limit: int64(resource.Max),
				Detail: fmt.Sprintf("%s for this type, %s free or coming",
					counted(load, "waiting task"), counted(load-count, "instance")),
			}},
		})
	}
	return launches
}

// drains picks the expired idle instances that no waiting task was given to.
// The instances that were idle for the shortest time are the ones kept.
func (e *evaluation) drains() []Drain {
	var drains []Drain
	for r, resource := range e.policy.Resources {
		idle, kept := e.capacity[r].Idle, e.kept[r]
		drain := Drain{Resource: resource.Name}
		for _, instance := range idle {
			if instance.Expired && len(drain.Instances) < len(idle)-kept {
				drain.Instances = append(drain.Instances, instance.Instance)
			}
		}
		if len(drain.Instances) == 0 {
			continue
		}
		drain.Reasons = []messages.Reason{{
			Code: messages.ReasonIdle, Want: int64(kept), Got: int64(len(idle)),
			Detail: fmt.Sprintf("%d idle, %d of them needed", len(idle), kept),
		}}
		drains = append(drains, drain)
	}
	return drains
}
