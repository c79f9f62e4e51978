// Package dashtest is an engine for trying the dashboard: autoscalers that exist in
// memory only, with as many instances as wanted, whose events and status agree with
// each other.
package dashtest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/messages"
)

// World is the engine, the operator and the events of some autoscalers. Its methods
// may be called by several goroutines.
type World struct {
	clock dashboard.Clock

	mu      sync.Mutex
	rand    *rand.Rand
	all     []*scaler
	stored  []messages.Recorded
	readers map[*reader]struct{}
	count   int
	asleep  bool
	orders  []string
}

type reader struct{ wake chan struct{} }

type scaler struct {
	status    messages.Status
	instances map[messages.InstanceID]*messages.InstanceStatus
	order     []messages.InstanceID
}

// New makes a world with the named autoscalers, of which the first has n instances
// and the others a few.
func New(clock dashboard.Clock, seed uint64, n int, names ...messages.AutoscalerName) *World {
	w := &World{clock: clock, rand: rand.New(rand.NewPCG(seed, 1)), readers: make(map[*reader]struct{})}
	for at, name := range names {
		s := &scaler{instances: make(map[messages.InstanceID]*messages.InstanceStatus)}
		s.status = messages.Status{
			Autoscaler: name, Version: "test", Holder: "host-1:4242:ABCDEF", Epoch: 1, StartedAt: clock.Now().Add(-30 * time.Hour),
			Queues: []messages.QueueStatus{
				{Queue: "training", Known: true, Resources: []messages.ResourceName{"gpu-spot", "gpu"}},
				{Queue: "inference / nightly", Known: true, Resources: []messages.ResourceName{"gpu"}},
				{Queue: "cpu", Known: true, Resources: []messages.ResourceName{"cpu"}},
			},
		}
		if at > 0 {
			n = 7 * at
		}
		for i, name := range []messages.ResourceName{"gpu-spot", "gpu", "cpu"} {
			s.status.Resources = append(s.status.Resources, messages.ResourceStatus{
				Resource: name, Known: true, Max: n/2 + 4*i + 2, Offerings: offerings(name), IdleSeconds: 900, SpinUpSeconds: 1800, BootSeconds: 240,
			})
		}
		w.all = append(w.all, s)
		for range n {
			w.launch(s, true)
		}
	}
	return w
}

func offerings(resource messages.ResourceName) []messages.Offering {
	var all []messages.Offering
	for _, zone := range []string{"us-east-1a", "us-east-1b", "us-east-1c"} {
		switch resource {
		case "gpu-spot":
			all = append(all, messages.Offering{Market: messages.Spot, InstanceType: "g5.xlarge", Zone: zone},
				messages.Offering{Market: messages.Spot, InstanceType: "g4dn.xlarge", Zone: zone})
		case "gpu":
			all = append(all, messages.Offering{Market: messages.OnDemand, InstanceType: "g5.xlarge", Zone: zone})
		default:
			all = append(all, messages.Offering{Market: messages.OnDemand, InstanceType: "m7i.2xlarge", Zone: zone})
		}
	}
	return all
}

