package bus_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/internal/output"
)

// TestStartAfterCrash begins over the files of a server that was still writing, as
// after kill -9: it says once what has happened, complains of nothing, and has all.
func TestStartAfterCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir, "")
	conn := connect(t, first)
	if err := conn.Publish(t.Context(), manyObserved("prod", 0, 3)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := first.Close(); err != nil { // which writes the index
		t.Fatal(err)
	}
	killed := connect(t, start(t, dir, ""))
	if err := killed.Publish(t.Context(), manyObserved("prod", 3, 6)); err != nil {
		t.Fatal(err)
	}
	left := t.TempDir()
	if err := os.CopyFS(filepath.Join(left, "jetstream"), os.DirFS(filepath.Join(dir, "jetstream"))); err != nil {
		t.Fatal(err)
	}
	var lines output.Buffer
	server, err := bus.Start(t.Context(), bus.ServerConfig{StateDir: left, Log: zerolog.New(&lines)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })

	log := lines.String()
	if strings.Contains(log, `"level":"warn"`) || strings.Contains(log, `"level":"error"`) {
		t.Errorf("it complains:\n%s", log)
	}
	explained, detail := strings.Index(log, "there is nothing to do"), strings.Index(log, "prior state file")
	if strings.Count(log, "there is nothing to do") != 1 || detail < explained {
		t.Errorf("want one explanation, and then the server's own words:\n%s", log)
	}
	wantIDs(t, stored(t, connect(t, server), bus.EventQuery{}), manyObserved("prod", 0, 6))
}

// TestServerLogWarns: what is not of every start after a crash stays a warning.
func TestServerLogWarns(t *testing.T) {
	t.Parallel()
	for line, level := range map[string]string{
		"Filestore [EBB_EVENTS] Recovering stream state from index errored: prior state file":                             "info",
		"Filestore [EBB_EVENTS] Stream state outdated, last block has additional entries, will rebuild":                   "info",
		"Filestore [KV_ebb_leases] TTL state is outdated; attempting to recover using linear scan (seq 1 to 9)":           "info",
		"Filestore [EBB_EVENTS] Recovering stream state from index errored: corrupt state file":                           "warn",
		"Filestore [EBB_EVENTS] Stream state checksum did not match":                                                      "warn",
		"JetStream stream 'x' errored: prior state file":                                                                  "warn",
		"Filestore [EBB_EVENTS] File system permission denied when flushing stream state, disabling JetStream: no access": "warn",
	} {
		var lines output.Buffer
		bus.ServerWarns(zerolog.New(&lines), line)
		if !strings.Contains(lines.String(), `{"level":"`+level+`","message":"`+line) {
			t.Errorf("want %s, got\n%s", level, lines.String())
		}
	}
}
