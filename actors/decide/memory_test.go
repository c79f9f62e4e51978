package decide_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

func offering(market messages.Market, instanceType, zone, subnet string) messages.Offering {
	return messages.Offering{Market: market, InstanceType: instanceType, Zone: zone, Subnet: subnet}
}

func offerings() map[string]messages.Offering {
	return map[string]messages.Offering{
		"same":           offering(messages.Spot, "g5.xlarge", "a", "s1"),
		"other subnet":   offering(messages.Spot, "g5.xlarge", "a", "s2"),
		"other zone":     offering(messages.Spot, "g5.xlarge", "b", "s3"),
		"other size":     offering(messages.Spot, "g5.2xlarge", "b", "s3"),
		"other family":   offering(messages.Spot, "p4d.24xlarge", "b", "s3"),
		"family, subnet": offering(messages.Spot, "p4d.24xlarge", "a", "s1"),
		"other market":   offering(messages.OnDemand, "g5.xlarge", "a", "s1"),
		"nothing shared": offering(messages.OnDemand, "p4d.24xlarge", "b", "s3"),
	}
}

// middle is the draw at which a wait is neither shortened nor stretched.
const middle = 0.5

// ask is what may be asked of one offering, without a fallback.
func ask(m decide.Memory, now time.Time, o messages.Offering) decide.Choice {
	return m.Choose(now, []messages.Offering{o}, decide.Fallback{})
}

// Each class of refusal of "same" blocks the offerings named, and no other;
// after the wait one instance of each may be tried.
func TestRefusalBlocksItsScope(t *testing.T) {
	t.Parallel()
	everything := []string{
		"same", "other subnet", "other zone", "other size", "other family", "family, subnet", "other market", "nothing shared",
	}
	market := []string{"same", "other subnet", "other zone", "other size", "other family", "family, subnet"}
	cases := []struct {
		class   messages.FailureClass
		blocked []string
		wait    time.Duration
		stop    bool
	}{
		{messages.ClassNoCapacity, []string{"same"}, 2 * time.Minute, false},
		{messages.ClassUnsupported, []string{"same"}, time.Hour, false},
		{messages.ClassNoAddresses, []string{"same", "family, subnet", "other market"}, 2 * time.Minute, false},
		{messages.ClassQuota, []string{"same", "other subnet", "other zone", "other size"}, 2 * time.Minute, false},
		{messages.ClassMarketClosed, market, 2 * time.Minute, false},
		{messages.ClassUnauthorized, everything, time.Hour, true},
		{messages.ClassInvalid, everything, time.Hour, true},
		{messages.ClassNotFound, everything, 2 * time.Minute, false},
		{messages.ClassThrottled, nil, 0, false},
		{messages.ClassTokenMismatch, nil, 0, false},
		{messages.ClassTokenSpent, nil, 0, false},
		{messages.ClassProtected, nil, 0, false},
		{messages.ClassHeld, nil, 0, false},
		{messages.ClassFenced, nil, 0, false},
		{messages.ClassTransient, nil, 0, false},
		{messages.ClassUnknown, nil, 0, false},
		{messages.FailureClass("of a later version"), nil, 0, false},
	}
	for _, tc := range cases {
		t.Run(string(tc.class), func(t *testing.T) {
			t.Parallel()
			all := offerings()
			memory, until := decide.Memory{}.Refused(noon(), all["same"], tc.class, middle)
			if tc.wait == 0 != until.IsZero() || (tc.wait > 0 && !until.Equal(noon().Add(tc.wait))) {
				t.Errorf("until %s, want a wait of %s", until, tc.wait)
			}
			if decide.Stops(tc.class) != tc.stop {
				t.Errorf("stops: %t", !tc.stop)
			}
			if at, class, stopped := memory.Stopped(noon()); stopped != tc.stop || (stopped && (!at.Equal(until) || class != tc.class)) {
				t.Errorf("stopped %t until %s for %s", stopped, at, class)
			}
			want := map[string]bool{}
			for _, name := range tc.blocked {
				want[name] = true
			}
			for name, o := range all {
				now := ask(memory, noon(), o)
				if now.OK == want[name] || now.Limit != 0 || now.Probe {
					t.Errorf("%s now: %+v", name, now)
				}
				if !now.OK && (!now.Until.Equal(until) || now.Class != tc.class || now.Stop != tc.stop) {
					t.Errorf("%s is blocked as %+v, want until %s for %s", name, now, until, tc.class)
				}
				later := ask(memory, noon().Add(tc.wait), o)
				if !later.OK || later.Offering != o || later.Probe != want[name] || (later.Limit == 1) != want[name] {
					t.Errorf("%s after %s: %+v", name, tc.wait, later)
				}
			}
		})
	}
}

