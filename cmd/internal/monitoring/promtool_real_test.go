//go:build real

package monitoring_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// promtool runs Prometheus' own tool; that it is missing is a failure.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is missing: apt-get install --no-install-recommends prometheus")
	}
	if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %q: %v\n%s", args, err, out)
	}
}

// TestPromtoolRules has Prometheus read the alerts and play their stories.
func TestPromtoolRules(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", alertsFolder+"/ebb.rules.yaml")
	promtool(t, "test", "rules", alertsFolder+"/ebb.tests.yaml")
}

// TestPromtoolBoard has Prometheus parse each expression of the board, as a rule.
func TestPromtoolBoard(t *testing.T) {
	t.Parallel()

	type recording struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	type group struct {
		Name  string      `yaml:"name"`
		Rules []recording `yaml:"rules"`
	}
	expressions := readBoard(t).expressions()
	g := group{Name: "board"}
	for n, who := range slices.Sorted(maps.Keys(expressions)) {
		g.Rules = append(g.Rules, recording{Record: "board:" + string(rune('a'+n/26)) + string(rune('a'+n%26)), Expr: expressions[who]})
	}
	content, err := yaml.Marshal(map[string][]group{"groups": {g}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "board.yaml")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", path)
}
