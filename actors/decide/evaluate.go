package decide

import (
	"cmp"
	"fmt"
	"slices"
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
	e.serve(e.recallable)
	e.serveNew()
	return Plan{Launches: e.launches(), Recalls: e.recalls(), Drains: e.drains(), Verdicts: e.verdicts()}
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
	extras   []int               // the resources that want replacements
	replaced []int               // by position in extras: replacements that something was given to
	kept     []int               // by resource: idle instances that were given
	flow     *assignment         // demanders are the queues, then the extras
	known    map[messages.ResourceName]bool
	unsure   []bool // by queue: nothing is launched for it now
}

func newEvaluation(now time.Time, policy Policy, view View) *evaluation {
	e := &evaluation{
		now:      now,
		policy:   policy,
		known:    make(map[messages.ResourceName]bool, len(policy.Resources)),
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
			e.capacity[r], e.known[resource.Name] = capacity, true
		}
	}
	edges := make([][]int, len(policy.Queues), len(policy.Queues)+1)
	for q, queue := range policy.Queues {
		edges[q] = make([]int, 0, len(queue.Resources))
		for _, name := range queue.Resources {
			if r, ok := index[name]; ok {
				edges[q] = append(edges[q], r)
			}
		}
	}
	for r, capacity := range e.capacity {
		if capacity.Extra > 0 {
			e.extras = append(e.extras, r)
		}
	}
	slices.SortFunc(e.extras, func(a, b int) int { // the order of resource types means nothing
		return cmp.Compare(policy.Resources[a].Name, policy.Resources[b].Name)
	})
	for _, r := range e.extras {
		edges = append(edges, []int{r})
	}
	e.replaced = make([]int, len(e.extras))
	e.flow = newAssignment(edges, len(policy.Resources))
	return e
}

// serve adds units of each resource type and gives them to the tasks that have
// nothing yet, and what is left to the replacements. It is called with the best
// units first: a task that has got one may be moved to another type later, but
// no unit that is given comes back. So as few launches as possible are made,
// and which idle instances are kept does not depend on what comes after them.
func (e *evaluation) serve(units func(r int) int) {
	for r := range e.policy.Resources {
		e.flow.supply(r, units(r))
	}
	for q := range e.policy.Queues {
		e.served[q] += e.flow.demand(q, e.waiting[q]-e.served[q])
	}
	for x, r := range e.extras {
		e.replaced[x] += e.flow.demand(len(e.policy.Queues)+x, e.capacity[r].Extra-e.replaced[x])
	}
}

// serveNew is serve with launches, but for queues that hang together with a
// resource type that nobody knows the instances of: it may have what they need.
func (e *evaluation) serveNew() {
	var tainted map[messages.ResourceName]bool
	e.unsure, tainted = unsureQueues(e.policy, e.known)
	for r := range e.policy.Resources {
		e.flow.supply(r, e.room(r))
	}
	for q := range e.policy.Queues {
		if !e.unsure[q] {
			e.served[q] += e.flow.demand(q, e.waiting[q]-e.served[q])
		}
	}
	for x, r := range e.extras {
		if !tainted[e.policy.Resources[r].Name] {
			e.replaced[x] += e.flow.demand(len(e.policy.Queues)+x, e.capacity[r].Extra-e.replaced[x])
		}
	}
}

// unsureQueues says of each queue, by position, whether a resource type that is
// not known serves it, or another queue that shares one with it, and so on; and
// of each resource type whether it hangs together with such a one.
func unsureQueues(policy Policy, known map[messages.ResourceName]bool) (unsure []bool, tainted map[messages.ResourceName]bool) {
	unsure, tainted = make([]bool, len(policy.Queues)), make(map[messages.ResourceName]bool)
	for _, resource := range policy.Resources {
		tainted[resource.Name] = !known[resource.Name]
	}
	for again := true; again; {
		again = false
		for q, queue := range policy.Queues {
			if unsure[q] || !slices.ContainsFunc(queue.Resources, func(name messages.ResourceName) bool { return tainted[name] }) {
				continue
			}
			unsure[q], again = true, true
			for _, name := range queue.Resources {
				tainted[name] = true
			}
		}
	}
	return unsure, tainted
}

// idle is how many instances of a resource type could take a task now and may
// stay.
func (e *evaluation) idle(r int) int {
	idle := len(e.capacity[r].Idle)
	return idle - min(idle, e.over(r))
}

// coming is how many instances of a resource type will be idle soon.
func (e *evaluation) coming(r int) int { return coming(e.capacity[r]) }

// over is how many instances have to go because there are too many.
func (e *evaluation) over(r int) int { return over(e.capacity[r], e.policy.Resources[r].Max) }

// recallable is how many instances of a resource type may be taken back.
func (e *evaluation) recallable(r int) int {
	return recallable(e.capacity[r], e.policy.Resources[r].Max)
}

