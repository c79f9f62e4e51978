package bench_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ebbscale/ebb/messages"
)

const prefix = "ebb"

// machine is one instance of the world with its worker.
type machine struct {
	instance messages.Instance
	task     messages.TaskID // empty while idle
}

// world is ClearML and EC2 in memory. It makes the answers before they are
// asked for, so that making them is in no measurement.
type world struct {
	clock *manual

	mu       sync.Mutex
	queues   []messages.QueueName
	machines []machine
	waiting  map[messages.QueueName]int
	tasks    int // handed out so far
	snapshot messages.ClearMLSnapshot
	fleet    []messages.Instance
	staged   func(messages.ClearMLSnapshot) // also told of the answers; may be nil
	refusals int                            // polls to fail
	ahead    time.Duration                  // how long what is staged stays fresh

	polls, lists, ends, checks int
	answered                   time.Time // when the last poll was answered
	launches                   []launchCall
}

// launchCall is one RunInstances call.
type launchCall struct {
	at    time.Time
	count int
}

// add starts machines of a resource type that have run for a while.
func (w *world) add(resource messages.ResourceName, count int, busy bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	offering := offering()
	for range count {
		w.join(messages.Instance{
			Resource: resource, Launch: messages.LaunchID(fmt.Sprintf("%s.1", resource)),
			Token: fmt.Sprintf("ebb-%s-1", resource), State: messages.StateRunning, Offering: offering,
			LaunchedAt: w.clock.Now().Add(-10 * time.Minute),
		}, busy)
	}
}

func (w *world) join(instance messages.Instance, busy bool) messages.Instance {
	instance.ID = messages.InstanceID(fmt.Sprintf("i-%017x", len(w.machines)))
	added := machine{instance: instance}
	if busy {
		w.tasks++
		added.task = messages.TaskID(fmt.Sprintf("%032x", w.tasks))
	}
	w.machines = append(w.machines, added)
	return instance
}

// stage makes the answers to polls and listings from now on. All text in them
// is new, as it is when it comes from the network.
func (w *world) stage() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	var snapshot messages.ClearMLSnapshot
	for i, name := range w.queues {
		state := messages.QueueState{Name: name, ID: fmt.Sprintf("%032x", i)}
		for n := range w.waiting[name] {
			state.Entries = append(state.Entries, messages.QueueEntry{
				Task: messages.TaskID(fmt.Sprintf("%028x%04x", i, n)), Added: now.Add(-5 * time.Second),
			})
		}
		snapshot.Queues = append(snapshot.Queues, state)
	}
	fleet := make([]messages.Instance, 0, len(w.machines))
	for _, m := range w.machines {
		fleet = append(fleet, renewed(m.instance))
		worker := messages.Worker{
			Prefix: prefix, Resource: m.instance.Resource, InstanceType: m.instance.Offering.InstanceType, Instance: m.instance.ID,
		}
		row := messages.WorkerState{
			ID: worker.ID(), Task: messages.TaskID([]byte(m.task)),
			Registered: m.instance.LaunchedAt.Add(2 * time.Minute), LastActive: now.Add(w.ahead),
		}
		if row.Task != "" {
			row.TaskName = "training " + string(row.Task[len(row.Task)-4:])
		}
		snapshot.Workers = append(snapshot.Workers, row)
	}
	w.snapshot, w.fleet = snapshot, fleet
	if w.staged != nil {
		w.staged(snapshot)
	}
}

// renewed is the instance with text of its own.
func renewed(i messages.Instance) messages.Instance {
	i.ID = messages.InstanceID([]byte(i.ID))
	i.Resource = messages.ResourceName([]byte(i.Resource))
	i.Launch = messages.LaunchID([]byte(i.Launch))
	i.Token = string([]byte(i.Token))
	i.Offering.InstanceType = string([]byte(i.Offering.InstanceType))
	i.Offering.Zone = string([]byte(i.Offering.Zone))
	i.Offering.Subnet = string([]byte(i.Offering.Subnet))
	return i
}

// reset forgets what was counted.
func (w *world) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.polls, w.lists, w.ends, w.checks, w.launches = 0, 0, 0, 0, nil
}

// forget drops the staged answers.
func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.snapshot, w.fleet = messages.ClearMLSnapshot{}, nil
}

// Observe implements actors.ClearML.
func (w *world) Observe(context.Context, messages.ClearMLQuery) (messages.ClearMLSnapshot, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refusing() {
		return messages.ClearMLSnapshot{}, &messages.Failure{Class: messages.ClassTransient, Message: "not now"}
	}
	w.polls++
	w.answered = time.Now()
	w.snapshot.At, w.snapshot.ServerNow = w.clock.Now(), w.clock.Now()
	return w.snapshot, nil
}

// refuse says whether a server is to refuse a poll.
func (w *world) refuse() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refusing()
}

