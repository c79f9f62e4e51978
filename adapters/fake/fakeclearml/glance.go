package fakeclearml

import (
	"maps"
	"slices"
)

// What a simulator's agents look at again and again, without copies of what they
// do not look at.

// QueueNames are the names of all queues by their ids.
func (s *Server) QueueNames() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make(map[string]string, len(s.queues))
	for id, q := range s.queues {
		names[id] = q.Name
	}
	return names
}

// QueueTags are the tags of a queue; ok is false when there is no such queue.
func (s *Server) QueueTags(id string) (tags []string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[id]
	if q == nil {
		return nil, false
	}
	if len(q.Tags) == 0 {
		return nil, true
	}
	return slices.Clone(q.Tags), true
}

// MetadataValues are the values that a queue's metadata have under some keys; ok
// is false when there is no such queue. When they are those of known, that is
// answered, and nothing is copied.
func (s *Server) MetadataValues(id string, keys []string, known map[string]string) (values map[string]string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[id]
	if q == nil {
		return nil, false
	}
	same, found := known != nil, 0
	for _, key := range keys {
		item, there := q.Metadata[key]
		if there {
			found++
		}
		if value, was := known[key]; was != there || value != item.Value {
			same = false
		}
	}
	if same && found == len(known) {
		return known, true
	}
	values = make(map[string]string, found)
	for _, key := range keys {
		if item, there := q.Metadata[key]; there {
			values[key] = item.Value
		}
	}
	return values, true
}

// TaskNote is a task's status with the message that came with it; ok is false
// when there is no such task.
func (s *Server) TaskNote(id string) (status Status, message string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchdog()
	t := s.tasks[id]
	if t == nil {
		return "", "", false
	}
	return t.Status, t.StatusMessage, true
}

// TaskRuntime is a copy of a task's runtime properties; 400/101 if there is no
// such task.
func (s *Server) TaskRuntime(id string) (map[string]any, error) {
	return do(s, func() (map[string]any, error) {
		t, err := s.task(id)
		if err != nil {
			return nil, err
		}
		return cloneMap(t.Runtime), nil
	})
}

// SetTaskRuntime replaces a task's runtime properties, as a forced tasks.edit
// does; user is empty for the default one. 400/101 if there is no such task.
func (s *Server) SetTaskRuntime(user, id string, runtime map[string]any) error {
	_, err := do(s, func() (int, error) {
		t, err := s.task(id)
		if err != nil {
			return 0, err
		}
		t.Runtime = maps.Clone(runtime)
		now := milli(s.now())
		t.LastUpdate, t.LastChange, t.LastChangedBy = now, now, s.orDefault(user)
		return 1, nil
	})
	return err
}
