package actors

import (
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

// madeQueue is a queue as the last poll showed it: one that was deleted, or renamed,
// and made anew has another id.
type madeQueue struct {
	id string
	// at is the poll that showed it in place of an earlier one; zero when none did.
	at time.Time
}

// noteQueues looks for queues that were made anew: agents go on with those that
// they found when they started.
func (r *resource) noteQueues(poll messages.WorkersPolled) {
	for _, name := range r.queues {
		queue, there := poll.Board.Queue(name)
		switch before := r.made[name]; {
		case !there || before.id == queue.ID:
		case before.id == "":
			r.made[name] = madeQueue{id: queue.ID}
		default:
			r.made[name] = madeQueue{id: queue.ID, at: poll.At}
		}
	}
}

// unserved are the queues of the resource type that the agent of a member does not
// pull from; none when nobody knows: the queues of an agent are those of its launch,
// and the configuration, or the server, may have got others since.
func (r *resource) unserved(m *member) []messages.QueueName {
	if len(m.row.Queues) == 0 && !m.row.Forsaken {
		return nil
	}
	var names []messages.QueueName
	launched := m.instance.LaunchedAt
	for _, name := range r.queues {
		earlier := launched.Before(r.born) || launched.Before(r.made[name].at) // what came later has what there is
		if earlier && !slices.Contains(m.row.Queues, name) {
			names = append(names, name)
		}
	}
	return names
}

// takenBack says whether a drain of a member may be called off for a waiting task.
func (r *resource) takenBack(m *member) bool { return m.recallable() && len(r.unserved(m)) == 0 }

// replace lets a member go, after its task, whose agent does not serve what it is
// counted on for: tasks would wait for it for ever.
func (r *resource) replace(ctx actor.Context, m *member) {
	live := m.phase == messages.PhaseIdle || m.phase == messages.PhaseBusy
	names := r.unserved(m)
	if len(names) == 0 || !live || r.stopping != "" || !r.known() || !m.usable(r.env.clock.Now()) {
		return
	}
	name := names[0]
	why := "its agent was started before its resource type served queue %s, and does not pull from it"
	if m.row.Forsaken || !r.made[name].at.IsZero() {
		why = "its agent was started before queue %s was made anew, and does not pull from it"
	}
	r.drain(ctx, m.instance.ID, messages.DrainInstance{Finish: true, Reasons: []messages.Reason{{
		Code: messages.ReasonPolicy, Subject: string(name), Detail: fmt.Sprintf(why, name),
	}}})
}

// at is its phase as it counts: who works though no poll shows it is busy.
func (m *member) at() messages.Phase {
	if m.hidden && m.phase == messages.PhaseBooting {
		return messages.PhaseBusy
	}
	return m.phase
}
