package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

// goneMost is how many ends are remembered: more than EC2 shows of an hour, but for
// a very large fleet, whose oldest ones may be told again after a restart.
const goneMost = 2000

// dismissal is an operator's order to let an instance go.
type dismissal struct {
	Reasons []messages.Reason `json:"reasons"`
	Force   bool              `json:"force,omitempty"`
	// Idle says that a task which comes first wins.
	Idle bool `json:"idle,omitempty"`
}

func (d dismissal) order() messages.DrainInstance {
	return messages.DrainInstance{Reasons: d.Reasons, Force: d.Force, Finish: !d.Idle && !d.Force}
}

// goneInstance is an instance whose end was told.
type goneInstance struct {
	Instance messages.InstanceID `json:"instance"`
	At       time.Time           `json:"at"`
}

// dismiss remembers that an operator wants the instance gone, until it is.
func (r *resource) dismiss(ctx actor.Context, id messages.InstanceID, d dismissal) {
	if r.learned.Dismissed == nil {
		r.learned.Dismissed = make(map[messages.InstanceID]dismissal)
	}
	r.learned.Dismissed[id] = d
	r.save(ctx)
}

// pardon forgets that.
func (r *resource) pardon(ctx actor.Context, id messages.InstanceID) {
	if _, there := r.learned.Dismissed[id]; there {
		delete(r.learned.Dismissed, id)
		r.save(ctx)
	}
}

// remindDismissed repeats an operator's order to a member that stays although it
// was dismissed: a former life was told, or it could not go then.
func (r *resource) remindDismissed(ctx actor.Context, m *member) {
	d, dismissed := r.learned.Dismissed[m.instance.ID]
	switch {
	case !dismissed || m.draining || m.doomed || m.condemned || !r.known():
	case d.Idle && m.phase == messages.PhaseBusy:
		r.pardon(ctx, m.instance.ID)
	default:
		r.drain(ctx, m.instance.ID, d.order())
	}
}

// told says whether the end of an instance was told before, by this life or another.
func (r *resource) told(id messages.InstanceID) bool {
	return slices.ContainsFunc(r.learned.Gone, func(g goneInstance) bool { return g.Instance == id })
}

// lives forgets that the end of an instance was told: EC2 shows it after all.
func (r *resource) lives(id messages.InstanceID) {
	r.learned.Gone = slices.DeleteFunc(r.learned.Gone, func(g goneInstance) bool { return g.Instance == id })
}

// ended remembers that the end of an instance is told.
func (r *resource) ended(ctx actor.Context, id messages.InstanceID) {
	delete(r.learned.Dismissed, id)
	now := r.env.clock.Now()
	r.learned.Gone = slices.DeleteFunc(r.learned.Gone, func(g goneInstance) bool { return now.Sub(g.At).Abs() > 2*time.Hour })
	r.learned.Gone = append(r.learned.Gone, goneInstance{Instance: id, At: now})
	r.learned.Gone = r.learned.Gone[max(0, len(r.learned.Gone)-goneMost):]
	r.save(ctx)
}
