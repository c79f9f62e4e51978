package actors

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

const (
	// roundPatience is how long an evaluation waits for statements; who has not
	// made one by then is not known in it.
	roundPatience = 5 * time.Second
	// leastPatience is how long the last of several that followed each other waits at
	// least.
	leastPatience = 500 * time.Millisecond
)

// autoscaler runs the evaluations of one configuration: it gathers what is
// demanded and what there is, asks the core, and hands out what it says.
type autoscaler struct {
	env     *env
	cfg     Config
	lease   messages.Lease
	changed messages.AutoscalerReconfigured // to be told
	outbox  *outbox
	closed  *closedQueues
	born    time.Time

	recorder, provisioner, observer, inventory, rescuer *actor.PID

	queues    map[messages.QueueName]*actor.PID
	resources map[messages.ResourceName]*actor.PID
	retired   []messages.ResourceName // not configured, but instances of it exist
	fleet     fleet
	channels  channels
	guard     decide.Guard
	rivals    decide.Rivals
	rival     *messages.Rival // that lives

	created  map[messages.QueueName]bool // and not seen since
	snapshot messages.ClearMLSnapshot
	tick     messages.Tick
	round    *round
	again    bool // something changed during the round
	sources  map[string]*source
	stop     *stopping
	pause    pause
	asked    map[messages.AskID]*asking
}

// Receive implements actor.Actor.
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
		a.pause.stored.end()
		a.pause.ends.cancel()
		for _, asked := range a.asked {
			asked.patience.cancel()
		}
	case messages.AutoscalerMessage:
		a.on(ctx, m)
	case resourceBegan:
		if a.stop != nil {
			ctx.Send(a.resources[m.name], messages.ShutDownResource{OnShutdown: a.stop.mode})
		}
	case stateRead:
		a.pauseWasRead(ctx, m)
	case stateSaved:
		a.pauseWasSaved(ctx, m)
	case rang:
		a.rang(ctx, m)
	default:
		a.env.unhandled(ctx)
	}
}

func (a *autoscaler) rang(ctx actor.Context, m rang) {
	switch {
	case a.round != nil && m.name == "round" && a.round.patience.heeds(m):
		a.evaluate(ctx)
	case a.stop != nil && m.name == "stop" && a.stop.patience.heeds(m):
		a.outOfPatience(ctx)
	case m.name == stateAlarm:
		a.pause.stored.rang(a.env, ctx, m)
	case m.name == "pause ends" && a.pause.ends.heeds(m):
		a.pauseEnds(ctx)
	default:
		a.askOverdue(ctx, m)
	}
}

//nolint:cyclop // one case for each message
func (a *autoscaler) on(ctx actor.Context, message messages.AutoscalerMessage) {
	switch m := message.(type) {
	case messages.ClearMLObserved:
		a.recovered(ctx, sourceClearML, m.Snapshot.At)
		a.clearmlObserved(ctx, m.Snapshot)
	case messages.ClearMLFailed:
		a.failed(ctx, sourceClearML, m.At, m.Failure)
	case messages.QueuesCreated:
		a.queuesCreated(ctx, m.Queues)
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
	case messages.SuspectInstance:
		a.judgeSuspect(ctx, m)
	case messages.AskBarrier:
		a.askBarrier(ctx, m)
	case messages.TaskPutBack:
		ctx.Send(a.observer, messages.HurryPolling{For: hurryPolls / 3})
	case messages.BarrierDone:
		a.barrierDone(ctx, m.Instance)
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
	case messages.WritesFlushed:
		a.writesFlushed(ctx)
	case messages.Ordered:
		a.order(ctx, m)
	case messages.QueueReported:
		a.queueReported(ctx, m)
	case messages.ResourceReported:
		a.resourceReported(ctx, m)
	case messages.InstancesReleased:
		a.instancesReleased(ctx, m)
	case messages.ReleaseKept:
		a.releaseKept(ctx, m)
	}
}

func (a *autoscaler) queuesCreated(ctx actor.Context, names []messages.QueueName) {
	for _, name := range names {
		if !a.created[name] { // a server that goes on denying that it has them is told once
			a.created[name] = true
			a.record(ctx, messages.QueueCreated{Queue: name})
		}
	}
}