// record stores an event and wakes who follows. The caller holds mu.
func (w *World) record(s *scaler, event messages.Event) {
	w.count++
	w.stored = append(w.stored, messages.Recorded{
		ID: fmt.Sprintf("test.%d", w.count), Autoscaler: s.status.Autoscaler, At: w.clock.Now(), Event: event,
	})
	for r := range w.readers {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// launch adds an instance; an old one has lived for a while.
func (w *World) launch(s *scaler, old bool) {
	resource := []messages.ResourceName{"gpu-spot", "gpu-spot", "gpu-spot", "gpu", "cpu"}[w.rand.IntN(5)]
	all := offerings(resource)
	i := &messages.InstanceStatus{
		Instance: messages.InstanceID(fmt.Sprintf("i-%017x", w.rand.Uint64()>>4)), Resource: resource, Offering: all[w.rand.IntN(len(all))],
		Condition: messages.ConditionBooting, LaunchedAt: w.clock.Now(), Since: w.clock.Now(),
	}
	i.HourlyUSD = map[messages.ResourceName]float64{"gpu-spot": 0.4512, "gpu": 1.006, "cpu": 0}[resource]
	s.instances[i.Instance] = i
	s.order = append(s.order, i.Instance)
	if !old {
		w.record(s, messages.InstanceLaunched{Instance: i.Instance, Resource: resource, Launch: "test-1", Offering: i.Offering, HourlyUSD: i.HourlyUSD})
		return
	}
	i.LaunchedAt = w.clock.Now().Add(-time.Duration(w.rand.IntN(36000)) * time.Second)
	i.Since = w.clock.Now().Add(-time.Duration(w.rand.IntN(600)) * time.Second)
	i.Condition = []messages.Condition{
		messages.ConditionBusy, messages.ConditionBusy, messages.ConditionBusy, messages.ConditionIdle, messages.ConditionBooting,
	}[w.rand.IntN(5)]
	if i.Condition == messages.ConditionBusy {
		i.Task, i.TaskName = w.task()
	}
}

func (w *World) task() (messages.TaskID, string) {
	names := []string{"train resnet50 fold 3", "hyper-parameter search", "nightly evaluation", "tokenize corpus", "export onnx"}
	return messages.TaskID(fmt.Sprintf("%016x%016x", w.rand.Uint64(), w.rand.Uint64())), names[w.rand.IntN(len(names))]
}

// Step changes one instance of the first autoscaler by one state.
func (w *World) Step() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.step(w.all[0])
}

// StepAll changes one instance of each autoscaler.
func (w *World) StepAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.all {
		w.step(s)
	}
}

func (w *World) step(s *scaler) {
	if w.rand.IntN(12) == 0 {
		w.demand(s)
		return
	}
	if len(s.order) == 0 {
		w.launch(s, false)
		return
	}
	i := s.instances[s.order[w.rand.IntN(len(s.order))]]
	i.Since = w.clock.Now()
	switch i.Condition {
	case messages.ConditionBooting:
		i.Worker = messages.Worker{Prefix: "ebb", Resource: i.Resource, InstanceType: i.Offering.InstanceType, Instance: i.Instance}.ID()
		i.Condition = messages.ConditionIdle
		w.record(s, messages.InstanceRegistered{Instance: i.Instance, Resource: i.Resource, Worker: i.Worker, BootSeconds: 97})
	case messages.ConditionIdle:
		if w.rand.IntN(6) == 0 {
			i.Condition, i.Reasons = messages.ConditionDraining, []messages.Reason{{Code: messages.ReasonIdle, Got: 1, Limit: 900}}
			w.record(s, messages.InstanceDraining{Instance: i.Instance, Resource: i.Resource, Reasons: i.Reasons})
			return
		}
		i.Condition = messages.ConditionBusy
		i.Task, i.TaskName = w.task()
		w.record(s, messages.InstanceBusy{Instance: i.Instance, Resource: i.Resource, Task: i.Task, TaskName: i.TaskName})
	case messages.ConditionBusy:
		i.Condition, i.Task, i.TaskName = messages.ConditionIdle, "", ""
		w.record(s, messages.InstanceIdle{Instance: i.Instance, Resource: i.Resource, Since: i.Since})
	case messages.ConditionDraining:
		i.Condition = messages.ConditionTerminating
		w.record(s, messages.InstanceTerminating{Instance: i.Instance, Resource: i.Resource, Method: messages.DrainAcknowledged, Reasons: i.Reasons})
	case messages.ConditionTerminating, messages.ConditionVanished:
		w.gone(s, i)
		w.launch(s, false)
	}
}

func (w *World) gone(s *scaler, i *messages.InstanceStatus) {
	delete(s.instances, i.Instance)
	s.order = slices.DeleteFunc(s.order, func(id messages.InstanceID) bool { return id == i.Instance })
	w.record(s, messages.InstanceGone{
		Instance: i.Instance, Resource: i.Resource, Offering: i.Offering, UpSeconds: w.clock.Now().Sub(i.LaunchedAt).Seconds(),
		Reasons: i.Reasons, HourlyUSD: i.HourlyUSD,
	})
}

