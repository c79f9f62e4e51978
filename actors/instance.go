package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

const (
	// vanishPatience is how long a worker may be gone from ClearML before its
	// instance is asked about: as long as the server keeps a silent one listed.
	vanishPatience = 10 * time.Minute
	// foundPatience is how long polls look for the worker of an instance, however
	// old that is, before it counts as one that never came.
	foundPatience = 3 * time.Minute
	// expireAgain is how often an instance repeats that its idle time, or its
	// life time, is over.
	expireAgain = time.Minute
)

// stage is what an instance actor is doing. Each stage has one deadline.
type stage string

const (
	stageNew      stage = "new"      // nothing known: waits for the first sighting
	stageBooting  stage = "booting"  // deadline: what boots take, max_spin_up_time at most
	stageIdle     stage = "idle"     // deadline: max_idle_time
	stageBusy     stage = "busy"     // no deadline
	stageVanished stage = "vanished" // deadline: vanishPatience

	stageChecking    stage = "checking"    // the tasks API is being asked
	stageTelling     stage = "telling"     // the supervisor is told to stop the agent
	stageFinishing   stage = "finishing"   // it lets a task end first; looked after now and then
	stageCornered    stage = "cornered"    // no supervisor answers: its queues are to be closed
	stageRecalled    stage = "recalled"    // the supervisor is told to let the agent go on
	stageDoomed      stage = "doomed"      // its worker is missing; waits to be let go
	stageTerminating stage = "terminating" // EC2 is being told
	stageRefused     stage = "refused"     // EC2 could not be told
	stageCondemned   stage = "condemned"   // EC2 said yes; its end must show
)

// instance looks after one EC2 instance: its idle timer, its deadlines, and
// its way out, which is in leaving.go. It never ends an instance on what was
// read alone: its supervisor has to stop the agent first, and any doubt keeps
// the instance.
type instance struct {
	env         *env
	id          messages.InstanceID
	maxIdle     time.Duration
	maxLifetime time.Duration // zero is for ever
	recorder    *actor.PID
	observer    *actor.PID
	provisioner *actor.PID

	stage stage
	sight messages.InstanceSighted
	// polled is when a poll first looked for its worker, in this life, seen when it
	// was last sighted, by the clock that only passes; zero before.
	polled time.Duration
	seen   time.Duration
	spared time.Duration // until when it is not doomed again, by that clock: it works, though no poll shows its worker
	// missed is when the deadline of a worker that no poll shows passed; zero before.
	missed   time.Time
	deadline alarm
	lifetime alarm
	noticed  messages.NoticeKind // the last announcement that was recorded
	line     line
	leaving  leaving
}

// Receive implements actor.Actor.
func (i *instance) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		i.stage = stageNew
		ctx.Send(ctx.Parent(), messages.InstanceStarted{Instance: i.id})
	case *actor.Stopping, *actor.Restarting:
		i.deadline.cancel()
		i.lifetime.cancel()
	case messages.InstanceMessage:
		i.on(ctx, m)
	case rang:
		switch {
		case m.name == "lifetime" && i.lifetime.heeds(m):
			ctx.Send(ctx.Parent(), messages.InstanceOutlived{Instance: i.id})
			i.lifetime.set(i.env, ctx, "lifetime", expireAgain)
		case m.name != "lifetime" && i.deadline.heeds(m):
			i.overdue(ctx)
		}
	default:
		i.env.unhandled(ctx)
	}
}

