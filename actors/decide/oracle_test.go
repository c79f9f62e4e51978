package decide_test

import (
	"slices"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// oracle finds the best plan by trying all of them: each waiting task in turn
// gets nothing, or something that is there, or something that was to go and is
// taken back, or something new, of each type of its queue. It shares no idea with the package under test.
type oracle struct {
	tasks [][]int // each task's resource types
	sure  []bool  // of each task: whether anything may be launched for it
	known map[situation]outcome
}

// Worlds for the oracle have at most three resource types.
const oracleTypes = 3

// situation is what is left when it is the turn of a task.
type situation struct {
	task             int
	have, back, room [oracleTypes]int
}

// outcome is better with more tasks served and, at the same number, with fewer
// launches, and then with fewer instances taken back.
type outcome struct{ served, launched, recalled int }

func (o outcome) better(than outcome) bool {
	if o.served != than.served {
		return o.served > than.served
	}
	if o.launched != than.launched {
		return o.launched < than.launched
	}
	return o.recalled < than.recalled
}

// best is the outcome that no plan for this world can better.
func best(w *world) outcome {
	o := oracle{known: map[situation]outcome{}}
	start := situation{}
	index := map[messages.ResourceName]int{}
	for r, resource := range w.policy.Resources {
		index[resource.Name] = r
		capacity := w.view.Capacity[resource.Name]
		if !capacity.Known {
			continue
		}
		free := resource.Max - len(capacity.Idle) - capacity.Coming - len(capacity.Busy)
		start.have[r] = max(0, len(capacity.Idle)+min(0, free)) + capacity.Coming // idle ones go first
		start.back[r] = min(len(capacity.Recallable), max(0, free))
		if !w.now.Before(capacity.BlockedUntil) {
			start.room[r] = resource.Max - capacity.Alive
			if limit := capacity.LaunchLimit; limit > 0 {
				start.room[r] = min(start.room[r], limit)
			}
		}
	}
	for _, queue := range w.policy.Queues {
		types := []int{}
		for _, name := range queue.Resources {
			types = append(types, index[name])
		}
		for range w.view.Demand[queue.Name] {
			o.tasks = append(o.tasks, types)
			o.sure = append(o.sure, w.sure(queue, map[messages.QueueName]bool{}))
		}
	}
	return o.from(start)
}

func (o *oracle) from(at situation) outcome {
	if at.task == len(o.tasks) {
		return outcome{}
	}
	if found, ok := o.known[at]; ok {
		return found
	}
	skip := at
	skip.task++
	result := o.from(skip)
	for _, r := range o.tasks[at.task] {
		if at.have[r] > 0 {
			next := skip
			next.have[r]--
			got := o.from(next)
			got.served++
			if got.better(result) {
				result = got
			}
		}
		if at.back[r] > 0 {
			next := skip
			next.back[r]--
			got := o.from(next)
			got.served++
			got.recalled++
			if got.better(result) {
				result = got
			}
		}
		if at.room[r] > 0 && o.sure[at.task] {
			next := skip
			next.room[r]--
			got := o.from(next)
			got.served++
			got.launched++
			if got.better(result) {
				result = got
			}
		}
	}
	o.known[at] = result
	return result
}

// sure says whether all resource types are known that a queue hangs together
// with, over other queues, too.
func (w *world) sure(queue decide.QueuePolicy, seen map[messages.QueueName]bool) bool {
	seen[queue.Name] = true
	for _, name := range queue.Resources {
		if !w.view.Capacity[name].Known {
			return false
		}
		for _, other := range w.policy.Queues {
			if !seen[other.Name] && slices.Contains(other.Resources, name) && !w.sure(other, seen) {
				return false
			}
		}
	}
	return true
}
