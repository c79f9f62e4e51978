//go:build real && linux

package process_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/internal/freeport"
)

// cramped is a region with an ebb whose state directory is on a small disk.
type cramped struct {
	*region
	disk *smallDisk
	gate *gate
	web  string
}

func newCramped(t *testing.T) *cramped {
	t.Helper()
	c := &cramped{disk: newSmallDisk(t), web: freeport.Address(t)}
	c.region = newWorld(t, worldConfig{accessKeys: []string{"AKIDEXAMPLE"}, before: func(ec2 http.Handler) http.Handler {
		c.gate = newGate(ec2)
		return c.gate
	}})
	text := fmt.Sprintf(configuration, c.state(), freeport.Number(t), c.clearmlURL, c.ec2URL, "keep")
	text = strings.Replace(text, `http: {listen: "off"}`, fmt.Sprintf("http: {listen: %q}\nlease: {ttl: 5s}", c.web), 1)
	text = strings.Replace(text, "max_idle_time: 4s", "max_idle_time: 10m", 1)
	c.config = filepath.Join(t.TempDir(), "ebb.yaml")
	if err := os.WriteFile(c.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cramped) state() string { return filepath.Join(c.disk.path, "state") }

// get answers the status and body of a page.
func (c *cramped) get(t *testing.T, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.web+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// command is what a command of ebb prints.
func (c *cramped) command(t *testing.T, args ...string) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), path, append(args, "--config", c.config)...)
	command.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	said, _ := command.CombinedOutput() // that it fails is told by what it says
	return string(said)
}

const (
	full  = "the disk of state_dir is full"
	again = "the disk of state_dir can be written again"
)

// fills makes the disk small, then full, and looks that both are told.
func (c *cramped) fills(t *testing.T, p *program) {
	t.Helper()
	c.disk.shrink(t)
	within(t, 10*time.Second, "it warns before", func() bool {
		return strings.Contains(p.log.String(), `MiB are free on the disk of state_dir: make room`)
	})
	c.disk.fill(t)
	within(t, 2*time.Minute, "it says that the disk is full", func() bool { return strings.Contains(p.log.String(), full) })
}

// tells looks that everybody who asks is told.
func (c *cramped) tells(t *testing.T, p *program) {
	t.Helper()
	wants := func(where, text string, all ...string) {
		for _, want := range all {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", where, want, text)
			}
		}
	}
	code, text := c.get(t, "/readyz")
	wants("/readyz", fmt.Sprint(code, " ", text), "503", full, "make room")
	code, text = c.get(t, "/healthz")
	wants("/healthz", fmt.Sprint(code, " ", text), "200")
	_, text = c.get(t, "/metrics")
	wants("/metrics", text, "\nebb_disk_writable 0\n", "\nebb_disk_low 1\n", "\nebb_disk_free_bytes 0\n")
	within(t, 30*time.Second, "the page tells", func() bool {
		_, text := c.get(t, "/api/v1/autoscalers")
		if strings.Contains(text, "no ebb that is connected") {
			t.Errorf("the page does not know why: %s", text)
		}
		return strings.Contains(text, `{"about":"disk","wrong":true,"found":"`+full) && strings.Contains(text, `"cure":"make room`)
	})
	wants("ebb status", c.command(t, "status"), "WARNING: "+full, "make room")
	wants("ebb doctor", c.command(t, "doctor"), full, "make room")
	if said := strings.Count(p.log.String(), full); said != 1 {
		t.Errorf("the log says %d times that the disk is full", said)
	}
}

