package decide

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ebbscale/ebb/messages"
)

const (
	// RescueMost is how often a task is put back at most.
	RescueMost = 3
	// unstartedAge is how long a task that waits in no queue must have been
	// silent, and lossTwice how far two looks at a loss must be apart.
	unstartedAge = 60 * time.Second
	lossTwice    = 30 * time.Second
	// silentAge is how long a task must have been silent when no listing showed
	// the end of its instance, or when it was put back before.
	silentAge = 10 * time.Minute
	// evidenceAge is how old a poll or a listing may always be.
	evidenceAge = 3 * time.Minute
	// lossKept is how long a task is remembered that is not unfinished any more:
	// one bad answer of the server must not make anybody forget what was done.
	lossKept = time.Hour
)

// Losses is what the sweeps for lost tasks have seen so far. The zero value has
// seen nothing. It is plain data; losing it costs a minute.
type Losses struct {
	Tasks map[messages.TaskID]Loss `json:"tasks,omitempty"`
}

// Loss is what was seen and done about one task.
type Loss struct {
	// Unstarted is the poll that first found it queued and in no queue, Absent
	// the listing that first did not show its instance; zero while that is not
	// so.
	Unstarted time.Time `json:"unstarted,omitzero"`
	Absent    time.Time `json:"absent,omitzero"`
	// Times is how often it was put back.
	Times int `json:"times,omitempty"`
	// Judged is the loss that was acted on last.
	Judged Judgement `json:"judged,omitzero"`
	// Seen is the last sweep that found the task unfinished.
	Seen time.Time `json:"seen"`
}

// Judgement is a loss that was acted on, by what the task showed.
type Judgement struct {
	Status     messages.TaskStatus `json:"status"`
	LastWorker messages.WorkerID   `json:"last_worker,omitempty"`
	LastUpdate time.Time           `json:"last_update,omitzero"`
	At         time.Time           `json:"at"`
	// Left says that it was reported and not put back.
	Left bool `json:"left,omitempty"`
}

// Leave returns the losses after a task turned out to have no queue to be put back
// into, as which it was found: it is left to its user. It answers what is to be told.
func (l Losses) Leave(rescue Rescue, found messages.TaskState) (Losses, messages.TaskLost) {
	told := rescue.Event
	lost := messages.TaskLost{
		Task: told.Task, Name: told.Name, Queue: told.Queue, Worker: told.Worker, Instance: told.Instance,
		Reasons: append(slices.Clone(told.Reasons), messages.Reason{
			Code: messages.ReasonPolicy, Detail: "the queue that it came from does not exist any more; put it into another one by hand",
		}),
	}
	loss, known := l.Tasks[told.Task]
	if !known || loss.Judged.At.IsZero() {
		return l, lost
	}
	loss.Judged = Judgement{Status: found.Status, LastWorker: found.LastWorker, LastUpdate: found.LastUpdate, At: loss.Judged.At, Left: true}
	loss.Times = max(0, loss.Times-1)
	next := Losses{Tasks: maps.Clone(l.Tasks)}
	next.Tasks[told.Task] = loss
	return next, lost
}

// RescuePolicy is what an operator may set about lost tasks.
type RescuePolicy struct {
	// Requeue puts lost tasks back; without it they are only reported.
	Requeue bool
	// Prefix is the first part of the ids of our workers.
	Prefix string
	// MaxAge is how old a poll or a listing may be to be believed, if that is
	// more than three minutes.
	MaxAge time.Duration
}

// Sweep is one look at everything that tells of lost tasks.
type Sweep struct {
	// Now is by our clock, ServerNow by that of the ClearML server.
	Now, ServerNow time.Time
	// Tasks are all tasks that are queued or in progress.
	Tasks []messages.TaskState
	// Snapshot is the last good poll, Fates what the listings say.
	Snapshot messages.ClearMLSnapshot
	Fates    Fates
}

// Rescue is a task to put back, with what to record once that is done.
type Rescue struct {
	Request messages.Requeue
	Event   messages.TaskRequeued
}

