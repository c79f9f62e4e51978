package fakeclearml

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Entry is a task waiting in a queue.
type Entry struct {
	Task  string
	Added time.Time
}

// MetadataItem is one key of a queue's metadata.
type MetadataItem struct {
	Key, Type, Value string
}

// Queue is a queue and what waits in it, first in first out.
type Queue struct {
	ID, Name, DisplayName string
	Created, LastUpdate   time.Time
	Tags, SystemTags      []string
	Entries               []Entry
	Metadata              map[string]MetadataItem

	samples []queueSample
}

// QueueSpec is a queue to be created; Name has three characters or more and is
// not taken.
type QueueSpec struct {
	Name, DisplayName string
	Tags, SystemTags  []string
	Metadata          []MetadataItem
}

// QueueUpdate changes the fields that are not nil.
type QueueUpdate struct {
	Name, DisplayName *string
	Tags, SystemTags  []string
	Metadata          map[string]MetadataItem
}

// queueSample is one point of the queue's history, for get_queue_metrics.
type queueSample struct {
	at      time.Time
	waiting time.Duration
	length  int
}

func (q *Queue) clone() Queue {
	out := *q
	out.Tags, out.SystemTags = slices.Clone(q.Tags), slices.Clone(q.SystemTags)
	out.Entries = slices.Clone(q.Entries)
	out.Metadata = maps.Clone(q.Metadata)
	out.samples = nil
	return out
}

func (q *Queue) index(task string) int {
	return slices.IndexFunc(q.Entries, func(e Entry) bool { return e.Task == task })
}

func (s *Server) queue(id string) (*Queue, error) {
	if q := s.queues[id]; q != nil {
		return q, nil
	}
	return nil, s.errQueueID(id)
}

func (s *Server) queueByName(name string) *Queue {
	for _, id := range s.queueOrder {
		if s.queues[id].Name == name {
			return s.queues[id]
		}
	}
	return nil
}

func checkQueueName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if len([]rune(name)) < minQueueNameLen {
		return "", errShortName()
	}
	return name, nil
}

func (s *Server) createQueue(spec QueueSpec) (*Queue, error) {
	name, err := checkQueueName(spec.Name)
	if err != nil {
		return nil, err
	}
	if s.queueByName(name) != nil {
		return nil, errDuplicate()
	}
	now := milli(s.now())
	q := &Queue{
		ID: newID(s.ids), Name: name, DisplayName: spec.DisplayName, Created: now, LastUpdate: now,
		Tags: sortedTags(spec.Tags), SystemTags: sortedTags(spec.SystemTags), Metadata: map[string]MetadataItem{},
	}
	for _, m := range spec.Metadata {
		q.Metadata[m.Key] = m
	}
	s.queues[q.ID] = q
	s.queueOrder = append(s.queueOrder, q.ID)
	return q, nil
}

// updateQueue returns the names of the fields it changed.
func (s *Server) updateQueue(id string, u QueueUpdate) ([]string, error) {
	q, err := s.queue(id)
	if err != nil {
		return nil, err
	}
	var changed []string
	if u.Name != nil {
		name, err := checkQueueName(*u.Name)
		if err != nil {
			return nil, err
		}
		if other := s.queueByName(name); other != nil && other != q {
			return nil, errDuplicate()
		}
		q.Name = name
		changed = append(changed, "name")
	}
	if u.DisplayName != nil {
		q.DisplayName = *u.DisplayName
		changed = append(changed, "display_name")
	}
	if u.Tags != nil {
		q.Tags = sortedTags(u.Tags)
		changed = append(changed, "tags")
	}
	if u.SystemTags != nil {
		q.SystemTags = sortedTags(u.SystemTags)
		changed = append(changed, "system_tags")
	}
	if u.Metadata != nil {
		q.Metadata = u.Metadata
		changed = append(changed, "metadata")
	}
	return changed, nil
}

