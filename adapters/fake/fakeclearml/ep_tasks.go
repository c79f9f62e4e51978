package fakeclearml

import "slices"

func (s *Server) registerTasks() {
	s.on("tasks.get_all", "1.0", epTasksGetAll)
	s.on("tasks.get_all_ex", "1.0", epTasksGetAllEx)
	s.on("tasks.get_by_id_ex", "1.0", epTasksGetAllEx)
	s.on("tasks.get_by_id", "1.0", epTaskGetByID)
	s.on("tasks.get_types", "2.8", epTaskTypes)
	s.on("tasks.enqueue", "1.0", epTaskEnqueue)
	s.on("tasks.dequeue", "1.0", epTaskDequeue)
	s.on("tasks.started", "1.0", epTaskStarted)
	s.on("tasks.stopped", "1.0", epFinish(StatusStopped))
	s.on("tasks.failed", "1.0", epFinish(StatusFailed))
	s.on("tasks.close", "1.0", epFinish(StatusClosed))
	s.on("tasks.completed", "2.2", epTaskCompleted)
	s.on("tasks.publish", "1.0", epTaskPublish)
	s.on("tasks.stop", "1.0", epTaskStop)
	s.on("tasks.reset", "1.0", epTaskReset)
	s.on("tasks.delete", "1.0", epTaskDelete)
	s.on("tasks.archive", "2.12", epTaskArchive)
	s.on("tasks.ping", "1.0", epTaskPing)
}

// taskDocs are the documents to search: those of the ids that the request names,
// or of all tasks that are not hidden.
func (c *call) taskDocs() ([]map[string]any, error) {
	hidden, err := c.p.boolean("search_hidden", false)
	if err != nil {
		return nil, err
	}
	var docs []map[string]any
	if ids := asStrings(c.p["id"]); len(ids) > 0 && !slices.ContainsFunc(ids, isListOperator) {
		wanted := make(map[string]bool, len(ids))
		for _, id := range ids {
			wanted[id] = true
		}
		for _, id := range c.s.taskOrder {
			if wanted[id] {
				docs = append(docs, c.s.taskDoc(c.s.tasks[id]))
			}
		}
		return docs, nil
	}
	statuses := asStrings(c.p["status"])
	if slices.ContainsFunc(statuses, isListOperator) {
		statuses = nil // the filter proper will see to them
	}
	for _, id := range c.s.taskOrder {
		t := c.s.tasks[id]
		if len(statuses) > 0 && !slices.Contains(statuses, string(t.Status)) {
			continue // saves making a document of it
		}
		if hidden || !slices.Contains(t.SystemTags, hiddenTaskTag) {
			docs = append(docs, c.s.taskDoc(t))
		}
	}
	return docs, nil
}

func isListOperator(v string) bool { return v != "" && (v[0] == '-' || v[0] == '_') }

func epTasksGetAll(c *call) (map[string]any, error) {
	docs, err := c.taskDocs()
	if err != nil {
		return nil, err
	}
	rows, more, err := c.s.find(taskSchema(), docs, c.p)
	if err != nil {
		return nil, err
	}
	return merge(map[string]any{"tasks": rows}, more), nil
}

// epTasksGetAllEx answers references as objects: {"id": …}, with the name where
// only_fields asks for it.
func epTasksGetAllEx(c *call) (map[string]any, error) {
	docs, err := c.taskDocs()
	if err != nil {
		return nil, err
	}
	only, err := c.p.strings("only_fields")
	if err != nil {
		return nil, err
	}
	delete(c.p, "only_fields")
	rows, more, err := c.s.find(taskSchema(), docs, c.p)
	if err != nil {
		return nil, err
	}
	keep, drop, err := taskSchema().split(only)
	if err != nil {
		return nil, err
	}
	for i, row := range rows {
		row = c.s.expand(row, len(keep) > 0)
		rows[i] = taskSchema().shape(row, keep, drop)
	}
	return merge(map[string]any{"tasks": rows}, more), nil
}

// expand turns references into objects; withNames adds what they are called.
func (s *Server) expand(row map[string]any, withNames bool) map[string]any {
	names := map[string]func(id string) string{
		"company": func(string) string { return s.cfg.CompanyName },
		"user":    s.userName,
		"project": func(id string) string {
			if p := s.projects[id]; p != nil {
				return p.name
			}
			return ""
		},
		"parent": func(id string) string {
			if t := s.tasks[id]; t != nil {
				return t.Name
			}
			return ""
		},
	}
	for field, name := range names {
		if id, ok := row[field].(string); ok {
			row[field] = reference(id, name, withNames)
		}
	}
	if exec, ok := row["execution"].(map[string]any); ok {
		if id, ok := exec["queue"].(string); ok {
			exec = cloneMap(exec)
			exec["queue"] = reference(id, func(id string) string {
				if q := s.queues[id]; q != nil {
					return q.Name
				}
				return ""
			}, withNames)
			row["execution"] = exec
		}
	}
	return row
}

func reference(id string, name func(string) string, withName bool) map[string]any {
	ref := map[string]any{"id": id}
	if n := name(id); withName && n != "" {
		ref["name"] = n
	}
	return ref
}

func epTaskGetByID(c *call) (map[string]any, error) {
	id, err := c.p.required("task")
	if err != nil {
		return nil, err
	}
	t := c.s.tasks[id]
	if t == nil {
		return nil, c.s.errTaskID(id)
	}
	sc := taskSchema()
	return map[string]any{"task": sc.shape(c.s.taskDoc(t), nil, sc.excluded)}, nil
}

