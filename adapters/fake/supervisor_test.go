package fake_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/messages"
)

// bothWays are worlds whose agents call their server over HTTP and in process.
func bothWays() map[string]func(testing.TB, func(*fake.WorldConfig)) *lab {
	return map[string]func(testing.TB, func(*fake.WorldConfig)) *lab{"http": newLab, "in process": newInProcessLab}
}

func newInProcessLab(tb testing.TB, change func(*fake.WorldConfig)) *lab {
	tb.Helper()
	var l *lab
	l = newLab(tb, func(c *fake.WorldConfig) {
		c.API = func(fakeec2.Instance) fakeagent.API { return fakeagent.NewInProcess(l.ml) }
		c.Client = nil
		if change != nil {
			change(c)
		}
	})
	return l
}

// supervised starts instances of the autoscaler prod and waits for their agents.
func (l *lab) supervised(tb testing.TB, n int, change func(*fakeec2.RunInstancesInput)) []string {
	tb.Helper()
	head := "EBB_WORKER_NAME='p:gpu:t'\nEBB_QUEUES='default'\nCLEARML_API_HOST='http://clearml:8008'\nCLEARML_API_ACCESS_KEY='AK'\n" +
		"CLEARML_API_SECRET_KEY='SK'\nEBB_AUTOSCALER='prod'\nEBB_MAX_IDLE_SECONDS='600'\nEBB_UNREACHABLE_SECONDS='21600'"
	ids := l.launch(tb, n, func(in *fakeec2.RunInstancesInput) {
		in.UserData = base64.StdEncoding.EncodeToString([]byte(script(head)))
		if change != nil {
			change(in)
		}
	})
	l.clock.Advance(75 * time.Second)
	return ids
}

func (l *lab) home(tb testing.TB) fakeclearml.Queue {
	tb.Helper()
	queue, ok := l.ml.QueueByName("default")
	if !ok {
		tb.Fatal("no queue")
	}
	return queue
}

func (l *lab) order(tb testing.TB, id string, epoch uint64, run bool) {
	tb.Helper()
	drain := messages.Drain{Epoch: epoch, At: l.clock.Now(), Run: run}
	item := fakeclearml.MetadataItem{Key: messages.DrainKey(messages.InstanceID(id)), Type: "str", Value: drain.String()}
	if err := l.ml.SetMetadata(l.home(tb).ID, item); err != nil {
		tb.Fatal(err)
	}
}

// sign gives the autoscaler's sign of life.
func (l *lab) sign(tb testing.TB) {
	tb.Helper()
	sign := messages.Sign{At: l.clock.Now(), Epoch: 3}
	item := fakeclearml.MetadataItem{Key: messages.SignKey("prod"), Type: "str", Value: sign.String()}
	if err := l.ml.SetMetadata(l.home(tb).ID, item); err != nil {
		tb.Fatal(err)
	}
}

func (l *lab) ack(t *testing.T, id string) messages.Ack {
	t.Helper()
	ack, _ := messages.ParseAck(l.home(t).Metadata[messages.AckKey(messages.InstanceID(id))].Value)
	ack.At = time.Time{}
	return ack
}

