package decide_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/actors/decide"
)

// story plays boots into a breaker: + is a worker, - is none; all at once.
func story(b decide.Breaker, now time.Time, boots string) decide.Breaker {
	for _, boot := range boots {
		if boot == '+' {
			b = b.Booted(now, "g5.xlarge", "ami-1")
		} else {
			b = b.Failed(now, "g5.xlarge", "ami-1")
		}
	}
	return b
}

func TestBreakerOpens(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, boots string
		open        bool
	}{
		{"nothing seen", "", false},
		{"one", "-", false},
		{"two in a row", "--", false},
		{"three in a row", "---", true},
		{"three in a row after many good ones", "++++++++++---", true},
		{"two of three", "-+-", false},
		{"two of four", "-+-+", false}, // opens at a failure, not at a success
		{"three of four", "-+--", true},
		{"half of four", "+-+-", true},
		{"two of five", "+++--", false},
		{"half of ten", "+++++-+-+--", false},
		{"five of the last ten", "+++++--+--+-", true},
		{"what is longer ago does not count", "--++++++++++--+--", false},
		{"more boots that fail change nothing at once", "------", true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := story(decide.Breaker{}, noon(), tc.boots)
			limit, until := b.Allows(noon(), "g5.xlarge", "ami-1")
			if b.Open("g5.xlarge", "ami-1") != tc.open || (limit == 0) != tc.open {
				t.Fatalf("open: %t, limit %d, want open %t", b.Open("g5.xlarge", "ami-1"), limit, tc.open)
			}
			if tc.open && !until.Equal(noon().Add(time.Minute)) {
				t.Errorf("until %s, want a minute", until)
			}
			for _, other := range [][2]string{{"g5.xlarge", "ami-2"}, {"g5.2xlarge", "ami-1"}} {
				if limit, _ := b.Allows(noon(), other[0], other[1]); limit != -1 || b.Open(other[0], other[1]) {
					t.Errorf("%v: limit %d", other, limit)
				}
			}
		})
	}
}

func TestBreakerTriesOne(t *testing.T) {
	t.Parallel()
	b, now := story(decide.Breaker{}, noon(), "---"), noon()
	allows := func(b decide.Breaker, at time.Time) int {
		limit, _ := b.Allows(at, "g5.xlarge", "ami-1")
		return limit
	}
	for n, minutes := range []int{1, 2, 4, 8, 16, 30, 30} {
		wait := time.Duration(minutes) * time.Minute
		if allows(b, now.Add(wait-1)) != 0 || allows(b.Asked(now, "g5.xlarge", "ami-1"), now.Add(wait)) != 1 {
			t.Errorf("opened for the %d. time: is not shut for %s and half-open after it", n+1, wait)
		}
		now = now.Add(wait)
		b = b.Asked(now, "g5.xlarge", "ami-1")
		if limit, until := b.Allows(now, "g5.xlarge", "ami-1"); limit != 0 || !until.Equal(now.Add(10*time.Second)) {
			t.Errorf("a second one may be tried: %d, %s", limit, until)
		}
		if asked := b.Asked(now.Add(time.Minute), "g5.xlarge", "ami-1"); !reflect.DeepEqual(asked, b) {
			t.Error("asking again changes when it was asked")
		}
		if got := allows(b.Unanswered("g5.xlarge", "ami-1"), now); got != 1 {
			t.Errorf("without an answer the chance is not given back: %d", got)
		}
		if got := allows(b, now.Add(time.Hour)); got != 1 {
			t.Errorf("after an hour without an answer: %d", got)
		}
		if closed := story(b, now, "+"); allows(closed, now) != -1 || allows(story(closed, now, "--"), now) != -1 {
			t.Error("a worker does not close it, and begin anew")
		}
		b = story(b, now, "-")
	}
	// Our clock was set back: it is not shut for longer than ever.
	if got := allows(b, noon().AddDate(-1, 0, 0)); got != 1 {
		t.Errorf("a year earlier: %d", got)
	}
	if got := allows(b.Asked(now, "g5.xlarge", "ami-9"), now); got != 0 {
		t.Errorf("asking for another image changes this one: %d", got)
	}
}

// What nobody uses any more is forgotten, and the rest is kept as JSON.
func TestBreakerIsKept(t *testing.T) {
	t.Parallel()
	b := story(decide.Breaker{}, noon(), "---").Failed(noon().Add(24*time.Hour), "m7i.large", "ami-1")
	b = b.Asked(noon().Add(time.Hour), "g5.xlarge", "ami-1")
	text, err := json.Marshal(b)
	var again decide.Breaker
	if err != nil || json.Unmarshal(text, &again) != nil || !reflect.DeepEqual(again, b) {
		t.Errorf("%s became %+v (%v)", text, again, err)
	}
	if err := json.Unmarshal([]byte(`{"circuits":[{"instance_type":"x","image":"y","opened":1,"until":"2031-05-06T12:01:00Z","last":"2031-05-06T12:00:00Z","new":1}]}`), &again); err != nil {
		t.Fatal(err)
	}
	if limit, _ := again.Allows(noon(), "x", "y"); limit != 0 {
		t.Errorf("a later version's circuit is not heeded: %d", limit)
	}
	b = b.Booted(noon().Add(8*24*time.Hour-1), "m7i.large", "ami-2")
	if b.Open("g5.xlarge", "ami-1") || len(b.Circuits) != 2 {
		t.Errorf("after a week: %+v", b)
	}
}

// Goal: while a circuit is open at most one instance is out to try it, whatever
// order things come in, nothing is shut for longer than half an hour, and a
// Breaker is a value.
func TestBreakerProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, now, out := decide.Breaker{}, noon(), 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "seconds")) * time.Second)
			limit, until := b.Allows(now, "t", "i")
			if b.Open("t", "i") == (limit == -1) || (limit == 0 && (!until.After(now) || until.Sub(now) > 30*time.Minute)) {
				t.Errorf("open %t, limit %d, until %s at %s", b.Open("t", "i"), limit, until, now)
			}
			next := b
			switch step := rapid.IntRange(0, 3).Draw(t, "step"); {
			case step == 0 && limit != 0:
				next = b.Asked(now, "t", "i")
				if limit == 1 {
					out++
				}
			case step == 1 && out > 0:
				next, out = b.Unanswered("t", "i"), 0
			case step == 2:
				next, out = b.Booted(now, "t", "i"), 0
				if limit, _ := next.Allows(now, "t", "i"); limit != -1 {
					t.Errorf("a worker came, and the limit is %d", limit)
				}
			case step == 3:
				next = b.Failed(now, "t", "i")
				if next.Circuits[0].Probe.IsZero() { // it counts as the answer
					out = 0
				}
			}
			if out > 1 {
				t.Errorf("%d are tried at once", out)
			}
			if again, _ := b.Allows(now, "t", "i"); again != limit {
				t.Errorf("the old breaker has changed: %d became %d", limit, again)
			}
			b = next
		}
	})
}
