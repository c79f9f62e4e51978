package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

const (
	listInterval = time.Minute
	// listHurry is the interval while something is about to change.
	listHurry = 5 * time.Second
	// listAgain is how soon the second listing of a life comes: nothing is
	// launched before.
	listAgain   = listedTwice
	listTimeout = 45 * time.Second
)

// inventory lists EC2 and hands complete listings on.
type inventory struct {
	env *env
	ec2 EC2

	begun   time.Time // of the listing under way or the last one
	good    int       // listings of this life that were complete, and far enough apart
	last    time.Time // when the last of those began
	listing bool
	again   bool
	hurry   time.Time // until when the short interval holds; steady
	next    alarm
}

type listed struct {
	begun     time.Time
	instances []messages.Instance
	err       error
}

// Receive implements actor.Actor.
func (i *inventory) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		i.list(ctx)
	case *actor.Stopping, *actor.Restarting:
		i.next.cancel()
	case messages.InventoryMessage:
		i.on(ctx, m)
	case listed:
		i.listed(ctx, m)
	case rang:
		if i.next.heeds(m) {
			i.list(ctx)
		}
	default:
		i.env.unhandled(ctx)
	}
}

func (i *inventory) on(ctx actor.Context, message messages.InventoryMessage) {
	switch m := message.(type) {
	case messages.ListFleet:
		if i.listing {
			i.again = true
			return
		}
		i.list(ctx)
	case messages.HurryListing:
		now := i.env.steady()
		hurrying := now.Before(i.hurry)
		if until := now.Add(m.For); until.After(i.hurry) {
			i.hurry = until
		}
		if !i.listing && !hurrying { // else it comes soon: to set it again would put it off
			i.schedule(ctx)
		}
	}
}

func (i *inventory) list(ctx actor.Context) {
	i.next.cancel()
	i.begun, i.listing, i.again = i.env.clock.Now(), true, false
	begun := i.begun
	i.env.pipe(ctx, listTimeout, func(io context.Context) any {
		instances, err := i.ec2.List(io)
		return listed{begun: begun, instances: instances, err: err}
	})
}

func (i *inventory) listed(ctx actor.Context, m listed) {
	i.listing = false
	if m.err != nil {
		ctx.Send(ctx.Parent(), messages.FleetFailed{At: i.env.clock.Now(), Failure: *messages.FailureOf(m.err)})
	} else {
		if i.good == 0 || m.begun.Sub(i.last).Abs() >= listedTwice {
			i.good, i.last = i.good+1, m.begun
		}
		ctx.Send(ctx.Parent(), messages.FleetObserved{At: m.begun, Instances: m.instances})
	}
	if i.again && m.err == nil {
		i.list(ctx)
		return
	}
	i.schedule(ctx)
}

// schedule sets the next listing from the beginning of the last one.
func (i *inventory) schedule(ctx actor.Context) {
	now, interval := i.env.clock.Now(), listInterval
	if i.env.steady().Before(i.hurry) {
		interval = listHurry
	}
	switch i.good {
	case 0:
		interval = listHurry // nothing is done before the first good one
	case 1:
		interval = listAgain
	}
	i.next.set(i.env, ctx, "list", min(interval, max(listHurry/5, i.begun.Add(interval).Sub(now))))
}
