package fakeclearml

func (s *Server) registerRest() {
	info := func(c *call) (map[string]any, error) {
		return map[string]any{"version": c.s.cfg.Version, "build": "", "commit": "", "api_version": c.s.cfg.APIVersion}, nil
	}
	s.on("server.info", "1.0", info)
	s.on("server.info", "2.12", info)
	s.addEndpoint("server.config", "1.0", endpoint{roles: []string{"root", "system"}, fn: func(c *call) (map[string]any, error) {
		return map[string]any{"apiserver": map[string]any{"workers": map[string]any{"auto_register": true, "auto_unregister": true}}}, nil
	}})
	s.addEndpoint("debug.ping", "1.0", endpoint{open: true, fn: func(*call) (map[string]any, error) {
		return map[string]any{"msg": "ClearML server"}, nil
	}})
	s.on("users.get_current_user", "1.0", epCurrentUser)
	s.on("users.get_all", "1.0", epUsersGetAll)
	s.on("users.get_preferences", "1.0", func(*call) (map[string]any, error) {
		return map[string]any{"preferences": map[string]any{}}, nil
	})
	s.on("projects.create", "1.0", epProjectCreate)
	s.on("projects.get_all", "1.0", epProjectsGetAll)
	s.on("projects.get_all_ex", "1.0", epProjectsGetAll)
	s.on("projects.get_by_id", "1.0", epProjectGetByID)
	s.on("events.add", "1.0", epEventAdd)
	s.on("events.add_batch", "1.0", epEventsAddBatch)
	s.on("events.get_task_log", "1.0", epTaskLog)
	s.on("models.create", "1.0", epModelCreate)
	s.on("models.edit", "1.0", epModelEdit)
	s.on("models.get_by_id", "1.0", epModelGetByID)
	s.on("models.get_all", "1.0", epModelsGetAll)
}

func (s *Server) userDoc(a *account) map[string]any {
	return map[string]any{
		"id": a.id, "name": a.name, "role": a.role, "given_name": a.name,
		"company": map[string]any{"id": s.cfg.CompanyID, "name": s.cfg.CompanyName},
	}
}

func epCurrentUser(c *call) (map[string]any, error) {
	return map[string]any{"user": c.s.userDoc(c.s.users[c.id.user]), "getting_started": map[string]any{}, "settings": map[string]any{}}, nil
}

func epUsersGetAll(c *call) (map[string]any, error) {
	list := []any{}
	for _, id := range c.s.userOrder {
		doc := c.s.userDoc(c.s.users[id])
		doc["company"] = c.s.cfg.CompanyID
		list = append(list, doc)
	}
	return map[string]any{"users": list}, nil
}

func epProjectCreate(c *call) (map[string]any, error) {
	r := reader{p: c.p}
	name, description := r.required("name"), r.text("description")
	tags, systemTags := r.strings("tags"), r.strings("system_tags")
	if r.err != nil {
		return nil, r.err
	}
	p, err := c.s.createProject(c.id.user, name, description, tags, systemTags)
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": p.id}, nil
}

func epProjectsGetAll(c *call) (map[string]any, error) {
	docs := make([]map[string]any, len(c.s.projectOrder))
	for i, id := range c.s.projectOrder {
		docs[i] = c.s.projectDoc(c.s.projects[id])
	}
	rows, more, err := c.s.find(projectSchema(), docs, c.p)
	if err != nil {
		return nil, err
	}
	return merge(map[string]any{"projects": rows}, more), nil
}

func epProjectGetByID(c *call) (map[string]any, error) {
	id, err := c.p.required("project")
	if err != nil {
		return nil, err
	}
	p := c.s.projects[id]
	if p == nil {
		return nil, fail(400, 401, "invalid project id", "", kv{"id", id}, kv{"company", c.s.cfg.CompanyID})
	}
	return map[string]any{"project": c.s.projectDoc(p)}, nil
}

func epEventAdd(c *call) (map[string]any, error) {
	c.batch = []params{c.p}
	return epEventsAddBatch(c)
}

// epEventsAddBatch keeps log lines, and takes any event as a sign of life of its
// task.
func epEventsAddBatch(c *call) (map[string]any, error) {
	if len(c.batch) == 0 {
		return nil, fail(400, 17, "batch request contains no items", "")
	}
	added, errorsInfo := 0, map[string]any{}
	for _, e := range c.batch {
		task, _ := e["task"].(string)
		t := c.s.tasks[task]
		if t == nil {
			errorsInfo["Invalid task id"] = []any{map[string]any{"task": task}}
			continue
		}
		added++
		if iter, ok, err := e.integer("iter"); err == nil && ok && iter > t.LastIteration {
			t.LastIteration = iter
		}
		if e["type"] == "log" && len(c.s.logs[task]) < maxLogLines {
			c.s.logs[task] = append(c.s.logs[task], cloneMap(e))
		}
		c.s.touch(t, c.id.user)
	}
	if added == 0 {
		return nil, fail(400, 131, "events not added", "", kv{"added", "0"})
	}
	return map[string]any{"added": added, "errors": len(c.batch) - added, "errors_info": errorsInfo}, nil
}

func epTaskLog(c *call) (map[string]any, error) {
	id, err := c.p.required("task")
	if err != nil {
		return nil, err
	}
	if _, err := c.s.task(id); err != nil {
		return nil, err
	}
	list := make([]any, len(c.s.logs[id]))
	for i, e := range c.s.logs[id] {
		list[i] = e
	}
	return map[string]any{"events": list, "returned": len(list), "total": len(list)}, nil
}

func epModelCreate(c *call) (map[string]any, error) {
	doc, err := c.s.createModel(c.id.user, c.p)
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": doc["id"], "created": true}, nil
}

func (c *call) modelOf() (map[string]any, error) {
	id, err := c.p.required("model")
	if err != nil {
		return nil, err
	}
	if doc := c.s.models[id]; doc != nil {
		return doc, nil
	}
	return nil, fail(400, 201, "invalid model id", "", kv{"id", id}, kv{"company", c.s.cfg.CompanyID})
}

func epModelEdit(c *call) (map[string]any, error) {
	doc, err := c.modelOf()
	if err != nil {
		return nil, err
	}
	changed := setModelFields(doc, c.p)
	doc["last_update"] = milli(c.s.now())
	return map[string]any{"updated": min(1, len(changed)), "fields": changed}, nil
}

func epModelGetByID(c *call) (map[string]any, error) {
	doc, err := c.modelOf()
	if err != nil {
		return nil, err
	}
	return map[string]any{"model": doc}, nil
}

func epModelsGetAll(c *call) (map[string]any, error) {
	docs := make([]map[string]any, len(c.s.modelOrder))
	for i, id := range c.s.modelOrder {
		docs[i] = c.s.models[id]
	}
	rows, more, err := c.s.find(modelSchema(), docs, c.p)
	if err != nil {
		return nil, err
	}
	return merge(map[string]any{"models": rows}, more), nil
}
