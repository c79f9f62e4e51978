package view_test

import (
	"math"
	"testing"
	"time"

	"github.com/ebbscale/ebb/messages"
	"github.com/ebbscale/ebb/messages/view"
)

func stateWith(conditions ...messages.Condition) *view.State {
	v := view.New()
	status := messages.Status{At: noon, Epoch: 1, Queues: []messages.QueueStatus{{Queue: "gpu", Known: true, Waiting: 2, WaitSeconds: 5}}}
	for i, c := range conditions {
		status.Instances = append(status.Instances, messages.InstanceStatus{
			Instance: messages.InstanceID(rune('a' + i)), Resource: "r", Condition: c, HourlyUSD: 2, LaunchedAt: noon.Add(-time.Hour),
		})
	}
	v.Resync(status)
	return v.State()
}

func TestHistoryKeepsEachMoment(t *testing.T) {
	t.Parallel()

	h := view.NewHistory()
	one, two := stateWith(messages.ConditionBusy), stateWith(messages.ConditionBusy, messages.ConditionIdle)
	h.Advance(one, at(0))
	h.Advance(one, at(29)) // 10 and 20 with one
	fresh := h.Advance(two, at(40))
	if len(fresh) != 2 || !fresh[0].At.Equal(at(30)) || fresh[0].Resources["r"] != 2 {
		t.Fatalf("got %+v", fresh)
	}
	samples, step := h.Since(at(40), time.Hour)
	if len(samples) != 5 || step != 10*time.Second || samples[1].Resources["r"] != 1 || samples[4].HourlyUSD != 4 || samples[4].Waiting["gpu"] != 2 {
		t.Errorf("got %d samples of %s: %+v", len(samples), step, samples)
	}
	if len(h.Advance(two, at(40))) != 0 {
		t.Error("the same moment twice")
	}
}

// TestHistoryOfWhatIsNotKnown: what nobody has looked at is no number, not 0.
func TestHistoryOfWhatIsNotKnown(t *testing.T) {
	t.Parallel()

	v := view.New()
	v.Resync(messages.Status{
		At: noon, Epoch: 1,
		Queues:    []messages.QueueStatus{{Queue: "empty", Known: true}, {Queue: "unseen"}},
		Resources: []messages.ResourceStatus{{Resource: "none", Known: true}, {Resource: "unlisted"}},
	})
	got := view.SampleOf(v.State(), noon)
	if _, drawn := got.Waiting["unseen"]; drawn || len(got.Waiting) != 1 || len(got.Wait) != 1 {
		t.Errorf("waiting %v, for %v", got.Waiting, got.Wait)
	}
	if _, drawn := got.Resources["unlisted"]; drawn || len(got.Resources) != 1 {
		t.Errorf("resources %v", got.Resources)
	}
}

func TestHistoryPrepends(t *testing.T) {
	t.Parallel()

	past, now := view.NewHistory(), view.NewHistory()
	one, two := stateWith(messages.ConditionBusy), stateWith(messages.ConditionBusy, messages.ConditionIdle)
	past.Advance(one, at(0))
	past.Advance(one, at(100))
	now.Advance(two, at(60))
	now.Advance(two, at(120))
	now.Prepend(past)
	now.Advance(two, at(130))
	samples, _ := now.Since(at(130), time.Hour)
	if len(samples) != 14 {
		t.Fatalf("got %d samples of 0 to 130: %+v", len(samples), samples)
	}
	for n, s := range samples {
		want := 1
		if n >= 6 {
			want = 2
		}
		if !s.At.Equal(at(10*n)) || s.Resources["r"] != want {
			t.Errorf("sample %d is of %s with %d instances, want %d", n, s.At, s.Resources["r"], want)
		}
	}
	// What has seen nothing goes on where the past ends.
	empty := view.NewHistory()
	empty.Prepend(past)
	empty.Advance(two, at(110))
	if samples, _ := empty.Since(at(110), time.Hour); len(samples) != 12 || samples[11].Resources["r"] != 2 {
		t.Errorf("got %+v", samples)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()

	h, s := view.NewHistory(), stateWith(messages.ConditionBusy)
	for minute := range 3 * 24 * 60 {
		h.Advance(s, noon.Add(time.Duration(minute)*time.Minute))
	}
	now := noon.Add(3 * 24 * time.Hour)
	fine, _ := h.Since(now, time.Hour)
	coarse, step := h.Since(now, 24*time.Hour)
	if len(fine) > 361 || len(coarse) > 1441 || len(coarse) < 1430 || step != time.Minute {
		t.Errorf("got %d fine and %d coarse samples of %s", len(fine), len(coarse), step)
	}
	for i := 1; i < len(coarse); i++ {
		if coarse[i].At.Sub(coarse[i-1].At) != time.Minute {
			t.Fatalf("a gap between %s and %s", coarse[i-1].At, coarse[i].At)
		}
	}
	// A process that slept for a month remembers a day of it.
	h.Advance(s, now.Add(30*24*time.Hour))
	if coarse, _ := h.Since(now.Add(30*24*time.Hour), 24*time.Hour); len(coarse) < 1430 {
		t.Errorf("got %d samples after a month", len(coarse))
	}
}

func TestCost(t *testing.T) {
	t.Parallel()

	spending, s := view.NewSpending(), stateWith(messages.ConditionBusy, messages.ConditionIdle)
	gone := recorded(1, 0, messages.InstanceGone{Instance: "old", Resource: "old", UpSeconds: 7200, HourlyUSD: 3})
	spending.Apply(gone)
	spending.Apply(gone) // at least once
	spending.Apply(recorded(2, 0, messages.InstanceGone{Instance: "dear", Resource: "old", UpSeconds: 60}))
	yesterday := recorded(3, -13*3600, messages.InstanceGone{Instance: "before", UpSeconds: 60, HourlyUSD: 100})
	spending.Apply(yesterday)
	cost := spending.Cost(s, at(3600))
	if cost.HourlyUSD != 4 || math.Abs(cost.TodayUSD-(2*2*2+6)) > 1e-9 || cost.UnknownToday != 1 || cost.UnknownNow != 0 {
		t.Errorf("got %+v", cost)
	}
	if got := cost.Today["r"]; got != (view.Share{Hours: 4, USD: 8}) {
		t.Errorf("resource type r had %+v today", got)
	}
	if got := cost.Today["old"]; got.Hours < 2 || got.USD != 6 { // 2 h of a known price and a minute of an unknown one
		t.Errorf("what has ended had %+v today", got)
	}
	// Midnight cuts: an hour after it, one hour of each is of today.
	cost = spending.Cost(s, time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC))
	if math.Abs(cost.TodayUSD-4) > 1e-9 {
		t.Errorf("got %+v the day after", cost)
	}
	if len(cost.Today) != 1 || math.Abs(cost.Today["r"].Hours-2) > 1e-9 {
		t.Errorf("resource types had %+v the day after", cost.Today)
	}
}
