package clearmlfake_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/messages"
)

var _ actors.ClearML = (*clearml.Client)(nil)

const (
	accessKey = "ACCESSKEYOFTEST"
	secretKey = "s3cr3t-of-the-test"
)

// movingClock stands still until it is moved, and moves itself when somebody
// waits for it.
type movingClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *movingClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *movingClock) AfterFunc(d time.Duration, f func()) func() bool {
	c.advance(d)
	go f()
	return func() bool { return false }
}

func (c *movingClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a fake server on loopback with its client.
type world struct {
	t      *testing.T
	clock  *movingClock
	fake   *fakeclearml.Server
	url    string
	client *clearml.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: &movingClock{now: time.Date(2026, 11, 23, 9, 45, 0, 0, time.UTC)}}
	var err error
	w.fake, err = fakeclearml.New(fakeclearml.Config{
		Clock: w.clock, Seed: 7, Keys: map[string]string{accessKey: secretKey},
		Users: []fakeclearml.User{{ID: "second", Name: "second", Keys: map[string]string{"SECONDKEY": "second-secret"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.fake.Handler())
	t.Cleanup(server.Close)
	w.url = server.URL
	w.client = w.connect(func(*clearml.Config) {})
	return w
}

func (w *world) connect(change func(*clearml.Config)) *clearml.Client {
	w.t.Helper()
	cfg := clearml.Config{
		APIServer: w.url, AccessKey: accessKey, SecretKey: secretKey,
		Clock: w.clock, Rand: rand.New(rand.NewPCG(1, 2)), Log: zerolog.Nop(),
	}
	change(&cfg)
	client, err := clearml.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(client.Close)
	return client
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) observe(names ...messages.QueueName) messages.ClearMLSnapshot {
	w.t.Helper()
	snapshot, err := w.client.Observe(w.t.Context(), messages.ClearMLQuery{Queues: names, WorkersPrefix: "pfx"})
	w.must(err)
	return snapshot
}

func (w *world) demo(queue string, count int) []messages.TaskID {
	w.t.Helper()
	ids, err := w.fake.AddDemoTasks(fakeclearml.DemoTasks{Queue: queue, Count: count})
	w.must(err)
	tasks := make([]messages.TaskID, len(ids))
	for i, id := range ids {
		tasks[i] = messages.TaskID(id)
	}
	return tasks
}

func (w *world) calls(action string) int { return w.fake.CallCounts()[action] }

// run has the worker pull the task as an agent does.
func (w *world) run(worker messages.WorkerID, queue messages.QueueState) messages.TaskID {
	w.t.Helper()
	entry, ok, err := w.fake.NextTask(queue.ID, "")
	w.must(err)
	if !ok {
		w.t.Fatalf("queue %s is empty", queue.Name)
	}
	_, err = w.fake.Started(fakeclearml.StatusRequest{Task: entry.Task, Force: true})
	w.must(err)
	w.must(w.fake.ReportStatus(fakeclearml.Report{Worker: string(worker), Task: entry.Task, Queue: queue.ID, Queues: []string{queue.ID}}))
	return messages.TaskID(entry.Task)
}

func TestObserve(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.client.CreateQueues(t.Context(), []messages.QueueName{"gpu", "c++ (big)", "gpu-2"}))
	tasks := w.demo("gpu", 3)
	const idle, busy = messages.WorkerID("pfx:m1:t:i-idle"), messages.WorkerID("pfx:m1:t:i-busy")
	for _, id := range []messages.WorkerID{idle, busy, "other_pfx:m1:t:i-1", "pfx2:m1:t:i-1"} {
		w.must(w.fake.Register(fakeclearml.RegisterRequest{Worker: string(id)}))
	}
	before := w.fake.CallCounts()
	at := w.clock.Now()
	got := w.observe("gpu", "c++ (big)", "absent")
	after := w.fake.CallCounts()
	delete(before, "auth.login")
	delete(after, "auth.login")
	if sum(after)-sum(before) != 2 {
		t.Errorf("calls went from %v to %v, want two more", before, after)
	}
	if !got.At.Equal(at) || !got.ServerNow.Equal(at) {
		t.Errorf("At %s, ServerNow %s, want %s", got.At, got.ServerNow, at)
	}
	if !slices.Equal(got.Missing, []messages.QueueName{"absent"}) || len(got.Queues) != 2 {
		t.Fatalf("missing %v, queues %+v", got.Missing, got.Queues)
	}
	gpu := queueOf(t, got, "gpu")
	var waiting []messages.TaskID
	for _, entry := range gpu.Entries {
		waiting = append(waiting, entry.Task)
		if !entry.Added.Equal(at) {
			t.Errorf("entry added %s, want %s", entry.Added, at)
		}
	}
	if !slices.Equal(waiting, tasks) || len(queueOf(t, got, "c++ (big)").Entries) != 0 {
		t.Errorf("waiting are %v, want %v", waiting, tasks)
	}
	w.clock.advance(10 * time.Second)
	ran := w.run(busy, gpu)
	got = w.observe("gpu")
	queues := []messages.QueueName{"gpu"}
	want := []messages.WorkerState{
		{ID: busy, Task: ran, TaskName: "demo-0", Registered: at, LastActive: at.Add(10 * time.Second), Queues: queues},
		{ID: idle, Registered: at, LastActive: at},
	}
	slices.SortFunc(got.Workers, func(a, b messages.WorkerState) int { return strings.Compare(string(a.ID), string(b.ID)) })
	if !reflect.DeepEqual(got.Workers, want) || len(queueOf(t, got, "gpu").Entries) != 2 {
		t.Errorf("workers are\n%+v\nwant\n%+v", got.Workers, want)
	}
	// The same worker under another user, and then everybody's end.
	w.clock.advance(time.Minute)
	w.must(w.fake.ReportStatus(fakeclearml.Report{User: "second", Worker: string(busy)}))
	got = w.observe("gpu")
	if at := slices.IndexFunc(got.Workers, func(s messages.WorkerState) bool { return s.ID == busy }); len(got.Workers) != 2 ||
		got.Workers[at].Task != "" {
		t.Errorf("workers are %+v", got.Workers)
	}
	w.clock.advance(time.Hour)
	if got = w.observe("gpu"); len(got.Workers) != 0 {
		t.Errorf("workers are %+v after an hour of silence", got.Workers)
	}
}

func sum(counts map[string]int) (n int) {
	for count := range maps.Values(counts) {
		n += count
	}
	return n
}

func queueOf(t *testing.T, s messages.ClearMLSnapshot, name messages.QueueName) messages.QueueState {
	t.Helper()
	at := slices.IndexFunc(s.Queues, func(q messages.QueueState) bool { return q.Name == name })
	if at < 0 {
		t.Fatalf("no queue %q in %+v", name, s.Queues)
	}
	return s.Queues[at]
}

func TestObservePrefixOfSpecialCharacters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	prefixes := []string{"p[1]", "p*", "p?", `p\x`, "p", "p1", "a-b", "p^"}
	for _, prefix := range prefixes {
		w.must(w.fake.Register(fakeclearml.RegisterRequest{Worker: prefix + ":r:t:i-1"}))
	}
	for _, prefix := range prefixes {
		got, err := w.client.Observe(t.Context(), messages.ClearMLQuery{WorkersPrefix: prefix})
		w.must(err)
		if len(got.Workers) != 1 || string(got.Workers[0].ID) != prefix+":r:t:i-1" {
			t.Errorf("prefix %q gives %+v", prefix, got.Workers)
		}
	}
}

func TestObserveManyQueues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var names []messages.QueueName
	for i := range 1200 {
		name := messages.QueueName(fmt.Sprintf("team (%04d) queue", i))
		names = append(names, name)
		_, err := w.fake.CreateQueue(fakeclearml.QueueSpec{Name: string(name), SystemTags: []string{"k8s-glue"}})
		w.must(err)
	}
	for _, count := range []int{10, 500, len(names)} {
		before := w.calls("queues.get_all")
		if got := w.observe(names[:count]...); len(got.Queues) != count || len(got.Missing) != 0 {
			t.Errorf("%d queues and %d missing of %d", len(got.Queues), len(got.Missing), count)
		}
		if made := w.calls("queues.get_all") - before; made != 1 {
			t.Errorf("%d calls for %d queues, want 1", made, count)
		}
	}
}

func TestCreateQueues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 2 {
		w.must(w.client.CreateQueues(t.Context(), []messages.QueueName{"one", "two", "default"}))
	}
	if got := w.observe("one", "two"); len(got.Queues) != 2 {
		t.Errorf("queues are %+v", got.Queues)
	}
	err := w.client.CreateQueues(t.Context(), []messages.QueueName{"ab", "three"})
	if failure := messages.FailureOf(err); err == nil || failure.Class != messages.ClassInvalid || failure.Code != "400/800" {
		t.Errorf("error is %v, want 400/800", err)
	}
	if got := w.observe("three"); len(got.Queues) != 1 {
		t.Error("the good name was not created")
	}
}

