package decide_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/actors/decide"
)

func TestBucket(t *testing.T) {
	t.Parallel()
	type take struct {
		at   time.Duration
		n    float64
		wait time.Duration
	}
	const ms = time.Millisecond
	cases := []struct {
		name  string
		size  float64
		rate  float64
		takes []take
	}{
		{"begins full", 3, 1, []take{{0, 1, 0}, {0, 1, 0}, {0, 1, 0}, {0, 1, time.Second + ms}}},
		{"regains by time", 2, 2, []take{{0, 2, 0}, {250 * ms, 1, 251 * ms}, {501 * ms, 1, 0}}},
		{"regains no more than its size", 2, 2, []take{{0, 2, 0}, {time.Hour, 2, 0}, {time.Hour, 1, 501 * ms}}},
		{"more than its size is its size", 2, 1, []take{{0, 9, 0}, {0, 9, 2*time.Second + ms}, {2 * time.Second, 9, 0}}},
		{"nothing and less are free", 1, 1, []take{{0, 1, 0}, {0, 0, 0}, {0, -5, 0}, {0, 1, time.Second + ms}}},
		{"a clock set back regains nothing twice", 1, 1, []take{
			{10 * time.Second, 1, 0}, {0, 1, time.Second + ms}, {10 * time.Second, 1, time.Second + ms}, {11 * time.Second, 1, 0},
		}},
		{"a clock set back by an hour goes on from there", 1, 1, []take{
			{time.Hour, 1, 0}, {0, 1, time.Second + ms}, {time.Second, 1, 0}, {time.Second, 1, time.Second + ms},
		}},
		{"never regains", 1, 0, []take{{0, 1, 0}, {0, 1, time.Hour}, {time.Hour, 1, time.Hour}}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			bucket := decide.NewBucket(tc.size, tc.rate)
			for n, take := range tc.takes {
				var wait time.Duration
				if bucket, wait = bucket.Take(noon().Add(take.at), take.n); wait != take.wait {
					t.Errorf("take %d of %g at %s: wait %s, want %s", n, take.n, take.at, wait, take.wait)
				}
			}
		})
	}
}

// Goal: whoever waits as told gets through at the next try, and nobody ever
// takes more than the size and what was regained.
func TestBucketProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := float64(rapid.IntRange(1, 100).Draw(t, "size"))
		rate := rapid.Float64Range(0.1, 50).Draw(t, "rate")
		bucket, now, taken := decide.NewBucket(size, rate), noon(), 0.0
		for range rapid.IntRange(1, 40).Draw(t, "takes") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			n := float64(rapid.IntRange(1, int(size)).Draw(t, "n"))
			next, wait := bucket.Take(now, n)
			if wait > 0 {
				now = now.Add(wait)
				next, wait = next.Take(now, n)
				if wait != 0 {
					t.Fatalf("waited as told, and is told to wait %s more", wait)
				}
			}
			bucket, taken = next, taken+n
			if most := size + rate*now.Sub(noon()).Seconds(); taken > most+1e-6 {
				t.Fatalf("took %g, at most %g were there", taken, most)
			}
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	const almost = 1 - 1.0/(1<<53)
	usual := decide.Backoff{Base: time.Second, Max: time.Minute}
	cases := []struct {
		name     string
		backoff  decide.Backoff
		failures int
		draw     float64
		want     time.Duration
	}{
		{"first, low", usual, 1, 0, 100 * time.Millisecond},
		{"first, half", usual, 1, 0.5, 500 * time.Millisecond},
		{"none counts as one", usual, 0, 0.5, 500 * time.Millisecond},
		{"second", usual, 2, 0.5, time.Second},
		{"sixth", usual, 6, 0.5, 16 * time.Second},
		{"seventh is at the top", usual, 7, 0.5, 30 * time.Second},
		{"thousandth", usual, 1000, 0.5, 30 * time.Second},
		{"does not run over", decide.Backoff{Base: 1000 * time.Hour, Max: math.MaxInt64}, 20, 0.5, 1 << 62},
		{"base over the top", decide.Backoff{Base: time.Minute, Max: time.Second}, 3, almost, 6 * time.Second},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := tc.backoff.Wait(tc.failures, tc.draw); got != tc.want {
				t.Errorf("wait %s, want %s", got, tc.want)
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		failures, draw := rapid.IntRange(0, 100).Draw(t, "failures"), rapid.Float64Range(0, almost).Draw(t, "draw")
		wait := usual.Wait(failures, draw)
		if wait < usual.Base/10 || wait > usual.Max {
			t.Errorf("wait %s after %d failures", wait, failures)
		}
		if next := usual.Wait(failures+1, draw); next < wait {
			t.Errorf("waits %s after %d failures and %s after one more", wait, failures, next)
		}
	})
}
