package fakeclearml

import "time"

// registerWorkers leaves out workers.get_runtime_properties and its kin on
// purpose: the open-source server answers 404.
func (s *Server) registerWorkers() {
	s.on("workers.get_all", "2.4", epWorkersGetAll)
	s.on("workers.get_count", "1.0", epWorkersCount)
	s.on("workers.register", "2.4", epWorkerRegister)
	s.on("workers.unregister", "2.4", epWorkerUnregister)
	s.on("workers.status_report", "2.4", epWorkerReport)
}

func (c *call) workerFilter(lastSeen int) (WorkerFilter, error) {
	r := reader{p: c.p}
	f := WorkerFilter{Tags: r.strings("tags"), SystemTags: r.strings("system_tags"), Pattern: r.text("worker_pattern")}
	if _, given := c.p["last_seen"]; given {
		lastSeen = r.integer("last_seen") // null means no limit
	}
	f.LastSeen = time.Duration(lastSeen) * time.Second
	return f, r.err
}

func epWorkersGetAll(c *call) (map[string]any, error) {
	f, err := c.workerFilter(3600)
	if err != nil {
		return nil, err
	}
	workers, err := c.s.selectWorkers(f)
	if err != nil {
		return nil, err
	}
	rows := make([]any, len(workers))
	for i, w := range workers {
		rows[i] = c.s.workerDoc(w)
	}
	return map[string]any{"workers": rows}, nil
}

func epWorkersCount(c *call) (map[string]any, error) {
	f, err := c.workerFilter(0)
	if err != nil {
		return nil, err
	}
	workers, err := c.s.selectWorkers(f)
	if err != nil {
		return nil, err
	}
	return map[string]any{"count": len(workers)}, nil
}

func epWorkerRegister(c *call) (map[string]any, error) {
	r := reader{p: c.p}
	req := RegisterRequest{
		User: c.id.user, Worker: r.required("worker"), IP: c.ip, Queues: r.strings("queues"),
		Timeout: time.Duration(r.integer("timeout")) * time.Second,
		Tags:    r.strings("tags"), SystemTags: r.strings("system_tags"),
	}
	if r.err != nil {
		return nil, r.err
	}
	_, err := c.s.register(req)
	return nil, err
}

func epWorkerUnregister(c *call) (map[string]any, error) {
	worker, err := c.p.required("worker")
	if err != nil {
		return nil, err
	}
	c.s.unregister(c.id.user, worker)
	return map[string]any{}, nil
}

func epWorkerReport(c *call) (map[string]any, error) {
	r := reader{p: c.p}
	req := Report{
		User: c.id.user, Worker: r.required("worker"), IP: c.ip, Task: r.text("task"), Queue: r.text("queue"),
		Queues: r.strings("queues"), Tags: r.strings("tags"), SystemTags: r.strings("system_tags"),
	}
	if r.err != nil {
		return nil, r.err
	}
	if _, ok, err := c.p.integer("timestamp"); err != nil || !ok {
		if err == nil {
			err = errValidation("error for field 'timestamp'. field is required!")
		}
		return nil, err
	}
	return nil, c.s.report(req)
}
