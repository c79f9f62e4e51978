//go:build real

package examples_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/internal/output"
	"github.com/ebbscale/ebb/messages"
)

// goExample vets and builds the Go example in its own module, once.
var goExample = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ebb-example-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "subscriber-go")
	for _, arguments := range [][]string{{"vet", "./..."}, {"build", "-o", path, "."}} {
		if _, err := goCommand(arguments...); err != nil {
			return "", err
		}
	}
	return path, nil
})

// goCommand runs the go command in the module of the Go example.
func goCommand(arguments ...string) (string, error) {
	cmd := exec.Command("go", arguments...)
	cmd.Dir = filepath.Join(examplesDir, "subscriber-go")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go %s in %s: %w\n%s", strings.Join(arguments, " "), cmd.Dir, err, out)
	}
	return string(out), nil
}

// TestGoStandsAlone holds the Go example to what makes it an example: it needs the NATS
// client and nothing of ebb.
func TestGoStandsAlone(t *testing.T) {
	t.Parallel()

	packages, err := goCommand("list", "-deps", "./...")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(packages, "github.com/nats-io/nats.go/jetstream\n") {
		t.Errorf("the example does not import NATS; is this the list? %q", packages)
	}
	for path := range strings.Lines(packages) {
		path = strings.TrimSpace(path)
		if strings.HasPrefix(path, "github.com/ebbscale/ebb/") && path != "github.com/ebbscale/ebb/examples/subscriber-go" {
			t.Errorf("the example imports %s", path)
		}
	}
}

// subscriber runs the Go example, one life after the other, with one state file.
type subscriber struct {
	state string
	url   string
	lives []*life
}

type life struct {
	cmd      *exec.Cmd
	out, err *output.Buffer
	done     chan error
}

// start begins a life.
func (s *subscriber) start(t *testing.T, environment ...string) {
	t.Helper()
	path, err := goExample()
	if err != nil {
		t.Fatal(err)
	}
	l := &life{cmd: exec.CommandContext(context.WithoutCancel(t.Context()), path, "-state", s.state), out: &output.Buffer{}, err: &output.Buffer{}, done: make(chan error, 1)}
	l.cmd.Stdout, l.cmd.Stderr = l.out, l.err
	l.cmd.Env = append([]string{"NATS_URL=" + s.url, "NATS_USER=viewer", "NATS_PASSWORD=" + viewerPassword}, environment...)
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { l.done <- l.cmd.Wait() }()
	s.lives = append(s.lives, l)
	t.Cleanup(func() {
		_ = l.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("stderr of a life: %s", l.err)
		}
	})
}

// kill is kill -9.
func (s *subscriber) kill(t *testing.T) {
	t.Helper()
	l := s.lives[len(s.lives)-1]
	if err := l.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-l.done
}

// lines is what was printed over all lives, without the line that a kill between the
// line and the state lets be printed once more.
func (s *subscriber) lines() []string {
	var all []string
	for _, l := range s.lives {
		lines := strings.Split(strings.TrimSuffix(l.out.String(), "\n"), "\n")
		if len(all) > 0 && lines[0] == all[len(all)-1] {
			lines = lines[1:]
		}
		all = append(all, slices.DeleteFunc(lines, func(line string) bool { return line == "" })...)
	}
	return all
}

