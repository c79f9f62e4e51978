package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/messages"
)

// clearML is everything that an autoscaler asks of the ClearML adapter.
type clearML interface {
	actors.ClearML
	actors.Signals
	actors.Tasks
}

// jobs is ClearML as the adapter gives it to the actors. What is asked again and
// again is read from the fake server without HTTP and JSON; everything else goes
// through the adapter itself.
type jobs struct {
	clearML // the adapter

	wire   *wire
	server *fakeclearml.Server
	clock  actors.Clock
	rng    *rand.Rand
	// emptied makes the server answer empty lists, as one that lost its database.
	emptied func() bool
	// asked is told which workers the tasks API was asked about.
	asked func(workers []messages.WorkerID)
	// ended keeps tasks that are completed: they never change again.
	ended map[string]*fakeclearml.Task
}

// The adapter sends a call so often, and pauses in between up to a bound that
// doubles.
const (
	attempts     = 3
	firstBackoff = 500 * time.Millisecond
)

// read is one call, tried again as the adapter does.
func read[T any](ctx context.Context, j *jobs, name string, act func() (T, error)) (T, error) {
	for attempt := 1; ; attempt++ {
		answer, err := carry(ctx, j.wire, call{name: name}, act)
		if err == nil {
			return answer, nil
		}
		failure := failureOf(name, err)
		again := failure.Class == messages.ClassTransient && attempt < attempts && ctx.Err() == nil
		if !again || !j.wire.loop.sleep(time.Duration(j.rng.Int64N(int64(firstBackoff<<(attempt-1)))+1)) {
			return answer, failure
		}
	}
}

// failureOf makes of an error what the adapter would.
func failureOf(action string, err error) *messages.Failure {
	var refusal *fakeclearml.Error
	if !errors.As(err, &refusal) {
		failure := &messages.Failure{Class: messages.ClassTransient, Code: "network", Message: fmt.Sprintf("Post %q: %s", apiHost+"/v2.30/"+action, err)}
		switch {
		case errors.Is(err, context.Canceled):
			failure.Code = "canceled"
		case errors.Is(err, context.DeadlineExceeded):
			failure.Code = "timeout"
		}
		return failure
	}
	failure := &messages.Failure{Class: messages.ClassInvalid, Code: strconv.Itoa(refusal.Code) + "/" + strconv.Itoa(refusal.Subcode), Message: refusal.Msg}
	switch {
	case refusal.Code == http.StatusBadRequest && slices.Contains([]int{101, 701, 1001}, refusal.Subcode):
		failure.Class = messages.ClassNotFound
	case refusal.Code == http.StatusUnauthorized || refusal.Code == http.StatusForbidden:
		failure.Class = messages.ClassUnauthorized
	}
	return failure
}

// Observe implements actors.ClearML: workers first, then queues.
func (j *jobs) Observe(ctx context.Context, query messages.ClearMLQuery) (messages.ClearMLSnapshot, error) {
	snapshot := messages.ClearMLSnapshot{At: j.clock.Now()}
	workers, err := read(ctx, j, "workers.get_all", func() ([]messages.WorkerState, error) {
		snapshot.ServerNow = j.wire.loop.clock.Now().UTC().Truncate(time.Second) // as in a Date header
		return j.workers(query.WorkersPrefix)
	})
	if err != nil {
		return messages.ClearMLSnapshot{}, err
	}
	snapshot.Workers = workers
	queues, err := read(ctx, j, "queues.get_all", func() ([]fakeclearml.Queue, error) {
		if j.emptied() {
			return nil, nil
		}
		return j.server.Queues(), nil
	})
	if err != nil {
		return messages.ClearMLSnapshot{}, err
	}
	for _, name := range query.Queues {
		at := slices.IndexFunc(queues, func(q fakeclearml.Queue) bool { return q.Name == string(name) })
		if at < 0 {
			snapshot.Missing = append(snapshot.Missing, name)
			continue
		}
		snapshot.Queues = append(snapshot.Queues, queueState(&queues[at]))
	}
	return snapshot, nil
}

