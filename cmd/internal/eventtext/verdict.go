package eventtext

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/messages"
)

// Verdict says in few words what becomes of the tasks of a queue that these resource
// types, and maybe others, serve; `ebb explain` has all of them.
func Verdict(q messages.QueueStatus, resources []messages.ResourceStatus) string {
	v := q.Verdict
	switch {
	case !q.Known:
		return "not seen yet"
	case q.Waiting == 0:
		return "nothing waits"
	case v.Waiting != q.Waiting:
		return "decided about in a moment"
	}
	text := shares(v)
	var reasons []string
	for _, reason := range v.Reasons {
		reasons = append(reasons, shortReason(resources, reason))
	}
	if len(reasons) > 0 {
		text += ": " + strings.Join(reasons, ", ")
	}
	return text
}

// shares are how many tasks get what.
func shares(v messages.QueuePlanned) string {
	var parts []string
	for _, part := range []struct {
		n    int
		text string
	}{{v.Covered, "covered"}, {v.Launching, "launching"}, {v.Unmet, "not served"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.text))
		}
	}
	return strings.Join(parts, ", ")
}

// shortReason is why a task gets nothing, in few words.
func shortReason(resources []messages.ResourceStatus, reason messages.Reason) string {
	subject := clean(reason.Subject)
	switch reason.Code {
	case messages.ReasonPaused:
		return "paused"
	case messages.ReasonContested:
		if reason.Limit > 0 {
			return "another ebb may act"
		}
		return "another ebb acts"
	case messages.ReasonStale:
		return "ClearML does not answer in time"
	case messages.ReasonFleetUnknown:
		return subject + " waits for EC2's listing"
	case messages.ReasonNoResource:
		return "no resource type serves it"
	case messages.ReasonAtMax:
		return fmt.Sprintf("%s at its max of %d", subject, reason.Limit)
	case messages.ReasonBlocked:
		at := slices.IndexFunc(resources, func(r messages.ResourceStatus) bool { return string(r.Resource) == reason.Subject })
		if at < 0 || len(resources[at].Blocks) == 0 {
			return subject + " refused by EC2"
		}
		return fmt.Sprintf("%s refused by EC2 (%s)", subject, strings.ReplaceAll(string(resources[at].Blocks[0].Class), "_", " "))
	default:
		return Reason(reason)
	}
}
