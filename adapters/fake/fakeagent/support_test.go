package fakeagent_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2/virtual"
)

// server is a ClearML server that knows just what an agent asks for. It is its
// own transport, so that everything happens on the goroutine of the test.
type server struct {
	clock   *virtual.Clock
	start   time.Time
	trace   []string // seconds, path and body of each call
	entries map[string][]string
	tags    map[string][]string
	meta    map[string]string // metadata of the queue fast-1
	tasks   map[string]map[string]any
	fail    map[string]int // status by path, or by path and queue, for ever
	headers http.Header    // of the last call
	logins  int
	gone    bool // the queues are not there for the supervisor
	expired bool // the next call that is not a login answers 401
}

func newServer() *server {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return &server{
		clock: virtual.New(start), start: start, entries: map[string][]string{}, tags: map[string][]string{},
		tasks: map[string]map[string]any{}, fail: map[string]int{}, meta: map[string]string{},
	}
}

// add puts a task into a queue.
func (s *server) add(queue, task string, runtime map[string]any) {
	s.entries[queue] = append(s.entries[queue], task)
	s.tasks[task] = map[string]any{"id": task, "status": "queued", "status_message": "", "runtime": runtime}
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.headers = r.Header
	path := strings.TrimPrefix(r.URL.Path, "/")
	s.trace = append(s.trace, fmt.Sprintf("%7.2f %s %s", s.clock.Now().Sub(s.start).Seconds(), path, text))
	status, data := s.answer(path, text, r.Header)
	body, err := json.Marshal(map[string]any{"meta": map[string]any{"result_code": status, "result_msg": http.StatusText(status)}, "data": data})
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, err
}

func (s *server) answer(path string, text []byte, header http.Header) (int, any) {
	var in struct {
		Queue, Task, Name, Worker string
		ID                        []string
		Runtime                   map[string]any
		Metadata                  []struct{ Key, Type, Value string }
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &in); err != nil {
			return http.StatusBadRequest, nil
		}
	}
	if status := cmp.Or(s.fail[path], s.fail[path+" "+in.Queue]); status != 0 {
		return status, nil
	}
	if path == "auth.login" {
		s.logins++
		return http.StatusOK, map[string]any{"token": fmt.Sprintf("jwt-%d", s.logins)}
	}
	if s.expired || !strings.HasPrefix(header.Get("Authorization"), "Bearer jwt-") {
		s.expired = false
		return http.StatusUnauthorized, nil
	}
	task := s.tasks[in.Task]
	switch path {
	case "v2.30/queues.get_all":
		return http.StatusOK, map[string]any{"queues": s.described(in.Name, in.ID)}
	case "v2.30/queues.add_or_update_metadata":
		for _, item := range in.Metadata {
			s.meta[item.Key] = item.Value
		}
		return http.StatusOK, map[string]any{"updated": len(in.Metadata)}
	case "v2.5/queues.get_all":
		return http.StatusOK, map[string]any{"queues": s.queues(in.Name, in.ID)}
	case "workers.get_runtime_properties":
		return http.StatusNotFound, nil
	case "v2.14/queues.get_next_task":
		list := s.entries[in.Queue]
		if len(list) == 0 {
			return http.StatusOK, map[string]any{}
		}
		s.entries[in.Queue] = list[1:]
		return http.StatusOK, map[string]any{"entry": map[string]any{"task": list[0]}}
	case "v2.5/tasks.started", "v2.5/tasks.completed", "v2.5/tasks.stopped":
		task["status"] = map[string]string{"v2.5/tasks.started": "in_progress", "v2.5/tasks.completed": "completed", "v2.5/tasks.stopped": "stopped"}[path]
	case "tasks.edit":
		maps.Copy(task["runtime"].(map[string]any), in.Runtime)
	case "v2.14/tasks.get_all", "v2.15/tasks.get_all":
		return http.StatusOK, map[string]any{"tasks": []any{s.tasks[in.ID[0]]}}
	case "v2.5/tasks.get_by_id":
		return http.StatusOK, map[string]any{"task": task}
	}
	return http.StatusOK, map[string]any{}
}

// described are queues with their metadata.
func (s *server) described(name string, ids []string) []map[string]any {
	if s.gone {
		return nil
	}
	list := s.queues(strings.Trim(name, "^$"), ids)
	for _, queue := range list {
		meta := map[string]any{}
		if queue["name"] == "fast-1" {
			for key, value := range s.meta {
				meta[key] = map[string]any{"key": key, "type": "str", "value": value}
			}
		}
		queue["metadata"] = meta
	}
	return list
}

func (s *server) queues(name string, ids []string) []map[string]any {
	var list []map[string]any
	for _, q := range []string{"fast-1", "fast-10", "slow"} {
		wanted := name != "" && strings.Contains(q, strings.ReplaceAll(name, `\`, ""))
		for _, id := range ids {
			wanted = wanted || id == "id-"+q
		}
		if wanted {
			list = append(list, map[string]any{"id": "id-" + q, "name": q, "tags": s.tags["id-"+q]})
		}
	}
	return list
}

// calls are the traced calls whose path contains part, without the path.
func (s *server) calls(part string) []string {
	var list []string
	for _, line := range s.trace {
		if strings.Contains(line, part) {
			list = append(list, line)
		}
	}
	return list
}

func config(s *server) fakeagent.Config {
	return fakeagent.Config{
		APIHost: "http://clearml:8008", AccessKey: "key", SecretKey: "secret", WorkerID: "p:r:t:i-1", Queues: []string{"fast-1", "slow"},
		Clock: s.clock, Client: &http.Client{Transport: s}, Go: func(f func()) { f() },
	}
}

// start starts an agent and collects how it ended.
func start(t *testing.T, cfg fakeagent.Config) (*fakeagent.Agent, *[]fakeagent.Exit) {
	t.Helper()
	exits := &[]fakeagent.Exit{}
	cfg.OnExit = func(e fakeagent.Exit) { *exits = append(*exits, e) }
	a, err := fakeagent.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.PowerCut)
	return a, exits
}
