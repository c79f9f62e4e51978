package fakeclearml

import "strings"

// do runs one step of the model under the lock.
func do[T any](s *Server, f func() (T, error)) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchdog()
	return f()
}

// CreateQueue makes a queue. Errors are *Error: 400/800 for a short name,
// 400/801 for one that is taken.
func (s *Server) CreateQueue(spec QueueSpec) (Queue, error) {
	return do(s, func() (Queue, error) {
		q, err := s.createQueue(spec)
		if err != nil {
			return Queue{}, err
		}
		return q.clone(), nil
	})
}

// Queue returns a copy of the queue with that id; 400/701 if there is none.
func (s *Server) Queue(id string) (Queue, error) {
	return do(s, func() (Queue, error) {
		q, err := s.queue(id)
		if err != nil {
			return Queue{}, err
		}
		return q.clone(), nil
	})
}

// QueueByName returns a copy of the queue with that name, if there is one.
func (s *Server) QueueByName(name string) (Queue, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queueByName(name); q != nil {
		return q.clone(), true
	}
	return Queue{}, false
}

// Queues returns copies of all queues, in the order of their creation.
func (s *Server) Queues() []Queue {
	out, _ := do(s, func() ([]Queue, error) {
		list := make([]Queue, len(s.queueOrder))
		for i, id := range s.queueOrder {
			list[i] = s.queues[id].clone()
		}
		return list, nil
	})
	return out
}

// UpdateQueue changes a queue; 400/701 if there is none.
func (s *Server) UpdateQueue(id string, u QueueUpdate) error {
	_, err := do(s, func() ([]string, error) { return s.updateQueue(id, u) })
	return err
}

// DeleteQueue deletes a queue; 400/702 if something waits in it and force is not
// set.
func (s *Server) DeleteQueue(id string, force bool) error {
	_, err := do(s, func() (int, error) { return 0, s.deleteQueue(s.cfg.User.ID, id, force) })
	return err
}

// SetMetadata adds or replaces keys of a queue's metadata.
func (s *Server) SetMetadata(queue string, items ...MetadataItem) error {
	_, err := do(s, func() (int, error) { return 0, s.setMetadata(queue, items, false) })
	return err
}

// DeleteMetadata deletes keys of a queue's metadata; unknown ones are no error.
func (s *Server) DeleteMetadata(queue string, keys ...string) error {
	_, err := do(s, func() (int, error) { return 0, s.deleteMetadata(queue, keys) })
	return err
}

// NextTask pops the head of a queue; ok is false when it is empty, or when head
// names a task that is not the head.
func (s *Server) NextTask(queue, head string) (e Entry, ok bool, err error) {
	_, err = do(s, func() (int, error) {
		e, ok, err = s.nextTask(queue, head)
		return 0, err
	})
	return e, ok, err
}

// CreateTask makes a task in status created and returns its id.
func (s *Server) CreateTask(spec TaskSpec) (string, error) {
	return do(s, func() (string, error) {
		fields := map[string]any{"name": spec.Name, "type": spec.Type}
		if spec.Type == "" {
			fields["type"] = "training"
		}
		if spec.Project != "" {
			fields["project"] = spec.Project
		}
		if spec.Parent != "" {
			fields["parent"] = spec.Parent
		}
		fields["tags"], fields["system_tags"] = spec.Tags, spec.SystemTags
		for name, v := range map[string]map[string]any{
			"script": spec.Script, "hyperparams": spec.Hyperparams, "configuration": spec.Configuration,
			"runtime": spec.Runtime, "container": spec.Container,
		} {
			if v != nil {
				fields[name] = v
			}
		}
		t, err := s.createTask(s.orDefault(spec.User), fields)
		if err != nil {
			return "", err
		}
		return t.ID, nil
	})
}

// Task returns a copy of a task; 400/101 if there is none.
func (s *Server) Task(id string) (Task, error) {
	return do(s, func() (Task, error) {
		t, err := s.task(id)
		if err != nil {
			return Task{}, err
		}
		return t.clone(), nil
	})
}

// TaskStatus is a task's status without the rest of it; empty if there is none.
func (s *Server) TaskStatus(id string) Status {
	st, _ := do(s, func() (Status, error) {
		if t := s.tasks[id]; t != nil {
			return t.Status, nil
		}
		return "", nil
	})
	return st
}

