package dashboard_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/adapters/dashboard/dashtest"
	"github.com/ebbscale/ebb/messages"
)

// broken is an event bus that is lost after each event.
type broken struct{ asked chan time.Time }

func (b broken) Events(ctx context.Context, since time.Time, handle func(messages.Recorded), _ func()) error {
	select {
	case b.asked <- since:
	case <-ctx.Done():
	}
	handle(messages.Recorded{ID: "one", Autoscaler: "prod", At: noon, Event: messages.InstanceLaunched{Instance: "i-1", Resource: "gpu"}})
	return errors.New("the bus is lost")
}

// TestBusIsLost: a day of events is read once. After a break the events go on a little
// before the last one, and one that comes again is not shown again.
func TestBusIsLost(t *testing.T) {
	t.Parallel()

	bus := broken{asked: make(chan time.Time)}
	server := run(t, dashtest.New(clock.System(), 1, 1, "prod"), func(c *dashboard.Config) {
		c.Events, c.Clock = bus, still{c.Clock}
	})
	for i, want := range []time.Time{noon.Add(-24 * time.Hour), noon.Add(-time.Minute), noon.Add(-time.Minute)} {
		if got := <-bus.asked; !got.Equal(want) {
			t.Errorf("events were asked for the %d. time since %s, want %s", i+1, got, want)
		}
	}
	answer := decode[struct{ Events []struct{ ID string } }](t, ask(server, "GET", "/api/v1/autoscalers/prod/events", ""))
	if len(answer.Events) != 1 {
		t.Errorf("an event that came three times is shown %d times", len(answer.Events))
	}
}

// TestStreamHeaders holds what proxies need to know: that it is a stream, and must be
// passed on as it comes.
func TestStreamHeaders(t *testing.T) {
	t.Parallel()

	server, _ := begin(t, 1)
	for _, path := range []string{"/api/v1/stream", "/api/v1/autoscalers/prod/stream"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, serve(t, server)+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		for name, want := range map[string]string{
			"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no", "Cache-Control": "no-store",
		} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}
