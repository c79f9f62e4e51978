package decide_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// Without a fallback on-demand offerings are offerings like all others.
func TestNoFallbackNoDifference(t *testing.T) {
	t.Parallel()
	spot, regular := offering(messages.Spot, "g5.xlarge", "a", ""), offering(messages.OnDemand, "g5.xlarge", "a", "")
	for _, list := range [][]messages.Offering{{spot, regular}, {regular, spot}} {
		if got := (decide.Memory{}).Choose(noon(), list, decide.Fallback{}); got.Offering != list[0] || got.Fallback {
			t.Errorf("of %v: %+v", list, got)
		}
	}
	memory, _ := decide.Memory{}.Refused(noon(), spot, messages.ClassNoCapacity, middle)
	if got := memory.Choose(noon(), []messages.Offering{spot, regular}, decide.Fallback{}); got.Offering != regular || got.Fallback {
		t.Errorf("after a refusal: %+v", got)
	}
}

// On demand is the fallback wherever it stands in the list, and only for spot
// that was refused.
func TestFallbackComesSecond(t *testing.T) {
	t.Parallel()
	spot, regular := offering(messages.Spot, "g5.xlarge", "a", ""), offering(messages.OnDemand, "g5.xlarge", "a", "")
	at := decide.Fallback{Enabled: true}
	if got := (decide.Memory{}).Choose(noon(), []messages.Offering{regular, spot}, at); got.Offering != spot {
		t.Errorf("first choice %+v", got)
	}
	// Spot may be kept out of the list for a reason of its own, such as boots
	// that fail: that is no lack of spot capacity.
	if got := (decide.Memory{}).Choose(noon(), []messages.Offering{regular}, at); got.OK || !got.Until.After(noon()) {
		t.Errorf("without spot: %+v", got)
	}
	// Nor does a wrong request say anything about spot.
	memory, until := decide.Memory{}.Refused(noon(), spot, messages.ClassInvalid, middle)
	memory = memory.Asked(until, memory.Choose(until, []messages.Offering{spot}, at))
	if got := memory.Choose(until, []messages.Offering{spot, regular}, at); got.OK {
		t.Errorf("while a wrong request is tried again: %+v", got)
	}
}

// A drought that nobody tried to end, because nothing was needed, is not one.
func TestPatienceBeginsAnew(t *testing.T) {
	t.Parallel()
	spot, regular := offering(messages.Spot, "g5.xlarge", "a", ""), offering(messages.OnDemand, "g5.xlarge", "a", "")
	list, fallback := []messages.Offering{spot, regular}, decide.Fallback{Enabled: true, Patience: 10 * time.Minute}
	memory, _ := decide.Memory{}.Refused(noon(), spot, messages.ClassNoCapacity, middle)
	later := noon().Add(5 * time.Hour)
	probe := memory.Choose(later, list, fallback)
	if !probe.Probe || probe.Offering != spot {
		t.Fatalf("five hours later %+v, want one of spot", probe)
	}
	memory = memory.Asked(later, probe)
	if got := memory.Choose(later, list, fallback); got.OK {
		t.Errorf("beside the probe: %+v", got)
	}
	memory, _ = memory.Refused(later, spot, messages.ClassNoCapacity, middle)
	if got := memory.Choose(later, list, fallback); got.OK || !got.Until.Equal(later.Add(4*time.Minute)) {
		t.Errorf("after the refusal: %+v", got)
	}
	if got := memory.Choose(later.Add(3*time.Minute), list, decide.Fallback{Enabled: true, Patience: 3 * time.Minute}); got.Offering != regular {
		t.Errorf("after patience: %+v", got)
	}
}

// Our clock was set back to before on-demand took over: spot is not kept out.
func TestBlackoutAfterClockSetBack(t *testing.T) {
	t.Parallel()
	spot, regular := offering(messages.Spot, "g5.xlarge", "a", ""), offering(messages.OnDemand, "g5.xlarge", "a", "")
	list, fallback := []messages.Offering{spot, regular}, decide.Fallback{Enabled: true, Blackout: time.Hour}
	memory, _ := decide.Memory{}.Refused(noon(), spot, messages.ClassNoCapacity, middle)
	memory = memory.Asked(noon(), memory.Choose(noon(), list, fallback))
	if got := memory.Choose(noon().Add(30*time.Minute), list, fallback); got.Offering != regular {
		t.Errorf("in the blackout: %+v", got)
	}
	if got := memory.Choose(noon().Add(-24*time.Hour), list, fallback); got.Offering != spot {
		t.Errorf("a day before it: %+v", got)
	}
}

// Goal: on demand is asked only while no spot offering may be, never before
// patience, and spot not in a blackout. Method: random worlds of capacity, in
// which whoever may be asked is asked, checked against a plain record of what
// happened.
func TestFallbackProperties(t *testing.T) {
	t.Parallel()
	spots := []messages.Offering{offering(messages.Spot, "g5.xlarge", "a", ""), offering(messages.Spot, "g5.xlarge", "b", "")}
	list := []messages.Offering{spots[0], spots[1], offering(messages.OnDemand, "g5.xlarge", "a", "")}
	rapid.Check(t, func(t *rapid.T) {
		fallback := decide.Fallback{
			Enabled:  true,
			Patience: time.Duration(rapid.IntRange(0, 20).Draw(t, "patience")) * time.Minute,
			Blackout: time.Duration(rapid.IntRange(0, 60).Draw(t, "blackout")) * time.Minute,
		}
		memory, now := decide.Memory{}, noon()
		var first, last, fallen time.Time // refusals of spot since it was granted, and the first on-demand
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "seconds")) * time.Second)
			choice := memory.Choose(now, list, fallback)
			if !choice.OK {
				continue
			}
			if spot := memory.Choose(now, spots, fallback); choice.Fallback == spot.OK || choice.Fallback != (choice.Offering == list[2]) {
				t.Fatalf("chose %+v; of spot alone %+v", choice, spot)
			}
			memory = memory.Asked(now, choice)
			if choice.Fallback {
				if fallen.IsZero() {
					fallen = now
				}
				if first.IsZero() || now.Sub(first) < fallback.Patience {
					t.Fatalf("on demand at %s, spot is refused since %s", now, first)
				}
				memory = memory.Granted(choice.Offering)
				continue
			}
			from := fallen
			if last.After(from) {
				from = last
			}
			if !fallen.IsZero() && now.Sub(from) < fallback.Blackout {
				t.Fatalf("spot at %s, in the blackout since %s", now, from)
			}
			if rapid.IntRange(0, 3).Draw(t, "granted") == 0 {
				memory, first, last, fallen = memory.Granted(choice.Offering), time.Time{}, time.Time{}, time.Time{}
				continue
			}
			memory, _ = memory.Refused(now, choice.Offering, messages.ClassNoCapacity, rapid.Float64Range(0, 1).Draw(t, "draw"))
			if last = now; first.IsZero() {
				first = now
			}
		}
	})
}
