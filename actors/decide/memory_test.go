package decide_test

import (
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

// Each class of refusal of "same" blocks the offerings named, and no other.
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
	}{
		{messages.ClassNoCapacity, []string{"same"}, 2 * time.Minute},
		{messages.ClassUnsupported, []string{"same"}, time.Hour},
		{messages.ClassNoAddresses, []string{"same", "family, subnet", "other market"}, 2 * time.Minute},
		{messages.ClassQuota, []string{"same", "other subnet", "other zone", "other size"}, 2 * time.Minute},
		{messages.ClassMarketClosed, market, 2 * time.Minute},
		{messages.ClassUnauthorized, everything, 2 * time.Minute},
		{messages.ClassInvalid, everything, 2 * time.Minute},
		{messages.ClassNotFound, everything, 2 * time.Minute},
		{messages.ClassThrottled, nil, 0},
		{messages.ClassTokenMismatch, nil, 0},
		{messages.ClassTokenSpent, nil, 0},
		{messages.ClassProtected, nil, 0},
		{messages.ClassTransient, nil, 0},
		{messages.ClassUnknown, nil, 0},
		{messages.FailureClass("of a later version"), nil, 0},
	}
	for _, tc := range cases {
		t.Run(string(tc.class), func(t *testing.T) {
			t.Parallel()
			all := offerings()
			memory, until := decide.Memory{}.Refused(noon(), all["same"], tc.class)
			if tc.wait == 0 != until.IsZero() || (tc.wait > 0 && !until.Equal(noon().Add(tc.wait))) {
				t.Errorf("until %s, want a wait of %s", until, tc.wait)
			}
			want := map[string]bool{}
			for _, name := range tc.blocked {
				want[name] = true
			}
			for name, o := range all {
				_, at, class, ok := memory.Choose(noon(), []messages.Offering{o})
				if ok == want[name] {
					t.Errorf("%s may be asked: %t", name, ok)
				}
				if !ok && (!at.Equal(until) || class != tc.class) {
					t.Errorf("%s is blocked until %s for %s, want %s for %s", name, at, class, until, tc.class)
				}
				if _, _, _, ok := memory.Choose(noon().Add(tc.wait), []messages.Offering{o}); !ok {
					t.Errorf("%s is still blocked after %s", name, tc.wait)
				}
			}
		})
	}
}

// A refusal of an offering that leaves the place to EC2 speaks of all places.
func TestRefusalWithoutPlaceSpeaksOfAllPlaces(t *testing.T) {
	t.Parallel()
	memory, _ := decide.Memory{}.Refused(noon(), offering(messages.Spot, "g5.xlarge", "", ""), messages.ClassNoCapacity)
	if _, _, _, ok := memory.Choose(noon(), []messages.Offering{offering(messages.Spot, "g5.xlarge", "b", "")}); ok {
		t.Error("zone b may be asked although EC2 found no place at all")
	}
	if _, _, _, ok := memory.Choose(noon(), []messages.Offering{offering(messages.Spot, "g5.2xlarge", "", "")}); !ok {
		t.Error("another type is blocked")
	}
}

func TestWaitsDouble(t *testing.T) {
	t.Parallel()
	o := offerings()["same"]
	memory, now := decide.Memory{}, noon()
	for n, minutes := range []int{2, 4, 8, 16, 30, 30, 30} {
		want := time.Duration(minutes) * time.Minute
		var until time.Time
		memory, until = memory.Refused(now, o, messages.ClassNoCapacity)
		if wait := until.Sub(now); wait != want {
			t.Errorf("refusal %d: wait %s, want %s", n+1, wait, want)
		}
		// The answers of requests that were under way tell nothing new.
		if _, again := memory.Refused(now.Add(time.Second), o, messages.ClassNoCapacity); again.Sub(until) != time.Second {
			t.Errorf("refusal %d: a second one a second later waits until %s", n+1, again)
		}
		now = until
	}
	memory, until := memory.Granted(o).Refused(now, o, messages.ClassNoCapacity)
	if wait := until.Sub(now); wait != 2*time.Minute {
		t.Errorf("after a success: wait %s, want 2m", wait)
	}
	for range 100 { // the shift must not run over
		now = until
		memory, until = memory.Refused(now, o, messages.ClassNoCapacity)
	}
	if wait := until.Sub(now); wait != 30*time.Minute {
		t.Errorf("after a hundred refusals: wait %s, want 30m", wait)
	}
}

