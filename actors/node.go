package actors

import (
	"sync"
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
	memory *nodeMemory
	desk   *desk
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
	// Acting is told when this process begins and ceases to act for an autoscaler;
	// nil tells nobody. It must not block.
	Acting func(name messages.AutoscalerName, acts bool)
	Log    zerolog.Logger
}

// StartNode starts an actor system with one autoscaler for each configuration.
// Each begins to act once this process holds its lease.
func StartNode(seams Seams, configs []Config) *Node {
	memory := &nodeMemory{
		estates: make(map[messages.AutoscalerName]*estate, len(configs)), done: make(map[messages.AutoscalerName]bool),
		renewed: make(map[messages.AutoscalerName]reconfigure),
	}
	node := &Node{
		memory: memory,
		system: newSystem(seams.Log),
		ended:  make(chan messages.AutoscalerEnded, len(configs)),
		desk:   &desk{waiting: make(map[messages.AskID]func(messages.Answered))},
	}
	base := &env{
		clock: seams.Clock, runner: seams.Runner, dispatcher: seams.Dispatcher,
		middleware: seams.Middleware, log: seams.Log, lives: new(atomic.Uint64), acting: seams.Acting,
	}
	root := node.system.Root.Copy().WithGuardian(&supervision{env: base})
	node.root = base.spawn(root, "node", func() actor.Actor {
		return &nodeActor{base: base, configs: configs, nodeMemory: memory, ended: node.ended, desk: node.desk}
	})
	return node
}

// Stop asks every autoscaler to stop. Each one's end comes from [Node.Ended],
// after patience and the time for the last events at the latest.
func (n *Node) Stop(modes map[messages.AutoscalerName]messages.OnShutdown, patience time.Duration) {
	order := stopAll{modes: modes, patience: patience}
	n.memory.stop.Store(&order)
	n.system.Root.Send(n.root, order)
}

// Change is a new configuration of an autoscaler that runs.
type Change struct {
	Config Config
	// Lines say what is different, for the event; nil has the actors say what they
	// see of it. Restart are differences that take effect at the next start only.
	Lines   []string
	Restart []string
}

// Reconfigure gives autoscalers that run a new configuration; one whose name is
// not known here is left out, and one that is not named keeps what it has.
func (n *Node) Reconfigure(changes []Change) {
	for _, change := range changes {
		n.system.Root.Send(n.root, n.memory.renew(change))
	}
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

// reconfigure is [Node.Reconfigure] inside. The version grows with each.
type reconfigure struct {
	Change

	version uint64
}

// autoscalerBegan is sent by an owner, and to it by its autoscaler, whenever it
// begins: one that failed while it was stopping has to be told again.
type autoscalerBegan struct{ name messages.AutoscalerName }

// nodeActor is the root: it starts the owners and passes on their ends.
type nodeActor struct {
	base    *env
	configs []Config
	*nodeMemory
	ended chan<- messages.AutoscalerEnded
	desk  *desk
	pids  map[messages.AutoscalerName]*actor.PID
}

// nodeMemory is what outlives the node's own failures.
type nodeMemory struct {
	estates map[messages.AutoscalerName]*estate
	stop    atomic.Pointer[stopAll] // set once told
	done    map[messages.AutoscalerName]bool

	mu      sync.Mutex
	renewed map[messages.AutoscalerName]reconfigure // what was told last
}

// renew remembers a configuration as the last one of its autoscaler.
func (m *nodeMemory) renew(change Change) reconfigure {
	m.mu.Lock()
	defer m.mu.Unlock()
	change.Config = change.Config.filled()
	name := change.Config.Name
	order := reconfigure{Change: change, version: m.renewed[name].version + 1}
	m.renewed[name] = order
	return order
}

// last is the configuration that was told last, if any was.
func (m *nodeMemory) last(name messages.AutoscalerName) (order reconfigure, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	order, ok = m.renewed[name]
	return order, ok
}

// Receive implements actor.Actor.
//
//nolint:cyclop // one case for each message
func (n *nodeActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		n.begin(ctx)
	case stopAll:
		for _, cfg := range n.configs {
			n.stopOne(ctx, cfg.Name)
		}
	case autoscalerBegan:
		if order, ok := n.last(m.name); ok {
			ctx.Send(n.pids[m.name], order)
		}
		if n.stop.Load() != nil {
			n.stopOne(ctx, m.name)
		}
	case reconfigure:
		if pid := n.pids[m.Config.Name]; pid != nil {
			ctx.Send(pid, m)
		}
	case call:
		n.call(ctx, m)
	case messages.Answered:
		n.desk.answer(m)
	case note:
		if pid := n.pids[m.name]; pid != nil {
			ctx.Send(pid, m)
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
	order := n.stop.Load()
	ctx.Request(n.pids[name], messages.StopAutoscaler{OnShutdown: order.modes[name], Patience: order.patience})
}

func (n *nodeActor) begin(ctx actor.Context) {
	n.pids = make(map[messages.AutoscalerName]*actor.PID)
	for _, cfg := range n.configs {
		if n.estates[cfg.Name] == nil {
			n.estates[cfg.Name] = &estate{cfg: cfg.filled(), closed: make(closedQueues)}
		}
		own := *n.base
		own.name, own.nonce = cfg.Name, cfg.Seed
		own.log = n.base.log.With().Str("autoscaler", string(cfg.Name)).Logger()
		n.pids[cfg.Name] = own.spawn(ctx, "owner-"+string(cfg.Name), func() actor.Actor {
			return &owner{env: &own, estate: n.estates[cfg.Name]}
		})
	}
}
