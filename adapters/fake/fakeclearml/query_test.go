package fakeclearml_test

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

// column are the values of one field of the rows of an answer.
func column(t *testing.T, a answer, list, field string) string {
	t.Helper()
	rows, ok := a.data[list].([]any)
	if !ok {
		return fmt.Sprintf("%d/%d", a.status, a.subcode)
	}
	var out []string
	for _, r := range rows {
		out = append(out, fmt.Sprint(r.(map[string]any)[field]))
	}
	return strings.Join(out, " ")
}

type object = map[string]any

func TestQueueQueries(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, func(c *fakeclearml.Config) { c.NoDefaultQueue = true })
	for _, spec := range []fakeclearml.QueueSpec{
		{Name: "beta", Tags: []string{"x", "y"}},
		{Name: "alpha", Tags: []string{"x"}},
		{Name: "gamma.1", SystemTags: []string{"k8s-glue"}},
		{Name: "gamma-1"},
	} {
		must[fakeclearml.Queue](t)(s.CreateQueue(spec))
	}
	gamma, _ := s.QueueByName("gamma.1")
	tests := []struct {
		body object
		want string
	}{
		{object{}, "beta alpha gamma-1"},
		{object{"search_hidden": true}, "beta alpha gamma.1 gamma-1"},
		{object{"name": "gamma.1"}, "gamma.1 gamma-1"},
		{object{"name": `^(gamma\.1|alpha)$`}, "alpha gamma.1"},
		{object{"name": "ALPHA"}, ""},
		{object{"name": "("}, "400/21"},
		{object{"id": []string{gamma.ID}}, "gamma.1"},
		{object{"id": gamma.ID}, "gamma.1"},
		{object{"tags": []string{"x"}}, "beta alpha"},
		{object{"tags": []string{"-y"}}, "alpha gamma-1"},
		{object{"tags": []string{"__$not", "y"}}, "alpha gamma-1"},
		{object{"tags": []string{"__$all", "x", "y"}}, "beta"},
		{object{"tags": []any{"y", nil}}, "beta gamma-1"},
		{object{"tags": []string{"__$what"}}, "400/16"},
		{object{"system_tags": []string{"-k8s-glue"}, "search_hidden": true}, "beta alpha gamma-1"},
		{object{"order_by": []string{"name"}}, "alpha beta gamma-1"},
		{object{"order_by": []string{"-name"}}, "gamma-1 beta alpha"},
		{object{"order_by": []string{"nope"}}, "400/12"},
		{object{"page": 1, "page_size": 2}, "gamma-1"},
		{object{"page": -1}, "400/12"},
		{object{"page_size": 0}, "400/12"},
		{object{"scroll_id": nil}, "400/12"},
		{object{"only_fields": []string{"name"}}, "beta alpha gamma-1"},
		{object{"only_fields": []string{"-tags"}}, "beta alpha gamma-1"},
		{object{"only_fields": []string{"nope"}}, "400/12"},
		{object{"only_fields": []string{"name.x"}}, "400/12"},
		{object{"search_text": "AMMA"}, "gamma-1"},
	}
	for _, tt := range tests {
		if got := column(t, post(t, s, "/v2.30/queues.get_all", tt.body), "queues", "name"); got != tt.want {
			t.Errorf("%v selects %q, want %q", tt.body, got, tt.want)
		}
	}
}

func TestProjection(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	id := newTask(t, s, "one task")
	enqueued(t, s, id, "default")
	q, _ := s.QueueByName("default")
	a := post(t, s, "/v2.30/queues.get_all", object{"only_fields": []string{"entries.task", "company"}})
	want := []any{object{"company": fakeclearml.DefaultCompanyID, "entries": []any{object{"task": id}}}}
	if !reflect.DeepEqual(a.data["queues"], want) {
		t.Errorf("queues %v, want %v", a.data["queues"], want)
	}
	a = post(t, s, "/v2.30/tasks.get_all", object{"only_fields": []string{"execution.queue", "script.binary", "started", "enqueue_status"}})
	want = []any{object{"execution": object{"queue": q.ID}, "script": object{"binary": "python"}, "enqueue_status": "created"}}
	if !reflect.DeepEqual(a.data["tasks"], want) {
		t.Errorf("tasks %v, want %v", a.data["tasks"], want)
	}
	a = post(t, s, "/v2.30/tasks.get_all_ex", object{"only_fields": []string{"execution.queue.name", "user.name", "company"}})
	want = []any{object{
		"execution": object{"queue": object{"name": "default"}}, "user": object{"name": "tests"},
		"company": object{"id": fakeclearml.DefaultCompanyID, "name": "clearml"},
	}}
	if !reflect.DeepEqual(a.data["tasks"], want) {
		t.Errorf("tasks with names %v, want %v", a.data["tasks"], want)
	}
}

