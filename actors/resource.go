package actors

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

const (
	// launchBatch is the most instances that one RunInstances call asks for.
	launchBatch = 200
	// hurryFor is how long listings come quickly after something was begun.
	hurryFor = 3 * listHurry
)

// resource owns one resource type: its instances, its budget, and its memory
// of what EC2 refused. It launches nothing by itself: the autoscaler's plan
// does, within the budget that is checked here once more.
type resource struct {
	env         *env
	spec        Resource
	queues      []messages.QueueName // that it serves
	prefix      string               // of worker ids
	recorder    *actor.PID
	observer    *actor.PID
	inventory   *actor.PID
	provisioner *actor.PID
	state       State

	life      string
	born      time.Time
	launches  int // counts requests of this life
	reported  bool
	listings  int                   // complete ones, begun in this life
	lastList  time.Time             // when the last of them began
	held      *messages.FleetListed // a listing that came before the report
	early     *earlyPoll            // the last one, while the fleet is not known
	board     messages.Board
	made      map[messages.QueueName]madeQueue
	members   map[messages.InstanceID]*member
	order     []messages.InstanceID // of members, oldest knowledge first
	launching map[messages.RequestID]*inFlight
	learned   learned
	refusals  map[messages.FailureClass]string // the words of EC2, of the last of each class
	unkept    []messages.AskID                 // operators' orders that are not saved yet
	rand      *rand.Rand
	stopping  messages.OnShutdown
	settled   bool
}

// inFlight is a launch whose end is not known: all of it counts as alive.
type inFlight struct {
	intent messages.LaunchIntent
	launch messages.LaunchID // empty until the intent is on disk
	// waits says that it was asked for in this life and has not been written yet.
	waits bool
	// shown are its instances, if listings showed any.
	shown []messages.Instance
}

// earlyPoll is a poll of before the instances that it is about were found.
type earlyPoll struct {
	messages.WorkersPolled

	rows map[messages.InstanceID]*messages.WorkerState
}

// resourceBegan is sent by a resource type whenever it begins: one that failed
// while the autoscaler was stopping has to be told again.
type resourceBegan struct{ name messages.ResourceName }

// Receive implements actor.Actor.
func (r *resource) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.begin(ctx)
	case *actor.Stopping, *actor.Restarting:
		r.learned.stored.end()
	case messages.ResourceMessage:
		r.on(ctx, m)
		r.settle(ctx)
	case stateRead:
		r.loaded(ctx, m)
	case stateSaved:
		r.saved(ctx, m)
	case rang:
		r.learned.stored.rang(r.env, ctx, m)
	default:
		r.env.unhandled(ctx)
	}
}

// begin asks for everything that a resource type must know before it acts.
func (r *resource) begin(ctx actor.Context) {
	r.life, r.born = r.env.life(), r.env.clock.Now()
	r.members = make(map[messages.InstanceID]*member)
	r.launching = make(map[messages.RequestID]*inFlight)
	r.refusals = make(map[messages.FailureClass]string)
	r.made = make(map[messages.QueueName]madeQueue)
	ctx.Request(r.provisioner, messages.ReportLaunches{Resource: r.spec.Name})
	ctx.Send(r.inventory, messages.ListFleet{})
	r.load(ctx)
	ctx.Send(ctx.Parent(), resourceBegan{name: r.spec.Name})
}

//nolint:cyclop,funlen // one case for each message
func (r *resource) on(ctx actor.Context, message messages.ResourceMessage) {
	switch m := message.(type) {
	case messages.WorkersPolled:
		r.polled(ctx, m)
		r.stateCapacity(ctx, m.Tick)
	case messages.StateCapacity:
		r.stateCapacity(ctx, m.Tick)
	case messages.FleetListed:
		r.fleetListed(ctx, m)
	case messages.LaunchInstances:
		r.launch(ctx, m)
	case messages.DrainInstances:
		for _, id := range m.Instances {
			r.drain(ctx, id, messages.DrainInstance{Reasons: m.Reasons, Finish: m.Finish})
		}
	case messages.RecallInstances:
		for _, id := range m.Instances {
			r.recall(ctx, id, m.Reasons)
		}
	case messages.ShutDownResource:
		r.shutDown(ctx, m.OnShutdown)
	case messages.ReportResource:
		r.report(ctx, m)
	case messages.ReleaseInstances:
		r.release(ctx, m)
	case messages.LaunchIntended:
		if flight := r.launching[m.Request]; flight != nil {
			flight.launch, flight.waits = m.Launch, false
			ctx.Send(ctx.Parent(), messages.CapacityChanged{Resource: r.spec.Name})
		}
	case messages.LaunchSettled:
		r.launchSettled(ctx, m)
	case messages.LaunchesReported:
		r.launchesReported(ctx, m)
	case messages.ProvisionerStarted:
		r.askAgain(ctx)
	case messages.InstanceStarted:
		r.onInstance(ctx, m.Instance, m)
	case messages.InstanceExpired:
		r.onInstance(ctx, m.Instance, m)
	case messages.InstanceRetained:
		r.onInstance(ctx, m.Instance, m)
	case messages.InstanceDoomed:
		r.onInstance(ctx, m.Instance, m)
	case messages.InstanceCondemned:
		r.onInstance(ctx, m.Instance, m)
	case messages.InstanceOutlived:
		r.onInstance(ctx, m.Instance, m)
	case messages.InstanceForetold:
		r.onInstance(ctx, m.Instance, m)
	case messages.InstanceCornered:
		r.onInstance(ctx, m.Instance, m)
	case messages.SuspectJudged:
		r.pass(ctx, m.Instance, m)
	case messages.BarrierRaised:
		r.pass(ctx, m.Instance, m)
	case messages.BarrierRefused:
		r.pass(ctx, m.Instance, m)
	}
}

