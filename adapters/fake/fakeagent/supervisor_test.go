package fakeagent_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/messages"
)

const (
	drainKey  = "ebb.drain.i-1"
	ackKey    = "ebb.ack.i-1"
	noticeKey = "ebb.notice.i-1"
	signKey   = "ebb.lease.prod"
)

// machine is a supervised agent on the server's clock.
type machine struct {
	*fakeagent.Supervisor
	*server
	off   string // why it was powered off
	offAt time.Duration
	exits []fakeagent.Exit
}

func newMachine(t *testing.T, change func(*fakeagent.SupervisorConfig)) *machine {
	t.Helper()
	m := &machine{server: newServer()}
	agent := config(m.server)
	agent.OnExit = func(e fakeagent.Exit) { m.exits = append(m.exits, e) }
	cfg := fakeagent.SupervisorConfig{
		Agent: agent, Instance: "i-1", Autoscaler: "prod", MaxIdle: 10 * time.Minute, Unreachable: 2 * time.Hour,
		PowerOff: func(reason string) { m.off, m.offAt = reason, m.since() },
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if m.Supervisor, err = fakeagent.Supervise(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.PowerCut)
	return m
}

func (m *machine) since() time.Duration { return m.clock.Now().Sub(m.start) }

// order writes to the channel as the autoscaler does.
func (m *machine) order(epoch uint64, run bool) {
	m.meta[drainKey] = messages.Drain{Epoch: epoch, At: m.clock.Now(), Run: run}.String()
}

// ack is the answer without its time.
func (m *machine) ack(t *testing.T) string {
	t.Helper()
	text := m.meta[ackKey]
	if text == "" {
		return ""
	}
	ack, ok := messages.ParseAck(text)
	if age := m.clock.Now().Sub(ack.At); !ok || age < 0 {
		t.Errorf("answer %q is of another time or none at all", text)
	}
	return strings.TrimSpace(fmt.Sprint(ack.Epoch, " ", ack.State, " ", ack.Task))
}

// TestSupervisorTrace compares the calls of a drain with the golden trace: an
// idle agent, the channel beside its own polls.
func TestSupervisorTrace(t *testing.T) {
	t.Parallel()
	m := newMachine(t, func(c *fakeagent.SupervisorConfig) { c.Agent.Queues = []string{"fast-1"} })
	m.clock.Advance(7 * time.Second)
	m.order(3, false)
	m.clock.Advance(time.Minute)
	got := strings.Join(m.trace, "\n") + "\n"
	path := filepath.Join("testdata", "supervisor.txt")
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
}

// TestDrainOfAnIdleAgent ends the machine within 15 s, and says so first.
func TestDrainOfAnIdleAgent(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	m.clock.Advance(22 * time.Second)
	m.order(7, false)
	m.clock.Advance(5 * time.Second)
	if m.ack(t) != "7 drained" || m.Agent().Alive() || len(m.calls("workers.unregister")) != 1 || m.off != "" {
		t.Errorf("answer %q, agent alive %t, off %q", m.ack(t), m.Agent().Alive(), m.off)
	}
	m.add("id-fast-1", "t1", nil)
	m.clock.Advance(10 * time.Second)
	if m.offAt != 30*time.Second || !strings.Contains(m.off, "drained") || len(m.entries["id-fast-1"]) != 1 {
		t.Errorf("off after %s: %q, waiting %v", m.offAt, m.off, m.entries)
	}
	before := len(m.trace)
	m.clock.Advance(time.Hour)
	if len(m.trace) != before || len(m.exits) != 0 {
		t.Errorf("it went on: %v, ended %v", m.trace[before:], m.exits)
	}
}

// TestDrainOfABusyAgent finishes the task and takes no other.
func TestDrainOfABusyAgent(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	m.add("id-slow", "t1", map[string]any{"ebb_duration_s": 100})
	m.add("id-slow", "t2", map[string]any{"ebb_duration_s": 100})
	m.clock.Advance(30 * time.Second)
	m.order(1, false)
	m.clock.Advance(5 * time.Second)
	if m.ack(t) != "1 busy t1" || m.off != "" {
		t.Errorf("answer %q, off %q", m.ack(t), m.off)
	}
	m.clock.Advance(100 * time.Second)
	if m.ack(t) != "1 drained" || m.offAt > 120*time.Second || m.tasks["t1"]["status"] != "completed" || m.tasks["t2"]["status"] != "queued" {
		t.Errorf("answer %q, off after %s, tasks %v", m.ack(t), m.offAt, m.tasks)
	}
	if writes := len(m.calls("add_or_update_metadata")); writes != 2 {
		t.Errorf("%d writes, want one for each answer", writes)
	}
}

// TestDrainTakenBack: while the task runs, and while the grace runs.
func TestDrainTakenBack(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	m.add("id-slow", "t1", map[string]any{"ebb_duration_s": 60})
	m.clock.Advance(30 * time.Second)
	m.order(1, false)
	m.clock.Advance(10 * time.Second)
	m.order(2, true)
	m.clock.Advance(5 * time.Second)
	if m.ack(t) != "2 running" {
		t.Errorf("answer is %q", m.ack(t))
	}
	m.add("id-slow", "t2", map[string]any{"ebb_duration_s": 5})
	m.clock.Advance(60 * time.Second)
	if m.tasks["t2"]["status"] != "completed" {
		t.Fatalf("tasks are %v", m.tasks)
	}
	m.order(3, false)
	m.clock.Advance(5 * time.Second)
	if m.ack(t) != "3 drained" || m.Agent().Alive() {
		t.Fatalf("answer is %q", m.ack(t))
	}
	m.order(4, true)
	m.add("id-slow", "t3", map[string]any{"ebb_duration_s": 5})
	m.clock.Advance(20 * time.Second)
	if m.ack(t) != "4 running" || !m.Agent().Alive() || m.off != "" || m.tasks["t3"]["status"] != "completed" {
		t.Errorf("answer %q, agent alive %t, off %q, tasks %v", m.ack(t), m.Agent().Alive(), m.off, m.tasks)
	}
	if n := len(m.calls("workers.register")); n != 2 {
		t.Errorf("registered %d times", n)
	}
}

// TestOldOrdersAreIgnored, and what is no order at all.
func TestOldOrdersAreIgnored(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	m.order(5, true)
	m.clock.Advance(10 * time.Second)
	for _, old := range []string{"5 1 drain", "4 1 drain", "drain", "9 drain", "x 1 drain", "9 1 stop", ""} {
		m.meta[drainKey] = old
		m.clock.Advance(10 * time.Second)
	}
	if m.ack(t) != "5 running" || m.off != "" || !m.Agent().Alive() {
		t.Errorf("answer %q, off %q", m.ack(t), m.off)
	}
	m.order(6, false)
	m.clock.Advance(15 * time.Second)
	if m.off == "" {
		t.Error("a newer order was ignored")
	}
}

// TestAnswersThatFail are written later; the machine ends without them.
func TestAnswersThatFail(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	m.add("id-slow", "t1", map[string]any{"ebb_duration_s": 60})
	m.clock.Advance(10 * time.Second)
	m.fail["v2.30/queues.add_or_update_metadata"] = 503
	m.order(1, false)
	m.clock.Advance(20 * time.Second)
	if m.ack(t) != "" {
		t.Errorf("answer %q came through", m.ack(t))
	}
	delete(m.fail, "v2.30/queues.add_or_update_metadata")
	m.clock.Advance(5 * time.Second)
	if m.ack(t) != "1 busy t1" {
		t.Errorf("answer is %q", m.ack(t))
	}
	m.fail["v2.30/queues.add_or_update_metadata"] = 503
	m.clock.Advance(time.Minute)
	if m.ack(t) != "1 busy t1" || m.off == "" {
		t.Errorf("answer %q, off %q", m.ack(t), m.off)
	}
}

// TestFence: nobody knows what an agent has while it asks; then a task that it
// got counts from the moment of the answer.
func TestFence(t *testing.T) {
	t.Parallel()
	s := newServer()
	s.add("id-slow", "t1", map[string]any{"ebb_duration_s": 10})
	var agent *fakeagent.Agent
	var seen []string
	cfg := config(s)
	cfg.API = during{fakeagent.NewHTTP(fakeagent.HTTPConfig{Host: cfg.APIHost, AccessKey: "key", SecretKey: "secret", Client: cfg.Client}), func(endpoint string) {
		if agent == nil { // the first calls are made while it starts
			return
		}
		switch endpoint {
		case "v2.14/queues.get_next_task", "v2.5/tasks.started", "v2.5/tasks.completed":
			task, idle := agent.Fenced()
			seen = append(seen, fmt.Sprintf("%s %q %t", endpoint[strings.LastIndexByte(endpoint, '.')+1:], task, idle))
		}
	}}
	s.tags["id-fast-1"], s.tags["id-slow"] = []string{"force_workers:off"}, []string{"force_workers:off"}
	agent, _ = start(t, cfg)
	s.tags["id-slow"] = nil
	s.clock.Advance(time.Minute)
	want := []string{`get_next_task "" false`, `started "t1" false`, `started "t1" false`, `started "t1" false`, `started "t1" false`, `completed "t1" false`}
	if !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
	if task, idle := agent.Fenced(); task != "" || !idle || agent.Task() != "" {
		t.Errorf("afterwards task %q, idle %t", task, idle)
	}
	s.add("id-slow", "t2", nil)
	s.clock.Advance(time.Minute)
	if len(s.entries["id-slow"]) != 1 {
		t.Error("it took a task through the fence")
	}
}

// during lets something happen during each call, before the server is asked.
type during struct {
	api  fakeagent.API
	look func(endpoint string)
}

func (d during) Call(ctx context.Context, endpoint string, in fakeagent.Body, out any) error {
	d.look(endpoint)
	return d.api.Call(ctx, endpoint, in, out)
}

// TestStopWaitsForCalls: what arrives after the unregister would bring the worker
// back.
func TestStopWaitsForCalls(t *testing.T) {
	t.Parallel()
	s := newServer()
	var agent *fakeagent.Agent
	cfg := config(s)
	cfg.API = during{fakeagent.NewHTTP(fakeagent.HTTPConfig{Host: cfg.APIHost, AccessKey: "key", SecretKey: "secret", Client: cfg.Client}), func(endpoint string) {
		if endpoint == "workers.status_report" {
			agent.Stop()
		}
	}}
	agent, exits := start(t, cfg)
	s.clock.Advance(time.Minute)
	if len(*exits) != 1 || !strings.Contains(s.trace[len(s.trace)-1], "workers.unregister") || len(s.calls("unregister")) != 1 {
		t.Errorf("ended %v, last call %s", *exits, s.trace[len(s.trace)-1])
	}
}

// TestNotices are passed on once for each kind.
func TestNotices(t *testing.T) {
	t.Parallel()
	var notice fakeagent.Notice
	m := newMachine(t, func(c *fakeagent.SupervisorConfig) { c.Notice = func() fakeagent.Notice { return notice } })
	m.clock.Advance(20 * time.Second)
	if m.meta[noticeKey] != "" {
		t.Errorf("notice %q without any", m.meta[noticeKey])
	}
	read := func() messages.Notice {
		t.Helper()
		m.clock.Advance(5 * time.Second)
		got, ok := messages.ParseNotice(m.meta[noticeKey])
		if !ok {
			t.Errorf("notice %q cannot be read", m.meta[noticeKey])
		}
		return got
	}
	notice.Rebalance = m.clock.Now()
	if got := read(); got.Kind != messages.NoticeRebalance || !got.When.IsZero() {
		t.Errorf("notice is %+v", got)
	}
	m.clock.Advance(time.Minute)
	notice.Interruption = m.clock.Now().Add(2 * time.Minute)
	if got := read(); got.Kind != messages.NoticeInterruption || !got.When.Equal(notice.Interruption) || !got.At.Equal(m.clock.Now()) {
		t.Errorf("notice is %+v", got)
	}
	m.clock.Advance(time.Minute)
	if writes := len(m.calls("add_or_update_metadata")); writes != 2 {
		t.Errorf("%d writes, want one for each kind", writes)
	}
}

// TestDeadMan: an idle machine ends itself when nobody is there for long.
func TestDeadMan(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*fakeagent.SupervisorConfig)
		live   func(m *machine, minute int) // at each full minute
		off    time.Duration                // 0: never, within 150 minutes
		why    string
	}{
		"no sign ever":        {nil, nil, 30 * time.Minute, "sign of life"},
		"at least 15 minutes": {func(c *fakeagent.SupervisorConfig) { c.MaxIdle = time.Minute }, nil, 15 * time.Minute, "sign of life"},
		"switched off":        {func(c *fakeagent.SupervisorConfig) { c.MaxIdle = 0 }, nil, 0, ""},
		"the sign changes":    {nil, func(m *machine, minute int) { m.meta[signKey] = fmt.Sprint(minute / 10) }, 0, ""},
		"the sign stands still": {nil, func(m *machine, minute int) {
			m.meta[signKey] = fmt.Sprint(min(minute, 20))
		}, 50 * time.Minute, "sign of life"},
		"another's sign": {nil, func(m *machine, minute int) { m.meta[signKey+"2"] = fmt.Sprint(minute) }, 30 * time.Minute, "sign of life"},
		"it works": {nil, func(m *machine, minute int) {
			if minute%20 == 10 {
				m.add("id-slow", fmt.Sprint("t", minute), map[string]any{"ebb_duration_s": 1})
			}
		}, 0, ""},
		"it has a long task": {nil, func(m *machine, minute int) {
			if minute == 10 {
				m.add("id-slow", "t1", map[string]any{"ebb_duration_s": 5400})
			}
		}, 130 * time.Minute, "sign of life"},
		"ClearML is away for an hour": {nil, func(m *machine, minute int) {
			m.fail["v2.30/queues.get_all"] = 0
			if minute >= 10 && minute < 70 {
				m.fail["v2.30/queues.get_all"] = 503
			}
		}, 90 * time.Minute, "sign of life"},
		"ClearML is away": {nil, func(m *machine, minute int) {
			if minute >= 10 {
				m.fail["v2.30/queues.get_all"] = 503
			}
		}, 130 * time.Minute, "ClearML has not answered"},
		"ClearML is away, and nobody minds": {
			func(c *fakeagent.SupervisorConfig) { c.Unreachable = 0 },
			func(m *machine, _ int) { m.fail["v2.30/queues.get_all"] = 503 }, 0, "",
		},
		"the queue is gone": {nil, func(m *machine, _ int) { m.gone = true }, 30 * time.Minute, "sign of life"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, func(c *fakeagent.SupervisorConfig) {
				c.Agent.Timing.Poll, c.Agent.Timing.Look, c.Agent.Timing.Report = 20*time.Second, 15*time.Second, 5*time.Minute
				if test.change != nil {
					test.change(c)
				}
			})
			for minute := range 150 {
				if test.live != nil {
					test.live(m, minute)
				}
				m.clock.Advance(time.Minute)
			}
			late := m.offAt - test.off
			if (m.off != "") != (test.off > 0) || !strings.Contains(m.off, test.why) || (test.off > 0 && (late < 0 || late > time.Minute)) {
				t.Errorf("off after %s: %q", m.offAt, m.off)
			}
			if m.off != "" && (m.Agent().Alive() || len(m.calls("workers.unregister")) != 1 || m.meta[ackKey] != "") {
				t.Errorf("agent alive %t, answer %q", m.Agent().Alive(), m.meta[ackKey])
			}
		})
	}
}