func TestTaskQueries(t *testing.T) {
	t.Parallel()
	s, clk := newServer(t)
	ids := map[string]string{}
	for _, st := range []fakeclearml.Status{"created", "queued", "in_progress", "stopped"} {
		ids[string(st)] = bring(t, s, st)
		clk.Advance(time.Minute)
	}
	must[string](t)(s.CreateTask(fakeclearml.TaskSpec{Name: "unseen", SystemTags: []string{"hidden"}}))
	q, _ := s.QueueByName("default")
	at := func(minutes int) string {
		return newClock().Now().Add(time.Duration(minutes) * time.Minute).Format(time.RFC3339Nano)
	}
	tests := []struct {
		body object
		want string
	}{
		{object{}, "created queued in_progress stopped"},
		{object{"search_hidden": true}, "created queued in_progress stopped created"},
		{object{"status": []string{"queued", "stopped"}}, "queued stopped"},
		{object{"status": []string{"-queued"}}, "created in_progress stopped"},
		{object{"id": []string{ids["stopped"], "nope"}}, "stopped"},
		{object{"id": []string{ids["stopped"]}, "status": []string{"queued"}}, ""},
		{object{"last_update": []string{">=" + at(2)}}, "in_progress stopped"},
		{object{"last_update": []string{">=" + at(1), "<" + at(2)}}, "queued"},
		{object{"last_update": "<=" + strings.TrimSuffix(at(1), "Z")}, "created queued"},
		{object{"status_changed": []string{">" + at(0)}}, "queued in_progress stopped"},
		{object{"status_changed": []string{at(0), at(1)}}, "queued"},
		{object{"started": []any{at(2), nil}}, "in_progress stopped"},
		{object{"started": []any{nil, nil}}, "400/12"},
		{object{"execution.queue": q.ID}, "queued"},
		{object{"name": "^some"}, "created queued in_progress stopped"},
		{object{"_any_": object{"fields": []string{"name", "status"}, "pattern": "QUEUED"}}, "queued"},
		{object{"_all_": object{"fields": []string{"name", "status"}, "pattern": "t"}}, "created stopped"},
		{object{"order_by": []string{"-last_update"}, "page_size": 2, "page": 0}, "stopped in_progress"},
		{object{"order_by": []string{"started"}}, "in_progress stopped created queued"},
		{object{"order_by": []string{"-started"}}, "stopped in_progress created queued"},
	}
	for _, tt := range tests {
		got := column(t, post(t, s, "/v2.30/tasks.get_all", tt.body), "tasks", "status")
		// Equal keys are in the order of their random ids.
		if tt.body["order_by"] != nil && strings.HasSuffix(got, "queued created") {
			got = strings.TrimSuffix(got, "queued created") + "created queued"
		}
		if got != tt.want {
			t.Errorf("%v selects %q, want %q", tt.body, got, tt.want)
		}
	}
}

func TestScroll(t *testing.T) {
	t.Parallel()
	s, clk := newServer(t, func(c *fakeclearml.Config) { c.NoDefaultQueue = true })
	for i := range 7 {
		must[fakeclearml.Queue](t)(s.CreateQueue(fakeclearml.QueueSpec{Name: fmt.Sprintf("q-%d", i)}))
	}
	next := func(id any, more object) (string, any) {
		body := object{"scroll_id": id, "size": 3}
		maps.Copy(body, more)
		a := post(t, s, "/v2.30/queues.get_all", body)
		return column(t, a, "queues", "name"), a.data["scroll_id"]
	}
	rows, id := next(nil, nil)
	for i, want := range []string{"q-0 q-1 q-2", "q-3 q-4 q-5", "q-6", ""} {
		if rows != want {
			t.Errorf("part %d is %q, want %q", i, rows, want)
		}
		rows, id = next(id, nil)
	}
	if rows, _ := next(id, object{"refresh_scroll": true}); rows != "q-0 q-1 q-2 q-3 q-4 q-5 q-6" {
		t.Errorf("refreshed: %q", rows)
	}
	clk.Advance(601 * time.Second)
	if rows, fresh := next(id, nil); rows != "q-0 q-1 q-2" || fresh == id {
		t.Errorf("after its life: %q, same id %v", rows, fresh == id)
	}
}