// TestDrain: an idle instance ends within 15 s, a busy one after its task, and
// one that is told to go on goes on.
func TestDrain(t *testing.T) {
	t.Parallel()
	for way, world := range bothWays() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			l := world(t, nil)
			tasks := []string{l.enqueue(t, 120), l.enqueue(t, 120)}
			ids := l.supervised(t, 3, nil)
			busy := map[string]string{} // by task
			idle := ""
			for _, id := range ids {
				work, _ := l.Workload(id)
				if task := work.(*fakeagent.Supervisor).Agent().Task(); task != "" {
					busy[task] = id
				} else {
					idle = id
				}
				l.order(t, id, 1, false)
			}
			finishes, goesOn := busy[tasks[0]], busy[tasks[1]]
			if len(busy) != 2 || idle == "" || finishes == "" || goesOn == "" {
				t.Fatalf("busy are %v of %v", busy, ids)
			}
			l.clock.Advance(15 * time.Second)
			if l.ack(t, idle) != (messages.Ack{Epoch: 1, State: messages.AckDrained}) || l.state(idle) != fakeec2.ShuttingDown || l.Answers(idle) {
				t.Errorf("idle: answer %+v, %s", l.ack(t, idle), l.Describe(idle))
			}
			want := messages.Ack{Epoch: 1, State: messages.AckBusy, Task: messages.TaskID(tasks[0])}
			if l.ack(t, finishes) != want || l.state(finishes) != fakeec2.Running || !l.Answers(finishes) || len(l.workers(t)) != 2 {
				t.Errorf("busy: answer %+v, %s, workers %v", l.ack(t, finishes), l.Describe(finishes), l.workers(t))
			}
			l.order(t, goesOn, 2, true)
			third := l.enqueue(t, 60)
			l.clock.Advance(150 * time.Second)
			if l.ack(t, finishes).State != messages.AckDrained || l.state(finishes) != fakeec2.Terminated {
				t.Errorf("busy: answer %+v, %s", l.ack(t, finishes), l.Describe(finishes))
			}
			l.clock.Advance(time.Minute)
			if l.ack(t, goesOn) != (messages.Ack{Epoch: 2, State: messages.AckRunning}) || l.state(goesOn) != fakeec2.Running {
				t.Errorf("goes on: answer %+v, %s", l.ack(t, goesOn), l.Describe(goesOn))
			}
			for _, task := range append(tasks, third) {
				if got := l.ml.TaskStatus(task); got != "completed" {
					t.Errorf("task is %s", got)
				}
			}
			text, _, err := l.ec2.GetConsoleOutput(idle, true, false)
			if err != nil || !strings.Contains(text, "bootstrap: drained, powering off") {
				t.Errorf("console is %q, %v", text, err)
			}
		})
	}
}

// TestFrozenMachine does not answer either.
func TestFrozenMachine(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil)
	id := l.supervised(t, 1, nil)[0]
	work, _ := l.Workload(id)
	work.PowerCut()
	l.order(t, id, 1, false)
	l.clock.Advance(time.Hour)
	if l.ack(t, id).State != "" || l.state(id) != fakeec2.Running || l.Answers(id) {
		t.Errorf("answer %+v, %s", l.ack(t, id), l.Describe(id))
	}
}

// TestSpotNotices reach the channel; on-demand instances have none.
func TestSpotNotices(t *testing.T) {
	t.Parallel()
	for way, world := range bothWays() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			l := world(t, nil)
			id := l.supervised(t, 1, func(in *fakeec2.RunInstancesInput) { in.Spot = &fakeec2.SpotOptions{} })[0]
			notice := func() messages.Notice {
				l.clock.Advance(5 * time.Second)
				notice, _ := messages.ParseNotice(l.home(t).Metadata[messages.NoticeKey(messages.InstanceID(id))].Value)
				return notice
			}
			if got := notice(); got.Kind != "" {
				t.Errorf("notice is %+v", got)
			}
			if err := l.ec2.RecommendRebalance(id); err != nil {
				t.Fatal(err)
			}
			if got := notice(); got.Kind != messages.NoticeRebalance {
				t.Errorf("notice is %+v", got)
			}
			end := l.clock.Now().Add(2 * time.Minute)
			if err := l.ec2.InterruptSpot(id, 0); err != nil {
				t.Fatal(err)
			}
			if got := notice(); got.Kind != messages.NoticeInterruption || !got.When.Equal(end) {
				t.Errorf("notice is %+v, want one for %s", got, end)
			}
			l.clock.Advance(2 * time.Minute)
			if l.state(id) == fakeec2.Running {
				t.Error("it is still there")
			}
		})
	}
}

// TestDeadMansInstance ends itself when its autoscaler is dead, and lives as long
// as that is alive.
func TestDeadMansInstance(t *testing.T) {
	t.Parallel()
	for way, world := range bothWays() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			l := world(t, nil)
			id := l.supervised(t, 1, nil)[0]
			for minute := range 60 {
				l.sign(t)
				l.clock.Advance(time.Minute)
				if l.state(id) != fakeec2.Running {
					t.Fatalf("gone after %d minutes", minute)
				}
			}
			l.clock.Advance(28 * time.Minute)
			if l.state(id) != fakeec2.Running {
				t.Error("gone too soon")
			}
			l.clock.Advance(2 * time.Minute)
			if l.state(id) == fakeec2.Running || len(l.workers(t)) != 0 {
				t.Errorf("%s, workers %v", l.Describe(id), l.workers(t))
			}
		})
	}
}

