package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

// eventBus is an event server with a connection to publish on.
func eventBus(t *testing.T) (url string, conn *bus.Bus) {
	t.Helper()
	s, err := bus.Start(t.Context(), bus.ServerConfig{StateDir: t.TempDir(), Listen: "127.0.0.1:0", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	conn, err = bus.Connect(t.Context(), bus.ConnConfig{Server: s, EventsMaxBytes: 64 << 20, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return s.URL(), conn
}

func publish(t *testing.T, conn *bus.Bus, id string, autoscaler messages.AutoscalerName, event messages.Event) {
	t.Helper()
	err := conn.Publish(t.Context(), []messages.Recorded{{ID: id, Autoscaler: autoscaler, At: noon, Event: event}})
	if err != nil {
		t.Fatal(err)
	}
}

const (
	lineObserved = "2026-11-23T12:00:00Z  prod  queue.observed            gpu  3 tasks waiting, the first for 12s\n"
	lineBusy     = "2026-11-23T12:00:00Z  prod  instance.busy             i-01  gpu: runs task abc\n"
	lineDev      = "2026-11-23T12:00:00Z  dev  queue.observed            dev  nothing waits\n"
)

func publishThree(t *testing.T, conn *bus.Bus) {
	t.Helper()
	publish(t, conn, "1", "prod", messages.QueueObserved{Queue: "gpu", Waiting: 3, OldestWaitSeconds: 12})
	publish(t, conn, "2", "prod", messages.InstanceBusy{Instance: "i-01", Resource: "gpu", Task: "abc"})
	publish(t, conn, "3", "dev", messages.QueueObserved{Queue: "dev"})
}

// TestEvents reads stored events with every filter.
func TestEvents(t *testing.T) {
	t.Parallel()

	url, conn := eventBus(t)
	publishThree(t, conn)
	file := filepath.Join(t.TempDir(), "ebb.yaml")
	two, err := os.ReadFile("testdata/two.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(two), "nats://127.0.0.1:4223", url, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line []string
		want string
	}{
		{[]string{"--nats-url", url}, lineObserved + lineBusy + lineDev},
		{[]string{"--config", file}, lineObserved + lineBusy + lineDev},
		{[]string{"--nats-url", url, "--autoscaler", "dev"}, lineDev},
		{[]string{"--nats-url", url, "--kind", "instance.busy"}, lineBusy},
		{[]string{"--nats-url", url, "--kind", "queue"}, lineObserved + lineDev},
		{[]string{"--nats-url", url, "--kind", "queue", "--autoscaler", "prod", "--since", "200000h"}, lineObserved},
		{[]string{"--nats-url", url, "--autoscaler", "nobody"}, ""},
	} {
		code, stdout, stderr := ebb(t.Context(), append([]string{"events"}, c.line...)...)
		note := ""
		if c.want == "" {
			note = "note: no such event is kept\n"
		}
		if code != 0 || stdout != c.want || stderr != note {
			t.Errorf("%v: exit %d\n%s\nwant\n%s\n%s", c.line, code, stdout, c.want, stderr)
		}
	}
	future, out, _ := program()
	future.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	if code := future.Execute(t.Context(), []string{"events", "--nats-url", url, "--since", "1h"}); code != 0 || out.String() != "" {
		t.Errorf("events of the last hour, two hours later: exit %d\n%s", code, out)
	}
}

// TestEventsJSON prints each event as it is stored, one a line.
func TestEventsJSON(t *testing.T) {
	t.Parallel()

	url, conn := eventBus(t)
	publishThree(t, conn)
	code, stdout, stderr := ebb(t.Context(), "events", "--nats-url", url, "--json")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || len(lines) != 3 {
		t.Fatalf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	var event struct {
		SpecVersion, ID, Type, Source, Subject string
		Data                                   messages.InstanceBusy
	}
	if err := json.Unmarshal([]byte(lines[1]), &event); err != nil {
		t.Fatal(err)
	}
	if event.SpecVersion != "1.0" || event.ID != "2" || event.Type != "ebb.v1.instance.busy" || event.Subject != "i-01" || event.Data.Task != "abc" {
		t.Errorf("got %s", lines[1])
	}
}

// TestEventsOfOthers shows what this version cannot read, and goes on.
func TestEventsOfOthers(t *testing.T) {
	t.Parallel()

	url, conn := eventBus(t)
	other, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	stream, err := other.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	for subject, data := range map[string]string{
		"ebb.v1.prod.moon.landed":   "{\n\"specversion\":\"1.0\",\"id\":\"m\",\"source\":\"/ebb/prod\",\"type\":\"ebb.v1.moon.landed\",\"subject\":\"sea\",\"time\":\"2030-01-02T03:04:05Z\",\"datacontenttype\":\"application/json\",\"data\":{\"crew\":2}}",
		"ebb.v1.prod.queue.garbled": "no \x1b[31mJSON",
	} {
		if _, err := stream.Publish(subject, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, conn, "2", "prod", messages.InstanceBusy{Instance: "i-01", Resource: "gpu", Task: "abc"})
	code, stdout, stderr := ebb(t.Context(), "events", "--nats-url", url)
	if code != 0 || stderr != "" || !strings.HasSuffix(stdout, lineBusy) || strings.Contains(stdout, "\x1b") {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	for _, want := range []string{`2030-01-02T03:04:05Z  prod  moon.landed               sea  {"crew":2}`, "prod  queue.garbled             no [31mJSON"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("output lacks %q:\n%s", want, stdout)
		}
	}
	code, stdout, stderr = ebb(t.Context(), "events", "--nats-url", url, "--json")
	if lines := strings.Count(stdout, "\n"); code != 0 || lines != 2 || !strings.Contains(stderr, "is no event and is left out") {
		t.Errorf("--json: exit %d\n%s\n%s", code, stdout, stderr)
	}
}

// TestEventsFollow shows events from now on until it is stopped.
func TestEventsFollow(t *testing.T) {
	t.Parallel()

	url, conn := eventBus(t)
	publish(t, conn, "1", "prod", messages.QueueObserved{Queue: "gpu", Waiting: 3, OldestWaitSeconds: 12})
	all := start(t, "events", "--nats-url", url, "--follow", "--since", "1h")
	fresh := start(t, "events", "--nats-url", url, "-f")
	eventually(t, "old events are shown", func() bool { return all.stdout.String() == lineObserved })
	publish(t, conn, "2", "prod", messages.InstanceBusy{Instance: "i-01", Resource: "gpu", Task: "abc"})
	eventually(t, "both show the new event", func() bool {
		return all.stdout.String() == lineObserved+lineBusy && strings.HasSuffix(fresh.stdout.String(), lineBusy)
	})
	if fresh.stdout.String() != lineBusy {
		t.Errorf("without --since an old event is shown:\n%s", fresh.stdout)
	}
	all.end(t)
	fresh.end(t)
}

// TestEventsNobodyThere says what to do.
func TestEventsNobodyThere(t *testing.T) {
	t.Parallel()

	code, stdout, stderr := ebb(t.Context(), "events", "--nats-url", "nats://user:planted-password@127.0.0.1:1")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "is ebb running there?") || strings.Contains(stderr, "planted") {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
}