// begin starts the children. They are all new: after a restart proto.actor has
// stopped the old ones first.
func (a *autoscaler) begin(ctx actor.Context) {
	a.queues = make(map[messages.QueueName]*actor.PID)
	a.resources = make(map[messages.ResourceName]*actor.PID)
	a.born, a.fleet, a.channels = a.env.clock.Now(), newFleet(), newChannels()
	a.created = make(map[messages.QueueName]bool)
	a.asked, a.rivals, a.rival = nil, decide.Rivals{}, nil
	a.readPause(ctx)
	a.sources = map[string]*source{sourceClearML: {}, sourceEC2: {}}
	draws := func(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(a.cfg.Seed, stream)) }
	a.provisioner = a.env.spawn(ctx, "provisioner", func() actor.Actor {
		return &provisioner{env: a.env, ec2: a.cfg.EC2, durable: a.cfg.Ledger, fresh: a.cfg.AnswerFresh, rand: draws(2)}
	})
	a.inventory = a.env.spawn(ctx, "inventory", func() actor.Actor {
		return &inventory{env: a.env, ec2: a.cfg.EC2}
	})
	a.rescuer = a.env.spawn(ctx, "rescuer", func() actor.Actor {
		return &rescuer{env: a.env, cfg: a.cfg, recorder: a.recorder}
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
	a.record(ctx, messages.AutoscalerStarted{
		Version: a.cfg.Version, Holder: a.lease.Holder, Epoch: a.lease.Epoch, Queues: names, Resources: a.resourceNames(),
	})
	if len(a.changed.Changes)+len(a.changed.Restart) > 0 {
		a.record(ctx, a.changed)
	}
	ctx.Send(ctx.Parent(), autoscalerBegan{name: a.cfg.Name})
}

// hire starts the actor of a resource type.
func (a *autoscaler) hire(ctx actor.Context, spec Resource) {
	stream := uint64(len(a.resources) + 10)
	var queues []messages.QueueName
	for _, q := range a.cfg.Queues {
		if slices.Contains(q.Resources, spec.Name) {
			queues = append(queues, q.Name)
		}
	}
	a.resources[spec.Name] = a.env.spawn(ctx, "resource-"+string(spec.Name), func() actor.Actor {
		return &resource{
			env: a.env, spec: spec, queues: queues, prefix: a.cfg.WorkersPrefix, recorder: a.recorder,
			observer: a.observer, inventory: a.inventory, provisioner: a.provisioner, state: a.cfg.State,
			rand: rand.New(rand.NewPCG(a.cfg.Seed, stream)),
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

// clearmlObserved hands a new snapshot out and begins an evaluation with it.
// While the autoscaler stops nothing is evaluated any more, but instances still
// wait for what their supervisors say.
func (a *autoscaler) clearmlObserved(ctx actor.Context, snapshot messages.ClearMLSnapshot) {
	if snapshot.At.Before(a.snapshot.At) && !a.snapshot.At.After(a.env.clock.Now()) {
		return // one that lies ahead was taken before our clock was set back
	}
	a.snapshot = snapshot
	board := messages.NewBoard(snapshot.Queues)
	for _, name := range board.Names() {
		delete(a.created, name)
	}
	a.tend(ctx, board)
	if a.stop == nil {
		a.logPoll(snapshot)
		a.startRound(ctx)
		for _, q := range a.cfg.Queues {
			state, _ := board.Queue(q.Name)
			ctx.Send(a.queues[q.Name], messages.QueuePolled{Tick: a.tick, ServerNow: snapshot.ServerNow, State: state})
		}
		ctx.Send(a.rescuer, messages.QueuesObserved{Snapshot: snapshot})
	}
	rows := make(map[messages.ResourceName][]messages.WorkerState)
	for _, row := range snapshot.Workers {
		if worker, ok := messages.ParseWorkerID(row.ID); ok {
			rows[worker.Resource] = append(rows[worker.Resource], row)
		}
	}
	for _, name := range a.resourceNames() {
		ctx.Send(a.resources[name], messages.WorkersPolled{
			Tick: a.tick, At: snapshot.At, ServerNow: snapshot.ServerNow, Workers: rows[name], Board: board,
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

func (a *autoscaler) record(ctx actor.Context, event messages.Event) {
	ctx.Send(a.recorder, messages.Record{At: a.env.clock.Now(), Event: event})
}
