package simulation

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/messages"
)

// process is one run of the autoscaler's program, on a host of its own.
type process struct {
	world    *World
	seat     int
	holder   string
	node     *actors.Node
	dead     bool
	stopping bool
	routines map[*routine]bool
	system   *actor.ActorSystem
	ended    map[string]bool // ids of autoscalers that were stopped

	// paused is what SIGSTOP does: nothing of it runs, and what would have run
	// meanwhile is in parked.
	paused bool
	parked []func()
	woke   time.Time // when it was resumed last
	// skew is how far its clock is off, cut whether its network is gone.
	skew time.Duration
	cut  bool
	// epoch is that of the lease that it was given last, 0 before the first.
	epoch messages.Epoch
}

// parks keeps f for later when the process is paused.
func (p *process) parks(f func()) bool {
	if p == nil || p.dead || !p.paused {
		return false
	}
	p.parked = append(p.parked, f)
	return true
}

func (p *process) isDead() bool { return p != nil && p.dead }
func (p *process) isCut() bool  { return p != nil && p.cut }

// run runs code of the process, unless it is dead, now or when it is resumed.
func (p *process) run(f func()) {
	if !p.dead && !p.parks(func() { p.run(f) }) {
		f()
	}
}

// Schedule implements actor.Dispatcher.
func (p *process) Schedule(run func()) {
	if !p.dead {
		p.world.loop.enqueue(func() { p.run(run) })
	}
}

// Throughput implements actor.Dispatcher.
func (p *process) Throughput() int { return 1 << 30 }

// Now implements actors.Clock.
func (p *process) Now() time.Time { return p.world.loop.clock.Now().Add(p.skew) }

// Elapsed implements actors.Clock.
func (p *process) Elapsed() time.Duration { return p.world.loop.clock.Now().Sub(epoch()) }

// AfterFunc implements actors.Clock.
func (p *process) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	stopped := false
	unset := p.world.loop.clock.AfterFunc(d, func() {
		p.run(func() {
			if !stopped {
				f()
			}
		})
	})
	return func() bool {
		stopped = true
		return unset()
	}
}

// Go implements actors.Runner.
func (p *process) Go(timeout time.Duration, f func(context.Context)) {
	if p.dead {
		return
	}
	var r *routine
	r = p.world.loop.start(p, func() {
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		stop := p.AfterFunc(timeout, func() { cancel(context.DeadlineExceeded) })
		defer stop()
		f(ctx)
		delete(p.routines, r)
	})
	p.routines[r] = true
}

// calls is told of every request as it is sent.
func (p *process) calls(server string, call call) (number int, err error) {
	if p == nil {
		return 0, nil
	}
	if p.dead {
		return 0, context.Canceled
	}
	w := p.world
	w.calls++
	number = w.calls
	if call.changes {
		w.tell("%s sends %s to %s", p.holder, call.name, server)
	}
	w.laws.called(p, server, call)
	if w.killing.at == number && !w.killing.after {
		w.dies(p, fmt.Sprintf("before call %d, %s", number, call.name))
		return number, context.Canceled
	}
	return number, nil
}

// served is told of every request once its server has acted.
func (p *process) served(number int) {
	if p != nil && !p.dead && p.world.killing.at == number && p.world.killing.after {
		p.world.dies(p, fmt.Sprintf("after call %d", number))
	}
}

// owns is told of each lease that the process is given, as that happens.
func (p *process) owns(epoch messages.Epoch) {
	p.epoch = epoch
	if epoch > 1 {
		p.world.laws.disturbed()
	}
	p.world.tell("LEASE of epoch %d for %s", epoch, p.holder)
}

// kill ends the process as a power cut does: whatever it was doing is half done.
// Requests that are on their way arrive.
func (p *process) kill() {
	p.dead = true
	for r := range p.routines {
		if !r.travels {
			p.world.loop.kill(r)
		}
	}
	clear(p.routines)
	p.parked = nil
}

// pause stops everything of the process, as SIGSTOP does.
func (p *process) pause() { p.paused = true }

// resume lets it go on: all that has come meanwhile is there at once.
func (p *process) resume() {
	p.paused, p.woke = false, p.world.Now()
	for _, f := range p.parked {
		p.world.loop.enqueue(f)
	}
	p.parked = nil
}
