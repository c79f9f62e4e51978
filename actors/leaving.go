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
	// checkPatience is how long an answer about the worker may take, and
	// checkAgain how long to wait before asking again.
	checkPatience = 2 * time.Minute
	checkAgain    = time.Minute
	// ackPatience is how long a supervisor may take to answer: it looks every few
	// seconds, and so do we while we wait.
	ackPatience = 90 * time.Second
	// unwritablePatience is how long its queue may not show what was written,
	// although polls work: then it is gone, or not ours to write to.
	unwritablePatience = 15 * time.Minute
	// recallPatience is how long an instance that was taken back may need to have
	// its worker listed again.
	recallPatience = 90 * time.Second
	// barrierTrust is how long after its queues were closed for it an instance may
	// be ended on that: they stay closed for longer.
	barrierTrust = 45 * time.Second
	// cornerPatience is how long its queues may take to be closed, deafAgain how
	// long an instance whose supervisor does not answer is left alone.
	cornerPatience = 3 * time.Minute
	deafAgain      = 10 * time.Minute
	// refusedAgain is how long to wait after EC2 did not terminate an instance.
	refusedAgain = 15 * time.Second
	// condemnedPatience is how long the answer of EC2 may take, and then the end
	// of an instance to show, before it is terminated once more.
	condemnedPatience = 2 * time.Minute
)

// leaving is an instance's way out. The zero value is that of one that stays.
type leaving struct {
	reasons []messages.Reason // why; nil when it is not on its way out
	doomed  bool              // its worker is missing
	atOnce  bool              // whatever its idle time: the autoscaler stops, or an operator wants it
	finish  bool              // a running task may end first
	forced  bool              // whatever its worker does
	// deaf says that its supervisor did not answer, barred since when its queues
	// are known to be closed.
	deaf   bool
	barred time.Duration        // by the clock that only passes
	method messages.DrainMethod // once EC2 is told
	unsaid messages.FailureClass
}

// doom starts the way out of an instance whose worker is missing.
func (i *instance) doom(ctx actor.Context, reason messages.Reason) {
	i.leaving = leaving{doomed: true, reasons: []messages.Reason{reason}}
	ctx.Request(i.provisioner, messages.ReadConsole{Instance: i.id})
	i.askToGo(ctx)
}

// askToGo asks whether an instance that looks dead may go: when too many do at
// once, it is rather we who do not see.
func (i *instance) askToGo(ctx actor.Context) {
	i.stage = stageDoomed
	ctx.Send(ctx.Parent(), messages.InstanceDoomed{Instance: i.id, Reasons: i.leaving.reasons})
	i.arm(ctx, checkAgain)
}

func (i *instance) drain(ctx actor.Context, m messages.DrainInstance) {
	if i.stage == stageCondemned || (i.stage == stageTerminating && !m.Force) {
		return
	}
	again := i.leaving.forced && m.Force
	i.leaving = leaving{
		reasons: m.Reasons, finish: m.Finish, forced: m.Force, deaf: i.leaving.deaf,
	}
	if len(m.Reasons) > 0 {
		i.leaving.atOnce = m.Reasons[0].Code == messages.ReasonShutdown || m.Reasons[0].Code == messages.ReasonOperator
	}
	if !again {
		i.record(ctx, messages.InstanceDraining{Instance: i.id, Resource: i.sight.Instance.Resource, Reasons: m.Reasons})
	}
	finishes := m.Finish && i.supervised()
	if !m.Force && (i.stage == stageNew || (i.sight.Phase == messages.PhaseBusy && !finishes)) {
		i.retain(ctx, messages.Reason{
			Code: messages.ReasonTookWork, Subject: string(i.sight.Task), Detail: "its worker is running a task",
		})
		return
	}
	i.leave(ctx)
}

// leave begins the way out, or begins it again after something went wrong: what
// was known of the worker may be old. One that waits for nothing but its end is
// told to stop pulling at once; an idle one is asked about first, since it may
// have run tasks that no poll saw.
func (i *instance) leave(ctx actor.Context) {
	l := &i.leaving
	switch {
	case l.forced:
		i.terminate(ctx, messages.DrainForced)
	case l.method == messages.DrainAcknowledged:
		i.terminate(ctx, l.method) // its agent is no more
	case i.supervised() && !l.deaf && (l.finish || l.doomed):
		i.stopAgent(ctx)
	default:
		i.check(ctx)
	}
}

// stopAgent tells the supervisor to stop the agent once it has no task.
func (i *instance) stopAgent(ctx actor.Context) {
	i.stage = stageTelling
	i.tell(ctx, false)
	i.arm(ctx, ackPatience)
}

