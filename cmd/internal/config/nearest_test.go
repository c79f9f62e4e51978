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

// TestNearestIsNear holds that a guess has most of its letters in common with what
// was written.
func TestNearestIsNear(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		word  string
		known []string
		want  string
	}{
		{"kill", []string{"keep", "idle", "all"}, ""},
		{"al", []string{"keep", "idle", "all"}, ""},
		{"alll", []string{"keep", "idle", "all"}, "all"},
		{"idel", []string{"keep", "idle", "all"}, "idle"},
		{"ssd", []string{"gp3", "st1"}, ""},
		{"b", []string{"a"}, ""},
		{"", []string{"a"}, ""},
		{"ami", []string{"ami_id"}, "ami_id"},
		{"on-demand", []string{"spot", "on_demand"}, "on_demand"},
		{"Trainingg", []string{"train", "training"}, "training"},
	} {
		if got := config.Nearest(test.word, test.known); got != test.want {
			t.Errorf("%s of %v: %q, want %q", test.word, test.known, got, test.want)
		}
	}
}
