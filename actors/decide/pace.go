package decide

import "time"

// Bucket is a token bucket as EC2 keeps one for each kind of call. It is a
// value: Take returns the next one.
type Bucket struct {
	// Size is the most tokens it holds, PerSecond how many it regains.
	Size      float64
	PerSecond float64
	tokens    float64
	at        time.Time
	halvings  int // of what it regains
}

// NewBucket returns a full bucket.
func NewBucket(size, perSecond float64) Bucket {
	return Bucket{Size: size, PerSecond: perSecond, tokens: size}
}

// mostHalvings is how far a bucket slows down: to a 64th of what it regains.
const mostHalvings = 6

// Throttled returns the bucket after EC2 said that there were too many calls:
// somebody else draws from the same bucket. It is empty, and regains half as
// much as before.
func (b Bucket) Throttled(now time.Time) Bucket {
	b = b.regained(now)
	b.tokens = 0
	b.halvings = min(b.halvings+1, mostHalvings)
	return b
}

// Recovered returns the bucket after it went well for a while: it regains twice
// as much as before, and at most PerSecond.
func (b Bucket) Recovered(now time.Time) Bucket {
	b = b.regained(now)
	b.halvings = max(b.halvings-1, 0)
	return b
}

// Rate is how many tokens it regains in a second now.
func (b Bucket) Rate() float64 { return b.PerSecond / float64(uint(1)<<b.halvings) }

// regained is the bucket at now. A now before that of an earlier call regains
// nothing, and if it is far before, the clock was set back and time goes on
// from there.
func (b Bucket) regained(now time.Time) Bucket {
	passed := now.Sub(b.at)
	if b.at.IsZero() || passed < -setBack {
		b.at = now
	}
	if passed = now.Sub(b.at); passed > 0 {
		b.tokens = min(b.Size, b.tokens+passed.Seconds()*b.Rate())
		b.at = now
	}
	return b
}

const (
	// longestWait bounds what Take tells: to ask again then does no harm.
	longestWait = time.Hour
	// setBack is more than calls can come out of order.
	setBack = time.Minute
)

// Take takes n tokens at now if they are there. If not it takes none, and wait
// says how long it takes until they are; more than Size are taken as Size.
func (b Bucket) Take(now time.Time, n float64) (next Bucket, wait time.Duration) {
	b = b.regained(now)
	n = min(max(0, n), b.Size)
	if b.tokens >= n {
		b.tokens -= n
		return b, 0
	}
	seconds := (n - b.tokens) / b.Rate()
	if seconds >= longestWait.Seconds() {
		return b, longestWait
	}
	// A millisecond more: what was lost to rounding must not make it wait again.
	return b, time.Duration(seconds*float64(time.Second)) + time.Millisecond
}

// Backoff waits between attempts: full jitter over a doubling range.
type Backoff struct {
	Base time.Duration
	Max  time.Duration
}

// Wait is how long to wait after the given number of failures, at least 1;
// draw is a number from 0 to 1. The wait is never under a tenth of the base.
func (b Backoff) Wait(failures int, draw float64) time.Duration {
	span := b.Max
	if doublings := max(failures-1, 0); b.Base <= b.Max>>doublings {
		span = b.Base << doublings
	}
	return max(b.Base/10, time.Duration(draw*float64(span)))
}
