package fakeclearml_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

func fault(t *testing.T, s *fakeclearml.Server, f fakeclearml.Fault) {
	t.Helper()
	must[int](t)(s.AddFault(f))
}

func TestFaultAnswers(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	fault(t, s, fakeclearml.Fault{Endpoint: "queues.*", Skip: 1, Times: 2, Status: 500, Subcode: 102, Message: "database is temporarily unavailable"})
	fault(t, s, fakeclearml.Fault{Endpoint: "queues.get_all", Times: 1, Status: 502, RawBody: "<html>bad gateway</html>"})
	fault(t, s, fakeclearml.Fault{Endpoint: "workers.get_all", EmptyList: true})
	var got []string
	for range 5 {
		a := post(t, s, "/queues.get_all", map[string]any{})
		switch {
		case a.status == 500 && a.subcode == 102 && a.msg == "database is temporarily unavailable":
			got = append(got, "500/102")
		case a.status == 502 && string(a.raw) == "<html>bad gateway</html>":
			got = append(got, "502")
		case a.status == 200:
			got = append(got, "ok")
		}
	}
	if text := strings.Join(got, " "); text != "502 500/102 500/102 ok ok" {
		t.Errorf("answers %q", text)
	}
	if err := s.Register(fakeclearml.RegisterRequest{Worker: "w"}); err != nil {
		t.Fatal(err)
	}
	if a := post(t, s, "/workers.get_all", nil); a.status != 200 || len(a.data["workers"].([]any)) != 0 {
		t.Errorf("empty list: %s", a.raw)
	}
	s.ClearFaults()
	if a := post(t, s, "/workers.get_all", nil); len(a.data["workers"].([]any)) != 1 {
		t.Errorf("after clearing: %s", a.raw)
	}
}

// A write whose answer is lost has worked all the same.
func TestFaultAfterTheFact(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	fault(t, s, fakeclearml.Fault{Endpoint: "queues.create", Times: 1, Status: 504, RawBody: "timeout", Execute: true})
	if a := post(t, s, "/queues.create", map[string]any{"name": "made"}); a.status != 504 {
		t.Errorf("answer %d", a.status)
	}
	if _, ok := s.QueueByName("made"); !ok {
		t.Error("the queue was not created")
	}
	fault(t, s, fakeclearml.Fault{Endpoint: "queues.create", Times: 1, Status: 503})
	if a := post(t, s, "/queues.create", map[string]any{"name": "not made"}); a.status != 503 {
		t.Errorf("answer %d", a.status)
	}
	if _, ok := s.QueueByName("not made"); ok {
		t.Error("the queue was created")
	}
}

func TestFaultRace(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	id := bring(t, s, fakeclearml.StatusInProgress)
	fault(t, s, fakeclearml.Fault{Endpoint: "tasks.enqueue", Times: 1, Race: fakeclearml.StatusStopped})
	body := map[string]any{"task": id, "force": true, "queue_name": "default"}
	if a := post(t, s, "/tasks.enqueue", body); a.status != 400 || a.subcode != 121 || s.TaskStatus(id) != "stopped" {
		t.Errorf("lost race: %s, status %s", a.raw, s.TaskStatus(id))
	}
	if q, _ := s.QueueByName("default"); len(q.Entries) != 0 {
		t.Errorf("entries %v", q.Entries)
	}
	if a := post(t, s, "/tasks.enqueue", body); a.status != 200 {
		t.Errorf("afterwards: %s", a.raw)
	}
}

func TestFaultOfOneUser(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	fault(t, s, fakeclearml.Fault{Endpoint: "*", User: "alice", Status: 503})
	if a := post(t, s, "/queues.get_all", nil); a.status != 200 {
		t.Errorf("another user's call: %d", a.status)
	}
}

