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
	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2/sdk"
	"github.com/ebbscale/ebb/messages"
)

// longEnough is a time-out on the wall clock that never passes in a simulation.
const longEnough = time.Hour

// start runs the program in a seat, with adapters of its own.
func (w *World) start(seat int) error {
	w.starts++
	p := &process{world: w, seat: seat, holder: fmt.Sprintf("host-%d:%d", seat+1, w.starts), routines: map[*routine]bool{}, ended: map[string]bool{}}
	p.skew = w.options.skew(seat)
	ports, err := w.ports(p)
	if err != nil {
		return err
	}
	w.seats[seat] = p
	p.node = actors.StartNode(actors.Seams{
		Clock: p, Runner: p, Dispatcher: p, Log: w.log,
		Middleware: append([]actor.ReceiverMiddleware{p.middleware}, w.options.mistake.middleware(p)...),
	}, []actors.Config{w.config(p, ports)})
	return nil
}

// ports are what a process has of the world outside.
type ports struct {
	clearML clearML
	ec2     actors.EC2
	store   *link
}

// config is what a program would make of its configuration file.
func (w *World) config(p *process, ports ports) actors.Config {
	return w.options.mistake.configured(p, actors.Config{
		Name: autoscalerName, Version: "simulation", WorkersPrefix: workersPrefix, PollingInterval: w.options.Polling,
		ClearML: ports.clearML, EC2: ports.ec2, Ledger: ports.store, Publisher: ports.store,
		Ownership: ports.store, Lease: w.options.Lease, State: ports.store, RequeueLost: w.options.Requeue, WarnDuplicates: true,
		Seed: w.seed + uint64(w.starts), Queues: w.options.queuePolicies(), Resources: w.options.resources(),
	})
}

// wire is a process's way to a server.
func (w *World) wire(p *process, server string, weather *weather) *wire {
	return &wire{
		loop: w.loop, server: server, weather: weather, process: p,
		latency: func() time.Duration { return w.options.Network.Draw(w.loop.rng) },
	}
}

func (w *World) ports(p *process) (ports, error) {
	pollWire, ec2Wire, storeWire := w.wire(p, clearMLHost, &w.polling), w.wire(p, ec2Host, &w.ec2), w.wire(p, "store.simulation", &w.storing)
	storeWire.latency = func() time.Duration { return w.options.Network.Draw(w.loop.rng) / 4 }
	rng := rand.New(rand.NewPCG(w.seed, 100+uint64(w.starts)))
	server, err := clearml.New(clearml.Config{
		APIServer: apiHost, AccessKey: accessKey, SecretKey: secretKey, Clock: coroutineClock{p}, Rand: rng, Log: zerolog.Nop(),
		HTTPClient:     &http.Client{Transport: &line{wire: pollWire, server: w.ml.Transport(), seen: w.laws.polled}},
		RequestTimeout: longEnough,
	})
	if err != nil {
		return ports{}, fmt.Errorf("make ClearML adapter: %w", err)
	}
	made := ports{clearML: &turns{loop: w.loop, server: server}, store: &link{store: w.store, wire: storeWire, holder: p.holder}}
	if !w.options.Wire {
		made.clearML = &jobs{
			clearML: made.clearML, wire: pollWire, server: w.ml, clock: p, rng: rng, emptied: func() bool { return w.emptied },
			asked: w.laws.asked, ended: map[string]*fakeclearml.Task{},
		}
	}
	client := ec2.API(sdk.New(w.cloud, func(ctx context.Context, action string, serve func() error) error {
		_, err := carry(ctx, ec2Wire, call{name: action, changes: changing(action)}, func() (done, error) { return done{}, serve() })
		return err
	}))
	if w.options.Wire {
		if client, err = ec2.NewClient(context.Background(), ec2.ClientConfig{
			Region: w.cloud.Catalog().Region, AccessKeyID: "AKIASIMULATION", SecretAccessKey: "none", EndpointURL: "http://" + ec2Host,
			HTTPClient: &http.Client{Transport: &line{wire: ec2Wire, server: fake.Loopback(atOnce(w.cloud.Handler()))}},
		}); err != nil {
			return ports{}, err
		}
	}
	templates, err := w.templates()
	if err != nil {
		return ports{}, err
	}
	if made.ec2, err = ec2.New(ec2.Config{Autoscaler: autoscalerName, Client: client, Resources: templates, Log: zerolog.Nop()}); err != nil {
		return ports{}, fmt.Errorf("make EC2 adapter: %w", err)
	}
	return made, nil
}