// A refusal of an offering that leaves the place to EC2 speaks of all places.
func TestRefusalWithoutPlaceSpeaksOfAllPlaces(t *testing.T) {
	t.Parallel()
	memory, _ := decide.Memory{}.Refused(noon(), offering(messages.Spot, "g5.xlarge", "", ""), messages.ClassNoCapacity, middle)
	if ask(memory, noon(), offering(messages.Spot, "g5.xlarge", "b", "")).OK {
		t.Error("zone b may be asked although EC2 found no place at all")
	}
	if !ask(memory, noon(), offering(messages.Spot, "g5.2xlarge", "", "")).OK {
		t.Error("another type is blocked")
	}
}

func TestWaitsDouble(t *testing.T) {
	t.Parallel()
	o := offerings()["same"]
	memory, now := decide.Memory{}, noon()
	for n, minutes := range []int{2, 4, 8, 16, 30, 30, 30} {
		want := time.Duration(minutes) * time.Minute
		for draw, part := range map[float64]float64{-1: 0.8, 0: 0.8, 0.25: 0.9, 1: 1.2, 7: 1.2} {
			_, until := memory.Refused(now, o, messages.ClassNoCapacity, draw)
			if wait, jittered := until.Sub(now), time.Duration(float64(want)*part).Round(time.Second); wait != jittered {
				t.Errorf("refusal %d with draw %g: wait %s, want %s", n+1, draw, wait, jittered)
			}
		}
		var until time.Time
		memory, until = memory.Refused(now, o, messages.ClassNoCapacity, middle)
		if wait := until.Sub(now); wait != want {
			t.Errorf("refusal %d: wait %s, want %s", n+1, wait, want)
		}
		// The answers of requests that were under way tell nothing new.
		if _, again := memory.Refused(now.Add(time.Second), o, messages.ClassNoCapacity, middle); again.Sub(until) != time.Second {
			t.Errorf("refusal %d: a second one a second later waits until %s", n+1, again)
		}
		now = until
	}
	memory, until := memory.Granted(o).Refused(now, o, messages.ClassNoCapacity, middle)
	if wait := until.Sub(now); wait != 2*time.Minute {
		t.Errorf("after a success: wait %s, want 2m", wait)
	}
	for range 100 { // the shift must not run over
		now = until
		memory, until = memory.Refused(now, o, messages.ClassNoCapacity, middle)
	}
	if wait := until.Sub(now); wait != 30*time.Minute {
		t.Errorf("after a hundred refusals: wait %s, want 30m", wait)
	}
}

// What a person has to change is tried once in an hour, always.
func TestStopIsTriedOnceInAnHour(t *testing.T) {
	t.Parallel()
	o := offerings()["same"]
	memory, now := decide.Memory{}, noon()
	for range 5 {
		var until time.Time
		memory, until = memory.Refused(now, o, messages.ClassUnauthorized, 0.9)
		if wait := until.Sub(now); wait != time.Hour {
			t.Errorf("wait %s, want an hour", wait)
		}
		now = until
		choice := ask(memory, now, o)
		if !choice.OK || !choice.Probe {
			t.Fatalf("nothing is tried after an hour: %+v", choice)
		}
		memory = memory.Asked(now, choice)
	}
	if _, _, stopped := memory.Granted(o).Stopped(now); stopped {
		t.Error("a success does not end the stop")
	}
	// A weaker refusal that was under way does not shorten it.
	memory, until := decide.Memory{}.Refused(now, o, messages.ClassInvalid, middle)
	memory, again := memory.Refused(now.Add(time.Minute), o, messages.ClassNotFound, middle)
	if _, class, stopped := memory.Stopped(now); !stopped || class != messages.ClassInvalid || !again.Equal(until) {
		t.Errorf("stopped: %t for %s until %s, want %s until %s", stopped, class, again, messages.ClassInvalid, until)
	}
}