//nolint:cyclop // one case for each message
func (i *instance) on(ctx actor.Context, message messages.InstanceMessage) {
	switch m := message.(type) {
	case messages.InstanceSighted:
		i.sighted(ctx, m)
	case messages.DrainInstance:
		i.drain(ctx, m)
	case messages.RecallInstance:
		i.recall(ctx, m)
	case messages.SuspectJudged:
		if i.stage == stageDoomed && m.Allowed {
			i.leave(ctx)
		}
	case messages.BarrierRaised:
		if i.stage == stageCornered {
			i.leaving.barred = i.env.clock.Elapsed()
			i.check(ctx)
		}
	case messages.BarrierRefused:
		i.leaving.barred = 0
		if i.stage == stageCornered || (i.stage == stageChecking && i.leaving.deaf) {
			i.keepDeaf(ctx)
		}
	case messages.WorkerChecked:
		i.checked(ctx, m)
	case messages.ConsoleRead:
		i.record(ctx, messages.InstanceUnready{
			Instance: i.id, Resource: i.sight.Instance.Resource, Reasons: i.leaving.reasons, Console: m.Tail,
		})
	case messages.TerminationSettled:
		i.terminated(ctx, m)
	}
}

// sighted follows the worker. While the instance is on its way out only what
// the supervisor says and a task matter.
func (i *instance) sighted(ctx actor.Context, m messages.InstanceSighted) {
	before := i.sight
	i.sight = m
	i.seen = i.env.clock.Elapsed()
	if i.polled == 0 && m.Polled {
		i.polled = i.seen
	}
	if before.HomeID == "" && i.supervised() {
		i.leaving.deaf = false // it was not there to hear anything
	}
	i.announce(ctx, before)
	if i.maxLifetime > 0 && !i.lifetime.pending() {
		i.lifetime.set(i.env, ctx, "lifetime", m.Instance.LaunchedAt.Add(i.maxLifetime).Sub(i.env.clock.Now()))
	}
	switch i.stage {
	case stageTerminating, stageCondemned:
		return // EC2 has been told; there is no way back
	case stageNew, stageBooting, stageIdle, stageBusy, stageVanished:
		i.settle(ctx)
	case stageChecking, stageCornered, stageDoomed, stageRefused:
		i.sightedLeaving(ctx)
	case stageTelling, stageFinishing:
		if i.leaving.doomed {
			i.sightedLeaving(ctx)
		}
	case stageRecalled:
	}
	i.hear(ctx)
	i.foretold(ctx)
}

// announce records what changed with the worker.
func (i *instance) announce(ctx actor.Context, before messages.InstanceSighted) {
	m := i.sight
	resource := m.Instance.Resource
	if before.Registered.IsZero() && !m.Registered.IsZero() {
		i.record(ctx, messages.InstanceRegistered{
			Instance: i.id, Resource: resource, Worker: m.Worker,
			BootSeconds: max(0, m.Registered.Sub(m.Instance.LaunchedAt).Seconds()),
		})
	}
	switch {
	case m.Phase == messages.PhaseBusy && (before.Phase != messages.PhaseBusy || before.Task != m.Task):
		i.record(ctx, messages.InstanceBusy{Instance: i.id, Resource: resource, Task: m.Task, TaskName: m.TaskName})
	case m.Phase == messages.PhaseIdle && before.Phase != messages.PhaseIdle:
		i.record(ctx, messages.InstanceIdle{Instance: i.id, Resource: resource, Since: m.IdleSince})
	}
}

// foretold handles what EC2 announced to the instance, by way of its supervisor
// or of the spot request.
func (i *instance) foretold(ctx actor.Context) {
	notice := i.sight.Said().Notice
	if i.sight.Instance.Notice == messages.NoticeInterruption {
		notice.Kind = messages.NoticeInterruption
	}
	if notice.Kind == "" || notice.Kind == i.noticed || i.noticed == messages.NoticeInterruption {
		return
	}
	i.noticed = notice.Kind
	i.record(ctx, messages.InstanceNoticed{
		Instance: i.id, Resource: i.sight.Instance.Resource, Notice: notice.Kind, When: notice.When, Task: i.sight.Task,
	})
	if notice.Kind == messages.NoticeInterruption {
		ctx.Send(ctx.Parent(), messages.InstanceForetold{Instance: i.id})
	}
}

