package bootstrap_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/bootstrap"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/messages"
)

func TestIdleDrain(t *testing.T) {
	t.Parallel()
	s := supervise(t, nil)
	s.order(t, 7, false)
	s.waitAck(t, 7, messages.AckDrained, "")
	s.waitOff(t)
	if started, ended := s.agents("started"), s.agents("ended"); started != 1 || ended != 1 {
		t.Errorf("%d agents started, %d were asked to end", started, ended)
	}
	wantLine(t, s.console.String(), "told to drain (epoch 7)")
	s.wantSecretsHidden(t, s.console.String()+s.file("var/log/ebb/runner.log"), full())
	if logins := s.clearml.CallCounts()["auth.login"]; logins != 1 {
		t.Errorf("%d logins", logins)
	}
}

func TestBusyDrain(t *testing.T) {
	t.Parallel()
	s := supervise(t, nil)
	within(t, "the agent polls", func() bool { return exists(s.run("fenced")) })
	must(t, os.WriteFile(s.run("task"), []byte("0ed38a95"), 0o600))
	s.order(t, 1, false)
	s.waitAck(t, 1, messages.AckBusy, "0ed38a95")
	s.stays(t, "the agent runs, fenced", func() bool { return s.on() && s.agents("ended") == 0 && exists(s.run("drain")) })
	must(t, os.Remove(s.run("task")))
	s.waitAck(t, 1, messages.AckDrained, "")
	s.waitOff(t)
}

