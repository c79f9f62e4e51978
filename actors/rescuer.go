package actors

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

const (
	// sweepEvery is how often lost tasks are looked for, sweepSoon how soon after
	// an instance has ended.
	sweepEvery   = time.Minute
	sweepSoon    = 5 * time.Second
	sweepTimeout = 45 * time.Second
	rescuerState = "rescuer"
	sweepAlarm   = "sweep"
)

// rescuer finds tasks that were lost with their worker and puts them back. Who
// is lost and who is not, [decide.Losses] judges; here are the calls.
type rescuer struct {
	env      *env
	cfg      Config
	recorder *actor.PID

	losses     decide.Losses
	stored     *stored
	fates      decide.Fates
	gone       int // instances that are known to be terminated
	snapshot   messages.ClearMLSnapshot
	heard      time.Duration // when it came, by the clock that only passes
	next       alarm
	soon       bool // the next sweep is set for soon
	sweeping   bool
	duplicates map[messages.TaskID][]messages.WorkerID // that were told
}

type swept struct {
	tasks []messages.TaskState
	err   error
}

type requeued struct {
	rescue  decide.Rescue
	outcome messages.RequeueOutcome
	err     error
}

// Receive implements actor.Actor.
func (r *rescuer) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.begin(ctx)
	case *actor.Stopping, *actor.Restarting:
		r.next.cancel()
		r.stored.end()
	case messages.RescuerMessage:
		r.on(ctx, m)
	case stateRead:
		r.stored.loaded(r.env, ctx, m, r.lossesRead)
	case stateSaved:
		r.stored.saved(r.env, ctx, m)
	case swept:
		r.swept(ctx, m)
	case requeued:
		r.requeued(ctx, m)
	case rang:
		if m.name == sweepAlarm && r.next.heeds(m) {
			r.sweep(ctx)
		}
		r.stored.rang(r.env, ctx, m)
	default:
		r.env.unhandled(ctx)
	}
}

// begin loads what was put back before: how often a task was is to survive.
func (r *rescuer) begin(ctx actor.Context) {
	r.duplicates = make(map[messages.TaskID][]messages.WorkerID)
	r.stored = &stored{
		state: r.cfg.State, at: messages.StateKey{Autoscaler: r.env.name, Key: rescuerState},
		what: "how often tasks were put back", cost: "a restart now would count anew",
		value: func() any { return r.losses },
	}
	r.stored.load(r.env, ctx)
	r.next.set(r.env, ctx, sweepAlarm, sweepEvery)
}

func (r *rescuer) lossesRead(value []byte) error {
	var kept decide.Losses
	if err := json.Unmarshal(value, &kept); err != nil {
		return err
	}
	r.losses = kept
	return nil
}

func (r *rescuer) on(ctx actor.Context, message messages.RescuerMessage) {
	switch m := message.(type) {
	case messages.QueuesObserved:
		r.snapshot, r.heard = m.Snapshot, r.env.clock.Elapsed()
		if r.cfg.WarnDuplicates {
			r.warn(ctx)
		}
	case messages.InstancesObserved:
		r.fates = r.fates.Listed(r.env.clock.Now(), m.At, m.Instances)
		gone := 0
		for _, seen := range r.fates.Of {
			if seen.Fate == decide.FateGone {
				gone++
			}
		}
		if gone > r.gone && !r.soon && !r.sweeping {
			r.soon = true
			r.next.set(r.env, ctx, sweepAlarm, sweepSoon)
		}
		r.gone = gone
	}
}

// warn tells of tasks that two live workers run, once for each pair.
func (r *rescuer) warn(ctx actor.Context) {
	told := make(map[messages.TaskID][]messages.WorkerID)
	for _, duplicate := range decide.Duplicates(r.snapshot, r.fates) {
		told[duplicate.Task] = duplicate.Workers
		if !slices.Equal(r.duplicates[duplicate.Task], duplicate.Workers) {
			r.record(ctx, duplicate)
		}
	}
	r.duplicates = told
}

// sweep asks for all tasks that are not finished. Without a poll and a listing
// nobody could say which of them are lost.
func (r *rescuer) sweep(ctx actor.Context) {
	r.soon = false
	if !r.stored.read || r.snapshot.At.IsZero() || r.fates.At.IsZero() {
		r.next.set(r.env, ctx, sweepAlarm, sweepSoon)
		return
	}
	r.sweeping = true
	server := r.cfg.ClearML
	r.env.pipe(ctx, sweepTimeout, func(io context.Context) any {
		tasks, err := server.Unfinished(io)
		return swept{tasks: tasks, err: err}
	})
}

func (r *rescuer) swept(ctx actor.Context, m swept) {
	r.sweeping = false
	r.next.set(r.env, ctx, sweepAlarm, sweepEvery)
	if m.err != nil {
		r.env.log.Warn().Err(m.err).Msg("lost tasks could not be looked for; done again in a minute")
		return
	}
	now := r.env.clock.Now()
	losses, rescues, lost := r.losses.Judge(
		decide.RescuePolicy{Requeue: r.cfg.RequeueLost, Prefix: r.cfg.WorkersPrefix, MaxAge: r.cfg.snapshotMaxAge()},
		decide.Sweep{
			Now: now, ServerNow: r.snapshot.ServerNow.Add(r.env.clock.Elapsed() - r.heard), Tasks: m.tasks, Snapshot: r.snapshot, Fates: r.fates,
		},
	)
	r.losses = losses
	for _, event := range lost {
		r.record(ctx, event)
	}
	server := r.cfg.ClearML
	for _, rescue := range rescues {
		r.env.pipe(ctx, sweepTimeout, func(io context.Context) any {
			outcome, err := server.Requeue(io, rescue.Request)
			return requeued{rescue: rescue, outcome: outcome, err: err}
		})
	}
	if len(rescues)+len(lost) > 0 {
		r.save(ctx)
	}
}

func (r *rescuer) requeued(ctx actor.Context, m requeued) {
	switch {
	case m.err != nil:
		r.env.log.Warn().Err(m.err).Str("task", string(m.rescue.Request.Task)).Msg("lost task not put back; tried again at the next sweep")
		r.losses = r.losses.Failed(m.rescue.Request.Task)
		r.save(ctx)
	case m.outcome.NoQueue:
		var lost messages.TaskLost
		r.losses, lost = r.losses.Leave(m.rescue, m.outcome.Found)
		r.record(ctx, lost)
		r.save(ctx)
	case !m.outcome.Done:
		r.env.log.Info().Str("task", string(m.rescue.Request.Task)).Str("status", string(m.outcome.Found.Status)).
			Msg("a task that looked lost has changed meanwhile and is left alone")
		r.losses = r.losses.Failed(m.rescue.Request.Task)
		r.save(ctx)
	default:
		r.record(ctx, m.rescue.Event)
		ctx.Send(ctx.Parent(), messages.TaskPutBack{})
	}
}

func (r *rescuer) save(ctx actor.Context) { r.stored.save(r.env, ctx) }

func (r *rescuer) record(ctx actor.Context, event messages.Event) {
	ctx.Send(r.recorder, messages.Record{At: r.env.clock.Now(), Event: event})
}