// Judge looks for lost tasks and says which to put back and which are only to
// be reported, in the order of the sweep. Each loss is told once:
//
//   - A task that is queued, silent for a minute, and in no entry of its watched
//     queue, at two polls at least 30 s apart: a worker took it and died before
//     it started it.
//   - A task in progress from a watched queue that no worker has ever reported,
//     silent for ten minutes, twice as above.
//   - A task in progress whose last worker is ours, lives, and reports another task
//     or none, silent for ten minutes, twice as above: it could not start the task,
//     or say how it ended.
//   - A task in progress whose last worker is ours, and its instance is gone: a
//     listing showed it terminated; or two listings at least 30 s apart do not
//     show it, and the task has been silent for ten minutes.
//
// No task is lost that a live worker reports, or whose instance may still run while
// its worker says nothing.
func (l Losses) Judge(policy RescuePolicy, sweep Sweep) (next Losses, rescues []Rescue, lost []messages.TaskLost) {
	s := newSearch(policy, sweep)
	next = Losses{Tasks: make(map[messages.TaskID]Loss, len(sweep.Tasks))}
	for id, loss := range l.Tasks {
		if age := sweep.Now.Sub(loss.Seen); age.Abs() < lossKept && (loss.Times > 0 || !loss.Judged.At.IsZero()) {
			loss.Unstarted, loss.Absent = time.Time{}, time.Time{}
			next.Tasks[id] = loss
		}
	}
	for _, task := range sweep.Tasks {
		before := l.Tasks[task.ID]
		loss, found := s.look(task, before)
		loss.Seen = sweep.Now
		if found.reason.Code != "" && !before.Judged.is(task, sweep) {
			if before.Judged.undone(task) {
				loss.Times = max(0, loss.Times-1)
			}
			loss = s.act(task, loss, found, &rescues, &lost)
		}
		if loss != (Loss{Seen: sweep.Now}) {
			next.Tasks[task.ID] = loss
		}
	}
	return next, rescues, lost
}

// Failed returns the losses after a task could not be put back: if it is still
// lost at the next sweep it is tried again.
func (l Losses) Failed(task messages.TaskID) Losses {
	loss, known := l.Tasks[task]
	if !known || loss.Judged.At.IsZero() || loss.Judged.Left {
		return l
	}
	loss.Judged, loss.Times = Judgement{}, max(0, loss.Times-1)
	next := Losses{Tasks: maps.Clone(l.Tasks)}
	next.Tasks[task] = loss
	return next
}

// is says whether a task shows no more than the loss that was acted on. It is a
// new one if there was a sign of life since: then somebody had it in hands that
// nobody knows, and it must have been silent for long. One that shows the same
// after ten minutes was not put back after all.
func (j Judgement) is(task messages.TaskState, sweep Sweep) bool {
	if j.At.IsZero() || j.Status != task.Status || j.LastWorker != task.LastWorker {
		return false
	}
	if j.LastUpdate.Equal(task.LastUpdate) {
		return j.Left || sweep.Now.Sub(j.At).Abs() < silentAge
	}
	return task.Status == messages.TaskInProgress && ageOf(task.LastUpdate, sweep.ServerNow) < silentAge
}

// undone says that the task shows nothing else than before it was put back, which the
// server would have noted: nobody did, as when ebb ended in that moment, and it does not
// count.
func (j Judgement) undone(task messages.TaskState) bool {
	return !j.At.IsZero() && !j.Left &&
		j.Status == task.Status && j.LastWorker == task.LastWorker && j.LastUpdate.Equal(task.LastUpdate)
}

// search is the scratch paper of one Judge.
type search struct {
	policy  RescuePolicy
	sweep   Sweep
	polled  bool // the poll is new enough
	listed  bool // the listing is
	queues  map[string]messages.QueueName
	waiting map[messages.TaskID]bool
	running map[messages.TaskID]bool // as live workers report
	live    map[messages.WorkerID]bool
}

