package simulation_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/cmd/internal/simulation"
)

// errand is a small story with everything in it: a refusal for want of capacity,
// launches of two types, tasks, drains and terminations.
func errand(killAt int, after bool) (*simulation.World, error) {
	w, err := simulation.New(4, simulation.Options{
		Queues: []simulation.Queue{{Name: "default", Resources: []string{"A", "B"}}},
		Resources: []simulation.Resource{
			{Name: "A", Max: 1, MaxIdle: time.Minute, MaxSpinUp: 5 * time.Minute, Zones: []string{"us-east-1a", "us-east-1b"}},
			{Name: "B", Max: 1, MaxIdle: time.Minute, MaxSpinUp: 5 * time.Minute},
		},
		Polling: 30 * time.Second, Stale: time.Hour, Requeue: true,
		Network: fakeec2.Dist{Median: 15 * time.Millisecond},
		Install: fakeec2.Dist{Median: 20 * time.Second},
		Region: fakeec2.Timing{
			Pending: fakeec2.Dist{Median: 8 * time.Second}, ShuttingDown: fakeec2.Dist{Median: 20 * time.Second},
			Visible: fakeec2.Dist{Median: time.Second}, Stale: fakeec2.Dist{Median: time.Second}, TerminatedKept: 10 * time.Minute,
		},
	})
	if err != nil {
		return nil, err
	}
	w.Cloud().SetCapacity(fakeec2.Offering{Type: "g4dn.xlarge", Zone: "us-east-1a", Market: fakeec2.OnDemand}, 0)
	w.KillAtCall(killAt, after, 10*time.Second)
	if err := w.Enqueue("default", 2, 20*time.Second); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// TestKillsEverywhere kills the process right before and right after every single
// call that it makes in the course of an errand, to ClearML, EC2 and its store,
// and starts it again: no law is broken, and all gets done.
func TestKillsEverywhere(t *testing.T) {
	t.Parallel()
	calm, err := errand(0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer calm.Close()
	for _, wrong := range append(calm.Converged(time.Hour), calm.Breaches()...) {
		t.Error(wrong)
	}
	calls := calm.Calls()
	events := map[string]int{}
	for _, event := range calm.Events() {
		events[event.Event.Kind()]++
	}
	for _, kind := range []string{"instance.refused", "instance.launched", "instance.draining", "instance.terminating", "instance.gone"} {
		if events[kind] == 0 {
			t.Errorf("the errand has no event %s: %v", kind, events)
		}
	}
	t.Logf("%d calls", calls)
	if t.Failed() {
		return
	}
	killEverywhere(t, calls)
}

// killEverywhere plays the errand once for each call and each of its sides.
func killEverywhere(t *testing.T, calls int) {
	t.Helper()
	type point struct {
		at    int
		after bool
	}
	points := make(chan point)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for p := range points {
				if err := killOnce(p.at, p.after); err != nil {
					t.Errorf("killed at call %d, after it %t: %v", p.at, p.after, err)
				}
			}
		})
	}
	for at := 1; at <= calls; at += killStep {
		points <- point{at, false}
		points <- point{at, true}
	}
	close(points)
	workers.Wait()
}

func killOnce(at int, after bool) error {
	w, err := errand(at, after)
	if err != nil {
		return err
	}
	defer w.Close()
	wrong := w.Converged(time.Hour)
	w.Advance(time.Minute) // for the very last call
	wrong = append(wrong, w.Breaches()...)
	switch {
	case len(wrong) > 0:
		return fmt.Errorf("%v", wrong)
	case w.Finished() != 2 || w.Lost() > 0:
		return fmt.Errorf("%d of 2 tasks finished, %d lost", w.Finished(), w.Lost())
	case w.Kills() != 1:
		return fmt.Errorf("%d kills", w.Kills())
	}
	return nil
}
