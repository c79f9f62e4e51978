package simulation_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ebbscale/ebb/cmd/internal/simulation"
	"github.com/ebbscale/ebb/messages"
)

var crashPoints = flag.Int("crash-points", defaultCrashPoints, "at how many messages each kind of actor fails in TestCrashes; 0 for all of them")

// play is a short day: tasks of two queues on two types, one of them a spot one.
func play(t *testing.T, prepare func(*simulation.World)) *simulation.World {
	t.Helper()
	w, err := simulation.New(11, simulation.Options{
		Queues: []simulation.Queue{{Name: "default", Resources: []string{"A", "B"}}, {Name: "other", Resources: []string{"B"}}},
		Resources: []simulation.Resource{
			{Name: "A", Max: 2, MaxIdle: 2 * time.Minute, MaxSpinUp: 5 * time.Minute},
			{Name: "B", Max: 2, MaxIdle: 2 * time.Minute, MaxSpinUp: 5 * time.Minute, Market: messages.Spot},
		},
		Stale: 10 * time.Minute, Story: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	prepare(w)
	for _, queue := range []string{"default", "other"} {
		if err := w.Enqueue(queue, 3, 50*time.Second); err != nil {
			t.Fatal(err)
		}
		w.Advance(40 * time.Second)
	}
	return w
}

func check(t *testing.T, w *simulation.World) {
	t.Helper()
	for _, wrong := range append(w.Converged(2*time.Hour), w.Breaches()...) {
		t.Error(wrong)
	}
	if w.Lost() > 0 {
		t.Errorf("%d tasks lost: %v", w.Lost(), w.Races())
	}
	if t.Failed() {
		for _, line := range w.Story() {
			t.Log(line)
		}
	}
}

// TestCrashes makes each kind of actor fail at one message after the other of the
// same day, once before it is handled and once after: the laws hold, and all
// tasks get done.
func TestCrashes(t *testing.T) {
	t.Parallel()
	calm := play(t, func(*simulation.World) {})
	check(t, calm)
	counts := calm.Messages()
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		points := *crashPoints
		if points == 0 {
			points = counts[kind]
		}
		for point := range points {
			at := point * counts[kind] / points
			for _, before := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%d/%t", kind, at, before), func(t *testing.T) {
					t.Parallel()
					check(t, play(t, func(w *simulation.World) { w.Crash(kind, at, before) }))
				})
			}
		}
	}
}

// TestKills ends the process at many moments of a launch, and starts it again.
func TestKills(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{
		0, 20 * time.Millisecond, 50 * time.Millisecond, 80 * time.Millisecond, 110 * time.Millisecond, 140 * time.Millisecond,
		170 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond, time.Second, 30 * time.Second, 75 * time.Second,
	} {
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			w := play(t, func(w *simulation.World) {
				if err := w.Enqueue("default", 2, time.Minute); err != nil {
					t.Fatal(err)
				}
				w.Advance(after)
				if err := w.Restart(); err != nil {
					t.Fatal(err)
				}
			})
			check(t, w)
		})
	}
}

// TestCrashWhileStopping makes actors fail while the program stops: it ends all
// the same.
func TestCrashWhileStopping(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"autoscaler", "recorder", "resource", "instance", "provisioner", "observer"} {
		for after := range 3 {
			t.Run(fmt.Sprintf("%s/%d", kind, after), func(t *testing.T) {
				t.Parallel()
				w := play(t, func(*simulation.World) {})
				w.Advance(time.Minute)
				w.Crash(kind, after, after%2 == 0)
				if _, err := w.Stop(messages.ShutdownAll, time.Minute); err != nil {
					t.Error(err)
				}
				if left := w.Alive(""); left > 0 {
					t.Errorf("%d instances are left", left)
				}
				for _, breach := range w.Breaches() {
					t.Error(breach)
				}
				if t.Failed() {
					for _, line := range w.Story() {
						t.Log(line)
					}
				}
			})
		}
	}
}