func TestSuccessForgetsWhatItDisproves(t *testing.T) {
	t.Parallel()
	all := offerings()
	memory, _ := decide.Memory{}.Refused(noon(), all["same"], messages.ClassQuota)
	memory, _ = memory.Refused(noon(), all["other market"], messages.ClassNoCapacity)
	memory = memory.Granted(all["other zone"]) // of the same family and market
	if _, _, _, ok := memory.Choose(noon(), []messages.Offering{all["same"]}); !ok {
		t.Error("the quota is still taken for reached")
	}
	if _, _, _, ok := memory.Choose(noon(), []messages.Offering{all["other market"]}); ok {
		t.Error("a success on the spot market says nothing about on demand")
	}
}

func TestLongestBlockCounts(t *testing.T) {
	t.Parallel()
	o := offerings()["same"]
	memory, until := decide.Memory{}.Refused(noon(), o, messages.ClassUnsupported)
	memory, _ = memory.Refused(noon(), o, messages.ClassQuota)
	_, got, class, ok := memory.Choose(noon(), []messages.Offering{o})
	if ok || !got.Equal(until) || class != messages.ClassUnsupported {
		t.Errorf("blocked until %s for %s, want %s for %s", got, class, until, messages.ClassUnsupported)
	}
}

func TestChooseTakesTheFirstThatMayBeAsked(t *testing.T) {
	t.Parallel()
	all := offerings()
	first, second, third := all["same"], all["other zone"], all["nothing shared"]
	list := []messages.Offering{first, second, third}
	memory, _ := decide.Memory{}.Refused(noon(), first, messages.ClassUnsupported)
	if chosen, until, class, ok := memory.Choose(noon(), list); !ok || chosen != second || !until.IsZero() || class != "" {
		t.Errorf("chose %s (%t, until %s for %q), want %s", chosen, ok, until, class, second)
	}
	memory, _ = memory.Refused(noon().Add(time.Minute), third, messages.ClassNoCapacity)
	memory, _ = memory.Refused(noon().Add(2*time.Minute), second, messages.ClassQuota) // holds the first, too
	chosen, until, class, ok := memory.Choose(noon().Add(2*time.Minute), list)
	if ok || chosen != (messages.Offering{}) || !until.Equal(noon().Add(3*time.Minute)) || class != messages.ClassNoCapacity {
		t.Errorf("chose %s (%t, until %s for %q), want none until the third may be asked", chosen, ok, until, class)
	}
	if chosen, _, _, ok := memory.Choose(noon().Add(3*time.Minute), list); !ok || chosen != third {
		t.Errorf("chose %s (%t), want %s", chosen, ok, third)
	}
	// The quota's block of the first is over by then, that of its type is not.
	if chosen, _, _, ok := memory.Choose(noon().Add(4*time.Minute), list); !ok || chosen != second {
		t.Errorf("chose %s (%t), want %s", chosen, ok, second)
	}
	if chosen, _, _, ok := memory.Choose(noon().Add(time.Hour), list); !ok || chosen != first {
		t.Errorf("chose %s (%t), want %s", chosen, ok, first)
	}
	if _, _, _, ok := memory.Choose(noon(), nil); ok {
		t.Error("chose one of none")
	}
}

// Goal: what was refused is not asked before its time, what was granted may be
// asked, and a Memory is a value. Method: random histories.
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
		memory, now := decide.Memory{}, noon()
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds")) * time.Second)
			o := rapid.SampledFrom(all).Draw(t, "offering")
			_, before, _, _ := memory.Choose(now, all)
			if rapid.IntRange(0, 3).Draw(t, "granted") == 0 {
				memory = memory.Granted(o)
				if chosen, _, _, ok := memory.Choose(now, []messages.Offering{o}); !ok || chosen != o {
					t.Errorf("%s was granted and may not be asked", o)
				}
				continue
			}
			next, until := memory.Refused(now, o, rapid.SampledFrom(classes).Draw(t, "class"))
			if _, after, _, _ := memory.Choose(now, all); !after.Equal(before) {
				t.Errorf("the old memory has changed: %s became %s", before, after)
			}
			if until.IsZero() {
				if !reflect.DeepEqual(next, memory) {
					t.Errorf("a refusal that blocks nothing changed the memory")
				}
				continue
			}
			memory = next
			if wait := until.Sub(now); wait < 2*time.Minute || wait > time.Hour {
				t.Errorf("a wait of %s", wait)
			}
			if _, at, _, ok := memory.Choose(until.Add(-1), []messages.Offering{o}); ok || at.Before(until) {
				t.Errorf("%s may be asked before %s", o, until)
			}
		}
	})
}