func newSearch(policy RescuePolicy, sweep Sweep) *search {
	maxAge := max(evidenceAge, policy.MaxAge)
	s := &search{
		policy: policy, sweep: sweep,
		polled:  sweep.Now.Sub(sweep.Snapshot.At).Abs() <= maxAge,
		listed:  sweep.Now.Sub(sweep.Fates.At).Abs() <= maxAge,
		queues:  make(map[string]messages.QueueName, len(sweep.Snapshot.Queues)),
		waiting: make(map[messages.TaskID]bool),
		running: make(map[messages.TaskID]bool),
		live:    make(map[messages.WorkerID]bool),
	}
	for _, queue := range sweep.Snapshot.Queues {
		s.queues[queue.ID] = queue.Name
		for _, entry := range queue.Entries {
			s.waiting[entry.Task] = true
		}
	}
	for task := range liveTasks(sweep.Snapshot, sweep.Fates) {
		s.running[task] = true
	}
	for _, row := range sweep.Snapshot.Workers {
		s.live[row.ID] = s.live[row.ID] || ageOf(row.LastActive, sweep.Snapshot.ServerNow) <= WorkerFreshness
	}
	return s
}

// finding says that a task is lost: why, and with which instance. Without a
// code it is not.
type finding struct {
	reason   messages.Reason
	instance messages.InstanceID
}

// look looks for a loss, and remembers what may become one.
func (s *search) look(task messages.TaskState, before Loss) (Loss, finding) {
	loss := Loss{Times: before.Times, Judged: before.Judged}
	if s.waiting[task.ID] && loss.Judged.Status == messages.TaskQueued {
		loss.Judged = Judgement{} // it is back; the next loss is another one
	}
	switch {
	case !s.polled || s.running[task.ID]:
	case task.Status == messages.TaskQueued:
		return s.unstarted(task, before, loss)
	case task.Status == messages.TaskInProgress && task.LastWorker == "":
		return s.unreported(task, before, loss)
	case task.Status == messages.TaskInProgress && s.listed:
		return s.orphaned(task, before, loss)
	}
	return loss, finding{}
}

// unstarted looks at a queued task: is it in no queue?
func (s *search) unstarted(task messages.TaskState, before, loss Loss) (Loss, finding) {
	queue, watched := s.queues[task.QueueID]
	if !watched || s.waiting[task.ID] || ageOf(task.LastUpdate, s.sweep.ServerNow) < unstartedAge {
		return loss, finding{}
	}
	loss.Unstarted = first(before.Unstarted, s.sweep.Snapshot.At)
	if s.sweep.Snapshot.At.Sub(loss.Unstarted) < lossTwice {
		return loss, finding{}
	}
	return loss, finding{reason: messages.Reason{
		Code: messages.ReasonNeverStarted, Subject: string(task.ID),
		Detail: fmt.Sprintf("a worker took it from queue %s and never started it", queue),
	}}
}

// unreported looks at a task in progress that nobody says to run: whoever took it
// says so right after it began, so that one has died in between.
func (s *search) unreported(task messages.TaskState, before, loss Loss) (Loss, finding) {
	queue, watched := s.queues[task.QueueID]
	silent := ageOf(task.LastUpdate, s.sweep.ServerNow)
	if !watched || silent < silentAge {
		return loss, finding{}
	}
	loss.Unstarted = first(before.Unstarted, s.sweep.Snapshot.At)
	if s.sweep.Snapshot.At.Sub(loss.Unstarted) < lossTwice {
		return loss, finding{}
	}
	return loss, finding{reason: messages.Reason{
		Code: messages.ReasonNeverStarted, Subject: string(task.ID),
		Detail: fmt.Sprintf("it was taken from queue %s, and no worker has reported it for %s", queue, silent.Round(time.Minute)),
	}}
}