func epTaskTypes(c *call) (map[string]any, error) {
	used := map[string]bool{}
	for _, id := range c.s.taskOrder {
		used[c.s.tasks[id].Type] = true
	}
	return map[string]any{"types": sortedKeys(used)}, nil
}

// statusRequest reads the fields that every change of status has.
func (c *call) statusRequest() (StatusRequest, error) {
	r := reader{p: c.p}
	req := StatusRequest{
		User: c.id.user, Task: r.required("task"), Reason: r.text("status_reason"),
		Message: r.text("status_message"), Force: r.boolean("force"),
	}
	return req, r.err
}

func epTaskEnqueue(c *call) (map[string]any, error) {
	base, err := c.statusRequest()
	if err != nil {
		return nil, err
	}
	r := reader{p: c.p}
	req := EnqueueRequest{StatusRequest: base, Queue: r.text("queue"), QueueName: r.text("queue_name")}
	verify := r.boolean("verify_watched_queue")
	if r.err != nil {
		return nil, r.err
	}
	update, err := c.p.boolean("update_execution_queue", true)
	if err != nil {
		return nil, err
	}
	if verify && !update {
		return nil, errValidation("verify_watched_queue cannot be used with update_execution_queue=False")
	}
	req.KeepExecutionQueue = !update
	res, err := c.s.enqueue(req)
	if err != nil {
		return nil, err
	}
	more := map[string]any{"queued": 1}
	if queue, ok := res.Fields["execution.queue"].(string); ok && verify {
		more["queue_watched"] = c.s.watched(queue)
	}
	return changeAnswer(res, more), nil
}

func epTaskDequeue(c *call) (map[string]any, error) {
	base, err := c.statusRequest()
	if err != nil {
		return nil, err
	}
	r := reader{p: c.p}
	req := DequeueRequest{
		StatusRequest: base, NewStatus: Status(r.text("new_status")), RemoveFromAllQueues: r.boolean("remove_from_all_queues"),
	}
	if r.err != nil {
		return nil, r.err
	}
	res, err := c.s.dequeue(req)
	if err != nil {
		return nil, err
	}
	return changeAnswer(res, map[string]any{"dequeued": 1}), nil
}

// epStatus runs a change of status and adds more to its answer.
func (c *call) epStatus(do func(StatusRequest) (Change, error), more map[string]any) (map[string]any, error) {
	req, err := c.statusRequest()
	if err != nil {
		return nil, err
	}
	res, err := do(req)
	if err != nil {
		return nil, err
	}
	return changeAnswer(res, more), nil
}

func epTaskStarted(c *call) (map[string]any, error) {
	return c.epStatus(c.s.started, map[string]any{"started": 1})
}

func epFinish(to Status) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		return c.epStatus(func(r StatusRequest) (Change, error) { return c.s.finish(r, to) }, nil)
	}
}

func epTaskCompleted(c *call) (map[string]any, error) {
	publish, err := c.p.boolean("publish", false)
	if err != nil {
		return nil, err
	}
	published := 0
	data, err := c.epStatus(func(r StatusRequest) (Change, error) {
		res, err := c.s.finish(r, StatusCompleted)
		if err != nil || !publish {
			return res, err
		}
		pub, err := c.s.publish(r)
		if err == nil {
			published = pub.Updated
			res.Fields["status"] = string(StatusPublished)
		}
		return res, err
	}, nil)
	if err != nil {
		return nil, err
	}
	data["published"] = published
	return data, nil
}

func epTaskPublish(c *call) (map[string]any, error) { return c.epStatus(c.s.publish, nil) }

func epTaskStop(c *call) (map[string]any, error) { return c.epStatus(c.s.stop, nil) }

func epTaskReset(c *call) (map[string]any, error) {
	req, err := c.statusRequest()
	if err != nil {
		return nil, err
	}
	clearAll, err := c.p.boolean("clear_all", false)
	if err != nil {
		return nil, err
	}
	res, left, err := c.s.reset(req, clearAll)
	if err != nil {
		return nil, err
	}
	dequeued := map[string]any{}
	if left {
		dequeued["removed"] = 1
	}
	return changeAnswer(res, map[string]any{
		"dequeued": dequeued, "events": map[string]any{}, "deleted_models": 0, "urls": map[string]any{},
	}), nil
}

func epTaskDelete(c *call) (map[string]any, error) {
	req, err := c.statusRequest()
	if err != nil {
		return nil, err
	}
	if err := c.s.remove(req); err != nil {
		return nil, err
	}
	return map[string]any{
		"deleted": true, "updated_children": 0, "updated_models": 0, "deleted_models": 0, "urls": map[string]any{},
	}, nil
}

func epTaskArchive(c *call) (map[string]any, error) {
	r := reader{p: c.p}
	ids, reason, message := r.strings("tasks"), r.text("status_reason"), r.text("status_message")
	if r.err != nil {
		return nil, r.err
	}
	for _, id := range ids {
		if _, err := c.s.task(id); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		if err := c.s.archive(StatusRequest{User: c.id.user, Task: id, Reason: reason, Message: message}); err != nil {
			return nil, err
		}
	}
	return map[string]any{"archived": len(ids)}, nil
}

func epTaskPing(c *call) (map[string]any, error) {
	task, err := c.p.required("task")
	if err != nil {
		return nil, err
	}
	c.s.ping(c.id.user, task)
	return map[string]any{}, nil
}
