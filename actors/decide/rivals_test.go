package decide_test

import (
	"testing"
	"time"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// TestMaybeRivals: who gave a sign of life a moment ago, with an older event server,
// may live for as long as it takes to give the next one.
func TestMaybeRivals(t *testing.T) {
	t.Parallel()
	const own, first, gone, poll = 100, 90, 6 * time.Minute, 30 * time.Second
	sign := func(epoch messages.Epoch, age time.Duration) decide.Signs {
		return decide.Signs{ServerNow: noon(), On: map[messages.QueueName]messages.Sign{"q": {Epoch: epoch, At: noon().Add(-age)}}}
	}
	for name, c := range map[string]struct {
		signs decide.Signs
		after time.Duration
		left  time.Duration
	}{
		"a moment ago":                {sign(89, time.Minute), 0, 2 * time.Minute},
		"by a clock that is ahead":    {sign(89, -time.Minute), 0, 2 * time.Minute},
		"and some time has passed":    {sign(89, 0), 80 * time.Second, 40 * time.Second},
		"and nothing came":            {sign(89, 0), 2 * time.Minute, 0},
		"long ago":                    {sign(89, 181*time.Second), 0, 0},
		"a former owner of our lease": {sign(90, 0), 0, 0},
		"the last owner":              {sign(99, 0), 0, 0},
		"ourselves":                   {sign(own, 0), 0, 0},
		"with a younger event server": {sign(101, 0), 0, 0}, // that one waits
		"nobody":                      {decide.Signs{ServerNow: noon()}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rivals := decide.Rivals{}.Look(noon(), gone, own, c.signs)
			epoch, queue, left := rivals.Maybe(noon().Add(c.after), poll, first)
			if left != c.left || (left > 0) != (epoch == 89 && queue == "q") {
				t.Errorf("owner %d on %q may live for %s, want %s", epoch, queue, left, c.left)
			}
		})
	}
	rivals := decide.Rivals{}
	for minute := range 3 {
		rivals = rivals.Look(noon().Add(time.Duration(minute)*time.Minute), gone, own, decide.Signs{
			ServerNow: noon(), On: map[messages.QueueName]messages.Sign{"q": {Epoch: 89, At: noon().Add(time.Duration(minute) * time.Minute)}},
		})
	}
	if _, _, left := rivals.Maybe(noon().Add(2*time.Minute), poll, first); left != 0 {
		t.Errorf("one that is known to live may live for %s", left)
	}
}

// A rival is who goes on to give signs of life while we do.
func TestRivals(t *testing.T) {
	t.Parallel()
	const own, gone = 100, 6 * time.Minute
	type signs = map[messages.QueueName]messages.Sign
	at := func(epoch messages.Epoch, minutes int) messages.Sign {
		return messages.Sign{Epoch: epoch, At: noon().Add(time.Duration(minutes) * time.Minute)}
	}
	for name, c := range map[string]struct {
		polls []signs // one a minute
		epoch messages.Epoch
		queue messages.QueueName
	}{
		"nobody":                     {polls: []signs{nil, {}, nil}},
		"ourselves":                  {polls: []signs{{"q": at(own, 0)}, {"q": at(own, 1)}, {"q": at(own, 2)}, {"q": at(own, 3)}}},
		"what a former owner left":   {polls: []signs{{"q": at(99, 0)}, {"q": at(99, 0)}, {"q": at(99, 0)}, {"q": at(99, 0)}}},
		"and one that came late":     {polls: []signs{{"q": at(99, 0)}, {"q": at(own, 1)}, {"q": at(99, 1)}, {"q": at(own, 2)}}},
		"and on several queues":      {polls: []signs{{"p": at(99, 0), "q": at(99, 1), "r": at(99, 2), "s": at(99, 3)}, {"p": at(own, 4), "q": at(99, 1)}, {"q": at(99, 1)}}},
		"several former owners":      {polls: []signs{{"q": at(97, 0)}, {"q": at(98, 1)}, {"q": at(99, 2)}, {"q": at(97, 0)}}},
		"one that lives":             {[]signs{{"q": at(99, 0)}, {"q": at(99, 1)}, {"q": at(99, 2)}}, 99, "q"},
		"one that began after us":    {[]signs{{"q": at(own, 0)}, {"q": at(101, 1)}, {"q": at(own, 2)}, {"q": at(101, 3)}, {"q": at(101, 4)}}, 101, "q"},
		"on one queue, then another": {[]signs{{"q": at(99, 0)}, {"p": at(99, 1)}, {"p": at(99, 2)}}, 99, "p"},
		"by a clock of its own":      {[]signs{{"q": at(99, -600)}, {"q": at(99, -599)}, {"q": at(99, -598)}}, 99, "q"},
		"two that live":              {[]signs{{"p": at(99, 0), "q": at(98, 0)}, {"p": at(99, 1), "q": at(98, 1)}, {"p": at(99, 2), "q": at(98, 2)}}, 98, "q"},
		"seldom seen":                {[]signs{{"q": at(99, 0)}, nil, nil, nil, nil, {"q": at(99, 5)}, nil, nil, {"q": at(99, 8)}}, 99, "q"},
		"too seldom":                 {polls: []signs{{"q": at(99, 0)}, nil, nil, nil, nil, nil, {"q": at(99, 6)}, {"q": at(99, 7)}}},
		"gone":                       {polls: []signs{{"q": at(99, 0)}, {"q": at(99, 1)}, {"q": at(99, 2)}, nil, nil, nil, nil, nil, {"q": at(99, 2)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rivals decide.Rivals
			for minute, poll := range c.polls {
				before := rivals
				rivals = rivals.Look(noon().Add(time.Duration(minute)*time.Minute), gone, own, decide.Signs{ServerNow: noon(), On: poll})
				if e1, q1, ok1 := before.Real(); minute > 0 && c.epoch == 0 && name != "gone" && ok1 {
					t.Errorf("poll %d: %d on %s", minute, e1, q1)
				}
			}
			epoch, queue, ok := rivals.Real()
			if epoch != c.epoch || queue != c.queue || ok != (c.epoch != 0) {
				t.Errorf("rival %d on %q (%t), want %d on %q", epoch, queue, ok, c.epoch, c.queue)
			}
			if ok && !rivals.Is(epoch) || rivals.Is(own) || rivals.Is(0) {
				t.Error("it is another one")
			}
		})
	}
}
