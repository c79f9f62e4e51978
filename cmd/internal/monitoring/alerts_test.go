package monitoring_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const alertsFolder = root + "/deployments/alerts"

type rules struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

type stories struct {
	Tests []struct {
		Name   string
		Series []struct{ Series string } `yaml:"input_series"`
		Asks   []struct {
			Expr    string
			Samples []struct{ Labels string } `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	}
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func alerts(t *testing.T) []rule {
	t.Helper()
	var all rules
	readYAML(t, alertsFolder+"/ebb.rules.yaml", &all)
	var list []rule
	for _, group := range all.Groups {
		list = append(list, group.Rules...)
	}
	if len(list) == 0 {
		t.Fatal("found no alert")
	}
	return list
}

// TestAlerts: each alert asks for what there is, and says what an operator needs.
func TestAlerts(t *testing.T) {
	t.Parallel()

	for _, a := range alerts(t) {
		for _, wrong := range faults(a.Expr) {
			t.Errorf("%s: %s", a.Alert, wrong)
		}
		if severity := a.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s has the severity %q", a.Alert, severity)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s has no summary or no description", a.Alert)
		}
		want := "https://github.com/ebbscale/ebb/blob/main/docs/runbooks/" + a.Alert + ".md"
		if got := a.Annotations["runbook_url"]; got != want {
			t.Errorf("%s has the runbook_url %q, want %q", a.Alert, got, want)
		}
	}
}

// TestRunbooks: each alert has a page with all its parts, in the index too, and no
// page is of an alert that is not there.
func TestRunbooks(t *testing.T) {
	t.Parallel()

	folder := filepath.Join(root, "docs", "runbooks")
	index, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"README.md"}
	for _, a := range alerts(t) {
		want = append(want, a.Alert+".md")
		page, err := os.ReadFile(filepath.Join(folder, a.Alert+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		at := 0
		for _, part := range []string{
			"# " + a.Alert + "\n", "\n## What it means\n", "\n## What it costs\n", "\n## How to look\n", "\n## What to do\n", "\n## When it clears\n",
		} {
			next := strings.Index(string(page)[at:], part)
			if next < 0 {
				t.Errorf("the runbook of %s has no %q, or not in its place", a.Alert, part)
				break
			}
			at += next
		}
		if !strings.Contains(string(index), "["+a.Alert+"]("+a.Alert+".md)") {
			t.Errorf("docs/runbooks/README.md does not have %s", a.Alert)
		}
		for _, link := range regexp.MustCompile(`\]\(([^):#]+)\)`).FindAllStringSubmatch(string(page), -1) {
			if _, err := os.Stat(filepath.Join(folder, link[1])); err != nil {
				t.Errorf("the runbook of %s links to %s: %v", a.Alert, link[1], err)
			}
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !slices.Contains(want, entry.Name()) {
			t.Errorf("docs/runbooks/%s is of no alert", entry.Name())
		}
	}
}

// TestStories: each alert has a story in which it fires and one in which it does not,
// told with metrics that there are. promtool plays them.
func TestStories(t *testing.T) {
	t.Parallel()

	var all stories
	readYAML(t, alertsFolder+"/ebb.tests.yaml", &all)
	fires, quiet := make(map[string]bool), make(map[string]bool)
	for _, story := range all.Tests {
		for _, s := range story.Series {
			for _, wrong := range faults(s.Series) {
				t.Errorf("%s: %s", story.Name, wrong)
			}
		}
		name, _, _ := strings.Cut(story.Name, " ")
		for _, asked := range story.Asks {
			if want := fmt.Sprintf(`ALERTS{alertname="%s", alertstate="firing"}`, name); asked.Expr != want {
				t.Errorf("%s asks %s, want %s", story.Name, asked.Expr, want)
			}
			if len(asked.Samples) > 0 {
				fires[name] = true
			} else {
				quiet[name] = true
			}
		}
	}
	for _, a := range alerts(t) {
		if !fires[a.Alert] || !quiet[a.Alert] {
			t.Errorf("%s fires in a story: %t, stays quiet in one: %t; both are wanted", a.Alert, fires[a.Alert], quiet[a.Alert])
		}
		delete(fires, a.Alert)
		delete(quiet, a.Alert)
	}
	for name := range fires {
		t.Errorf("there are stories of %s, which is no alert", name)
	}
	for name := range quiet {
		t.Errorf("there are stories of %s, which is no alert", name)
	}
}
