package clearml

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ebbscale/ebb/messages"
)

type unfinishedRequest struct {
	Status       []string `json:"status"`
	OnlyFields   []string `json:"only_fields"`
	SearchHidden bool     `json:"search_hidden"`
	OrderBy      []string `json:"order_by"`
	Page         int      `json:"page"`
	PageSize     int      `json:"page_size"`
}

type statesData struct {
	Tasks *[]stateRow `json:"tasks"`
}

type stateRow struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Status       string `json:"status"`
	StatusReason string `json:"status_reason"`
	// Message is "stopping" from when somebody asked to stop the task until its
	// worker has.
	Message   string `json:"status_message"`
	Execution struct {
		Queue string `json:"queue"`
	} `json:"execution"`
	LastWorker string `json:"last_worker"`
	Updated    stamp  `json:"last_update"`
	Changed    stamp  `json:"status_changed"`
}

// stateFields are what makes a stateRow.
func stateFields() []string {
	return []string{"id", "name", "status", "status_reason", "status_message", "execution.queue", "last_worker", "last_update", "status_changed"}
}

func (d statesData) check() error {
	if d.Tasks == nil {
		return errors.New("the answer to tasks.get_all has no data.tasks")
	}
	for i := range *d.Tasks {
		if row := &(*d.Tasks)[i]; row.ID == "" || row.Status == "" {
			return fmt.Errorf("task %d of the answer has no id or no status", i)
		}
	}
	return nil
}

func (r *stateRow) state() messages.TaskState {
	return messages.TaskState{
		ID: messages.TaskID(r.ID), Name: r.Name, Status: messages.TaskStatus(r.Status), StatusReason: r.StatusReason,
		Stopping: r.Status == taskInProgress && r.Message == "stopping",
		QueueID:  r.Execution.Queue, LastWorker: messages.WorkerID(r.LastWorker),
		LastUpdate: latest(r.Updated, r.Changed),
	}
}

// Unfinished answers every task that is queued or in progress, whole or an
// error, in no particular order. Hidden tasks are among them.
//
// Pages are counted by position, and tasks leave the list while it is read, so
// that others move to where one has looked already. The list is therefore
// ordered by the last change of status, and what is longer than a page is read a
// second time from its end: there, what leaves or changes only moves the rest to
// where is still to be looked. Up to 500 tasks it is one call.
func (c *Client) Unfinished(ctx context.Context) ([]messages.TaskState, error) {
	gathered := &unfinished{place: map[string]int{}}
	last := 0
	for more := true; more; last++ {
		var err error
		if last == maxPages {
			t := shapeTrouble("the answer goes on after %d pages of tasks", maxPages)
			t.failure.Code = codeTooLarge
			err = &callError{action: tasksAction, server: c.base, attempts: 1, trouble: t}
		} else {
			more, err = c.unfinishedPage(ctx, last, gathered)
		}
		if err != nil {
			return nil, fmt.Errorf("ask unfinished tasks: %w", err)
		}
	}
	for page := last - 2; page >= 0; page-- {
		if _, err := c.unfinishedPage(ctx, page, gathered); err != nil {
			return nil, fmt.Errorf("ask unfinished tasks: %w", err)
		}
	}
	return gathered.states, nil
}

// unfinished gathers the pages; what is seen twice counts as it was seen last.
type unfinished struct {
	states []messages.TaskState
	place  map[string]int
}

// unfinishedPage reads one page and says whether there may be more behind it.
func (c *Client) unfinishedPage(ctx context.Context, page int, into *unfinished) (full bool, err error) {
	got, err := call[statesData](ctx, c, tasksAction, unfinishedRequest{
		Status: []string{string(messages.TaskQueued), taskInProgress}, OnlyFields: stateFields(), SearchHidden: true,
		OrderBy: []string{"status_changed", "id"}, Page: page, PageSize: taskPage,
	})
	if err != nil {
		return false, err
	}
	rows := *got.data.Tasks
	for i := range rows {
		row := &rows[i]
		if row.Status != string(messages.TaskQueued) && row.Status != taskInProgress {
			continue // a server that does not know the filter
		}
		if at, twice := into.place[row.ID]; twice {
			into.states[at] = row.state()
			continue
		}
		into.place[row.ID] = len(into.states)
		into.states = append(into.states, row.state())
	}
	return mayBeClipped(len(rows), taskPage), nil
}

type taskByIDRequest struct {
	ID           []string `json:"id"`
	OnlyFields   []string `json:"only_fields"`
	SearchHidden bool     `json:"search_hidden"`
}

type enqueueRequest struct {
	Task         string `json:"task"`
	Queue        string `json:"queue"`
	Force        bool   `json:"force,omitempty"`
	StatusReason string `json:"status_reason,omitempty"`
}

type enqueueData struct {
	Queued *int `json:"queued"`
}

func (d enqueueData) check() error {
	if d.Queued == nil || *d.Queued == 0 {
		return errors.New("the answer to tasks.enqueue does not say that the task is queued")
	}
	return nil
}

