package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

// hurryPolls is how long polls come quickly after something was told to a
// supervisor.
const hurryPolls = 30 * time.Second

// line is an instance actor's end of the channel to its supervisor. What is told
// is told again until a poll shows it, so that nothing is lost with a message, a
// crash, or an earlier owner that wrote late.
type line struct {
	told messages.Drain // zero when there is nothing to tell
	// since is when it was told, shown when a poll first showed it; zero before.
	// Both are by the clock that only passes.
	since time.Duration
	shown time.Duration
	// last is the last epoch that was told in this life.
	last uint64
}

// supervised says whether there is anybody to talk to.
func (i *instance) supervised() bool { return i.sight.HomeID != "" }

// tell says to stop the agent, or to let it go on. The epoch is above everything
// that was ever said to this instance.
func (i *instance) tell(ctx actor.Context, run bool) {
	now, said := i.env.clock.Now(), i.sight.Said()
	epoch := max(uint64(max(0, now.UnixMilli())), i.line.last+1, said.Drain.Epoch+1, said.Ack.Epoch+1)
	i.line = line{told: messages.Drain{Epoch: epoch, At: now, Run: run}, since: i.env.clock.Elapsed(), last: epoch}
	i.write(ctx)
}

func (i *instance) write(ctx actor.Context) {
	ctx.Send(i.observer, messages.WriteSignals{Signals: []messages.Signal{{
		QueueID: i.sight.HomeID, Set: map[string]string{messages.DrainKey(i.id): i.line.told.String()},
	}}})
	ctx.Send(i.observer, messages.HurryPolling{For: hurryPolls})
}

// hear follows what the channel shows.
func (i *instance) hear(ctx actor.Context) {
	if !i.supervised() {
		return
	}
	if i.sight.Said().Acked(i.line.told.Epoch) != "" {
		i.leaving.deaf = false
	}
	i.keepTelling(ctx)
	told, said := i.line.told, i.sight.Said()
	switch {
	case i.stage == stageTelling || i.stage == stageFinishing:
		i.heardLeaving(ctx, said.Acked(told.Epoch))
	case i.stage == stageRecalled && told.Epoch == 0 && (i.sight.Phase == messages.PhaseIdle || i.sight.Phase == messages.PhaseBusy):
		i.recallEnded(ctx)
	}
}

// keepTelling compares what stands in the queue with what is to stand there.
func (i *instance) keepTelling(ctx actor.Context) {
	told, said := i.line.told, i.sight.Said()
	switch {
	case told.Epoch == 0 && stopped(said): // an earlier owner told it to stop and is no more
		if i.leaving.reasons == nil {
			i.tell(ctx, true)
		}
	case told.Epoch == 0 || (told.Run && said.Acked(told.Epoch) == messages.AckRunning):
		i.line = line{last: i.line.last}
		i.wipe(ctx)
	case said.Drain.Epoch != told.Epoch:
		i.write(ctx)
	case i.line.shown == 0:
		i.line.shown = i.env.clock.Elapsed()
	}
}

// stopped says whether, as far as the channel shows, the agent pulls nothing.
func stopped(said messages.Channel) bool {
	return (said.Drain.Epoch > 0 && !said.Drain.Run) || said.Ack.State == messages.AckBusy || said.Ack.State == messages.AckDrained
}

// wipe removes what was said to a supervisor and has been heeded. Its answer
// stays until the instance is gone: the next epoch has to be above it, whatever
// the clock of the next owner says.
func (i *instance) wipe(ctx actor.Context) {
	key := messages.DrainKey(i.id)
	if queue, there := i.sight.Said().Keys[key]; there {
		ctx.Send(i.observer, messages.WriteSignals{Signals: []messages.Signal{{QueueID: queue, Delete: []string{key}}}})
	}
}