// TestSupervisorFaults: a dead one never answers, a slow one late, and the agents
// do not care.
func TestSupervisorFaults(t *testing.T) {
	t.Parallel()
	for kind, answered := range map[fakeagent.FaultKind]time.Duration{
		fakeagent.NoFault: 5 * time.Second, fakeagent.SupervisorSlow: 30 * time.Second, fakeagent.SupervisorDead: 0,
	} {
		m := newMachine(t, func(c *fakeagent.SupervisorConfig) { c.Agent.Fault = fakeagent.Fault{Kind: kind} })
		m.add("id-slow", "t1", map[string]any{"ebb_duration_s": 120})
		m.clock.Advance(time.Second)
		m.order(1, false)
		ordered, waited := m.since(), time.Duration(0)
		for m.ack(t) == "" && m.since() < time.Minute {
			m.clock.Advance(time.Second)
			waited = m.since() - ordered
		}
		dead := kind == fakeagent.SupervisorDead
		if (m.ack(t) == "") != dead || (!dead && waited > answered) || m.Answers() == dead {
			t.Errorf("%s: answer %q after %s", kind, m.ack(t), waited)
		}
		m.clock.Advance(time.Hour)
		if m.tasks["t1"]["status"] != "completed" || (m.off == "") != dead || (dead && len(m.calls("v2.30")) != 0) {
			t.Errorf("%s: task is %v, off %q", kind, m.tasks["t1"], m.off)
		}
	}
}

