package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/internal/freeport"
)

// TestPlay plays a short day through the production program: real servers on
// loopback, real bus, a fast clock.
func TestPlay(t *testing.T) {
	t.Parallel()
	var out, log bytes.Buffer
	listen := freeport.Address(t)
	p := plan{
		Options: Options{Speed: 120, Headless: true, Seed: 7, NATSListen: listen, Out: &out, Log: zerolog.New(zerolog.SyncWriter(&log)).Level(zerolog.ErrorLevel), Version: "test"},
		length:  36 * time.Minute, poll: 15 * time.Second,
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a limit for slow machines, not a figure
	defer cancel()
	if err := p.play(ctx, t.TempDir()); err != nil {
		t.Fatalf("play: %v\n%s\n%s", err, tail(out.String(), 60), log.String())
	}
	for _, want := range []string{"nats sub -s nats://" + listen, "instance.launched", "instance.gone", "jobs done", "law: never over"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output does not show %q", want)
		}
	}
	if log.Len() > 0 {
		t.Errorf("errors were logged:\n%s", log.String())
	}
}

// TestPlayInterrupted stops in the middle of the day: what can only be said of its
// end is not judged.
func TestPlayInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &trigger{on: "instance.busy", do: cancel}
	p := plan{
		Options: Options{Speed: 120, Headless: true, Seed: 7, Out: out, Log: zerolog.New(zerolog.SyncWriter(io.Discard)).Level(zerolog.ErrorLevel), Version: "test"},
		length:  36 * time.Minute, poll: 15 * time.Second,
	}
	if err := p.play(ctx, t.TempDir()); !errors.Is(err, ErrIncomplete) {
		t.Errorf("play: %v\n%s", err, tail(out.String(), 20))
	}
	for want, times := range map[string]int{"not judged": 3, "BROKEN": 0, "was interrupted: jobs": 1, "held": 3} {
		if got := strings.Count(tail(out.String(), 13), want); got != times {
			t.Errorf("%q is there %d times, want %d:\n%s", want, got, times, tail(out.String(), 13))
		}
	}
}

// trigger is an output that does something when a text is first written.
type trigger struct {
	mu   sync.Mutex
	text bytes.Buffer
	on   string
	do   func()
}

func (w *trigger) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.Contains(string(b), w.on) {
		w.do()
	}
	return w.text.Write(b)
}

func (w *trigger) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func TestPlanFitsTheTime(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		options Options
		length  time.Duration
		speed   float64
		err     string
	}{
		{name: "whole day at the usual speed", options: Options{}, length: day, speed: 240},
		{name: "whole day, faster", options: Options{Speed: 1000}, length: day, speed: 1000},
		{name: "part of a day", options: Options{For: 30 * time.Second}, length: 108 * time.Minute, speed: 240},
		{name: "more time than the day needs", options: Options{For: time.Hour}, length: day, speed: 240},
		{name: "too little", options: Options{For: time.Second}, err: "too little to start and end an instance"},
		{name: "negative", options: Options{For: -1}, err: "must not be negative"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, err := test.options.plan()
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error is %v, want %q", err, test.err)
				}
				return
			}
			if err != nil || p.length != test.length || p.Speed != test.speed {
				t.Fatalf("plan is %s at %g (%v), want %s at %g", p.length, p.Speed, err, test.length, test.speed)
			}
		})
	}
}

func TestScriptLeavesTimeToFinish(t *testing.T) {
	t.Parallel()
	for _, length := range []time.Duration{20 * time.Minute, 2 * time.Hour, day} {
		for seed := range uint64(20) {
			queues := map[string]int{}
			for _, j := range script(length, rand.New(rand.NewPCG(seed, 0))) {
				queues[j.queue]++
				if j.at+j.runs > length*3/4 || j.runs <= 0 {
					t.Fatalf("a day of %s, seed %d: %s at %s runs %s", length, seed, j.name, j.at, j.runs)
				}
			}
			if queues[queueTraining] < 10 || queues[queuePreparation] < 10 {
				t.Fatalf("a day of %s has %v jobs", length, queues)
			}
		}
	}
}

// TestLawsCanBreak shows that the laws of the summary are no decoration.
func TestLawsCanBreak(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	tags := func(intent string) []fakeec2.Tag {
		return []fakeec2.Tag{{Key: "ebb:resource", Value: "gpu"}, {Key: "ebb:intent", Value: intent}}
	}
	ledger := fakeec2.Ledger{
		Launches: []fakeec2.Launch{
			{At: at, InstanceID: "i-1", ClientToken: "a", Tags: tags("1")},
			{At: at, InstanceID: "i-2", ClientToken: "b", Tags: tags("1")},
			{At: at, InstanceID: "i-3", Tags: tags("2")},
		},
		Transitions: []fakeec2.Transition{
			{Seq: 1, At: at, InstanceID: "i-1", To: fakeec2.Pending},
			{Seq: 2, At: at, InstanceID: "i-2", To: fakeec2.Pending},
			{Seq: 3, At: at, InstanceID: "i-3", To: fakeec2.Pending},
		},
	}
	file := config.File{Autoscalers: []config.Autoscaler{{Resources: []config.Resource{{Name: "gpu", MaxInstances: 2}}}}}
	if l := neverOver(ledger, file); len(l.breaches) != 1 {
		t.Errorf("never over: %v", l.breaches)
	}
	if l := neverTwice(ledger); len(l.breaches) != 2 {
		t.Errorf("never twice: %v", l.breaches)
	}
	if l := explainAll(ledger, &board{}); len(l.breaches) != 3 {
		t.Errorf("explain everything: %v", l.breaches)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	waits := []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	if got := quantile(waits, 0.95); got != 10 {
		t.Errorf("p95 is %d, want 10", got)
	}
	if got := quantile(nil, 0.95); got != 0 {
		t.Errorf("p95 of nothing is %d", got)
	}
}