// heardLeaving follows the answer of the supervisor.
func (i *instance) heardLeaving(ctx actor.Context, said messages.AckState) {
	switch said {
	case messages.AckDrained:
		i.terminate(ctx, messages.DrainAcknowledged)
	case messages.AckBusy:
		if !i.leaving.finish {
			i.retain(ctx, messages.Reason{
				Code: messages.ReasonTookWork, Subject: string(i.sight.Said().Ack.Task), Detail: "its worker took a task before it was told",
			})
			return
		}
		if i.stage != stageFinishing {
			i.stage = stageFinishing
			i.arm(ctx, vanishPatience)
		}
	case messages.AckRunning:
	}
}

// stillFinishing looks after an instance that lets its task end: the worker, or
// the supervisor that is to say so, may be gone.
func (i *instance) stillFinishing(ctx actor.Context) {
	switch i.sight.Phase {
	case messages.PhaseVanished:
		i.leaving.doomed, i.leaving.deaf = true, true
		i.askToGo(ctx)
	case messages.PhaseIdle:
		i.unanswered(ctx)
	case messages.PhaseBusy, messages.PhaseBooting:
		i.arm(ctx, vanishPatience)
	}
}

// unanswered goes on without the supervisor. While no poll shows what it was
// told, it cannot be known to have heard.
func (i *instance) unanswered(ctx actor.Context) {
	now := i.env.clock.Elapsed()
	heard := i.line.shown > 0 && now-i.line.shown >= ackPatience
	unwritable := now-i.line.since >= unwritablePatience
	if polled := now-i.seen <= ackPatience; !polled || (!heard && !unwritable) {
		i.arm(ctx, ackPatience/2)
		return
	}
	i.env.log.Warn().Str("instance", string(i.id)).Dur("after", ackPatience).Msg("the instance's supervisor does not answer; other evidence is looked for")
	i.leaving.deaf = true
	i.check(ctx)
}

