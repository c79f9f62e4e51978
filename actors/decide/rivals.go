package decide

import (
	"maps"
	"time"

	"github.com/ebbscale/ebb/messages"
)

const (
	// rivalSigns are how many different signs of life make a rival. A former owner of
	// the same lease leaves one behind, and one more may still be on its way.
	rivalSigns = 3
	// RivalGone is for how long, besides two polls, no new sign has to come until a
	// rival counts as gone. They are written once a minute.
	RivalGone = 5 * time.Minute
	// RivalSigns is how often an owner gives its sign of life at the least, with the
	// time that it may take to be written. A sign that is older than twice that is of
	// one who lives no more.
	RivalSigns = 90 * time.Second
)

// Rivals are the others that give signs of life for our autoscaler: ebbs with another
// event server, whose leases do not know of each other. The zero value knows none. It
// is plain data; losing it costs three minutes.
type Rivals struct {
	of map[messages.Epoch]rival
}

// rival is what was seen of one epoch.
type rival struct {
	sign  messages.Sign // the newest
	queue messages.QueueName
	signs int       // different ones
	seen  time.Time // when the last new one was
	fresh bool      // it was written a moment before
}

// Signs are the signs of life that a poll shows, with the time by the server then.
type Signs struct {
	ServerNow time.Time
	On        map[messages.QueueName]messages.Sign
}

// Look takes in the signs of life that a poll shows. now is a clock that only passes;
// gone is after how long without a new sign one is not believed to live.
func (r Rivals) Look(now time.Time, gone time.Duration, own messages.Epoch, signs Signs) Rivals {
	next := Rivals{of: maps.Clone(r.of)}
	if next.of == nil {
		next.of = make(map[messages.Epoch]rival)
	}
	maps.DeleteFunc(next.of, func(_ messages.Epoch, known rival) bool { return now.Sub(known.seen) >= gone })
	for epoch, sign := range newest(signs.On) {
		known := next.of[epoch]
		switch {
		case epoch == own:
		case known.signs == 0, sign.At.After(known.sign.At):
			next.of[epoch] = rival{
				sign: sign.Sign, queue: sign.queue, signs: known.signs + 1, seen: now,
				fresh: signs.ServerNow.Sub(sign.At).Abs() <= 2*RivalSigns,
			}
		}
	}
	return next
}

type signOn struct {
	messages.Sign

	queue messages.QueueName
}

// newest are the newest signs of each epoch: an owner writes on several queues.
func newest(signs map[messages.QueueName]messages.Sign) map[messages.Epoch]signOn {
	found := make(map[messages.Epoch]signOn)
	for queue, sign := range signs {
		known, ok := found[sign.Epoch]
		if !ok || sign.At.After(known.At) || (sign.At.Equal(known.At) && queue < known.queue) {
			found[sign.Epoch] = signOn{Sign: sign, queue: queue}
		}
	}
	return found
}

// Real is the rival that lives, the oldest if there are several; ok is false when none
// does. Of two rivals the one with the higher epoch, which is the younger one as a
// rule, launches nothing: both see that, and never both wait for each other.
func (r Rivals) Real() (epoch messages.Epoch, queue messages.QueueName, ok bool) {
	for e, known := range r.of {
		if known.signs >= rivalSigns && (!ok || e < epoch) {
			epoch, queue, ok = e, known.queue, true
		}
	}
	return epoch, queue, ok
}

// Maybe is somebody of another event server, older than ours, who gave a sign of life a
// moment ago and may live: until that is clear, after left at the most, we had better
// launch nothing. first is the lowest epoch that our event server can have given: a
// former owner of the same lease is none of them, so a takeover never waits for that.
// interval is the time between two polls.
func (r Rivals) Maybe(now time.Time, interval time.Duration, first messages.Epoch) (epoch messages.Epoch, queue messages.QueueName, left time.Duration) {
	for e, known := range r.of {
		rest := RivalSigns + interval - now.Sub(known.seen)
		if e < first && known.fresh && known.signs < rivalSigns && rest > left {
			epoch, queue, left = e, known.queue, rest
		}
	}
	return epoch, queue, left
}

// Is says whether an epoch is that of a rival that lives.
func (r Rivals) Is(epoch messages.Epoch) bool { return r.of[epoch].signs >= rivalSigns }
