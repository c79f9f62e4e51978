package metrics_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/ebbscale/ebb/adapters/metrics"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

// full is a scrape with a value of each metric.
func full(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	w := newWorld(t)
	w.says(fullStatus())
	w.disk = &metrics.Disk{Writable: true, Free: 1 << 30}
	w.tell(everything()...)
	w.EC2Calls(prod)("RunInstances")("ok")
	w.ClearMLCalls(prod)("tasks.get_all")("transient")
	families, err := w.Gather(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// TestCatalogIsWhatIsServed holds the catalog and a scrape together, both ways:
// name, type, help and labels.
func TestCatalogIsWhatIsServed(t *testing.T) {
	t.Parallel()

	served := make(map[string]*dto.MetricFamily)
	for _, family := range full(t) {
		if strings.HasPrefix(family.GetName(), "ebb_") {
			served[family.GetName()] = family
		}
	}
	for _, metric := range metrics.Catalog() {
		family := served[metric.Name]
		delete(served, metric.Name)
		if family == nil {
			t.Errorf("%s is in the catalog and nothing makes it", metric.Name)
			continue
		}
		if got := strings.ToLower(family.GetType().String()); got != string(metric.Type) {
			t.Errorf("%s is served as a %s, the catalog says %s", metric.Name, got, metric.Type)
		}
		var got []string
		for _, pair := range family.GetMetric()[0].GetLabel() {
			got = append(got, pair.GetName())
		}
		want := slices.Sorted(slices.Values(metric.Labels))
		if !slices.Equal(got, want) || family.GetHelp() != metric.Help {
			t.Errorf("%s is served with labels %q and help %q, the catalog says %q and %q", metric.Name, got, family.GetHelp(), want, metric.Help)
		}
	}
	for name := range served {
		t.Errorf("%s is served and not in the catalog", name)
	}
}

// TestEveryEventIsPlayed keeps the scrape above whole as events come to be: each
// kind of event that package messages has is in it.
func TestEveryEventIsPlayed(t *testing.T) {
	t.Parallel()

	played := make(map[string]bool)
	for _, event := range everything() {
		played[strings.TrimPrefix(fmt.Sprintf("%T", event), "messages.")] = true
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../../messages/eventkind.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, declaration := range file.Decls {
		method, is := declaration.(*ast.FuncDecl)
		if !is || method.Name.Name != "event" {
			continue
		}
		found++
		name := method.Recv.List[0].Type.(*ast.Ident).Name
		if !played[name] && name != "AutoscalerStopped" { // after which there is nothing to see
			t.Errorf("no event %s is played: add it, and say what it counts", name)
		}
	}
	if found == 0 {
		t.Fatal("found no event")
	}
}

// TestLint has Prometheus' own linter look at a scrape.
func TestLint(t *testing.T) {
	t.Parallel()

	problems, err := promlint.NewWithMetricFamilies(full(t)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

// TestLabelsAreBounded finds ids among the values of labels.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()

	id := regexp.MustCompile(`^(i-|r-|host:)|[0-9a-f]{12}`)
	for _, family := range full(t) {
		for _, metric := range family.GetMetric() {
			for _, pair := range metric.GetLabel() {
				if strings.HasPrefix(family.GetName(), "ebb_") && id.MatchString(pair.GetValue()) {
					t.Errorf("%s has the id %q in its label %s", family.GetName(), pair.GetValue(), pair.GetName())
				}
			}
		}
	}
}

// TestPage holds docs/metrics.md to the catalog.
// `go test ./adapters/metrics -run TestPage -update` writes its tables anew.
func TestPage(t *testing.T) {
	t.Parallel()

	const begin, end = "<!-- the catalog begins -->\n", "<!-- the catalog ends -->\n"
	path := filepath.Join("..", "..", "docs", "metrics.md")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(content), begin)
	_, tail, ends := strings.Cut(rest, end)
	if !found || !ends {
		t.Fatalf("%s has no %q … %q", path, begin, end)
	}
	want := head + begin + tables() + end + tail
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(content) != want {
		t.Errorf("%s is not what the catalog says: go test ./adapters/metrics -run TestPage -update", path)
	}
	documented := regexp.MustCompile("(?m)^\\| `(ebb_[a-z0-9_]+)`").FindAllStringSubmatch(string(content), -1)
	if len(documented) != len(metrics.Catalog()) {
		t.Errorf("%s has rows for %d metrics, the catalog has %d", path, len(documented), len(metrics.Catalog()))
	}
}

// tables is the catalog for people.
func tables() string {
	var b strings.Builder
	for _, part := range metrics.Parts() {
		fmt.Fprintf(&b, "\n## %s\n\n| metric | type | labels besides `autoscaler` | meaning | worry when |\n|---|---|---|---|---|\n", part.Title)
		for _, metric := range part.Metrics {
			var labels []string
			for _, label := range metric.Labels {
				if label != "autoscaler" {
					labels = append(labels, "`"+label+"`")
				}
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n",
				metric.Name, metric.Type, strings.Join(labels, ", "), metric.Help, metric.Worry)
		}
	}
	b.WriteString("\n")
	return b.String()
}
