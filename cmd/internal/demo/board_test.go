package demo

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/messages"
)

// TestBoardDraws holds what a viewer sees: the names of the configuration before
// anything has happened, and after each event what it changed.
func TestBoardDraws(t *testing.T) {
	t.Parallel()
	now := clock.Scaled(time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), 1e-12) // it stands still
	b := newBoard(now, config.File{Autoscalers: []config.Autoscaler{{
		Queues: []config.Queue{{Queue: "gpu"}, {Queue: "cpu"}},
		Resources: []config.Resource{
			{Name: "gpu-spot", Market: "spot", InstanceTypes: []string{"g5.xlarge"}, MaxInstances: 3},
			{Name: "cpu", Market: "on_demand", InstanceTypes: []string{"m7i.large"}, MaxInstances: 1},
		},
	}}}, 7)
	shows := func(after string, wants ...string) {
		t.Helper()
		text := regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(b.draw(80, 24), "")
		for _, want := range wants {
			if !regexp.MustCompile(`(?m)` + want).MatchString(text) {
				t.Errorf("after %s it does not show %q:\n%s", after, want, text)
			}
		}
		if lines := strings.Count(text, "\n"); lines > 23 {
			t.Errorf("after %s it has %d lines", after, lines)
		}
	}
	number := 0
	apply := func(event messages.Event) {
		number++
		b.apply(messages.Recorded{ID: "demo.x." + time.Duration(number).String(), At: now.Now(), Event: event}, "line of "+event.Kind())
	}

	b.doors = []string{"dashboard: http://127.0.0.1:1   (token: x)"}
	shows("nothing", `^dashboard: http://127.0.0.1:1 +.token: x.$`, `7 jobs   0 events`, `^gpu +\? +not seen yet`, `^gpu-spot +spot g5.xlarge +· · ·  0/3`, `^cpu +on-demand m7i.large +·  0/1`)
	apply(messages.QueueObserved{Queue: "gpu", Waiting: 2})
	apply(messages.QueuePlanned{Queue: "gpu", Waiting: 2, Launching: 1, Unmet: 1, Reasons: []messages.Reason{{Code: messages.ReasonAtMax, Subject: "cpu"}}})
	apply(messages.InstanceRequested{Resource: "gpu-spot", Count: 1, Max: 3})
	shows("a request", `^gpu +2 +1 launching, 1 not served: cpu at its max of 0`, `gpu-spot .* 0/3`, `^line of instance.requested`)
	apply(messages.InstanceLaunched{Instance: "i-2", Resource: "gpu-spot", Offering: messages.Offering{InstanceType: "g5.xlarge"}})
	apply(messages.InstanceLaunched{Instance: "i-1", Resource: "gpu-spot", Offering: messages.Offering{InstanceType: "g5.2xlarge"}})
	apply(messages.InstanceBusy{Instance: "i-2", Resource: "gpu-spot", TaskName: "train"})
	shows("two launches", `■ ■ ·  2/3`, `^i-1 +g5.2xlarge +booting +0s *\ni-2 +g5.xlarge +busy +0s +train`)
	if b.empty() {
		t.Error("two instances are nothing")
	}
	for _, id := range []messages.InstanceID{"i-1", "i-2"} {
		apply(messages.InstanceGone{Instance: id, Resource: "gpu-spot", Reasons: []messages.Reason{{Code: messages.ReasonIdle}}})
	}
	shows("their end", `· · ·  0/3`, `TASK\n\nEVENTS`)
	if !b.empty() || b.reasonOf("i-1").Code != messages.ReasonIdle {
		t.Errorf("empty is %t, i-1 ended for %+v", b.empty(), b.reasonOf("i-1"))
	}
}
