package decide_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/actors/decide"
)

func TestBootDeadline(t *testing.T) {
	t.Parallel()
	boots := func(took ...time.Duration) decide.Boots {
		b := decide.Boots{}
		for _, d := range took {
			b = b.Observed(d)
		}
		return b
	}
	many := func(count int, took time.Duration, then ...time.Duration) []time.Duration {
		all := []time.Duration{}
		for range count {
			all = append(all, took)
		}
		return append(all, then...)
	}
	const m = time.Minute
	cases := []struct {
		name      string
		boots     decide.Boots
		late      int
		maxSpinUp time.Duration
		want      time.Duration
	}{
		{"none", boots(), 0, 30 * m, 30 * m},
		{"two say nothing", boots(m, m), 0, 30 * m, 30 * m},
		{"three times the longest of a few", boots(m, 2*m, m), 0, 30 * m, 6 * m},
		{"at least three minutes", boots(many(9, 10*time.Second)...), 0, 30 * m, 3 * m},
		{"at most what is configured", boots(many(9, 20*m)...), 0, 30 * m, 30 * m},
		{"less than three minutes if configured", boots(many(9, 10*time.Second)...), 0, 2 * m, 2 * m},
		{"one in twenty does not count", boots(many(19, m+10*time.Second, 20*m)...), 0, 30 * m, 3*m + 30*time.Second},
		{"two in twenty do", boots(many(18, m, 4*m, 4*m)...), 0, 30 * m, 12 * m},
		{"the last fifty count", boots(many(10, 9*m, many(50, 2*m)...)...), 0, 30 * m, 6 * m},
		{"a boot in no time", boots(many(5, -m)...), 0, 30 * m, 3 * m},
		{"doubled when missed", boots(many(5, 2*m)...), 1, 30 * m, 12 * m},
		{"and again", boots(many(5, 2*m)...), 2, 30 * m, 24 * m},
		{"up to what is configured", boots(many(5, 2*m)...), 3, 30 * m, 30 * m},
		{"a thousand times", boots(many(5, 2*m)...), 1000, 30 * m, 30 * m},
		{"missed while nothing is known", boots(), 2, 30 * m, 30 * m},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := tc.boots
			for range tc.late {
				b = b.Late()
			}
			if got := b.Deadline(tc.maxSpinUp); got != tc.want {
				t.Errorf("deadline %s, want %s", got, tc.want)
			}
			if got, want := b.Observed(m).Missed, 0; got != want {
				t.Errorf("%d missed in a row after a boot", got)
			}
		})
	}
}

// Goal: a boot that takes less than what most took before is never late, the
// deadline is never outside its bounds, at most fifty boots are kept, and a
// Boots is a value and goes through JSON.
func TestBootsProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		boots, maxSpinUp := decide.Boots{}, time.Duration(rapid.IntRange(60, 7200).Draw(t, "max"))*time.Second
		least := min(maxSpinUp, 3*time.Minute)
		for range rapid.IntRange(0, 120).Draw(t, "boots") {
			before := boots.Deadline(maxSpinUp)
			next := boots.Late()
			if rapid.IntRange(0, 4).Draw(t, "late") > 0 {
				next = boots.Observed(time.Duration(rapid.IntRange(0, 3600_000).Draw(t, "ms")) * time.Millisecond)
			} else if next.Deadline(maxSpinUp) < before {
				t.Errorf("a missed deadline of %s became %s", before, next.Deadline(maxSpinUp))
			}
			if again := boots.Deadline(maxSpinUp); again != before {
				t.Errorf("the old memory has changed: %s became %s", before, again)
			}
			boots = next
			if got := boots.Deadline(maxSpinUp); got < least || got > maxSpinUp {
				t.Errorf("deadline %s, outside %s to %s", got, least, maxSpinUp)
			}
		}
		if len(boots.Seconds) > 50 {
			t.Errorf("%d boots are kept", len(boots.Seconds))
		}
		text, err := json.Marshal(boots)
		var again decide.Boots
		if err != nil || json.Unmarshal(text, &again) != nil || !reflect.DeepEqual(again, boots) {
			t.Errorf("%s became %+v (%v)", text, again, err)
		}
	})
}