// overSocket serves s until the test ends and returns its address.
func overSocket(t *testing.T, s *fakeclearml.Server) (client *http.Client, base string) {
	t.Helper()
	ln := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- fake.Serve(ctx, ln, s.Handler()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://" + ln.Addr().String()
}

func serverInfo(client *http.Client, base string) (string, error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, base+"/server.info", strings.NewReader("{}"))
	if err != nil {
		return "", err
	}
	r.SetBasicAuth(accessKey, secretKey)
	res, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

func TestFaultyConnections(t *testing.T) {
	t.Parallel()
	for name, connect := range map[string]func(*testing.T, *fakeclearml.Server) (*http.Client, string){
		"socket": overSocket,
		"transport": func(_ *testing.T, s *fakeclearml.Server) (*http.Client, string) {
			return &http.Client{Transport: s.Transport()}, "http://clearml.invalid"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, clk := newServer(t)
			client, base := connect(t, s)
			fault(t, s, fakeclearml.Fault{Endpoint: "server.info", Times: 1, Drop: true})
			if body, err := serverInfo(client, base); err == nil {
				t.Errorf("dropped: got %q", body)
			}
			fault(t, s, fakeclearml.Fault{Endpoint: "server.info", Times: 1, Truncate: 20})
			if body, err := serverInfo(client, base); !errors.Is(err, io.ErrUnexpectedEOF) || len(body) != 20 {
				t.Errorf("truncated: %q, %v", body, err)
			}
			fault(t, s, fakeclearml.Fault{Endpoint: "server.info", Times: 1, DelayMS: 5000})
			late := make(chan string, 1)
			go func() {
				body, err := serverInfo(client, base)
				late <- fmt.Sprint(body, err)
			}()
			for clk.waiting() == 0 {
				time.Sleep(time.Millisecond)
			}
			select {
			case body := <-late:
				t.Errorf("came before the delay was over: %s", body)
			default:
			}
			clk.Advance(5 * time.Second)
			if body := <-late; !strings.Contains(body, `"api_version":"2.34"`) {
				t.Errorf("after the delay: %s", body)
			}
			if body, err := serverInfo(client, base); err != nil || !strings.Contains(body, `"api_version":"2.34"`) {
				t.Errorf("afterwards: %q, %v", body, err)
			}
		})
	}
}

func TestFaultErrors(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	for want, f := range map[string]fakeclearml.Fault{
		"is no pattern":     {Endpoint: "", Status: 500},
		"is no HTTP status": {Endpoint: "*", Status: 99},
		"does nothing":      {Endpoint: "*"},
	} {
		if _, err := s.AddFault(f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	client := &http.Client{Transport: s.Transport()}
	call := func(method, path, body string) (int, string) {
		r := must[*http.Request](t)(http.NewRequestWithContext(context.Background(), method, "http://fake"+path, strings.NewReader(body)))
		res := must[*http.Response](t)(client.Do(r))
		return res.StatusCode, string(must[[]byte](t)(io.ReadAll(res.Body)))
	}
	steps := []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/_fake/tasks", `{"queue": "gpu", "count": 2, "run_seconds": 1.5}`, 200, `"ids":[`},
		{"GET", "/_fake/state", "", 200, `"tasks_by_status":{"queued":2}`},
		{"POST", "/_fake/tasks", `{"queues": "gpu"}`, 400, `unknown field`},
		{"POST", "/_fake/tasks", `{}`, 400, `queue is empty`},
		{"POST", "/_fake/faults", `{"endpoint": "debug.ping", "status": 503}`, 200, `{"id":1}`},
		{"GET", "/debug.ping", "", 503, `"result_code":503`},
		{"DELETE", "/_fake/faults", "", 200, `{}`},
		{"GET", "/debug.ping", "", 200, `ClearML server`},
		{"GET", "/_fake/calls", "", 200, `{"calls":{"debug.ping":2}}`},
		{"GET", "/_fake/nothing", "", 404, ``},
	}
	for _, st := range steps {
		if status, body := call(st.method, st.path, st.body); status != st.status || !strings.Contains(body, st.want) {
			t.Errorf("%s %s %s: %d %s, want %d %s", st.method, st.path, st.body, status, body, st.status, st.want)
		}
	}
	q, _ := s.QueueByName("gpu")
	task := must[fakeclearml.Task](t)(s.Task(q.Entries[0].Task))
	item := task.Hyperparams["General"].(map[string]any)["run_seconds"].(map[string]any)
	if item["value"] != "1.5" || !strings.Contains(task.Script["diff"].(string), "sleep(1.5)") {
		t.Errorf("demo task has %v and script %v", task.Hyperparams, task.Script)
	}
}