// demand changes how many tasks wait.
func (w *World) demand(s *scaler) {
	q := &s.status.Queues[w.rand.IntN(len(s.status.Queues))]
	q.Waiting = max(0, q.Waiting+w.rand.IntN(9)-4)
	if q.Waiting == 0 {
		q.WaitSeconds = 0
	} else {
		q.WaitSeconds += float64(w.rand.IntN(20))
	}
	w.record(s, messages.QueueObserved{Queue: q.Queue, Waiting: q.Waiting, OldestWaitSeconds: q.WaitSeconds})
	q.Verdict = messages.QueuePlanned{Queue: q.Queue, Waiting: q.Waiting, Covered: q.Waiting / 2, Launching: q.Waiting / 4}
	q.Verdict.Unmet = q.Waiting - q.Verdict.Covered - q.Verdict.Launching
	if q.Verdict.Unmet > 0 {
		q.Verdict.Reasons = []messages.Reason{{Code: messages.ReasonAtMax, Subject: string(q.Resources[0]), Got: 8, Limit: 8}}
	}
	w.record(s, q.Verdict)
}

// Trouble makes everything happen that a banner is for.
func (w *World) Trouble() {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, now := w.all[0], w.clock.Now()
	s.status.ClearML = messages.SourceStatus{
		LastGood: now.Add(-4 * time.Minute), DownSince: now.Add(-3 * time.Minute), Class: messages.ClassTransient, Message: "connection refused",
	}
	s.status.Pause = &messages.Pause{At: now.Add(-time.Minute), By: "ana", Why: "moving data", Until: now.Add(20 * time.Minute)}
	r := &s.status.Resources[0]
	r.Held = []messages.Reason{{Code: messages.ReasonLaunchRefused, Subject: "quota", Detail: "the limit of spot G instances is reached"}}
	r.Blocks = []messages.Blocked{{Offering: r.Offerings[0], Class: messages.ClassNoCapacity, Until: now.Add(7 * time.Minute)}}
	w.record(s, messages.ObservationFailed{Source: "clearml", Class: messages.ClassTransient, Message: "connection refused", LastGood: s.status.ClearML.LastGood})
}

// Unseen makes the first queue one that ClearML has not told of yet.
func (w *World) Unseen() {
	w.mu.Lock()
	defer w.mu.Unlock()
	q := &w.all[0].status.Queues[0]
	q.Known, q.Waiting, q.WaitSeconds = false, 0, 0
}

// Sleep makes every status fail, as on a process that stands by; false wakes it.
func (w *World) Sleep(asleep bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asleep = asleep
}

// Orders are what operators asked, a line each.
func (w *World) Orders() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.orders)
}

func (w *World) find(name messages.AutoscalerName) (*scaler, error) {
	for _, s := range w.all {
		if s.status.Autoscaler == name {
			return s, nil
		}
	}
	return nil, &messages.Failure{Class: messages.ClassNotFound, Message: "there is no such autoscaler"}
}

// Autoscalers implements [dashboard.Engine].
func (w *World) Autoscalers(context.Context) ([]dashboard.Autoscaler, error) {
	all := make([]dashboard.Autoscaler, 0, len(w.all))
	for _, s := range w.all {
		all = append(all, dashboard.Autoscaler{Name: s.status.Autoscaler, Region: "us-east-1", WebServer: "https://app.clear.ml"})
	}
	return all, nil
}

// Status implements [dashboard.Engine].
func (w *World) Status(_ context.Context, name messages.AutoscalerName) (messages.Status, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, err := w.find(name)
	if err != nil {
		return messages.Status{}, err
	}
	if w.asleep {
		return messages.Status{}, &messages.Failure{Class: messages.ClassHeld, Message: "host-2:77:QQQQQQ acts for it"}
	}
	return w.statusOf(s), nil
}

