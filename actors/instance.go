package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

const (
	// vanishPatience is how long a worker may be gone from ClearML before its
	// instance is asked about: as long as the server keeps a silent one listed.
	vanishPatience = 10 * time.Minute
	// expireAgain is how often an instance repeats that its idle time is over.
	expireAgain = time.Minute
	// checkPatience is how long an answer about the worker may take, and
	// checkAgain how long to wait before asking again.
	checkPatience = 2 * time.Minute
	checkAgain    = time.Minute
	// refusedAgain is how long to wait after EC2 did not terminate an instance.
	refusedAgain = 15 * time.Second
	// condemnedPatience is how long the answer of EC2 may take, and then the end
	// of an instance to show, before it is terminated once more.
	condemnedPatience = 2 * time.Minute
)

// stage is what an instance actor is doing. Each stage has one deadline.
type stage string

const (
	stageNew         stage = "new"         // nothing known: waits for the first sighting
	stageBooting     stage = "booting"     // deadline: max_spin_up_time
	stageIdle        stage = "idle"        // deadline: max_idle_time
	stageBusy        stage = "busy"        // no deadline
	stageVanished    stage = "vanished"    // deadline: vanishPatience
	stageChecking    stage = "checking"    // on its way out: the tasks API is being asked
	stageDoomed      stage = "doomed"      // its worker is missing, but nobody could say that it has no task
	stageTerminating stage = "terminating" // EC2 is being told
	stageRefused     stage = "refused"     // EC2 could not be told; all is checked again
	stageCondemned   stage = "condemned"   // EC2 said yes; its end must show
)

// instance looks after one EC2 instance: its idle timer, its deadlines, and
// its way out. It never ends an instance on what one poll showed: the tasks
// API is asked first, and any doubt keeps the instance.
type instance struct {
	env         *env
	id          messages.InstanceID
	maxIdle     time.Duration
	maxSpinUp   time.Duration
	recorder    *actor.PID
	observer    *actor.PID
	provisioner *actor.PID

	stage    stage
	sight    messages.InstanceSighted
	leaving  []messages.Reason // why it is on its way out; nil when it is not
	doomed   bool              // leaving because its worker is missing, not because it is idle
	shutdown bool              // leaving because the autoscaler stops
	forced   bool              // leaving whatever its worker does
	deadline alarm
}

// Receive implements actor.Actor.
func (i *instance) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		i.stage = stageNew
		ctx.Send(ctx.Parent(), messages.InstanceStarted{Instance: i.id})
	case *actor.Stopping, *actor.Restarting:
		i.deadline.cancel()
	case messages.InstanceMessage:
		i.on(ctx, m)
	case rang:
		if i.deadline.heeds(m) {
			i.overdue(ctx)
		}
	default:
		i.env.unhandled(ctx)
	}
}

func (i *instance) on(ctx actor.Context, message messages.InstanceMessage) {
	switch m := message.(type) {
	case messages.InstanceSighted:
		i.sighted(ctx, m)
	case messages.DrainInstance:
		i.drain(ctx, m)
	case messages.WorkerChecked:
		i.checked(ctx, m)
	case messages.ConsoleRead:
		i.record(ctx, messages.InstanceUnready{
			Instance: i.id, Resource: i.sight.Instance.Resource, Reasons: i.leaving, Console: m.Tail,
		})
	case messages.TerminationSettled:
		i.terminated(ctx, m)
	}
}

// sighted follows the worker. While the instance is on its way out only a task
// matters.
func (i *instance) sighted(ctx actor.Context, m messages.InstanceSighted) {
	before := i.sight
	i.sight = m
	i.announce(ctx, before)
	switch i.stage {
	case stageTerminating, stageCondemned:
		return // EC2 has been told; there is no way back
	case stageChecking, stageDoomed, stageRefused:
		if m.Phase == messages.PhaseBusy || (i.doomed && m.Phase == messages.PhaseIdle) {
			i.retain(ctx, messages.Reason{
				Code: messages.ReasonTookWork, Subject: string(m.Task), Detail: "its worker is alive after all",
			})
		}
	case stageNew, stageBooting, stageIdle, stageBusy, stageVanished:
		i.settle(ctx)
	}
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

// settle enters the stage that the sighting asks for and sets its deadline.
func (i *instance) settle(ctx actor.Context) {
	now := i.env.clock.Now()
	next, wait := stageBusy, time.Duration(0)
	switch i.sight.Phase {
	case messages.PhaseBooting:
		next, wait = stageBooting, i.sight.Instance.LaunchedAt.Add(i.maxSpinUp).Sub(now)
	case messages.PhaseIdle:
		next, wait = stageIdle, i.sight.IdleSince.Add(i.maxIdle).Sub(now)
	case messages.PhaseVanished:
		next, wait = stageVanished, vanishPatience
		if i.stage == stageVanished {
			return // the deadline runs already
		}
	case messages.PhaseBusy:
	}
	i.stage = next
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
	case stageBooting:
		i.doom(ctx, messages.Reason{
			Code: messages.ReasonNeverRegistered, Limit: int64(i.maxSpinUp.Seconds()),
			Detail: fmt.Sprintf("no worker appeared within max_spin_up_time of %s", i.maxSpinUp),
		})
	case stageVanished:
		i.doom(ctx, messages.Reason{
			Code: messages.ReasonWorkerVanished, Limit: int64(vanishPatience.Seconds()),
			Detail: fmt.Sprintf("its worker has given no sign of life for %s", vanishPatience),
		})
	case stageDoomed, stageRefused, stageTerminating:
		i.leave(ctx)
	case stageChecking:
		i.checked(ctx, messages.WorkerChecked{Failure: &messages.Failure{Class: messages.ClassTransient, Message: "no answer in time"}})
	case stageCondemned:
		i.terminate(ctx)
	case stageNew, stageBusy:
	}
}

