package fakeclearml

import (
	"maps"
	"slices"
	"time"
)

func (s *Server) registerQueues() {
	s.on("queues.get_all", "2.4", epQueuesGetAll)
	s.on("queues.get_all_ex", "2.4", epQueuesGetAllEx)
	s.on("queues.get_by_id", "2.4", epQueueGetByID)
	s.on("queues.get_default", "2.4", epQueueGetDefault)
	s.on("queues.get_num_entries", "2.15", epQueueNumEntries)
	s.on("queues.peek_task", "2.15", epQueuePeek)
	s.on("queues.get_next_task", "1.0", epQueueNextTask)
	s.on("queues.create", "2.4", epQueueCreate)
	s.on("queues.update", "2.4", epQueueUpdate)
	s.on("queues.delete", "2.4", epQueueDelete)
	s.on("queues.clear_queue", "1.0", epQueueClear)
	s.on("queues.add_task", "2.4", epQueueAddTask)
	s.on("queues.remove_task", "2.4", epQueueRemoveTask)
	s.on("queues.move_task_forward", "2.4", epMove(func(at, _, count int) int { return at - count }))
	s.on("queues.move_task_backward", "2.4", epMove(func(at, _, count int) int { return at + count }))
	s.on("queues.move_task_to_front", "2.4", epMove(func(int, int, int) int { return 0 }))
	s.on("queues.move_task_to_back", "2.4", epMove(func(_, last, _ int) int { return last }))
	s.on("queues.add_or_update_metadata", "2.13", epQueueSetMetadata)
	s.on("queues.delete_metadata", "2.13", epQueueDeleteMetadata)
	s.on("queues.get_queue_metrics", "2.4", epQueueMetrics)
}

// conformMetadata answers an empty list to clients that ask for 2.16 or less,
// whatever there is.
func (c *call) conformMetadata(doc map[string]any) {
	if _, ok := doc["metadata"]; ok && c.asked.compare(version{2, 16}) <= 0 {
		doc["metadata"] = []any{}
	}
}

// visibleQueues leaves out the hidden ones unless the request names an id or a
// name, or says search_hidden.
func (c *call) visibleQueues() ([]*Queue, error) {
	hidden, err := c.p.boolean("search_hidden", false)
	if err != nil {
		return nil, err
	}
	name, _ := c.p["name"].(string)
	all := hidden || len(asStrings(c.p["id"])) > 0 || name != ""
	var out []*Queue
	for _, id := range c.s.queueOrder {
		if q := c.s.queues[id]; all || !slices.Contains(q.SystemTags, hiddenQueueTag) {
			out = append(out, q)
		}
	}
	return out, nil
}

func (c *call) findQueues() (rows []map[string]any, more map[string]any, limit int, err error) {
	limit, _, err = c.p.integer("max_task_entries")
	if err != nil {
		return nil, nil, 0, err
	}
	queues, err := c.visibleQueues()
	if err != nil {
		return nil, nil, 0, err
	}
	docs := make([]map[string]any, len(queues))
	for i, q := range queues {
		docs[i] = c.s.queueDoc(q)
		if limit > 0 {
			docs[i]["entries"] = firstOf(docs[i]["entries"], limit)
		}
	}
	rows, more, err = c.s.find(queueSchema(), docs, c.p)
	return rows, more, limit, err
}

// epQueuesGetAll has the server's own oddity: max_task_entries without
// only_fields keeps the entries and forgets what else there is.
func epQueuesGetAll(c *call) (map[string]any, error) {
	rows, more, limit, err := c.findQueues()
	if err != nil {
		return nil, err
	}
	only, _ := c.p.strings("only_fields")
	for i, row := range rows {
		if limit > 0 && len(only) == 0 {
			rows[i] = map[string]any{
				"id": row["id"], "tags": []string{}, "system_tags": []string{}, "entries": row["entries"], "metadata": map[string]any{},
			}
		}
		c.conformMetadata(rows[i])
	}
	return merge(map[string]any{"queues": rows}, more), nil
}

// firstOf is the head of a list.
func firstOf(list any, n int) []any {
	l := asList(list)
	return l[:min(n, len(l))]
}

func merge(a, b map[string]any) map[string]any {
	maps.Copy(a, b)
	return a
}

// epQueuesGetAllEx adds names of tasks and the workers that listen.
func epQueuesGetAllEx(c *call) (map[string]any, error) {
	delete(c.p, "only_fields") // its projection is fixed
	rows, more, _, err := c.findQueues()
	if err != nil {
		return nil, err
	}
	workers, err := c.s.selectWorkers(WorkerFilter{})
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		row["company"] = map[string]any{"id": row["company"]}
		for _, e := range asList(row["entries"]) {
			entry := asMap(e)
			id, _ := entry["task"].(string)
			task := map[string]any{"id": id}
			if t := c.s.tasks[id]; t != nil {
				task["name"] = t.Name
			}
			entry["task"] = task
		}
		id, _ := row["id"].(string)
		row["workers"] = listeners(workers, id)
		c.conformMetadata(row)
	}
	return merge(map[string]any{"queues": rows}, more), nil
}

func listeners(workers []*Worker, queue string) []any {
	list := []any{}
	for _, w := range workers {
		if !slices.Contains(w.Queues, queue) {
			continue
		}
		row := map[string]any{"name": w.ID, "ip": w.IP, "key": w.Key, "task": nil}
		if w.Task != "" {
			row["task"] = map[string]any{"id": w.Task, "name": w.TaskName}
		}
		list = append(list, row)
	}
	return list
}

