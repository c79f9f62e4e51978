package actors

import (
	"cmp"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/messages"
)

// Node is the actor system of a process, with its autoscalers.
type Node struct {
	system *actor.ActorSystem
	root   *actor.PID
	ended  chan messages.AutoscalerEnded
	count  int
}

// Seams are what production and simulation differ in.
type Seams struct {
	Clock  Clock
	Runner Runner
	// Dispatcher runs mailboxes; nil takes proto.actor's, on goroutines.
	Dispatcher actor.Dispatcher
	// Middleware is put around the Receive of every actor, the first outermost;
	// a panic in it is that actor's. Production has none.
	Middleware []actor.ReceiverMiddleware
	Log        zerolog.Logger
}

// StartNode starts an actor system with one autoscaler for each configuration.
// They begin to act at once.
func StartNode(seams Seams, configs []Config) *Node {
	node := &Node{
		system: newSystem(seams.Log), count: len(configs),
		ended: make(chan messages.AutoscalerEnded, len(configs)),
	}
	base := &env{
		clock: seams.Clock, runner: seams.Runner, dispatcher: seams.Dispatcher,
		middleware: seams.Middleware, log: seams.Log, lives: new(atomic.Uint64),
	}
	strategy := &supervision{clock: seams.Clock, log: seams.Log, failures: map[string]*lapses{}}
	root := node.system.Root.Copy().WithGuardian(strategy)
	node.root = base.spawn(root, "node", func() actor.Actor {
		return &nodeActor{base: base, configs: configs, ended: node.ended}
	})
	return node
}

// Stop asks every autoscaler to stop. Each one's end comes from [Node.Ended],
// after patience and the time for the last events at the latest.
func (n *Node) Stop(modes map[messages.AutoscalerName]messages.OnShutdown, patience time.Duration) {
	n.system.Root.Send(n.root, stopAll{modes: modes, patience: patience})
}

// Ended tells of each autoscaler that has stopped, once.
func (n *Node) Ended() <-chan messages.AutoscalerEnded { return n.ended }

// Close stops whatever still runs. The node may not be used afterwards.
func (n *Node) Close() {
	n.system.Root.Stop(n.root)
	n.system.Shutdown()
}

// stopAll is [Node.Stop] inside.
type stopAll struct {
	modes    map[messages.AutoscalerName]messages.OnShutdown
	patience time.Duration
}

// autoscalerBegan is sent by an autoscaler whenever it begins: one that failed
// while it was stopping has to be told again.
type autoscalerBegan struct{ name messages.AutoscalerName }

// nodeActor is the root: it starts the autoscalers and passes on their ends.
type nodeActor struct {
	base    *env
	configs []Config
	ended   chan<- messages.AutoscalerEnded
	pids    map[messages.AutoscalerName]*actor.PID
	stop    *stopAll // set once told
	done    map[messages.AutoscalerName]bool
}

// Receive implements actor.Actor.
func (n *nodeActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		n.begin(ctx)
	case stopAll:
		n.stop = &m
		for _, cfg := range n.configs {
			n.stopOne(ctx, cfg.Name)
		}
	case autoscalerBegan:
		if n.stop != nil {
			n.stopOne(ctx, m.name)
		}
	case messages.AutoscalerEnded:
		if n.done[m.Autoscaler] {
			return
		}
		n.done[m.Autoscaler] = true
		ctx.Stop(n.pids[m.Autoscaler])
		n.ended <- m
	default:
		n.base.unhandled(ctx)
	}
}

func (n *nodeActor) stopOne(ctx actor.Context, name messages.AutoscalerName) {
	ctx.Request(n.pids[name], messages.StopAutoscaler{OnShutdown: n.stop.modes[name], Patience: n.stop.patience})
}

func (n *nodeActor) begin(ctx actor.Context) {
	n.pids = make(map[messages.AutoscalerName]*actor.PID)
	n.done = make(map[messages.AutoscalerName]bool)
	for _, cfg := range n.configs {
		cfg.AnswerFresh = cmp.Or(cfg.AnswerFresh, DefaultAnswerFresh)
		own := *n.base
		own.name = cfg.Name
		own.log = n.base.log.With().Str("autoscaler", string(cfg.Name)).Logger()
		box := new(outbox)
		n.pids[cfg.Name] = own.spawn(ctx, "autoscaler-"+string(cfg.Name), func() actor.Actor {
			return &autoscaler{env: &own, cfg: cfg, outbox: box}
		})
	}
}
