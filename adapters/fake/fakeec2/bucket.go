package fakeec2

import (
	"strings"
	"time"
)

// Limit is one token bucket of the account: how many tokens it holds and how
// many come back per second. A bucket is full at the start.
type Limit struct {
	Action    string  `json:"action"`              // API action
	Broad     bool    `json:"broad,omitempty"`     // listings with neither filter nor page size
	Resources bool    `json:"resources,omitempty"` // counts instances instead of requests
	Max       float64 `json:"max"`
	PerSecond float64 `json:"per_second"`
}

// PublishedLimit is the bucket that EC2 documents for an action. It reports
// false when the action has no such bucket.
func PublishedLimit(action string, broad, resources bool) (Limit, bool) {
	of := func(size, refill float64) (Limit, bool) {
		return Limit{Action: action, Broad: broad, Resources: resources, Max: size, PerSecond: refill}, true
	}
	if resources {
		switch action {
		case "RunInstances", "StartInstances":
			return of(1000, 2)
		case "TerminateInstances", "StopInstances":
			return of(1000, 20)
		default:
			return Limit{}, false
		}
	}
	switch {
	case action == "RunInstances", action == "StartInstances":
		return of(5, 2)
	case action == "TerminateInstances":
		return of(100, 5)
	case action == "CreateTags", action == "DeleteTags":
		return of(100, 10)
	case action == "GetConsoleOutput":
		return of(100, 10)
	case strings.HasPrefix(action, "Describe") && broad:
		return of(50, 10)
	case strings.HasPrefix(action, "Describe"):
		return of(100, 20)
	default:
		return of(50, 5)
	}
}

type bucketKey struct {
	action           string
	broad, resources bool
}

type bucket struct {
	limit  Limit
	tokens float64
	at     time.Time
}

// take removes n tokens and reports whether there were enough of them.
func (b *bucket) take(now time.Time, n float64) bool {
	b.refill(now)
	if b.tokens+1e-9 < n {
		return false
	}
	b.tokens -= n
	return true
}

func (b *bucket) refill(now time.Time) {
	b.tokens = min(b.limit.Max, b.tokens+now.Sub(b.at).Seconds()*b.limit.PerSecond)
	b.at = now
}

// throttled takes n tokens from an action's bucket and reports whether the call
// must be refused. Callers hold the lock.
func (c *Cloud) throttled(action string, broad, resources bool, n int) bool {
	if !c.throttle {
		return false
	}
	b, ok := c.bucket(action, broad, resources)
	return ok && !b.take(c.now(), float64(n))
}

func (c *Cloud) bucket(action string, broad, resources bool) (*bucket, bool) {
	key := bucketKey{action: action, broad: broad, resources: resources}
	if b, ok := c.buckets[key]; ok {
		return b, true
	}
	limit, ok := PublishedLimit(action, broad, resources)
	if !ok {
		return nil, false
	}
	b := &bucket{limit: limit, tokens: limit.Max, at: c.now()}
	c.buckets[key] = b
	return b, true
}

// Tokens is how many tokens the bucket of an action holds now.
func (c *Cloud) Tokens(action string, broad, resources bool) float64 {
	c.mu.Lock()
	defer c.unlock()
	b, ok := c.bucket(action, broad, resources)
	if !ok {
		return 0
	}
	b.refill(c.now())
	return b.tokens
}

// SetThrottle turns the token buckets on or off.
func (c *Cloud) SetThrottle(on bool) {
	c.mu.Lock()
	defer c.unlock()
	c.throttle = on
}
