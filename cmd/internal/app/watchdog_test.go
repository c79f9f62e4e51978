package app //nolint:testpackage // the clock of the watch is synctest's, and a process has other goroutines that would hold it

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ebbscale/ebb/adapters/health"
	"github.com/ebbscale/ebb/messages"
)

// TestWatchdog ends what is stuck for good, and nothing else.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	deaf := health.Check{Name: health.CheckAutoscaler, Autoscaler: "a", Found: "did not answer in time"}
	other := health.Check{Name: health.CheckAutoscaler, Autoscaler: "b", Found: "did not answer in time"}
	server := health.Check{Name: health.CheckServer, Found: "the embedded event server has ended"}
	part := health.Check{Name: health.CheckParts, Autoscaler: "a", Found: "no answer from queue q"}
	away := health.Check{Name: "clearml", Autoscaler: "a", Found: "the last good answer is 5h old"}
	for name, c := range map[string]struct {
		wrong func(look int) []health.Check // at each look, of the first hour
		after int                           // looks it ends; never when zero
		says  string
	}{
		"well":               {wrong: func(int) []health.Check { return nil }},
		"no answer":          {func(int) []health.Check { return []health.Check{deaf} }, deadLooks, "autoscaler of a: did not answer in time"},
		"no answer from now": {func(look int) []health.Check { return []health.Check{deaf}[:min(1, look/100)] }, 99 + deadLooks, "autoscaler of a: did not answer in time"},
		"server ended":       {func(int) []health.Check { return []health.Check{server} }, deadLooks, "event server: the embedded event server has ended"},
		"a part silent":      {func(int) []health.Check { return []health.Check{part} }, partLooks, "parts of a: no answer from queue q"},
		"answers in between": {wrong: func(look int) []health.Check { return []health.Check{deaf}[:min(1, look%deadLooks)] }},
		"one, then the other": {wrong: func(look int) []health.Check {
			return []health.Check{[]health.Check{deaf, other}[look/(deadLooks-1)%2]}
		}},
		"ClearML is away": {wrong: func(int) []health.Check { return []health.Check{away} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour+time.Second)
				defer cancel()
				begun, looks, alive := time.Now(), 0, 0
				stuck := newWatchdog(func(context.Context) (live, ready health.Report) {
					looks++
					well := health.Check{Name: health.CheckAutoscaler, Autoscaler: "c", OK: true}
					return health.Report{}, health.Report{Checks: append(c.wrong(looks), well)}
				}, func() { alive++ }).watch(ctx)
				said, took := "", time.Duration(0)
				select {
				case said = <-stuck:
					took = time.Since(begun)
				case <-ctx.Done():
				}
				synctest.Wait()
				if said != c.says || took != time.Duration(c.after)*lookEvery {
					t.Errorf("said %q after %s, want %q after %d looks", said, took, c.says, c.after)
				}
				want := int(time.Hour / lookEvery)
				if c.after > 0 {
					want = c.after - 1
				}
				if alive != want {
					t.Errorf("told %d times that it is alive, want %d", alive, want)
				}
			})
		})
	}
}

// TestWatchdogOfHealth has the checks of the real judge: their names are what the
// watchdog goes by.
func TestWatchdogOfHealth(t *testing.T) {
	t.Parallel()
	facts := health.Facts{
		Bus: health.Bus{Embedded: true},
		Autoscalers: []health.Autoscaler{
			{Name: "a"}, {Name: "b", Answered: true, Status: &messages.Status{Silent: []string{"resource gpu"}}},
		},
	}
	w := newWatchdog(func(context.Context) (live, ready health.Report) { return health.Judge(facts) }, func() {})
	w.look(t.Context())
	want := map[string]int{"event server": 1, "autoscaler of a": 1, "parts of b": 1}
	if fmt.Sprint(w.wrong) != fmt.Sprint(want) {
		t.Errorf("wrong is %v, want %v", w.wrong, want)
	}
}
