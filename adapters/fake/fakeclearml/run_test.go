package fakeclearml_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

// step is one call of a longer run: want is "400/12" or a part of the answer. In
// body and want, $name stands for a value that an earlier step saved.
type step struct {
	path, body, want string
	// save is the field of data to be kept under the same name.
	save string
}

func run(t *testing.T, s *fakeclearml.Server, steps []step) {
	t.Helper()
	saved := map[string]string{}
	fill := func(text string) string {
		for k, v := range saved {
			text = strings.ReplaceAll(text, "$"+k, v)
		}
		return text
	}
	for _, st := range steps {
		r := httptest.NewRequest(http.MethodPost, "/v2.30/"+st.path, strings.NewReader(fill(st.body)))
		r.SetBasicAuth(accessKey, secretKey)
		if strings.HasSuffix(st.path, "_batch") {
			r.Header.Set("Content-Type", "application/json-lines")
		}
		a := send(t, s, r)
		if got := fmt.Sprintf("%d/%d", a.status, a.subcode); got != st.want && !strings.Contains(string(a.raw), fill(st.want)) {
			t.Errorf("%s %s: %s, want %s", st.path, fill(st.body), a.raw, fill(st.want))
		}
		if st.save != "" {
			name, field, _ := strings.Cut(st.save, "=")
			saved[name], _ = a.data[field].(string)
		}
	}
}

