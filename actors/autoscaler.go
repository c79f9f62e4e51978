package actors

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

// roundPatience is how long an evaluation waits for statements; who has not
// made one by then is not known in it.
const roundPatience = 5 * time.Second

// autoscaler runs the evaluations of one configuration: it gathers what is
// demanded and what there is, asks the core, and hands out what it says.
type autoscaler struct {
	env    *env
	cfg    Config
	outbox *outbox

	recorder, provisioner, observer, inventory *actor.PID

	queues    map[messages.QueueName]*actor.PID
	resources map[messages.ResourceName]*actor.PID
	retired   []messages.ResourceName // not configured, but instances of it exist
	strays    map[messages.InstanceID]bool
	listed    map[messages.ResourceName]int // instances alive by the last listing

	snapshot messages.ClearMLSnapshot
	tick     messages.Tick
	round    *round
	again    bool // something changed during the round
	sources  map[string]*source
	stop     *stopping
}

// Receive implements actor.Actor.
//
//nolint:cyclop // one case for each message
func (a *autoscaler) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.begin(ctx)
	case *actor.Stopping, *actor.Restarting:
		if a.round != nil {
			a.round.patience.cancel()
		}
		if a.stop != nil {
			a.stop.patience.cancel()
		}
	case messages.AutoscalerMessage:
		a.on(ctx, m)
	case resourceBegan:
		if a.stop != nil {
			ctx.Send(a.resources[m.name], messages.ShutDownResource{OnShutdown: a.stop.mode})
		}
	case rang:
		switch {
		case a.round != nil && m.name == "round" && a.round.patience.heeds(m):
			a.evaluate(ctx)
		case a.stop != nil && m.name == "stop" && a.stop.patience.heeds(m):
			a.outOfPatience(ctx)
		}
	default:
		a.env.unhandled(ctx)
	}
}

func (a *autoscaler) on(ctx actor.Context, message messages.AutoscalerMessage) {
	switch m := message.(type) {
	case messages.ClearMLObserved:
		a.recovered(ctx, sourceClearML, m.Snapshot.At)
		a.clearmlObserved(ctx, m.Snapshot)
	case messages.ClearMLFailed:
		a.failed(ctx, sourceClearML, m.At, m.Failure)
	case messages.QueuesCreated:
		for _, name := range m.Queues {
			a.record(ctx, messages.QueueCreated{Queue: name})
		}
	case messages.FleetObserved:
		a.recovered(ctx, sourceEC2, m.At)
		a.fleetObserved(ctx, m)
	case messages.FleetFailed:
		a.failed(ctx, sourceEC2, m.At, m.Failure)
	case messages.DemandStated:
		a.demandStated(ctx, m)
	case messages.CapacityStated:
		a.capacityStated(ctx, m)
	case messages.CapacityChanged:
		a.evaluateAgain(ctx)
	case messages.ProvisionerStarted:
		for _, name := range a.resourceNames() {
			ctx.Send(a.resources[name], m)
		}
	case messages.StopAutoscaler:
		a.beginStop(ctx, m)
	case messages.ResourceSettled:
		a.resourceSettled(ctx, m)
	case messages.RecordsFlushed:
		a.recordsFlushed(ctx, m)
	}
}

// begin starts the children. They are all new: after a restart proto.actor has
// stopped the old ones first.
func (a *autoscaler) begin(ctx actor.Context) {
	a.queues = make(map[messages.QueueName]*actor.PID)
	a.resources = make(map[messages.ResourceName]*actor.PID)
	a.strays = make(map[messages.InstanceID]bool)
	a.sources = map[string]*source{sourceClearML: {}, sourceEC2: {}}
	text := a.cfg.Text
	if text == nil {
		text = func(r messages.Recorded) string { return r.Event.Kind() }
	}
	draws := func(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(a.cfg.Seed, stream)) }
	a.recorder = a.env.spawn(ctx, "recorder", func() actor.Actor {
		return &recorder{env: a.env, publisher: a.cfg.Publisher, text: text, rand: draws(1), outbox: a.outbox}
	})
	a.provisioner = a.env.spawn(ctx, "provisioner", func() actor.Actor {
		return &provisioner{env: a.env, ec2: a.cfg.EC2, ledger: a.cfg.Ledger, fresh: a.cfg.AnswerFresh, rand: draws(2)}
	})
	a.inventory = a.env.spawn(ctx, "inventory", func() actor.Actor {
		return &inventory{env: a.env, ec2: a.cfg.EC2}
	})
	names := make([]messages.QueueName, 0, len(a.cfg.Queues))
	for _, q := range a.cfg.Queues {
		names = append(names, q.Name)
	}
	a.observer = a.env.spawn(ctx, "observer", func() actor.Actor {
		return &observer{
			env: a.env, clearml: a.cfg.ClearML, interval: a.cfg.PollingInterval, fresh: a.cfg.AnswerFresh, rand: draws(3),
			query: messages.ClearMLQuery{Queues: names, WorkersPrefix: a.cfg.WorkersPrefix},
		}
	})
	for _, name := range names {
		a.queues[name] = a.env.spawn(ctx, "queue", func() actor.Actor {
			return &queue{env: a.env, name: name, recorder: a.recorder}
		})
	}
	for _, resource := range a.cfg.Resources {
		a.hire(ctx, resource)
	}
	a.record(ctx, messages.AutoscalerStarted{Version: a.cfg.Version, Queues: names, Resources: a.resourceNames()})
	ctx.Send(ctx.Parent(), autoscalerBegan{name: a.cfg.Name})
}