func (w *world) refusing() bool {
	if w.refusals == 0 {
		return false
	}
	w.refusals--
	return true
}

// answer notes that the last poll has been answered, by a server.
func (w *world) answer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.polls++
	w.answered = time.Now()
}

// CreateQueues implements actors.ClearML.
func (w *world) CreateQueues(context.Context, []messages.QueueName) error {
	return &messages.Failure{Class: messages.ClassInvalid, Message: "no queue is missing in this world"}
}

// Activity implements actors.ClearML.
func (w *world) Activity(_ context.Context, _ time.Time, workers []messages.WorkerID) ([]messages.WorkerActivity, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checks += len(workers)
	answers := make([]messages.WorkerActivity, 0, len(workers))
	for _, worker := range workers {
		answers = append(answers, messages.WorkerActivity{Worker: worker})
	}
	return answers, nil
}

// Launch implements actors.EC2. What is launched is busy at the next poll.
func (w *world) Launch(_ context.Context, request messages.LaunchRequest) ([]messages.Instance, error) {
	return w.launch(request, time.Now()), nil
}

func (w *world) launch(request messages.LaunchRequest, at time.Time) []messages.Instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.launches = append(w.launches, launchCall{at: at, count: request.Count})
	launched := make([]messages.Instance, 0, request.Count)
	for range request.Count {
		launched = append(launched, w.join(messages.Instance{
			Resource: request.Resource, Launch: request.Launch, Token: request.Token, State: messages.StateRunning,
			Offering: request.Offering, LaunchedAt: w.clock.Now(),
		}, true))
	}
	return launched
}

// Terminate implements actors.EC2.
func (w *world) Terminate(_ context.Context, ids []messages.InstanceID) (messages.TerminateOutcome, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends += len(ids)
	return messages.TerminateOutcome{Terminating: ids}, nil
}

// List implements actors.EC2.
func (w *world) List(context.Context) ([]messages.Instance, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lists++
	return w.fleet, nil
}

// Console implements actors.EC2.
func (w *world) Console(context.Context, messages.InstanceID) (string, error) { return "", nil }

// memory is a ledger and a bus that keep nothing on disk.
type memory struct {
	mu      sync.Mutex
	records map[messages.RequestID]messages.LaunchRecord
	events  int
}

// Intend implements actors.Ledger.
func (m *memory) Intend(_ context.Context, intent messages.LaunchIntent) (messages.LaunchRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	record, known := m.records[intent.Request]
	if !known {
		id := fmt.Sprintf("%s.%d", intent.Resource, len(m.records)+1)
		record = messages.LaunchRecord{Launch: messages.LaunchID(id), Token: "ebb-" + id, Intent: intent}
		m.records[intent.Request] = record
	}
	return record, nil
}

// Settle implements actors.Ledger.
func (m *memory) Settle(context.Context, messages.LaunchID, messages.LaunchOutcome) error { return nil }

// Launches implements actors.Ledger. Nothing was launched before a benchmark.
func (m *memory) Launches(context.Context, time.Time) ([]messages.LaunchRecord, error) {
	return nil, nil
}

// Publish implements actors.Publisher.
func (m *memory) Publish(_ context.Context, events []messages.Recorded) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events += len(events)
	return nil
}

func offering() messages.Offering {
	return messages.Offering{
		Market: messages.OnDemand, InstanceType: "g5.xlarge", Zone: "us-east-1a", Subnet: "subnet-0123456789abcdef0",
	}
}

// Claim implements actors.Fence.
func (m *memory) Claim(context.Context, messages.Epoch) error { return nil }

// Acquire implements actors.Ownership.
func (m *memory) Acquire(_ context.Context, name messages.AutoscalerName) (messages.Lease, error) {
	return messages.Lease{Autoscaler: name, Holder: "bench", Epoch: 1}, nil
}

// Renew implements actors.Ownership.
func (m *memory) Renew(_ context.Context, lease messages.Lease) (messages.Lease, error) {
	return lease, nil
}

// Release implements actors.Ownership.
func (m *memory) Release(context.Context, messages.Lease) error { return nil }

// Load implements actors.State.
func (m *memory) Load(context.Context, messages.StateKey) ([]byte, error) {
	return nil, nil
}

// Save implements actors.State.
func (m *memory) Save(context.Context, messages.StateKey, []byte) error { return nil }

// Signal implements actors.Signals.
func (w *world) Signal(context.Context, messages.Signal) error { return nil }

// SetTag implements actors.Signals.
func (w *world) SetTag(context.Context, string, string, bool) error { return nil }

// Unfinished implements actors.Tasks: the look for lost tasks finds none.
func (w *world) Unfinished(context.Context) ([]messages.TaskState, error) { return nil, nil }

// Requeue implements actors.Tasks.
func (w *world) Requeue(context.Context, messages.Requeue) (messages.RequeueOutcome, error) {
	return messages.RequeueOutcome{}, nil
}