// coroutineClock is for code that waits by itself for its timers: AfterFunc lets
// the time pass first and returns when f has run.
type coroutineClock struct{ process *process }

// Now implements clearml.Clock.
func (c coroutineClock) Now() time.Time { return c.process.Now() }

// AfterFunc implements clearml.Clock.
func (c coroutineClock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	c.process.world.loop.sleep(d)
	f()
	return func() bool { return false }
}

// turns lets one call to ClearML run at a time: the adapter has locks that a
// call would hold while it sleeps, and a second one would wait for really.
type turns struct {
	loop   *loop
	server clearML
	taken  bool
}

// inTurn runs one call once no other one does.
func inTurn[T any](t *turns, call func() (T, error)) (T, error) {
	for t.taken {
		if !t.loop.sleep(50 * time.Millisecond) {
			var none T
			return none, context.Canceled
		}
	}
	t.taken = true
	defer func() { t.taken = false }()
	return call()
}

// Observe implements actors.ClearML.
func (t *turns) Observe(ctx context.Context, query messages.ClearMLQuery) (messages.ClearMLSnapshot, error) {
	return inTurn(t, func() (messages.ClearMLSnapshot, error) { return t.server.Observe(ctx, query) })
}

// CreateQueues implements actors.ClearML.
func (t *turns) CreateQueues(ctx context.Context, names []messages.QueueName) error {
	_, err := inTurn(t, func() (done, error) { return done{}, t.server.CreateQueues(ctx, names) })
	return err
}

// Activity implements actors.ClearML.
func (t *turns) Activity(ctx context.Context, since time.Time, workers []messages.WorkerID) ([]messages.WorkerActivity, error) {
	return inTurn(t, func() ([]messages.WorkerActivity, error) { return t.server.Activity(ctx, since, workers) })
}

// Signal implements actors.Signals.
func (t *turns) Signal(ctx context.Context, signal messages.Signal) error {
	_, err := inTurn(t, func() (done, error) { return done{}, t.server.Signal(ctx, signal) })
	return err
}

// SetTag implements actors.Signals.
func (t *turns) SetTag(ctx context.Context, queueID, tag string, on bool) error {
	_, err := inTurn(t, func() (done, error) { return done{}, t.server.SetTag(ctx, queueID, tag, on) })
	return err
}

// Unfinished implements actors.Tasks.
func (t *turns) Unfinished(ctx context.Context) ([]messages.TaskState, error) {
	return inTurn(t, func() ([]messages.TaskState, error) { return t.server.Unfinished(ctx) })
}

// Requeue implements actors.Tasks.
func (t *turns) Requeue(ctx context.Context, request messages.Requeue) (messages.RequeueOutcome, error) {
	return inTurn(t, func() (messages.RequeueOutcome, error) { return t.server.Requeue(ctx, request) })
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
		if kind == "autoscaler" {
			p.lives(ctx.Self().GetId(), envelope.Message)
		}
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

// lives notes whether an autoscaler acts: its owner ends it when the lease is lost.
func (p *process) lives(id string, message any) {
	switch message.(type) {
	case *actor.Started:
		delete(p.ended, id)
	case *actor.Stopping, *actor.Restarting:
		p.ended[id] = true
	}
}

// deadLetter judges a message that reached nobody. Answers to an instance that
// is gone or to an autoscaler that was ended are to be expected, and so is a lot
// around a crash and at the end.
func (p *process) deadLetter(letter *actor.DeadLetterEvent) {
	if p.dead || p.stopping || kindOf(letter.PID) == "instance" || p.world.chaos.struck > 0 {
		return
	}
	for id := range p.ended {
		if letter.PID.GetId() == id || strings.HasPrefix(letter.PID.GetId(), id+"/") {
			return
		}
	}
	p.world.laws.breach("dead letter: %T to %s", letter.Message, letter.PID.GetId())
}