// orphaned looks at a task in progress: is its instance gone?
func (s *search) orphaned(task messages.TaskState, before, loss Loss) (Loss, finding) {
	worker, ok := messages.ParseWorkerID(task.LastWorker)
	fate := s.sweep.Fates.Of[worker.Instance].Fate
	if !ok || (worker.Prefix != s.policy.Prefix && fate == "") { // who EC2 says is ours may be of an earlier workers_prefix
		return loss, finding{}
	}
	gone := finding{instance: worker.Instance, reason: messages.Reason{
		Code: messages.ReasonInstanceGone, Subject: string(worker.Instance),
		Detail: fmt.Sprintf("its instance %s is terminated", worker.Instance),
	}}
	silent := ageOf(task.LastUpdate, s.sweep.ServerNow)
	switch {
	case fate == FateGone:
		return loss, gone
	case silent < silentAge:
		return loss, finding{}
	case fate == FateAlive && s.live[task.LastWorker]:
		return s.abandoned(task, before, loss)
	case fate != "":
		return loss, finding{}
	}
	loss.Absent = first(before.Absent, s.sweep.Fates.At)
	if s.sweep.Fates.At.Sub(loss.Absent) < lossTwice {
		return loss, finding{}
	}
	gone.reason.Detail = fmt.Sprintf("its instance %s is not in EC2's listings, and it has been silent for %s",
		worker.Instance, silent.Round(time.Minute))
	return loss, gone
}

// abandoned looks at a silent task in progress whose worker lives and does not report
// it: an agent that gets no answer to its start of a task goes on without it, and one
// that cannot say how a task ended does, too.
func (s *search) abandoned(task messages.TaskState, before, loss Loss) (Loss, finding) {
	loss.Unstarted = first(before.Unstarted, s.sweep.Snapshot.At)
	if s.sweep.Snapshot.At.Sub(loss.Unstarted) < lossTwice {
		return loss, finding{}
	}
	return loss, finding{reason: messages.Reason{
		Code: messages.ReasonNeverStarted, Subject: string(task.ID),
		Detail: fmt.Sprintf("its worker lives and does not run it, and it has been silent for %s",
			ageOf(task.LastUpdate, s.sweep.ServerNow).Round(time.Minute)),
	}}
}

// first is the earlier of two times, of which the earlier one may be missing or,
// after our clock was set back, lie ahead.
func first(before, now time.Time) time.Time {
	if before.IsZero() || before.After(now) {
		return now
	}
	return before
}

// act decides about a lost task.
func (s *search) act(task messages.TaskState, loss Loss, found finding, rescues *[]Rescue, lost *[]messages.TaskLost) Loss {
	loss.Unstarted, loss.Absent = time.Time{}, time.Time{}
	loss.Judged = Judgement{
		Status: task.Status, LastWorker: task.LastWorker, LastUpdate: task.LastUpdate, At: s.sweep.Now,
	}
	if why := s.whyLeft(task, loss); why.Code != "" {
		loss.Judged.Left = true
		*lost = append(*lost, messages.TaskLost{
			Task: task.ID, Name: task.Name, Queue: s.queues[task.QueueID], Worker: task.LastWorker,
			Reasons: []messages.Reason{found.reason, why}, Instance: found.instance,
		})
		return loss
	}
	loss.Times++
	*rescues = append(*rescues, Rescue{
		Request: messages.Requeue{
			Task: task.ID, QueueID: task.QueueID, Status: task.Status, LastWorker: task.LastWorker,
			Reason: fmt.Sprintf("put back by ebb (%d of at most %d times): %s", loss.Times, RescueMost, found.reason.Detail),
		},
		Event: messages.TaskRequeued{
			Task: task.ID, Name: task.Name, Queue: s.queues[task.QueueID], Worker: task.LastWorker,
			Reasons: []messages.Reason{found.reason}, Instance: found.instance,
		},
	})
	return loss
}

// whyLeft says why a lost task is not put back; zero when it is.
func (s *search) whyLeft(task messages.TaskState, loss Loss) messages.Reason {
	reason := messages.Reason{Code: messages.ReasonPolicy}
	switch {
	case task.Stopping:
		reason.Detail = "somebody had asked to stop it"
	case !s.policy.Requeue:
		reason.Detail = "requeue_lost_tasks is off"
	case loss.Times >= RescueMost:
		reason.Got, reason.Limit = int64(loss.Times), RescueMost
		reason.Detail = fmt.Sprintf("it was put back %d times already", loss.Times)
	case task.QueueID == "":
		reason.Detail = "nobody knows which queue it came from"
	default:
		return messages.Reason{}
	}
	return reason
}
