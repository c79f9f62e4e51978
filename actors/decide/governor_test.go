package decide_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/actors/decide"
)

// A bucket that is throttled is empty and slow; each recovery makes it twice as
// fast, up to what it was.
func TestBucketSlowsDown(t *testing.T) {
	t.Parallel()
	b, now := decide.NewBucket(8, 4), noon()
	for n, rate := range []float64{2, 1, 0.5, 0.25, 0.125, 0.0625, 0.0625, 0.0625} {
		b = b.Throttled(now)
		if b.Rate() != rate {
			t.Errorf("throttled for the %d. time: %g per second, want %g", n+1, b.Rate(), rate)
		}
	}
	if _, wait := b.Take(now, 1); wait != 16*time.Second+time.Millisecond {
		t.Errorf("wait %s, want 16s", wait)
	}
	now = now.Add(16 * time.Second) // one token
	for n, rate := range []float64{0.125, 0.25, 0.5, 1, 2, 4, 4} {
		b = b.Recovered(now)
		if b.Rate() != rate {
			t.Errorf("recovered for the %d. time: %g per second, want %g", n+1, b.Rate(), rate)
		}
	}
	b, wait := b.Take(now, 1)
	if wait != 0 {
		t.Errorf("what it regained while it was slow is not there: wait %s", wait)
	}
	if _, wait = b.Take(now, 1); wait != 251*time.Millisecond {
		t.Errorf("wait %s, want a quarter of a second", wait)
	}
}

func TestGovernorBuckets(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	type take struct {
		terminate bool
		count     int
		wait      time.Duration
	}
	repeat := func(times int, t take) []take {
		all := []take{}
		for range times {
			all = append(all, t)
		}
		return all
	}
	cases := []struct {
		name  string
		takes []take
	}{
		{"five launches at once, then two a second", append(repeat(5, take{count: 1}), take{count: 1, wait: 501 * ms})},
		{"a thousand instances at once, then two a second", []take{{count: 990}, {count: 20, wait: 5*time.Second + ms}, {count: 10}}},
		{"more than a thousand are a thousand", []take{{count: 5000}, {count: 1, wait: 501 * ms}}},
		{"the longer wait counts", append(repeat(5, take{count: 200}), take{count: 100, wait: 50*time.Second + ms})},
		{"none and less cost a request", append(repeat(5, take{count: -1}), take{count: 0, wait: 501 * ms})},
		{
			"terminations have their own",
			append(repeat(5, take{count: 200}), append(repeat(100, take{terminate: true, count: 10}), take{terminate: true, count: 1, wait: 201 * ms})...),
		},
		{"a thousand terminations at once, then twenty a second", []take{{terminate: true, count: 1000}, {terminate: true, count: 10, wait: 501 * ms}}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := decide.NewGovernor()
			for n, take := range tc.takes {
				method := decide.Governor.TakeLaunch
				if take.terminate {
					method = decide.Governor.TakeTerminate
				}
				var wait time.Duration
				if g, wait = method(g, noon(), take.count); wait != take.wait {
					t.Errorf("take %d: wait %s, want %s", n, wait, take.wait)
				}
			}
		})
	}
}

func TestGovernorThrottled(t *testing.T) {
	t.Parallel()
	g, now := decide.NewGovernor(), noon()
	wait := func(g decide.Governor) time.Duration {
		_, wait := g.TakeLaunch(now, 1)
		return wait.Round(10 * time.Millisecond)
	}
	// Five calls that were under way together are throttled: half the pace.
	for range 5 {
		g = g.Throttled(now, decide.CallLaunch)
	}
	if got := wait(g); got != time.Second {
		t.Errorf("wait %s, want a second", got)
	}
	if _, wait := g.TakeTerminate(now, 1); wait != 0 {
		t.Errorf("a termination waits %s for launches", wait)
	}
	// And again, two seconds later.
	now = now.Add(2 * time.Second)
	g = g.Throttled(now, decide.CallLaunch)
	if got := wait(g); got != 2*time.Second {
		t.Errorf("wait %s, want two seconds", got)
	}
	// A step faster after half a minute, and another after the next.
	pace := func(g decide.Governor) time.Duration { // of an empty bucket
		for wait(g) == 0 {
			g, _ = g.TakeLaunch(now, 1)
		}
		return wait(g)
	}
	for n, want := range []time.Duration{time.Second, 500 * time.Millisecond, 500 * time.Millisecond} {
		now = now.Add(30 * time.Second)
		if got := pace(g); got != want {
			t.Errorf("after %d half minutes: wait %s, want %s", n+1, got, want)
		}
	}
	// Our clock was set back: it recovers in its time.
	g = g.Throttled(now, decide.CallLaunch)
	now = now.AddDate(-1, 0, 0)
	if got := wait(g); got != time.Second {
		t.Errorf("a year earlier: wait %s, want a second", got)
	}
	g, _ = g.TakeLaunch(now, 1)
	now = now.Add(30 * time.Second)
	if got := pace(g); got != 500*time.Millisecond {
		t.Errorf("half a minute after the clock was set back: wait %s, want half a second", got)
	}
	g = g.Throttled(now, decide.CallTerminate)
	if _, wait := g.TakeTerminate(now, 1); wait != 401*time.Millisecond {
		t.Errorf("throttled terminations wait %s", wait)
	}
}

// Goal: whoever waits as told gets through, launches never delay a termination,
// and no more is taken than EC2's buckets hold and regain. Method: random calls.
func TestGovernorProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g, lone, now := decide.NewGovernor(), decide.NewGovernor(), noon()
		calls, launched := 0.0, 0.0
		for range rapid.IntRange(1, 60).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			count := rapid.IntRange(1, 400).Draw(t, "count")
			switch rapid.IntRange(0, 3).Draw(t, "call") {
			case 0:
				g = g.Throttled(now, decide.CallLaunch)
			case 1:
				var wait, alone time.Duration
				g, wait = g.TakeTerminate(now, count)
				if lone, alone = lone.TakeTerminate(now, count); wait != alone {
					t.Fatalf("a termination waits %s, without launches %s", wait, alone)
				}
			default:
				next, wait := g.TakeLaunch(now, count)
				if wait > 0 {
					now = now.Add(wait)
					if next, wait = next.TakeLaunch(now, count); wait != 0 {
						t.Fatalf("waited as told, and is told to wait %s more", wait)
					}
				}
				g, calls, launched = next, calls+1, launched+float64(count)
				passed := now.Sub(noon()).Seconds()
				if calls > 5+2*passed+1e-6 || launched > 1000+2*passed+1e-6 {
					t.Fatalf("%g calls and %g instances in %g s", calls, launched, passed)
				}
			}
		}
	})
}
