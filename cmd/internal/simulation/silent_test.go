package simulation

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

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

// TestPlansWithoutAnActor lets a resource type be silent for good. The others are
// planned for without it, also when polls follow each other faster than a round waits
// for the last statement.
func TestPlansWithoutAnActor(t *testing.T) {
	t.Parallel()
	for _, polling := range []time.Duration{30 * time.Second, 5 * time.Second, 2 * time.Second, time.Second} {
		t.Run(polling.String(), func(t *testing.T) {
			t.Parallel()
			w, err := New(1, Options{
				Polling: polling,
				Queues:  []Queue{{Name: "default", Resources: []string{"A"}}, {Name: "other", Resources: []string{"B"}}},
				Resources: []Resource{
					{Name: "A", Max: 2, MaxIdle: time.Minute, MaxSpinUp: 10 * time.Minute},
					{Name: "B", Max: 2, MaxIdle: time.Minute, MaxSpinUp: 10 * time.Minute},
				},
				mistake: &mistake{messages: func(*process) actor.ReceiverMiddleware {
					return func(next actor.ReceiverFunc) actor.ReceiverFunc {
						return func(ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) {
							if _, asked := envelope.Message.(messages.ResourceMessage); !asked || !strings.Contains(ctx.Self().GetId(), "resource-B") {
								next(ctx, envelope)
							}
						}
					}
				}},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if err := w.Enqueue("default", 1, time.Minute); err != nil {
				t.Fatal(err)
			}
			w.Advance(3 * time.Minute)
			if n := len(w.Cloud().Instances()); n != 1 {
				t.Errorf("%d instances were launched for the task of the type that answers", n)
			}
		})
	}
}