// As long as the agent asks for a task, nobody knows whether it will have one.
func TestDrainWaitsForTheAgentsRequest(t *testing.T) {
	t.Parallel()
	s := supervise(t, nil)
	within(t, "the agent polls", func() bool { return exists(s.run("fenced")) })
	lock, err := os.Create(s.run("lock"))
	must(t, err)
	must(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	s.order(t, 1, false)
	s.waitAck(t, 1, messages.AckBusy, "")
	must(t, os.WriteFile(s.run("task"), []byte("0ed38a95"), 0o600))
	must(t, lock.Close())
	s.waitAck(t, 1, messages.AckBusy, "0ed38a95")
	must(t, os.Remove(s.run("task")))
	s.waitOff(t)
}

func TestDrainTakenBack(t *testing.T) {
	t.Parallel()
	s := supervise(t, nil, "EBB_GRACE_SECONDS=10")
	within(t, "the agent polls", func() bool { return exists(s.run("fenced")) })
	must(t, os.WriteFile(s.run("task"), []byte("0ed38a95"), 0o600))
	s.order(t, 1, false)
	s.waitAck(t, 1, messages.AckBusy, "0ed38a95")
	s.order(t, 2, true)
	s.waitAck(t, 2, messages.AckRunning, "")
	if exists(s.run("drain")) {
		t.Error("taken back, and the fence stands")
	}
	must(t, os.Remove(s.run("task")))
	for _, late := range []string{"2 1764000000 drain", "5 1764000000 stop", "5 drain"} {
		s.write(t, messages.DrainKey(instance), late)
		s.stays(t, "the agent runs after the order "+late, func() bool { return s.on() && s.agents("ended") == 0 && !exists(s.run("drain")) })
	}
	s.order(t, 12, false)
	s.waitAck(t, 12, messages.AckDrained, "")
	if s.agents("ended") != 1 {
		t.Error("drained, and the agent has not ended")
	}
	s.order(t, 13, true)
	s.waitAck(t, 13, messages.AckRunning, "")
	within(t, "another agent starts", func() bool { return s.agents("started") == 2 })
	s.stays(t, "the machine is on", s.on)
	s.order(t, 14, false)
	s.waitAck(t, 14, messages.AckDrained, "")
	s.waitOff(t)
}

// The last order that was heeded holds for the next runner too.
func TestOrdersSurviveARestart(t *testing.T) {
	t.Parallel()
	heeded := func(text string) func(*supervised, *bootstrap.Spec) {
		return func(s *supervised, _ *bootstrap.Spec) {
			must(t, os.MkdirAll(filepath.Dir(s.run("heeded")), 0o700))
			must(t, os.WriteFile(s.run("heeded"), []byte(text), 0o600))
			s.order(t, 5, false)
		}
	}
	t.Run("drain", func(t *testing.T) {
		t.Parallel()
		s := supervise(t, heeded("5 drain"))
		s.waitAck(t, 5, messages.AckDrained, "")
		s.waitOff(t)
		if s.agents("started") != 0 {
			t.Error("an agent was started under an order to drain")
		}
	})
	t.Run("taken back while nobody looked", func(t *testing.T) {
		t.Parallel()
		s := supervise(t, func(s *supervised, spec *bootstrap.Spec) {
			heeded("5 drain")(s, spec)
			s.order(t, 6, true)
		})
		s.waitAck(t, 6, messages.AckRunning, "")
		within(t, "the agent starts", func() bool { return s.agents("started") == 1 })
		s.stays(t, "the machine is on", s.on)
	})
	t.Run("run", func(t *testing.T) {
		t.Parallel()
		s := supervise(t, heeded("5 run"))
		within(t, "the agent starts", func() bool { return s.agents("started") == 1 })
		s.stays(t, "an order that was heeded is not heeded again", func() bool { return s.on() && !exists(s.run("drain")) })
	})
}

// Without its fence, an agent that has a child process is taken to be busy.
func TestUnfencedAgent(t *testing.T) {
	t.Parallel()
	s := supervise(t, func(s *supervised, _ *bootstrap.Spec) {
		s.set(t, "agent.unfenced", "")
		s.set(t, "agent.child", "")
	}, "EBB_UNFENCED_SECONDS=0", "EBB_CHILDLESS_SECONDS=1")
	within(t, "the agent starts", func() bool { return s.agents("started") == 1 })
	s.order(t, 1, false)
	s.waitAck(t, 1, messages.AckBusy, "")
	s.stays(t, "the agent runs", func() bool { return s.on() && s.agents("ended") == 0 })
	must(t, os.Remove(s.path("agent.child")))
	s.waitAck(t, 1, messages.AckDrained, "")
	s.waitOff(t)
}

// A server that fails for a while, and refuses a token, is asked again.
func TestDrainThroughFailures(t *testing.T) {
	t.Parallel()
	s := supervise(t, nil)
	s.stays(t, "the machine is on", s.on)
	for _, code := range []int{401, 503} {
		_, err := s.clearml.AddFault(fakeclearml.Fault{Endpoint: "queues.*", Status: code, Times: 3})
		must(t, err)
	}
	s.order(t, 1, false)
	s.waitAck(t, 1, messages.AckDrained, "")
	s.waitOff(t)
}

// A queue that was deleted and made again has another id.
func TestQueueMadeAgain(t *testing.T) {
	t.Parallel()
	s := supervise(t, nil)
	s.stays(t, "the machine is on", s.on)
	must(t, s.clearml.DeleteQueue(s.queue, true))
	queue, err := s.clearml.CreateQueue(fakeclearml.QueueSpec{Name: "später's (1)"})
	must(t, err)
	s.queue = queue.ID
	s.order(t, 1, false)
	s.waitAck(t, 1, messages.AckDrained, "")
	s.waitOff(t)
}

// A token does as well as keys, and what else is in the queue's metadata says nothing.
func TestOtherMetadata(t *testing.T) {
	t.Parallel()
	s := supervise(t, func(s *supervised, spec *bootstrap.Spec) {
		spec.AuthToken = login(t, *spec)
		spec.AccessKey, spec.SecretKey = "", ""
		drain := messages.Drain{Epoch: 9}.String()
		for _, key := range []string{"ebb.drain.i-0123456789abcdef", "ebb.drain.i-0123456789abcdef00", "x" + messages.DrainKey(instance), "ebb.ack." + string(instance)} {
			s.write(t, key, drain)
		}
		s.write(t, "x", `"`+messages.DrainKey(instance)+`": {"value": "`+drain+`"}`)
		s.write(t, `"`+messages.DrainKey(instance)+`": {"value": "`+drain+`"}`, drain)
		s.write(t, "long", strings.Repeat("{}", 20000))
	})
	s.stays(t, "the agent runs", func() bool { return s.on() && s.agents("ended") == 0 && !exists(s.run("drain")) })
	s.order(t, 1, false)
	s.waitAck(t, 1, messages.AckDrained, "")
	s.waitOff(t)
}

// login asks the server for a token.
func login(t *testing.T, spec bootstrap.Spec) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, spec.APIServer+"/auth.login", http.NoBody)
	must(t, err)
	request.SetBasicAuth(spec.AccessKey, spec.SecretKey)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	var answer struct{ Data struct{ Token string } }
	must(t, json.NewDecoder(response.Body).Decode(&answer))
	return answer.Data.Token
}

