package fakeclearml_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

// story is a run through the model that writes down all it sees.
func story(t *testing.T, seed uint64, chatter bool) string {
	t.Helper()
	s, clk := newServer(t, func(c *fakeclearml.Config) { c.Seed = seed })
	var b strings.Builder
	for i := range 20 {
		if chatter { // calls over HTTP that write nothing
			post(t, s, "/auth.login", map[string]any{})
			post(t, s, "/queues.get_all", map[string]any{"scroll_id": nil, "size": 2})
		}
		id := newTask(t, s, fmt.Sprintf("task-%d", i))
		enqueued(t, s, id, fmt.Sprintf("queue-%d", i%3))
		worker := fmt.Sprintf("w:%d", i%4)
		if i%2 == 0 {
			q, _ := s.QueueByName(fmt.Sprintf("queue-%d", i%3))
			if e, ok, err := s.NextTask(q.ID, ""); err == nil && ok {
				must[fakeclearml.Change](t)(s.Started(fakeclearml.StatusRequest{Task: e.Task}))
				if err := s.ReportStatus(fakeclearml.Report{Worker: worker, Task: e.Task, Queues: []string{q.ID}, Tags: []string{"x"}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		clk.Advance(101 * time.Second)
		workers := must[[]fakeclearml.Worker](t)(s.Workers(fakeclearml.WorkerFilter{Tags: []string{"x"}}))
		fmt.Fprintln(&b, workers, s.Queues())
	}
	for _, id := range s.TaskIDs() {
		fmt.Fprintln(&b, must[fakeclearml.Task](t)(s.Task(id)))
	}
	return b.String()
}

func TestSameSeedSameStory(t *testing.T) {
	t.Parallel()
	first := story(t, 7, false)
	if first != story(t, 7, false) {
		t.Error("the same seed and the same calls gave different answers")
	}
	if first != story(t, 7, true) {
		t.Error("reading over HTTP changed the ids of the model")
	}
	if first == story(t, 8, false) {
		t.Error("another seed gave the same ids")
	}
}

// What a caller gets is a copy: changing it changes nothing in the server.
func TestAnswersAreCopies(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	id := must[string](t)(s.CreateTask(fakeclearml.TaskSpec{Name: "original", Tags: []string{"a"}, Runtime: map[string]any{"k": "v"}}))
	enqueued(t, s, id, "default")
	task := must[fakeclearml.Task](t)(s.Task(id))
	task.Tags[0], task.Runtime["k"] = "b", "w"
	q, _ := s.QueueByName("default")
	q.Entries[0].Task = "other"
	q.Metadata["x"] = fakeclearml.MetadataItem{}
	again := must[fakeclearml.Task](t)(s.Task(id))
	now, _ := s.QueueByName("default")
	if again.Tags[0] != "a" || again.Runtime["k"] != "v" || now.Entries[0].Task != id || len(now.Metadata) != 0 {
		t.Errorf("task %v %v, queue %v %v", again.Tags, again.Runtime, now.Entries, now.Metadata)
	}
}
