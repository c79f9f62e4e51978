package eventtext_test

import (
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
)

func TestVerdict(t *testing.T) {
	t.Parallel()

	resources := []messages.ResourceStatus{
		{Resource: "spot", Blocks: []messages.Blocked{{Class: messages.ClassNoCapacity}}},
		{Resource: "gpu"},
	}
	queue := func(waiting int, v messages.QueuePlanned) messages.QueueStatus {
		return messages.QueueStatus{Queue: "q", Known: true, Waiting: waiting, Verdict: v}
	}
	for want, q := range map[string]messages.QueueStatus{
		"not seen yet":              {Queue: "q"},
		"nothing waits":             queue(0, messages.QueuePlanned{}),
		"decided about in a moment": queue(2, messages.QueuePlanned{Waiting: 1, Covered: 1}),
		"1 covered, 2 launching":    queue(3, messages.QueuePlanned{Waiting: 3, Covered: 1, Launching: 2}),
		"2 not served: spot refused by EC2 (no capacity), gpu at its max of 4": queue(2, messages.QueuePlanned{Waiting: 2, Unmet: 2, Reasons: []messages.Reason{
			{Code: messages.ReasonBlocked, Subject: "spot"}, {Code: messages.ReasonAtMax, Subject: "gpu", Limit: 4},
		}}),
		"1 not served: gpu refused by EC2": queue(1, messages.QueuePlanned{Waiting: 1, Unmet: 1, Reasons: []messages.Reason{
			{Code: messages.ReasonBlocked, Subject: "gpu"},
		}}),
		"1 not served: paused, another ebb acts, ClearML does not answer in time, no resource type serves it, gpu waits for EC2's listing": queue(1,
			messages.QueuePlanned{Waiting: 1, Unmet: 1, Reasons: []messages.Reason{
				{Code: messages.ReasonPaused},
				{Code: messages.ReasonContested},
				{Code: messages.ReasonStale},
				{Code: messages.ReasonNoResource},
				{Code: messages.ReasonFleetUnknown, Subject: "gpu"},
			}}),
		"1 not served: gpu failed too many boots (x)": queue(1, messages.QueuePlanned{Waiting: 1, Unmet: 1, Reasons: []messages.Reason{
			{Code: messages.ReasonBootFailures, Subject: "gpu", Detail: "x"},
		}}),
	} {
		if got := eventtext.Verdict(q, resources); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
