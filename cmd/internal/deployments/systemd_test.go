package deployments_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/cmd/internal/app"
)

// unit gives the values of each key of ebb.service, in their order.
func unit(t *testing.T) map[string][]string {
	t.Helper()

	values := map[string][]string{}
	for line := range strings.Lines(readFile(t, "deployments", "systemd", "ebb.service")) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			values[key] = append(values[key], value)
		}
	}
	return values
}

// TestUnitFitsTheProgram compares what ebb.service says with what ebb does.
func TestUnitFitsTheProgram(t *testing.T) {
	t.Parallel()

	keys := unit(t)
	minutes := strings.TrimSuffix(keys["TimeoutStopSec"][0], "in")
	patience, err := time.ParseDuration(minutes)
	if err != nil || patience <= app.StopMax {
		t.Errorf("systemd kills ebb after %s (%v), and it may take %s to stop", patience, err, app.StopMax)
	}
	for key, want := range map[string]string{
		"Restart": "on-failure", "ExecReload": "/bin/kill -HUP $MAINPID", "ProtectSystem": "strict", "DynamicUser": "yes", "NoNewPrivileges": "yes",
		"CapabilityBoundingSet": "", "StateDirectory": "ebb",
	} {
		if got := keys[key]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if start := keys["ExecStart"][0]; !strings.HasPrefix(start, "/usr/local/bin/ebb run --config /etc/ebb/ebb.yaml") {
		t.Errorf("it starts %s", start)
	}
}

// TestUnitConfiguration has ebb read the configuration with the credentials that the
// unit loads, and no others.
func TestUnitConfiguration(t *testing.T) {
	t.Parallel()

	var credentials []string
	for _, line := range unit(t)["LoadCredential"] {
		name, path, ok := strings.Cut(line, ":")
		if !ok || path != "/etc/ebb/secrets/"+name {
			t.Errorf("credential %s", line)
		}
		credentials = append(credentials, name)
	}
	text := readFile(t, "deployments", "systemd", "ebb.yaml")
	text = strings.ReplaceAll(text, "${FILE:/run/credentials/ebb.service/", "${FILE:/run/secrets/")
	if strings.Contains(text, "/run/credentials") {
		t.Error("it names credentials of another unit")
	}
	file, err := load(t, text, nil, credentials)
	if err != nil {
		t.Fatal(err)
	}
	if file.StateDir != "/var/lib/ebb" {
		t.Errorf("the state directory is %s, and the unit's is /var/lib/ebb", file.StateDir)
	}
	for _, problem := range misfits(text, credentials) {
		t.Error(problem)
	}
}