// TestGoMissesNothing lets a fleet live while the subscriber is killed over and over, and
// the server restarts.
func TestGoMissesNothing(t *testing.T) {
	t.Parallel()

	s := newServer(t, nil)
	b := s.ebb(t)
	s.mirror(t)
	program := &subscriber{state: filepath.Join(t.TempDir(), "state.json"), url: s.url}
	program.start(t)

	const turns = 400
	dice := rand.New(rand.NewPCG(1, 2))
	var want []string
	alive := map[string]int{}
	told := func(kind, about, why string) {
		var counts []string
		for _, resource := range []string{"cpu", "gpu"} {
			if alive[resource] > 0 {
				counts = append(counts, fmt.Sprintf("%s %d", resource, alive[resource]))
			}
		}
		want = append(want, fmt.Sprintf("2026-03-01T12:00:00Z prod.eu %s %s (%s) [%s]", kind, about, why, strings.Join(counts, ", ")))
	}
	for i := range turns {
		resource := []string{"cpu", "gpu"}[i%2]
		id := messages.InstanceID(fmt.Sprintf("i-%04d", i))
		alive[resource]++
		told("instance.launched", string(id), "-")
		events := []messages.Recorded{
			recorded(fmt.Sprintf("launched-%d", i), messages.InstanceLaunched{Instance: id, Resource: messages.ResourceName(resource)}),
			recorded(fmt.Sprintf("idle-%d", i), messages.InstanceIdle{Instance: id, Resource: messages.ResourceName(resource)}), // prints nothing
		}
		if i%3 > 0 {
			alive[resource]--
			told("instance.gone", string(id), "idle: idle for 15m4s")
			events = append(events, recorded(fmt.Sprintf("gone-%d", i), messages.InstanceGone{
				Instance: id, Resource: messages.ResourceName(resource),
				Reasons: []messages.Reason{{Code: messages.ReasonIdle, Detail: "idle for 15m4s"}},
			}))
		}
		publish(t, b, events...)
		switch {
		case i == turns/2:
			s.stop()
			s.start(t)
		case dice.IntN(25) == 0:
			program.kill(t)
			program.start(t)
		}
		time.Sleep(time.Duration(dice.IntN(10)) * time.Millisecond)
	}
	within(t, 60*time.Second, "the last event is printed", func() bool {
		lines := program.lines()
		return len(lines) > 0 && lines[len(lines)-1] == want[len(want)-1]
	})
	if len(program.lives) < 5 {
		t.Errorf("the dice killed the subscriber %d times only", len(program.lives)-1)
	}
	compare(t, program.lines(), want)
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			from := max(0, i-2)
			t.Fatalf("line %d differs; got from %d on:\n%s\nwant:\n%s", i, from,
				strings.Join(got[min(from, len(got)):min(i+3, len(got))], "\n"), strings.Join(want[min(from, len(want)):min(i+3, len(want))], "\n"))
		}
	}
}

// TestGoReads shows what the Go example makes of each kind of event, of one that is in
// the stream twice, of what is not ebb's, and of an autoscaler that begins anew.
func TestGoReads(t *testing.T) {
	t.Parallel()

	s := newServer(t, nil)
	b := s.ebb(t)
	s.mirror(t)
	program := &subscriber{state: filepath.Join(t.TempDir(), "state.json"), url: s.url}
	program.start(t)

	why := []messages.Reason{{Code: messages.ReasonPolicy, Detail: "because"}, {Code: messages.ReasonIdle}}
	launched := recorded("launched", messages.InstanceLaunched{Instance: "i-1", Resource: "gpu"})
	publish(t, b, launched,
		recorded("refused", messages.InstanceRefused{Resource: "gpu", Class: messages.ClassNoCapacity, Message: "There is no Spot capacity."}),
		recorded("held", messages.ResourceHeld{Resource: "gpu", Reasons: why}),
		recorded("busy", messages.InstanceBusy{Instance: "i-1", Resource: "gpu", Task: "t-1"}),
		recorded("stray", messages.InstanceStray{Instance: "i-0", Resource: "old", State: "running"}),
		recorded("terminating", messages.InstanceTerminating{Instance: "i-1", Resource: "gpu", Reasons: why}),
		recorded("gone", messages.InstanceGone{Instance: "i-1", Resource: "gpu", Reasons: why}),
		recorded("requeued", messages.TaskRequeued{Task: "t-1", Queue: "q", Reasons: why}),
	)
	// The launch once more, as it is stored when its acknowledgment was lost for long; and
	// things that are not ebb's.
	twice, err := bus.EncodeEvent(launched)
	if err != nil {
		t.Fatal(err)
	}
	conn := s.connect(t, "ebb", ebbPassword)
	for i, body := range [][]byte{twice, []byte("no JSON"), []byte(`{"id":7}`), []byte(`[]`), nil} {
		message := &nats.Msg{Subject: bus.EventSubject(autoscaler, "instance.launched"), Data: body, Header: nats.Header{}}
		message.Header.Set(nats.MsgIdHdr, fmt.Sprintf("raw-%d", i))
		if _, err := conn.RequestMsg(message, slow); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, b,
		recorded("launched-2", messages.InstanceLaunched{Instance: "i-2", Resource: "gpu"}),
		recorded("started", messages.AutoscalerStarted{Version: "v1"}),
		recorded("adopted", messages.InstanceAdopted{Instance: "i-2", Resource: "gpu"}),
	)
	const at = "2026-03-01T12:00:00Z prod.eu "
	want := []string{
		at + "instance.launched i-1 (-) [gpu 1]",
		at + "instance.refused gpu (There is no Spot capacity.) [gpu 1]",
		at + "resource.held gpu (policy: because; idle) [gpu 1]",
		at + "instance.stray i-0 (-) [gpu 1, old 1]",
		at + "instance.terminating i-1 (policy: because; idle) [gpu 1, old 1]",
		at + "instance.gone i-1 (policy: because; idle) [old 1]",
		at + "task.requeued t-1 (policy: because; idle) [old 1]",
		at + "instance.launched i-2 (-) [gpu 1, old 1]",
		at + "autoscaler.started - (-) []",
		at + "instance.adopted i-2 (-) [gpu 1]",
	}
	within(t, 30*time.Second, "all is printed", func() bool { return len(program.lines()) >= len(want) })
	compare(t, program.lines(), want)

	// Everybody may stop it, and it goes on from there.
	if err := program.lives[0].cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-program.lives[0].done; err != nil {
		t.Errorf("interrupted: %v; want the exit code 0", err)
	}
	program.start(t)
	publish(t, b, recorded("gone-2", messages.InstanceGone{Instance: "i-2", Resource: "gpu", Reasons: why}))
	want = append(want, at+"instance.gone i-2 (policy: because; idle) []")
	within(t, 30*time.Second, "it goes on", func() bool { return len(program.lines()) >= len(want) })
	compare(t, program.lines(), want)
}

