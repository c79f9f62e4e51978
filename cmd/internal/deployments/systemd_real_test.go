//go:build real && linux

package deployments_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exposureMax is the most that `systemd-analyze security` may count, in tenths: 0 is
// nothing within reach, 100 is everything. From 20 on it says "medium".
const exposureMax = "15"

// install writes the unit as it would lie on a machine, with a program that is there in
// the place of ebb.
func install(t *testing.T, text string) string {
	t.Helper()

	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ebb.service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "/usr/local/bin/ebb", program)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// complaints are what systemd-analyze verify says about the unit itself.
func complaints(t *testing.T, path string) []string {
	t.Helper()

	out, err := tool(t, "systemd-analyze", "verify", "--man=no", path)
	var about []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "ebb.service") {
			about = append(about, line)
		}
	}
	if err != nil && len(about) == 0 {
		t.Fatalf("systemd-analyze verify: %v\n%s", err, out)
	}
	return about
}

// TestUnitIsValid has systemd read the unit: no key that it does not know, no value
// that it refuses.
func TestUnitIsValid(t *testing.T) {
	t.Parallel()

	text := readFile(t, "deployments", "systemd", "ebb.service")
	if about := complaints(t, install(t, text)); len(about) > 0 {
		t.Errorf("systemd-analyze verify: %s", about)
	}
	for from, to := range map[string]string{"ProtectSystem=strict": "ProtectSytem=strict", "TimeoutStopSec=5min": "TimeoutStopSec=soon"} {
		if about := complaints(t, install(t, strings.Replace(text, from, to, 1))); len(about) == 0 {
			t.Errorf("%s instead of %s is not found out", to, from)
		}
	}
}

// TestUnitIsHardened has systemd count what the service could do.
func TestUnitIsHardened(t *testing.T) {
	t.Parallel()

	text := readFile(t, "deployments", "systemd", "ebb.service")
	security := func(text string) (string, error) {
		return tool(t, "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold="+exposureMax, install(t, text))
	}
	if out, err := security(text); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
	for _, line := range []string{"CapabilityBoundingSet=\n", "RestrictNamespaces=yes\n", "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("the unit has no %s", line)
		}
		if _, err := security(strings.Replace(text, line, "", 1)); err == nil {
			t.Errorf("a unit without %s passes", line)
		}
	}
}