// TaskIDs are the ids of all tasks, in the order of their creation.
func (s *Server) TaskIDs() []string {
	out, _ := do(s, func() ([]string, error) { return append([]string(nil), s.taskOrder...), nil })
	return out
}

// Enqueue puts a task into a queue. 400/110 if its status does not allow it,
// 400/706 if it is there already, 400/701 if there is no such queue.
func (s *Server) Enqueue(r EnqueueRequest) (Change, error) {
	r.User = s.orDefault(r.User)
	return do(s, func() (Change, error) { return s.enqueue(r) })
}

// Dequeue takes a task out of its queue.
func (s *Server) Dequeue(r DequeueRequest) (Change, error) {
	r.User = s.orDefault(r.User)
	return do(s, func() (Change, error) { return s.dequeue(r) })
}

func (s *Server) status(r StatusRequest, f func(StatusRequest) (Change, error)) (Change, error) {
	r.User = s.orDefault(r.User)
	return do(s, func() (Change, error) { return f(r) })
}

// Started sets a task in_progress.
func (s *Server) Started(r StatusRequest) (Change, error) { return s.status(r, s.started) }

// Stopped sets a task stopped, as its worker does.
func (s *Server) Stopped(r StatusRequest) (Change, error) {
	return s.status(r, func(r StatusRequest) (Change, error) { return s.finish(r, StatusStopped) })
}

// Failed sets a task failed.
func (s *Server) Failed(r StatusRequest) (Change, error) {
	return s.status(r, func(r StatusRequest) (Change, error) { return s.finish(r, StatusFailed) })
}

// Completed sets a task completed.
func (s *Server) Completed(r StatusRequest) (Change, error) {
	return s.status(r, func(r StatusRequest) (Change, error) { return s.finish(r, StatusCompleted) })
}

// Stop asks for a task to be stopped, as a person in the web interface does: a
// live worker is only told to ("stopping"), otherwise the task is stopped at once.
func (s *Server) Stop(r StatusRequest) (Change, error) { return s.status(r, s.stop) }

// Reset sets a task back to created and forgets its results.
func (s *Server) Reset(r StatusRequest) (Change, error) {
	return s.status(r, func(r StatusRequest) (Change, error) {
		c, _, err := s.reset(r, false)
		return c, err
	})
}

// Delete deletes a task; 400/123 unless it is created, archived, or forced.
func (s *Server) Delete(r StatusRequest) error {
	_, err := do(s, func() (int, error) { return 0, s.remove(r) })
	return err
}

// Ping is a running task's sign of life.
func (s *Server) Ping(user, task string) {
	_, _ = do(s, func() (int, error) {
		s.ping(s.orDefault(user), task)
		return 0, nil
	})
}

// Register lists a worker; 400/701 if a queue does not exist.
func (s *Server) Register(r RegisterRequest) error {
	r.User = s.orDefault(r.User)
	_, err := do(s, func() (*Worker, error) { return s.register(r) })
	return err
}

// Unregister takes the user's own entry of the worker off the list.
func (s *Server) Unregister(user, worker string) {
	_, _ = do(s, func() (int, error) {
		s.unregister(s.orDefault(user), worker)
		return 0, nil
	})
}

// ReportStatus is a worker's sign of life; it lists the worker if need be.
// 400/101 if its task does not exist.
func (s *Server) ReportStatus(r Report) error {
	r.User = s.orDefault(r.User)
	_, err := do(s, func() (int, error) { return 0, s.report(r) })
	return err
}

// Workers returns copies of the workers that fit, ordered by key.
func (s *Server) Workers(f WorkerFilter) ([]Worker, error) {
	return do(s, func() ([]Worker, error) {
		list, err := s.selectWorkers(f)
		out := make([]Worker, len(list))
		for i, w := range list {
			out[i] = w.clone()
		}
		return out, err
	})
}

// TaskLog is what a task has printed, as its worker sent it.
func (s *Server) TaskLog(task string) string {
	text, _ := do(s, func() (string, error) {
		var b strings.Builder
		for _, e := range s.logs[task] {
			msg, _ := e["msg"].(string)
			b.WriteString(msg)
		}
		return b.String(), nil
	})
	return text
}
