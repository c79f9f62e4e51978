package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	from := config.Autoscaler{
		Name: "prod", MaxIdleTime: 15 * time.Minute, ClearML: config.ClearML{AccessKey: "A", SecretKey: "hunter2"},
		Resources: []config.Resource{{Name: "a", MaxInstances: 4, Tags: map[string]string{"x": "1"}}, {Name: "b"}, {Name: "c"}},
		Queues:    []config.Queue{{Queue: "q", Resources: []string{"a", "b"}}},
	}
	to := config.Autoscaler{
		Name: "prod", MaxIdleTime: 90 * time.Second, ClearML: config.ClearML{AccessKey: "A", SecretKey: "hunter3"},
		Resources: []config.Resource{{Name: "c"}, {Name: "a", MaxInstances: 2, InitScript: "echo hunter4"}, {Name: "d"}},
		Queues:    []config.Queue{{Queue: "q", Resources: []string{"b"}}},
	}
	want := []string{
		"clearml.secret_key: changed",
		"max_idle_time: 15m → 1m30s",
		"resources[a].max_instances: 4 → 2",
		"resources[a].tags: map[x:1] → nothing",
		"resources[a].init_script: changed",
		"resources[b]: removed",
		"resources[d]: added",
		"resources: in another order: c, a, d",
		"queues[q].resources: [a b] → [b]",
	}
	if got := config.Diff(from, to); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Goal: a difference is never missed, and no secret is ever shown.
func TestDiffSeesEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from, to := anyFile(t), anyFile(t)
		if lines := config.Diff(from, from); len(lines) > 0 {
			t.Fatalf("of itself: %q", lines)
		}
		one, err := config.Export(from, config.YAML, true)
		if err != nil {
			t.Fatal(err)
		}
		two, err := config.Export(to, config.YAML, true)
		if err != nil {
			t.Fatal(err)
		}
		lines := config.Diff(from, to)
		if string(one) != string(two) && len(lines) == 0 {
			t.Errorf("nothing differs between\n%s\nand\n%s", one, two)
		}
	})
}
