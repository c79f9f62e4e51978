package decide

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// verdicts explains each queue.
func (e *evaluation) verdicts() []messages.QueuePlanned {
	covered := e.covered()
	verdicts := make([]messages.QueuePlanned, 0, len(e.policy.Queues))
	for q, queue := range e.policy.Queues {
		verdict := messages.QueuePlanned{
			Queue: queue.Name, Waiting: e.waiting[q], Covered: covered[q],
			Launching: e.served[q] - covered[q], Unmet: e.waiting[q] - e.served[q],
		}
		if verdict.Unmet > 0 {
			verdict.Reasons = e.whyUnmet(q)
		}
		verdicts = append(verdicts, verdict)
	}
	return verdicts
}

// covered is, by queue, how many of its tasks what is there, coming or taken
// back is given to; the rest of what it was given is launched. Where a resource
// type has both, the queues that come first in the policy are counted as
// covered first, and replacements last.
func (e *evaluation) covered() []int {
	covered := make([]int, len(e.policy.Queues))
	for r, users := range e.flow.users {
		left := e.have(r)
		for _, user := range users {
			if user.demander >= len(covered) {
				break
			}
			part := min(left, e.flow.given[user.demander][user.choice])
			covered[user.demander] += part
			left -= part
		}
	}
	return covered
}

// whyUnmet says why some tasks of a queue get nothing: one reason for each of
// its resource types.
func (e *evaluation) whyUnmet(q int) []messages.Reason {
	if len(e.flow.edges[q]) == 0 {
		return []messages.Reason{{
			Code: messages.ReasonNoResource, Subject: string(e.policy.Queues[q].Name),
			Detail: "no configured resource type serves this queue",
		}}
	}
	if e.policy.Hold.Code != "" {
		return []messages.Reason{e.policy.Hold}
	}
	if len(e.unsure) > 0 && e.unsure[q] {
		return e.whyUnsure(q)
	}
	reasons := make([]messages.Reason, 0, len(e.flow.edges[q]))
	for _, r := range e.flow.edges[q] {
		reasons = append(reasons, e.whyNot(r))
	}
	return reasons
}

// whyUnsure names the resource types that nobody knows the instances of: its
// own, or else any, by name, since it hangs together with one of them.
func (e *evaluation) whyUnsure(q int) []messages.Reason {
	var own, all []messages.Reason
	reason := func(r int) messages.Reason {
		resource := e.policy.Resources[r]
		return messages.Reason{
			Code: messages.ReasonFleetUnknown, Subject: string(resource.Name), Limit: int64(max(0, resource.Max)),
			Detail: "EC2 has not been listed completely yet",
		}
	}
	for _, r := range e.flow.edges[q] {
		if !e.known[e.policy.Resources[r].Name] {
			own = append(own, reason(r))
		}
	}
	if len(own) > 0 {
		return own
	}
	for r, resource := range e.policy.Resources {
		if !e.known[resource.Name] {
			all = append(all, reason(r))
		}
	}
	slices.SortFunc(all, func(a, b messages.Reason) int { return strings.Compare(a.Subject, b.Subject) })
	return all
}

// whyNot says why a resource type gave no more than it did.
func (e *evaluation) whyNot(r int) messages.Reason {
	capacity, resource := e.capacity[r], e.policy.Resources[r]
	reason := messages.Reason{
		Subject: string(resource.Name), Got: int64(alive(capacity) + e.launching(r)), Limit: int64(max(0, resource.Max)),
	}
	switch {
	case !capacity.Known:
		reason.Code = messages.ReasonFleetUnknown
		reason.Detail = "EC2 has not been listed completely yet"
	case blocked(e.now, capacity):
		reason.Code = messages.ReasonBlocked
		reason.Detail = fmt.Sprintf("%s; asked again in %s",
			capacity.Block, capacity.BlockedUntil.Sub(e.now).Round(time.Second))
	case e.launching(r) > 0 && e.launching(r) == capacity.LaunchLimit && reason.Got < reason.Limit:
		reason.Code = messages.ReasonBlocked
		reason.Detail = fmt.Sprintf("only %s may be launched until it is known whether that works again",
			counted(capacity.LaunchLimit, "instance"))
		if capacity.Block != "" {
			reason.Detail = fmt.Sprintf("%s; %s", capacity.Block, reason.Detail)
		}
	default:
		reason.Code = messages.ReasonAtMax
		reason.Detail = fmt.Sprintf("%d of at most %d instances exist, are on their way or are launched now", reason.Got, reason.Limit)
	}
	return reason
}

// counted is a number of things for people: "1 instance", "2 instances".
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
