package decide_test

import (
	"cmp"
	"testing"
	"time"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

func TestPhaseOf(t *testing.T) {
	t.Parallel()
	row := func(age time.Duration, task messages.TaskID) *messages.WorkerState {
		return &messages.WorkerState{Task: task, LastActive: noon().Add(-age)}
	}
	cases := []struct {
		name string
		row  *messages.WorkerState
		seen bool
		want messages.Phase
	}{
		{name: "never seen", want: messages.PhaseBooting},
		{name: "seen before, not listed", seen: true, want: messages.PhaseVanished},
		{name: "fresh without task", row: row(0, ""), want: messages.PhaseIdle},
		{name: "fresh with task", row: row(0, "t1"), seen: true, want: messages.PhaseBusy},
		{name: "as old as it may be", row: row(decide.WorkerFreshness, ""), seen: true, want: messages.PhaseIdle},
		{name: "too old", row: row(decide.WorkerFreshness+1, ""), seen: true, want: messages.PhaseVanished},
		{name: "too old with task", row: row(time.Hour, "t1"), seen: true, want: messages.PhaseVanished},
		{name: "too old at first sight", row: row(time.Hour, ""), want: messages.PhaseVanished},
		{name: "server rounds down its own time", row: row(-time.Second, ""), want: messages.PhaseIdle},
		{name: "never a sign of life", row: &messages.WorkerState{}, want: messages.PhaseVanished},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := decide.PhaseOf(tc.row, tc.seen, noon()); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// The server's clock is an hour off in all cases: only differences count.
func TestJudgeIdle(t *testing.T) {
	t.Parallel()
	const maxIdle = 10 * time.Minute
	serverNow := noon().Add(time.Hour)
	ended := func(age time.Duration) *messages.WorkerActivity {
		return &messages.WorkerActivity{LastEnd: serverNow.Add(-age)}
	}
	cases := []struct {
		name     string
		idle     time.Duration
		found    time.Duration // before now; 0 is as long ago as idle
		activity *messages.WorkerActivity
		drain    bool
		since    time.Duration // before now; -1 for a zero time
		code     messages.ReasonCode
		got      int64
	}{
		{name: "nobody knows", idle: time.Hour, since: time.Hour, code: messages.ReasonUnconfirmed},
		{
			name: "running", idle: time.Hour, activity: &messages.WorkerActivity{Running: "t1"},
			since: -1, code: messages.ReasonTookWork,
		},
		{
			name: "running although one ended", idle: time.Hour,
			activity: &messages.WorkerActivity{Running: "t1", LastEnd: serverNow.Add(-time.Hour)},
			since:    -1, code: messages.ReasonTookWork,
		},
		{name: "nothing ran", idle: maxIdle, activity: &messages.WorkerActivity{}, drain: true, since: maxIdle},
		{name: "one ended before it was idle", idle: 11 * time.Minute, activity: ended(time.Hour), drain: true, since: 11 * time.Minute},
		{name: "one ended unseen, long ago", idle: time.Hour, activity: ended(maxIdle), drain: true, since: maxIdle},
		{
			name: "one ended unseen, lately", idle: time.Hour, activity: ended(4 * time.Minute),
			since: 4 * time.Minute, code: messages.ReasonTookWork, got: 240,
		},
		{
			name: "one ended before we looked, lately", idle: time.Hour, found: time.Minute, activity: ended(4 * time.Minute),
			since: 4 * time.Minute, code: messages.ReasonIdleTooShort, got: 240,
		},
		{
			name: "one ended unseen since we look", idle: time.Hour, found: 5 * time.Minute, activity: ended(4 * time.Minute),
			since: 4 * time.Minute, code: messages.ReasonTookWork, got: 240,
		},
		{name: "one ended before we looked, long ago", idle: time.Hour, found: time.Minute, activity: ended(maxIdle), drain: true, since: maxIdle},
		{name: "one ended just now, a second ahead", idle: time.Hour, activity: ended(-time.Second), code: messages.ReasonTookWork},
		{
			name: "asked too early", idle: 9 * time.Minute, activity: &messages.WorkerActivity{},
			since: 9 * time.Minute, code: messages.ReasonUnconfirmed, got: 540,
		},
		{name: "our clock was set back", idle: -time.Minute, activity: &messages.WorkerActivity{}, since: -time.Minute, code: messages.ReasonUnconfirmed},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := decide.JudgeIdle(noon(), serverNow, decide.Idleness{
				Since: noon().Add(-tc.idle), Found: noon().Add(-cmp.Or(tc.found, tc.idle)), Max: maxIdle,
			}, tc.activity)
			since := noon().Add(-tc.since)
			if tc.since == -1 {
				since = time.Time{}
			}
			if got.Drain != tc.drain || !got.IdleSince.Equal(since) || got.Reason.Code != tc.code || got.Reason.Got != tc.got {
				t.Errorf("got %+v, want drain %t since %s for %q (%d s)", got, tc.drain, since, tc.code, tc.got)
			}
			if (got.Reason.Detail == "") != tc.drain {
				t.Errorf("detail %q with drain %t", got.Reason.Detail, got.Drain)
			}
		})
	}
}

// The scripts are complete listings that do not show the instance, by their
// age of the instance.
func TestAbsence(t *testing.T) {
	t.Parallel()
	settle := decide.SettleTime
	cases := []struct {
		name     string
		listings []time.Duration
		gone     []bool
	}{
		{"too young to be shown", []time.Duration{0, time.Minute, settle - 1}, []bool{false, false, false}},
		{"missing once", []time.Duration{settle}, []bool{false}},
		{"missing twice at once", []time.Duration{settle, settle + 29*time.Second}, []bool{false, false}},
		{"missing twice", []time.Duration{settle, settle + 30*time.Second}, []bool{false, true}},
		{"missing all the time", []time.Duration{settle, settle + 15*time.Second, settle + 31*time.Second}, []bool{false, false, true}},
		{"the same listing twice", []time.Duration{time.Hour, time.Hour}, []bool{false, false}},
		{"a late listing", []time.Duration{time.Hour, time.Hour - time.Minute, time.Hour + time.Minute}, []bool{false, false, true}},
		{"young sightings do not count", []time.Duration{settle - time.Minute, settle}, []bool{false, false}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			absence := decide.Absence{}
			for n, age := range tc.listings {
				next, gone := absence.Absent(noon().Add(age), noon())
				if gone != tc.gone[n] {
					t.Errorf("listing %d at %s: gone is %t, want %t", n, age, gone, tc.gone[n])
				}
				absence = next
			}
		})
	}
}

// TestDead: a worker and its task that are silent for half an hour are dead; a
// task that nobody knows the pulse of is not.
func TestDead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		activity messages.WorkerActivity
		want     bool
	}{
		"no task":      {messages.WorkerActivity{Beat: now.Add(-time.Hour)}, false},
		"silent":       {messages.WorkerActivity{Running: "t", Beat: now.Add(-31 * time.Minute)}, true},
		"alive":        {messages.WorkerActivity{Running: "t", Beat: now.Add(-30 * time.Minute)}, false},
		"nobody knows": {messages.WorkerActivity{Running: "t"}, false},
		"beat to come": {messages.WorkerActivity{Running: "t", Beat: now.Add(time.Hour)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := decide.Dead(now, test.activity); got != test.want {
				t.Errorf("Dead(%+v) = %t", test.activity, got)
			}
		})
	}
}
