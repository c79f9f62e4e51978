package app

import (
	"context"
	"time"
)

// Stuck looks every so often whether a process is alive, and tells what is wrong at two
// looks in a row.
func (p *Process) Stuck(ctx context.Context, every time.Duration) <-chan string {
	w := newWatchdog(p.monitoring.probe.Judge, func() {})
	w.every = every
	for name := range w.limits {
		w.limits[name] = 2
	}
	return w.watch(ctx)
}

// Abandon ends a process that is stuck.
func (p *Process) Abandon() { p.abandon() }
