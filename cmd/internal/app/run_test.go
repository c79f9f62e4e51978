package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/internal/freeport"
	"github.com/ebbscale/ebb/internal/leaks"
)

// patience is how long something is waited for that takes seconds on a machine that has
// nothing else to do.
const patience = 3 * time.Minute

const runConfiguration = `
state_dir: %s
lease: {ttl: 1m}
http: {listen: "off"}
nats: {listen: "127.0.0.1:%d"}
autoscalers:
  - name: test
    clearml: {api_server: %q, web_server: "http://127.0.0.1:1", files_server: "http://127.0.0.1:1", access_key: KEY, secret_key: not-to-be-seen}
    aws: {region: us-east-1, access_key_id: AKIDEXAMPLE, secret_access_key: nor-this, endpoint_url: %q}
    polling_interval: 1s
    max_idle_time: %s
    max_spin_up_time: 5m
    on_shutdown: keep
    resources:
      - {name: gpu, instance_types: [g5.xlarge], market: on_demand, availability_zones: [auto], ami_id: ami-0e3a1b2c3d4e5f601, max_instances: %d, queues: [training]}
`

// TestRunReloadStop runs a whole process against fake servers: it launches, takes
// a lowered max_instances from a reload without ending what works, drains what
// is idle by the word of its supervisor, and leaves no goroutine behind.
func TestRunReloadStop(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer r.close()
	ctx := t.Context()
	if _, err := r.clearml.AddDemoTasks(fakeclearml.DemoTasks{Queue: "training", Count: 3, RunSeconds: 4}); err != nil {
		t.Fatal(err)
	}
	process, err := app.Start(ctx, app.Options{File: r.load("1h", 3), Version: "test", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	// On a slow machine the first one may be done before the last one runs.
	r.until(func() bool { return r.cloud.Alive() == 3 && r.running()+r.done() == 3 }, "three tasks run on three instances")
	if _, err := process.Apply(ctx, r.load("2s", 1), false); err != nil {
		t.Error(err)
	}
	r.until(func() bool { return r.done() == 3 }, "all tasks are done although two instances are over the new max_instances")
	r.until(func() bool { return r.cloud.Alive() == 0 }, "nothing runs after the new max_idle_time")
	bad := r.load("2s", 1)
	bad.Autoscalers[0].Resources[0].InstanceTypes = nil
	if _, err := process.Apply(ctx, bad, false); err == nil {
		t.Error("a configuration without instance types was taken over")
	}
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
}

// TestReloadsInOrder: of two reloads at once the one that reads first, and is slow, is
// not taken over last.
func TestReloadsInOrder(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	defer r.close()
	older, newer := r.load("1h", 1), r.load("1h", 2)
	reading, release := make(chan struct{}), make(chan struct{})
	var reads atomic.Int32
	load := func() (config.File, error) {
		if reads.Add(1) > 1 {
			return newer, nil
		}
		close(reading)
		<-release
		return older, nil
	}
	process, err := app.Start(t.Context(), app.Options{File: r.load("1h", 3), Load: load, Version: "test", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	reload := func() chan error {
		done := make(chan error, 1)
		go func() {
			_, err := process.Reload(t.Context(), "test")
			done <- err
		}()
		return done
	}
	first := reload()
	<-reading
	second := reload()
	select {
	case err := <-second:
		t.Errorf("the second reload did not wait for the first: %v", err)
		second <- err
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	for _, done := range []chan error{first, second} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got, err := process.Apply(t.Context(), newer, false); err != nil || len(got.Changes) != 0 {
		t.Errorf("what was read last is not what runs: %v, %v", got.Changes, err)
	}
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
}

// TestReloadsLeaveNothingOpen reads the configuration fifty times: no goroutine and
// no connection of an earlier one stays.
func TestReloadsLeaveNothingOpen(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer r.close()
	file := r.load("1h", 1)
	process, err := app.Start(t.Context(), app.Options{File: file, Version: "test", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	// live lets the configuration of now poll and list.
	live := func() {
		before := [2]int32{r.traffic[0].requests.Load(), r.traffic[1].requests.Load()}
		r.until(func() bool {
			return r.traffic[0].requests.Load() > before[0]+2 && r.traffic[1].requests.Load() > before[1]
		}, "ClearML and EC2 are asked")
	}
	live()
	live()
	goroutines, tracker, ec2 := runtime.NumGoroutine(), r.traffic[0].open.Load(), r.traffic[1].open.Load()
	for range 50 {
		if _, err := process.Apply(t.Context(), file, true); err != nil {
			t.Fatal(err)
		}
		live()
	}
	const some = 4 // of those that come and go with a poll
	r.until(func() bool {
		return runtime.NumGoroutine() <= goroutines+some && r.traffic[0].open.Load() <= tracker+some && r.traffic[1].open.Load() <= ec2+some
	}, fmt.Sprintf("there are %d goroutines and %d and %d connections, as before the reloads", goroutines, tracker, ec2))
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
}

// testRegion is a fake EC2 and a fake ClearML server with quick agents, over HTTP.
type testRegion struct {
	t       *testing.T
	cloud   *counted
	clearml *fakeclearml.Server
	dir     string
	port    int
	urls    [2]string
	natsURL string // of an event server that several processes share
	// traffic is what the fake ClearML and the fake EC2 see.
	traffic [2]*traffic
	close   func()
}

type counted struct{ *fakeec2.Cloud }

// Alive is how many instances are pending or running.
func (c *counted) Alive() int {
	alive := 0
	for _, i := range c.Instances() {
		if i.State == fakeec2.Pending || i.State == fakeec2.Running {
			alive++
		}
	}
	return alive
}

func newRegion(t *testing.T) *testRegion {
	t.Helper()
	now := clock.System()
	quick := fakeec2.Dist{Median: 200 * time.Millisecond}
	cloud, err := fakeec2.New(fakeec2.Config{
		Clock: now, Rand: rand.New(rand.NewPCG(1, 2)), AccessKeys: []string{"AKIDEXAMPLE"}, Log: zerolog.Nop(),
		Timing: fakeec2.Timing{Pending: quick, ShuttingDown: quick, Visible: quick, TerminatedKept: time.Hour, TokenKept: 24 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	ml, err := fakeclearml.New(fakeclearml.Config{Clock: now, Keys: map[string]string{"KEY": "not-to-be-seen"}})
	if err != nil {
		t.Fatal(err)
	}
	agents := fakeagent.DefaultTiming()
	agents.Poll, agents.FirstReport, agents.Report = 200*time.Millisecond, 50*time.Millisecond, 500*time.Millisecond
	agents.Look, agents.Grace = 200*time.Millisecond, 200*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	world, err := fake.NewWorld(ctx, fake.WorldConfig{Clock: now, EC2: cloud, Install: quick, Agent: agents, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	tracker, seenByTracker := observed(ml.Handler())
	ec2, seenByEC2 := observed(cloud.Handler())
	return &testRegion{
		traffic: [2]*traffic{seenByTracker, seenByEC2},
		t:       t, cloud: &counted{cloud}, clearml: ml, dir: t.TempDir(), port: freeport.Number(t), urls: [2]string{tracker.URL, ec2.URL},
		close: func() {
			cancel()
			world.Close()
			cloud.Close()
			ec2.CloseClientConnections()
			ec2.Close()
			tracker.CloseClientConnections()
			tracker.Close()
		},
	}
}

// traffic counts the requests that a server got, and the connections that it has.
type traffic struct{ requests, open atomic.Int32 }

func observed(handler http.Handler) (*httptest.Server, *traffic) {
	seen := &traffic{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.requests.Add(1)
		handler.ServeHTTP(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			seen.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			seen.open.Add(-1)
		case http.StateActive, http.StateIdle:
		}
	}
	server.Start()
	return server, seen
}

// load is the configuration with some max_idle_time and max_instances.
func (r *testRegion) load(idle string, most int) config.File {
	r.t.Helper()
	path := filepath.Join(r.dir, "ebb.yaml")
	if err := os.WriteFile(path, []byte(r.text(idle, most)), 0o600); err != nil {
		r.t.Fatal(err)
	}
	file, err := config.Load(config.Source{Path: path})
	if err != nil {
		r.t.Fatal(err)
	}
	return file
}

// text is that configuration as a file.
func (r *testRegion) text(idle string, most int) string {
	return fmt.Sprintf(runConfiguration, filepath.Join(r.dir, "state"), r.port, r.urls[0], r.urls[1], idle, most)
}

func (r *testRegion) count(status fakeclearml.Status) int {
	n := 0
	for _, id := range r.clearml.TaskIDs() {
		if r.clearml.TaskStatus(id) == status {
			n++
		}
	}
	return n
}

func (r *testRegion) running() int { return r.count("in_progress") }

func (r *testRegion) done() int { return r.count("completed") }

func (r *testRegion) until(so func() bool, what string) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("after %s it is not so that %s; %d run, %d are done, %d instances are alive", patience, what, r.running(), r.done(), r.cloud.Alive())
		}
	}
}