// TestTaskRun is what an SDK does around a task, call by call.
func TestTaskRun(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	run(t, s, []step{
		{"projects.create", `{"name": "ebb/one", "description": "d"}`, `"id"`, "project=id"},
		{"projects.create", `{"name": "ebb/one"}`, "400/801", ""},
		{"projects.get_all", `{"name": "^ebb/one$", "only_fields": ["id", "basename"]}`, `{"basename":"one","id":"$project"}`, ""},
		{"projects.get_by_id", `{"project": "$project"}`, `"name":"ebb/one"`, ""},
		{"projects.get_by_id", `{"project": "nope"}`, "400/401", ""},
		{"tasks.create", `{"name": "run", "type": "training", "project": "nope"}`, "400/401", ""},
		{"tasks.create", `{"name": "run", "type": "juggling"}`, "400/12", ""},
		{"tasks.create", `{"name": "r", "type": "training"}`, "400/800", ""},
		{"tasks.create", `{"type": "training"}`, "400/12", ""},
		{"tasks.validate", `{"name": "run", "type": "training"}`, "200/0", ""},
		{"tasks.create", `{"name": " run ", "type": "training", "project": "$project", "script": {"entry_point": " a.py "}}`, `"id"`, "task=id"},
		{"tasks.get_by_id", `{"task": "$task"}`, `"entry_point":"a.py"`, ""},
		{"tasks.get_by_id", `{"task": "nope"}`, "400/101", ""},
		{"tasks.get_types", `{}`, `["training"]`, ""},
		{"tasks.started", `{"task": "$task"}`, `"started":1`, ""},
		{"tasks.started", `{"task": "nope"}`, "400/10", ""},
		{"tasks.edit", `{"task": "$task", "comment": "c"}`, "400/110", ""},
		{"tasks.edit", `{"task": "$task", "force": true}`, `{"updated":0}`, ""},
		{"tasks.edit", `{"task": "$task", "force": true, "script": {"branch": "main"}, "output_dest": "s3://x"}`, `"updated":1`, ""},
		{"tasks.update", `{"task": "$task", "name": "renamed", "script": {"branch": "dev"}}`, `"name":"renamed"`, ""},
		{
			"tasks.get_all", `{"id": ["$task"], "only_fields": ["name", "script.branch", "script.entry_point", "output"]}`,
			`{"name":"renamed","output":{"destination":"s3://x"},"script":{"branch":"main","entry_point":"a.py"}}`, "",
		},
		{"tasks.set_requirements", `{"task": "$task", "requirements": {"pip": "numpy"}}`, `"script.requirements":{"pip":"numpy"}`, ""},
		{"tasks.set_requirements", `{"task": "$task"}`, "400/12", ""},
		{"tasks.edit_runtime", `{"task": "$task", "add_or_update": {"a": "1", "b": "2"}, "remove": ["b"]}`, `{"updated":1}`, ""},
		{"tasks.edit_hyper_params", `{"task": "$task", "hyperparams": [{"section": "S", "name": "x", "value": "1"}, {"section": "T", "name": "y", "value": "2"}]}`, `{"updated":1}`, ""},
		{"tasks.edit_hyper_params", `{"task": "$task", "replace_hyperparams": "section", "hyperparams": [{"section": "S", "name": "z", "value": "3"}]}`, `{"updated":1}`, ""},
		{"tasks.edit_hyper_params", `{"task": "$task", "hyperparams": [{"name": "z", "value": "3"}]}`, "400/12", ""},
		{"tasks.get_hyper_params", `{"tasks": ["$task"]}`, `[{"name":"z","section":"S","value":"3"},{"name":"y","section":"T","value":"2"}]`, ""},
		{"tasks.edit_configuration", `{"task": "$task", "configuration": [{"name": "c", "value": "v"}]}`, `{"updated":1}`, ""},
		{"tasks.add_or_update_artifacts", `{"task": "$task", "artifacts": [{"key": "k", "type": "t", "uri": "1"}]}`, `{"updated":1}`, ""},
		{"tasks.add_or_update_artifacts", `{"task": "$task", "artifacts": [{"key": "k", "type": "t", "uri": "2"}, {"key": "k", "type": "t", "mode": "input"}]}`, `{"updated":1}`, ""},
		{
			"tasks.get_all", `{"id": ["$task"], "only_fields": ["execution.artifacts", "runtime", "configuration"]}`,
			`{"configuration":{"c":{"name":"c","value":"v"}},"execution":{"artifacts":[{"key":"k","mode":"output","type":"t","uri":"2"},{"key":"k","mode":"input","type":"t"}]},"runtime":{"a":"1"}}`, "",
		},
		{"models.create", `{"name": "net", "uri": "file:///x", "task": "$task"}`, `"created":true`, "model=id"},
		{"models.edit", `{"model": "$model", "tags": ["b", "a"]}`, `"tags":["a","b"]`, ""},
		{"models.get_by_id", `{"model": "$model"}`, `"uri":"file:///x"`, ""},
		{"models.get_by_id", `{"model": "nope"}`, "400/201", ""},
		{"models.get_all", `{"name": "net", "only_fields": ["id"]}`, `[{"id":"$model"}]`, ""},
		{"tasks.add_or_update_model", `{"task": "$task", "name": "out", "model": "$model", "type": "output"}`, `{"updated":1}`, ""},
		{"tasks.add_or_update_model", `{"task": "$task", "name": "out", "model": "$model", "type": "sideways"}`, "400/12", ""},
		{"events.add_batch", `{"type": "log", "task": "$task", "msg": "hello "}` + "\n" + `{"type": "log", "task": "$task", "msg": "you"}`, `"added":2`, ""},
		{"events.add", `{"type": "training_stats_scalar", "task": "$task", "iter": 5, "value": 1}`, `"added":1`, ""},
		{"events.add", `{"type": "log", "task": "nope"}`, "400/131", ""},
		{"events.add_batch", ``, "400/17", ""},
		{"events.add_batch", `{bad`, "400/0", ""},
		{"events.get_task_log", `{"task": "$task"}`, `"total":2`, ""},
		{"tasks.get_all", `{"id": ["$task"], "only_fields": ["last_iteration"]}`, `[{"last_iteration":5}]`, ""},
		{"tasks.completed", `{"task": "$task", "publish": true}`, `"published":1`, ""},
		{"tasks.reset", `{"task": "$task"}`, "400/110", ""},
		{"tasks.clone", `{"task": "$task", "new_task_name": "copy"}`, `"id"`, "copy=id"},
		{
			"tasks.get_all", `{"id": ["$copy"], "only_fields": ["name", "status", "parent", "script.entry_point"]}`,
			`{"name":"copy","parent":"$task","script":{"entry_point":"a.py"},"status":"created"}`, "",
		},
		{"tasks.enqueue", `{"task": "$copy", "queue_name": "gpu", "update_execution_queue": false, "verify_watched_queue": true}`, "400/12", ""},
		{"tasks.enqueue", `{"task": "$copy", "queue_name": "gpu", "queue": "x"}`, "400/12", ""},
		{"tasks.enqueue", `{"task": "$copy"}`, `"status":"queued"`, ""},
		{"workers.register", `{"worker": "w", "queues": ["nope"]}`, "400/701", ""},
		{"tasks.archive", `{"tasks": ["$copy"]}`, `{"archived":1}`, ""},
		{"tasks.get_all", `{"id": ["$copy"], "only_fields": ["status", "system_tags"]}`, `{"status":"created","system_tags":["archived"]}`, ""},
		{"tasks.delete", `{"task": "$copy"}`, `"deleted":true`, ""},
		{"tasks.delete", `{"task": "$copy"}`, "400/101", ""},
		{"users.get_all", `{}`, `"id":"__tests__"`, ""},
		{"users.get_preferences", `{}`, `{"preferences":{}}`, ""},
	})
}

