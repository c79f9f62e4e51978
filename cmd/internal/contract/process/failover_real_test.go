//go:build real

package process_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// trial is one failover: how long the lease lasts, by the one that acts and by
// the one that stands by, and how long the one that acts is stopped.
type trial struct {
	ttl     time.Duration
	standby time.Duration
	pause   time.Duration
}

// trials are those of the quick set, or EBB_TRIALS of them with the default TTL.
func trials(t *testing.T) []trial {
	t.Helper()
	full := trial{ttl: 15 * time.Second, standby: 15 * time.Second, pause: 20 * time.Second}
	if text := os.Getenv("EBB_TRIALS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("EBB_TRIALS is %q: write the number of trials, such as 20", text)
		}
		list := make([]trial, n)
		for i := range list {
			list[i] = full
		}
		return list
	}
	short := trial{ttl: 5 * time.Second, standby: 5 * time.Second, pause: 8 * time.Second}
	return []trial{
		full, full, short, short, short, short,
		// What should not be: two processes with two opinions. The longer one counts.
		{ttl: 5 * time.Second, standby: 15 * time.Second, pause: 20 * time.Second},
		{ttl: 15 * time.Second, standby: 5 * time.Second, pause: 20 * time.Second},
	}
}

func (c trial) String() string { return fmt.Sprintf("%s-%s", c.ttl, c.standby) }

// takeoverLimit is how long a standby may take, and then what a busy machine adds: the
// figures of a quiet one are logged, and the simulation holds the limits to the second.
func (c trial) takeoverLimit() time.Duration { return max(c.ttl, c.standby) + time.Second }

// each runs the trials side by side. Those with the same lease share an event
// server: its bucket has one TTL.
func each(t *testing.T, name string, run func(t *testing.T, p *pair, n int, c trial)) {
	t.Helper()
	servers := map[string]*eventServer{}
	for _, c := range trials(t) {
		if servers[c.String()] == nil {
			servers[c.String()] = newEventServer(t)
		}
	}
	for n, c := range trials(t) {
		t.Run(fmt.Sprintf("%02d-%s", n, c), func(t *testing.T) {
			t.Parallel()
			run(t, newPair(t, servers[c.String()], fmt.Sprintf("%s-%02d", name, n), 4), n, c)
		})
	}
}

// takeovers are the times of one kind of end, by TTL.
type takeovers struct{ slow, quick figures }

func (s *takeovers) add(c trial, took time.Duration) {
	switch {
	case c.ttl != c.standby:
	case c.ttl == 15*time.Second:
		s.slow.add(took)
	default:
		s.quick.add(took)
	}
}

func (s *takeovers) log(t *testing.T, after string) {
	t.Helper()
	t.Logf("takeover after %s, TTL 15 s: %s", after, &s.slow)
	t.Logf("takeover after %s, TTL 5 s: %s", after, &s.quick)
}

// midLaunch brings a pair to the middle of a launch: EC2 has the request, and has
// launched or not, and the one that acts has no answer.
func midLaunch(t *testing.T, p *pair, n int, c trial) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(n), 7))
	holds := []time.Duration{700 * time.Millisecond, 3 * time.Second, max(c.ttl, c.standby) + 2*time.Second}
	p.gate.slow(holds[n%len(holds)], n%2 == 0)
	// The fleet is known now, so that the launch comes anywhere between two renewals.
	time.Sleep(4500*time.Millisecond + time.Duration(rng.Int64N(int64(c.ttl)*4/15)))
	p.enqueue(t, 3, time.Hour)
	p.gate.launch(t)
	time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
}

// TestKilledMidLaunch kills the process that acts, with kill -9, in the middle
// of a launch; the other takes over.
func TestKilledMidLaunch(t *testing.T) {
	t.Parallel()
	var times takeovers
	t.Cleanup(func() { times.log(t, "kill -9") })
	each(t, "kill", func(t *testing.T, p *pair, n int, c trial) {
		t.Helper()
		owner, standby := p.both(t, c.ttl, c.standby)
		midLaunch(t, p, n, c)
		at := time.Now()
		owner.kill(t)
		times.add(c, p.acts(t, standby, at, c.takeoverLimit()).Sub(at))
		p.work(t, 3, 30*time.Second, 2*time.Second)
		p.gate.slow(0, false)
		p.enqueue(t, 3, time.Hour)
		p.work(t, 4, 40*time.Second, 2*time.Second)
		p.laws(t)
	})
}

// TestStoppedMidLaunch stops the process that acts for longer than its lease,
// in the middle of a launch, and lets it go on. Then the other one ends.
func TestStoppedMidLaunch(t *testing.T) {
	t.Parallel()
	var times takeovers
	var back figures
	var replays atomic.Int64
	t.Cleanup(func() {
		times.log(t, "SIGSTOP")
		t.Logf("takeover after SIGTERM by the one that was stopped: %s", &back)
		t.Logf("launches repeated by the one that was stopped, with the ClientToken of before: %d", replays.Load())
	})
	each(t, "stop", func(t *testing.T, p *pair, n int, c trial) {
		t.Helper()
		owner, standby := p.both(t, c.ttl, c.standby)
		midLaunch(t, p, n, c)
		at := time.Now()
		owner.signal(t, syscall.SIGSTOP)
		times.add(c, p.acts(t, standby, at, c.takeoverLimit()).Sub(at))
		time.Sleep(time.Until(at.Add(c.pause)))
		p.gate.slow(0, false)
		p.enqueue(t, 3, time.Hour) // what both would want to launch for
		owner.signal(t, syscall.SIGCONT)
		p.work(t, 4, 40*time.Second, 4*time.Second)
		replays.Add(int64(p.laws(t)))

		at = time.Now()
		standby.stop(t)
		back.add(p.acts(t, owner, at, time.Second).Sub(at))
		p.work(t, 4, 10*time.Second, 2*time.Second)
		p.laws(t)
	})
}

// TestHandsOver ends the process that acts, again and again; the other takes
// over at once.
func TestHandsOver(t *testing.T) {
	t.Parallel()
	p := newPair(t, newEventServer(t), "hand-over", 8)
	owner, standby := p.both(t, 15*time.Second, 15*time.Second)
	key, other := "AKIDFIRST", "AKIDSECOND"
	var times figures
	for n := range 5 {
		p.enqueue(t, 1, time.Hour)
		p.work(t, n+1, 40*time.Second, 0)
		at := time.Now()
		owner.stop(t)
		times.add(p.acts(t, standby, at, time.Second).Sub(at))
		owner, standby = standby, p.process(t, key, 15*time.Second)
		key, other = other, key
	}
	p.work(t, 5, 10*time.Second, 2*time.Second)
	p.laws(t)
	t.Logf("takeover after SIGTERM: %s", &times)
}