// One instance is asked for after a block, until there is an answer.
func TestHalfOpenAsksForOne(t *testing.T) {
	t.Parallel()
	all := offerings()
	o := all["same"]
	memory, until := decide.Memory{}.Refused(noon(), o, messages.ClassQuota, middle)
	choice := ask(memory, until, all["other zone"]) // of the same quota
	if !choice.Probe {
		t.Fatalf("no probe: %+v", choice)
	}
	asked := memory.Asked(until, choice)
	for name, offering := range map[string]messages.Offering{"itself": choice.Offering, "another of the quota": o} {
		second := ask(asked, until.Add(time.Minute), offering)
		if second.OK || second.Class != messages.ClassQuota || !second.Until.Equal(until.Add(70*time.Second)) {
			t.Errorf("a second probe of %s: %+v", name, second)
		}
	}
	if first := ask(memory, until, o); !first.OK {
		t.Errorf("Asked has changed the memory that it was asked of: %+v", first)
	}
	if !reflect.DeepEqual(asked.Asked(until, decide.Choice{}), asked) {
		t.Error("asking for nothing changes the memory")
	}

	if after := ask(asked.Unanswered(choice.Offering), until, o); !after.Probe {
		t.Errorf("after no answer: %+v", after)
	}
	if after := ask(asked.Unanswered(o), until, o); after.OK {
		t.Errorf("after no answer to another request: %+v", after)
	}
	throttled, at := asked.Refused(until, choice.Offering, messages.ClassThrottled, middle)
	if after := ask(throttled, until, o); !after.Probe || !at.IsZero() {
		t.Errorf("after throttling: %+v", after)
	}
	if after := ask(asked.Granted(choice.Offering), until, o); !after.OK || after.Limit != 0 {
		t.Errorf("after a grant: %+v", after)
	}
	refused, at := asked.Refused(until, choice.Offering, messages.ClassQuota, middle)
	if after := ask(refused, until, o); after.OK || at.Sub(until) != 4*time.Minute {
		t.Errorf("after a refusal: %+v, wait %s", after, at.Sub(until))
	}
	// EC2 refused for another reason: the quota is not known to be free.
	other, _ := asked.Refused(until, choice.Offering, messages.ClassNoCapacity, middle)
	if after := ask(other, until, o); !after.Probe {
		t.Errorf("after a refusal for something else: %+v", after)
	}
	// The process that asked is gone.
	if after := ask(asked, until.Add(10*time.Minute), o); !after.Probe {
		t.Errorf("after ten minutes without an answer: %+v", after)
	}
	if just := ask(asked, until.Add(10*time.Minute-time.Second), o); just.OK || !just.Until.Equal(until.Add(10*time.Minute)) {
		t.Errorf("after almost ten minutes without an answer: %+v", just)
	}
}

func TestLaunchLimit(t *testing.T) {
	t.Parallel()
	all := offerings()
	list := []messages.Offering{all["same"], all["other zone"], all["other family"]}
	memory, _ := decide.Memory{}.Refused(noon(), list[0], messages.ClassNoCapacity, middle)
	memory, until := memory.Refused(noon(), list[1], messages.ClassNoCapacity, middle)
	limit := func(m decide.Memory, now time.Time, offerings ...messages.Offering) int {
		return m.LaunchLimit(now, offerings, decide.Fallback{})
	}
	if got := limit(memory, until, list...); got != 0 {
		t.Errorf("limit %d although one is not blocked", got)
	}
	if got := limit(memory, until, list[:2]...); got != 2 {
		t.Errorf("limit %d for two probes", got)
	}
	probe := ask(memory, until, list[0])
	if got := limit(memory.Asked(until, probe), until, list[:2]...); got != 1 {
		t.Errorf("limit %d for one probe under way and one left", got)
	}
	if got := limit(memory, noon(), list[:2]...); got != 0 {
		t.Errorf("limit %d while nothing may be asked", got)
	}
	quota, until := decide.Memory{}.Refused(noon(), list[0], messages.ClassQuota, middle)
	if got := limit(quota, until, list[:2]...); got != 1 {
		t.Errorf("limit %d for two offerings of one quota", got)
	}
}

