package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// round is one evaluation under way: statements come in until all are there.
type round struct {
	missing  int
	demand   map[messages.QueueName]int
	capacity map[messages.ResourceName]messages.Capacity
	patience alarm
	until    time.Duration // when that is over, by the clock that only passes
}

// startRound begins an evaluation; one that was under way is forgotten, since
// its statements are older. Its patience is not begun anew: polls may follow each
// other faster than somebody who is silent is waited for.
func (a *autoscaler) startRound(ctx actor.Context) {
	now := a.env.clock.Elapsed()
	until := now + roundPatience
	if a.round != nil {
		a.round.patience.cancel()
		until = max(a.round.until, now+leastPatience)
	}
	a.tick++
	a.again = false
	a.round = &round{
		missing:  len(a.queues) + len(a.resources),
		demand:   make(map[messages.QueueName]int, len(a.queues)),
		capacity: make(map[messages.ResourceName]messages.Capacity, len(a.resources)),
		until:    until,
	}
	a.round.patience.set(a.env, ctx, "round", until-now)
}

// evaluateAgain evaluates between two polls, from the last snapshot.
func (a *autoscaler) evaluateAgain(ctx actor.Context) {
	if a.stop != nil || a.snapshot.At.IsZero() {
		return
	}
	if a.round != nil {
		a.again = true
		return
	}
	a.startRound(ctx)
	for _, q := range a.cfg.Queues {
		ctx.Send(a.queues[q.Name], messages.StateDemand{Tick: a.tick})
	}
	for _, name := range a.resourceNames() {
		ctx.Send(a.resources[name], messages.StateCapacity{Tick: a.tick})
	}
}

// demandStated takes a queue's statement; one of an earlier round is too old.
func (a *autoscaler) demandStated(ctx actor.Context, m messages.DemandStated) {
	if a.round == nil || m.Tick != a.tick {
		return
	}
	if _, twice := a.round.demand[m.Queue]; !twice {
		a.round.demand[m.Queue] = m.Waiting
		a.stated(ctx)
	}
}

// capacityStated takes a resource type's statement.
func (a *autoscaler) capacityStated(ctx actor.Context, m messages.CapacityStated) {
	if a.round == nil || m.Tick != a.tick {
		return
	}
	if _, twice := a.round.capacity[m.Resource]; !twice {
		a.round.capacity[m.Resource] = m.Capacity
		a.stated(ctx)
	}
}

// stated evaluates once all statements are there.
func (a *autoscaler) stated(ctx actor.Context) {
	a.round.missing--
	if a.round.missing == 0 {
		a.evaluate(ctx)
	}
}

// evaluate asks the core and hands out its plan. A plan that breaks a law is a
// bug; it is logged and nothing of it is done.
func (a *autoscaler) evaluate(ctx actor.Context) {
	r := a.round
	a.round = nil
	r.patience.cancel()
	if a.stop != nil {
		return
	}
	now, policy := a.env.clock.Now(), a.cfg.policy(a.retired)
	policy.Hold = a.hold()
	view := decide.View{SnapshotAt: a.snapshot.At, Demand: r.demand, Capacity: r.capacity}
	plan := decide.Evaluate(now, policy, view)
	if breaches := decide.Check(now, policy, view, plan); len(breaches) > 0 {
		a.env.log.Error().Strs("breaches", breaches).Msg("the plan breaks a law and is not carried out; please report this")
		return
	}
	for _, launch := range plan.Launches {
		ctx.Send(a.resources[launch.Resource], messages.LaunchInstances{Tick: a.tick, Count: launch.Count, Reasons: launch.Reasons})
	}
	for _, recall := range plan.Recalls {
		ctx.Send(a.resources[recall.Resource], messages.RecallInstances{Tick: a.tick, Instances: recall.Instances, Reasons: recall.Reasons})
	}
	if len(r.demand) < len(a.queues) {
		plan.Drains = nil // a queue that has not said what waits may need them
	}
	for _, drain := range plan.Drains {
		ctx.Send(a.resources[drain.Resource], messages.DrainInstances{
			Tick: a.tick, Instances: drain.Instances, Reasons: drain.Reasons,
			Finish: drain.Reasons[0].Code == messages.ReasonOverMax,
		})
	}
	for _, verdict := range plan.Verdicts {
		ctx.Send(a.queues[verdict.Queue], messages.QueueJudged{Tick: a.tick, Verdict: verdict})
	}
	if a.again {
		a.evaluateAgain(ctx)
	}
}

// The outside worlds whose answers may fail.
const (
	sourceClearML = "clearml"
	sourceEC2     = "ec2"
)

// source is how one of them does.
type source struct {
	lastGood time.Time
	down     time.Time // since when; zero while it answers
	class    messages.FailureClass
	message  string
}

// failed records the first of a row of failures, and each new kind of failure.
func (a *autoscaler) failed(ctx actor.Context, name string, at time.Time, failure messages.Failure) {
	s := a.sources[name]
	s.message = failure.Error()
	a.env.log.Warn().Str("source", name).Str("failure", failure.Error()).Msg("observation failed; what is known is held")
	if name == sourceClearML {
		defer a.evaluateAgain(ctx) // so that queues say that they are held, once the snapshot is too old
	}
	if s.down.IsZero() {
		s.down = at
	} else if s.class == failure.Class {
		return
	}
	s.class = failure.Class
	a.record(ctx, messages.ObservationFailed{
		Source: name, Class: failure.Class, Code: failure.Code, Message: failure.Message, LastGood: s.lastGood,
	})
}

func (a *autoscaler) recovered(ctx actor.Context, name string, at time.Time) {
	s := a.sources[name]
	if !s.down.IsZero() {
		a.record(ctx, messages.ObservationRecovered{Source: name, DownSeconds: max(0, at.Sub(s.down).Seconds())})
	}
	s.lastGood, s.down, s.class, s.message = at, time.Time{}, "", ""
}