// Idle, and the autoscaler gives no sign of life: the machine ends. A task that ran
// meanwhile, even a short one, and a sign of life begin the time anew.
func TestDeadMan(t *testing.T) {
	t.Parallel()
	s := supervise(t, nil, "EBB_DEADMAN_SECONDS=8") // five more than are between two signs, for a machine that stands still
	sign := messages.SignKey("prod-1")
	for i := range 3 {
		s.write(t, sign, fmt.Sprintf("%d 1", i))
		if i == 1 {
			must(t, os.WriteFile(s.run("pulled"), []byte("now 0ed38a95"), 0o600))
		}
		s.lasts(t, 3)
	}
	s.waitOff(t)
	wantLine(t, s.console.String(), "idle for 8 s without a sign of life of autoscaler prod-1")
	if s.agents("ended") != 1 {
		t.Error("the agent was not asked to end")
	}
}

// A busy machine waits for its task, whoever is dead.
func TestNobodyEndsATask(t *testing.T) {
	t.Parallel()
	s := supervise(t, func(_ *supervised, spec *bootstrap.Spec) { spec.Unreachable = 5 * time.Second }, "EBB_DEADMAN_SECONDS=5")
	within(t, "the agent polls", func() bool { return exists(s.run("fenced")) })
	must(t, os.WriteFile(s.run("task"), []byte("0ed38a95"), 0o600))
	s.lasts(t, 7)
	s.refuse.Store(1 << 40)
	s.lasts(t, 7)
	if s.agents("ended") != 0 {
		t.Error("the agent was asked to end")
	}
	must(t, os.Remove(s.run("task")))
	s.waitOff(t)
	wantLine(t, s.console.String(), "no answer from the ClearML server for 5 s, and no task here")
}

// What the agent reaches is not unreachable.
func TestTheAgentsAnswersCount(t *testing.T) {
	t.Parallel()
	s := supervise(t, func(_ *supervised, spec *bootstrap.Spec) { spec.Unreachable = 8 * time.Second })
	within(t, "the agent polls", func() bool { return exists(s.run("fenced")) })
	s.refuse.Store(1 << 40)
	for range 3 {
		_ = os.Remove(s.run("answered"))
		must(t, os.WriteFile(s.run("answered"), nil, 0o600))
		s.lasts(t, 3)
	}
	s.waitOff(t)
}

func TestZeroDisables(t *testing.T) {
	t.Parallel()
	s := supervise(t, func(_ *supervised, spec *bootstrap.Spec) { spec.MaxIdle, spec.Unreachable = 0, 0 })
	settings := s.file("opt/ebb/settings")
	if !strings.HasSuffix(settings, "\nEBB_MAX_IDLE_SECONDS=0\nEBB_UNREACHABLE_SECONDS=0") {
		t.Errorf("the settings are\n%s", settings)
	}
	s.refuse.Store(1 << 40)
	s.lasts(t, 2)
}

// What EC2 announces is written once for each kind.
func TestNotices(t *testing.T) {
	t.Parallel()
	s := supervise(t, func(s *supervised, _ *bootstrap.Spec) { s.imds.more.Store(lifeCycle, "spot") })
	notice := func(kind messages.NoticeKind, when int64) {
		within(t, string(kind), func() bool {
			queue, err := s.clearml.Queue(s.queue)
			must(t, err)
			notice, ok := messages.ParseNotice(queue.Metadata[messages.NoticeKey(instance)].Value)
			return ok && notice.Kind == kind && (when == 0 && notice.When.IsZero() || notice.When.Unix() == when)
		})
	}
	s.imds.more.Store("/latest/meta-data/events/recommendations/rebalance", `{"noticeTime": "2026-11-23T15:00:00Z"}`)
	notice(messages.NoticeRebalance, 0)
	s.imds.more.Store("/latest/meta-data/spot/instance-action", `{"action": "terminate", "time": "2025-11-24T16:00:00Z"}`)
	notice(messages.NoticeInterruption, 1764000000)
	must(t, s.clearml.DeleteMetadata(s.queue, messages.NoticeKey(instance)))
	s.stays(t, "it is not written again", func() bool {
		queue, err := s.clearml.Queue(s.queue)
		must(t, err)
		return queue.Metadata[messages.NoticeKey(instance)].Value == ""
	})
}

func TestOnDemandInstancesAskForNoNotice(t *testing.T) {
	t.Parallel()
	s := supervise(t, nil)
	s.stays(t, "the machine is on", s.on)
	asked := s.imds.asked.Load()
	s.stays(t, "the metadata service is left alone", func() bool { return s.imds.asked.Load() == asked })
}