func TestActivity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.demo("gpu", 4)
	start := w.clock.Now()
	queue := queueOf(t, w.observe("gpu"), "gpu")
	const done, failed, running, nothing = messages.WorkerID("pfx:r:t:i-done"), messages.WorkerID("pfx:r:t:i-failed"),
		messages.WorkerID("pfx:r:t:i-running"), messages.WorkerID("pfx:r:t:i-nothing")
	first, second := w.run(done, queue), w.run(failed, queue)
	w.clock.advance(time.Minute)
	_, err := w.fake.Completed(fakeclearml.StatusRequest{Task: string(first)})
	w.must(err)
	w.clock.advance(time.Minute)
	_, err = w.fake.Failed(fakeclearml.StatusRequest{Task: string(second)})
	w.must(err)
	third := w.run(running, queue)
	w.run("other_pfx:r:t:i-x", queue)
	ask := []messages.WorkerID{nothing, running, done, failed}
	got, err := w.client.Activity(t.Context(), start, ask)
	w.must(err)
	want := []messages.WorkerActivity{
		{Worker: nothing},
		{Worker: running, Running: third, Beat: start.Add(2 * time.Minute)},
		{Worker: done, LastEnd: start.Add(time.Minute)},
		{Worker: failed, LastEnd: start.Add(2 * time.Minute)},
	}
	if !slices.Equal(got, want) {
		t.Errorf("activity is\n%+v\nwant\n%+v", got, want)
	}
	got, err = w.client.Activity(t.Context(), start.Add(90*time.Second), ask)
	w.must(err)
	want[2].LastEnd = time.Time{}
	if !slices.Equal(got, want) {
		t.Errorf("later activity is\n%+v\nwant\n%+v", got, want)
	}
}

