package config_test

import (
	"slices"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// TestUnheeded asks for everything that is not acted on, and for none of it.
func TestUnheeded(t *testing.T) {
	t.Parallel()
	f := load(t, config.Source{Path: "testdata/good/full.yaml", Environ: []string{
		"EBB_AUTOSCALERS__PROD__WARN_DUPLICATE_TASKS=true",
		"EBB_AUTOSCALERS__PROD__RESOURCES__GPU_BIG__ON_DEMAND_FALLBACK__ENABLED=true",
	}})
	var got []string
	for _, n := range f.Unheeded() {
		got = append(got, n.String())
	}
	const said = ": accepted, but this version does not act on it yet"
	want := []string{
		"autoscalers[0].warn_duplicate_tasks" + said,
		"autoscalers[0].resources[1].on_demand_fallback.enabled" + said,
		"autoscalers[1].max_lifetime" + said,
		"autoscalers[1].requeue_lost_tasks" + said,
	}
	if !slices.Equal(got, want) {
		t.Errorf("notes are %q, want %q", got, want)
	}
	example := load(t, config.Source{Path: exampleFile, Environ: exampleEnviron()})
	if notes := example.Unheeded(); len(notes) > 0 {
		t.Errorf("the example asks for what is not done: %v", notes)
	}
}
