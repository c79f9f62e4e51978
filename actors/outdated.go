package actors

import (
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

// unserved is a queue of the resource type that the agent of a member does not pull
// from, empty when there is none, or nobody knows: the queues of an agent are those of
// its launch, and the configuration may have got others since.
func (r *resource) unserved(m *member) messages.QueueName {
	if len(m.row.Queues) == 0 || !m.instance.LaunchedAt.Before(r.born) { // what this life launches has what there is
		return ""
	}
	for _, name := range r.queues {
		if !slices.Contains(m.row.Queues, name) {
			return name
		}
	}
	return ""
}

// replace lets a member go, after its task, whose agent does not serve what it is
// counted on for: tasks would wait for it for ever.
func (r *resource) replace(ctx actor.Context, m *member) {
	live := m.phase == messages.PhaseIdle || m.phase == messages.PhaseBusy
	name := r.unserved(m)
	if name == "" || !live || r.stopping != "" || !r.known() || !m.usable(r.env.clock.Now()) {
		return
	}
	r.drain(ctx, m.instance.ID, messages.DrainInstance{Finish: true, Reasons: []messages.Reason{{
		Code: messages.ReasonPolicy, Subject: string(name),
		Detail: fmt.Sprintf("its agent was started before its resource type served queue %s, and does not pull from it", name),
	}}})
}

// at is its phase as it counts: who works though no poll shows it is busy.
func (m *member) at() messages.Phase {
	if m.hidden && m.phase == messages.PhaseBooting {
		return messages.PhaseBusy
	}
	return m.phase
}