// TestGoWaits starts the subscriber before there is anything for it: each trouble is told,
// and it goes on once that is over.
func TestGoWaits(t *testing.T) {
	t.Parallel()

	s := newServer(t, nil)
	s.stop()
	program := &subscriber{state: filepath.Join(t.TempDir(), "state.json"), url: s.url}
	program.start(t)
	says := func(text string) {
		t.Helper()
		within(t, 30*time.Second, "stderr has "+text, func() bool { return strings.Contains(program.lives[0].err.String(), text) })
	}
	says("connect: nats: no servers available for connection - trying again")
	s.start(t)
	says("find stream EBB_EVENTS")
	b := s.ebb(t)
	s.mirror(t)
	publish(t, b, recorded("held", messages.ResourceHeld{Resource: "gpu"}))
	within(t, 30*time.Second, "the event is printed", func() bool { return len(program.lines()) == 1 })

	stranger := &subscriber{state: filepath.Join(t.TempDir(), "state.json"), url: s.url}
	stranger.start(t, "NATS_PASSWORD=wrong")
	within(t, 30*time.Second, "a wrong password is told", func() bool {
		return strings.Contains(stranger.lives[0].err.String(), "connect: nats: Authorization Violation")
	})

	broken := &subscriber{state: filepath.Join(t.TempDir(), "state.json"), url: s.url}
	if err := os.WriteFile(broken.state, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken.start(t)
	if err := <-broken.lives[0].done; err == nil || !strings.Contains(broken.lives[0].err.String(), "delete it to read all events anew") {
		t.Errorf("a broken state file ends with %v and says %q", err, broken.lives[0].err)
	}
}

// TestGoStreamAnew deletes the stream under a subscriber that is away: it must not wait
// for numbers that come much later.
func TestGoStreamAnew(t *testing.T) {
	t.Parallel()

	s := newServer(t, nil)
	s.ebb(t)
	s.mirror(t)
	program := &subscriber{state: filepath.Join(t.TempDir(), "state.json"), url: s.url}
	state, err := json.Marshal(map[string]any{"sequence": 100000})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program.state, state, 0o600); err != nil {
		t.Fatal(err)
	}
	program.start(t)
	publish(t, s.ebb(t), recorded("launched", messages.InstanceLaunched{Instance: "i-1", Resource: "gpu"}))
	within(t, 30*time.Second, "the event is printed", func() bool { return len(program.lines()) == 1 })
	if !strings.Contains(program.lives[0].err.String(), "the stream was made anew") {
		t.Errorf("stderr does not say so: %s", program.lives[0].err)
	}
}
