package actors

import (
	"maps"
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
	since     time.Time            // when its condition changed
	row       messages.WorkerState // the last row seen; zero ID before the first
	polled    bool                 // whether any poll has looked for its worker
	sightedAt time.Time
	found     time.Time // when its worker was first seen
	idleSince time.Time
	expired   bool
	draining  bool
	order     messages.DrainInstance // while draining
	recalled  bool                   // its drain was taken back and it is not at work yet
	foretold  bool                   // EC2 has announced to take it back
	doomed    bool
	hidden    bool // no poll ever showed its worker, and it stays all the same: it works
	cornered  bool // no supervisor answers, and its queues are being closed
	condemned bool
	late      bool // its end showed before the answer to its termination came
	absence   decide.Absence
	joined    time.Duration     // by the clock that only passes
	keptAt    time.Time         // when a drain that was to let it finish was called off
	channel   *messages.Channel // nil when nothing is said
	homeID    string
}

// usable says whether the instance may be counted on for work.
func (m *member) usable(now time.Time) bool {
	state := m.instance.State
	return !m.draining && !m.doomed && !m.condemned && !m.foretold && !m.mute(now) &&
		(state == messages.StatePending || state == messages.StateRunning)
}

// said is what is written about it, empty when nothing is.
func (m *member) said() messages.Channel {
	if m.channel == nil {
		return messages.Channel{}
	}
	return *m.channel
}

// mute says whether its supervisor was told to let the agent go on and has not
// answered for too long: the agent may pull nothing.
func (m *member) mute(now time.Time) bool {
	said := m.said().Drain
	return said.Run && m.said().Ack.Epoch < said.Epoch && now.Sub(said.At) > ackPatience
}

// runs is the task that its worker was running when last seen; one that was
// ended in order had none.
func (m *member) runs() messages.TaskID {
	if m.phase != messages.PhaseBusy || m.condemned {
		return ""
	}
	return m.row.Task
}

// recallable says whether a drain for being idle may still be taken back.
func (m *member) recallable() bool {
	return m.draining && !m.condemned && !m.doomed && !m.foretold && !m.order.Force && !m.order.Finish && m.homeID != "" &&
		m.said().Acked(m.said().Drain.Epoch) != messages.AckDrained && !m.cornered &&
		len(m.order.Reasons) > 0 && m.order.Reasons[0].Code == messages.ReasonIdle
}

