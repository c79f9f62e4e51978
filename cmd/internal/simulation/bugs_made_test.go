package simulation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/messages"
)

// launching are the bugs on the way to EC2 and back.
func launching() []bug {
	return []bug{
		{"each RunInstances call has a new ClientToken", bendEC2(func(p *process, b *bentEC2) {
			n := 0
			b.launch = func(ctx context.Context, request messages.LaunchRequest) ([]messages.Instance, error) {
				n++
				request.Token = fmt.Sprintf("%s-%s-%d", request.Token, p.holder, n)
				return b.EC2.Launch(ctx, request)
			}
		}), says("never twice", `asked for \d+ instances and has`)},
		{"EC2 is called before the intent is on disk", bendLedger(func(p *process, b *bentLedger) {
			n := 0
			b.intend = func(_ context.Context, intent messages.LaunchIntent) (messages.LaunchRecord, error) {
				n++
				id := fmt.Sprintf("unwritten-%s-%d", p.holder, n)
				return messages.LaunchRecord{Launch: messages.LaunchID(id), Token: id, Intent: intent}, nil
			}
			b.settle = func(context.Context, messages.LaunchID, messages.LaunchOutcome) error { return nil }
		}), says("never twice", "without an intent in the ledger")},
		{"a restart does not read the ledger", amnesia(), overOrTwice()},
		{"what is on its way is not counted", bendMessages("autoscaler", func(message any) []any {
			if stated, ok := message.(messages.CapacityStated); ok {
				stated.Capacity.Alive -= stated.Capacity.Coming
				stated.Capacity.Coming = 0
				return []any{stated}
			}
			return []any{message}
		}), overOrTwice()},
		{"a launch is forgotten as soon as it is sent", bendMessages("resource", func(message any) []any {
			if intended, ok := message.(messages.LaunchIntended); ok {
				return []any{message, messages.LaunchSettled{Request: intended.Request, Launch: intended.Launch, Count: 1, Failure: &messages.Failure{
					Class: messages.ClassTransient, Message: "forgotten",
				}}}
			}
			return []any{message}
		}), overOrTwice()},
		{"a time-out is taken for a refusal", refusing(messages.ClassTransient, messages.ClassQuota), overOrTwice()},
		{
			"throttling is taken for lack of capacity", refusing(messages.ClassThrottled, messages.ClassNoCapacity),
			says("what events say is true", "is left out for want of capacity, and EC2 said"),
		},
		{"max_instances is one too high", &mistake{configure: func(_ *process, cfg *actors.Config) {
			cfg.Resources = slices.Clone(cfg.Resources)
			for i := range cfg.Resources {
				cfg.Resources[i].Max++
			}
		}}, says("never over", "are alive, at most")},
	}
}

// amnesia begins every life with an empty ledger, in a region that shows what it
// launched late.
func amnesia() *mistake {
	m := bendLedger(func(_ *process, b *bentLedger) {
		b.launches = func(ctx context.Context, since time.Time) ([]messages.LaunchRecord, error) {
			_, err := b.Ledger.Launches(ctx, since)
			return nil, err
		}
	})
	m.options = func(o *Options) { o.Region.Visible = fakeec2.Dist{Median: 20 * time.Second, P99: 90 * time.Second} }
	return m
}

// overOrTwice is what comes of launches that are not counted.
func overOrTwice() expected {
	return says("never over, never twice", "are alive, at most", "tasks that waited lately")
}

// refusing takes one class of failures of a launch for another one.
func refusing(from, to messages.FailureClass) *mistake {
	return bendEC2(func(_ *process, b *bentEC2) {
		b.launch = func(ctx context.Context, request messages.LaunchRequest) ([]messages.Instance, error) {
			instances, err := b.EC2.Launch(ctx, request)
			failure := messages.FailureOf(err)
			if failure == nil || failure.Class != from {
				return instances, err
			}
			return nil, &messages.Failure{Class: to, Code: failure.Code, Message: failure.Message}
		}
	})
}

