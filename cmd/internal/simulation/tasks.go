package simulation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/messages"
)

// task is what is true of a task, whatever anybody was told.
type task struct {
	id, name string
	// queue is the name of the one that it waits in or came from; empty when that
	// was deleted.
	queue string
	takes time.Duration
	// lost says how its worker was taken away, empty while that is not so; it is
	// cleared when the task is put back.
	lost   string
	lostAt time.Time
	losses int
	// putBack is when that happened last, toldBack when an event said so last.
	putBack, toldBack time.Time
	// requeues is how often the autoscaler has put it back.
	requeues int
	// aborted says that its user does not want it any more.
	aborted bool
}

// lose notes that a task has lost its worker.
func (l *laws) lose(t *task, format string, args ...any) {
	t.lost, t.lostAt = fmt.Sprintf(format, args...), l.world.Now()
	t.losses++
	l.world.tell("LOST is %s: %s", t.name, t.lost)
	if status, note, _ := l.world.ml.TaskNote(t.id); status == fakeclearml.StatusInProgress && note != "stopping" {
		// A worker that began the task after the abort has overwritten it on the
		// server: nobody can tell any more that it was to be aborted.
		t.aborted = false
	}
}

func (w *World) status(t *task) fakeclearml.Status { return w.ml.TaskStatus(t.id) }

func (l *laws) enqueued(queue, id string, takes time.Duration) {
	t := &task{id: id, name: fmt.Sprintf("task-%d", len(l.listed)+1), queue: queue, takes: takes}
	l.tasks[id] = t
	l.listed = append(l.listed, t)
	l.sample(queue, 1)
}

// endsBusy judges the end of an instance that has a task.
func (l *laws) endsBusy(i *instance, t fakeec2.Transition) {
	lost := i.task
	i.task, i.had = nil, lost
	l.lose(lost, "%s ended: %s", i.id, t.Reason)
	if t.Reason != userEnded || l.stopping == messages.ShutdownAll || l.dismissed[i.id] {
		return
	}
	story := fmt.Sprintf("%s was terminated with %s, that it pulled %s before, %s after it was checked",
		i.id, lost.name, t.At.Sub(i.taskAt), t.At.Sub(i.checked))
	switch {
	case l.answers(i):
		l.breach("%s: its supervisor was there to ask", story)
	case i.checked.IsZero():
		l.breach("%s: nobody had asked whether it is idle", story)
	case i.taskAt.Before(i.checked.Add(-reportLag)):
		l.breach("%s: it had the task when it was checked", story)
	case t.At.Sub(i.checked) > checkAge:
		l.breach("%s: the check was too old", story)
	default:
		l.races = append(l.races, story)
	}
}

// polled sees every request of a process that went to the ClearML server over
// HTTP, and among them the questions what workers are running.
func (l *laws) polled(r *http.Request, body []byte, answer *http.Response) {
	if answer.StatusCode != http.StatusOK {
		return
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/tasks.enqueue"):
		var in struct {
			Task string `json:"task"`
		}
		if err := json.Unmarshal(body, &in); err != nil {
			l.breach("decode request of tasks.enqueue: %s", err)
			return
		}
		l.requeued(in.Task)
	case strings.HasSuffix(r.URL.Path, "/tasks.get_all") && bytes.Contains(body, []byte("in_progress")):
		for _, i := range l.order {
			if i.ended.IsZero() && bytes.Contains(body, []byte(i.id)) {
				i.checked = l.world.Now()
			}
		}
	}
}

// asked sees which workers the tasks API was asked about without HTTP.
func (l *laws) asked(workers []messages.WorkerID) {
	for _, worker := range workers {
		if i := l.instances[endOfID(string(worker))]; i != nil && i.ended.IsZero() {
			i.checked = l.world.Now()
		}
	}
}

// requeued judges that the autoscaler has put a task back: it must have lost its
// worker, once for each time that it is put back, and nobody may have it.
func (l *laws) requeued(id string) {
	t := l.tasks[id]
	if t == nil {
		l.breach("task %s was put back, and nobody had enqueued it", id)
		return
	}
	t.requeues++
	t.putBack = l.world.Now()
	l.world.requeues++
	l.world.tell("REQUEUE of %s: %s", t.name, t.lost)
	switch {
	case t.aborted:
		l.breach("%s was put back although its user had aborted it", t.name)
	case t.lost == "":
		l.breach("%s was put back although it had not lost its worker", t.name)
	}
	for _, i := range l.order {
		if i.task == t && i.ended.IsZero() && !i.frozen {
			l.breach("%s was put back although %s has it", t.name, i.id)
		}
	}
	t.lost = ""
	l.sample(t.queue, 1)
}