func TestQueueMoves(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	ids := map[string]string{}
	for _, n := range []string{"aaa", "bbb", "ccc", "ddd"} {
		ids[n] = newTask(t, s, n)
		enqueued(t, s, ids[n], "default")
	}
	q, _ := s.QueueByName("default")
	steps := []struct {
		action, task string
		count        any
		position     float64
		order        string
	}{
		{"move_task_to_front", "ccc", nil, 0, "ccc aaa bbb ddd"},
		{"move_task_to_back", "aaa", nil, 3, "ccc bbb ddd aaa"},
		{"move_task_forward", "ddd", nil, 1, "ccc ddd bbb aaa"},
		{"move_task_backward", "ccc", 2, 2, "ddd bbb ccc aaa"},
		{"move_task_forward", "aaa", 99, 0, "aaa ddd bbb ccc"},
	}
	for _, st := range steps {
		body := object{"queue": q.ID, "task": ids[st.task]}
		if st.count != nil {
			body["count"] = st.count
		}
		a := post(t, s, "/v2.30/queues."+st.action, body)
		now, _ := s.QueueByName("default")
		var order []string
		for _, e := range now.Entries {
			order = append(order, must[fakeclearml.Task](t)(s.Task(e.Task)).Name)
		}
		if a.data["position"] != st.position || strings.Join(order, " ") != st.order {
			t.Errorf("%s %s: %s, order %v, want %v and %s", st.action, st.task, a.raw, order, st.position, st.order)
		}
	}
	if a := post(t, s, "/v2.30/queues.move_task_to_front", object{"queue": q.ID, "task": "nope"}); a.subcode != 703 {
		t.Errorf("unknown task: %s", a.raw)
	}
}

func TestQueueWrites(t *testing.T) {
	t.Parallel()
	s, clk := newServer(t)
	id := newTask(t, s, "one task")
	enqueued(t, s, id, "gpu")
	q, _ := s.QueueByName("gpu")
	from := float64(clk.Now().Unix())
	steps := []struct {
		path string
		body object
		want string
	}{
		{"queues.update", object{"queue": q.ID, "name": "default"}, "400/801"},
		{"queues.update", object{"queue": q.ID, "name": "gpu-x", "tags": []string{"b", "a", "b"}}, `"fields":{"name":"gpu-x","tags":["a","b"]}`},
		{"queues.get_by_id", object{"queue": q.ID, "max_task_entries": 1}, `"name":"gpu-x"`},
		{"queues.delete", object{"queue": q.ID}, "400/702"},
		{"queues.remove_task", object{"queue": q.ID, "task": id}, `{"removed":1}`},
		{"queues.remove_task", object{"queue": q.ID, "task": id}, "400/703"},
		{"queues.add_task", object{"queue": q.ID, "task": id}, `{"added":1}`},
		{"queues.add_task", object{"queue": q.ID, "task": id}, "400/706"},
		{"queues.get_num_entries", object{"queue": q.ID}, `{"num":1}`},
		{"queues.get_num_entries", object{"queue": "nope"}, "400/701"},
		{"queues.get_queue_metrics", object{"queue_ids": []string{q.ID}, "from_date": from, "to_date": from + 60, "interval": 3600}, `"queue_lengths":[1]`},
		{"queues.get_queue_metrics", object{"from_date": from, "to_date": from + 60, "interval": 0}, "400/12"},
		{"queues.delete", object{"queue": q.ID, "force": true}, `{"deleted":1}`},
		{"queues.get_by_id", object{"queue": q.ID}, "400/701"},
	}
	for _, st := range steps {
		a := post(t, s, "/v2.30/"+st.path, st.body)
		if got := fmt.Sprintf("%d/%d", a.status, a.subcode); got != st.want && !strings.Contains(string(a.raw), st.want) {
			t.Errorf("%s %v: %s, want %s", st.path, st.body, a.raw, st.want)
		}
	}
	task := must[fakeclearml.Task](t)(s.Task(id))
	if task.Status != "created" || task.Queue != "" || task.StatusReason != "Queue "+q.ID+" was deleted" {
		t.Errorf("task of a deleted queue: %s in %q, %q", task.Status, task.Queue, task.StatusReason)
	}
}

func TestMetadataByVersion(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	q, _ := s.QueueByName("default")
	if err := s.SetMetadata(q.ID, fakeclearml.MetadataItem{Key: "a.b", Type: "t", Value: "v"}); err != nil {
		t.Fatal(err)
	}
	for v, want := range map[string]string{"2.16": `"metadata":[]`, "2.17": `"metadata":{"a.b":{"key":"a.b","type":"t","value":"v"}}`} {
		if a := post(t, s, "/v"+v+"/queues.get_all", object{"only_fields": []string{"metadata"}}); !strings.Contains(string(a.raw), want) {
			t.Errorf("version %s: %s, want %s", v, a.raw, want)
		}
	}
	if err := s.DeleteMetadata(q.ID, "a.b", "never there"); err != nil {
		t.Error(err)
	}
	if now, _ := s.QueueByName("default"); len(now.Metadata) != 0 {
		t.Errorf("left %v", now.Metadata)
	}
}