// TestDiskFull fills the disk of the embedded event server in the middle of a run,
// and in the middle of a launch, and makes room again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	for name, launching := range map[string]bool{"at work": false, "in a launch": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCramped(t)
			p := start(t, c.region)
			within(t, 30*time.Second, "the queue is created", func() bool { return strings.Contains(p.log.String(), "queue.created") })
			if launching {
				c.gate.slow(15*time.Second, true)
			}
			c.enqueue(t, 2, time.Hour)
			c.gate.launch(t)
			if !launching {
				within(t, time.Minute, "two instances work", func() bool { return strings.Count(p.log.String(), `"event":"instance.busy"`) == 2 })
			}
			before := c.launched()
			c.fills(t, p)
			c.gate.slow(0, false)
			c.enqueue(t, 1, time.Hour)
			time.Sleep(8 * time.Second) // longer than the lease
			c.tells(t, p)
			if c.launched() != before || c.alive() != before {
				t.Errorf("%d instances launched and %d alive while the disk was full, %d before", c.launched(), c.alive(), before)
			}
			c.disk.makeRoom(t)
			within(t, 30*time.Second, "it says that there is room", func() bool { return strings.Contains(p.log.String(), again) })
			within(t, time.Minute, "it acts again", func() bool { return c.launched() == 3 })
			within(t, time.Minute, "it is ready", func() bool { code, _ := c.get(t, "/readyz"); return code == http.StatusOK })
			p.stop(t)
			c.isWhole(t, p)
		})
	}
}

// TestDiskFullAndKilled kills the process while its disk is full. It is started again
// by a service manager, ends or waits, and acts once there is room.
func TestDiskFullAndKilled(t *testing.T) {
	t.Parallel()
	c := newCramped(t)
	p := start(t, c.region)
	within(t, 30*time.Second, "the queue is created", func() bool { return strings.Contains(p.log.String(), "queue.created") })
	c.enqueue(t, 2, time.Hour)
	within(t, time.Minute, "two instances work", func() bool { return strings.Count(p.log.String(), `"event":"instance.busy"`) == 2 })
	c.fills(t, p)
	p.kill(t)
	c.enqueue(t, 1, time.Hour)
	p = start(t, c.region)
	within(t, time.Minute, "it says that the disk is full", func() bool { return strings.Contains(p.log.String(), "full") })
	c.disk.makeRoom(t)
	for end := time.Now().Add(slow); c.launched() < 3; time.Sleep(100 * time.Millisecond) {
		select {
		case err := <-p.done: // as a service manager does
			t.Logf("it ended with %v", err)
			p = start(t, c.region)
		default:
		}
		if time.Now().After(end) {
			t.Fatal("it does not act again")
		}
	}
	p.stop(t)
	if c.launched() != 3 || c.alive() != 3 {
		t.Errorf("%d instances launched, %d alive; want 3", c.launched(), c.alive())
	}
}

// isWhole reads what is stored: each event that was logged once, and a ledger in
// which each launch is settled with the instances that EC2 has.
func (c *cramped) isWhole(t *testing.T, programs ...*program) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), slow)
	defer cancel()
	server, err := bus.Start(ctx, bus.ServerConfig{StateDir: c.state(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	conn, err := bus.Connect(ctx, bus.ConnConfig{Server: server, ReadOnly: true, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var events []bus.StoredEvent
	if err := conn.Events(ctx, bus.EventQuery{Autoscaler: "test"}, func(e bus.StoredEvent) error {
		events = append(events, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	eachOnce(t, events, programs...)
	ledger, err := conn.OpenLedger(ctx, bus.LedgerConfig{Autoscaler: "test"})
	if err != nil {
		t.Fatal(err)
	}
	records, err := ledger.Launches(ctx, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, record := range records {
		if !record.Settled || len(record.Outcome.Instances) == 0 {
			t.Errorf("launch %s is open, or without instances: %+v", record.Launch, record.Outcome)
			continue
		}
		for _, instance := range record.Outcome.Instances {
			known[string(instance)] = true
		}
	}
	tokens := map[string]bool{}
	for _, made := range c.gate.made() {
		if made.action == "RunInstances" && strings.HasPrefix(made.token, "ebb-") { // ebb doctor tries one too
			tokens[made.token] = true
		}
	}
	if len(tokens) != len(records) {
		t.Errorf("%d launches were sent and %d are in the ledger", len(tokens), len(records))
	}
	if most, _ := c.cloud.Ledger().MaxAlive(fakeec2.Tagged("ebb:resource", "gpu")); most != 3 || len(known) != 3 {
		t.Errorf("%d instances were alive, and %d are in the ledger; want 3", most, len(known))
	}
}
