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
}

// NewBucket returns a full bucket.
func NewBucket(size, perSecond float64) Bucket {
	return Bucket{Size: size, PerSecond: perSecond, tokens: size}
}

// longestWait bounds what Take tells: to ask again then does no harm.
const longestWait = time.Hour

// Take takes n tokens at now if they are there. If not it takes none, and wait
// says how long it takes until they are; more than Size are taken as Size. A
// now before that of an earlier Take regains nothing.
func (b Bucket) Take(now time.Time, n float64) (next Bucket, wait time.Duration) {
	if b.at.IsZero() {
		b.at = now
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(b.Size, b.tokens+passed.Seconds()*b.PerSecond)
		b.at = now
	}
	n = min(max(0, n), b.Size)
	if b.tokens >= n {
		b.tokens -= n
		return b, 0
	}
	seconds := (n - b.tokens) / b.PerSecond
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
