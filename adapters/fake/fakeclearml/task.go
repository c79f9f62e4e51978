package fakeclearml

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Status is the state of a task.
type Status string

// The states a task can be in.
const (
	StatusCreated    Status = "created"
	StatusQueued     Status = "queued"
	StatusInProgress Status = "in_progress"
	StatusStopped    Status = "stopped"
	StatusPublishing Status = "publishing"
	StatusPublished  Status = "published"
	StatusClosed     Status = "closed"
	StatusFailed     Status = "failed"
	StatusCompleted  Status = "completed"
	StatusUnknown    Status = "unknown"
)

// Task is a task. A zero time or an empty text means that the server has no
// such field yet.
type Task struct {
	ID, User, Name, Type        string
	Status                      Status
	StatusReason, StatusMessage string
	StatusChanged               time.Time
	Comment, Parent, Project    string
	Created, Started, Completed time.Time
	Published                   time.Time
	LastUpdate, LastChange      time.Time
	LastWorkerReport            time.Time
	LastWorker, LastChangedBy   string
	// EnqueueStatus is the status the task had before it was queued.
	EnqueueStatus Status
	// Queue is execution.queue: the queue the task was last put into, whether or
	// not it is still there.
	Queue          string
	ActiveDuration time.Duration
	LastIteration  int
	Tags           []string
	SystemTags     []string

	Script, Execution, Hyperparams, Configuration map[string]any
	Runtime, Container, Models, Output            map[string]any

	hasActive bool
}

// TaskSpec is a task to be created. Name (three characters or more) and Type
// (training when empty) are all it needs.
type TaskSpec struct {
	// User owns the task; empty means the server's default user.
	User, Name, Type string
	Project, Parent  string
	Tags, SystemTags []string
	// Script, Hyperparams, Configuration, Runtime and Container are JSON objects as
	// tasks.create takes them.
	Script, Hyperparams, Configuration, Runtime, Container map[string]any
}

// before is the status the task goes back to when it leaves a queue unrun.
func (t *Task) before() Status {
	if t.EnqueueStatus != "" {
		return t.EnqueueStatus
	}
	return StatusCreated
}

func (t *Task) clone() Task {
	out := *t
	out.Tags, out.SystemTags = slices.Clone(t.Tags), slices.Clone(t.SystemTags)
	for _, m := range []*map[string]any{
		&out.Script, &out.Execution, &out.Hyperparams, &out.Configuration,
		&out.Runtime, &out.Container, &out.Models, &out.Output,
	} {
		*m = cloneMap(*m)
	}
	return out
}

func taskTypes() []string {
	return []string{
		"training", "testing", "inference", "data_processing", "application", "monitor", "controller",
		"report", "optimizer", "service", "qc", "custom",
	}
}

func (s *Server) task(id string) (*Task, error) {
	if t := s.tasks[id]; t != nil {
		return t, nil
	}
	return nil, s.errTaskID(id)
}

func newExecution() map[string]any {
	return map[string]any{
		"test_split": 0, "parameters": map[string]any{}, "model_desc": map[string]any{},
		"model_labels": map[string]any{}, "artifacts": []any{},
	}
}

func newScript() map[string]any {
	return map[string]any{"binary": "python", "repository": "", "entry_point": "", "requirements": map[string]any{}}
}

// createTask makes a task with the fields of a tasks.create request.
func (s *Server) createTask(user string, fields map[string]any) (*Task, error) {
	now := s.now()
	t := &Task{
		ID: newID(s.ids), User: user, Status: StatusCreated,
		Created: milli(now), LastUpdate: milli(now), LastChange: milli(now), LastChangedBy: user,
		Tags: []string{}, SystemTags: []string{},
		Script: newScript(), Execution: newExecution(), Hyperparams: map[string]any{}, Configuration: map[string]any{},
		Runtime: map[string]any{}, Container: map[string]any{}, Output: map[string]any{},
		Models: map[string]any{"input": []any{}, "output": []any{}},
	}
	if err := s.setTaskFields(t, fields); err != nil {
		return nil, err
	}
	if len([]rune(t.Name)) < minTaskNameLen {
		return nil, errShortName()
	}
	s.tasks[t.ID] = t
	s.taskOrder = append(s.taskOrder, t.ID)
	return t, nil
}