// TestSupervisedAgentThatEnds by itself is its owner's affair.
func TestSupervisedAgentThatEnds(t *testing.T) {
	t.Parallel()
	m := newMachine(t, func(c *fakeagent.SupervisorConfig) {
		c.Agent.Fault = fakeagent.Fault{Kind: fakeagent.DiesMidTask, After: 10 * time.Second}
	})
	m.add("id-slow", "t1", map[string]any{"ebb_duration_s": 120})
	m.clock.Advance(time.Minute)
	if len(m.exits) != 1 || !m.exits[0].Crashed || m.off != "" {
		t.Fatalf("ended %+v, off %q", m.exits, m.off)
	}
	// Where nobody powers the machine off, a drain does.
	m.order(1, false)
	m.clock.Advance(15 * time.Second)
	if m.ack(t) != "1 drained" || m.off == "" {
		t.Errorf("answer %q, off %q", m.ack(t), m.off)
	}
}

// TestMachineThatStops: SIGTERM for the agent, silence from the supervisor.
func TestMachineThatStops(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*machine){"stop": (*machine).Stop, "power cut": (*machine).PowerCut} {
		m := newMachine(t, nil)
		m.clock.Advance(time.Minute)
		end(m)
		before := len(m.trace)
		m.order(1, false)
		m.clock.Advance(time.Hour)
		if m.ack(t) != "" || m.off != "" || len(m.trace) != before || m.Answers() || len(m.calls("unregister")) != len(m.exits) {
			t.Errorf("%s: answer %q, off %q, calls %v", name, m.ack(t), m.off, m.trace[before:])
		}
	}
}