// pass hands an answer on to an instance actor.
func (r *resource) pass(ctx actor.Context, id messages.InstanceID, message messages.InstanceMessage) {
	if m := r.members[id]; m != nil {
		ctx.Send(m.pid, message)
	}
}

// listedTwice is the least time between the two listings that a resource type
// wants to see: one alone may leave out what EC2 was asked for lately.
const listedTwice = 2 * time.Second

// known says whether the picture is complete: the ledger and what was learned
// were read, and two listings of EC2 that began in this life have come.
func (r *resource) known() bool { return r.reported && r.listings > 1 && r.learned.heard }

// alive counts what the budget is charged for.
func (r *resource) alive() int {
	alive := len(r.members)
	for _, flight := range r.launching {
		alive += flight.intent.Count
	}
	return alive
}

func (r *resource) stateCapacity(ctx actor.Context, tick messages.Tick) {
	ctx.Send(ctx.Parent(), messages.CapacityStated{Tick: tick, Resource: r.spec.Name, Capacity: r.capacity()})
}

func (r *resource) capacity() messages.Capacity {
	if !r.known() {
		return messages.Capacity{}
	}
	now := r.env.clock.Now()
	capacity := messages.Capacity{Known: true, Alive: r.alive()}
	for _, flight := range r.launching {
		capacity.Coming += flight.intent.Count
	}
	for _, id := range r.order {
		m := r.members[id]
		switch {
		case m.condemned:
		case m.recalled:
			capacity.Coming++
		case r.takenBack(m):
			capacity.Recallable = append(capacity.Recallable, id)
		case m.foretold && m.phase == messages.PhaseBusy:
			capacity.Extra++
		case !m.usable(now), len(r.unserved(m)) > 0:
		case m.at() == messages.PhaseBooting:
			capacity.Coming++
		case m.at() == messages.PhaseBusy:
			capacity.Busy = append(capacity.Busy, id)
		case m.at() == messages.PhaseIdle:
			capacity.Idle = append(capacity.Idle, messages.IdleInstance{Instance: id, Since: m.idleSince, Expired: m.expired})
		}
	}
	slices.SortStableFunc(capacity.Idle, func(a, b messages.IdleInstance) int { return a.Since.Compare(b.Since) })
	slices.SortStableFunc(capacity.Busy, func(a, b messages.InstanceID) int {
		return r.members[b].instance.LaunchedAt.Compare(r.members[a].instance.LaunchedAt)
	})
	if next := r.choose(now); next.OK {
		capacity.LaunchLimit = next.most
	} else if len(r.spec.Offerings) > 0 {
		capacity.BlockedUntil, capacity.Block = next.Until, next.Class
	}
	return capacity
}

// launch grants what the budget allows. The plan has counted already; this is
// the second look, by the one who owns the count. While a request of this type
// still waits to be written, for want of EC2's tokens, no other is made: the
// next evaluation asks for all of it at once.
func (r *resource) launch(ctx actor.Context, m messages.LaunchInstances) {
	if !r.known() || r.stopping != "" || r.backlog() {
		return
	}
	now := r.env.clock.Now()
	for left := min(m.Count, r.spec.Max-r.alive()); left > 0; {
		next := r.choose(now)
		if !next.OK {
			return
		}
		r.launches++
		count := min(left, launchBatch)
		if next.Limit > 0 {
			count = min(count, next.Limit)
		}
		left -= count
		r.asked(now, next)
		intent := messages.LaunchIntent{
			Request:  messages.RequestID(fmt.Sprintf("%s-%s-%d", r.spec.Name, r.life, r.launches)),
			Resource: r.spec.Name, Offering: next.Offering, Count: count, At: now,
		}
		r.record(ctx, messages.InstanceRequested{
			Resource: r.spec.Name, Request: intent.Request, Offering: intent.Offering, Count: count,
			Alive: r.alive(), Max: r.spec.Max, Reasons: m.Reasons,
		})
		r.launching[intent.Request] = &inFlight{intent: intent, waits: true}
		ctx.Request(r.provisioner, messages.Launch{Intent: intent})
	}
	ctx.Send(r.inventory, messages.HurryListing{For: hurryFor})
}

