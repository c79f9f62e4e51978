package clearml

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	fast "github.com/segmentio/encoding/json"

	"github.com/ebbscale/ebb/messages"
)

// metadataType is the type of our keys; the server wants one and heeds none.
const metadataType = "str"

// metadata is a queue's metadata as the server gives it, an object of objects,
// reduced to the values. What somebody keeps there that is no text is left out.
type metadata map[string]string

// UnmarshalJSON reads the object. Servers that know no metadata give null or an
// empty list.
func (m *metadata) UnmarshalJSON(raw []byte) error {
	*m = nil
	switch string(bytes.TrimSpace(raw)) {
	case "{}", "[]", "null": // of nearly every queue
		return nil
	}
	var items map[string]struct {
		Value any `json:"value"`
	}
	if fast.Unmarshal(raw, &items) != nil {
		items = nil
		if err := json.Unmarshal(raw, &items); err != nil {
			return fmt.Errorf("read metadata: %w", err)
		}
	}
	values := make(metadata, len(items))
	for key, item := range items {
		if text, isText := item.Value.(string); isText {
			values[key] = text
		}
	}
	*m = values
	return nil
}

type setMetadataRequest struct {
	Queue    string         `json:"queue"`
	Metadata []metadataItem `json:"metadata"`
}

type metadataItem struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

type deleteMetadataRequest struct {
	Queue string   `json:"queue"`
	Keys  []string `json:"keys"`
}

type updateQueueRequest struct {
	Queue string   `json:"queue"`
	Tags  []string `json:"tags"`
}

// updatedData answers every change of a queue. How many were updated is not
// looked at: a change that changes nothing is as good.
type updatedData struct {
	Updated *int `json:"updated"`
}

func (d updatedData) check() error {
	if d.Updated == nil {
		return errors.New("the answer to a change of a queue has no data.updated")
	}
	return nil
}

// Signal changes keys of one queue's metadata, and no others: first those of
// Set in one call, then those of Delete in another. The server writes each key
// by itself, so writers of different keys never lose each other's.
func (c *Client) Signal(ctx context.Context, signal messages.Signal) error {
	if err := c.signal(ctx, signal); err != nil {
		return fmt.Errorf("signal through queue %s: %w", signal.QueueID, err)
	}
	return nil
}

func (c *Client) signal(ctx context.Context, signal messages.Signal) error {
	if err := checkSignal(signal); err != nil {
		return err
	}
	if len(signal.Set) > 0 {
		request := setMetadataRequest{Queue: signal.QueueID}
		for _, key := range slices.Sorted(maps.Keys(signal.Set)) {
			request.Metadata = append(request.Metadata, metadataItem{Key: key, Type: metadataType, Value: signal.Set[key]})
		}
		if _, err := call[updatedData](ctx, c, "queues.add_or_update_metadata", request); err != nil {
			return err
		}
	}
	if len(signal.Delete) == 0 {
		return nil
	}
	request := deleteMetadataRequest{Queue: signal.QueueID, Keys: signal.Delete}
	_, err := call[updatedData](ctx, c, "queues.delete_metadata", request)
	return err
}

func checkSignal(signal messages.Signal) error {
	if !plain(signal.QueueID) {
		return invalid("queue id %q is empty, not UTF-8 or holds a NUL", signal.QueueID)
	}
	for key := range signal.Set {
		if !plain(key) {
			return invalid("metadata key %q is empty, not UTF-8 or holds a NUL", key)
		}
	}
	for _, key := range signal.Delete {
		if !plain(key) {
			return invalid("metadata key %q is empty, not UTF-8 or holds a NUL", key)
		}
		if _, both := signal.Set[key]; both {
			return invalid("metadata key %q is both set and deleted", key)
		}
	}
	return nil
}

type queueByIDRequest struct {
	ID         []string `json:"id"`
	OnlyFields []string `json:"only_fields"`
}

// SetTag puts a tag on a queue or takes it off, and leaves its other tags. The
// server only takes the whole list, and cannot compare it with the one that was
// read a moment before: two writers at once may lose a change. A queue that has
// the tag already, or has it not, costs one call and no write.
func (c *Client) SetTag(ctx context.Context, queueID, tag string, on bool) error {
	if err := c.setTag(ctx, queueID, tag, on); err != nil {
		return fmt.Errorf("set tag %q of queue %s to %t: %w", tag, queueID, on, err)
	}
	return nil
}

func (c *Client) setTag(ctx context.Context, queueID, tag string, on bool) error {
	if !plain(queueID) || !plain(tag) {
		return invalid("the queue's id or the tag is empty, not UTF-8 or holds a NUL")
	}
	request := queueByIDRequest{ID: []string{queueID}, OnlyFields: []string{"id", "name", "tags"}}
	got, err := call[queuesData](ctx, c, queuesAction, request)
	if err != nil {
		return err
	}
	rows := *got.data.Queues
	at := slices.IndexFunc(rows, func(row queueRow) bool { return row.ID == queueID })
	if at < 0 {
		return &messages.Failure{Class: messages.ClassNotFound, Code: codeNoQueue, Message: "the server has no such queue"}
	}
	if slices.Contains(rows[at].Tags, tag) == on {
		return nil
	}
	// An empty list and not null, which the server would take for "no change".
	tags := make([]string, 0, len(rows[at].Tags)+1)
	for _, other := range rows[at].Tags {
		if other != tag {
			tags = append(tags, other)
		}
	}
	if on {
		tags = append(tags, tag)
	}
	_, err = call[updatedData](ctx, c, "queues.update", updateQueueRequest{Queue: queueID, Tags: tags})
	return err
}