// statusOf is a status that shares nothing with the world.
func (w *World) statusOf(s *scaler) messages.Status {
	status := s.status
	status.At = w.clock.Now()
	if status.ClearML.DownSince.IsZero() {
		status.ClearML.LastGood = status.At
	}
	status.EC2.LastGood = status.At
	status.Queues, status.Resources = slices.Clone(status.Queues), slices.Clone(status.Resources)
	alive := make(map[messages.ResourceName]int)
	for _, id := range s.order {
		status.Instances = append(status.Instances, *s.instances[id])
		alive[s.instances[id].Resource]++
	}
	for i := range status.Resources {
		status.Resources[i].Alive = alive[status.Resources[i].Resource]
		status.Resources[i].Max = max(status.Resources[i].Max, alive[status.Resources[i].Resource]+2)
	}
	return status
}

// Explain implements [dashboard.Engine].
func (w *World) Explain(_ context.Context, name messages.AutoscalerName, queue messages.QueueName) (dashboard.Explanation, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, err := w.find(name)
	if err != nil {
		return dashboard.Explanation{}, err
	}
	for _, q := range s.status.Queues {
		if q.Queue == queue {
			return dashboard.Explanation{
				Summary: fmt.Sprintf("%d tasks wait in %s; %d are covered, %d instances are coming, and %s is at its max_instances.",
					q.Waiting, q.Queue, q.Verdict.Covered, q.Verdict.Launching, q.Resources[0]),
				Lines: []string{"gpu-spot: 8 of 8 instances", "raise max_instances of gpu-spot, or wait for a task to end"},
			}, nil
		}
	}
	return dashboard.Explanation{}, &messages.Failure{Class: messages.ClassNotFound, Message: "there is no such queue"}
}

// Order implements [dashboard.Operator].
func (w *World) Order(_ context.Context, name messages.AutoscalerName, by string, order messages.Order) (messages.Answered, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, err := w.find(name)
	if err != nil {
		return messages.Answered{}, err
	}
	w.orders = append(w.orders, fmt.Sprintf("%s %s %T %+v", name, by, order, order))
	switch o := order.(type) {
	case messages.PauseLaunches:
		s.status.Pause = &messages.Pause{At: w.clock.Now(), By: by, Why: o.Why, Until: o.Until}
		w.record(s, messages.AutoscalerPaused{By: by, Why: o.Why, Until: o.Until})
	case messages.ResumeLaunches:
		if s.status.Pause == nil {
			return messages.Answered{Failure: &messages.Failure{Class: messages.ClassInvalid, Message: "it is not paused"}}, nil
		}
		s.status.Pause = nil
		w.record(s, messages.AutoscalerResumed{By: by})
	case messages.DrainInstanceNow:
		i := s.instances[o.Instance]
		if i == nil {
			return messages.Answered{Failure: &messages.Failure{Class: messages.ClassNotFound, Message: "there is no such instance"}}, nil
		}
		w.drain(s, i, o.Force)
		return messages.Answered{Instances: []messages.InstanceID{o.Instance}}, nil
	case messages.DrainIdleNow:
		return messages.Answered{Instances: w.drainIdle(s, o.Resource)}, nil
	case messages.ReportStatus:
		status := w.statusOf(s)
		return messages.Answered{Status: &status}, nil
	}
	return messages.Answered{}, nil
}

func (w *World) drain(s *scaler, i *messages.InstanceStatus, force bool) {
	i.Since, i.Reasons = w.clock.Now(), []messages.Reason{{Code: messages.ReasonOperator, Detail: "asked for"}}
	if force {
		i.Condition, i.Task, i.TaskName = messages.ConditionTerminating, "", ""
		w.record(s, messages.InstanceTerminating{Instance: i.Instance, Resource: i.Resource, Method: messages.DrainForced, Reasons: i.Reasons})
		return
	}
	i.Condition = messages.ConditionDraining
	w.record(s, messages.InstanceDraining{Instance: i.Instance, Resource: i.Resource, Reasons: i.Reasons})
}

