package monitoring_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/adapters/metrics"
)

const root = "../../.."

// foreign are metrics that are not ebb's, and what Prometheus adds to each series.
func foreign() []string {
	return []string{"up", "ALERTS", "process_cpu_seconds_total", "process_resident_memory_bytes", "go_goroutines"}
}

func targetLabels() []string { return []string{"job", "instance", "alertname", "alertstate"} }

// series are all names that ebb serves, with their labels.
func series() map[string][]string {
	all := make(map[string][]string)
	for _, metric := range metrics.Catalog() {
		labels := slices.Concat(metric.Labels, targetLabels())
		all[metric.Name] = labels
		if metric.Type == metrics.Histogram {
			delete(all, metric.Name)
			for _, part := range []string{"_sum", "_count"} {
				all[metric.Name+part] = labels
			}
			all[metric.Name+"_bucket"] = append(labels, "le")
		}
	}
	for _, name := range foreign() {
		all[name] = slices.Concat(targetLabels(), []string{"autoscaler"})
	}
	return all
}

// faults are the metrics and labels of an expression that nobody serves.
func faults(expression string) []string {
	all, known := series(), make(map[string]bool)
	for _, labels := range all {
		for _, label := range labels {
			known[label] = true
		}
	}
	var wrong []string
	text := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(expression, `""`)
	// What is in braces belongs to the name before it; what is in by (…) and its like
	// to some metric.
	for _, found := range regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\{([^}]*)\}`).FindAllStringSubmatch(text, -1) {
		for _, label := range regexp.MustCompile(`([a-z_]+)\s*[=!]`).FindAllStringSubmatch(found[2], -1) {
			if !slices.Contains(all[found[1]], label[1]) {
				wrong = append(wrong, found[1]+" has no label "+label[1])
			}
		}
	}
	text = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(text, "")
	grouping := regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	for _, found := range grouping.FindAllStringSubmatch(text, -1) {
		for _, label := range regexp.MustCompile(`[a-z_]+`).FindAllString(found[2], -1) {
			if !known[label] {
				wrong = append(wrong, "no metric has the label "+label)
			}
		}
	}
	text = grouping.ReplaceAllString(text, "")
	names := 0
	for _, at := range regexp.MustCompile(`[a-zA-Z_][a-zA-Z0-9_]*`).FindAllStringIndex(text, -1) {
		name := text[at[0]:at[1]]
		switch {
		case all[name] != nil:
			names++
		case strings.HasPrefix(name, "ebb_"), strings.HasPrefix(name, "go_"), strings.HasPrefix(name, "process_"):
			wrong = append(wrong, "nobody serves "+name)
		}
	}
	if names == 0 {
		wrong = append(wrong, "it asks for no metric")
	}
	return wrong
}

// TestFaultsBite: a check that lets everything pass holds nothing.
func TestFaultsBite(t *testing.T) {
	t.Parallel()

	for expression, fine := range map[string]bool{
		`sum by (autoscaler) (ebb_acting)`:                                                  true,
		`histogram_quantile(0.9, sum by (le) (rate(ebb_boot_seconds_bucket{job="x"}[5m])))`: true,
		`ebb_instances{autoscaler=~"a|b", condition!="idle"} > 0`:                           true,
		`max(ebb_queue_tasks_waiting) by (queue)`:                                           true,
		`sum(ebb_actings)`:                                 false,
		`rate(ebb_boot_seconds[5m])`:                       false,
		`ebb_acting{queue="x"}`:                            false,
		`sum by (que) (ebb_queue_tasks_waiting)`:           false,
		`ebb_queue_tasks_waiting * on (flavor) ebb_acting`: false,
		`1 + 1`:        false,
		`go_gorutines`: false,
	} {
		if wrong := faults(expression); (len(wrong) == 0) != fine {
			t.Errorf("%s: %q", expression, wrong)
		}
	}
}
