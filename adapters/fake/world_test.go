package fake_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2/virtual"
)

// lab is a world on a virtual clock, with a ClearML server, all on one goroutine.
type lab struct {
	*fake.World
	clock *virtual.Clock
	ec2   *fakeec2.Cloud
	ml    *fakeclearml.Server
}

func newLab(tb testing.TB, change func(*fake.WorldConfig)) *lab {
	tb.Helper()
	clock := virtual.New(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	ml, err := fakeclearml.New(fakeclearml.Config{Clock: clock, Seed: 1, Keys: map[string]string{"AK": "SK"}})
	if err != nil {
		tb.Fatal(err)
	}
	cloud, err := fakeec2.New(fakeec2.Config{
		Clock: clock, Rand: rand.New(rand.NewPCG(1, 1)),
		Timing: fakeec2.Timing{Pending: fakeec2.Dist{Median: 10 * time.Second}, ShuttingDown: fakeec2.Dist{Median: 20 * time.Second}, Stopping: fakeec2.Dist{Median: 20 * time.Second}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	cfg := fake.WorldConfig{
		Clock: clock, EC2: cloud, Install: fakeec2.Dist{Median: 60 * time.Second},
		Client: &http.Client{Transport: ml.Transport()}, Go: func(f func()) { f() },
	}
	if change != nil {
		change(&cfg)
	}
	w, err := fake.NewWorld(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		w.Close()
		cloud.Close()
	})
	return &lab{w, clock, cloud, ml}
}

// launch starts instances that serve the queue default, and returns their ids.
func (l *lab) launch(tb testing.TB, n int, change func(*fakeec2.RunInstancesInput)) []string {
	tb.Helper()
	head := "EBB_WORKER_NAME='p:gpu'\nEBB_QUEUES='default'\nCLEARML_API_HOST='http://clearml:8008'\nCLEARML_API_ACCESS_KEY='AK'\nCLEARML_API_SECRET_KEY='SK'"
	in := fakeec2.RunInstancesInput{
		ImageID: "ami-0e3a1b2c3d4e5f601", InstanceType: "g4dn.xlarge", MinCount: n, MaxCount: n, ClientToken: fmt.Sprint("intent-", n),
		ShutdownBehavior: "terminate", UserData: base64.StdEncoding.EncodeToString([]byte(script(head))),
	}
	if change != nil {
		change(&in)
	}
	res, err := l.ec2.RunInstances(in)
	if err != nil {
		tb.Fatal(err)
	}
	var ids []string
	for _, i := range res.Instances {
		ids = append(ids, i.ID)
	}
	return ids
}

func (l *lab) enqueue(t *testing.T, seconds int) string {
	t.Helper()
	task, err := l.ml.CreateTask(fakeclearml.TaskSpec{Name: "train", Type: "training", Runtime: map[string]any{"ebb_duration_s": seconds}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.ml.Enqueue(fakeclearml.EnqueueRequest{StatusRequest: fakeclearml.StatusRequest{Task: task}, QueueName: "default"}); err != nil {
		t.Fatal(err)
	}
	return task
}

func (l *lab) workers(t *testing.T) []string {
	t.Helper()
	list, err := l.ml.Workers(fakeclearml.WorkerFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, w := range list {
		names = append(names, w.ID)
	}
	slices.Sort(names)
	return names
}

func (l *lab) state(id string) fakeec2.State {
	i, _ := l.ec2.Instance(id)
	return i.State
}

// TestTasksRunOnInstances: three tasks, two instances, everything completes.
func TestTasksRunOnInstances(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil)
	var tasks []string
	for range 3 {
		tasks = append(tasks, l.enqueue(t, 100))
	}
	ids := l.launch(t, 2, nil)
	l.clock.Advance(70 * time.Second)
	want := []string{"p:gpu:g4dn.xlarge:" + ids[0], "p:gpu:g4dn.xlarge:" + ids[1]}
	slices.Sort(want)
	if got := l.workers(t); !slices.Equal(got, want) {
		t.Fatalf("workers are %v, want %v", got, want)
	}
	l.clock.Advance(90 * time.Second)
	var states []fakeclearml.Status
	for _, task := range tasks {
		states = append(states, l.ml.TaskStatus(task))
	}
	if got := fmt.Sprint(states); got != "[in_progress in_progress queued]" {
		t.Errorf("while the first two run the tasks are %s", got)
	}
	l.clock.Advance(150 * time.Second)
	for _, task := range tasks {
		if got := l.ml.TaskStatus(task); got != "completed" {
			t.Errorf("task is %s", got)
		}
	}
	text, _, err := l.ec2.GetConsoleOutput(ids[0], true, false)
	if err != nil || !strings.Contains(text, "bootstrap: starting clearml-agent as p:gpu:g4dn.xlarge:"+ids[0]) || !strings.Contains(text, "pulled from") {
		t.Errorf("console is %q, %v", text, err)
	}
}

// TestTerminationCutsThePower leaves the worker's row and its task as they are.
func TestTerminationCutsThePower(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil)
	task := l.enqueue(t, 600)
	id := l.launch(t, 1, nil)[0]
	l.clock.Advance(2 * time.Minute)
	if _, err := l.ec2.TerminateInstances([]string{id}, false); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.Workload(id); ok {
		t.Error("the machine still works")
	}
	l.clock.Advance(5 * time.Minute)
	if got := l.ml.TaskStatus(task); got != "in_progress" || len(l.workers(t)) != 1 {
		t.Errorf("task is %s, workers %v", got, l.workers(t))
	}
	l.clock.Advance(10 * time.Minute)
	if list := l.workers(t); len(list) != 0 {
		t.Errorf("ten minutes after its death the worker is still listed: %v", list)
	}
}

// TestAgentEndPowersOff: SIGTERM to the agent ends the instance, as launched.
func TestAgentEndPowersOff(t *testing.T) {
	t.Parallel()
	for behavior, want := range map[string]fakeec2.State{"terminate": fakeec2.Terminated, "stop": fakeec2.Stopped} {
		l := newLab(t, nil)
		id := l.launch(t, 1, func(in *fakeec2.RunInstancesInput) { in.ShutdownBehavior = behavior })[0]
		l.clock.Advance(2 * time.Minute)
		work, ok := l.Workload(id)
		if !ok {
			t.Fatal("nothing runs on the instance")
		}
		work.Stop()
		l.clock.Advance(time.Minute)
		if got := l.state(id); got != want || len(l.workers(t)) != 0 {
			t.Errorf("%s: instance is %s, workers %v", behavior, got, l.workers(t))
		}
	}
}

// TestGuestShutdownStopsTheAgent the polite way when the instance only stops.
func TestGuestShutdownStopsTheAgent(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil)
	id := l.launch(t, 1, func(in *fakeec2.RunInstancesInput) { in.ShutdownBehavior = "stop" })[0]
	l.clock.Advance(2 * time.Minute)
	if err := l.ec2.GuestShutdown(id); err != nil {
		t.Fatal(err)
	}
	if list := l.workers(t); len(list) != 0 {
		t.Errorf("the worker did not unregister: %v", list)
	}
}

// TestFaultyMachines boots machines that go wrong.
func TestFaultyMachines(t *testing.T) {
	t.Parallel()
	crash := []fake.Share{{Fault: fakeagent.Fault{Kind: fakeagent.DiesIdle, After: 10 * time.Second}, Probability: 1}}
	for name, c := range map[string]struct {
		change  func(*fake.WorldConfig)
		launch  func(*fakeec2.RunInstancesInput)
		state   fakeec2.State
		workers int
		console string
	}{
		"never up":        {func(c *fake.WorldConfig) { c.Faults = []fake.Share{{fakeagent.Fault{Kind: fakeagent.NeverUp}, 1}} }, nil, fakeec2.Running, 0, "no route to host"},
		"crash":           {func(c *fake.WorldConfig) { c.Faults = crash }, nil, fakeec2.Terminated, 1, "powering off"},
		"crash, stays up": {func(c *fake.WorldConfig) { c.Faults, c.StayUp = crash, true }, nil, fakeec2.Running, 1, "crashed: dies_idle"},
		"bad user data": {
			nil, func(in *fakeec2.RunInstancesInput) {
				in.UserData = base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n"))
			},
			fakeec2.Running, 0, "EBB_WORKER_NAME is not assigned",
		},
		"start fails": {func(c *fake.WorldConfig) {
			c.Start = func(fakeec2.Instance, fake.Boot, func()) (fake.Workload, error) { return nil, errors.New("no disk") }
		}, nil, fakeec2.Running, 0, "no disk"},
	} {
		l := newLab(t, c.change)
		id := l.launch(t, 1, c.launch)[0]
		l.clock.Advance(5 * time.Minute)
		text, _, err := l.ec2.GetConsoleOutput(id, true, false)
		if err != nil || !strings.Contains(text, c.console) {
			t.Errorf("%s: console is %q, %v", name, text, err)
		}
		if got := l.state(id); got != c.state || len(l.workers(t)) != c.workers {
			t.Errorf("%s: instance is %s, workers %v", name, got, l.workers(t))
		}
	}
}

// TestFaultShares draws faults in their proportions, the same for the same seed.
func TestFaultShares(t *testing.T) {
	t.Parallel()
	broken := func() int {
		l := newInProcessLab(t, func(c *fake.WorldConfig) { c.Faults = []fake.Share{{fakeagent.Fault{Kind: fakeagent.NeverUp}, 0.3}} })
		l.launch(t, 200, nil)
		l.clock.Advance(2 * time.Minute)
		return 200 - len(l.workers(t))
	}
	a, b := broken(), broken()
	if a != b || a < 40 || a > 80 {
		t.Errorf("%d and %d of 200 machines never came up, want about 60 twice", a, b)
	}
}

// TestTerminatedWhileBooting never starts an agent.
func TestTerminatedWhileBooting(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil)
	id := l.launch(t, 1, nil)[0]
	l.clock.Advance(30 * time.Second)
	if _, err := l.ec2.TerminateInstances([]string{id}, false); err != nil {
		t.Fatal(err)
	}
	l.clock.Advance(5 * time.Minute)
	if list := l.workers(t); len(list) != 0 {
		t.Errorf("workers are %v", list)
	}
}

// TestMetadataFollowsTheInstance tells of a spot notice, and is gone afterwards.
func TestMetadataFollowsTheInstance(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil)
	id := l.launch(t, 1, func(in *fakeec2.RunInstancesInput) {
		in.Spot = &fakeec2.SpotOptions{}
		in.TagSpecifications = []fakeec2.TagSpecification{{ResourceType: "instance", Tags: []fakeec2.Tag{{Key: "Name", Value: "w"}}}}
		in.Metadata.InstanceTags = "enabled"
	})[0]
	client := &http.Client{Transport: fake.Loopback(l.IMDS(id))}
	read := func(path string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://169.254.169.254/latest/meta-data/"+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return "unreachable"
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK {
			return resp.Status
		}
		return string(text)
	}
	got := []string{read("instance-id")}
	l.clock.Advance(10 * time.Second)
	got = append(got, read("instance-life-cycle"), read("tags/instance/Name"), read("spot/instance-action"))
	if err := l.ec2.InterruptSpot(id, 0); err != nil {
		t.Fatal(err)
	}
	got = append(got, read("spot/instance-action"))
	l.clock.Advance(2 * time.Minute)
	got = append(got, read("instance-id"))
	want := []string{"unreachable", "spot", "w", "Not Found", `{"action": "terminate", "time": "2026-11-23T12:02:10Z"}`, "unreachable"}
	if !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}
