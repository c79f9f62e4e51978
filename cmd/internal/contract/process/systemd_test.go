//go:build unix

package process_test

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestTellsSystemd runs ebb as systemd runs a service of Type=notify with a watchdog.
func TestTellsSystemd(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close() //nolint:errcheck // nothing is lost
	told := func() string {
		t.Helper()
		if err := manager.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 100)
		n, err := manager.Read(buffer)
		if err != nil {
			t.Fatalf("systemd is told nothing: %v", err)
		}
		return string(buffer[:n])
	}
	p := startWith(t, newRegion(t, "keep").config, "NOTIFY_SOCKET="+socket)
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := told(); got != want {
			t.Fatalf("systemd is told %q, want %q", got, want)
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for got := told(); got != "STOPPING=1"; got = told() {
		if got != "WATCHDOG=1" {
			t.Fatalf("systemd is told %q while it stops", got)
		}
	}
	if err := <-p.done; err != nil {
		t.Errorf("ebb run ended with %v", err)
	}
}