// hire starts the actor of a resource type.
func (a *autoscaler) hire(ctx actor.Context, spec Resource) {
	a.resources[spec.Name] = a.env.spawn(ctx, "resource-"+string(spec.Name), func() actor.Actor {
		return &resource{
			env: a.env, spec: spec, prefix: a.cfg.WorkersPrefix, recorder: a.recorder,
			observer: a.observer, inventory: a.inventory, provisioner: a.provisioner,
		}
	})
}

// resourceNames lists the resource types in the order of the policy.
func (a *autoscaler) resourceNames() []messages.ResourceName {
	names := make([]messages.ResourceName, 0, len(a.resources))
	for _, resource := range a.cfg.Resources {
		names = append(names, resource.Name)
	}
	return append(names, a.retired...)
}

// clearmlObserved begins an evaluation with a new snapshot.
func (a *autoscaler) clearmlObserved(ctx actor.Context, snapshot messages.ClearMLSnapshot) {
	if a.stop != nil || snapshot.At.Before(a.snapshot.At) {
		return
	}
	a.snapshot = snapshot
	a.logPoll(snapshot)
	a.startRound(ctx)
	states := make(map[messages.QueueName]messages.QueueState, len(snapshot.Queues))
	for _, state := range snapshot.Queues {
		states[state.Name] = state
	}
	for _, q := range a.cfg.Queues {
		ctx.Send(a.queues[q.Name], messages.QueuePolled{Tick: a.tick, ServerNow: snapshot.ServerNow, State: states[q.Name]})
	}
	rows := make(map[messages.ResourceName][]messages.WorkerState)
	for _, row := range snapshot.Workers {
		if worker, ok := messages.ParseWorkerID(row.ID); ok {
			rows[worker.Resource] = append(rows[worker.Resource], row)
		}
	}
	for _, name := range a.resourceNames() {
		ctx.Send(a.resources[name], messages.WorkersPolled{
			Tick: a.tick, At: snapshot.At, ServerNow: snapshot.ServerNow, Workers: rows[name],
		})
	}
}

// logPoll says what a poll found, as the product's console does. Empty queues
// are only counted: there may be a thousand.
func (a *autoscaler) logPoll(snapshot messages.ClearMLSnapshot) {
	waiting := make(map[string]int)
	tasks := 0
	for _, state := range snapshot.Queues {
		if n := len(state.Entries); n > 0 {
			waiting[string(state.Name)] = n
			tasks += n
		}
	}
	a.env.log.Info().Interface("waiting", waiting).Int("queues", len(snapshot.Queues)).Int("tasks", tasks).
		Int("workers", len(snapshot.Workers)).Msg("queues polled")
}

// fleetObserved gives each resource type its part of a listing. Instances of a
// type that is not configured get one that only retires them.
func (a *autoscaler) fleetObserved(ctx actor.Context, m messages.FleetObserved) {
	parts := make(map[messages.ResourceName][]messages.Instance)
	a.listed = make(map[messages.ResourceName]int)
	for _, found := range m.Instances {
		parts[found.Resource] = append(parts[found.Resource], found)
		if !found.State.Ending() {
			a.listed[found.Resource]++
		}
		if a.resources[found.Resource] != nil && !slices.Contains(a.retired, found.Resource) {
			continue
		}
		if found.State.Ending() || a.strays[found.ID] {
			continue
		}
		a.strays[found.ID] = true
		a.record(ctx, messages.InstanceStray{Instance: found.ID, Resource: found.Resource, State: found.State})
		if a.resources[found.Resource] == nil {
			a.retired = append(a.retired, found.Resource)
			a.hire(ctx, retirement(found.Resource, a.cfg))
		}
	}
	for _, name := range a.resourceNames() {
		ctx.Send(a.resources[name], messages.FleetListed{At: m.At, Instances: parts[name]})
	}
}

// retirement is a resource type that launches nothing and lets each instance
// go as soon as it has nothing to do.
func retirement(name messages.ResourceName, cfg Config) Resource {
	retire := Resource{Name: name, MaxSpinUp: 30 * time.Minute}
	for _, resource := range cfg.Resources {
		retire.MaxSpinUp = max(retire.MaxSpinUp, resource.MaxSpinUp)
	}
	return retire
}

func (a *autoscaler) record(ctx actor.Context, event messages.Event) {
	ctx.Send(a.recorder, messages.Record{At: a.env.clock.Now(), Event: event})
}
