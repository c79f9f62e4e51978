package fakeagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// API is a ClearML server as an agent and its supervisor call it. [NewHTTP]
// speaks to one over HTTP, [NewInProcess] to a fake one in the same process.
type API interface {
	// Call makes one call; endpoint may begin with a version. out is nil or points
	// to the answer that belongs to the endpoint: a [Token], [Queues],
	// [Properties], [Next], [Tasks], [TaskRead] or [Metadata]. The credentials are
	// the API's affair: a token that has run out is renewed.
	Call(ctx context.Context, endpoint string, in Body, out any) error
}

// Body is the parameters of a call.
type Body map[string]any

// Token answers auth.login.
type Token struct {
	Token string `json:"token"`
}

// Queues answers queues.get_all.
type Queues struct {
	Queues []QueueRow `json:"queues"`
}

// QueueRow is one queue, as far as it was asked for.
type QueueRow struct {
	ID   string   `json:"id"`
	Name string   `json:"name"`
	Tags []string `json:"tags"`
}

// Properties answers workers.get_runtime_properties.
type Properties struct {
	Properties []Property `json:"runtime_properties"`
}

// Property is one runtime property of a worker.
type Property struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Next answers queues.get_next_task. Entry has no task when the queue is empty.
type Next struct {
	Entry struct {
		Task string `json:"task"`
	} `json:"entry"`
}

// Tasks answers tasks.get_all.
type Tasks struct {
	Tasks []TaskRow `json:"tasks"`
}

// TaskRow is one task, as far as it was asked for.
type TaskRow struct {
	Status  string         `json:"status"`
	Message string         `json:"status_message"`
	Runtime map[string]any `json:"runtime"`
}

// TaskRead answers tasks.get_by_id.
type TaskRead struct {
	Task TaskRow `json:"task"`
}

// Metadata answers queues.get_all with the metadata of one queue. Keys are set by
// the caller: only their values are kept.
type Metadata struct {
	Keys []string
	// Found says whether the queue is there, Values what it says.
	Found  bool
	Values map[string]string

	last string // the answer that Found and Values were read from
}

// UnmarshalJSON reads the answer, unless it is the same as the one before: a
// supervisor asks every few seconds, and next to nothing changes.
func (m *Metadata) UnmarshalJSON(raw []byte) error {
	if m.last == string(raw) {
		return nil
	}
	var answer struct {
		Queues []struct {
			Metadata map[string]struct {
				Value string `json:"value"`
			} `json:"metadata"`
		} `json:"queues"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return err
	}
	m.Found, m.Values, m.last = len(answer.Queues) > 0, map[string]string{}, string(raw)
	for _, key := range m.Keys {
		if m.Found {
			if item, there := answer.Queues[0].Metadata[key]; there {
				m.Values[key] = item.Value
			}
		}
	}
	return nil
}

// Refusal is an error that the server answered.
type Refusal struct {
	Status, Subcode int
	Message         string
}

// Error gives status, subcode and message.
func (e *Refusal) Error() string {
	return fmt.Sprintf("server answered %d/%d: %s", e.Status, e.Subcode, e.Message)
}

// isStatus tells whether err is an answer with that HTTP status.
func isStatus(err error, status int) bool {
	var e *Refusal
	return errors.As(err, &e) && e.Status == status
}

// escape writes a name as a regular expression the way Python's re.escape does.
func escape(name string) string {
	var b strings.Builder
	for _, r := range name {
		if strings.ContainsRune("()[]{}?*+-|^$\\.&~# \t\n\r\v\f", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
