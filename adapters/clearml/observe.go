package clearml

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ebbscale/ebb/messages"
)

// lastSeen is how long, in seconds, a worker that is silent stays in the
// answer; the server itself forgets it after the same time.
const lastSeen = 600

// Observe polls all watched queues and workers with two calls. The workers are
// asked for first: see the package comment.
func (c *Client) Observe(ctx context.Context, query messages.ClearMLQuery) (messages.ClearMLSnapshot, error) {
	if !plain(query.WorkersPrefix) {
		return messages.ClearMLSnapshot{}, fmt.Errorf("observe ClearML: %w",
			invalid("workers prefix %q is empty, not UTF-8 or holds a NUL: correct it in the configuration", query.WorkersPrefix))
	}
	if err := plainNames(query.Queues); err != nil {
		return messages.ClearMLSnapshot{}, fmt.Errorf("observe ClearML: %w", err)
	}
	snapshot := messages.ClearMLSnapshot{At: c.clock.Now()}
	var err error
	if snapshot.Workers, snapshot.ServerNow, err = c.workers(ctx, query.WorkersPrefix); err != nil {
		return messages.ClearMLSnapshot{}, fmt.Errorf("observe workers: %w", err)
	}
	if snapshot.Queues, snapshot.Missing, err = c.queues(ctx, query.Queues); err != nil {
		return messages.ClearMLSnapshot{}, fmt.Errorf("observe queues: %w", err)
	}
	return snapshot, nil
}

// plainNames refuses names that no queue can have and the server would choke on.
func plainNames(names []messages.QueueName) error {
	for _, name := range names {
		if !plain(string(name)) {
			return invalid("queue name %q is empty, not UTF-8 or holds a NUL: correct it in the configuration", name)
		}
	}
	return nil
}

// plain says whether a regular expression of the server can hold the text.
func plain(text string) bool {
	return text != "" && utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}

type workersRequest struct {
	LastSeen      int    `json:"last_seen"`
	WorkerPattern string `json:"worker_pattern"`
}

type workersData struct {
	Workers *[]workerRow `json:"workers"`
}

type workerRow struct {
	ID         string      `json:"id"`
	Task       *workerTask `json:"task"`
	Registered stamp       `json:"register_time"`
	Active     stamp       `json:"last_activity_time"`
	Reported   stamp       `json:"last_report_time"`
	Queues     []struct {
		Name string `json:"name"`
	} `json:"queues"`
}

// queueNames are the names of the queues that a worker pulls from, and whether one
// of them does not exist any more: that has only an id. Most workers have the same
// as the row before: then that list is shared, and nobody may change it.
func (r *workerRow) queueNames(before []messages.QueueName) (names []messages.QueueName, forsaken bool) {
	for _, queue := range r.Queues {
		if queue.Name == "" {
			forsaken = true
			continue
		}
		names = append(names, messages.QueueName(queue.Name))
	}
	slices.Sort(names) // the server tells them in no order
	if slices.Equal(names, before) {
		return before, forsaken
	}
	return names, forsaken
}

type workerTask struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (d workersData) check() error {
	if d.Workers == nil {
		return errors.New("the answer to workers.get_all has no data.workers")
	}
	for i := range *d.Workers {
		row := &(*d.Workers)[i]
		switch {
		case row.ID == "":
			return fmt.Errorf("worker %d of the answer has no id", i)
		case row.Task != nil && row.Task.ID == "":
			return fmt.Errorf("worker %q runs a task without an id", row.ID)
		}
	}
	return nil
}

// workers answers those whose id starts with the prefix and a colon, and the
// server's clock as it answered.
func (c *Client) workers(ctx context.Context, prefix string) ([]messages.WorkerState, time.Time, error) {
	request := workersRequest{LastSeen: lastSeen, WorkerPattern: escapeGlob(prefix) + ":*"}
	got, err := call[workersData](ctx, c, "workers.get_all", request)
	if err != nil {
		return nil, time.Time{}, err
	}
	serverNow := got.date
	if serverNow.IsZero() {
		serverNow = c.clock.Now()
	}
	return ours(*got.data.Workers, prefix+":"), serverNow, nil
}

// ours keeps the rows with the prefix, one for each id: two users can report
// the same worker, and then the one heard last is the one that lives.
func ours(rows []workerRow, prefix string) []messages.WorkerState {
	states := make([]messages.WorkerState, 0, len(rows))
	place := make(map[string]int, len(rows))
	var queues []messages.QueueName
	for i := range rows {
		row := &rows[i]
		if !strings.HasPrefix(row.ID, prefix) {
			continue
		}
		var forsaken bool
		queues, forsaken = row.queueNames(queues)
		state := messages.WorkerState{
			ID: messages.WorkerID(row.ID), Queues: queues, Forsaken: forsaken,
			Registered: row.Registered.Time,
			LastActive: latest(row.Registered, row.Active, row.Reported),
		}
		if row.Task != nil {
			state.Task, state.TaskName = messages.TaskID(row.Task.ID), row.Task.Name
		}
		at, twice := place[row.ID]
		if !twice {
			place[row.ID] = len(states)
			states = append(states, state)
			continue
		}
		if other := states[at]; state.LastActive.After(other.LastActive) ||
			// At the same moment the busy one counts: better kept than killed.
			(state.LastActive.Equal(other.LastActive) && other.Task == "") {
			states[at] = state
		}
	}
	return states
}

// escapeGlob makes the text match only itself in a Redis pattern.
func escapeGlob(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}
