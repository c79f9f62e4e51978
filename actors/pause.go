package actors

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

// pause is whether an operator has paused launching. It is kept over a restart,
// and until it has been read nothing is launched.
type pause struct {
	messages.Pause

	stored *stored
	ends   alarm
}

func (p *pause) on() bool { return !p.At.IsZero() }

func (a *autoscaler) readPause(ctx actor.Context) {
	a.pause = pause{stored: &stored{
		state: a.cfg.State, at: messages.StateKey{Autoscaler: a.cfg.Name, Key: "pause"},
		what: "whether launching is paused", cost: "a restart now would not know of it",
		value: func() any {
			if !a.pause.on() {
				return nil
			}
			return a.pause.Pause
		},
	}}
	a.pause.stored.load(a.env, ctx)
}

func (a *autoscaler) pauseWasRead(ctx actor.Context, m stateRead) {
	take := func(value []byte) error {
		var kept messages.Pause
		err := json.Unmarshal(value, &kept)
		if err == nil {
			a.pause.Pause = kept
		}
		return err
	}
	if a.pause.stored.loaded(a.env, ctx, m, take) {
		a.pauseEnds(ctx)
		a.evaluateAgain(ctx)
	}
}

// pauseEnds ends a pause whose time has come, or sets the alarm for that. It looks at
// least once a minute: a person named the end by the clock on the wall, which may be
// set meanwhile.
func (a *autoscaler) pauseEnds(ctx actor.Context) {
	a.pause.ends.cancel()
	if !a.pause.on() || a.pause.Until.IsZero() {
		return
	}
	left := a.pause.Until.Sub(a.env.clock.Now())
	if left <= 0 {
		_ = a.resumeLaunches(ctx, "") // it is on, and was read
		return
	}
	a.pause.ends.set(a.env, ctx, "pause ends", min(left, time.Minute))
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
	a.pause.stored.overrule()
	a.pause.Pause = messages.Pause{At: since, By: by, Why: order.Why, Until: order.Until}
	a.record(ctx, messages.AutoscalerPaused{By: by, Why: order.Why, Until: order.Until})
	a.pauseEnds(ctx)
	a.pause.stored.save(a.env, ctx)
	a.evaluateAgain(ctx)
	return nil
}

func (a *autoscaler) resumeLaunches(ctx actor.Context, by string) *messages.Failure {
	if !a.pause.stored.read {
		return &messages.Failure{Class: messages.ClassTransient, Message: "whether launching is paused has not been read yet; try again"}
	}
	if !a.pause.on() {
		return &messages.Failure{Class: messages.ClassInvalid, Message: "launching is not paused"}
	}
	paused := a.env.clock.Now().Sub(a.pause.At)
	a.pause.Pause = messages.Pause{}
	a.record(ctx, messages.AutoscalerResumed{By: by, PausedSeconds: max(0, paused.Seconds())})
	a.pauseEnds(ctx)
	a.pause.stored.save(a.env, ctx)
	a.evaluateAgain(ctx)
	return nil
}

func (a *autoscaler) pauseWasSaved(ctx actor.Context, m stateSaved) {
	if !a.pause.stored.saved(a.env, ctx, m) {
		return
	}
	for id, asked := range a.asked {
		delete(asked.missing, pauseStore)
		a.answered(ctx, id)
	}
}

// hold is why nothing may be launched now; its code is empty when launching is
// allowed.
func (a *autoscaler) hold() messages.Reason {
	switch {
	case !a.pause.stored.read:
		return messages.Reason{Code: messages.ReasonPaused, Detail: messages.PauseUnread}
	case !a.pause.on():
		return a.contested()
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