func (j *jobs) workers(prefix string) ([]messages.WorkerState, error) {
	if j.emptied() {
		return nil, nil
	}
	rows, err := j.server.Workers(fakeclearml.WorkerFilter{LastSeen: 10 * time.Minute, Pattern: prefix + ":*"})
	if err != nil {
		return nil, err
	}
	states, names := make([]messages.WorkerState, len(rows)), j.server.QueueNames()
	for i := range rows {
		row := &rows[i]
		var queues []messages.QueueName
		forsaken := false
		for _, id := range row.Queues {
			if names[id] == "" {
				forsaken = true
				continue
			}
			queues = append(queues, messages.QueueName(names[id]))
		}
		slices.Sort(queues)
		states[i] = messages.WorkerState{
			ID: messages.WorkerID(row.ID), Task: messages.TaskID(row.Task), TaskName: row.TaskName,
			Registered: row.RegisterTime, LastActive: latest(row.RegisterTime, row.LastActivity, row.LastReport),
			Queues: queues, Forsaken: forsaken,
		}
	}
	return states, nil
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

func queueState(q *fakeclearml.Queue) messages.QueueState {
	state := messages.QueueState{Name: messages.QueueName(q.Name), ID: q.ID, Tags: q.Tags}
	for _, entry := range q.Entries {
		state.Entries = append(state.Entries, messages.QueueEntry{Task: messages.TaskID(entry.Task), Added: entry.Added})
	}
	if len(q.Metadata) > 0 {
		state.Metadata = make(map[string]string, len(q.Metadata))
		for key, item := range q.Metadata {
			state.Metadata[key] = item.Value
		}
	}
	return state
}

// Activity implements actors.ClearML: the running tasks first, then those that
// ended.
func (j *jobs) Activity(ctx context.Context, since time.Time, workers []messages.WorkerID) ([]messages.WorkerActivity, error) {
	activity := make([]messages.WorkerActivity, len(workers))
	about := make(map[string]*messages.WorkerActivity, len(workers))
	for i, worker := range workers {
		activity[i].Worker = worker
		about[endOfID(string(worker))] = &activity[i]
	}
	newest := map[string]time.Time{}
	look := func(wanted func(fakeclearml.Status) bool, see func(*fakeclearml.Task, *messages.WorkerActivity)) error {
		_, err := read(ctx, j, "tasks.get_all", func() (done, error) {
			return done{}, j.each(wanted, func(task *fakeclearml.Task) {
				if known := about[endOfID(task.LastWorker)]; known != nil {
					see(task, known)
				}
			})
		})
		return err
	}
	running := func(status fakeclearml.Status) bool { return status == fakeclearml.StatusInProgress }
	err := look(running, func(task *fakeclearml.Task, known *messages.WorkerActivity) {
		at := latest(task.LastUpdate, task.StatusChanged)
		if known.Running == "" || at.After(newest[task.LastWorker]) {
			known.Running, known.Beat, newest[task.LastWorker] = messages.TaskID(task.ID), at, at
		}
	})
	if err != nil {
		return nil, err
	}
	j.asked(workers)
	changed := since.Truncate(time.Millisecond)
	err = look(everRan, func(task *fakeclearml.Task, known *messages.WorkerActivity) {
		at := endOf(task)
		if !task.StatusChanged.Before(changed) && !at.IsZero() && !at.Before(since) && at.After(known.LastEnd) {
			known.LastEnd = at
		}
	})
	for i, worker := range workers { // one that was asked about twice is answered twice
		activity[i] = *about[endOfID(string(worker))]
		activity[i].Worker = worker
	}
	return activity, err
}

func everRan(status fakeclearml.Status) bool { return status != fakeclearml.StatusCreated }

func endOfID(worker string) string { return worker[strings.LastIndexByte(worker, ':')+1:] }

// endOf is when a task ended on its last worker, zero when it did not.
func endOf(task *fakeclearml.Task) time.Time {
	switch task.Status {
	case fakeclearml.StatusInProgress:
		return time.Time{}
	case fakeclearml.StatusStopped, fakeclearml.StatusFailed:
		return latest(task.Completed, task.StatusChanged)
	default:
		if task.Completed.IsZero() && task.Status == fakeclearml.StatusCompleted {
			return task.StatusChanged
		}
		return task.Completed
	}
}

// each goes through the tasks of some statuses.
func (j *jobs) each(wanted func(fakeclearml.Status) bool, see func(*fakeclearml.Task)) error {
	if j.emptied() {
		return nil
	}
	for _, id := range j.server.TaskIDs() {
		task := j.ended[id]
		if task == nil {
			status := j.server.TaskStatus(id)
			if !wanted(status) {
				continue
			}
			found, err := j.server.Task(id)
			if err != nil {
				return err
			}
			if task = &found; status == fakeclearml.StatusCompleted {
				j.ended[id] = task
			}
		}
		if wanted(task.Status) {
			see(task)
		}
	}
	return nil
}

// Unfinished implements actors.Tasks.
func (j *jobs) Unfinished(ctx context.Context) ([]messages.TaskState, error) {
	return read(ctx, j, "tasks.get_all", func() ([]messages.TaskState, error) {
		var states []messages.TaskState
		err := j.each(func(status fakeclearml.Status) bool {
			return status == fakeclearml.StatusQueued || status == fakeclearml.StatusInProgress
		}, func(task *fakeclearml.Task) {
			states = append(states, messages.TaskState{
				ID: messages.TaskID(task.ID), Name: task.Name, Status: messages.TaskStatus(task.Status), StatusReason: task.StatusReason,
				Stopping: task.Status == fakeclearml.StatusInProgress && task.StatusMessage == "stopping",
				QueueID:  task.Queue, LastWorker: messages.WorkerID(task.LastWorker), LastUpdate: latest(task.LastUpdate, task.StatusChanged),
			})
		})
		return states, err
	})
}
