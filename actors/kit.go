package actors

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// env is what every actor of an autoscaler is given.
type env struct {
	name       messages.AutoscalerName
	clock      Clock
	runner     Runner
	dispatcher actor.Dispatcher
	middleware []actor.ReceiverMiddleware
	log        zerolog.Logger
	// nonce is drawn, and differs from that of every other process.
	nonce uint64
	// lives numbers the incarnations of actors, so that ids made by one are
	// never made again by its successor.
	lives *atomic.Uint64
	// acting is [Seams.Acting].
	acting func(name messages.AutoscalerName, acts bool)
	// tenure is the right to act; nil above the autoscaler.
	tenure *tenure
}

// steady is a time that only passes, for judging how long something has been so:
// the other clock may be set in between. It means nothing to anybody else.
func (e *env) steady() time.Time { return time.Time{}.Add(e.clock.Elapsed()) }

// life returns a text that no other incarnation of any actor ever gets, in this
// process or another.
func (e *env) life() string {
	return fmt.Sprintf("%x.%x.%x", e.clock.Now().UnixNano(), e.nonce, e.lives.Add(1))
}

// spawn starts a child under a name that no earlier incarnation had: a name
// that is used again before its last bearer is gone orphans the new one.
func (e *env) spawn(ctx actor.SpawnerContext, name string, producer actor.Producer) *actor.PID {
	options := []actor.PropsOption{
		actor.WithSupervisor(&supervision{env: e}),
		actor.WithReceiverMiddleware(append([]actor.ReceiverMiddleware{e.guardEnd()}, e.middleware...)...),
	}
	if e.dispatcher != nil {
		options = append(options, actor.WithDispatcher(e.dispatcher))
	}
	return ctx.SpawnPrefix(actor.PropsFromProducer(producer, options...), name+"-")
}

// guardEnd keeps three traps of proto.actor shut, each of which would have an actor,
// and those above it, wait for a child for ever. An actor that was told to end goes on to
// get messages while it waits for its children; a child that it spawned then would never
// be stopped: from then on it gets none. A panic in its last messages turns a stop into a
// restart: it is only told. And so does a restart that comes after the stop, of one that
// failed while the one above it was failing too: it is stopped once more, and does not
// begin in between.
func (e *env) guardEnd() actor.ReceiverMiddleware {
	ending, stopping := false, false
	return func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) {
			switch envelope.Message.(type) {
			case *actor.Started:
				if stopping {
					return
				}
				ending = false
			case *actor.Restarting:
				if stopping {
					ctx.ActorSystem().Root.Stop(ctx.Self())
					return
				}
				ending = true
				defer e.tellPanic(ctx)
			case *actor.Stopping:
				if stopping {
					return
				}
				ending, stopping = true, true
				defer e.tellPanic(ctx)
			case *actor.Stopped:
				defer e.tellPanic(ctx)
			default:
				if ending {
					return
				}
			}
			next(ctx, envelope)
		}
	}
}

// tellPanic is deferred where a panic is only told.
func (e *env) tellPanic(ctx actor.ReceiverContext) {
	if reason := recover(); reason != nil {
		e.log.Error().Str("actor", ctx.Self().GetId()).Interface("panic", reason).Msg("panic while stopping")
	}
}

// after sends a message to the actor itself once d has passed. The actor must
// stop it when it stops or restarts.
func (e *env) after(ctx actor.Context, d time.Duration, message any) (stop func() bool) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	return e.clock.AfterFunc(max(0, d), func() { root.Send(self, message) })
}

// pipe runs a call beside the actor and sends what it returns to the actor.
func (e *env) pipe(ctx actor.Context, timeout time.Duration, call func(context.Context) any) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	e.runner.Go(timeout, func(io context.Context) { root.Send(self, call(io)) })
}

// unhandled says that an actor got what it does not know: a bug.
func (e *env) unhandled(ctx actor.Context) {
	switch ctx.Message().(type) {
	case actor.SystemMessage, actor.AutoReceiveMessage, *actor.DeadLetterResponse:
		return
	}
	e.log.Error().Str("actor", ctx.Self().GetId()).Type("message", ctx.Message()).Msg("unhandled message")
}

// alarm is a timer that remembers which of its settings is the valid one, so
// that a message on its way when it is set again or stopped is not heeded.
type alarm struct {
	stop func() bool
	gen  uint64
}

// rang is what an alarm sends. Name tells the alarms of one actor apart.
type rang struct {
	name string
	gen  uint64
}

func (a *alarm) set(e *env, ctx actor.Context, name string, d time.Duration) {
	a.cancel()
	a.stop = e.after(ctx, d, rang{name: name, gen: a.gen})
}

// cancel forgets the setting; an alarm that was never set may be canceled.
func (a *alarm) cancel() {
	if a.stop != nil {
		a.stop()
		a.stop = nil
	}
	a.gen++
}

// heeds says whether the message is from the valid setting, and uses it up.
func (a *alarm) heeds(m rang) bool {
	if a.stop == nil || m.gen != a.gen {
		return false
	}
	a.stop = nil
	return true
}

// pending says whether the alarm is set.
func (a *alarm) pending() bool { return a.stop != nil }

// supervision restarts a failed child: at once the first time, then after a
// wait that doubles, as long as failures follow each other. It never gives up:
// an autoscaler without its provisioner costs money.
type supervision struct {
	env      *env
	failures map[string]*lapses // nil before the first: most actors never fail
}

// lapses are the failures of one child that followed each other.
type lapses struct {
	count int
	last  time.Time
}

const (
	calmAfter    = 2 * time.Minute
	restartFirst = 200 * time.Millisecond
	restartMax   = 30 * time.Second
)

// HandleFailure implements actor.SupervisorStrategy.
//
//nolint:revive // proto.actor's signature
func (s *supervision) HandleFailure(
	_ *actor.ActorSystem, supervisor actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, message any,
) {
	now := s.env.clock.Now()
	if s.failures == nil {
		s.failures = make(map[string]*lapses)
	}
	maps.DeleteFunc(s.failures, func(_ string, old *lapses) bool { return now.Sub(old.last).Abs() > 10*calmAfter })
	record := s.failures[child.GetId()]
	if record == nil || now.Sub(record.last) > calmAfter {
		record = &lapses{}
		s.failures[child.GetId()] = record
	}
	record.count++
	record.last = now
	wait := time.Duration(0)
	if record.count > 1 {
		wait = decide.Backoff{Base: restartFirst, Max: restartMax}.Wait(record.count-1, 1)
	}
	s.env.log.Error().Str("actor", child.GetId()).Interface("panic", reason).Type("message", message).
		Int("failures", record.count).Dur("restart_in", wait).Msg("actor failed")
	if wait == 0 {
		supervisor.RestartChildren(child)
		return
	}
	s.env.clock.AfterFunc(wait, func() { supervisor.RestartChildren(child) })
}

// newSystem makes the actor system, with its own log going into ours.
func newSystem(log zerolog.Logger) *actor.ActorSystem {
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
			quiet := log.Level(max(log.GetLevel(), zerolog.WarnLevel))
			return slog.New(zerolog.NewSlogHandler(quiet)).WithGroup("protoactor")
		}),
		actor.WithDeadLetterRequestLogging(false),
		actor.WithDeadLetterThrottleInterval(100*time.Millisecond), // a goroutine waits that long after the last one
	)
}