// TestBarrier: the tag of a queue holds every agent back.
func TestBarrier(t *testing.T) {
	t.Parallel()
	for way, world := range bothWays() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			l := world(t, nil)
			l.supervised(t, 2, nil)
			tags := func(tags ...string) {
				t.Helper()
				if err := l.ml.UpdateQueue(l.home(t).ID, fakeclearml.QueueUpdate{Tags: tags}); err != nil {
					t.Fatal(err)
				}
			}
			tags("other", messages.BarrierTag)
			task := l.enqueue(t, 5)
			l.clock.Advance(time.Minute)
			if got := l.ml.TaskStatus(task); got != "queued" || len(l.home(t).Entries) != 1 {
				t.Errorf("task is %s", got)
			}
			tags("other")
			l.clock.Advance(15 * time.Second)
			if got := l.ml.TaskStatus(task); got != "completed" {
				t.Errorf("task is %s", got)
			}
		})
	}
}

// TestShareOfDeadSupervisors is drawn like the faults of agents.
func TestShareOfDeadSupervisors(t *testing.T) {
	t.Parallel()
	l := newInProcessLab(t, func(c *fake.WorldConfig) {
		c.Faults = []fake.Share{{Fault: fakeagent.Fault{Kind: fakeagent.SupervisorDead}, Probability: 0.3}}
	})
	ids := l.supervised(t, 200, nil)
	dead := 0
	for _, id := range ids {
		l.order(t, id, 1, false)
		if !l.Answers(id) {
			dead++
		}
	}
	l.clock.Advance(time.Minute)
	running := 0
	for _, id := range ids {
		if l.state(id) == fakeec2.Running {
			running++
		}
	}
	if running != dead || dead < 40 || dead > 80 || len(l.workers(t)) != dead {
		t.Errorf("%d of 200 run on, %d supervisors are dead, %d workers", running, dead, len(l.workers(t)))
	}
}

// TestUserDataWithoutAutoscaler: no supervisor, and nobody looks at the channel.
func TestUserDataWithoutAutoscaler(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil)
	id := l.launch(t, 1, nil)[0]
	l.order(t, id, 1, false)
	l.clock.Advance(time.Hour)
	if _, isAgent := must(l.Workload(id)).(*fakeagent.Agent); !isAgent || l.state(id) != fakeec2.Running || l.Answers(id) {
		t.Errorf("%s", l.Describe(id))
	}
}

func must(work fake.Workload, ok bool) fake.Workload {
	if !ok {
		return nil
	}
	return work
}

// TestWaysAgree lets drawn lives run both ways: the server ends up the same, down
// to the times.
func TestWaysAgree(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		var states []string
		for _, world := range []func(testing.TB, func(*fake.WorldConfig)) *lab{newLab, newInProcessLab} {
			l := world(t, func(c *fake.WorldConfig) {
				c.Seed = seed
				c.Faults = []fake.Share{
					{Fault: fakeagent.Fault{Kind: fakeagent.DiesIdle, After: time.Minute}, Probability: 0.1},
					{Fault: fakeagent.Fault{Kind: fakeagent.DiesMidTask, After: 20 * time.Second}, Probability: 0.1},
					{Fault: fakeagent.Fault{Kind: fakeagent.DiesBeforeRun}, Probability: 0.1},
					{Fault: fakeagent.Fault{Kind: fakeagent.SupervisorSlow}, Probability: 0.2},
				}
			})
			states = append(states, l.live(t, seed))
		}
		if states[0] != states[1] {
			t.Errorf("seed %d: over HTTP it ends as\n%s\nin process as\n%s", seed, states[0], states[1])
		}
	}
}