func TestSuperviseChecksConfig(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fakeagent.SupervisorConfig){
		"instance":  func(c *fakeagent.SupervisorConfig) { c.Instance = "" },
		"power off": func(c *fakeagent.SupervisorConfig) { c.PowerOff = nil },
		"worker":    func(c *fakeagent.SupervisorConfig) { c.Agent.WorkerID = "" },
		"host":      func(c *fakeagent.SupervisorConfig) { c.Agent.APIHost = "" },
	} {
		cfg := fakeagent.SupervisorConfig{Agent: config(newServer()), Instance: "i-1", PowerOff: func(string) {}}
		change(&cfg)
		if _, err := fakeagent.Supervise(t.Context(), cfg); err == nil {
			t.Errorf("started without %s", name)
		}
	}
}

// TestLostAnswer: what the server did and the agent did not hear of is not known
// to the agent, though the API has filled the answer in.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	s := newServer()
	s.add("id-slow", "t1", nil)
	s.add("id-slow", "t2", map[string]any{"ebb_duration_s": 1})
	cfg := config(s)
	lost := 0
	cfg.API = after{fakeagent.NewHTTP(fakeagent.HTTPConfig{Host: cfg.APIHost, AccessKey: "key", SecretKey: "secret", Client: cfg.Client}), func(out any) error {
		next, isPull := out.(*fakeagent.Next)
		if isPull && next.Entry.Task == "t1" {
			lost++
			return io.ErrUnexpectedEOF
		}
		return nil
	}}
	a, _ := start(t, cfg)
	if task, idle := a.Fenced(); task != "" || !idle || a.Taken() != 0 {
		t.Errorf("it has %q of %d", task, a.Taken())
	}
	a.Hold(false)
	s.clock.Advance(time.Minute)
	if lost != 1 || s.tasks["t1"]["status"] != "queued" || s.tasks["t2"]["status"] != "completed" || a.Taken() != 1 {
		t.Errorf("lost %d, tasks %v", lost, s.tasks)
	}
}

// after lets the network lose answers.
type after struct {
	api  fakeagent.API
	lose func(out any) error
}

func (a after) Call(ctx context.Context, endpoint string, in fakeagent.Body, out any) error {
	if err := a.api.Call(ctx, endpoint, in, out); err != nil {
		return err
	}
	return a.lose(out)
}
