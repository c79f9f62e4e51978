package actors //nolint:testpackage // what the kit keeps from happening cannot be seen from outside

import (
	"sync/atomic"
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

// TestStopsAlthoughItFailed has an actor begin anew whose child is told to restart, as
// one that failed, once it was told to stop: it begins anew all the same, and the child
// does not.
func TestStopsAlthoughItFailed(t *testing.T) {
	t.Parallel()
	e := &env{log: zerolog.Nop()}
	system := newSystem(e.log)
	defer system.Shutdown()
	type life struct {
		of    actor.Supervisor
		child *actor.PID
	}
	lives, stopping, release := make(chan life, 2), make(chan struct{}, 2), make(chan struct{})
	var children atomic.Int64
	child := func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case *actor.Started:
			children.Add(1)
			e.spawn(ctx, "grandchild", func() actor.Actor {
				return actor.ReceiveFunc(func(ctx actor.Context) {
					if _, ends := ctx.Message().(*actor.Stopping); ends {
						<-release
					}
				})
			})
		case *actor.Stopping:
			stopping <- struct{}{}
		}
	}
	parent := e.spawn(system.Root, "parent", func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				supervisor, _ := ctx.(actor.Supervisor)
				lives <- life{supervisor, e.spawn(ctx, "child", func() actor.Actor { return actor.ReceiveFunc(child) })}
			case string:
				panic("as told")
			}
		})
	})
	first := <-lives
	system.Root.Send(parent, "fail")
	<-stopping
	first.of.RestartChildren(first.child)
	time.Sleep(50 * time.Millisecond) // it would be restarting now, and not stopping
	close(release)
	select {
	case <-lives:
	case <-time.After(time.Minute):
		t.Fatal("it waits for ever for a child that does not stop")
	}
	if n := children.Load(); n > 2 {
		t.Errorf("%d children have begun, want one in each of two lives", n)
	}
}
