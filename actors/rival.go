package actors

import (
	"fmt"
	"math"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// lookForRivals finds out whether another ebb, with another event server, acts for the
// same autoscaler: both would launch for the same tasks. The younger one launches
// nothing, and both say so.
func (a *autoscaler) lookForRivals(ctx actor.Context, board messages.Board) {
	signs := decide.Signs{ServerNow: a.snapshot.ServerNow, On: make(map[messages.QueueName]messages.Sign)}
	key := messages.SignKey(a.cfg.Name)
	for _, name := range board.Names() {
		queue, _ := board.Queue(name)
		if sign, ok := messages.ParseSign(queue.Metadata[key]); ok {
			signs.On[name] = sign
		}
	}
	gone := decide.RivalGone + 2*a.cfg.PollingInterval
	a.rivals = a.rivals.Look(a.env.steady(), gone, a.lease.Epoch, signs)
	epoch, queue, lives := a.rivals.Real()
	now := a.env.clock.Now()
	switch {
	case lives && (a.rival == nil || a.rival.Epoch != epoch):
		a.rival = &messages.Rival{Epoch: epoch, Queue: queue, Since: now, Holds: epoch < a.lease.Epoch}
		a.env.log.Error().Uint64("its_epoch", uint64(epoch)).Uint64("our_epoch", uint64(a.lease.Epoch)).Str("queue", string(queue)).
			Bool("we_hold", a.rival.Holds).Msg("another ebb with another event server acts for an autoscaler of this name")
		a.record(ctx, messages.AutoscalerContested(*a.rival))
	case !lives && a.rival != nil:
		a.record(ctx, messages.AutoscalerUncontested{ContestedSeconds: max(0, now.Sub(a.rival.Since).Seconds())})
		a.rival = nil
	}
}

// contested is why a rival, or who may be one, keeps us from launching; its code is
// empty when none does. Limit is in how many seconds it is clear at the latest, 0 for a
// rival that is known to live.
func (a *autoscaler) contested() messages.Reason {
	epoch, queue, left := a.rivals.Maybe(a.env.steady(), a.cfg.PollingInterval, a.lease.First)
	switch {
	case a.rival != nil && !a.rival.Holds:
		return messages.Reason{}
	case a.rival == nil && left > 0:
		return messages.Reason{Code: messages.ReasonContested, Limit: int64(math.Ceil(left.Seconds())), Detail: fmt.Sprintf(
			"owner %d of another event server gave a sign of life on queue %s a moment ago; within %s it shows whether it lives", epoch, queue, left.Round(time.Second),
		)}
	case a.rival == nil:
		return messages.Reason{}
	}
	return messages.Reason{Code: messages.ReasonContested, Detail: fmt.Sprintf(
		"since %s, by owner %d, whose sign of life is on queue %s", a.rival.Since.UTC().Format(time.RFC3339), a.rival.Epoch, a.rival.Queue,
	)}
}
