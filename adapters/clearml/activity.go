package clearml

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/ebbscale/ebb/messages"
)

const (
	tasksAction = "tasks.get_all"
	taskPage    = serverPage
	maxPages    = 200

	// Workers are asked about in groups that keep the pattern small and the tasks
	// that run on them within one page: pages are counted by position, and a row
	// that leaves the list moves the next page's first row out of sight.
	groupSize = 200
)

// Task statuses, by the server's names.
const (
	taskInProgress = "in_progress"
	taskStopped    = "stopped"
	taskFailed     = "failed"
	taskCompleted  = "completed"
	taskClosed     = "closed"
	taskPublished  = "published"
	taskPublishing = "publishing"
)

type tasksRequest struct {
	Status        []string     `json:"status,omitempty"`
	StatusChanged []string     `json:"status_changed,omitempty"`
	Any           fieldPattern `json:"_any_"`
	OnlyFields    []string     `json:"only_fields"`
	SearchHidden  bool         `json:"search_hidden"`
	OrderBy       []string     `json:"order_by"`
	Page          int          `json:"page"`
	PageSize      int          `json:"page_size"`
}

type fieldPattern struct {
	Fields  []string `json:"fields"`
	Pattern string   `json:"pattern"`
}

type tasksData struct {
	Tasks *[]taskRow `json:"tasks"`
}

type taskRow struct {
	ID         string `json:"id"`
	Status     string `json:"status"`
	LastWorker string `json:"last_worker"`
	Completed  stamp  `json:"completed"`
	Changed    stamp  `json:"status_changed"`
	Updated    stamp  `json:"last_update"`
}

func (d tasksData) check() error {
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

// Activity asks the tasks API what the named workers ran since the given time.
// The answer has one entry for each worker asked, in the order asked. A task
// names its worker only from the first report on, seconds after it was pulled.
// Workers are told apart by their instance ids alone: an instance that was
// launched under another prefix or name must not look as if it had no work.
func (c *Client) Activity(
	ctx context.Context, since time.Time, workers []messages.WorkerID,
) ([]messages.WorkerActivity, error) {
	known := make(map[string]*history, len(workers))
	for _, worker := range workers {
		if !plain(string(worker)) {
			return nil, fmt.Errorf("ask activity: %w", invalid("worker id %q is empty, not UTF-8 or holds a NUL", worker))
		}
		known[ending(worker)] = &history{}
	}
	for start := 0; start < len(workers); {
		end := groupEnd(workers, start)
		if err := c.histories(ctx, since, workers[start:end], known); err != nil {
			return nil, fmt.Errorf("ask activity of %d workers: %w", len(workers), err)
		}
		start = end
	}
	activity := make([]messages.WorkerActivity, len(workers))
	for i, worker := range workers {
		about := known[ending(worker)]
		activity[i] = messages.WorkerActivity{Worker: worker, Running: about.running, LastEnd: about.lastEnd}
		if about.running != "" {
			activity[i].Beat = about.updated
		}
	}
	return activity, nil
}

// ending is the part of a worker id after its last colon: the instance's id.
func ending(worker messages.WorkerID) string {
	return string(worker[strings.LastIndexByte(string(worker), ':')+1:])
}

// withEndings is a regular expression that matches the worker ids with the same
// endings.
func withEndings(workers []messages.WorkerID) string {
	quoted := make([]string, len(workers))
	for i, worker := range workers {
		quoted[i] = regexp.QuoteMeta(ending(worker))
	}
	return "(^|:)(" + strings.Join(quoted, "|") + ")$"
}

// groupEnd is where the group that begins at start ends.
func groupEnd(workers []messages.WorkerID, start int) int {
	size := 0
	for i := start; i < len(workers); i++ {
		size += 2*len(workers[i]) + 1 // the worst that quoting can do
		if i > start && (i-start == groupSize || size > maxPattern) {
			return i
		}
	}
	return len(workers)
}

// history is what is known of one worker.
type history struct {
	running messages.TaskID
	updated time.Time
	lastEnd time.Time
}

// histories asks for the running tasks first and for those that ended second: a
// task that ends in between is then seen twice, and not missed.
func (c *Client) histories(
	ctx context.Context, since time.Time, workers []messages.WorkerID, known map[string]*history,
) error {
	base := tasksRequest{
		Any:          fieldPattern{Fields: []string{"last_worker"}, Pattern: withEndings(workers)},
		OnlyFields:   []string{"id", "status", "last_worker", "completed", "status_changed", "last_update"},
		SearchHidden: true,
		// Newest first: a row that changes goes to the front, so that others are seen
		// twice rather than never.
		OrderBy:  []string{"-status_changed"},
		PageSize: taskPage,
	}
	running := base
	running.Status = []string{taskInProgress}
	if err := c.eachTask(ctx, running, func(row *taskRow) {
		about := known[ending(messages.WorkerID(row.LastWorker))]
		if about == nil || row.Status != taskInProgress {
			return
		}
		if at := latest(row.Updated, row.Changed); about.running == "" || at.After(about.updated) {
			about.running, about.updated = messages.TaskID(row.ID), at
		}
	}); err != nil {
		return err
	}
	ended := base
	ended.StatusChanged = []string{">=" + serverTime(since)}
	return c.eachTask(ctx, ended, func(row *taskRow) {
		about := known[ending(messages.WorkerID(row.LastWorker))]
		if at := endOf(row); about != nil && !at.IsZero() && !at.Before(since) && at.After(about.lastEnd) {
			about.lastEnd = at
		}
	})
}

// endOf is when the task ended on its last worker, zero when it did not.
func endOf(row *taskRow) time.Time {
	switch row.Status {
	case taskInProgress:
		return time.Time{} // completed, if any, is of an earlier run
	case taskStopped, taskFailed:
		// completed may be of an earlier run, or missing.
		return latest(row.Completed, row.Changed)
	case taskCompleted, taskClosed, taskPublished, taskPublishing:
		if row.Completed.IsZero() {
			return row.Changed.Time
		}
	}
	return row.Completed.Time
}

// serverTime writes a time for a filter, not later than it is: the database
// knows milliseconds.
func serverTime(at time.Time) string {
	if at.Before(time.Unix(0, 0)) {
		at = time.Unix(0, 0)
	}
	return at.UTC().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z07:00")
}

// eachTask reads all pages of an answer.
func (c *Client) eachTask(ctx context.Context, request tasksRequest, see func(*taskRow)) error {
	for request.Page = range maxPages {
		got, err := call[tasksData](ctx, c, tasksAction, request)
		if err != nil {
			return err
		}
		rows := *got.data.Tasks
		for i := range rows {
			see(&rows[i])
		}
		if !mayBeClipped(len(rows), taskPage) {
			return nil
		}
	}
	t := shapeTrouble("the answer goes on after %d pages of tasks; ask about a shorter time", maxPages)
	t.failure.Code = codeTooLarge
	return &callError{action: tasksAction, server: c.base, attempts: 1, trouble: t}
}
