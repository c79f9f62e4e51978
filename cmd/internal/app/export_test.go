package app

import (
	"context"
	"time"

	"github.com/ebbscale/ebb/adapters/dashboard"
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

// Page is what the dashboard of the process asks and orders.
func (p *Process) Page() interface {
	dashboard.Engine
	dashboard.Operator
} {
	return dashboardPorts{p}
}

// Abandon ends a process that is stuck.
func (p *Process) Abandon() { p.abandon() }

// Troubles are what the dashboard shows as wrong, or to be seen to.
func (p *Process) Troubles(ctx context.Context) []dashboard.Trouble { return p.troubles(ctx) }
