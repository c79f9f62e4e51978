//go:build real

package process_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/internal/freeport"
	"github.com/ebbscale/ebb/internal/output"
	"github.com/ebbscale/ebb/messages"
)

// natsBinary builds the event server once, of the version in go.mod.
var natsBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ebb-nats-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "nats-server")
	out, err := exec.Command("go", "build", "-o", path, "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		return "", &buildError{text: string(out)}
	}
	return path, nil
})

// eventServer is an external NATS server, a process of its own.
type eventServer struct {
	url    string
	config string
	port   int

	cmd  *exec.Cmd
	done chan error
	log  *output.Buffer
}

const eventServerConfiguration = `
listen: "127.0.0.1:%d"
jetstream { store_dir: %q, sync_interval: always }
`

func newEventServer(t *testing.T) *eventServer {
	t.Helper()
	dir, port := t.TempDir(), freeport.Number(t)
	s := &eventServer{
		url: fmt.Sprintf("nats://127.0.0.1:%d", port), port: port,
		config: filepath.Join(dir, "nats.conf"), log: &output.Buffer{},
	}
	text := fmt.Sprintf(eventServerConfiguration, port, filepath.Join(dir, "store"))
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	t.Cleanup(func() {
		s.kill(t)
		if t.Failed() {
			t.Log(lastLines(s.log.String(), 30))
		}
	})
	return s
}

func (s *eventServer) start(t *testing.T) {
	t.Helper()
	path, err := natsBinary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, "-c", s.config)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	s.cmd, s.done = cmd, done
	within(t, 20*time.Second, "the event server listens", func() bool {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

// kill is kill -9; one that is dead stays so.
func (s *eventServer) kill(t *testing.T) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Errorf("kill the event server: %v", err)
	}
	<-s.done
	s.cmd = nil
}

// events reads all events of an autoscaler that are on the bus now.
func (s *eventServer) events(t *testing.T, name messages.AutoscalerName) []bus.StoredEvent {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), slow)
	defer cancel()
	b, err := bus.Connect(ctx, bus.ConnConfig{URL: s.url, Name: "test", ReadOnly: true, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var all []bus.StoredEvent
	if err := b.Events(ctx, bus.EventQuery{Autoscaler: name}, func(e bus.StoredEvent) error {
		all = append(all, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}