// backlog says whether a request of an earlier evaluation has not been written
// yet.
func (r *resource) backlog() bool {
	for _, flight := range r.launching {
		if flight.waits {
			return true
		}
	}
	return false
}

// askAgain repeats to a provisioner that has lost its memory.
func (r *resource) askAgain(ctx actor.Context) {
	ctx.Request(r.provisioner, messages.ReportLaunches{Resource: r.spec.Name})
	for _, request := range slices.Sorted(maps.Keys(r.launching)) {
		ctx.Request(r.provisioner, messages.Launch{Intent: r.launching[request].intent})
	}
	for _, id := range r.order {
		if m := r.members[id]; m.draining && m.order.Force && !m.condemned {
			ctx.Send(m.pid, m.order)
		}
	}
}

func (r *resource) launchesReported(ctx actor.Context, m messages.LaunchesReported) {
	for _, pending := range m.Pending {
		flight := r.launching[pending.Intent.Request]
		if flight == nil {
			flight = &inFlight{intent: pending.Intent}
			r.launching[pending.Intent.Request] = flight
		}
		if pending.Launch != "" {
			flight.launch, flight.waits = pending.Launch, false
		}
	}
	first := !r.reported
	r.reported = true
	if !first {
		return
	}
	for _, record := range m.Recent {
		for _, id := range record.Outcome.Instances {
			r.join(ctx, messages.Instance{
				ID: id, Resource: r.spec.Name, Launch: record.Launch, Token: record.Token,
				State: messages.StatePending, Offering: record.Intent.Offering, LaunchedAt: record.Outcome.At,
			})
			r.catchUp(ctx, id)
		}
	}
	if r.held != nil {
		r.fleetListed(ctx, *r.held)
		r.held = nil
	}
}

func (r *resource) launchSettled(ctx actor.Context, m messages.LaunchSettled) {
	flight, waited := r.launching[m.Request]
	delete(r.launching, m.Request)
	if waited && m.Failure != nil { // an earlier try, whose answer was lost, may have launched them
		for _, found := range flight.shown {
			if r.members[found.ID] == nil {
				r.adopt(ctx, found)
			}
		}
	}
	for _, launched := range m.Instances {
		if r.members[launched.ID] != nil {
			continue
		}
		r.join(ctx, launched)
		r.record(ctx, messages.InstanceLaunched{
			Instance: launched.ID, Resource: r.spec.Name, Request: m.Request, Launch: m.Launch, Offering: launched.Offering,
			HourlyUSD: r.price(launched.Offering),
		})
	}
	if m.Failure == nil {
		r.granted(ctx, m.Offering)
	}
	missing := m.Count - len(m.Instances)
	if !waited || missing <= 0 {
		return
	}
	refused := messages.InstanceRefused{
		Resource: r.spec.Name, Request: m.Request, Launch: m.Launch, Offering: m.Offering, Count: missing,
		Class: messages.ClassNoCapacity, Message: fmt.Sprintf("EC2 gave %d of %d", len(m.Instances), m.Count),
	}
	if m.Failure != nil {
		refused.Class, refused.Code, refused.Message = m.Failure.Class, m.Failure.Code, m.Failure.Message
		refused.RetryAt = r.refused(ctx, m.Offering, *m.Failure)
	}
	r.record(ctx, refused)
	ctx.Send(ctx.Parent(), messages.CapacityChanged{Resource: r.spec.Name})
}

func shutdownOrder(mode messages.OnShutdown) messages.DrainInstance {
	return messages.DrainInstance{
		Reasons: []messages.Reason{{Code: messages.ReasonShutdown, Detail: "the autoscaler stops; on_shutdown is " + string(mode)}},
		Force:   mode == messages.ShutdownAll,
	}
}

// shutDown lets go of the instances as on_shutdown says.
func (r *resource) shutDown(ctx actor.Context, mode messages.OnShutdown) {
	r.stopping = mode
	for _, id := range slices.Clone(r.order) {
		m := r.members[id]
		if mode == messages.ShutdownAll || (mode == messages.ShutdownIdle && m.usable(r.env.clock.Now()) && m.phase == messages.PhaseIdle) {
			r.drain(ctx, id, shutdownOrder(mode))
		}
	}
}

// settle tells the autoscaler, once, that nothing is under way any more.
func (r *resource) settle(ctx actor.Context) {
	if r.stopping == "" || r.settled || len(r.launching) > 0 || (r.stopping == messages.ShutdownAll && !r.known()) {
		return
	}
	left := 0
	for _, m := range r.members {
		if m.draining && !m.condemned && !m.order.Finish { // one that finishes its task does so without us
			return
		}
		if !m.condemned {
			left++
		}
	}
	r.settled = true
	ctx.Send(ctx.Parent(), messages.ResourceSettled{Resource: r.spec.Name, Left: left})
}

func (r *resource) record(ctx actor.Context, event messages.Event) {
	ctx.Send(r.recorder, messages.Record{At: r.env.clock.Now(), Event: event})
}
