package actors

import (
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// member is what a resource type knows of one of its instances.
type member struct {
	instance  messages.Instance
	pid       *actor.PID
	phase     messages.Phase
	row       messages.WorkerState // the last row seen; zero ID before the first
	polled    bool                 // whether any poll has looked for its worker
	sightedAt time.Time
	idleSince time.Time
	expired   bool
	draining  bool
	order     messages.DrainInstance // while draining
	doomed    bool
	condemned bool
	late      bool // its end showed before the answer to its termination came
	absence   decide.Absence
}

// usable says whether the instance may be counted on for work.
func (m *member) usable() bool {
	state := m.instance.State
	return !m.draining && !m.doomed && !m.condemned && (state == messages.StatePending || state == messages.StateRunning)
}

// join makes an instance a member and starts its actor. One that is a member
// already stays as it is.
func (r *resource) join(ctx actor.Context, found messages.Instance) {
	if r.members[found.ID] != nil {
		return
	}
	id := found.ID
	r.members[id] = &member{
		instance: found, phase: messages.PhaseBooting, sightedAt: r.env.clock.Now(),
		pid: r.env.spawn(ctx, string(id), func() actor.Actor {
			return &instance{
				env: r.env, id: id, maxIdle: r.spec.MaxIdle, maxSpinUp: r.spec.MaxSpinUp,
				recorder: r.recorder, observer: r.observer, provisioner: r.provisioner,
			}
		}),
	}
	r.order = append(r.order, id)
	if r.stopping == messages.ShutdownAll {
		r.sight(ctx, r.members[id])
		r.drain(ctx, id, shutdownOrder(r.stopping))
	}
}

// leave ends the membership of an instance that exists no more.
func (r *resource) leave(ctx actor.Context, id messages.InstanceID, state messages.Instance) {
	m := r.members[id]
	reasons := m.order.Reasons
	switch {
	case m.condemned, len(reasons) > 0 && strings.Contains(state.StateReason, "User"):
	case strings.Contains(state.StateReason, "Spot"):
		reasons = []messages.Reason{{Code: messages.ReasonInterrupted, Detail: state.StateReason}}
	default:
		reasons = []messages.Reason{{Code: messages.ReasonEnded, Detail: state.StateReason}}
	}
	r.record(ctx, messages.InstanceGone{
		Instance: id, Resource: r.spec.Name, Offering: m.instance.Offering, Task: m.row.Task, Reasons: reasons,
		UpSeconds: max(0, r.env.clock.Now().Sub(m.instance.LaunchedAt).Seconds()),
	})
	ctx.Stop(m.pid)
	delete(r.members, id)
	r.order = slices.DeleteFunc(r.order, func(other messages.InstanceID) bool { return other == id })
}

// fleetListed compares a complete listing with the members, both ways.
func (r *resource) fleetListed(ctx actor.Context, listing messages.FleetListed) {
	if listing.At.Before(r.born) {
		return
	}
	if !r.reported {
		r.held = &listing
		return
	}
	r.listed = true
	unsettled := r.compareShown(ctx, listing)
	unsettled = r.compareAbsent(ctx, listing) || unsettled
	if unsettled || len(r.launching) > 0 {
		ctx.Send(r.inventory, messages.HurryListing{For: hurryFor})
	}
}

// compareShown goes over the instances of a listing: unknown ones are adopted,
// ended ones leave. unsettled says that some are about to change.
func (r *resource) compareShown(ctx actor.Context, listing messages.FleetListed) (unsettled bool) {
	slices.SortFunc(listing.Instances, func(a, b messages.Instance) int { return strings.Compare(string(a.ID), string(b.ID)) })
	for _, found := range listing.Instances {
		m := r.members[found.ID]
		switch {
		case m == nil && (found.State.Ending() || r.awaited(found)):
		case m == nil:
			r.adopt(ctx, found)
		case found.State.Ending() && (m.draining || m.doomed) && !m.condemned && !m.late:
			m.late, unsettled = true, true // the reasons are on their way
		case found.State.Ending():
			r.leave(ctx, found.ID, found)
		default:
			m.absence = decide.Absence{}
			unsettled = unsettled || m.condemned || found.State == messages.StatePending
			r.update(ctx, m, found)
		}
	}
	return unsettled
}

// compareAbsent goes over the members that a listing does not show; those that
// are missing for good leave. unsettled says that some may only be late.
func (r *resource) compareAbsent(ctx actor.Context, listing messages.FleetListed) (unsettled bool) {
	shown := make(map[messages.InstanceID]bool, len(listing.Instances))
	for _, found := range listing.Instances {
		shown[found.ID] = true
	}
	for _, id := range slices.Clone(r.order) {
		if shown[id] {
			continue
		}
		m := r.members[id]
		var gone bool
		if m.absence, gone = m.absence.Absent(listing.At, m.instance.LaunchedAt); gone {
			r.leave(ctx, id, messages.Instance{StateReason: "not in EC2's listings any more"})
			continue
		}
		unsettled = true
	}
	return unsettled
}

// awaited says whether an instance belongs to a launch that has not settled:
// it is counted there.
func (r *resource) awaited(found messages.Instance) bool {
	for _, flight := range r.launching {
		if flight.launch != "" && flight.launch == found.Launch {
			flight.shown = append(flight.shown, found)
			return true
		}
	}
	return false
}

func (r *resource) adopt(ctx actor.Context, found messages.Instance) {
	r.join(ctx, found)
	r.record(ctx, messages.InstanceAdopted{
		Instance: found.ID, Resource: r.spec.Name, Launch: found.Launch, Offering: found.Offering, State: found.State,
	})
}

// update takes over what EC2 says. The launch time matters to the instance
// actor: the answer of a launch has it first, a ledger record only nearly.
func (r *resource) update(ctx actor.Context, m *member, found messages.Instance) {
	launched := m.instance.LaunchedAt
	m.instance = found
	if !launched.Equal(found.LaunchedAt) {
		r.sight(ctx, m)
	}
}

// polled looks at every member's worker row, and tells the instance actors of
// those where something changed.
func (r *resource) polled(ctx actor.Context, m messages.WorkersPolled) {
	rows := make(map[messages.InstanceID]*messages.WorkerState, len(m.Workers))
	for i := range m.Workers {
		if worker, ok := messages.ParseWorkerID(m.Workers[i].ID); ok {
			rows[worker.Instance] = &m.Workers[i]
		}
	}
	for _, id := range r.order {
		r.observe(ctx, r.members[id], rows[id], m)
	}
}

func (r *resource) observe(ctx actor.Context, m *member, row *messages.WorkerState, poll messages.WorkersPolled) {
	phase := decide.PhaseOf(row, m.row.ID != "", poll.ServerNow)
	same := m.polled && phase == m.phase && (row == nil || (row.Task == m.row.Task && m.row.ID != ""))
	if row != nil {
		if phase == messages.PhaseIdle && m.phase != messages.PhaseIdle {
			m.idleSince, m.expired = r.idleFrom(m, row, poll), false
		}
		m.row = *row
	}
	m.phase, m.polled, m.sightedAt = phase, true, poll.At
	if !same {
		if phase != messages.PhaseIdle {
			m.idleSince, m.expired = time.Time{}, false
		}
		r.sight(ctx, m)
	}
}

// idleFrom is the earliest time from which a worker may have been idle: its
// registration when it was never seen before, else this poll.
func (r *resource) idleFrom(m *member, row *messages.WorkerState, poll messages.WorkersPolled) time.Time {
	if m.row.ID == "" && !row.Registered.IsZero() {
		return poll.At.Add(-max(0, poll.ServerNow.Sub(row.Registered)))
	}
	return poll.At
}

// sight tells an instance actor what is known of its instance.
func (r *resource) sight(ctx actor.Context, m *member) {
	worker := messages.Worker{
		Prefix: r.prefix, Resource: r.spec.Name, InstanceType: m.instance.Offering.InstanceType, Instance: m.instance.ID,
	}
	sighted := messages.InstanceSighted{
		At: m.sightedAt, Instance: m.instance, Phase: m.phase, Polled: m.polled, Worker: worker.ID(),
		Registered: m.row.Registered, IdleSince: m.idleSince,
	}
	if m.row.ID != "" {
		sighted.Worker = m.row.ID
	}
	if m.phase == messages.PhaseBusy {
		sighted.Task, sighted.TaskName = m.row.Task, m.row.TaskName
	}
	ctx.Send(m.pid, sighted)
}

// drain hands the order to end an instance to its actor.
func (r *resource) drain(ctx actor.Context, id messages.InstanceID, order messages.DrainInstance) {
	m := r.members[id]
	if m == nil || m.condemned || (m.draining && !order.Force) {
		return
	}
	m.draining, m.order = true, order
	ctx.Send(m.pid, order)
}

// onInstance handles what instance actors say. One of an instance that has
// left meanwhile is not heard.
func (r *resource) onInstance(ctx actor.Context, id messages.InstanceID, message any) {
	m := r.members[id]
	if m == nil {
		return
	}
	switch said := message.(type) {
	case messages.InstanceStarted:
		m.doomed = false // it finds out again
		r.sight(ctx, m)
		if m.draining {
			ctx.Send(m.pid, m.order)
		}
	case messages.InstanceExpired:
		if m.phase == messages.PhaseIdle && !m.expired {
			m.expired = true
			ctx.Send(ctx.Parent(), messages.CapacityChanged{Resource: r.spec.Name})
		}
	case messages.InstanceRetained:
		r.retained(m, said)
	case messages.InstanceDoomed:
		m.doomed, m.order.Reasons = true, said.Reasons
	case messages.InstanceCondemned:
		m.condemned, m.order.Reasons = true, said.Reasons
		ctx.Send(r.inventory, messages.HurryListing{For: hurryFor})
	}
}

// retained takes an instance back among those that may be counted on.
func (r *resource) retained(m *member, said messages.InstanceRetained) {
	if m.condemned {
		return
	}
	m.draining, m.order, m.doomed, m.expired = false, messages.DrainInstance{}, false, false
	if m.phase == messages.PhaseIdle && said.IdleSince.After(m.idleSince) {
		m.idleSince = said.IdleSince
	}
}
