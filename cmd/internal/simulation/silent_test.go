package simulation

import (
	"reflect"
	"testing"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// probePatience is the shortest time that anybody waits for a status: the one of
// metrics and health.
const probePatience = 3 * time.Second

// TestStatusWithoutAnActor asks for a status while a resource type does not answer:
// the rest comes before whoever asked gives up, who would take the whole autoscaler
// for dead otherwise.
func TestStatusWithoutAnActor(t *testing.T) {
	t.Parallel()
	w, err := New(1, Options{
		Queues:    []Queue{{Name: "default", Resources: []string{"A", "B"}}},
		Resources: []Resource{{Name: "A", Max: 2, MaxIdle: time.Minute, MaxSpinUp: time.Minute}, {Name: "B", Max: 2, MaxIdle: time.Minute, MaxSpinUp: time.Minute}},
		mistake: bendMessages("resource", func(message any) []any {
			if _, asked := message.(messages.ReportResource); asked {
				return nil
			}
			return []any{message}
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Advance(2 * time.Minute)
	before := w.Now()
	answer := w.Order(messages.ReportStatus{})
	if took := w.Now().Sub(before); took >= probePatience-500*time.Millisecond {
		t.Errorf("the status took %s, and who asks waits %s", took, probePatience)
	}
	if answer.Status == nil || !reflect.DeepEqual(answer.Status.Silent, []string{"resource A", "resource B"}) || len(answer.Status.Queues) != 1 {
		t.Errorf("got %+v", answer)
	}
}
