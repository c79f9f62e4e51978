package simulation

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// chaos makes actors fail on purpose.
type chaos struct {
	world  *World
	loop   *loop
	plans  []crash
	chance float64 // of each message to make its actor fail
	count  map[string]int
	struck int
}

// crash is a failure that is planned.
type crash struct {
	kind   string
	after  int  // messages that go through first
	before bool // at the message, which is then lost, or once it was handled
}

// message counts a message and fails when a plan says so.
func (c *chaos) message(kind string, message any, before bool) {
	switch message.(type) {
	case *actor.Started:
	case actor.SystemMessage, actor.AutoReceiveMessage:
		return // failing in these breaks proto.actor, not us
	}
	if before {
		c.count[kind]++
	}
	for i := range c.plans {
		plan := &c.plans[i]
		if plan.kind != kind || plan.before != before {
			continue
		}
		if plan.after > 0 {
			plan.after--
			continue
		}
		c.plans = append(c.plans[:i], c.plans[i+1:]...)
		c.strike(kind, message)
	}
	if c.chance > 0 && c.loop.rng.Float64() < c.chance/2 {
		c.strike(kind, message)
	}
}

func (c *chaos) strike(kind string, message any) {
	c.struck++
	c.world.laws.disturbed()
	c.world.tell("CRASH of %s at %T", kind, message)
	panic(fmt.Sprintf("crash of %s at %T, as told", kind, message))
}