// setTaskFields applies what tasks.create and tasks.edit accept. Embedded
// documents (script, execution, models, output) are merged, the rest replaced.
func (s *Server) setTaskFields(t *Task, fields map[string]any) error {
	if id, _ := fields["project"].(string); id != "" && s.projects[id] == nil {
		return fail(400, 401, "invalid project id", "", kv{"id", id})
	}
	if id, _ := fields["parent"].(string); id != "" && s.tasks[id] == nil {
		return fail(400, 101, "invalid task id", "invalid parent", kv{"parent", id})
	}
	texts := map[string]*string{
		"name": &t.Name, "type": &t.Type, "comment": &t.Comment, "project": &t.Project, "parent": &t.Parent,
		"status_message": &t.StatusMessage,
	}
	for name, p := range texts {
		if v, ok := fields[name].(string); ok {
			*p = v
		}
	}
	t.Name = strings.TrimSpace(t.Name)
	for name, p := range map[string]*[]string{"tags": &t.Tags, "system_tags": &t.SystemTags} {
		if v, ok := fields[name]; ok {
			*p = sortedTags(asStrings(v))
		}
	}
	replaced := map[string]*map[string]any{
		"hyperparams": &t.Hyperparams, "configuration": &t.Configuration, "runtime": &t.Runtime, "container": &t.Container,
	}
	for name, p := range replaced {
		if v, ok := fields[name].(map[string]any); ok {
			*p = cloneMap(v)
		}
	}
	merged := map[string]*map[string]any{
		"script": &t.Script, "execution": &t.Execution, "models": &t.Models, "output": &t.Output,
	}
	for name, p := range merged {
		for k, v := range asMap(fields[name]) {
			(*p)[k] = cloneValue(v)
		}
	}
	if v, ok := fields["output_dest"].(string); ok {
		t.Output["destination"] = v
	}
	if q, ok := t.Execution["queue"].(string); ok {
		t.Queue = q
		delete(t.Execution, "queue")
	}
	stripScript(t.Script)
	return nil
}

// stripScript removes the space around the fields that the server strips.
func stripScript(script map[string]any) {
	for _, k := range []string{"binary", "repository", "tag", "branch", "version_num", "entry_point", "working_dir"} {
		if v, ok := script[k].(string); ok {
			script[k] = strings.TrimSpace(v)
		}
		if v, ok := script[k]; ok && v == nil {
			delete(script, k)
		}
	}
}

func (s *Server) deleteTask(id string) {
	delete(s.tasks, id)
	delete(s.logs, id)
	s.taskOrder = slices.DeleteFunc(s.taskOrder, func(x string) bool { return x == id })
}

// taskDoc is the task as the database holds it: unset fields are absent.
func (s *Server) taskDoc(t *Task) map[string]any {
	exec := maps.Clone(t.Execution)
	if t.Queue != "" {
		exec["queue"] = t.Queue
	}
	doc := map[string]any{
		"id": t.ID, "company": s.cfg.CompanyID, "user": t.User, "name": t.Name, "type": t.Type, "status": string(t.Status),
		"report_assets": []any{}, "output": t.Output, "execution": exec, "tags": t.Tags, "system_tags": t.SystemTags,
		"script": t.Script, "last_iteration": t.LastIteration, "last_metrics": map[string]any{}, "unique_metrics": []any{},
		"metric_stats": map[string]any{}, "hyperparams": t.Hyperparams, "configuration": t.Configuration,
		"runtime": t.Runtime, "models": t.Models, "container": t.Container,
	}
	if !t.StatusChanged.IsZero() {
		doc["status_reason"], doc["status_message"] = t.StatusReason, t.StatusMessage
	} else if t.StatusMessage != "" {
		doc["status_message"] = t.StatusMessage
	}
	for name, v := range map[string]string{
		"comment": t.Comment, "parent": t.Parent, "project": t.Project, "last_worker": t.LastWorker,
		"last_changed_by": t.LastChangedBy, "enqueue_status": string(t.EnqueueStatus),
	} {
		if v != "" {
			doc[name] = v
		}
	}
	for name, v := range map[string]time.Time{
		"status_changed": t.StatusChanged, "created": t.Created, "started": t.Started, "completed": t.Completed,
		"published": t.Published, "last_update": t.LastUpdate, "last_change": t.LastChange, "last_worker_report": t.LastWorkerReport,
	} {
		if !v.IsZero() {
			doc[name] = v
		}
	}
	if t.hasActive {
		doc["active_duration"] = int(t.ActiveDuration / time.Second)
	}
	return doc
}