func (w *World) drainIdle(s *scaler, resource messages.ResourceName) []messages.InstanceID {
	var let []messages.InstanceID
	for _, id := range slices.Sorted(maps.Keys(s.instances)) {
		i := s.instances[id]
		if i.Condition == messages.ConditionIdle && (resource == "" || resource == i.Resource) {
			w.drain(s, i, false)
			let = append(let, id)
		}
	}
	return let
}

// Reload implements [dashboard.Operator].
func (w *World) Reload(context.Context) (dashboard.Change, error) {
	return dashboard.Change{}, w.note("reload")
}

func (w *World) note(line string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orders = append(w.orders, line)
	return nil
}

// Secret is what exports with secrets hold, and nothing else may show.
const Secret = "s3cr3t-of-the-export"

// Export implements [dashboard.Operator].
func (w *World) Export(_ context.Context, name messages.AutoscalerName, format string, secrets bool) ([]byte, error) {
	if _, err := w.find(name); err != nil {
		return nil, err
	}
	key := "${ENV:CLEARML_SECRET_KEY}"
	if secrets {
		key = Secret
	}
	if format == "json" {
		return fmt.Appendf(nil, "{\"autoscalers\":[{\"name\":%q,\"clearml\":{\"secret_key\":%q}}]}\n", name, key), nil
	}
	return fmt.Appendf(nil, "autoscalers:\n  - name: %s\n    clearml: {secret_key: %q}\n", name, key), nil
}

// Clone implements [dashboard.Operator]: the secret of it is not shown.
func (w *World) Clone(_ context.Context, name messages.AutoscalerName) (dashboard.Imported, error) {
	if _, err := w.find(name); err != nil {
		return dashboard.Imported{}, err
	}
	return dashboard.Imported{
		Answers: fmt.Appendf(nil, `{"autoscalers[0].name":%q,"autoscalers[0].aws.region":"us-east-1","autoscalers[0].clearml.api_server":"https://api.x"}`, name),
		Notes:   []string{"autoscalers[0].clearml.secret_key: is written out in the configuration that runs, so it is not shown here and is unset"},
		Unset:   []string{"autoscalers[0].clearml.secret_key"},
	}, nil
}

// Plan implements [dashboard.Operator].
func (w *World) Plan(_ context.Context, yaml []byte) (dashboard.Change, error) {
	return w.change(yaml, "plan")
}

// Apply implements [dashboard.Operator]; what does not hold "autoscalers:" is not
// sound.
func (w *World) Apply(_ context.Context, yaml []byte) (dashboard.Change, error) {
	return w.change(yaml, "apply")
}

func (w *World) change(yaml []byte, what string) (dashboard.Change, error) {
	if !strings.Contains(string(yaml), "autoscalers:") {
		return dashboard.Change{}, &dashboard.InvalidError{Problems: []dashboard.Problem{{Path: "autoscalers", Message: "is missing", Fix: "write at least one"}}}
	}
	return dashboard.Change{
		Changes: []string{"prod: max_idle_time: 15m → 7m"}, Restart: []string{"autoscalers[prod-copy]: added; it begins at the next start"},
		File: "/etc/ebb/ebb.yaml", Before: "/etc/ebb/ebb.yaml.before",
	}, w.note(what)
}

// Events implements [dashboard.Events].
func (w *World) Events(ctx context.Context, since time.Time, handle func(messages.Recorded), caughtUp func()) error {
	r, once := &reader{wake: make(chan struct{}, 1)}, sync.OnceFunc(caughtUp)
	w.mu.Lock()
	w.readers[r] = struct{}{}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.readers, r)
	}()
	for next := 0; ; {
		w.mu.Lock()
		fresh := slices.Clone(w.stored[next:])
		next = len(w.stored)
		w.mu.Unlock()
		for _, event := range fresh {
			if !event.At.Before(since) {
				handle(event)
			}
		}
		once()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.wake:
		}
	}
}