// sightedLeaving calls the way out off when its worker shows that it should.
func (i *instance) sightedLeaving(ctx actor.Context) {
	if i.leaving.forced || i.leaving.method == messages.DrainAcknowledged {
		return // whatever it shows: an operator wants it, or its agent has ended
	}
	if i.sight.Phase == messages.PhaseBusy || (i.leaving.doomed && i.sight.Phase == messages.PhaseIdle) {
		i.retain(ctx, messages.Reason{
			Code: messages.ReasonTookWork, Subject: string(i.sight.Task), Detail: "its worker is alive after all",
		})
	}
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
	l := &i.leaving
	idle := decide.Idleness{Since: i.sight.IdleSince, Found: i.sight.Found, Max: i.maxIdle}
	if l.doomed || l.atOnce || l.finish || l.barred > 0 {
		idle.Since, idle.Max = i.sight.Instance.LaunchedAt, 0 // only a running task counts
	}
	var activity *messages.WorkerActivity
	if m.Failure == nil {
		activity = &m.Activity
		if l.doomed && i.sight.Phase == messages.PhaseVanished && decide.Dead(m.ServerNow, *activity) {
			activity.Running = "" // it died with its machine, and is put back once that is gone
		}
	}
	verdict := decide.JudgeIdle(i.env.clock.Now(), m.ServerNow, idle, activity)
	switch {
	case verdict.Drain:
		i.free(ctx)
	case l.doomed:
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

// free goes on once the tasks API knows of no task: that was read, and now it
// has to be made sure that none begins.
func (i *instance) free(ctx actor.Context) {
	l := &i.leaving
	switch {
	case l.barred > 0 && i.env.clock.Elapsed()-l.barred < barrierTrust:
		i.terminate(ctx, messages.DrainBarrier)
	case l.barred > 0:
		i.keepDeaf(ctx)
	case l.doomed && i.sight.Instance.Home != "" && !l.deaf && i.env.clock.Elapsed()-i.polled < unwritablePatience:
		i.stage = stageDoomed // there is a supervisor, which we cannot reach now
		i.arm(ctx, checkAgain)
	case l.doomed && i.sight.Phase == messages.PhaseBooting:
		i.terminate(ctx, messages.DrainNeverRegistered)
	case l.doomed:
		i.terminate(ctx, messages.DrainVanished)
	case i.supervised() && !l.deaf:
		i.stopAgent(ctx)
	default:
		i.stage = stageCornered
		ctx.Send(ctx.Parent(), messages.InstanceCornered{Instance: i.id})
		i.arm(ctx, cornerPatience)
	}
}

// keepDeaf keeps an instance that nobody can be certain about, and leaves it
// alone for a while.
func (i *instance) keepDeaf(ctx actor.Context) {
	i.leaving.deaf = true
	i.retain(ctx, messages.Reason{
		Code: messages.ReasonUnconfirmed, Limit: int64(deafAgain.Seconds()),
		Detail: fmt.Sprintf("nobody there says that it has no work, and its queues could not be closed; tried again in %s at the latest", deafAgain),
	})
	if i.stage == stageIdle {
		i.arm(ctx, deafAgain)
	}
}

// retain calls the way out off.
func (i *instance) retain(ctx actor.Context, reason messages.Reason) {
	i.record(ctx, messages.InstanceKept{
		Instance: i.id, Resource: i.sight.Instance.Resource, Reasons: []messages.Reason{reason},
	})
	doomed := i.leaving.doomed
	if doomed && reason.Code == messages.ReasonTookWork {
		i.spared = i.env.clock.Elapsed() + vanishPatience
	}
	i.stay(ctx)
	switch {
	case reason.Code != messages.ReasonUnconfirmed || i.stage == stageNew:
	case i.stage == stageBooting && !doomed: // its boot has the time that it had
	default:
		i.arm(ctx, checkAgain)
	}
}

// stay goes back to where the worker is.
func (i *instance) stay(ctx actor.Context) {
	i.leaving = leaving{deaf: i.leaving.deaf}
	if told := i.line.told; told.Epoch > 0 && !told.Run {
		i.tell(ctx, true)
	}
	ctx.Send(ctx.Parent(), messages.InstanceRetained{Instance: i.id, IdleSince: i.sight.IdleSince})
	if i.stage != stageNew {
		i.settle(ctx)
	}
}

// recall takes a drain back because tasks wait. The supervisor may have stopped
// the agent already, and starts it again; if it comes too late the instance
// ends by itself.
func (i *instance) recall(ctx actor.Context, m messages.RecallInstance) {
	switch i.stage {
	case stageTelling, stageFinishing:
		i.record(ctx, messages.InstanceRecalled{Instance: i.id, Resource: i.sight.Instance.Resource, Reasons: m.Reasons})
		i.leaving = leaving{}
		i.tell(ctx, true)
		i.stage = stageRecalled
		i.arm(ctx, recallPatience)
	case stageChecking, stageCornered:
		i.record(ctx, messages.InstanceRecalled{Instance: i.id, Resource: i.sight.Instance.Resource, Reasons: m.Reasons})
		i.stay(ctx)
	case stageNew, stageBooting, stageIdle, stageBusy, stageVanished:
		i.stay(ctx) // it was never drained, or not any more: that is to be known
	case stageRecalled, stageDoomed, stageTerminating, stageRefused, stageCondemned:
	}
}

// recallEnded goes on with what the worker shows once it is back, or is not.
func (i *instance) recallEnded(ctx actor.Context) {
	i.stage = stageIdle // any that settle leaves by itself
	i.sight.IdleSince = i.env.clock.Now()
	i.stay(ctx)
}

// terminate tells EC2.
func (i *instance) terminate(ctx actor.Context, method messages.DrainMethod) {
	i.stage, i.leaving.method = stageTerminating, method
	certain := method == messages.DrainAcknowledged || method == messages.DrainForced
	ctx.Request(i.provisioner, messages.TerminateInstance{Instance: i.id, Certain: certain})
	i.arm(ctx, condemnedPatience)
}

func (i *instance) terminated(ctx actor.Context, m messages.TerminationSettled) {
	if i.stage != stageTerminating {
		return
	}
	resource := i.sight.Instance.Resource
	if m.Unknown && i.env.clock.Now().Sub(i.sight.Instance.LaunchedAt) < decide.SettleTime {
		// Not known is not gone: EC2 may show an instance minutes after its launch.
		m.Failure = &messages.Failure{Class: messages.ClassNotFound, Message: "EC2 does not know the instance yet"}
	}
	if m.Failure != nil {
		loud := loudness(m.Failure.Class)
		i.env.log.WithLevel(loud).Str("instance", string(i.id)).Str("failure", m.Failure.Error()).
			Msg("EC2 did not terminate the instance; asked again later")
		if loud == zerolog.ErrorLevel && i.leaving.unsaid != m.Failure.Class {
			i.leaving.unsaid = m.Failure.Class
			i.record(ctx, messages.InstanceUnended{
				Instance: i.id, Resource: resource, Class: m.Failure.Class, Code: m.Failure.Code, Message: m.Failure.Message,
			})
		}
		i.stage = stageRefused
		i.arm(ctx, refusedAgain)
		return
	}
	i.stage = stageCondemned
	i.record(ctx, messages.InstanceTerminating{
		Instance: i.id, Resource: resource, Method: i.leaving.method, Reasons: i.leaving.reasons,
	})
	ctx.Send(ctx.Parent(), messages.InstanceCondemned{Instance: i.id, Reasons: i.leaving.reasons, Method: i.leaving.method})
	i.arm(ctx, condemnedPatience)
}

// loudness is how loud a failed termination is in the log: what passes by
// itself is no error.
func loudness(class messages.FailureClass) zerolog.Level {
	switch class {
	case messages.ClassThrottled, messages.ClassTransient, messages.ClassNotFound, messages.ClassFenced:
		return zerolog.WarnLevel
	default:
		return zerolog.ErrorLevel
	}
}