// looking are the bugs in what is seen of the world.
func looking() []bug {
	trusting := bendMessages("resource", func(message any) []any {
		if polled, ok := message.(messages.WorkersPolled); ok {
			polled.Workers = slices.Clone(polled.Workers)
			for n := range polled.Workers {
				polled.Workers[n].Queues, polled.Workers[n].Forsaken = nil, false
			}
			return []any{polled}
		}
		return []any{message}
	})
	trusting.faults = []string{"queue", "reload"}
	return []bug{
		{"a listing that failed is taken for an empty one", bendEC2(func(_ *process, b *bentEC2) {
			b.list = func(ctx context.Context) ([]messages.Instance, error) {
				instances, err := b.EC2.List(ctx)
				if ctx.Err() != nil || err == nil {
					return instances, err
				}
				return nil, nil
			}
		}), unseen()},
		{"every agent is taken to pull from every queue", trusting, says("never leak, never lose a job", "not converged: (task|i)-")},
		{"one page of a listing is taken for all of it", bendEC2(func(_ *process, b *bentEC2) {
			b.list = func(ctx context.Context) ([]messages.Instance, error) {
				instances, err := b.EC2.List(ctx)
				return instances[:min(3, len(instances))], err
			}
		}), unseen()},
		{"instances of an earlier process are not adopted", bendEC2(func(_ *process, b *bentEC2) {
			mine := map[messages.InstanceID]bool{}
			b.launch = func(ctx context.Context, request messages.LaunchRequest) ([]messages.Instance, error) {
				instances, err := b.EC2.Launch(ctx, request)
				for _, i := range instances {
					mine[i.ID] = true
				}
				return instances, err
			}
			b.list = func(ctx context.Context) ([]messages.Instance, error) {
				instances, err := b.EC2.List(ctx)
				return slices.DeleteFunc(instances, func(i messages.Instance) bool { return !mine[i.ID] }), err
			}
		}), unseen()},
		{
			"a poll that failed is taken for empty queues", bendClearML(emptyPolls),
			says("what events say is true", "is said to have 0 waiting tasks"),
		},
		{"idle time is not remembered over tasks", forgetful(), says("never sooner than max_idle_time", "is ended as idle")},
	}
}

func unseen() expected {
	return says("never over, never twice, never leak",
		"are alive, at most", "tasks that waited lately", "is said to be gone and is alive", "still runs")
}

// emptyPolls answers a poll that failed with the queues of the last good one, and
// nothing in them.
func emptyPolls(p *process, b *bentClearML) {
	var last messages.ClearMLSnapshot
	b.observe = func(ctx context.Context, query messages.ClearMLQuery) (messages.ClearMLSnapshot, error) {
		snapshot, err := b.ClearML.Observe(ctx, query)
		if err == nil {
			last = snapshot
			return snapshot, nil
		}
		if last.At.IsZero() {
			return snapshot, err
		}
		empty := messages.ClearMLSnapshot{At: p.Now(), ServerNow: p.world.Now()}
		for _, queue := range last.Queues {
			queue.Entries = nil
			empty.Queues = append(empty.Queues, queue)
		}
		return empty, nil
	}
}

// forgetful lets an instance count as idle since its launch, and asks nobody
// whether that is so.
func forgetful() *mistake {
	m := bendMessages("instance", func(message any) []any {
		if sighted, ok := message.(messages.InstanceSighted); ok && !sighted.IdleSince.IsZero() {
			sighted.IdleSince = sighted.Instance.LaunchedAt
			return []any{sighted}
		}
		return []any{message}
	})
	m.configure = func(_ *process, cfg *actors.Config) {
		server := cfg.ClearML
		b := bentClearML{ClearML: server}
		b.activity = func(ctx context.Context, since time.Time, workers []messages.WorkerID) ([]messages.WorkerActivity, error) {
			activity, err := server.Activity(ctx, since, workers)
			for i := range activity {
				activity[i].LastEnd = time.Time{}
			}
			return activity, err
		}
		cfg.ClearML = b
	}
	return m
}

