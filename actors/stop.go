package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

// StopLatest is how much longer than its patience a stop may take: until a
// termination that counts on closed queues has arrived, and the last events and
// writes have.
const StopLatest = barrierHold + flushPatience + recorderPatience

// flushPatience is how long the last events may take to reach the bus.
const flushPatience = 10 * time.Second

// recorderPatience is how much later the recorder may say so.
const recorderPatience = 5 * time.Second

// stopping is a stop under way: resource types settle, then the last events
// are flushed, then whoever asked is told.
type stopping struct {
	mode     messages.OnShutdown
	asker    *actor.PID
	settled  map[messages.ResourceName]bool
	left     int
	flushing bool
	records  bool // are flushed
	writes   bool // are
	lost     int
	patience alarm
}

func (a *autoscaler) beginStop(ctx actor.Context, m messages.StopAutoscaler) {
	if a.stop != nil {
		return
	}
	a.stop = &stopping{mode: m.OnShutdown, asker: ctx.Sender(), settled: make(map[messages.ResourceName]bool)}
	a.env.log.Info().Str("on_shutdown", string(m.OnShutdown)).Msg("stopping")
	if a.channels.barrier != nil && !a.barrierHeld() {
		a.openQueues(ctx)
	}
	for _, name := range a.resourceNames() {
		ctx.Send(a.resources[name], messages.ShutDownResource{OnShutdown: m.OnShutdown})
	}
	a.stop.patience.set(a.env, ctx, "stop", m.Patience)
}

func (a *autoscaler) resourceSettled(ctx actor.Context, m messages.ResourceSettled) {
	if a.stop == nil || a.stop.settled[m.Resource] {
		return
	}
	a.stop.settled[m.Resource] = true
	a.stop.left += m.Left
	if len(a.stop.settled) == len(a.resources) {
		a.wrapUp(ctx)
	}
}

// wrapUp records the end and flushes. Resource types that have not settled by
// now are left as they are: their launches are in the ledger, their instances
// carry our tags.
func (a *autoscaler) wrapUp(ctx actor.Context) {
	if a.stop.flushing {
		return
	}
	a.stop.flushing = true
	a.stop.patience.cancel()
	if a.channels.barrier != nil {
		a.openQueues(ctx)
	}
	if unsettled := len(a.resources) - len(a.stop.settled); unsettled > 0 {
		for name, alive := range a.fleet.alive {
			if !a.stop.settled[name] {
				a.stop.left += alive
			}
		}
		a.env.log.Warn().Int("resources", unsettled).Msg("stopping without waiting any longer; a restart takes up what is left")
	}
	a.record(ctx, messages.AutoscalerStopped{OnShutdown: string(a.stop.mode), Left: a.stop.left})
	ctx.Request(a.recorder, messages.FlushRecords{Patience: flushPatience})
	ctx.Request(a.observer, messages.FlushWrites{}) // a queue that was closed is to be open
	a.stop.patience.set(a.env, ctx, "stop", flushPatience+recorderPatience)
}

// outOfPatience goes on with stopping without an answer.
func (a *autoscaler) outOfPatience(ctx actor.Context) {
	switch {
	case a.stop.flushing:
		a.end(ctx, int(a.outbox.waiting.Load()))
	case a.channels.barrier != nil && a.barrierHeld(): // no agent may pull before EC2 has ended it
		a.stop.patience.set(a.env, ctx, "stop", a.barrierLeft())
	default:
		a.wrapUp(ctx)
	}
}

func (a *autoscaler) recordsFlushed(ctx actor.Context, m messages.RecordsFlushed) {
	if a.stop != nil {
		a.stop.records, a.stop.lost = true, m.Lost
		a.flushed(ctx)
	}
}

func (a *autoscaler) writesFlushed(ctx actor.Context) {
	if a.stop != nil {
		a.stop.writes = true
		a.flushed(ctx)
	}
}

func (a *autoscaler) flushed(ctx actor.Context) {
	if a.stop.records && a.stop.writes {
		a.end(ctx, a.stop.lost)
	}
}

// end tells whoever asked that this is the end.
func (a *autoscaler) end(ctx actor.Context, lost int) {
	a.stop.patience.cancel()
	if lost > 0 {
		a.env.log.Error().Int("lost", lost).Msg("events that could not be published are lost")
	}
	ctx.Send(a.stop.asker, messages.AutoscalerEnded{Autoscaler: a.cfg.Name, Acted: true, Left: a.stop.left})
}
