//go:build real

package process_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/bus"
)

// TestEventServerKilledMidLaunch kills the event server with kill -9 in the
// middle of launches, and starts it again after a while.
func TestEventServerKilledMidLaunch(t *testing.T) {
	t.Parallel()
	tests := map[string][]time.Duration{ // how long it is down, again and again
		"short":    {200 * time.Millisecond, time.Second, 3 * time.Second, 500 * time.Millisecond, 2 * time.Second},
		"long":     {8 * time.Second, 6 * time.Second},
		"at-lease": {4 * time.Second, 4500 * time.Millisecond, 5 * time.Second},
	}
	var resumed figures
	t.Cleanup(func() { t.Logf("from the restart of the event server until the next launch: %s", &resumed) })
	for name, downs := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newEventServer(t)
			p := newPair(t, server, "nats-"+name, 3*len(downs)-1)
			owner, standby := p.both(t, 5*time.Second, 5*time.Second)
			for n, down := range downs {
				if took := p.killServer(t, n, down); n < len(downs)-1 {
					resumed.add(took) // the last time, the limit holds the third task back
				}
			}
			p.work(t, 3*len(downs)-1, 40*time.Second, 2*time.Second)
			p.laws(t)
			owner.stop(t)
			standby.stop(t)
			p.nothingLost(t, owner, standby)
		})
	}
}

// killServer kills the event server in the middle of a launch for two tasks,
// adds a third task, and answers how long after the restart that one has led to
// a launch. The last time, max_instances is reached before.
func (p *pair) killServer(t *testing.T, n int, down time.Duration) time.Duration {
	t.Helper()
	for len(p.gate.arrived) > 0 {
		<-p.gate.arrived
	}
	p.gate.slow(time.Second, n%2 == 0)
	p.enqueue(t, 2, time.Hour)
	p.gate.launch(t)
	p.server.kill(t)
	p.enqueue(t, 1, time.Hour)
	time.Sleep(down)
	before := p.launched()
	if before > 3*n+2 {
		t.Errorf("%d instances were launched while the event server was down, at most %d were asked for before", before, 3*n+2)
	}
	p.server.start(t)
	at := time.Now()
	want := min(3*(n+1), p.most)
	within(t, 40*time.Second, fmt.Sprintf("%d instances are launched", want), func() bool { return p.launched() >= want })
	took := time.Since(at)
	p.work(t, want, 30*time.Second, time.Second)
	return took
}

// nothingLost compares the events in the logs of processes with those on the
// bus: each one once.
func (p *pair) nothingLost(t *testing.T, programs ...*program) {
	t.Helper()
	eachOnce(t, p.server.events(t, p.name), programs...)
}

// eachOnce compares the events in the logs of processes with those that are stored.
func eachOnce(t *testing.T, events []bus.StoredEvent, programs ...*program) {
	t.Helper()
	balance := map[string]int{}
	for _, program := range programs {
		for line := range strings.Lines(program.log.String()) {
			var logged struct {
				Event string `json:"event"`
				Data  any    `json:"data"`
			}
			if json.Unmarshal([]byte(line), &logged) != nil || logged.Event == "" {
				continue
			}
			balance[logged.Event+" "+canonical(t, logged.Data)]++
		}
	}
	if len(events) == 0 || len(balance) == 0 {
		t.Fatalf("%d events on the bus, %d in the logs", len(events), len(balance))
	}
	ids := map[string]bool{}
	for _, e := range events {
		if ids[e.ID] {
			t.Errorf("event %s is on the bus twice", e.ID)
		}
		ids[e.ID] = true
		var data any
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		balance[e.Kind+" "+canonical(t, data)]--
	}
	for event, n := range balance {
		if n != 0 {
			t.Errorf("%+d times more in the logs than on the bus: %s", n, event)
		}
	}
}

// canonical writes a value so that equal ones are equal.
func canonical(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
