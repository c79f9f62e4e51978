package eventtext

import (
	"fmt"
	"strings"

	"github.com/ebbscale/ebb/messages"
)

// Reason is a reason in words: what it is about, what it is, and the detail, or
// the numbers when there is none.
func Reason(r messages.Reason) string {
	if r.Code == messages.ReasonPaused && r.Detail == messages.PauseUnread {
		return r.Detail
	}
	text := phrase(r.Code)
	if r.Code == messages.ReasonContested && r.Limit > 0 {
		return "another ebb may act for this autoscaler (" + clean(r.Detail) + ")"
	}
	if r.Subject != "" {
		text = clean(r.Subject) + " " + text
	}
	if detail := clean(r.Detail); detail != "" {
		return text + " (" + detail + ")"
	}
	var numbers []string
	for _, n := range []struct {
		name  string
		value int64
	}{{"want", r.Want}, {"got", r.Got}, {"limit", r.Limit}} {
		if n.value != 0 {
			numbers = append(numbers, fmt.Sprintf("%s %d", n.name, n.value))
		}
	}
	if len(numbers) > 0 {
		text += " (" + strings.Join(numbers, ", ") + ")"
	}
	return text
}

// because is the end of a line that gives the reasons; nothing without any.
func because(reasons []messages.Reason) string {
	texts := make([]string, 0, len(reasons))
	for _, r := range reasons {
		texts = append(texts, Reason(r))
	}
	if len(texts) == 0 {
		return ""
	}
	return "; why: " + strings.Join(texts, ", ")
}

// phrase is the code in words. A code that this version does not know stands
// for itself.
func phrase(code messages.ReasonCode) string {
	if text, ok := phrases()[code]; ok {
		return text
	}
	return clean(string(code))
}

func phrases() map[messages.ReasonCode]string {
	return map[messages.ReasonCode]string{
		messages.ReasonWaitingTasks:    "tasks wait",
		messages.ReasonCovered:         "covered by instances there or coming",
		messages.ReasonAtMax:           "at max_instances",
		messages.ReasonBlocked:         "blocked after refusals",
		messages.ReasonFleetUnknown:    "fleet not known yet",
		messages.ReasonStale:           "observation too old to act on",
		messages.ReasonIdle:            "idle for max_idle_time",
		messages.ReasonNeeded:          "needed by waiting tasks",
		messages.ReasonTookWork:        "took work",
		messages.ReasonIdleTooShort:    "not idle for max_idle_time yet",
		messages.ReasonUnconfirmed:     "nobody could say that it is idle",
		messages.ReasonNeverRegistered: "no worker within max_spin_up_time",
		messages.ReasonWorkerVanished:  "worker vanished",
		messages.ReasonShutdown:        "autoscaler shuts down",
		messages.ReasonNoResource:      "no such resource type",
		messages.ReasonEnded:           "ended by itself or by EC2",
		messages.ReasonInterrupted:     "spot instance taken back by EC2",
		messages.ReasonMaxLifetime:     "older than max_lifetime",
		messages.ReasonOverMax:         "more than max_instances",
		messages.ReasonBootFailures:    "failed too many boots",
		messages.ReasonLaunchRefused:   "launches are refused for good",
		messages.ReasonInstanceGone:    "instance gone",
		messages.ReasonNeverStarted:    "taken but never started",
		messages.ReasonGuarded:         "too many look unhealthy at once to believe it",
		messages.ReasonPolicy:          "as configured",
		messages.ReasonPaused:          "launching is paused",
		messages.ReasonContested:       "another ebb acts for this autoscaler",
		messages.ReasonOperator:        "an operator wants it",
	}
}
