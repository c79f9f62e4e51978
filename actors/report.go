package actors

import (
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

// report says what the queue knows.
func (q *queue) report(ctx actor.Context, m messages.ReportQueue) {
	ctx.Send(ctx.Parent(), messages.QueueReported{Ask: m.Ask, Status: messages.QueueStatus{
		Queue: q.name, AsOf: q.env.clock.Now(), Known: q.polled, Waiting: q.waiting, WaitSeconds: q.wait().Seconds(), Verdict: q.verdict,
	}})
}

// report says what the resource type knows.
func (r *resource) report(ctx actor.Context, m messages.ReportResource) {
	now := r.env.clock.Now()
	status := messages.ResourceStatus{
		Resource: r.spec.Name, AsOf: now, Known: r.known(), Max: r.spec.Max, Alive: r.alive(), Offerings: r.spec.Offerings,
		Blocks:      r.blocks(now),
		IdleSeconds: r.spec.MaxIdle.Seconds(), SpinUpSeconds: r.spec.MaxSpinUp.Seconds(), BootSeconds: r.bootWithin().Seconds(),
	}
	for _, flight := range r.launching {
		status.Launching += flight.intent.Count
	}
	if class := r.heldBy(); class != "" {
		status.Held = append(status.Held, messages.Reason{Code: messages.ReasonLaunchRefused, Subject: string(class), Detail: r.refusals[class]})
	}
	instances := make([]messages.InstanceStatus, 0, len(r.members))
	for _, id := range r.order {
		instances = append(instances, r.members[id].status(r))
	}
	ctx.Send(ctx.Parent(), messages.ResourceReported{Ask: m.Ask, Status: status, Instances: instances})
}

// blocks are the offerings that may not be asked for now.
func (r *resource) blocks(now time.Time) []messages.Blocked {
	var blocks []messages.Blocked
	for _, offering := range r.spec.Offerings {
		if limit, until := r.learned.Breaker.Allows(now, offering.InstanceType, r.spec.Image); limit == 0 {
			blocks = append(blocks, messages.Blocked{Offering: offering, Class: blockBoots, Until: until})
			continue
		}
		if until, class, shut := r.learned.Memory.Shut(now, offering); shut {
			blocks = append(blocks, messages.Blocked{Offering: offering, Class: class, Until: until, Message: r.refusals[class]})
		}
	}
	return blocks
}

// condition is where the member is, in one word.
func (m *member) condition() messages.Condition {
	switch {
	case m.condemned:
		return messages.ConditionTerminating
	case m.draining:
		return messages.ConditionDraining
	case m.doomed:
		return messages.ConditionVanished
	}
	return messages.Condition(m.phase)
}

func (m *member) status(r *resource) messages.InstanceStatus {
	status := messages.InstanceStatus{
		Instance: m.instance.ID, Resource: r.spec.Name, Offering: m.instance.Offering,
		Condition: m.condition(), Since: m.since, LaunchedAt: m.instance.LaunchedAt, Worker: m.row.ID,
		Notice: m.said().Notice.Kind, HourlyUSD: r.price(m.instance.Offering),
	}
	if m.condition() == messages.ConditionIdle && !m.idleSince.IsZero() {
		status.Since = m.idleSince
	}
	if m.phase == messages.PhaseBusy && !m.condemned {
		status.Task, status.TaskName = m.row.Task, m.row.TaskName
	}
	if m.instance.Notice != "" {
		status.Notice = m.instance.Notice
	}
	if m.draining || m.doomed || m.condemned {
		status.Reasons = slices.Clone(m.order.Reasons)
	}
	return status
}

// price is the estimated price of an hour in US dollars; zero when nobody knows.
func (r *resource) price(offering messages.Offering) float64 {
	if r.spec.Price == nil {
		return 0
	}
	return r.spec.Price(offering)
}

// release lets instances go because an operator wants it: one by its name, whose
// task ends first unless it is forced, or all that are idle, as long as none of
// them takes a task.
func (r *resource) release(ctx actor.Context, m messages.ReleaseInstances) {
	answer := messages.InstancesReleased{Ask: m.Ask, Resource: r.spec.Name}
	wish := dismissal{Reasons: m.Reasons, Force: m.Force, Idle: m.Instance == ""}
	now := r.env.clock.Now()
	for _, id := range slices.Clone(r.order) {
		member := r.members[id]
		wanted := id == m.Instance || (m.Instance == "" && member.phase == messages.PhaseIdle && member.usable(now))
		if !wanted {
			continue
		}
		if why := r.drain(ctx, id, wish.order()); why != "" {
			answer.Failure = &messages.Failure{Class: messages.ClassInvalid, Message: fmt.Sprintf("%s %s", id, why)}
			continue
		}
		r.dismiss(ctx, id, wish)
		answer.Instances = append(answer.Instances, id)
	}
	if m.Instance == "" {
		answer.Failure = nil // those that are idle no more are not missed
	}
	ctx.Send(ctx.Parent(), answer)
	if len(answer.Instances) > 0 {
		r.unkept = append(r.unkept, m.Ask)
	}
}