// Requeue puts a task back into its queue if it still is as the request says:
// one that is queued, but in no queue, or with force one that is in progress on
// a worker that is gone or does not run it, which keeps its artifacts. A task that is not as
// the request says, or is not at all, is left alone.
//
// It looks right before it writes, and looks again before each further attempt,
// as one whose answer was lost may have worked: a worker may run the task by
// then. What remains is the moment between look and write, for which the server
// has no guard. In it a task that another worker has just started is put back
// although it runs; that its former worker is gone, and that it waited in no
// queue, is what keeps this from happening.
func (c *Client) Requeue(ctx context.Context, request messages.Requeue) (messages.RequeueOutcome, error) {
	outcome, err := c.requeue(ctx, request)
	if err != nil {
		return messages.RequeueOutcome{}, fmt.Errorf("requeue task %s: %w", request.Task, err)
	}
	return outcome, nil
}

func (c *Client) requeue(ctx context.Context, request messages.Requeue) (messages.RequeueOutcome, error) {
	if err := checkRequeue(request); err != nil {
		return messages.RequeueOutcome{}, err
	}
	var before *stateRow // as it was before the attempt that failed with last
	var last error
	for attempt := 1; ; attempt++ {
		row, err := c.taskNow(ctx, request.Task)
		if err != nil {
			return messages.RequeueOutcome{}, errors.Join(last, err)
		}
		outcome := messages.RequeueOutcome{Found: row.state()}
		switch {
		case isBack(row, before, request):
			outcome.Done = true
			return outcome, nil
		case outcome.Found.Status != request.Status, outcome.Found.LastWorker != request.LastWorker,
			before != nil && !row.Changed.Equal(before.Changed.Time):
			return outcome, nil
		case attempt > c.attempts:
			return messages.RequeueOutcome{}, last
		}
		before = row
		if last = c.enqueue(ctx, request); last == nil {
			outcome.Done = true
			return outcome, nil
		}
		if refusedWith(last, subcodeQueueID) {
			return c.withoutQueue(ctx, request.Task, last)
		}
		if !c.mayEnqueueAgain(ctx, last, attempt) {
			return messages.RequeueOutcome{}, last
		}
	}
}

// withoutQueue is what became of a task whose queue the server does not have. The
// server has noted the attempt in the task, so it is looked at once more.
func (c *Client) withoutQueue(ctx context.Context, task messages.TaskID, refusal error) (messages.RequeueOutcome, error) {
	row, err := c.taskNow(ctx, task)
	if err != nil {
		return messages.RequeueOutcome{}, errors.Join(refusal, err)
	}
	return messages.RequeueOutcome{NoQueue: true, Found: row.state()}, nil
}

func checkRequeue(request messages.Requeue) error {
	switch {
	case !plain(string(request.Task)) || !plain(request.QueueID):
		return invalid("the task's or the queue's id is empty, not UTF-8 or holds a NUL")
	case request.Status != messages.TaskQueued && request.Status != messages.TaskInProgress:
		return invalid("a task that is %q is not put back, only one that is queued or in_progress", request.Status)
	}
	return nil
}

// taskNow looks at one task; the row is empty if there is none.
func (c *Client) taskNow(ctx context.Context, task messages.TaskID) (*stateRow, error) {
	request := taskByIDRequest{ID: []string{string(task)}, OnlyFields: stateFields(), SearchHidden: true}
	got, err := call[statesData](ctx, c, tasksAction, request)
	if err != nil {
		return nil, err
	}
	rows := *got.data.Tasks
	if at := slices.IndexFunc(rows, func(row stateRow) bool { return row.ID == string(task) }); at >= 0 {
		return &rows[at], nil
	}
	return &stateRow{}, nil
}

// isBack says whether the task is where the request wants it, by our doing:
// since the failed attempt before which it was as given, or, before any attempt
// of this call, with our reason.
func isBack(row, before *stateRow, request messages.Requeue) bool {
	if row.Status != string(messages.TaskQueued) || row.Execution.Queue != request.QueueID {
		return false
	}
	if before != nil {
		return !row.Changed.Equal(before.Changed.Time)
	}
	return request.Status == messages.TaskInProgress && request.Reason != "" && row.StatusReason == request.Reason &&
		row.LastWorker == string(request.LastWorker)
}

// enqueue is one attempt; a task that is in the queue already is fine.
func (c *Client) enqueue(ctx context.Context, request messages.Requeue) error {
	_, err := callUpTo[enqueueData](ctx, c, "tasks.enqueue", enqueueRequest{
		Task: string(request.Task), Queue: request.QueueID, StatusReason: request.Reason,
		// Without force the server itself refuses what is no longer queued.
		Force: request.Status == messages.TaskInProgress,
	}, 1)
	if refusedWith(err, subcodeAlreadyQueued) {
		return nil
	}
	return err
}

// mayEnqueueAgain says whether another look is worth while after the given
// attempt failed, and waits as long as it should.
func (c *Client) mayEnqueueAgain(ctx context.Context, err error, attempt int) bool {
	if refusedWith(err, subcodeTaskID, subcodeTaskStatus, subcodeStatusRace, subcodeTaskNotFound) {
		return true // it has changed since the look
	}
	var failed *callError
	return errors.As(err, &failed) && failed.trouble.retry && failed.trouble.after <= patience && ctx.Err() == nil &&
		c.wait(ctx, max(c.backoff(attempt), failed.trouble.after))
}
