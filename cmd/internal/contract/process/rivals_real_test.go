//go:build real

package process_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/internal/freeport"
	"github.com/ebbscale/ebb/messages"
)

// TestTwoEventServers runs one configuration twice, each with an event server of its
// own, as whoever copies it to a second machine does: they see each other's sign of
// life, and the one that came later launches nothing.
func TestTwoEventServers(t *testing.T) {
	t.Parallel()
	const long = 20 * time.Minute
	r := newRegion(t, "keep")
	first := start(t, r)
	r.enqueue(t, 1, long)
	within(t, time.Minute, "a task runs", func() bool { return r.running() == 1 })
	within(t, time.Minute, "the first one gives a sign of life", r.signed)
	second := startWith(t, r.copied(t))
	r.enqueue(t, 2, long) // while it cannot know yet whether the first one lives
	contested := func(p *program, holds bool) func() bool {
		return func() bool {
			for line := range strings.Lines(p.log.String()) {
				if strings.Contains(line, "autoscaler.contested") {
					return strings.Contains(line, fmt.Sprintf(`"holds":%t`, holds))
				}
			}
			return false
		}
	}
	within(t, 8*time.Minute, "the second one sees the first and holds", contested(second, true))
	within(t, 8*time.Minute, "the first one sees the second and goes on", contested(first, false))
	within(t, 2*time.Minute, "all tasks run", func() bool { return r.running() == 3 })
	if log := first.log.String(); strings.Contains(log, `"code":"contested"`) {
		t.Error("the first one holds launches back, too")
	}
	first.kill(t)
	r.enqueue(t, 1, long) // there is room for one more
	within(t, 2*time.Minute, "the second one says why it launches nothing", func() bool { return strings.Contains(second.log.String(), `"code":"contested"`) })
	if launched := r.launched(); launched != 3 || strings.Contains(second.log.String(), "instance.requested") {
		t.Errorf("%d instances were launched, want 3, all by the first one", launched)
	}
}

// signed says whether an owner's sign of life stands on a queue.
func (r *region) signed() bool {
	key := messages.SignKey("test")
	for id := range r.clearml.QueueNames() {
		if values, _ := r.clearml.MetadataValues(id, []string{key}, nil); values[key] != "" {
			return true
		}
	}
	return false
}

// copied is the configuration with a state directory and an event server of its own.
func (r *region) copied(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var lines []string
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "state_dir:"):
			line = fmt.Sprintf("state_dir: %s\n", filepath.Join(dir, "state"))
		case strings.HasPrefix(line, "nats:"):
			line = fmt.Sprintf("nats: {listen: \"127.0.0.1:%d\"}\n", freeport.Number(t))
		}
		lines = append(lines, line)
	}
	path := filepath.Join(dir, "ebb.yaml")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
