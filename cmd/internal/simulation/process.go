package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

// longEnough is a time-out on the wall clock that never passes in a simulation.
const longEnough = time.Hour

// process is one run of the autoscaler's program.
type process struct {
	world    *World
	node     *actors.Node
	dead     bool
	stopping bool
	routines map[*routine]bool
	system   *actor.ActorSystem
}

// Schedule implements actor.Dispatcher.
func (p *process) Schedule(run func()) {
	if p.dead {
		return
	}
	p.world.loop.enqueue(func() {
		if !p.dead {
			run()
		}
	})
}

// Throughput implements actor.Dispatcher.
func (p *process) Throughput() int { return 1 << 30 }

// Now implements actors.Clock.
func (p *process) Now() time.Time { return p.world.loop.clock.Now() }

// AfterFunc implements actors.Clock.
func (p *process) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return p.world.loop.clock.AfterFunc(d, func() {
		if !p.dead {
			f()
		}
	})
}

// Go implements actors.Runner.
func (p *process) Go(timeout time.Duration, f func(context.Context)) {
	if p.dead {
		return
	}
	var r *routine
	r = p.world.loop.start(func() {
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		stop := p.AfterFunc(timeout, func() { cancel(context.DeadlineExceeded) })
		defer stop()
		f(ctx)
		delete(p.routines, r)
	})
	p.routines[r] = true
}

// kill ends the process as a power cut does: whatever it was doing is half done.
func (p *process) kill() {
	p.dead = true
	for r := range p.routines {
		p.world.loop.kill(r)
	}
	clear(p.routines)
}

// start runs the program against the world, with adapters of its own.
func (w *World) start() error {
	p := &process{world: w, routines: map[*routine]bool{}}
	cfg, err := w.config()
	if err != nil {
		return err
	}
	w.process = p
	p.node = actors.StartNode(actors.Seams{
		Clock: p, Runner: p, Dispatcher: p, Log: w.log,
		Middleware: []actor.ReceiverMiddleware{p.middleware},
	}, []actors.Config{cfg})
	return nil
}

// config is what a program would make of its configuration file.
func (w *World) config() (actors.Config, error) {
	w.starts++
	server, err := clearml.New(clearml.Config{
		APIServer: apiHost, AccessKey: accessKey, SecretKey: secretKey, Clock: coroutineClock{w.loop},
		HTTPClient: &http.Client{Transport: w.pollLine}, RequestTimeout: longEnough,
		Rand: rand.New(rand.NewPCG(w.seed, 100+uint64(w.starts))), Log: zerolog.Nop(),
	})
	if err != nil {
		return actors.Config{}, fmt.Errorf("make ClearML adapter: %w", err)
	}
	client, err := ec2.NewClient(context.Background(), ec2.ClientConfig{
		Region: w.cloud.Catalog().Region, AccessKeyID: "AKIASIMULATION", SecretAccessKey: "none",
		EndpointURL: "http://ec2.simulation", HTTPClient: &http.Client{Transport: w.ec2Line},
	})
	if err != nil {
		return actors.Config{}, err
	}
	templates, err := w.templates()
	if err != nil {
		return actors.Config{}, err
	}
	region, err := ec2.New(ec2.Config{Autoscaler: autoscalerName, Client: client, Resources: templates, Log: zerolog.Nop()})
	if err != nil {
		return actors.Config{}, fmt.Errorf("make EC2 adapter: %w", err)
	}
	cfg := actors.Config{
		Name: autoscalerName, Version: "simulation", WorkersPrefix: workersPrefix, PollingInterval: w.options.Polling,
		ClearML: &turns{loop: w.loop, server: server}, EC2: region, Ledger: w.store, Publisher: w.store,
		Seed: w.seed + uint64(w.starts), Queues: w.options.queuePolicies(),
	}
	for _, r := range w.options.Resources {
		cfg.Resources = append(cfg.Resources, actors.Resource{
			Name: messages.ResourceName(r.Name), Max: r.Max, Offerings: r.offerings(), MaxIdle: r.MaxIdle, MaxSpinUp: r.MaxSpinUp,
		})
	}
	return cfg, nil
}

// coroutineClock is for code that waits by itself for its timers: AfterFunc lets
// the time pass first and returns when f has run.
type coroutineClock struct{ loop *loop }

// Now implements clearml.Clock.
func (c coroutineClock) Now() time.Time { return c.loop.clock.Now() }

// AfterFunc implements clearml.Clock.
func (c coroutineClock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	c.loop.sleep(d)
	f()
	return func() bool { return false }
}

// turns lets one call to ClearML run at a time: the adapter has locks that a
// call would hold while it sleeps, and a second one would wait for really.
type turns struct {
	loop   *loop
	server actors.ClearML
	taken  bool
}

func (t *turns) take() error {
	for t.taken {
		if !t.loop.sleep(50 * time.Millisecond) {
			return context.Canceled
		}
	}
	t.taken = true
	return nil
}

// Observe implements actors.ClearML.
func (t *turns) Observe(ctx context.Context, query messages.ClearMLQuery) (messages.ClearMLSnapshot, error) {
	if err := t.take(); err != nil {
		return messages.ClearMLSnapshot{}, err
	}
	defer func() { t.taken = false }()
	return t.server.Observe(ctx, query)
}

// CreateQueues implements actors.ClearML.
func (t *turns) CreateQueues(ctx context.Context, names []messages.QueueName) error {
	if err := t.take(); err != nil {
		return err
	}
	defer func() { t.taken = false }()
	return t.server.CreateQueues(ctx, names)
}

// Activity implements actors.ClearML.
func (t *turns) Activity(ctx context.Context, since time.Time, workers []messages.WorkerID) ([]messages.WorkerActivity, error) {
	if err := t.take(); err != nil {
		return nil, err
	}
	defer func() { t.taken = false }()
	return t.server.Activity(ctx, since, workers)
}

// middleware watches every message, and makes actors fail that were told to.
func (p *process) middleware(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) {
		if p.system == nil {
			p.system = ctx.ActorSystem()
			p.system.EventStream.Subscribe(func(event any) {
				if letter, ok := event.(*actor.DeadLetterEvent); ok {
					p.deadLetter(letter)
				}
			})
		}
		kind := kindOf(ctx.Self())
		p.world.chaos.message(kind, envelope.Message, true)
		next(ctx, envelope)
		p.world.chaos.message(kind, envelope.Message, false)
	}
}

// kindOf is the word for an actor: the last part of its id begins with it.
func kindOf(pid *actor.PID) string {
	last := pid.GetId()[strings.LastIndex(pid.GetId(), "/")+1:]
	kind, _, _ := strings.Cut(last, "-")
	if kind == "i" {
		return "instance"
	}
	return kind
}

// deadLetter judges a message that reached nobody. Answers to an instance that
// is gone are to be expected, and so is a lot around a crash and at the end.
func (p *process) deadLetter(letter *actor.DeadLetterEvent) {
	if p.dead || p.stopping || kindOf(letter.PID) == "instance" || p.world.chaos.struck > 0 {
		return
	}
	p.world.laws.breach("dead letter: %T to %s", letter.Message, letter.PID.GetId())
}
