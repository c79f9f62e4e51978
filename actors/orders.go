package actors

import (
	"fmt"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

// asking is an order under way: answers come in until all are there, for a while at
// the most; an actor that has failed meanwhile never answers.
type asking struct {
	asker    *actor.PID
	status   *messages.Status // of a report
	missing  map[string]bool  // who has not answered
	let      []messages.InstanceID
	failure  *messages.Failure
	instance messages.InstanceID // that was asked for by name
	patience alarm
}

// order carries out what an operator asks.
func (a *autoscaler) order(ctx actor.Context, m messages.Ordered) {
	answer := messages.Answered{Ask: m.Ask}
	if _, only := m.Order.(messages.ReportStatus); a.stop != nil && !only {
		answer.Failure = &messages.Failure{Class: messages.ClassInvalid, Message: "the autoscaler is stopping"}
		ctx.Respond(answer)
		return
	}
	switch order := m.Order.(type) {
	case messages.ReportStatus:
		a.report(ctx, m.Ask)
		return
	case messages.PauseLaunches:
		if answer.Failure = a.pauseLaunches(ctx, m.By, order); answer.Failure == nil {
			a.askSaved(ctx, m.Ask)
			return
		}
	case messages.ResumeLaunches:
		if answer.Failure = a.resumeLaunches(ctx, m.By); answer.Failure == nil {
			a.askSaved(ctx, m.Ask)
			return
		}
	case messages.DrainInstanceNow:
		a.release(ctx, m.Ask, messages.ReleaseInstances{
			Ask: m.Ask, Instance: order.Instance, Force: order.Force, Reasons: operatorReasons(m.By, order.Force),
		}, a.resourceNames())
		return
	case messages.DrainIdleNow:
		names := a.resourceNames()
		if order.Resource != "" {
			if a.resources[order.Resource] == nil {
				answer.Failure = &messages.Failure{Class: messages.ClassNotFound, Message: fmt.Sprintf("there is no resource type %q", order.Resource)}
				break
			}
			names = []messages.ResourceName{order.Resource}
		}
		a.release(ctx, m.Ask, messages.ReleaseInstances{Ask: m.Ask, Reasons: operatorReasons(m.By, false)}, names)
		return
	}
	ctx.Respond(answer)
}

func operatorReasons(by string, force bool) []messages.Reason {
	detail := "asked for"
	if by != "" {
		detail += " by " + by
	}
	if force {
		detail += ", whatever it runs"
	}
	return []messages.Reason{{Code: messages.ReasonOperator, Detail: detail}}
}

// ask begins to wait for answers.
func (a *autoscaler) ask(ctx actor.Context, id messages.AskID, asked *asking) {
	if a.asked == nil {
		a.asked = make(map[messages.AskID]*asking)
	}
	asked.asker, asked.missing = ctx.Sender(), make(map[string]bool)
	a.asked[id] = asked
	patience := a.cfg.AnswerFresh
	if asked.status != nil {
		// Who asks for one, a probe or a page, waits 3 s: less is more than nothing.
		patience = patience * 2 / 5
	}
	asked.patience.set(a.env, ctx, askAlarm(id), patience)
}

// storeOf is who answers once an order would outlive a restart.
const (
	storeOf    = "the store of "
	pauseStore = storeOf + "the pause"
)

// askSaved answers once the pause, or its end, would outlive a restart.
func (a *autoscaler) askSaved(ctx actor.Context, id messages.AskID) {
	asked := &asking{}
	a.ask(ctx, id, asked)
	asked.missing[pauseStore] = true
}

func askAlarm(id messages.AskID) string { return fmt.Sprintf("ask %d", id) }

// report gathers a status.
func (a *autoscaler) report(ctx actor.Context, id messages.AskID) {
	asked := &asking{status: &messages.Status{
		Autoscaler: a.cfg.Name, At: a.env.clock.Now(), Version: a.cfg.Version,
		Holder: a.lease.Holder, Epoch: a.lease.Epoch, StartedAt: a.born, Stopping: a.stop != nil,
		ClearML: a.sources[sourceClearML].status(), EC2: a.sources[sourceEC2].status(),
		EventsPending: int(a.outbox.waiting.Load()), EventsLost: int(a.outbox.lost.Load()),
		Queues: []messages.QueueStatus{}, Resources: []messages.ResourceStatus{}, Instances: []messages.InstanceStatus{},
	}}
	if a.pause.on() {
		pause := a.pause.Pause
		asked.status.Pause = &pause
	}
	if a.rival != nil {
		rival := *a.rival
		asked.status.Rival = &rival
	}
	a.ask(ctx, id, asked)
	for _, q := range a.cfg.Queues {
		asked.missing["queue "+string(q.Name)] = true
		ctx.Send(a.queues[q.Name], messages.ReportQueue{Ask: id})
	}
	for _, name := range a.resourceNames() {
		asked.missing["resource "+string(name)] = true
		ctx.Send(a.resources[name], messages.ReportResource{Ask: id})
	}
	a.answered(ctx, id)
}

// release lets instances go.
func (a *autoscaler) release(ctx actor.Context, id messages.AskID, order messages.ReleaseInstances, from []messages.ResourceName) {
	asked := &asking{instance: order.Instance}
	a.ask(ctx, id, asked)
	for _, name := range from {
		asked.missing["resource "+string(name)] = true
		ctx.Send(a.resources[name], order)
	}
	a.answered(ctx, id)
}

func (a *autoscaler) queueReported(ctx actor.Context, m messages.QueueReported) {
	asked := a.asked[m.Ask]
	if asked == nil || asked.status == nil {
		return
	}
	for _, q := range a.cfg.Queues {
		if q.Name == m.Status.Queue {
			m.Status.Resources = q.Resources
		}
	}
	asked.status.Queues = append(asked.status.Queues, m.Status)
	delete(asked.missing, "queue "+string(m.Status.Queue))
	a.answered(ctx, m.Ask)
}

func (a *autoscaler) resourceReported(ctx actor.Context, m messages.ResourceReported) {
	asked := a.asked[m.Ask]
	if asked == nil || asked.status == nil {
		return
	}
	m.Status.Retired = slices.Contains(a.retired, m.Status.Resource)
	asked.status.Resources = append(asked.status.Resources, m.Status)
	asked.status.Instances = append(asked.status.Instances, m.Instances...)
	delete(asked.missing, "resource "+string(m.Status.Resource))
	a.answered(ctx, m.Ask)
}

func (a *autoscaler) instancesReleased(ctx actor.Context, m messages.InstancesReleased) {
	asked := a.asked[m.Ask]
	if asked == nil {
		return
	}
	asked.let = append(asked.let, m.Instances...)
	if m.Failure != nil {
		asked.failure = m.Failure
	}
	delete(asked.missing, "resource "+string(m.Resource))
	if len(m.Instances) > 0 {
		asked.missing[storeOf+string(m.Resource)] = true
	}
	a.answered(ctx, m.Ask)
}

func (a *autoscaler) releaseKept(ctx actor.Context, m messages.ReleaseKept) {
	if asked := a.asked[m.Ask]; asked != nil {
		delete(asked.missing, storeOf+string(m.Resource))
		a.answered(ctx, m.Ask)
	}
}

// answered answers an order once everybody has, or nobody is left to.
func (a *autoscaler) answered(ctx actor.Context, id messages.AskID) {
	if asked := a.asked[id]; asked != nil && len(asked.missing) == 0 {
		a.closeAsk(ctx, id)
	}
}

// askOverdue answers with what there is. It says whether the alarm was of an
// order.
func (a *autoscaler) askOverdue(ctx actor.Context, m rang) {
	for id, asked := range a.asked {
		if m.name == askAlarm(id) && asked.patience.heeds(m) {
			a.closeAsk(ctx, id)
			return
		}
	}
}

func (a *autoscaler) closeAsk(ctx actor.Context, id messages.AskID) {
	asked := a.asked[id]
	delete(a.asked, id)
	asked.patience.cancel()
	answer := messages.Answered{Ask: id, Status: asked.status, Instances: asked.let, Failure: asked.failure}
	silent := make([]string, 0, len(asked.missing))
	for who := range asked.missing {
		silent = append(silent, who)
	}
	slices.Sort(silent)
	switch {
	case asked.status != nil:
		asked.status.Silent = silent
		a.inOrder(asked.status)
	case slices.ContainsFunc(silent, func(who string) bool { return strings.HasPrefix(who, storeOf) }):
		answer.Failure = &messages.Failure{
			Class: messages.ClassTransient, Message: "it is in effect, but not saved yet: a restart now would not know of it; look again with status",
		}
	case len(silent) > 0 && len(asked.let) == 0:
		answer.Failure = &messages.Failure{Class: messages.ClassTransient, Message: "no answer in time from " + strings.Join(silent, ", ")}
	case asked.instance != "" && len(asked.let) == 0 && asked.failure == nil:
		answer.Failure = &messages.Failure{Class: messages.ClassNotFound, Message: fmt.Sprintf("there is no instance %q", asked.instance)}
	}
	ctx.Send(asked.asker, answer)
}

// inOrder puts a status into the order of the configuration.
func (a *autoscaler) inOrder(status *messages.Status) {
	rank := make(map[messages.QueueName]int, len(a.cfg.Queues))
	for n, q := range a.cfg.Queues {
		rank[q.Name] = n
	}
	slices.SortFunc(status.Queues, func(x, y messages.QueueStatus) int { return rank[x.Queue] - rank[y.Queue] })
	names := a.resourceNames()
	slices.SortFunc(status.Resources, func(x, y messages.ResourceStatus) int {
		return slices.Index(names, x.Resource) - slices.Index(names, y.Resource)
	})
	slices.SortFunc(status.Instances, func(x, y messages.InstanceStatus) int {
		return strings.Compare(string(x.Instance), string(y.Instance))
	})
}

// status is how the source answers, for people.
func (s *source) status() messages.SourceStatus {
	return messages.SourceStatus{LastGood: s.lastGood, DownSince: s.down, Class: s.class, Message: s.message}
}