// join makes an instance a member and starts its actor. One that is a member
// already stays as it is.
func (r *resource) join(ctx actor.Context, found messages.Instance) {
	if r.members[found.ID] != nil {
		return
	}
	id := found.ID
	r.members[id] = &member{
		instance: found, phase: messages.PhaseBooting, since: found.LaunchedAt, sightedAt: r.env.clock.Now(), joined: r.env.clock.Elapsed(),
		pid: r.env.spawn(ctx, string(id), func() actor.Actor {
			return &instance{
				env: r.env, id: id, maxIdle: r.spec.MaxIdle, maxLifetime: r.spec.MaxLifetime,
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
	if r.told(id) { // in a former life: the ledger and EC2 still showed it
		r.drop(ctx, id)
		return
	}
	r.ended(ctx, id)
	reasons := m.order.Reasons
	switch {
	case m.condemned, len(reasons) > 0 && (strings.Contains(state.StateReason, "User") || strings.Contains(state.StateReason, "InstanceInitiated")):
	case strings.Contains(state.StateReason, "Spot"):
		reasons = []messages.Reason{{Code: messages.ReasonInterrupted, Detail: state.StateReason}}
	default:
		reasons = []messages.Reason{{Code: messages.ReasonEnded, Detail: state.StateReason}}
	}
	r.record(ctx, messages.InstanceGone{
		Instance: id, Resource: r.spec.Name, Offering: m.instance.Offering, Task: m.runs(), Reasons: reasons,
		HourlyUSD: r.price(m.instance.Offering),
		UpSeconds: max(0, r.env.clock.Now().Sub(m.instance.LaunchedAt).Seconds()),
	})
	r.wipe(ctx, m)
	ctx.Send(ctx.Parent(), messages.BarrierDone{Instance: id})
	switch {
	case m.row.ID != "" || m.condemned: // it had its chance, or its boot counts already
	case m.gaveUp(state):
		r.unbooted(ctx, m, "the last instances ended before they had a worker; see their console output in EC2, and the reasons in instance.gone")
	case r.outdated(m):
	default: // nobody knows whether it would have booted
		r.learned.Breaker = r.learned.Breaker.Unanswered(m.instance.Offering.InstanceType, r.spec.Image)
	}
	r.drop(ctx, id)
}

// drop forgets a member.
func (r *resource) drop(ctx actor.Context, id messages.InstanceID) {
	ctx.Stop(r.members[id].pid)
	delete(r.members, id)
	r.order = slices.DeleteFunc(r.order, func(other messages.InstanceID) bool { return other == id })
}

// fleetListed compares a complete listing with the members, both ways.
func (r *resource) fleetListed(ctx actor.Context, listing messages.FleetListed) {
	if listing.At.Before(r.born) && !r.born.After(r.env.clock.Now()) {
		return // one that lies ahead was before our clock was set back
	}
	if !r.reported {
		r.held = &listing
		return
	}
	if r.listings == 0 || listing.At.Sub(r.lastList).Abs() >= listedTwice {
		r.listings, r.lastList = r.listings+1, listing.At
		if r.listings == 2 {
			ctx.Send(ctx.Parent(), messages.CapacityChanged{Resource: r.spec.Name})
		}
	}
	unsettled := r.compareShown(ctx, listing)
	unsettled = r.compareAbsent(ctx, listing) || unsettled
	if unsettled || len(r.launching) > 0 || r.listings < 2 {
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
		if m.absence, gone = m.absence.Absent(r.env.steady(), r.steadyLaunch(m)); gone {
			r.leave(ctx, id, messages.Instance{StateReason: "not in EC2's listings any more"})
			continue
		}
		unsettled = true
	}
	return unsettled
}

// steadyLaunch is the latest that a member may have been launched, on that clock:
// as long ago as EC2 says, and as this life knows it.
func (r *resource) steadyLaunch(m *member) time.Time {
	age := min(r.env.clock.Now().Sub(m.instance.LaunchedAt), r.env.clock.Elapsed()-m.joined)
	return r.env.steady().Add(-max(0, age))
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
	r.lives(found.ID)
	r.join(ctx, found)
	r.record(ctx, messages.InstanceAdopted{
		Instance: found.ID, Resource: r.spec.Name, Launch: found.Launch, Offering: found.Offering, State: found.State,
		HourlyUSD: r.price(found.Offering),
	})
	r.catchUp(ctx, found.ID)
}

// catchUp has a member that was found take part in the poll that came before it was:
// one that is at work must not pass for one that boots, and is to come free, until the
// next poll.
func (r *resource) catchUp(ctx actor.Context, id messages.InstanceID) {
	if r.early != nil {
		r.observe(ctx, r.members[id], r.early.rows[id], r.early.WorkersPolled)
	}
}

// update takes over what EC2 says. The launch time matters to the instance
// actor: the answer of a launch has it first, a ledger record only nearly.
func (r *resource) update(ctx actor.Context, m *member, found messages.Instance) {
	before := m.instance
	m.instance = found
	if !before.LaunchedAt.Equal(found.LaunchedAt) || before.Home != found.Home || before.Notice != found.Notice {
		m.homeID = r.homeOf(m)
		r.sight(ctx, m)
	}
}

// homeOf is ClearML's id of the queue that a member's supervisor listens on, as
// far as the last poll showed.
func (r *resource) homeOf(m *member) string {
	queue, ok := r.board.Queue(m.instance.Home)
	if !ok {
		return m.homeID
	}
	return queue.ID
}

// wipe removes everything that the queues still say of an instance that is gone.
func (r *resource) wipe(ctx actor.Context, m *member) {
	keys := m.said().Keys
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		ctx.Send(r.observer, messages.WriteSignals{Signals: []messages.Signal{{QueueID: keys[key], Delete: []string{key}}}})
	}
}

// polled looks at every member's worker row, and tells the instance actors of
// those where something changed.
func (r *resource) polled(ctx actor.Context, m messages.WorkersPolled) {
	if m.Board.Empty() {
		return // a server that knows no queue at all knows nothing of workers either
	}
	rows := make(map[messages.InstanceID]*messages.WorkerState, len(m.Workers))
	for i := range m.Workers {
		if worker, ok := messages.ParseWorkerID(m.Workers[i].ID); ok {
			rows[worker.Instance] = &m.Workers[i]
		}
	}
	r.board, r.early = m.Board, nil
	r.noteQueues(m)
	if !r.known() {
		r.early = &earlyPoll{m, rows}
	}
	for _, id := range r.order {
		r.observe(ctx, r.members[id], rows[id], m)
		r.remindDismissed(ctx, r.members[id])
		r.replace(ctx, r.members[id])
	}
}

func (r *resource) observe(ctx actor.Context, m *member, row *messages.WorkerState, poll messages.WorkersPolled) {
	phase := decide.PhaseOf(row, m.row.ID != "", poll.ServerNow)
	channel, home := poll.Board.Channel(m.instance.ID), r.homeOf(m)
	if m.unhindered(phase, home) {
		m.keptAt = time.Time{}
	}
	same := m.shows(row, phase) && !awaits(phase) && home == m.homeID && m.silent(channel)
	m.channel, m.homeID = nil, home
	if len(channel.Keys) > 0 {
		m.channel = &channel
	}
	if row != nil && m.row.ID == "" && m.polled && phase != messages.PhaseVanished { // it came while we looked
		r.booted(ctx, m, row)
	}
	if row != nil {
		r.listed(m, row, phase, poll)
	}
	if phase != m.phase {
		m.since = poll.At
	}
	m.phase, m.polled, m.sightedAt = phase, true, poll.At
	if !same {
		if phase != messages.PhaseIdle {
			m.idleSince, m.expired = time.Time{}, false
		}
		r.sight(ctx, m)
	}
}

// listed takes over what a poll shows of its worker.
func (r *resource) listed(m *member, row *messages.WorkerState, phase messages.Phase, poll messages.WorkersPolled) {
	if phase == messages.PhaseIdle && m.phase != messages.PhaseIdle {
		m.idleSince, m.expired = r.idleFrom(m, row, poll), false
	}
	if m.found.IsZero() {
		m.found = poll.At
	}
	m.row, m.hidden = *row, false
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
		Registered: m.row.Registered, IdleSince: m.idleSince, Found: m.found,
		BootWithin: r.bootWithin(), HomeID: m.homeID, Channel: m.channel,
	}
	if m.row.ID != "" {
		sighted.Worker = m.row.ID
	}
	if m.phase == messages.PhaseBusy {
		sighted.Task, sighted.TaskName = m.row.Task, m.row.TaskName
	}
	ctx.Send(m.pid, sighted)
}

// drain hands the order to end an instance to its actor. It answers why not,
// empty when it did.
func (r *resource) drain(ctx actor.Context, id messages.InstanceID, order messages.DrainInstance) (whyNot string) {
	m := r.members[id]
	switch {
	case m == nil:
		return "does not exist"
	case m.condemned:
		return "is being terminated already"
	case (m.draining || m.doomed) && !order.Force:
		return "is being drained already"
	case order.Finish && m.homeID == "" && m.phase == messages.PhaseBusy: // what is idle later goes then
		return "runs a task, and has no supervisor that could let it finish"
	case order.Finish && r.env.clock.Now().Sub(m.keptAt) < finishAgain:
		return "could not be told to finish a short time ago"
	}
	m.draining, m.recalled, m.order, m.since = true, false, order, r.env.clock.Now()
	ctx.Send(m.pid, order)
	return ""
}

// endSoon is how long the end of an instance is looked for once EC2 announced it.
const endSoon = 3 * time.Minute

// finishAgain is how long an instance that could not be told to finish is left
// alone.
const finishAgain = 10 * time.Minute

// recall takes back the drain of an instance that may still be.
func (r *resource) recall(ctx actor.Context, id messages.InstanceID, reasons []messages.Reason) {
	if m := r.members[id]; m != nil && m.recallable() {
		m.draining, m.recalled, m.order, m.since = false, true, messages.DrainInstance{}, r.env.clock.Now()
		ctx.Send(m.pid, messages.RecallInstance{Reasons: reasons})
	}
}

// onInstance handles what instance actors say. One of an instance that has
// left meanwhile is not heard.
//
//nolint:cyclop // one case for each message
func (r *resource) onInstance(ctx actor.Context, id messages.InstanceID, message any) {
	m := r.members[id]
	if m == nil {
		return
	}
	switch said := message.(type) {
	case messages.InstanceStarted:
		m.doomed, m.cornered, m.recalled, m.foretold = false, false, false, false // it finds out again
		r.sight(ctx, m)
		if m.draining {
			ctx.Send(m.pid, m.order)
		}
	case messages.InstanceExpired:
		switch {
		case m.phase == messages.PhaseIdle && m.mute(r.env.clock.Now()): // no plan counts on it, so none lets it go
			r.drain(ctx, id, messages.DrainInstance{Reasons: []messages.Reason{{
				Code: messages.ReasonIdle, Detail: "its supervisor does not answer, so that nobody knows whether it takes tasks",
			}}})
		case m.phase == messages.PhaseIdle && !m.expired:
			m.expired = true
			ctx.Send(ctx.Parent(), messages.CapacityChanged{Resource: r.spec.Name})
		}
	case messages.InstanceOutlived:
		r.drain(ctx, id, messages.DrainInstance{Finish: true, Reasons: []messages.Reason{{
			Code: messages.ReasonMaxLifetime, Limit: int64(r.spec.MaxLifetime.Seconds()),
			Got: int64(r.env.clock.Now().Sub(m.instance.LaunchedAt).Seconds()), Detail: "older than max_lifetime of " + r.spec.MaxLifetime.String(),
		}}})
	case messages.InstanceForetold:
		m.foretold = true
		ctx.Send(r.inventory, messages.HurryListing{For: endSoon})
		r.drain(ctx, id, messages.DrainInstance{Finish: true, Reasons: []messages.Reason{{
			Code: messages.ReasonInterrupted, Detail: "EC2 has announced to take it back",
		}}})
		ctx.Send(ctx.Parent(), messages.CapacityChanged{Resource: r.spec.Name})
	case messages.InstanceRetained:
		r.retained(ctx, m, said)
	case messages.InstanceDoomed:
		if !m.doomed {
			m.since = r.env.clock.Now()
		}
		m.doomed, m.order.Reasons = true, said.Reasons
		ctx.Send(ctx.Parent(), messages.SuspectInstance{Resource: r.spec.Name, Instance: id})
	case messages.InstanceCornered:
		m.cornered = true
		ctx.Send(ctx.Parent(), messages.AskBarrier{
			Resource: r.spec.Name, Instance: id, Queues: m.row.Queues, Unserved: r.unserved(m), Forsaken: m.row.Forsaken,
		})
	case messages.InstanceCondemned:
		if len(said.Reasons) > 0 && said.Reasons[0].Code == messages.ReasonNeverRegistered && !m.condemned {
			r.learned.Boots = r.learned.Boots.Late()
			r.unbooted(ctx, m, "no worker appeared on the last instances; see their console output in instance.unready")
		}
		m.condemned, m.order.Reasons, m.since = true, said.Reasons, r.env.clock.Now()
		ctx.Send(ctx.Parent(), messages.BarrierDone{Instance: id})
		ctx.Send(r.inventory, messages.HurryListing{For: hurryFor})
	}
}

// retained takes an instance back among those that may be counted on.
func (r *resource) retained(ctx actor.Context, m *member, said messages.InstanceRetained) {
	if m.condemned {
		return
	}
	ctx.Send(ctx.Parent(), messages.BarrierDone{Instance: m.instance.ID})
	if m.order.Finish {
		m.keptAt = r.env.clock.Now()
	}
	if d, dismissed := r.learned.Dismissed[m.instance.ID]; dismissed && d.Idle {
		r.pardon(ctx, m.instance.ID)
	}
	m.hidden = m.hidden || (m.doomed && m.phase == messages.PhaseBooting)
	m.draining, m.order, m.doomed, m.cornered, m.expired, m.recalled = false, messages.DrainInstance{}, false, false, false, false
	m.since = r.env.clock.Now()
	if m.phase == messages.PhaseIdle && said.IdleSince.After(m.idleSince) {
		m.idleSince = said.IdleSince
	}
}
