package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

const (
	pauseKey = "pause"
	// pauseAgain is how soon the pause is read or written again after a failure.
	pauseAgain = 2 * time.Second
)

// pause is whether an operator has paused launching. It is kept over a restart,
// and until it has been read nothing is launched.
type pause struct {
	messages.Pause

	read   bool
	saving bool
	dirty  bool
	again  alarm // to read or to write after a failure
	ends   alarm
}

func (p *pause) on() bool { return !p.At.IsZero() }

// pauseRead answers the reading of the pause, pauseSaved its writing.
type (
	pauseRead struct {
		value []byte
		err   error
	}
	pauseSaved struct{ err error }
)

func (a *autoscaler) readPause(ctx actor.Context) {
	state, name := a.cfg.State, a.cfg.Name
	a.env.pipe(ctx, stateTimeout, func(io context.Context) any {
		value, err := state.Load(io, name, pauseKey)
		return pauseRead{value: value, err: err}
	})
}

func (a *autoscaler) pauseWasRead(ctx actor.Context, m pauseRead) {
	if a.pause.read {
		return // an operator was faster
	}
	if m.err != nil {
		a.env.log.Warn().Err(m.err).Msg("whether launching is paused could not be read; nothing is launched until it is")
		a.pause.again.set(a.env, ctx, "pause", pauseAgain)
		return
	}
	a.pause.read = true
	if len(m.value) > 0 {
		if err := json.Unmarshal(m.value, &a.pause.Pause); err != nil {
			a.env.log.Error().Err(err).Msg("the pause that was saved is not readable; launching goes on")
			a.pause.Pause = messages.Pause{}
		}
	}
	a.pauseEnds(ctx)
	a.evaluateAgain(ctx)
}

// pauseEnds sets the alarm for the end of the pause, if it has one.
func (a *autoscaler) pauseEnds(ctx actor.Context) {
	a.pause.ends.cancel()
	if a.pause.on() && !a.pause.Until.IsZero() {
		a.pause.ends.set(a.env, ctx, "pause ends", a.pause.Until.Sub(a.env.clock.Now()))
	}
}

func (a *autoscaler) pauseLaunches(ctx actor.Context, by string, order messages.PauseLaunches) *messages.Failure {
	now := a.env.clock.Now()
	if !order.Until.IsZero() && !order.Until.After(now) {
		return &messages.Failure{Class: messages.ClassInvalid, Message: "the end of the pause, " + order.Until.Format(time.RFC3339) + ", is over already"}
	}
	since := now
	if a.pause.on() {
		since = a.pause.At // a new end or reason for the same pause
	}
	a.pause.read = true
	a.pause.Pause = messages.Pause{At: since, By: by, Why: order.Why, Until: order.Until}
	a.record(ctx, messages.AutoscalerPaused{By: by, Why: order.Why, Until: order.Until})
	a.pauseEnds(ctx)
	a.savePause(ctx)
	a.evaluateAgain(ctx)
	return nil
}

func (a *autoscaler) resumeLaunches(ctx actor.Context, by string) *messages.Failure {
	if !a.pause.read {
		return &messages.Failure{Class: messages.ClassTransient, Message: "whether launching is paused has not been read yet; try again"}
	}
	if !a.pause.on() {
		return &messages.Failure{Class: messages.ClassInvalid, Message: "launching is not paused"}
	}
	paused := a.env.clock.Now().Sub(a.pause.At)
	a.pause.Pause = messages.Pause{}
	a.record(ctx, messages.AutoscalerResumed{By: by, PausedSeconds: max(0, paused.Seconds())})
	a.pauseEnds(ctx)
	a.savePause(ctx)
	a.evaluateAgain(ctx)
	return nil
}

// savePause keeps the pause, one write at a time, until it is kept.
func (a *autoscaler) savePause(ctx actor.Context) {
	if a.pause.saving {
		a.pause.dirty = true
		return
	}
	var value []byte
	if a.pause.on() {
		var err error
		if value, err = json.Marshal(a.pause.Pause); err != nil {
			a.env.log.Error().Err(err).Msg("the pause can not be written")
			return
		}
	}
	a.pause.saving, a.pause.dirty = true, false
	state, name := a.cfg.State, a.cfg.Name
	a.env.pipe(ctx, stateTimeout, func(io context.Context) any {
		return pauseSaved{err: state.Save(io, name, pauseKey, value)}
	})
}

func (a *autoscaler) pauseWasSaved(ctx actor.Context, m pauseSaved) {
	a.pause.saving = false
	switch {
	case m.err != nil:
		a.env.log.Warn().Err(m.err).Msg("the pause is not saved yet; a restart now would not know of it")
		a.pause.dirty = true
		a.pause.again.set(a.env, ctx, "pause", pauseAgain)
	case a.pause.dirty:
		a.savePause(ctx)
	default:
		for id, asked := range a.asked {
			delete(asked.missing, pauseStore)
			a.answered(ctx, id)
		}
	}
}

// pauseAgainDue reads or writes the pause once more.
func (a *autoscaler) pauseAgainDue(ctx actor.Context) {
	switch {
	case !a.pause.read:
		a.readPause(ctx)
	case a.pause.dirty:
		a.savePause(ctx)
	}
}

// hold is why nothing may be launched now; its code is empty when launching is
// allowed.
func (a *autoscaler) hold() messages.Reason {
	switch {
	case !a.pause.read:
		return messages.Reason{Code: messages.ReasonPaused, Detail: "whether launching is paused is not known yet"}
	case !a.pause.on():
		return messages.Reason{}
	}
	detail := "since " + a.pause.At.UTC().Format(time.RFC3339)
	if a.pause.By != "" {
		detail += " by " + a.pause.By
	}
	if !a.pause.Until.IsZero() {
		detail += fmt.Sprintf(", until %s", a.pause.Until.UTC().Format(time.RFC3339))
	}
	if a.pause.Why != "" {
		detail += ": " + a.pause.Why
	}
	return messages.Reason{Code: messages.ReasonPaused, Detail: detail}
}
