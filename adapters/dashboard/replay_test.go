package dashboard_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/messages"
)

// kept are events that a bus has kept, and hands out no sooner than it is let.
type kept struct {
	events []messages.Recorded
	let    chan struct{}
	then   dashboard.Events
}

func (k kept) Events(ctx context.Context, since time.Time, handle func(messages.Recorded), caughtUp func()) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-k.let:
	}
	for _, r := range k.events {
		handle(r)
	}
	return k.then.Events(ctx, since, handle, caughtUp)
}

// chart is a history as the page gets it.
type chart struct {
	At         []int64
	Conditions map[string][]int
	Waiting    map[string][]*int
}

// TestHistoryAfterRestart starts on events of the last two hours: the charts begin
// with the first of them, also when a status has come and a page has asked before
// they were read.
func TestHistoryAfterRestart(t *testing.T) {
	t.Parallel()

	began := time.Now().Add(-2 * time.Hour).Truncate(time.Minute)
	past := kept{let: make(chan struct{})}
	for n, event := range []messages.Event{
		messages.InstanceLaunched{Instance: "i-1", Resource: "gpu"},
		messages.QueueObserved{Queue: "training", Waiting: 3, OldestWaitSeconds: 60},
		messages.InstanceLaunched{Instance: "i-2", Resource: "gpu"},
		messages.InstanceGone{Instance: "i-1", Resource: "gpu"},
	} {
		past.events = append(past.events, messages.Recorded{
			ID: fmt.Sprintf("before.%d", n+1), Autoscaler: "prod", At: began.Add(time.Duration(n)*20*time.Minute - time.Second), Event: event,
		})
	}
	server, _ := begin(t, 5, func(c *dashboard.Config) { past.then, c.Events = c.Events, &past })
	answer := make(chan chart, 1)
	go func() { // it waits for the past
		answer <- decode[chart](t, ask(server, "GET", "/api/v1/autoscalers/prod/history?range=24h", ""))
	}()
	select {
	case got := <-answer:
		t.Fatalf("the charts begin with %d samples before the past is known", len(got.At))
	case <-time.After(50 * time.Millisecond):
	}
	close(past.let)
	got := <-answer
	if len(got.At) < 120 || got.At[0] != began.UnixMilli() {
		t.Fatalf("%d samples; want the first one of %s: %v", len(got.At), began, got.At[:min(2, len(got.At))])
	}
	for minute, want := range map[int]int{0: 1, 19: 1, 40: 2, 59: 2, 60: 1, 119: 1} {
		if booting := got.Conditions["booting"][minute]; booting != want {
			t.Errorf("after %d minutes %d instances, want %d", minute, booting, want)
		}
	}
	if waiting := got.Waiting["training"][25]; waiting == nil || *waiting != 3 {
		t.Errorf("after 25 minutes %v tasks wait, want 3", waiting)
	}
}