// agentCalled sees every request of an agent that the server has served.
func (l *laws) agentCalled(r *http.Request, body []byte, answer *http.Response) {
	i := l.hosts[r.Header.Get("X-ClearML-Worker")]
	endpoint := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if i == nil || answer.StatusCode != http.StatusOK {
		return
	}
	switch endpoint {
	case "workers.register":
		l.registered(i)
	case "queues.get_next_task":
		l.answered(i, answer)
	case "tasks.completed", "tasks.stopped", "tasks.failed":
		if i.task != nil && bytes.Contains(body, []byte(i.task.id)) {
			l.finished(i)
		}
	case "queues.add_or_update_metadata":
		l.acked(i, string(body))
	case "workers.status_report":
		l.reported(i, bytes.Contains(body, []byte(`"task":`)))
	}
}

// reported sees a status report of an agent: one that has no task although it
// has popped one could not start it.
func (l *laws) reported(i *instance, withTask bool) {
	if i.task != nil && !withTask && l.world.Now().Sub(i.taskAt) > reportLag {
		l.lose(i.task, "%s could not start it and gave it up", i.id)
		i.task = nil
	}
}

func (l *laws) answered(i *instance, answer *http.Response) {
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		l.breach("read answer of get_next_task: %s", err)
		return
	}
	answer.Body = io.NopCloser(bytes.NewReader(text))
	var pop struct {
		Data struct {
			Entry struct {
				Task string `json:"task"`
			} `json:"entry"`
		} `json:"data"`
	}
	if err := json.Unmarshal(text, &pop); err != nil {
		l.breach("decode answer of get_next_task: %s", err)
		return
	}
	if pop.Data.Entry.Task != "" {
		l.popped(i, pop.Data.Entry.Task)
	}
}

// popped sees that the server gave a task to an agent.
func (l *laws) popped(i *instance, id string) {
	t := l.tasks[id]
	if t == nil {
		l.breach("%s popped task %s, which nobody enqueued", i.id, id)
		return
	}
	for _, other := range l.order {
		if other.task == t && other.ended.IsZero() && !other.frozen && other != i {
			l.breach("%s popped %s, which %s has", i.id, t.name, other.id)
		}
	}
	if i.task != nil {
		l.lose(i.task, "%s popped another one: the answer to the first was lost", i.id)
	}
	t.lost = "" // put back by somebody else, or never really lost
	i.task, i.taskAt = t, l.world.Now()
	l.sample(t.queue, -1)
	if !i.ended.IsZero() {
		l.lose(t, "%s popped it while it was shutting down", i.id)
		i.task = nil
	}
}

// Abort lets the user of a task give it up, as in ClearML's web interface: the
// n-th of those that are queued or in progress. It reports whether there was one.
func (w *World) Abort(n int) (bool, error) {
	open := slices.DeleteFunc(slices.Clone(w.laws.listed), func(t *task) bool {
		status := w.status(t)
		return t.aborted || t.lost != "" || (status != fakeclearml.StatusQueued && status != fakeclearml.StatusInProgress)
	})
	if len(open) == 0 {
		return false, nil
	}
	t := open[n%len(open)]
	w.tell("ABORT of %s", t.name)
	if w.status(t) == fakeclearml.StatusQueued && w.waits(t) {
		w.laws.sample(t.queue, -1)
	}
	t.aborted = true
	if _, err := w.ml.Stop(fakeclearml.StatusRequest{Task: t.id}); err != nil {
		return false, fmt.Errorf("abort %s: %w", t.name, err)
	}
	return true, nil
}

// waits says whether a task is in its queue.
func (w *World) waits(t *task) bool {
	queue, there := w.ml.QueueByName(t.queue)
	return there && slices.ContainsFunc(queue.Entries, func(e fakeclearml.Entry) bool { return e.Task == t.id })
}
