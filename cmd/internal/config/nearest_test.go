package config_test

import (
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// TestNearestKey holds what is meant by keys that are none.
func TestNearestKey(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"autoscalers[0].resource[0].name":    "autoscalers[].resources[].name",
		"autoscalers[0].max_idle_tme":        "autoscalers[].max_idle_time",
		"autoscalers[0].clearml.acces_key":   "autoscalers[].clearml.access_key",
		"autoscalers[0].regon":               "autoscalers[].aws.region",
		"autoscalers[0].foo":                 "",
		"autoscalers[0].something_else_here": "",
		"http.listn":                         "http.listen",
	} {
		if got := config.NearestKey(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