// draining are the bugs on the way out of an instance.
func draining() []bug {
	return []bug{
		{"an instance is ended without waiting for its supervisor", bendClearML(func(_ *process, b *bentClearML) {
			b.observe = func(ctx context.Context, query messages.ClearMLQuery) (messages.ClearMLSnapshot, error) {
				snapshot, err := b.ClearML.Observe(ctx, query)
				for _, queue := range snapshot.Queues {
					acknowledge(queue.Metadata)
				}
				return snapshot, err
			}
		}), busyKill()},
		{"a supervisor says drained while a task runs", &mistake{agents: func(server fakeagent.API) fakeagent.API {
			return bentAgents{API: server, sends: tooSoon}
		}}, busyKill()},
		{"a drain that is taken back is not written", calmly(bendClearML(func(_ *process, b *bentClearML) {
			b.signal = func(ctx context.Context, signal messages.Signal) error {
				for _, value := range signal.Set {
					if drain, ok := messages.ParseDrain(value); ok && drain.Run {
						return nil
					}
				}
				return b.ClearML.Signal(ctx, signal)
			}
		})), says("what is kept is kept", "after its drain had been called off")},
		{"closed queues are not opened", bendClearML(func(_ *process, b *bentClearML) {
			b.setTag = func(ctx context.Context, queueID, tag string, on bool) error {
				if !on {
					return nil
				}
				return b.ClearML.SetTag(ctx, queueID, tag, on)
			}
		}), says("never leak, never lose a job", "is left with (tag force_workers:off|key ebb.barrier)", "not converged: (task|i)-")},
		{"keys of instances that are gone are not deleted", bendClearML(func(_ *process, b *bentClearML) {
			b.signal = func(ctx context.Context, signal messages.Signal) error {
				signal.Delete = nil
				if len(signal.Set) == 0 {
					return nil
				}
				return b.ClearML.Signal(ctx, signal)
			}
		}), says("never leak", "is left with key")},
		{
			"any number of instances may look dead at once", massKill(),
			says("never a whole fleet", "were ended within ten minutes because they looked dead"),
		},
	}
}

// calmly lets a mistake be made in worlds without misfortunes.
func calmly(m *mistake) *mistake {
	m.faults = []string{}
	return m
}

func busyKill() expected {
	return says("never kill a busy worker", "was terminated with task-")
}

// acknowledge forges the answers to all drains that are written.
func acknowledge(metadata map[string]string) {
	for key, value := range metadata {
		id, about := messages.ChannelInstance(key)
		if drain, ok := messages.ParseDrain(value); about && ok && !drain.Run && key == messages.DrainKey(id) {
			metadata[messages.AckKey(id)] = messages.Ack{Epoch: drain.Epoch, At: drain.At, State: messages.AckDrained}.String()
		}
	}
}

// tooSoon makes "drained" of "busy".
func tooSoon(endpoint string, in fakeagent.Body) fakeagent.Body {
	if !strings.HasSuffix(endpoint, "queues.add_or_update_metadata") {
		return in
	}
	items, _ := in["metadata"].([]fakeagent.Body)
	changed := make([]fakeagent.Body, 0, len(items))
	for _, item := range items {
		value, _ := item["value"].(string)
		if ack, ok := messages.ParseAck(value); ok && ack.State == messages.AckBusy {
			ack.State = messages.AckDrained
			value = ack.String()
		}
		changed = append(changed, fakeagent.Body{"key": item["key"], "type": item["type"], "value": value})
	}
	return fakeagent.Body{"queue": in["queue"], "metadata": changed}
}

// massKill lets all instances go that look dead, in a world without misfortunes
// but one: half an hour on all of its sixteen workers freeze.
func massKill() *mistake {
	m := bendMessages("instance", func(message any) []any {
		if judged, ok := message.(messages.SuspectJudged); ok {
			judged.Allowed = true
			return []any{judged}
		}
		return []any{message}
	})
	m.options = func(o *Options) {
		o.AgentFaults, o.Throttle, o.LaunchFailure.Probability, o.NoQueues = nil, false, 0, false
		o.Unsupervised = true
		for i := range o.Resources {
			o.Resources[i].Max, o.Resources[i].MaxLifetime, o.Resources[i].MaxIdle = 16, 0, time.Hour
		}
	}
	m.befalls = func(w *World) {
		if err := w.Enqueue(w.options.Queues[0].Name, 16, 10*time.Second); err != nil {
			w.laws.breach("%s", err)
		}
		w.loop.clock.AfterFunc(20*time.Minute, func() {
			for _, r := range w.options.Resources {
				for w.Vanish(r.Name) == nil {
				}
			}
		})
	}
	return calmly(m)
}