// room is how many instances of a resource type may be launched now.
func (e *evaluation) room(r int) int {
	if e.policy.Hold.Code != "" {
		return 0
	}
	return room(e.now, e.capacity[r], e.policy.Resources[r].Max)
}

// have is what needs no launch: idle, coming and taken back.
func (e *evaluation) have(r int) int { return e.idle(r) + e.coming(r) + e.recallable(r) }

// launching is how far a resource type's load goes over what it has.
func (e *evaluation) launching(r int) int { return max(0, e.flow.load[r]-e.have(r)) }

// recalling is how much of a resource type's load has to be taken back.
func (e *evaluation) recalling(r int) int {
	return min(e.recallable(r), max(0, e.flow.load[r]-e.idle(r)-e.coming(r)))
}

// loads is a resource type's load by what it is for: waiting tasks, and
// replacements.
func (e *evaluation) loads(r int) (tasks, extra int) {
	tasks = e.flow.load[r]
	for x, of := range e.extras {
		if of == r {
			extra = e.replaced[x]
		}
	}
	return tasks - extra, extra
}

// launches is what is missing of each resource type.
func (e *evaluation) launches() []Launch {
	var launches []Launch
	for r, resource := range e.policy.Resources {
		count := e.launching(r)
		if count == 0 {
			continue
		}
		launch := Launch{Resource: resource.Name, Count: count}
		tasks, extra := e.loads(r)
		if have := min(tasks, e.have(r)); tasks > have {
			launch.Reasons = append(launch.Reasons, messages.Reason{
				Code: messages.ReasonWaitingTasks, Want: int64(tasks), Got: int64(have), Limit: int64(resource.Max),
				Detail: fmt.Sprintf("%s for this type, %s free or coming",
					counted(tasks, "waiting task"), counted(have, "instance")),
			})
		}
		if have := min(extra, max(0, e.have(r)-tasks)); extra > have {
			launch.Reasons = append(launch.Reasons, messages.Reason{
				Code: messages.ReasonInterrupted, Want: int64(e.capacity[r].Extra), Got: int64(have), Limit: int64(resource.Max),
				Detail: fmt.Sprintf("EC2 takes back %s with a task, %s free or coming in place",
					counted(e.capacity[r].Extra, "instance"), counted(have, "instance")),
			})
		}
		launches = append(launches, launch)
	}
	return launches
}

// recalls is what is taken back of what was to go.
func (e *evaluation) recalls() []Recall {
	var recalls []Recall
	for r, resource := range e.policy.Resources {
		count := e.recalling(r)
		if count == 0 {
			continue
		}
		load, have := e.flow.load[r], e.idle(r)+e.coming(r)
		recalls = append(recalls, Recall{
			Resource:  resource.Name,
			Instances: append([]messages.InstanceID(nil), e.capacity[r].Recallable[:count]...),
			Reasons: []messages.Reason{{
				Code: messages.ReasonNeeded, Want: int64(load), Got: int64(have),
				Detail: fmt.Sprintf("%d needed, %d free or coming without those that are drained", load, have),
			}},
		})
	}
	return recalls
}

// drains picks the expired idle instances that no waiting task was given to,
// and what is over the maximum: idle instances first, then those that were
// launched last, which finish their task. The instances that were idle for the
// shortest time are the ones kept.
func (e *evaluation) drains() []Drain {
	var drains []Drain
	for r, resource := range e.policy.Resources {
		capacity := e.capacity[r]
		idle, kept, over := capacity.Idle, e.kept[r], e.over(r)
		unneeded := Drain{Resource: resource.Name}
		surplus := Drain{Resource: resource.Name}
		for _, instance := range idle {
			if instance.Expired && len(unneeded.Instances) < len(idle)-kept {
				unneeded.Instances = append(unneeded.Instances, instance.Instance)
			}
		}
		for _, instance := range idle {
			if !instance.Expired && len(unneeded.Instances)+len(surplus.Instances) < over {
				surplus.Instances = append(surplus.Instances, instance.Instance)
			}
		}
		if left := over - len(idle); left > 0 {
			surplus.Instances = append(surplus.Instances, capacity.Busy[:min(left, len(capacity.Busy))]...)
		}
		if len(unneeded.Instances) > 0 {
			unneeded.Reasons = []messages.Reason{{
				Code: messages.ReasonIdle, Want: int64(kept), Got: int64(len(idle)),
				Detail: fmt.Sprintf("%d idle, %d of them needed", len(idle), kept),
			}}
			drains = append(drains, unneeded)
		}
		if len(surplus.Instances) > 0 {
			surplus.Reasons = []messages.Reason{{
				Code: messages.ReasonOverMax, Got: int64(staying(capacity)), Limit: int64(max(0, resource.Max)),
				Detail: fmt.Sprintf("%s, at most %d may be; running tasks are finished first",
					counted(staying(capacity), "instance"), max(0, resource.Max)),
			}}
			drains = append(drains, surplus)
		}
	}
	return drains
}
