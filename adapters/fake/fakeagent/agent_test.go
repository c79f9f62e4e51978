package fakeagent_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
)

var update = flag.Bool("update", false, "write the golden trace anew")

// TestTrace compares a whole life with the golden trace, which has the calls and
// bodies of the recorded agent 3.0.3: start, idle polls, a task, a signal.
func TestTrace(t *testing.T) {
	t.Parallel()
	s := newServer()
	cfg := config(s)
	cfg.Queues = []string{"fast-1"}
	a, exits := start(t, cfg)
	s.clock.Advance(12 * time.Second)
	s.add("id-fast-1", "t1", map[string]any{"ebb_duration_s": 62, "kept": "yes"})
	s.clock.Advance(75 * time.Second)
	a.Stop()
	got := strings.Join(s.trace, "\n") + "\n"
	path := filepath.Join("testdata", "trace.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("trace is\n%s\nwant\n%s", got, want)
	}
	if len(*exits) != 1 || (*exits)[0].Code != 254 || (*exits)[0].Crashed || a.Alive() {
		t.Errorf("it ended as %+v", *exits)
	}
	if s.tasks["t1"]["runtime"].(map[string]any)["kept"] != "yes" {
		t.Error("the agent lost a runtime key of the task")
	}
	before := len(s.trace)
	s.clock.Advance(time.Hour)
	if len(s.trace) != before {
		t.Errorf("it went on after its end: %v", s.trace[before:])
	}
}

// TestCallsAreRecordedOnes holds every call of a life, but the good end of a task
// that nobody recorded, against the recording: same path, same parameters.
func TestCallsAreRecordedOnes(t *testing.T) {
	t.Parallel()
	recorded := map[string]bool{}
	text, err := os.ReadFile(filepath.Join("..", "fakeclearml", "testdata", "agent.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var call struct{ P, B string }
		if err := json.Unmarshal([]byte(line), &call); err != nil {
			t.Fatal(err)
		}
		recorded[strings.Trim(call.P, "/")+" "+keys(t, call.B)] = true
	}
	s := newServer()
	s.add("id-slow", "t1", map[string]any{"ebb_duration_s": 30})
	s.add("id-slow", "t2", map[string]any{"ebb_duration_s": 600})
	a, _ := start(t, config(s))
	s.clock.Advance(2 * time.Minute)
	a.Stop()
	for _, line := range s.trace {
		at := append(strings.SplitN(strings.TrimSpace(line), " ", 3), "")
		call := at[1] + " " + keys(t, at[2])
		if !recorded[call] && at[1] != "v2.5/tasks.completed" {
			t.Errorf("no recorded agent makes the call %s", call)
		}
	}
}

// keys are the names of the parameters in a body, sorted.
func keys(t *testing.T, text string) string {
	t.Helper()
	var in map[string]any
	if text != "" {
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			t.Fatalf("body %q: %v", text, err)
		}
	}
	return fmt.Sprint(slices.Sorted(maps.Keys(in)))
}

// TestPriority takes from the first queue as long as it has something, one task
// at a time, without a pause in between.
func TestPriority(t *testing.T) {
	t.Parallel()
	s := newServer()
	ten := map[string]any{"ebb_duration_s": "10"} // text, as some servers keep it
	s.add("id-slow", "s1", ten)
	s.add("id-fast-1", "f1", ten)
	s.add("id-fast-10", "other", ten)
	start(t, config(s))
	s.clock.Advance(5 * time.Second)
	s.add("id-fast-1", "f2", ten)
	s.clock.Advance(2 * time.Minute)
	var order []string
	for _, line := range s.calls("tasks.completed") {
		at, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		_, task, _ := strings.Cut(rest, `"task":"`)
		order = append(order, at+" "+task[:2])
	}
	if got := fmt.Sprint(order); got != "[11.60 f1 23.20 f2 34.80 s1]" {
		t.Errorf("tasks were completed %s", got)
	}
	if len(s.entries["id-fast-10"]) != 1 {
		t.Error("it took from a queue whose name only begins like its own")
	}
}