// owning are the bugs with several processes, the ledger, the events.
func owning() []bug {
	return []bug{
		{"everybody gets the lease", bendOwnership(func(p *process, b *bentOwnership) {
			b.acquire = func(ctx context.Context, autoscaler messages.AutoscalerName) (messages.Lease, error) {
				lease, err := b.Ownership.Acquire(ctx, autoscaler)
				if failure := messages.FailureOf(err); failure != nil && failure.Class == messages.ClassHeld {
					return messages.Lease{Autoscaler: autoscaler, Holder: p.holder, Epoch: p.world.store.epochs}, nil
				}
				return lease, err
			}
			b.renew = kept(b)
		}), twoOwners()},
		{"a lease that is lost is kept", bendOwnership(func(_ *process, b *bentOwnership) { b.renew = kept(b) }), twoOwners()},
		{"one event in five is lost", &mistake{configure: func(_ *process, cfg *actors.Config) {
			n := 0
			cfg.Publisher = bentPublisher{Publisher: cfg.Publisher, drops: func(messages.Recorded) bool {
				n++
				return n%5 == 0
			}}
		}}, says("everything is explained", "no event tells")},
		{"a secret gets into an event", bendEC2(func(_ *process, b *bentEC2) {
			b.launch = func(ctx context.Context, request messages.LaunchRequest) ([]messages.Instance, error) {
				instances, err := b.EC2.Launch(ctx, request)
				if failure := messages.FailureOf(err); failure != nil {
					told := *failure
					told.Message += "; user data was: CLEARML_API_SECRET_KEY='" + secretKey + "'"
					return nil, &told
				}
				return instances, nil
			}
		}), says("no secret leaves", "has the secret key in it")},
	}
}

func twoOwners() expected { return says("one owner", "sends .* although .* acts, of a later epoch") }

// kept answers a renewal that failed with the lease as it was.
func kept(b *bentOwnership) func(context.Context, messages.Lease) (messages.Lease, error) {
	return func(ctx context.Context, lease messages.Lease) (messages.Lease, error) {
		renewed, err := b.Ownership.Renew(ctx, lease)
		if err != nil && ctx.Err() == nil {
			return lease, nil
		}
		return renewed, err
	}
}

// rescuing are the bugs with lost tasks.
func rescuing() []bug {
	return []bug{
		{"a task that its user aborted is put back like any other", bendClearML(unguarded), putBack()},
		{"a task is put back when EC2 announces to take its instance", bendMessages("rescuer", func(message any) []any {
			listed, ok := message.(messages.InstancesObserved)
			if !ok {
				return []any{message}
			}
			listed.Instances = slices.Clone(listed.Instances)
			for i := range listed.Instances {
				if listed.Instances[i].Notice != "" {
					listed.Instances[i].State = messages.StateTerminated
				}
			}
			return []any{listed}
		}), putBack()},
		{"a task that was put back is reported as not put back", bendClearML(func(_ *process, b *bentClearML) {
			b.requeue = func(ctx context.Context, request messages.Requeue) (messages.RequeueOutcome, error) {
				outcome, err := b.ClearML.Requeue(ctx, request)
				if err == nil && outcome.Done {
					return messages.RequeueOutcome{}, &messages.Failure{Class: messages.ClassTransient, Message: "reported as failed"}
				}
				return outcome, err
			}
		}), says("everything is explained", "no event tells that task-.* was put back")},
		{"lost tasks are not put back", bendClearML(func(_ *process, b *bentClearML) {
			b.unfinished = func(ctx context.Context) ([]messages.TaskState, error) {
				_, err := b.ClearML.Unfinished(ctx)
				return nil, err
			}
		}), says("never lose a job", "is not put back", "not converged: task-")},
	}
}

func putBack() expected { return says("never lose a job", "was put back although") }

// unguarded takes tasks that were aborted for tasks that run, and has the server
// take them back whatever they are.
func unguarded(p *process, b *bentClearML) {
	server := p.world.ml
	b.unfinished = func(ctx context.Context) ([]messages.TaskState, error) {
		states, err := b.ClearML.Unfinished(ctx)
		if err != nil {
			return nil, err
		}
		for _, id := range server.TaskIDs() {
			task, err := server.Task(id)
			if err == nil && task.Status == fakeclearml.StatusStopped {
				states = append(states, messages.TaskState{
					ID: messages.TaskID(id), Status: messages.TaskInProgress, QueueID: task.Queue,
					LastWorker: messages.WorkerID(task.LastWorker), LastUpdate: task.LastUpdate,
				})
			}
		}
		return states, nil
	}
	b.requeue = func(ctx context.Context, request messages.Requeue) (messages.RequeueOutcome, error) {
		if server.TaskStatus(string(request.Task)) != fakeclearml.StatusStopped {
			return b.ClearML.Requeue(ctx, request)
		}
		in := fakeclearml.EnqueueRequest{
			StatusRequest: fakeclearml.StatusRequest{Task: string(request.Task)}, QueueName: p.world.laws.tasks[string(request.Task)].queue,
		}
		if _, err := server.Enqueue(in); err != nil {
			return messages.RequeueOutcome{}, err
		}
		p.world.laws.requeued(string(request.Task))
		return messages.RequeueOutcome{Done: true}, nil
	}
}
