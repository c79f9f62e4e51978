package fakeclearml

import (
	"fmt"
	"slices"
	"strings"
)

func (s *Server) registerTaskEdits() {
	s.on("tasks.create", "1.0", epTaskCreate)
	s.on("tasks.clone", "2.5", epTaskClone)
	s.on("tasks.edit", "1.0", epTaskEdit)
	s.on("tasks.update", "1.0", epTaskUpdate)
	s.on("tasks.validate", "1.0", func(c *call) (map[string]any, error) { return nil, c.checkCreate() })
	s.on("tasks.set_requirements", "2.1", epTaskSetRequirements)
	s.on("tasks.edit_runtime", "2.23", epTaskEditRuntime)
	s.on("tasks.edit_hyper_params", "2.9", epTaskEditHyperParams)
	s.on("tasks.get_hyper_params", "2.9", epTaskGetHyperParams)
	s.on("tasks.edit_configuration", "2.9", epTaskEditConfiguration)
	s.on("tasks.add_or_update_artifacts", "2.10", epTaskArtifacts)
	s.on("tasks.add_or_update_model", "2.13", epTaskModel)
}

func (c *call) checkCreate() error {
	r := reader{p: c.p}
	r.required("name")
	kind := r.required("type")
	if r.err != nil {
		return r.err
	}
	if !slices.Contains(taskTypes(), kind) {
		return errValidation(fmt.Sprintf("error for field 'type'. value '%s' is not a valid choice.", kind))
	}
	return nil
}

func epTaskCreate(c *call) (map[string]any, error) {
	if err := c.checkCreate(); err != nil {
		return nil, err
	}
	t, err := c.s.createTask(c.id.user, c.p)
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": t.ID}, nil
}

// taskOf reads the required field task.
func (c *call) taskOf() (*Task, error) {
	id, err := c.p.required("task")
	if err != nil {
		return nil, err
	}
	return c.s.task(id)
}

func epTaskClone(c *call) (map[string]any, error) {
	t, err := c.taskOf()
	if err != nil {
		return nil, err
	}
	copied := t.clone()
	fields := map[string]any{
		"name": copied.Name, "type": copied.Type, "comment": copied.Comment, "project": copied.Project, "parent": t.ID,
		"script": copied.Script, "hyperparams": copied.Hyperparams, "configuration": copied.Configuration, "container": copied.Container,
		"tags": copied.Tags, "system_tags": slices.DeleteFunc(copied.SystemTags, func(x string) bool { return x == developmentTag || x == archivedTag }),
	}
	for _, name := range []string{"name", "comment", "parent", "project", "tags", "system_tags", "hyperparams", "configuration", "container"} {
		from := "new_task_" + name
		if v := c.p[from]; v != nil {
			fields[name] = v
		}
	}
	n, err := c.s.createTask(c.id.user, fields)
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": n.ID}, nil
}

// editable are the fields that tasks.edit takes.
func editable() []string {
	return []string{
		"name", "tags", "system_tags", "type", "error", "comment", "parent", "project", "input", "models", "container",
		"output_dest", "execution", "hyperparams", "configuration", "script", "runtime",
	}
}

func epTaskEdit(c *call) (map[string]any, error) {
	t, err := c.taskOf()
	if err != nil {
		return nil, err
	}
	force, err := c.p.boolean("force", false)
	if err != nil {
		return nil, err
	}
	if !force && t.Status != StatusCreated {
		return nil, fail(400, 110, "invalid task status", "", kv{"expected", string(StatusCreated)}, kv{"status", string(t.Status)})
	}
	fields := map[string]any{}
	for _, name := range editable() {
		if v, ok := c.p[name]; ok && v != nil {
			fields[name] = v
		}
	}
	if len(fields) == 0 {
		return map[string]any{"updated": 0}, nil
	}
	if err := c.s.setTaskFields(t, fields); err != nil {
		return nil, err
	}
	now := c.s.now()
	t.LastUpdate, t.LastChange, t.LastChangedBy = milli(now), milli(now), c.id.user
	fields["last_update"], fields["last_change"], fields["last_changed_by"] = now, now, c.id.user
	return map[string]any{"updated": 1, "fields": fields}, nil
}

// epTaskUpdate changes the few fields that may change at any time.
func epTaskUpdate(c *call) (map[string]any, error) {
	t, err := c.taskOf()
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	for _, name := range []string{"name", "comment", "project", "tags", "system_tags", "status_message"} {
		if v, ok := c.p[name]; ok && v != nil {
			fields[name] = v
		}
	}
	if len(fields) == 0 {
		return map[string]any{"updated": 0}, nil
	}
	if err := c.s.setTaskFields(t, fields); err != nil {
		return nil, err
	}
	now := c.s.now()
	t.LastChange, t.LastChangedBy = milli(now), c.id.user
	fields["last_change"], fields["last_changed_by"] = now, c.id.user
	return map[string]any{"updated": 1, "fields": fields}, nil
}