func TestActivityOfManyTasks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const count = 1100
	w.demo("gpu", count)
	queue := queueOf(t, w.observe("gpu"), "gpu")
	start := w.clock.Now()
	const worker = messages.WorkerID("pfx:r:t:i-1")
	for range count {
		task := w.run(worker, queue)
		w.clock.advance(time.Second)
		_, err := w.fake.Completed(fakeclearml.StatusRequest{Task: string(task)})
		w.must(err)
	}
	got, err := w.client.Activity(t.Context(), start, []messages.WorkerID{worker})
	w.must(err)
	if want := start.Add(count * time.Second); !got[0].LastEnd.Equal(want) {
		t.Errorf("last end is %s, want %s", got[0].LastEnd, want)
	}
	// One page of running tasks, three of ended ones: 500, 500 and 100, and as
	// 100 may be a limit of the server, an empty one.
	if calls := w.calls("tasks.get_all"); calls != 5 {
		t.Errorf("%d calls, want 5", calls)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	w := newWorld(t)
	w.observe("default")
	w.clock.advance(29 * day)
	w.observe("default")
	if logins := w.calls("auth.login"); logins != 1 {
		t.Fatalf("%d logins after 29 days, want 1", logins)
	}
	w.clock.advance(13 * time.Hour)
	w.observe("default")
	if logins := w.calls("auth.login"); logins != 2 {
		t.Fatalf("%d logins after the renewal, want 2", logins)
	}
	// A token that the server no longer takes, though it should be good.
	_, err := w.fake.AddFault(fakeclearml.Fault{Endpoint: "workers.get_all", Times: 1, Status: 401, Subcode: 30, Message: "Invalid token"})
	w.must(err)
	w.observe("default")
	if logins := w.calls("auth.login"); logins != 3 {
		t.Fatalf("%d logins after a 401, want 3", logins)
	}
	w.clock.advance(365 * day)
	w.observe("default")

	wrong := w.connect(func(cfg *clearml.Config) { cfg.SecretKey = "not-the-secret" })
	_, err = wrong.Observe(t.Context(), messages.ClearMLQuery{WorkersPrefix: "pfx"})
	if failure := messages.FailureOf(err); err == nil || failure.Class != messages.ClassUnauthorized || failure.Code != "401/22" {
		t.Errorf("error is %v, want 401/22", err)
	}
}

func TestManyObserversLogInOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := w.client.Observe(t.Context(), messages.ClearMLQuery{WorkersPrefix: "pfx"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if logins := w.calls("auth.login"); logins != 1 {
		t.Errorf("%d logins, want 1", logins)
	}
}

func TestFaultsAreErrorsOrHealed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault fakeclearml.Fault
		class messages.FailureClass // empty: it heals
		code  string
	}{
		"a 503":                    {fakeclearml.Fault{Endpoint: "queues.get_all", Times: 2, Status: 503, RawBody: "<html>later</html>"}, "", ""},
		"a throttle":               {fakeclearml.Fault{Endpoint: "*", Times: 2, Status: 429}, "", ""},
		"a lost login":             {fakeclearml.Fault{Endpoint: "auth.login", Times: 1, Drop: true}, "", ""},
		"a lost answer":            {fakeclearml.Fault{Endpoint: "workers.get_all", Times: 1, Drop: true}, "", ""},
		"half an answer":           {fakeclearml.Fault{Endpoint: "queues.get_all", Times: 2, Truncate: 150}, "", ""},
		"a database away for long": {fakeclearml.Fault{Endpoint: "queues.get_all", Status: 500, Subcode: 102, Message: "db"}, messages.ClassTransient, "500/102"},
		"throttled for long":       {fakeclearml.Fault{Endpoint: "workers.get_all", Status: 429}, messages.ClassThrottled, "429/0"},
		"a role":                   {fakeclearml.Fault{Endpoint: "queues.get_all", Status: 403, Subcode: 20}, messages.ClassUnauthorized, "403/20"},
		"a web page":               {fakeclearml.Fault{Endpoint: "queues.get_all", Status: 200, RawBody: "<html>hello</html>"}, messages.ClassUnknown, "unexpected_answer"},
		"always half an answer":    {fakeclearml.Fault{Endpoint: "workers.get_all", Truncate: 150}, messages.ClassTransient, "truncated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.demo("gpu", 2)
			_, err := w.fake.AddFault(test.fault)
			w.must(err)
			query := messages.ClearMLQuery{Queues: []messages.QueueName{"gpu"}, WorkersPrefix: "pfx"}
			got, err := w.client.Observe(t.Context(), query)
			if test.class == "" {
				w.must(err)
				if len(got.Queues) != 1 || len(got.Queues[0].Entries) != 2 {
					t.Errorf("snapshot is %+v", got)
				}
				return
			}
			var failure *messages.Failure
			if !errors.As(err, &failure) || failure.Class != test.class || failure.Code != test.code {
				t.Errorf("error is %v, want %s %s", err, test.class, test.code)
			}
			if got.Queues != nil || got.Missing != nil || got.Workers != nil {
				t.Errorf("a part was answered: %+v", got)
			}
			w.fake.ClearFaults()
			w.observe("gpu")
		})
	}
}

func TestCreateThatWorkedUnseen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.fake.AddFault(fakeclearml.Fault{Endpoint: "queues.create", Times: 1, Status: 504, RawBody: "timeout", Execute: true})
	w.must(err)
	w.must(w.client.CreateQueues(t.Context(), []messages.QueueName{"gpu"}))
	if got := w.observe("gpu"); len(got.Queues) != 1 || w.calls("queues.create") != 2 {
		t.Errorf("queues are %+v after %d calls", got.Queues, w.calls("queues.create"))
	}
}