// doom starts the way out of an instance whose worker is missing.
func (i *instance) doom(ctx actor.Context, reason messages.Reason) {
	i.doomed, i.leaving = true, []messages.Reason{reason}
	ctx.Send(ctx.Parent(), messages.InstanceDoomed{Instance: i.id, Reasons: i.leaving})
	ctx.Request(i.provisioner, messages.ReadConsole{Instance: i.id})
	i.check(ctx)
}

func (i *instance) drain(ctx actor.Context, m messages.DrainInstance) {
	if i.stage == stageCondemned || (i.stage == stageTerminating && !m.Force) {
		return
	}
	again := i.forced && m.Force
	i.leaving, i.doomed, i.forced = m.Reasons, false, m.Force
	i.shutdown = len(m.Reasons) > 0 && m.Reasons[0].Code == messages.ReasonShutdown
	if !again {
		i.record(ctx, messages.InstanceDraining{Instance: i.id, Resource: i.sight.Instance.Resource, Reasons: m.Reasons})
	}
	if !m.Force && (i.stage == stageNew || i.sight.Phase == messages.PhaseBusy) {
		i.retain(ctx, messages.Reason{
			Code: messages.ReasonTookWork, Subject: string(i.sight.Task), Detail: "its worker is running a task",
		})
		return
	}
	i.leave(ctx)
}

// leave begins the way out, or begins it again after something went wrong: what
// was known of the worker may be old.
func (i *instance) leave(ctx actor.Context) {
	if i.forced {
		i.terminate(ctx)
		return
	}
	i.check(ctx)
}

// check asks what the worker ran lately: polls do not see short tasks.
func (i *instance) check(ctx actor.Context) {
	i.stage = stageChecking
	ctx.Request(i.observer, messages.CheckWorker{Worker: i.sight.Worker, Lookback: i.maxIdle + vanishPatience})
	i.arm(ctx, checkPatience)
}

func (i *instance) checked(ctx actor.Context, m messages.WorkerChecked) {
	if i.stage != stageChecking {
		return // called off meanwhile
	}
	since, maxIdle := i.sight.IdleSince, i.maxIdle
	if i.doomed || i.shutdown {
		since, maxIdle = i.sight.Instance.LaunchedAt, 0 // only a running task counts
	}
	var activity *messages.WorkerActivity
	if m.Failure == nil {
		activity = &m.Activity
	}
	verdict := decide.JudgeIdle(i.env.clock.Now(), m.ServerNow, since, maxIdle, activity)
	switch {
	case verdict.Drain:
		i.terminate(ctx)
	case i.doomed:
		i.stage = stageDoomed
		i.arm(ctx, checkAgain)
	default:
		if verdict.IdleSince.IsZero() { // busy: it cannot be idle for long before it was asked
			verdict.IdleSince = i.env.clock.Now()
		}
		if verdict.IdleSince.After(i.sight.IdleSince) {
			i.sight.IdleSince = verdict.IdleSince
		}
		i.retain(ctx, verdict.Reason)
	}
}

// retain calls the way out off.
func (i *instance) retain(ctx actor.Context, reason messages.Reason) {
	i.leaving, i.doomed, i.shutdown, i.forced = nil, false, false, false
	i.record(ctx, messages.InstanceKept{
		Instance: i.id, Resource: i.sight.Instance.Resource, Reasons: []messages.Reason{reason},
	})
	ctx.Send(ctx.Parent(), messages.InstanceRetained{Instance: i.id, IdleSince: i.sight.IdleSince})
	if i.stage == stageNew {
		return
	}
	i.settle(ctx)
	if reason.Code == messages.ReasonUnconfirmed {
		i.arm(ctx, checkAgain)
	}
}

func (i *instance) terminate(ctx actor.Context) {
	i.stage = stageTerminating
	ctx.Request(i.provisioner, messages.TerminateInstance{Instance: i.id})
	i.arm(ctx, condemnedPatience)
}

func (i *instance) terminated(ctx actor.Context, m messages.TerminationSettled) {
	if i.stage != stageTerminating {
		return
	}
	if m.Unknown && i.env.clock.Now().Sub(i.sight.Instance.LaunchedAt) < decide.SettleTime {
		// Not known is not gone: EC2 may show an instance minutes after its launch.
		m.Failure = &messages.Failure{Class: messages.ClassNotFound, Message: "EC2 does not know the instance yet"}
	}
	if m.Failure != nil {
		i.env.log.WithLevel(loudness(m.Failure.Class)).Str("instance", string(i.id)).Str("failure", m.Failure.Error()).
			Msg("EC2 did not terminate the instance; asked again later")
		i.stage = stageRefused
		i.arm(ctx, refusedAgain)
		return
	}
	i.stage = stageCondemned
	i.record(ctx, messages.InstanceTerminating{Instance: i.id, Resource: i.sight.Instance.Resource, Reasons: i.leaving})
	ctx.Send(ctx.Parent(), messages.InstanceCondemned{Instance: i.id, Reasons: i.leaving})
	i.arm(ctx, condemnedPatience)
}

func (i *instance) record(ctx actor.Context, event messages.Event) {
	ctx.Send(i.recorder, messages.Record{At: i.env.clock.Now(), Event: event})
}

// loudness is how loud a failed termination is in the log: what passes by
// itself is no error.
func loudness(class messages.FailureClass) zerolog.Level {
	switch class {
	case messages.ClassThrottled, messages.ClassTransient, messages.ClassNotFound:
		return zerolog.WarnLevel
	default:
		return zerolog.ErrorLevel
	}
}