// settle enters the stage that the sighting asks for and sets its deadline.
func (i *instance) settle(ctx actor.Context) {
	now := i.env.clock.Now()
	next, wait := stageBusy, time.Duration(0)
	switch i.sight.Phase {
	case messages.PhaseBooting:
		// One that was found long after its launch may have a worker that the first
		// polls only happen not to show.
		elapsed := i.env.clock.Elapsed()
		next, wait = stageBooting, max(i.sight.Instance.LaunchedAt.Add(i.sight.BootWithin).Sub(now), i.polled+foundPatience-elapsed, i.spared-elapsed)
	case messages.PhaseIdle:
		next, wait = stageIdle, i.sight.IdleSince.Add(i.maxIdle).Sub(now)
	case messages.PhaseVanished:
		next, wait = stageVanished, vanishPatience
		if i.stage == stageVanished {
			return // the deadline runs already
		}
	case messages.PhaseBusy:
	}
	if next != i.stage {
		i.missed = time.Time{}
	}
	same := i.stage == next && next == stageIdle && i.deadline.pending() && i.leaving.deaf
	i.stage = next
	if same {
		return // its supervisor does not answer: the longer wait goes on
	}
	if next == stageBusy || (next == stageBooting && !i.sight.Polled) {
		i.deadline.cancel() // an old instance that was just found is not a late one
		return
	}
	i.arm(ctx, wait)
}

func (i *instance) arm(ctx actor.Context, wait time.Duration) {
	i.deadline.set(i.env, ctx, string(i.stage), wait)
}

// overdue handles the deadline of the stage.
func (i *instance) overdue(ctx actor.Context) {
	switch i.stage {
	case stageIdle:
		ctx.Send(ctx.Parent(), messages.InstanceExpired{Instance: i.id, Since: i.sight.IdleSince})
		i.arm(ctx, expireAgain)
	case stageBooting, stageVanished:
		i.late(ctx)
	case stageDoomed:
		i.askToGo(ctx)
	case stageTelling:
		i.unanswered(ctx)
	case stageRecalled:
		i.recallEnded(ctx)
	case stageCornered:
		i.keepDeaf(ctx)
	case stageRefused, stageTerminating:
		i.leave(ctx)
	case stageChecking:
		i.checked(ctx, messages.WorkerChecked{Failure: &messages.Failure{Class: messages.ClassTransient, Message: "no answer in time"}})
	case stageCondemned:
		i.terminate(ctx, i.leaving.method)
	case stageFinishing:
		i.stillFinishing(ctx)
	case stageNew, stageBusy:
	}
}

// late handles the deadline of a worker that is missing. It may have come since the
// last poll, which may be long ago: nothing is said of it before one has looked.
func (i *instance) late(ctx actor.Context) {
	now := i.env.clock.Now()
	if i.missed.IsZero() || i.missed.After(now) { // or our clock was set back
		i.missed = now
	}
	if i.sight.At.Before(i.missed) {
		ctx.Send(i.observer, messages.HurryPolling{For: pollHurry})
		i.arm(ctx, pollHurry)
		return
	}
	i.missed = time.Time{}
	if i.stage == stageBooting {
		i.doom(ctx, messages.Reason{
			Code: messages.ReasonNeverRegistered, Limit: int64(i.sight.BootWithin.Seconds()),
			Detail: fmt.Sprintf("no worker appeared within %s", i.sight.BootWithin.Round(time.Second)),
		})
		return
	}
	i.doom(ctx, messages.Reason{
		Code: messages.ReasonWorkerVanished, Limit: int64(vanishPatience.Seconds()),
		Detail: fmt.Sprintf("its worker has given no sign of life for %s", vanishPatience),
	})
}

func (i *instance) record(ctx actor.Context, event messages.Event) {
	ctx.Send(i.recorder, messages.Record{At: i.env.clock.Now(), Event: event})
}