func TestSuccessForgetsWhatItDisproves(t *testing.T) {
	t.Parallel()
	all := offerings()
	memory, _ := decide.Memory{}.Refused(noon(), all["same"], messages.ClassQuota, middle)
	memory, _ = memory.Refused(noon(), all["other market"], messages.ClassNoCapacity, middle)
	memory = memory.Granted(all["other zone"]) // of the same family and market
	if !ask(memory, noon(), all["same"]).OK {
		t.Error("the quota is still taken for reached")
	}
	if ask(memory, noon(), all["other market"]).OK {
		t.Error("a success on the spot market says nothing about on demand")
	}
}

func TestLongestBlockCounts(t *testing.T) {
	t.Parallel()
	o := offerings()["same"]
	memory, until := decide.Memory{}.Refused(noon(), o, messages.ClassUnsupported, middle)
	memory, _ = memory.Refused(noon(), o, messages.ClassQuota, middle)
	if got := ask(memory, noon(), o); got.OK || !got.Until.Equal(until) || got.Class != messages.ClassUnsupported {
		t.Errorf("blocked as %+v, want until %s for %s", got, until, messages.ClassUnsupported)
	}
}

func TestChooseTakesTheFirstThatMayBeAsked(t *testing.T) {
	t.Parallel()
	all := offerings()
	first, second, third := all["same"], all["other zone"], all["nothing shared"]
	list := []messages.Offering{first, second, third}
	choose := func(m decide.Memory, at time.Duration) decide.Choice {
		return m.Choose(noon().Add(at), list, decide.Fallback{})
	}
	memory, _ := decide.Memory{}.Refused(noon(), first, messages.ClassUnsupported, middle)
	if got := choose(memory, 0); got != (decide.Choice{OK: true, Offering: second}) {
		t.Errorf("chose %+v, want %s", got, second)
	}
	memory, _ = memory.Refused(noon().Add(time.Minute), third, messages.ClassNoCapacity, middle)
	memory, _ = memory.Refused(noon().Add(2*time.Minute), second, messages.ClassQuota, middle) // holds the first, too
	want := decide.Choice{Until: noon().Add(3 * time.Minute), Class: messages.ClassNoCapacity}
	if got := choose(memory, 2*time.Minute); got != want {
		t.Errorf("chose %+v, want none until the third may be asked", got)
	}
	probe := func(o messages.Offering, class messages.FailureClass) decide.Choice {
		return decide.Choice{OK: true, Offering: o, Limit: 1, Probe: true, Class: class}
	}
	if got := choose(memory, 3*time.Minute); got != probe(third, messages.ClassNoCapacity) {
		t.Errorf("chose %+v, want one of %s", got, third)
	}
	// The quota's block of the first is over by then, that of its type is not.
	if got := choose(memory, 4*time.Minute); got != probe(second, messages.ClassQuota) {
		t.Errorf("chose %+v, want one of %s", got, second)
	}
	if got := choose(memory, time.Hour); got != probe(first, messages.ClassUnsupported) {
		t.Errorf("chose %+v, want one of %s", got, first)
	}
	// A day later nobody knows anything any more.
	if got := choose(memory, 26*time.Hour); got != (decide.Choice{OK: true, Offering: first}) {
		t.Errorf("chose %+v, want %s", got, first)
	}
	if got := (decide.Memory{}).Choose(noon(), nil, decide.Fallback{}); got != (decide.Choice{}) {
		t.Errorf("chose %+v of none", got)
	}
}

// A clock that was set back makes nothing last for ever.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	o := offerings()["same"]
	memory, until := decide.Memory{}.Refused(noon(), o, messages.ClassNoCapacity, middle)
	back := noon().Add(-24 * time.Hour)
	if got := ask(memory, back, o); !got.Probe {
		t.Errorf("a day earlier: %+v", got)
	}
	if got := ask(memory.Asked(until, ask(memory, until, o)), back, o); !got.Probe {
		t.Errorf("a day before it was tried: %+v", got)
	}
	memory, _ = memory.Refused(back, o, messages.ClassNoCapacity, middle)
	if got, want := memory.Drought.Since, back; !got.Equal(want) {
		t.Errorf("spot is refused since %s, want %s", got, want)
	}
}

