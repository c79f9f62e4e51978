package clearml

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/ebbscale/ebb/messages"
)

const (
	queuesAction = "queues.get_all"
	// scrollSize is how many queues one answer may hold. Scrolling answers are not
	// clipped by the server, so this is normally one call.
	scrollSize = 10000
	maxScrolls = 200
	// maxPattern bounds the regular expression of names. MongoDB refuses those
	// over 32,764 bytes, and its engine those that compile to 64 KiB; a longer
	// list of names is found among all queues instead.
	maxPattern = 16000
	// serverPage is the server's own largest page, and clipStep what any other
	// limit that a person would set is a multiple of.
	serverPage = 500
	clipStep   = 100
)

type queuesRequest struct {
	Name         string   `json:"name,omitempty"`
	SearchHidden bool     `json:"search_hidden,omitempty"`
	OnlyFields   []string `json:"only_fields"`
	OrderBy      []string `json:"order_by,omitempty"`
	ScrollID     *string  `json:"scroll_id"`
	Size         int      `json:"size"`
}

type queuesData struct {
	Queues   *[]queueRow `json:"queues"`
	ScrollID string      `json:"scroll_id"`
}

type queueRow struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Tags     []string   `json:"tags"`
	Entries  []entryRow `json:"entries"`
	Metadata metadata   `json:"metadata"`
}

type entryRow struct {
	Task  string `json:"task"`
	Added stamp  `json:"added"`
}

func (d queuesData) check() error {
	if d.Queues == nil {
		return errors.New("the answer to queues.get_all has no data.queues")
	}
	for i := range *d.Queues {
		row := &(*d.Queues)[i]
		if row.ID == "" || row.Name == "" {
			return fmt.Errorf("queue %d of the answer has no id or no name", i)
		}
		for j := range row.Entries {
			if row.Entries[j].Task == "" {
				return fmt.Errorf("entry %d of queue %q has no task", j, row.Name)
			}
		}
	}
	return nil
}

// queues answers the named queues that exist, and the names of those that do
// not, in the order given.
func (c *Client) queues(
	ctx context.Context, names []messages.QueueName,
) (found []messages.QueueState, missing []messages.QueueName, err error) {
	request := queuesRequest{
		OnlyFields: []string{"id", "name", "tags", "system_tags", "entries", "metadata"},
		Size:       scrollSize,
	}
	if pattern := exactly(names); len(pattern) <= maxPattern {
		request.Name = pattern
	} else {
		// All of them, also those that are hidden unless named.
		request.SearchHidden, request.OrderBy = true, []string{"id"}
	}
	read := &scroll{wanted: make(map[messages.QueueName]bool, len(names)), seen: map[string]bool{}}
	for _, name := range names {
		read.wanted[name] = false
	}
	read.left = len(read.wanted)
	for page := 1; ; page++ {
		got, err := call[queuesData](ctx, c, queuesAction, request)
		if err != nil {
			return nil, nil, err
		}
		more, t := read.take(c, got.data)
		if t == nil && more && page == maxScrolls {
			t = shapeTrouble("the scroll goes on after %d answers", page)
		}
		if t != nil {
			t.failure.Message = clean(t.failure.Message, nil)
			return nil, nil, &callError{action: queuesAction, server: c.base, attempts: 1, trouble: t}
		}
		if !more {
			break
		}
		request.ScrollID = &got.data.ScrollID
	}
	for _, name := range names {
		if !read.wanted[name] {
			missing = append(missing, name)
			read.wanted[name] = true // name it once
		}
	}
	return read.found, missing, nil
}

// scroll gathers the answers to one question.
type scroll struct {
	found  []messages.QueueState
	wanted map[messages.QueueName]bool // whether it was found
	left   int                         // how many were not
	seen   map[string]bool             // ids
}

// take adds one answer and says whether to ask for the next.
func (s *scroll) take(c *Client, data queuesData) (more bool, t *trouble) {
	rows := *data.Queues
	fresh := 0
	for i := range rows {
		row := &rows[i]
		if s.seen[row.ID] {
			continue
		}
		s.seen[row.ID] = true
		fresh++
		name := messages.QueueName(row.Name)
		found, wanted := s.wanted[name]
		if !wanted {
			continue
		}
		if found {
			// Agents take the first that the server names; so do we.
			c.log.Warn().Str("queue", row.Name).Str("id", row.ID).Msg("second queue of this name ignored")
			continue
		}
		s.wanted[name] = true
		s.left--
		s.found = append(s.found, queueState(row))
	}
	switch {
	case s.left == 0 || !mayBeClipped(len(rows), scrollSize):
		return false, nil
	case fresh == 0:
		return false, shapeTrouble("the scroll repeats itself after %d queues", len(s.seen))
	case data.ScrollID == "" && len(rows) >= serverPage:
		return false, shapeTrouble("the server gave %d queues and no way to get the others (no scroll_id)", len(rows))
	}
	return data.ScrollID != "", nil
}

// mayBeClipped says whether a list of this length may not be all there is: it
// is full, or as long as a limit of the server may have made it.
func mayBeClipped(length, asked int) bool {
	return length >= asked || (length > 0 && length%clipStep == 0)
}

func queueState(row *queueRow) messages.QueueState {
	state := messages.QueueState{
		Name: messages.QueueName(row.Name), ID: row.ID, Tags: row.Tags, Metadata: row.Metadata,
	}
	if len(row.Entries) > 0 {
		state.Entries = make([]messages.QueueEntry, len(row.Entries))
	}
	for i, entry := range row.Entries {
		state.Entries[i] = messages.QueueEntry{Task: messages.TaskID(entry.Task), Added: entry.Added.Time}
	}
	return state
}

// exactly is a regular expression, of Python and of MongoDB, that matches these
// texts and nothing else.
func exactly[T ~string](texts []T) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = regexp.QuoteMeta(string(text))
	}
	return "^(" + strings.Join(quoted, "|") + ")$"
}

type createRequest struct {
	Name string `json:"name"`
}

type createData struct {
	ID string `json:"id"`
}

func (d createData) check() error {
	if d.ID == "" {
		return errors.New("the answer to queues.create has no data.id")
	}
	return nil
}

// CreateQueues makes the named queues; one that exists already is fine. A name
// that the server refuses does not keep the others from being made; the errors
// come together. Anything else ends it.
func (c *Client) CreateQueues(ctx context.Context, names []messages.QueueName) error {
	var refusals []error
	asked := make(map[messages.QueueName]bool, len(names))
	for _, name := range names {
		if asked[name] {
			continue
		}
		asked[name] = true
		err := c.createQueue(ctx, name)
		if err == nil {
			continue
		}
		refusals = append(refusals, fmt.Errorf("create queue %q: %w", name, err))
		if messages.FailureOf(err).Class != messages.ClassInvalid {
			break
		}
	}
	return errors.Join(refusals...)
}

func (c *Client) createQueue(ctx context.Context, name messages.QueueName) error {
	if err := plainNames([]messages.QueueName{name}); err != nil {
		return err
	}
	// The server would strip the name, and the queue we watch would never exist.
	if strings.TrimSpace(string(name)) != string(name) {
		return invalid("the name begins or ends with white space: correct it in the configuration")
	}
	_, err := call[createData](ctx, c, "queues.create", createRequest{Name: string(name)})
	if refusedWith(err, subcodeUnique) {
		return nil
	}
	return err
}
