package process_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/internal/freeport"
)

// region is a quick EC2 with agents and a ClearML server, both over HTTP.
type region struct {
	cloud   *fakeec2.Cloud
	clearml *fakeclearml.Server
	config  string // path of a configuration for both, with an event server in the process

	ec2URL     string
	clearmlURL string
}

// configuration has a queue with one resource type of at most four instances.
const configuration = `
state_dir: %s
http: {listen: "off"}
nats: {listen: "127.0.0.1:%d"}
log: {level: info, format: json}
autoscalers:
  - name: test
    clearml: {api_server: %q, web_server: "http://127.0.0.1:1", files_server: "http://127.0.0.1:1", access_key: KEY, secret_key: not-to-be-seen}
    aws: {region: us-east-1, access_key_id: AKIDEXAMPLE, secret_access_key: nor-this, endpoint_url: %q}
    polling_interval: 1s
    max_idle_time: 4s
    max_spin_up_time: 5m
    on_shutdown: %s
    resources:
      - name: gpu
        instance_types: [g5.xlarge]
        market: spot
        availability_zones: [us-east-1a]
        ami_id: ami-0e3a1b2c3d4e5f601
        max_instances: 4
        queues: [training]
`

func newRegion(t *testing.T, onShutdown string) *region {
	t.Helper()
	r := newWorld(t, worldConfig{accessKeys: []string{"AKIDEXAMPLE"}})
	dir := t.TempDir()
	r.config = filepath.Join(dir, "ebb.yaml")
	text := fmt.Sprintf(configuration, filepath.Join(dir, "state"), freeport.Number(t), r.clearmlURL, r.ec2URL, onShutdown)
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// edit replaces a part of the configuration, which has to be there.
func (r *region) edit(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("the configuration has no %q", from)
	}
	if err := os.WriteFile(r.config, []byte(strings.Replace(string(text), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// worldConfig says who may call a region's EC2.
type worldConfig struct {
	accessKeys []string
	before     func(ec2 http.Handler) http.Handler // sees every call to EC2; nil: nobody does
}

func newWorld(t *testing.T, config worldConfig) *region {
	t.Helper()
	now := clock.System()
	second := fakeec2.Dist{Median: 300 * time.Millisecond}
	cloud, err := fakeec2.New(fakeec2.Config{
		Clock: now, Rand: rand.New(rand.NewPCG(1, 2)), AccessKeys: config.accessKeys, Log: zerolog.Nop(),
		Timing: fakeec2.Timing{
			Pending: second, ShuttingDown: second, Visible: second,
			TerminatedKept: time.Hour, TokenKept: 24 * time.Hour,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ml, err := fakeclearml.New(fakeclearml.Config{Clock: now, Keys: map[string]string{"KEY": "not-to-be-seen"}})
	if err != nil {
		t.Fatal(err)
	}
	agents := fakeagent.DefaultTiming()
	agents.Poll, agents.FirstReport, agents.Report = 300*time.Millisecond, 100*time.Millisecond, time.Second
	agents.Look, agents.Grace = 300*time.Millisecond, 200*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	world, err := fake.NewWorld(ctx, fake.WorldConfig{Clock: now, EC2: cloud, Install: second, Agent: agents, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	handler := cloud.Handler()
	if config.before != nil {
		handler = config.before(handler)
	}
	ec2, tracker := httptest.NewServer(handler), httptest.NewServer(ml.Handler())
	t.Cleanup(func() {
		cancel()
		world.Close()
		cloud.Close()
		ec2.CloseClientConnections()
		ec2.Close()
		tracker.CloseClientConnections()
		tracker.Close()
	})
	return &region{cloud: cloud, clearml: ml, ec2URL: ec2.URL, clearmlURL: tracker.URL}
}

func (r *region) enqueue(t *testing.T, count int, runs time.Duration) {
	t.Helper()
	if _, err := r.clearml.AddDemoTasks(fakeclearml.DemoTasks{Queue: "training", Count: count, RunSeconds: runs.Seconds()}); err != nil {
		t.Fatal(err)
	}
}

func (r *region) completed() int {
	done := 0
	for _, id := range r.clearml.TaskIDs() {
		if r.clearml.TaskStatus(id) == fakeclearml.StatusCompleted {
			done++
		}
	}
	return done
}

func (r *region) alive() int {
	alive := 0
	for _, i := range r.cloud.Instances() {
		if i.State.Alive() {
			alive++
		}
	}
	return alive
}

func (r *region) launched() int { return len(r.cloud.Ledger().Launches) }