// A Memory goes over a restart as JSON; what a later version adds is passed by.
func TestMemoryIsKeptAsJSON(t *testing.T) {
	t.Parallel()
	all := offerings()
	memory, until := decide.Memory{}.Refused(noon(), all["same"], messages.ClassNoCapacity, middle)
	memory, _ = memory.Refused(noon(), all["nothing shared"], messages.ClassUnsupported, middle)
	memory = memory.Asked(until, ask(memory, until, all["same"]))
	memory = memory.Asked(until, decide.Choice{OK: true, Offering: all["other market"], Fallback: true})
	for _, m := range []decide.Memory{{}, memory} {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var again decide.Memory
		if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%s became %+v (%v), was %+v", text, again, err, m)
		}
	}
	var later decide.Memory
	text := `{"version":7,"blocks":[{"scope":{"market":"spot","rack":"r1"},"class":"quota","until":"2031-05-06T12:30:00Z","mood":"bad"}]}`
	if err := json.Unmarshal([]byte(text), &later); err != nil {
		t.Fatal(err)
	}
	if got := ask(later, noon(), all["same"]); got.OK || got.Class != messages.ClassQuota {
		t.Errorf("a later version's block is not heeded: %+v", got)
	}
}

// Goal: what was refused is not asked before its time, what was granted may be
// asked, of a half-open offering no second instance is asked for, and a Memory
// is a value. Method: random histories.
func TestMemoryProperties(t *testing.T) {
	t.Parallel()
	all := []messages.Offering{}
	for _, market := range []messages.Market{messages.Spot, messages.OnDemand} {
		for _, instanceType := range []string{"g5.xlarge", "g5.2xlarge", "m7i.large"} {
			for _, place := range []string{"", "a", "b"} {
				all = append(all, offering(market, instanceType, place, place))
			}
		}
	}
	classes := []messages.FailureClass{
		messages.ClassNoCapacity, messages.ClassNoAddresses, messages.ClassQuota, messages.ClassMarketClosed,
		messages.ClassUnsupported, messages.ClassInvalid, messages.ClassThrottled,
	}
	rapid.Check(t, func(t *rapid.T) {
		fallback := decide.Fallback{
			Enabled:  rapid.Bool().Draw(t, "fallback"),
			Patience: time.Duration(rapid.IntRange(0, 20).Draw(t, "patience")) * time.Minute,
			Blackout: time.Duration(rapid.IntRange(0, 90).Draw(t, "blackout")) * time.Minute,
		}
		memory, now := decide.Memory{}, noon()
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds")) * time.Second)
			o := rapid.SampledFrom(all).Draw(t, "offering")
			before := memory.Choose(now, all, fallback)
			if !before.OK && !before.Until.After(now) {
				t.Errorf("nothing may be asked, and that ends at %s, before %s", before.Until, now)
			}
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				memory = memory.Granted(o)
				if got := ask(memory, now, o); got != (decide.Choice{OK: true, Offering: o}) {
					t.Errorf("%s was granted, and then %+v", o, got)
				}
				continue
			case 1:
				memory = memory.Unanswered(o)
				continue
			case 2:
				next := memory.Asked(now, before)
				if after := next.Choose(now, all, fallback); before.Probe && after.Probe && after.Offering == before.Offering {
					t.Errorf("a second instance of %s would be tried", after.Offering)
				}
				if again := memory.Choose(now, all, fallback); again != before {
					t.Errorf("the old memory has changed: %+v became %+v", before, again)
				}
				memory = next
				continue
			}
			draw := rapid.Float64Range(0, 1).Draw(t, "draw")
			next, until := memory.Refused(now, o, rapid.SampledFrom(classes).Draw(t, "class"), draw)
			if again := memory.Choose(now, all, fallback); again != before {
				t.Errorf("the old memory has changed: %+v became %+v", before, again)
			}
			if until.IsZero() {
				if !reflect.DeepEqual(next, memory.Unanswered(o)) {
					t.Errorf("a refusal that blocks nothing is more than no answer")
				}
				continue
			}
			memory = next
			if wait := until.Sub(now); wait < 96*time.Second || wait > time.Hour {
				t.Errorf("a wait of %s", wait)
			}
			if got := ask(memory, until.Add(-1), o); got.OK || got.Until.Before(until) {
				t.Errorf("%s may be asked before %s: %+v", o, until, got)
			}
		}
	})
}
