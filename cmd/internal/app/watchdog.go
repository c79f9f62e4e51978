package app

import (
	"context"
	"time"

	"github.com/ebbscale/ebb/adapters/health"
)

const (
	// lookEvery is how often a process looks whether it is alive.
	lookEvery = 10 * time.Second
	// deadLooks looks in a row that find it dead, two minutes, are enough.
	deadLooks = 12
	// partLooks looks in a row that find a part of an autoscaler silent, ten minutes,
	// are enough: an actor that fails again and again answers in between, and what
	// else the process does is worth more than a quick start.
	partLooks = 60
	// abandonPatience bounds the wait for the end of a process that is stuck.
	abandonPatience = 10 * time.Second
)

// watchdog finds out that a process is stuck for good. Such a one would keep its lease
// and do nothing, so it has to end: whoever looks after it starts it anew, and all that
// matters is found again.
type watchdog struct {
	judge func(context.Context) (live, ready health.Report)
	every time.Duration
	alive func() // told at each look
	// limits are after how many looks in a row a check that fails is too much, by its
	// name; wrong counts them.
	limits map[string]int
	wrong  map[string]int
}

func newWatchdog(judge func(context.Context) (live, ready health.Report), alive func()) *watchdog {
	return &watchdog{
		judge: judge, every: lookEvery, alive: alive, wrong: make(map[string]int),
		limits: map[string]int{health.CheckServer: deadLooks, health.CheckAutoscaler: deadLooks, health.CheckParts: partLooks},
	}
}

// watch looks until ctx ends. What it finds stuck it tells, once.
func (w *watchdog) watch(ctx context.Context) <-chan string {
	stuck := make(chan string, 1)
	go func() {
		ticks := time.NewTicker(w.every)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			found := w.look(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case found != "":
				stuck <- found
				return
			}
			w.alive()
		}
	}()
	return stuck
}

// look says what has been wrong for too long; it is empty when nothing has.
func (w *watchdog) look(ctx context.Context) (stuck string) {
	_, ready := w.judge(ctx)
	seen := make(map[string]int, len(w.wrong))
	for _, check := range ready.Checks {
		limit, fatal := w.limits[check.Name]
		if check.OK || !fatal {
			continue
		}
		about := check.Name
		if check.Autoscaler != "" {
			about += " of " + string(check.Autoscaler)
		}
		seen[about] = w.wrong[about] + 1
		if seen[about] >= limit && stuck == "" {
			stuck = about + ": " + check.Found
		}
	}
	w.wrong = seen
	return stuck
}
