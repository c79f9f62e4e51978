package decide

import "time"

// EC2's token buckets, for each account and region: how many tokens they hold,
// and regain in a second. Each kind of call has one for its requests and one
// for the instances in them.
const (
	launchRequests, launchRequestRefill       = 5, 2
	launchInstances, launchInstanceRefill     = 1000, 2
	terminateRequests, terminateRequestRefill = 100, 5
	terminateInstances, terminateRefill       = 1000, 20
)

const (
	// throttleOnce is the time in which refusals for too many calls tell of the
	// same: calls that were under way together.
	throttleOnce = time.Second
	// recoverAfter is how long it must go well until it goes faster by a step.
	recoverAfter = 30 * time.Second
)

// Call is a kind of call to EC2 that changes something.
type Call int

// The calls that a [Governor] paces.
const (
	CallLaunch Call = iota
	CallTerminate
)

// Governor paces the calls to EC2 by EC2's own token buckets. Terminations have
// buckets of their own at EC2, and so here: no launch ever delays one. It is a
// value: each method returns the next one. Use [NewGovernor].
type Governor struct {
	lanes [2]lane // by Call
}

// lane is one kind of call.
type lane struct {
	requests  Bucket
	instances Bucket
	slowed    time.Time // when it was throttled last, or went faster by a step
}

// NewGovernor returns a governor with full buckets.
func NewGovernor() Governor {
	return Governor{lanes: [2]lane{
		CallLaunch: {
			requests:  NewBucket(launchRequests, launchRequestRefill),
			instances: NewBucket(launchInstances, launchInstanceRefill),
		},
		CallTerminate: {
			requests:  NewBucket(terminateRequests, terminateRequestRefill),
			instances: NewBucket(terminateInstances, terminateRefill),
		},
	}}
}

// TakeLaunch takes what one RunInstances call of so many instances costs. If
// that is not there it takes nothing, and wait says how long it takes.
func (g Governor) TakeLaunch(now time.Time, count int) (next Governor, wait time.Duration) {
	return g.take(now, CallLaunch, count)
}

// TakeTerminate takes what one TerminateInstances call of so many instances
// costs. If that is not there it takes nothing, and wait says how long it takes.
func (g Governor) TakeTerminate(now time.Time, count int) (next Governor, wait time.Duration) {
	return g.take(now, CallTerminate, count)
}

func (g Governor) take(now time.Time, call Call, count int) (Governor, time.Duration) {
	l := g.lanes[call].recovered(now)
	g.lanes[call] = l
	requests, first := l.requests.Take(now, 1)
	instances, second := l.instances.Take(now, float64(count))
	if wait := max(first, second); wait > 0 {
		return g, wait
	}
	g.lanes[call].requests, g.lanes[call].instances = requests, instances
	return g, 0
}

// Throttled returns the governor after EC2 refused a call because there were
// too many: its requests go at half the pace, until it goes well for a while.
// Refusals of calls that were under way together count once.
func (g Governor) Throttled(now time.Time, call Call) Governor {
	l := g.lanes[call].recovered(now)
	if l.requests.halvings == 0 || now.Sub(l.slowed).Abs() >= throttleOnce {
		l.requests = l.requests.Throttled(now)
		l.slowed = now
	}
	g.lanes[call] = l
	return g
}

// recovered is the lane at now: one step faster for each while that it went
// well.
func (l lane) recovered(now time.Time) lane {
	if now.Before(l.slowed) { // our clock was set back
		l.slowed = now
	}
	for l.requests.halvings > 0 && now.Sub(l.slowed) >= recoverAfter {
		l.slowed = l.slowed.Add(recoverAfter)
		l.requests = l.requests.Recovered(l.slowed)
	}
	return l
}
