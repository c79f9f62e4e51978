package simulation

import (
	"context"
	"testing"
	"time"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/messages"
)

// slowEnd lets a request to terminate travel for a while once it was permitted; it
// arrives whatever becomes of the process that sent it.
type slowEnd struct {
	actors.EC2
	world *World
	sent  *bool
}

func (s slowEnd) Terminate(ctx context.Context, ids []messages.InstanceID) (messages.TerminateOutcome, error) {
	*s.sent = true
	if err := messages.Permitted(ctx); err != nil {
		return messages.TerminateOutcome{}, err
	}
	s.world.loop.travel(15 * time.Second)
	texts := make([]string, 0, len(ids))
	for _, id := range ids {
		texts = append(texts, string(id))
	}
	if _, err := s.world.cloud.TerminateInstances(texts, false); err != nil {
		return messages.TerminateOutcome{}, err
	}
	return messages.TerminateOutcome{Terminating: ids}, nil
}

// TestBarrierHolds ends an instance without a supervisor, which is safe only as
// long as its queues are closed. While that request is under way a task comes,
// and the autoscaler stops, or fails: the queues stay closed until it has
// arrived.
func TestBarrierHolds(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"undisturbed", "stop", "hasty stop", "crash"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			sent := false
			w := barred(t, &sent)
			defer w.Close()
			for range 3000 {
				if sent {
					break
				}
				w.Advance(500 * time.Millisecond)
			}
			if !sent {
				t.Fatal("the instance is never to be terminated")
			}
			if err := w.Enqueue("default", 1, 10*time.Minute); err != nil {
				t.Fatal(err)
			}
			switch how {
			case "stop":
				if _, err := w.Stop(messages.ShutdownKeep, time.Minute); err != nil {
					t.Error(err)
				}
			case "hasty stop": // without the patience that EC2 takes
				if _, err := w.Stop(messages.ShutdownKeep, 5*time.Second); err != nil {
					t.Error(err)
				}
			case "crash":
				w.Advance(time.Second)
				w.Crash("autoscaler", 0, true)
			}
			w.Advance(5 * time.Minute)
			for _, breach := range w.Breaches() {
				t.Error(breach)
			}
			for _, queue := range w.ml.Queues() {
				if len(queue.Tags) > 0 {
					t.Errorf("queue %s is left with tags %v", queue.Name, queue.Tags)
				}
			}
		})
	}
}

// barred is a world with one instance without a supervisor that runs a task.
func barred(t *testing.T, sent *bool) *World {
	t.Helper()
	o := Options{
		Queues: []Queue{{Name: "default", Resources: []string{"A"}}}, Unsupervised: true,
		Resources: []Resource{{Name: "A", Max: 1, MaxIdle: 3 * time.Minute, MaxSpinUp: 5 * time.Minute}},
	}
	o.mistake = &mistake{configure: func(p *process, cfg *actors.Config) {
		cfg.EC2 = slowEnd{EC2: cfg.EC2, world: p.world, sent: sent}
	}}
	w, err := New(3, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Enqueue("default", 1, time.Minute); err != nil {
		t.Fatal(err)
	}
	return w
}
