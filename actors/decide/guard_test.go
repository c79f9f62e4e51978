package decide_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

func TestGuardAllows(t *testing.T) {
	t.Parallel()
	for alive, want := range map[int]int{-1: 3, 0: 3, 3: 3, 10: 3, 13: 3, 14: 4, 100: 30, 999: 299} {
		if got := (decide.Guard{}).Allowed(alive); got != want {
			t.Errorf("%d of %d may go, want %d", got, alive, want)
		}
	}
}

// Ten of ten look dead: three go, the rest in the next ten minutes, and the
// alarm is given once.
func TestGuardLetsAFewGo(t *testing.T) {
	t.Parallel()
	guard, now := decide.Guard{}, noon()
	round := func() (went []messages.InstanceID, alarms int) {
		for _, id := range ids("a", "dead", 10) {
			var allowed, alarmed bool
			if guard, allowed, alarmed = guard.Judge(now, 10, id); allowed {
				went = append(went, id)
			}
			if alarmed {
				alarms++
			}
		}
		return went, alarms
	}
	for n, want := range []struct {
		after        time.Duration
		went, alarms int
	}{{0, 3, 1}, {time.Minute, 3, 0}, {5 * time.Minute, 3, 0}, {4 * time.Minute, 6, 0}, {9 * time.Minute, 6, 0}, {time.Minute, 9, 0}} {
		now = now.Add(want.after)
		went, alarms := round()
		if len(went) != want.went || alarms != want.alarms || !slices.Equal(went, ids("a", "dead", want.went)) {
			t.Errorf("round %d: %v went with %d alarms, want %d with %d", n, went, alarms, want.went, want.alarms)
		}
		if got := guard.Suspects(); got != 10 {
			t.Errorf("round %d: %d suspects", n, got)
		}
	}
	// The others are well again; a single one may go, and it is a new alarm the
	// next time.
	now = now.Add(11 * time.Minute)
	guard, allowed, alarmed := guard.Judge(now, 10, "i-1")
	if !allowed || alarmed || guard.Suspects() != 1 {
		t.Errorf("later: %t, alarm %t, %d suspects", allowed, alarmed, guard.Suspects())
	}
	if _, alarms := round(); alarms != 1 {
		t.Errorf("%d alarms, want a new one", alarms)
	}
	// Our clock was set back by a year: nobody went lately.
	now = now.AddDate(-1, 0, 0)
	if went, _ := round(); len(went) < 3 {
		t.Errorf("a year earlier only %v may go", went)
	}
}

// Goal: in no ten minutes more are let go than allowed, whoever asks how often;
// who was allowed stays allowed; a Guard is a value.
func TestGuardProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		guard, now, alive := decide.Guard{}, noon(), rapid.IntRange(0, 40).Draw(t, "alive")
		let := map[messages.InstanceID]time.Time{}
		for range rapid.IntRange(1, 80).Draw(t, "questions") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
			id := messages.InstanceID(fmt.Sprintf("i-%d", rapid.IntRange(0, 30).Draw(t, "instance")))
			next, allowed, alarmed := guard.Judge(now, alive, id)
			if _, again, _ := guard.Judge(now, alive, id); again != allowed {
				t.Errorf("another answer to the same question about %s", id)
			}
			guard = next
			if allowed == alarmed && allowed {
				t.Errorf("%s may go, and that is an alarm", id)
			}
			if _, before := let[id]; allowed && !before {
				let[id] = now
			}
			lately := 0
			for _, at := range let {
				if now.Sub(at) < 10*time.Minute {
					lately++
				}
			}
			if lately > guard.Allowed(alive) {
				t.Errorf("%d were let go in ten minutes, at most %d may be", lately, guard.Allowed(alive))
			}
			if _, still, _ := guard.Judge(now, alive, id); allowed && !still {
				t.Errorf("%s was allowed and is not any more", id)
			}
		}
	})
}
