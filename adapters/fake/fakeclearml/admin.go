package fakeclearml

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
)

// DemoTasks asks for tasks that do nothing but take time.
type DemoTasks struct {
	// Queue is the name of the queue; it is created if need be.
	Queue string `json:"queue"`
	// Count of tasks; 0 means 1.
	Count int `json:"count"`
	// Name of the tasks, to which a number is added; empty means "demo".
	Name string `json:"name"`
	// RunSeconds is how long a task takes. Simulated agents read it from runtime
	// property ebb_duration_s, people from hyper-parameter General/run_seconds, and
	// the task's script really sleeps that long.
	RunSeconds float64 `json:"run_seconds"`
}

// AddDemoTasks creates the tasks, enqueues them and returns their ids.
func (s *Server) AddDemoTasks(d DemoTasks) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchdog()
	if d.Queue == "" {
		return nil, fmt.Errorf("add demo tasks: queue is empty; name one")
	}
	if d.Name == "" {
		d.Name = "demo"
	}
	seconds := strconv.FormatFloat(d.RunSeconds, 'f', -1, 64)
	var ids []string
	for i := range max(1, d.Count) {
		t, err := s.createTask(s.cfg.User.ID, map[string]any{
			"name": fmt.Sprintf("%s-%d", d.Name, i), "type": "training", "runtime": map[string]any{"ebb_duration_s": d.RunSeconds},
			"script": map[string]any{"entry_point": "demo.py", "working_dir": ".", "diff": "import time\ntime.sleep(" + seconds + ")\n"},
			"hyperparams": map[string]any{"General": map[string]any{"run_seconds": map[string]any{
				"section": "General", "name": "run_seconds", "value": seconds, "type": "float",
			}}},
		})
		if err != nil {
			return ids, fmt.Errorf("create demo task: %w", err)
		}
		_, err = s.enqueue(EnqueueRequest{StatusRequest: StatusRequest{User: t.User, Task: t.ID}, QueueName: d.Queue})
		if err != nil {
			return ids, fmt.Errorf("enqueue demo task: %w", err)
		}
		ids = append(ids, t.ID)
	}
	return ids, nil
}

// CallCounts is how often each endpoint was asked for over HTTP, also in vain.
func (s *Server) CallCounts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

// state is what /_fake/state answers.
func (s *Server) state() (map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchdog()
	queues := []any{}
	for _, id := range s.queueOrder {
		queues = append(queues, s.queueDoc(s.queues[id]))
	}
	list, err := s.selectWorkers(WorkerFilter{})
	if err != nil {
		return nil, err
	}
	workers := []any{}
	for _, w := range list {
		workers = append(workers, s.workerDoc(w))
	}
	byStatus := map[string]int{}
	tasks := []any{}
	for _, id := range s.taskOrder {
		t := s.tasks[id]
		byStatus[string(t.Status)]++
		tasks = append(tasks, map[string]any{
			"id": t.ID, "name": t.Name, "status": string(t.Status), "status_reason": t.StatusReason,
			"status_message": t.StatusMessage, "queue": t.Queue, "last_worker": t.LastWorker, "last_update": t.LastUpdate,
		})
	}
	return map[string]any{
		"now": s.now(), "queues": queues, "workers": workers, "tasks": tasks, "tasks_by_status": byStatus,
	}, nil
}

func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /_fake/tasks", func(w http.ResponseWriter, r *http.Request) {
		var d DemoTasks
		if !readAdmin(w, r, &d) {
			return
		}
		ids, err := s.AddDemoTasks(d)
		adminAnswer(w, map[string]any{"ids": ids}, err)
	})
	mux.HandleFunc("POST /_fake/faults", func(w http.ResponseWriter, r *http.Request) {
		var f Fault
		if !readAdmin(w, r, &f) {
			return
		}
		id, err := s.AddFault(f)
		adminAnswer(w, map[string]any{"id": id}, err)
	})
	mux.HandleFunc("DELETE /_fake/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		adminAnswer(w, map[string]any{}, nil)
	})
	mux.HandleFunc("GET /_fake/state", func(w http.ResponseWriter, _ *http.Request) {
		state, err := s.state()
		adminAnswer(w, state, err)
	})
	mux.HandleFunc("GET /_fake/calls", func(w http.ResponseWriter, _ *http.Request) {
		adminAnswer(w, map[string]any{"calls": s.CallCounts()}, nil)
	})
	return mux
}

func readAdmin(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(io.LimitReader(r.Body, maxRequestBodyBytes))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		adminAnswer(w, nil, fmt.Errorf("read body of %s: %w", r.URL.Path, err))
		return false
	}
	return true
}

func adminAnswer(w http.ResponseWriter, data map[string]any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		data = map[string]any{"error": err.Error()}
	}
	if raw, err := json.Marshal(render(data)); err == nil {
		_, _ = w.Write(append(raw, '\n'))
	}
}