// TestReportsAndPings come as often as the real agent's.
func TestReportsAndPings(t *testing.T) {
	t.Parallel()
	s := newServer()
	s.add("id-slow", "t1", map[string]any{"ebb_duration_s": 600})
	a, _ := start(t, config(s))
	s.clock.Advance(400 * time.Second)
	reports, pings, checks := len(s.calls("status_report")), len(s.calls("tasks.ping")), len(s.calls("v2.14/tasks.get_all"))
	if reports != 1+14 || pings != 7 || checks != 81 {
		t.Errorf("%d reports, %d pings, %d checks in 400 s", reports, pings, checks)
	}
	if a.Task() != "t1" {
		t.Errorf("it works on %q", a.Task())
	}
	s.tasks["t1"]["status_message"] = "stopping" // an operator's abort
	s.clock.Advance(5 * time.Second)
	if a.Task() != "" || s.tasks["t1"]["status"] != "stopped" {
		t.Errorf("after an abort it works on %q, which is %v", a.Task(), s.tasks["t1"]["status"])
	}
}

// TestDrains stops taking tasks by tag and by Hold, and resumes.
func TestDrains(t *testing.T) {
	t.Parallel()
	s := newServer()
	a, _ := start(t, config(s))
	s.tags["id-fast-1"] = []string{"force_workers:off"}
	s.add("id-fast-1", "t1", map[string]any{"ebb_duration_s": 1})
	s.clock.Advance(time.Minute)
	if a.Task() != "" {
		t.Error("it took from a queue that is switched off")
	}
	s.tags["id-fast-1"] = nil
	a.Hold(true)
	s.clock.Advance(time.Minute)
	if a.Task() != "" {
		t.Error("it took a task while held")
	}
	a.Hold(false)
	s.clock.Advance(5 * time.Second)
	if a.Task() != "t1" {
		t.Errorf("it works on %q", a.Task())
	}
}

// TestStopWithTask stops the task, as the recorded agent does.
func TestStopWithTask(t *testing.T) {
	t.Parallel()
	s := newServer()
	s.add("id-slow", "t1", map[string]any{"ebb_duration_s": 600})
	a, exits := start(t, config(s))
	s.clock.Advance(30 * time.Second)
	a.Stop()
	a.Stop()
	if s.tasks["t1"]["status"] != "stopped" || len(s.calls("unregister")) != 2 || len(*exits) != 1 {
		t.Errorf("task is %v, unregistered %v, ended %v", s.tasks["t1"]["status"], s.calls("unregister"), *exits)
	}
}

// TestFaults leaves behind what each way of dying leaves behind.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault   fakeagent.Fault
		status  string
		crashed bool
	}{
		"none":            {fakeagent.Fault{}, "completed", false},
		"never up":        {fakeagent.Fault{Kind: fakeagent.NeverUp}, "queued", false},
		"dies idle":       {fakeagent.Fault{Kind: fakeagent.DiesIdle, After: 10 * time.Second}, "completed", true},
		"dies in a task":  {fakeagent.Fault{Kind: fakeagent.DiesMidTask, After: 10 * time.Second}, "in_progress", true},
		"dies before run": {fakeagent.Fault{Kind: fakeagent.DiesBeforeRun}, "queued", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer()
			s.add("id-slow", "t1", map[string]any{"ebb_duration_s": 20})
			cfg := config(s)
			cfg.Fault = c.fault
			a, exits := start(t, cfg)
			s.clock.Advance(10 * time.Minute)
			if s.tasks["t1"]["status"] != c.status {
				t.Errorf("task is %v, want %s", s.tasks["t1"]["status"], c.status)
			}
			if crashed := len(*exits) == 1 && (*exits)[0].Crashed; crashed != c.crashed || a.Alive() == c.crashed {
				t.Errorf("ended %+v, alive %t", *exits, a.Alive())
			}
			if len(s.calls("unregister")) != 0 {
				t.Error("it unregistered")
			}
			if c.fault.Kind == fakeagent.NeverUp && len(s.trace) != 0 {
				t.Errorf("it called %v", s.trace)
			}
			if c.fault.Kind == fakeagent.DiesBeforeRun && (len(s.entries["id-slow"]) != 0 || len(s.calls("tasks.started")) != 0) {
				t.Error("the task was not left between pop and start")
			}
		})
	}
}