func TestQueueRun(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, func(c *fakeclearml.Config) { c.NoDefaultQueue = true })
	run(t, s, []step{
		{"queues.get_default", `{}`, "400/707", ""},
		{"tasks.create", `{"name": "run", "type": "training"}`, `"id"`, "task=id"},
		{"tasks.enqueue", `{"task": "$task"}`, "400/707", ""},
		{"tasks.enqueue", `{"task": "$task", "queue_name": "x"}`, "400/800", ""},
		{"queues.create", `{"name": "qqq", "system_tags": ["default"], "display_name": "The Q", "metadata": {"k": {"key": "k", "type": "t", "value": "v"}}}`, `"id"`, "queue=id"},
		{"queues.create", `{"name": "rrr", "metadata": {"k": {"key": "k"}}}`, "400/12", ""},
		{"queues.get_by_id", `{"queue": "$queue"}`, `"display_name":"The Q"`, ""},
		{"queues.get_by_id", `{"queue": "$queue"}`, `"metadata":{"k":{"key":"k","type":"t","value":"v"}}`, ""},
		{"queues.peek_task", `{"queue": "$queue"}`, `{"task":null}`, ""},
		{"tasks.enqueue", `{"task": "$task", "verify_watched_queue": true}`, `"queue_watched":false`, ""},
		{"workers.status_report", `{"worker": "w", "timestamp": 1, "queues": ["$queue"], "task": "$task"}`, "200/0", ""},
		{"workers.status_report", `{"worker": "w"}`, "400/12", ""},
		{"workers.status_report", `{"worker": 5, "timestamp": 1}`, "400/12", ""},
		{"workers.get_count", `{"last_seen": 60}`, `{"count":1}`, ""},
		{"queues.get_all_ex", `{"name": "qqq"}`, `"task":{"id":"$task","name":"run"}}]`, ""},
		{"tasks.dequeue", `{"task": "$task"}`, `"status":"created"`, ""},
		{"tasks.enqueue", `{"task": "$task", "verify_watched_queue": true}`, `"queue_watched":true`, ""},
		{"queues.get_next_task", `{"queue": "$queue", "task": "another"}`, `"data":{}`, ""},
		{"queues.clear_queue", `{"queue": "$queue"}`, `{"removed_tasks":["$task"]}`, ""},
		{"tasks.get_all", `{"id": ["$task"], "only_fields": ["status", "execution.queue"]}`, `{"execution":{},"status":"created"}`, ""},
		{"queues.update", `{"queue": "$queue", "metadata": {}}`, `"metadata":{}`, ""},
		{"queues.add_or_update_metadata", `{"queue": "$queue"}`, "400/12", ""},
		{"queues.add_or_update_metadata", `{"queue": "$queue", "metadata": ["x"]}`, "400/12", ""},
		{"queues.delete_metadata", `{"queue": "$queue"}`, "400/12", ""},
		{"queues.create", `{"name": "sss", "system_tags": ["default"]}`, `"id"`, "queue2=id"},
		{"queues.get_default", `{}`, "400/708", ""},
		{"queues.get_all", `[1]`, "400/12", ""},
		{"queues.get_all", `{"tags": [5]}`, "400/16", ""},
		{"queues.get_all", `{"search_hidden": "what"}`, "400/12", ""},
		{"queues.get_all", `{"max_task_entries": [1]}`, "400/12", ""},
	})
}
