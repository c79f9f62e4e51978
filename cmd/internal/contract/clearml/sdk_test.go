//go:build real

package clearml_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

const listScript = `
import json
from clearml.backend_api.session.client import APIClient

c = APIClient()
queues = c.queues.get_all(only_fields=["id", "name", "tags", "entries"])
workers = c.workers.get_all(last_seen=600)
print("RESULT " + json.dumps({
    "queues": [[q.name, len(q.entries), ",".join(q.tags or [])] for q in queues],
    "workers": [[w.id, w.task.id if w.task else "", [q.name for q in w.queues]] for w in workers],
}))
`

const taskScript = `
import json
from clearml import Task

task = Task.init(project_name="ebb checks", task_name="sdk run", auto_connect_frameworks=False, auto_resource_monitoring=False)
task.connect({"width": 3}, name="General")
task.get_logger().report_scalar("loss", "train", value=0.5, iteration=1)
task.flush(wait_for_uploads=True)
id = task.id
task.close()
print("RESULT " + json.dumps({"id": id, "status": Task.get_task(task_id=id).status}))
`

// runPython runs a script and reads the object after its word RESULT.
func runPython(t *testing.T, s *server, script string, into any) {
	t.Helper()
	p := start(t, s.environment(t), tool(t, "python3"), "-c", script)
	select {
	case <-p.done:
	case <-time.After(5 * time.Minute):
		t.Fatal("script does not end")
	}
	_, result, ok := strings.Cut(p.out.String(), "RESULT ")
	if p.err != nil || !ok {
		t.Fatalf("run script: %v, result %v", p.err, ok)
	}
	result, _, _ = strings.Cut(result, "\n")
	if err := json.Unmarshal([]byte(result), into); err != nil {
		t.Fatalf("parse result %q: %v", result, err)
	}
}

// TestSDKLists reads queues and workers with the upstream client.
func TestSDKLists(t *testing.T) {
	s := serve(t)
	queue, err := s.CreateQueue(fakeclearml.QueueSpec{Name: "gpu-a", Tags: []string{"t1"}})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := s.AddDemoTasks(fakeclearml.DemoTasks{Queue: "gpu-a", Count: 3, RunSeconds: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.NextTask(queue.ID, ""); err != nil {
		t.Fatal(err)
	}
	for _, r := range []fakeclearml.Report{
		{Worker: "ebb:a:c7i.large:i-1", Queues: []string{queue.ID}},
		{Worker: "ebb:a:c7i.large:i-2", Queues: []string{queue.ID}, Task: ids[0], Queue: queue.ID},
	} {
		if err := s.ReportStatus(r); err != nil {
			t.Fatal(err)
		}
	}
	var got struct{ Queues, Workers [][]any }
	runPython(t, s, listScript, &got)
	want := `{"Queues":[["default",0,""],["gpu-a",2,"t1"]],` +
		`"Workers":[["ebb:a:c7i.large:i-1","",["gpu-a"]],["ebb:a:c7i.large:i-2","` + ids[0] + `",["gpu-a"]]]}`
	if text, _ := json.Marshal(got); string(text) != want {
		t.Errorf("the SDK reads\n%s, want\n%s", text, want)
	}
	if refused := s.refusals(); len(refused) > 0 {
		t.Errorf("the fake refused calls of the SDK: %q", refused)
	}
}

// TestSDKTask lets the upstream SDK run a task of its own.
func TestSDKTask(t *testing.T) {
	s := serve(t)
	var got struct{ ID, Status string }
	runPython(t, s, taskScript, &got)
	if got.Status != "completed" || s.TaskStatus(got.ID) != fakeclearml.StatusCompleted {
		t.Errorf("task %s is %q for the SDK and %q for the fake, want completed", got.ID, got.Status, s.TaskStatus(got.ID))
	}
	task, err := s.Task(got.ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("calls: %v", s.CallCounts())
	general, _ := task.Hyperparams["General"].(map[string]any)
	if general["width"] == nil || task.LastIteration != 1 || task.Project == "" {
		t.Errorf("task has hyper-parameters %v, last iteration %d, project %q", task.Hyperparams, task.LastIteration, task.Project)
	}
	if refused := s.refusals(); len(refused) > 0 {
		t.Errorf("the fake refused calls of the SDK: %q", refused)
	}
}