// live is a drawn life of some instances; it tells how the server ends up.
func (l *lab) live(t *testing.T, seed uint64) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 9))
	ids := l.supervised(t, 6, nil)
	var tasks []string
	for epoch := range uint64(20) {
		id := ids[rng.IntN(len(ids))]
		switch rng.IntN(5) {
		case 0:
			l.order(t, id, epoch+1, rng.IntN(2) == 0)
		case 1:
			if len(tasks) > 0 {
				// Any answer will do: it may be over, or not have begun.
				_, _ = l.ml.Stop(fakeclearml.StatusRequest{Task: tasks[rng.IntN(len(tasks))]})
			}
		default:
			tasks = append(tasks, l.enqueue(t, rng.IntN(500)))
		}
		l.clock.Advance(time.Duration(rng.IntN(40_000)) * time.Millisecond)
	}
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintln(&b, id, l.state(id))
	}
	for _, id := range tasks {
		task, err := l.ml.Task(id)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, task.ID, task.Status, task.StatusReason, task.StatusMessage, task.LastWorker, task.LastUpdate, task.Started, task.Completed, task.Runtime)
	}
	workers, err := l.ml.Workers(fakeclearml.WorkerFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range workers {
		fmt.Fprintln(&b, w.ID, w.Task, w.Queue, w.Queues, w.RegisterTime, w.LastActivity, w.LastReport)
	}
	queue := l.home(t)
	fmt.Fprintln(&b, queue.Entries, queue.LastUpdate)
	for _, key := range slices.Sorted(maps.Keys(queue.Metadata)) {
		fmt.Fprintln(&b, queue.Metadata[key])
	}
	return b.String()
}

// TestDrainWithThreads is the real thing: goroutines, sockets and time.
func TestDrainWithThreads(t *testing.T) {
	t.Parallel()
	ml, err := fakeclearml.New(fakeclearml.Config{Clock: wall{}, Seed: 1, Keys: map[string]string{"AK": "SK"}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(ml.Handler())
	defer server.Close()
	queue, _ := ml.QueueByName("default")
	const count = 8
	off := make(chan string, count)
	timing := fakeagent.DefaultTiming()
	timing.Poll, timing.FirstReport, timing.Report = 5*time.Millisecond, 3*time.Millisecond, 4*time.Millisecond
	timing.Child, timing.Look, timing.Grace = 2*time.Millisecond, 5*time.Millisecond, 5*time.Millisecond
	for i := range count {
		id := fmt.Sprintf("i-%d", i)
		if i%2 == 0 {
			task, err := ml.CreateTask(fakeclearml.TaskSpec{Name: "train", Runtime: map[string]any{"ebb_duration_s": 0.03}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ml.Enqueue(fakeclearml.EnqueueRequest{StatusRequest: fakeclearml.StatusRequest{Task: task}, Queue: queue.ID}); err != nil {
				t.Fatal(err)
			}
		}
		supervisor, err := fakeagent.Supervise(t.Context(), fakeagent.SupervisorConfig{
			Agent: fakeagent.Config{
				APIHost: server.URL, AccessKey: "AK", SecretKey: "SK", WorkerID: "p:r:t:" + id, Queues: []string{"default"},
				Timing: timing, Clock: wall{},
			},
			Instance: messages.InstanceID(id), Autoscaler: "prod", PowerOff: func(string) { off <- id },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer supervisor.PowerCut()
		item := fakeclearml.MetadataItem{Key: messages.DrainKey(messages.InstanceID(id)), Type: "str", Value: "1 1 drain"}
		if i%3 != 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if err := ml.SetMetadata(queue.ID, item); err != nil {
			t.Fatal(err)
		}
	}
	for range count {
		<-off
	}
	queue, _ = ml.QueueByName("default")
	for i := range count {
		ack, _ := messages.ParseAck(queue.Metadata[messages.AckKey(messages.InstanceID(fmt.Sprintf("i-%d", i)))].Value)
		if ack.State != messages.AckDrained {
			t.Errorf("i-%d answered %+v", i, ack)
		}
	}
	// What was pulled was finished.
	for _, id := range ml.TaskIDs() {
		if got := ml.TaskStatus(id); got != "completed" && got != "queued" {
			t.Errorf("task is %s", got)
		}
	}
}

// wall is the time of the machine that tests.
type wall struct{}

func (wall) Now() time.Time { return time.Now() }

func (wall) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
