package actors //nolint:testpackage // what the kit keeps from happening cannot be seen from outside

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
)

// TestEndsWithItsChildren stops an actor that waits for a child, and sends it a message
// for which it spawns another one: it ends all the same.
func TestEndsWithItsChildren(t *testing.T) {
	t.Parallel()
	e := &env{log: zerolog.Nop()}
	system := newSystem(e.log)
	defer system.Shutdown()
	stopping, release, stopped := make(chan struct{}), make(chan struct{}), make(chan struct{})
	slow := func(ctx actor.Context) {
		if _, ends := ctx.Message().(*actor.Stopping); ends {
			<-release
		}
	}
	parent := e.spawn(system.Root, "parent", func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started, string:
				e.spawn(ctx, "child", func() actor.Actor { return actor.ReceiveFunc(slow) })
			case *actor.Stopping:
				close(stopping)
			case *actor.Stopped:
				close(stopped)
			}
		})
	})
	system.Root.Stop(parent)
	<-stopping
	system.Root.Send(parent, "one more")
	time.Sleep(50 * time.Millisecond) // it would be handled now
	close(release)
	select {
	case <-stopped:
	case <-time.After(2 * time.Minute):
		t.Error("it waits for ever for a child that nobody stops")
	}
}