// TestPowerCut says nothing to anybody.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	s := newServer()
	s.add("id-slow", "t1", map[string]any{"ebb_duration_s": 600})
	a, exits := start(t, config(s))
	s.clock.Advance(30 * time.Second)
	before := len(s.trace)
	a.PowerCut()
	s.clock.Advance(time.Hour)
	if len(s.trace) != before || len(*exits) != 0 || s.tasks["t1"]["status"] != "in_progress" {
		t.Errorf("%d calls, ended %v, task %v", len(s.trace)-before, *exits, s.tasks["t1"]["status"])
	}
}

// TestServerTroubles: it waits for a server that is away, logs in anew when its
// token runs out, and gives up when it is refused or has nothing to serve.
func TestServerTroubles(t *testing.T) {
	t.Parallel()
	t.Run("away", func(t *testing.T) {
		t.Parallel()
		s := newServer()
		s.fail["auth.login"] = 503
		_, exits := start(t, config(s))
		s.clock.Advance(time.Minute)
		delete(s.fail, "auth.login")
		s.clock.Advance(5 * time.Second)
		if len(s.calls("workers.register")) != 1 || len(*exits) != 0 {
			t.Errorf("registered %v, ended %v", s.calls("workers.register"), *exits)
		}
	})
	t.Run("token ran out", func(t *testing.T) {
		t.Parallel()
		s := newServer()
		start(t, config(s))
		s.expired = true
		s.add("id-slow", "t1", map[string]any{"ebb_duration_s": 1})
		s.clock.Advance(30 * time.Second)
		if s.tasks["t1"]["status"] != "completed" {
			t.Errorf("task is %v", s.tasks["t1"]["status"])
		}
	})
	t.Run("polls fail for a while", func(t *testing.T) {
		t.Parallel()
		s := newServer()
		start(t, config(s))
		s.fail["v2.14/queues.get_next_task"] = 500
		s.add("id-slow", "t1", map[string]any{"ebb_duration_s": 1})
		s.clock.Advance(30 * time.Second)
		delete(s.fail, "v2.14/queues.get_next_task")
		s.clock.Advance(10 * time.Second)
		if s.tasks["t1"]["status"] != "completed" {
			t.Errorf("task is %v", s.tasks["t1"]["status"])
		}
	})
	t.Run("its first queue was deleted", func(t *testing.T) {
		t.Parallel()
		s := newServer()
		start(t, config(s))
		s.fail["v2.14/queues.get_next_task id-fast-1"] = 400
		s.add("id-slow", "t1", map[string]any{"ebb_duration_s": 1})
		s.clock.Advance(30 * time.Second)
		if s.tasks["t1"]["status"] != "completed" {
			t.Errorf("task is %v", s.tasks["t1"]["status"])
		}
	})
	t.Run("start refused", func(t *testing.T) {
		t.Parallel()
		s := newServer()
		s.fail["v2.5/tasks.started"] = 400
		s.add("id-slow", "t1", map[string]any{})
		a, _ := start(t, config(s))
		s.clock.Advance(30 * time.Second)
		if a.Task() != "" || !a.Alive() {
			t.Errorf("it works on %q, alive %t", a.Task(), a.Alive())
		}
	})
	for name, change := range map[string]func(*server, *fakeagent.Config){
		"refused":       func(s *server, _ *fakeagent.Config) { s.fail["auth.login"] = 401 },
		"unknown queue": func(_ *server, cfg *fakeagent.Config) { cfg.Queues = []string{"fast"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer()
			cfg := config(s)
			change(s, &cfg)
			_, exits := start(t, cfg)
			if len(*exits) != 1 || (*exits)[0].Code != 1 {
				t.Errorf("ended %+v", *exits)
			}
		})
	}
}

func TestStartChecksConfig(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fakeagent.Config){
		"host":   func(c *fakeagent.Config) { c.APIHost = "" },
		"worker": func(c *fakeagent.Config) { c.WorkerID = "" },
		"queues": func(c *fakeagent.Config) { c.Queues = nil },
		"secret": func(c *fakeagent.Config) { c.SecretKey = "" },
		"clock":  func(c *fakeagent.Config) { c.Clock = nil },
	} {
		cfg := config(newServer())
		change(&cfg)
		if _, err := fakeagent.Start(t.Context(), cfg); err == nil {
			t.Errorf("started without %s", name)
		}
	}
}