func epTaskSetRequirements(c *call) (map[string]any, error) {
	t, err := c.taskOf()
	if err != nil {
		return nil, err
	}
	requirements, ok := c.p["requirements"].(map[string]any)
	if !ok {
		return nil, errValidation("error for field 'requirements'. field is required!")
	}
	t.Script["requirements"] = cloneMap(requirements)
	c.changed(t)
	return map[string]any{"updated": 1, "fields": map[string]any{"script.requirements": requirements}}, nil
}

func (c *call) changed(t *Task) {
	now := milli(c.s.now())
	t.LastUpdate, t.LastChange, t.LastChangedBy = now, now, c.id.user
}

func epTaskEditRuntime(c *call) (map[string]any, error) {
	t, err := c.taskOf()
	if err != nil {
		return nil, err
	}
	drop, err := c.p.strings("remove")
	if err != nil {
		return nil, err
	}
	for k, v := range asMap(c.p["add_or_update"]) {
		t.Runtime[k] = cloneValue(v)
	}
	for _, k := range drop {
		delete(t.Runtime, k)
	}
	c.changed(t)
	return map[string]any{"updated": 1}, nil
}

// epTaskEditHyperParams stores items under section and name.
func epTaskEditHyperParams(c *call) (map[string]any, error) {
	t, err := c.taskOf()
	if err != nil {
		return nil, err
	}
	items, err := c.p.objects("hyperparams")
	if err != nil {
		return nil, err
	}
	replace, err := c.p.text("replace_hyperparams")
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if _, err := item.required("section"); err != nil {
			return nil, err
		}
		if _, err := item.required("name"); err != nil {
			return nil, err
		}
	}
	if replace == "all" {
		t.Hyperparams = map[string]any{}
	}
	cleared := map[string]bool{}
	for _, item := range items {
		section, _ := item["section"].(string)
		name, _ := item["name"].(string)
		in := asMap(t.Hyperparams[section])
		if replace == "section" && !cleared[section] {
			in, cleared[section] = map[string]any{}, true
		}
		in[name] = cloneMap(item)
		t.Hyperparams[section] = in
	}
	c.changed(t)
	return map[string]any{"updated": 1}, nil
}

func epTaskGetHyperParams(c *call) (map[string]any, error) {
	ids, err := c.p.strings("tasks")
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, id := range ids {
		t, err := c.s.task(id)
		if err != nil {
			return nil, err
		}
		items := []any{}
		for _, section := range sortedKeys(t.Hyperparams) {
			in := asMap(t.Hyperparams[section])
			for _, name := range sortedKeys(in) {
				items = append(items, in[name])
			}
		}
		list = append(list, map[string]any{"task": id, "hyperparams": items})
	}
	return map[string]any{"params": list}, nil
}

func epTaskEditConfiguration(c *call) (map[string]any, error) {
	t, err := c.taskOf()
	if err != nil {
		return nil, err
	}
	r := reader{p: c.p}
	replace := r.boolean("replace_configuration")
	items, err := c.p.objects("configuration")
	if r.err != nil || err != nil {
		return nil, firstError(r.err, err)
	}
	if replace {
		t.Configuration = map[string]any{}
	}
	for _, item := range items {
		name, err := item.required("name")
		if err != nil {
			return nil, err
		}
		t.Configuration[name] = cloneMap(item)
	}
	c.changed(t)
	return map[string]any{"updated": 1}, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// epTaskArtifacts merges by key and mode.
func epTaskArtifacts(c *call) (map[string]any, error) {
	t, err := c.taskOf()
	if err != nil {
		return nil, err
	}
	items, err := c.p.objects("artifacts")
	if err != nil {
		return nil, err
	}
	list, _ := t.Execution["artifacts"].([]any)
	for _, item := range items {
		if _, err := item.required("key"); err != nil {
			return nil, err
		}
		doc := cloneMap(item)
		if doc["mode"] == nil {
			doc["mode"] = "output"
		}
		list = slices.DeleteFunc(list, func(v any) bool {
			return asMap(v)["key"] == doc["key"] && asMap(v)["mode"] == doc["mode"]
		})
		list = append(list, doc)
	}
	t.Execution["artifacts"] = list
	c.changed(t)
	return map[string]any{"updated": 1}, nil
}

func epTaskModel(c *call) (map[string]any, error) {
	t, err := c.taskOf()
	if err != nil {
		return nil, err
	}
	r := reader{p: c.p}
	name, model, kind := r.required("name"), r.required("model"), r.required("type")
	if r.err != nil {
		return nil, r.err
	}
	kind = strings.ToLower(kind)
	if kind != "input" && kind != "output" {
		return nil, errValidation(fmt.Sprintf("error for field 'type'. value '%s' is not a valid choice.", kind))
	}
	list, _ := t.Models[kind].([]any)
	list = slices.DeleteFunc(list, func(v any) bool { return asMap(v)["name"] == name })
	t.Models[kind] = append(list, map[string]any{"name": name, "model": model, "updated": c.s.now()})
	c.changed(t)
	return map[string]any{"updated": 1}, nil
}
