package monitoring_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// board is what is read of a Grafana board.
type board struct {
	Title       string
	Panels      []panel
	Annotations struct{ List []struct{ Expr string } }
	Templating  struct {
		List []struct{ Name, Type, Definition string }
	}
}

type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ H, W, X, Y int }
	Targets []struct {
		RefID string
		Expr  string
	}
	Datasource struct{ UID string }
}

func readBoard(t *testing.T) board {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "deployments", "grafana", "ebb.json"))
	if err != nil {
		t.Fatal(err)
	}
	var b board
	if err := json.Unmarshal(content, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// expressions are all that a board asks, as Prometheus gets them, by who asks.
func (b board) expressions() map[string]string {
	filled := strings.NewReplacer("$__rate_interval", "5m", "$autoscaler", ".*", "$resource", ".*")
	all := make(map[string]string)
	for _, p := range b.Panels {
		for _, target := range p.Targets {
			all[p.Title+" "+target.RefID] = filled.Replace(target.Expr)
		}
	}
	for _, annotation := range b.Annotations.List {
		all["annotation"] = filled.Replace(annotation.Expr)
	}
	for _, variable := range b.Templating.List {
		if found := regexp.MustCompile(`^label_values\((.*), ([a-z_]+)\)$`).FindStringSubmatch(variable.Definition); found != nil {
			all["variable "+variable.Name] = "count by (" + found[2] + ") (" + filled.Replace(found[1]) + ")"
		}
	}
	return all
}

// TestBoard: each panel asks for what there is, of the data source and autoscaler that
// are chosen, and none lies over another.
func TestBoard(t *testing.T) {
	t.Parallel()

	b := readBoard(t)
	for who, expression := range b.expressions() {
		for _, wrong := range faults(expression) {
			t.Errorf("%s: %s: %s", who, wrong, expression)
		}
		if strings.Contains(expression, "$") {
			t.Errorf("%s has a variable that the board does not: %s", who, expression)
		}
	}
	ids, taken := make(map[int]bool), make(map[[2]int]string)
	for _, p := range b.Panels {
		if ids[p.ID] {
			t.Errorf("%s has the id %d of another panel", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && (len(p.Targets) == 0 || p.Datasource.UID != "${datasource}") {
			t.Errorf("%s has %d questions for the data source %q", p.Title, len(p.Targets), p.Datasource.UID)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies over %q at %d, %d, or beside the board", p.Title, other, x, y)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	for _, name := range []string{"datasource", "autoscaler", "resource"} {
		found := false
		for _, variable := range b.Templating.List {
			found = found || variable.Name == name
		}
		if !found {
			t.Errorf("the board has no variable %s", name)
		}
	}
}