// queueOf reads the required field queue.
func (c *call) queueOf() (*Queue, error) {
	id, err := c.p.required("queue")
	if err != nil {
		return nil, err
	}
	return c.s.queue(id)
}

func epQueueGetByID(c *call) (map[string]any, error) {
	q, err := c.queueOf()
	if err != nil {
		return nil, err
	}
	limit, _, err := c.p.integer("max_task_entries")
	if err != nil {
		return nil, err
	}
	doc := c.s.queueDoc(q)
	if limit > 0 {
		doc["entries"] = firstOf(doc["entries"], limit)
	}
	c.conformMetadata(doc)
	return map[string]any{"queue": doc}, nil
}

func epQueueGetDefault(c *call) (map[string]any, error) {
	q, err := c.s.defaultQueue()
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": q.ID, "name": q.Name}, nil
}

func epQueueNumEntries(c *call) (map[string]any, error) {
	id, err := c.p.required("queue")
	if err != nil {
		return nil, err
	}
	q := c.s.queues[id]
	if q == nil {
		return nil, fail(400, 701, "invalid queue id", "", kv{"queue_id", id})
	}
	return map[string]any{"num": len(q.Entries)}, nil
}

func epQueuePeek(c *call) (map[string]any, error) {
	q, err := c.queueOf()
	if err != nil {
		return nil, err
	}
	if len(q.Entries) == 0 {
		return map[string]any{"task": nil}, nil
	}
	return map[string]any{"task": q.Entries[0].Task}, nil
}

func epQueueNextTask(c *call) (map[string]any, error) {
	r := reader{p: c.p}
	queue, task, info := r.required("queue"), r.text("task"), r.boolean("get_task_info")
	if r.err != nil {
		return nil, r.err
	}
	e, ok, err := c.s.nextTask(queue, task)
	if err != nil || !ok {
		return nil, err
	}
	data := map[string]any{"entry": map[string]any{"task": e.Task, "added": e.Added}}
	if t := c.s.tasks[e.Task]; t != nil && info {
		data["task_info"] = map[string]any{"company": c.s.cfg.CompanyID, "user": t.User}
	}
	return data, nil
}

func epQueueAddTask(c *call) (map[string]any, error) {
	r := reader{p: c.p}
	queue, task := r.required("queue"), r.required("task")
	if r.err != nil {
		return nil, r.err
	}
	update, err := c.p.boolean("update_execution_queue", true)
	if err != nil {
		return nil, err
	}
	if err := c.s.addToQueue(queue, task); err != nil {
		return nil, err
	}
	if t := c.s.tasks[task]; t != nil && update {
		t.Queue = queue
	}
	return map[string]any{"added": 1}, nil
}

func epQueueRemoveTask(c *call) (map[string]any, error) {
	r := reader{p: c.p}
	queue, task, update := r.required("queue"), r.required("task"), r.boolean("update_task_status")
	if r.err != nil {
		return nil, r.err
	}
	if err := c.s.removeFromQueue(queue, task); err != nil {
		return nil, err
	}
	if update {
		c.s.releaseTask(c.id.user, queue, task, "Task was removed from the queue "+queue)
	}
	return map[string]any{"removed": 1}, nil
}

// epMove reads count, 1 if absent, and moves the task to where target says.
func epMove(target func(at, last, count int) int) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		r := reader{p: c.p}
		queue, task := r.required("queue"), r.required("task")
		if r.err != nil {
			return nil, r.err
		}
		count, ok, err := c.p.integer("count")
		if err != nil {
			return nil, err
		}
		if !ok {
			count = 1
		}
		at, err := c.s.move(queue, task, func(at, last int) int { return target(at, last, count) })
		if err != nil {
			return nil, err
		}
		return map[string]any{"position": at}, nil
	}
}

func epQueueMetrics(c *call) (map[string]any, error) {
	from, err := c.p.number("from_date")
	if err != nil {
		return nil, err
	}
	to, err := c.p.number("to_date")
	if err != nil {
		return nil, err
	}
	interval, ok, err := c.p.integer("interval")
	if err != nil {
		return nil, err
	}
	if !ok || interval < 1 {
		return nil, errValidation("error for field 'interval'. field is required and must be 1 or more!")
	}
	ids, err := c.p.strings("queue_ids")
	if err != nil {
		return nil, err
	}
	var rows []any
	var all []queueSample
	for _, id := range c.s.queueOrder {
		if len(ids) == 0 {
			all = append(all, c.s.queues[id].samples...)
		} else if slices.Contains(ids, id) {
			rows = append(rows, metricsRow(id, c.s.queues[id].samples, from, to, interval))
		}
	}
	if len(ids) == 0 && len(c.s.queueOrder) > 0 {
		rows = append(rows, metricsRow("total", all, from, to, interval))
	}
	return map[string]any{"queues": slices.Concat([]any{}, rows)}, nil
}

func metricsRow(id string, samples []queueSample, from, to float64, interval int) map[string]any {
	at := func(sec float64) time.Time { return time.Unix(0, int64(sec*float64(time.Second))) }
	dates, waits, lengths := metrics(samples, at(from), at(to), time.Duration(interval)*time.Second)
	row := map[string]any{"queue": id}
	if len(dates) > 0 {
		row["dates"], row["avg_waiting_times"], row["queue_lengths"] = dates, waits, lengths
	}
	return row
}