func (s *Server) deleteQueue(user, id string, force bool) error {
	q, err := s.queue(id)
	if err != nil {
		return err
	}
	if len(q.Entries) > 0 {
		if !force {
			return fail(400, 702, "queue is not empty", "use force=true to delete", kv{"id", id})
		}
		s.releaseTasks(user, q, "Queue "+id+" was deleted")
	}
	delete(s.queues, id)
	s.queueOrder = slices.DeleteFunc(s.queueOrder, func(x string) bool { return x == id })
	return nil
}

func (s *Server) clearQueue(user, id string) ([]string, error) {
	q, err := s.queue(id)
	if err != nil {
		return nil, err
	}
	removed := s.releaseTasks(user, q, "Queue "+id+" was cleared")
	q.Entries = nil
	s.sample(q)
	return removed, nil
}

// releaseTasks gives every task that waits in q its status of before and returns
// their ids.
func (s *Server) releaseTasks(user string, q *Queue, reason string) []string {
	ids := make([]string, 0, len(q.Entries))
	for _, e := range q.Entries {
		if s.releaseTask(user, q.ID, e.Task, reason) {
			ids = append(ids, e.Task)
		}
	}
	return ids
}

func (s *Server) releaseTask(user, queue, task, reason string) bool {
	t := s.tasks[task]
	if t == nil || t.Queue != queue {
		return false
	}
	_, err := s.changeStatus(t, change{to: t.before(), reason: reason, force: true, user: user, enqueueStatus: clearField})
	t.Queue = ""
	return err == nil
}

func (s *Server) addToQueue(queue, task string) error {
	q, err := s.queue(queue)
	if err != nil {
		return err
	}
	if q.index(task) >= 0 {
		return errAlreadyQueued(task)
	}
	now := milli(s.now())
	q.Entries = append(q.Entries, Entry{Task: task, Added: now})
	q.LastUpdate = now
	s.sample(q)
	return nil
}

func (s *Server) removeFromQueue(queue, task string) error {
	q := s.queues[queue]
	if q == nil || q.index(task) < 0 {
		return s.errNotQueued(queue, task)
	}
	s.pull(q, task)
	return nil
}

func (s *Server) pull(q *Queue, task string) {
	n := len(q.Entries)
	q.Entries = slices.DeleteFunc(q.Entries, func(e Entry) bool { return e.Task == task })
	if len(q.Entries) != n {
		q.LastUpdate = milli(s.now())
		s.sample(q)
	}
}

func (s *Server) removeFromAllQueues(task, except string) {
	for _, id := range s.queueOrder {
		if id != except {
			s.pull(s.queues[id], task)
		}
	}
}

// nextTask pops the head; with a task named, only if that is the head.
func (s *Server) nextTask(queue, task string) (Entry, bool, error) {
	q, err := s.queue(queue)
	if err != nil {
		return Entry{}, false, err
	}
	if len(q.Entries) == 0 || (task != "" && q.Entries[0].Task != task) {
		return Entry{}, false, nil
	}
	e := q.Entries[0]
	s.pull(q, e.Task)
	if t := s.tasks[e.Task]; t != nil && t.Status == StatusStopped {
		t.Status = StatusQueued // the server's cure for an abort that came after the enqueue
	}
	return e, true, nil
}

func (s *Server) defaultQueue() (*Queue, error) {
	var found []*Queue
	for _, id := range s.queueOrder {
		if q := s.queues[id]; slices.Contains(q.SystemTags, "default") {
			found = append(found, q)
		}
	}
	switch len(found) {
	case 0:
		return nil, fail(400, 707, "no queue is tagged as the default queue for this company", "")
	case 1:
		return found[0], nil
	}
	ids := make([]string, len(found))
	for i, q := range found {
		ids[i] = q.ID
	}
	return nil, fail(400, 708, "more than one queue is tagged as the default queue for this company", "", kv{"queues", tuple(ids)})
}
