package wizard_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/wizard"
)

// anyText draws what people, and nobody, would write.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9_./:@-]{1,12}`),
		rapid.StringN(1, 20, 60),
		rapid.SampledFrom([]string{
			"true", "no", "~", "null", "15", "1e3", "0x10", "2024-01-01", "- a", "a: b", "#x", "'", "\"", "\\", "$${ENV:X}", "#!/bin/bash\nset -e\n\techo ${HOME}\n",
			"<<", "*a", "&a", "!x", "%y", "@z", "`", "\u2028x", "x\u0085y", "\x7f", "\U0001F600", "a\r\nb", "---", "? x", "=", "{a", "[b", "a, b", "a\n  b\n c", "\n\na\n\n",
		}),
	)
}

func id(kind string) *rapid.Generator[string] { return rapid.StringMatching(kind + `-[0-9a-f]{17}`) }

func list(g *rapid.Generator[string]) *rapid.Generator[any] {
	return rapid.Map(rapid.SliceOfNDistinct(g, 1, 3, rapid.ID[string]), func(s []string) any {
		out := []any{}
		for _, e := range s {
			out = append(out, e)
		}
		return out
	})
}

// anyAnswers draws answers; those that do not fit together are for Check.
func anyAnswers(t *rapid.T) wizard.Answers {
	a := wizard.Answers{}
	maybe := func(path string, draw func() any) {
		if rapid.Bool().Draw(t, "has "+path) {
			a["autoscalers[0]."+path] = draw()
		}
	}
	text := func() any { return anyText().Draw(t, "text") }
	maps.Copy(a, small())
	a["autoscalers[0].clearml.secret_key"] = text()
	a["autoscalers[0].on_shutdown"] = rapid.SampledFrom([]string{"keep", "idle", "all"}).Draw(t, "shutdown")
	maybe("max_idle_time", func() any { return rapid.SampledFrom([]string{"1m30s", "15m", "1h30m"}).Draw(t, "idle") })
	maybe("init_script", text)
	maybe("base_docker_image", text)
	maybe("requeue_lost_tasks", func() any { return rapid.Bool().Draw(t, "requeue") })
	maybe("iam_instance_profile.name", func() any { return rapid.StringMatching(`[A-Za-z0-9_+=,.@-]{1,20}`).Draw(t, "profile") })
	if rapid.Bool().Draw(t, "git") {
		a["autoscalers[0].git.user"], a["autoscalers[0].git.password"] = text(), text()
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "resources") {
		at := fmt.Sprintf("resources[%d].", i)
		for path, v := range small() {
			if rest, ok := strings.CutPrefix(path, "autoscalers[0].resources[0]."); ok {
				a["autoscalers[0]."+at+rest] = v
			}
		}
		a["autoscalers[0]."+at+"name"] = fmt.Sprintf("r%d", i)
		a["autoscalers[0]."+at+"queues"] = list(rapid.OneOf(rapid.StringMatching(`[a-z]{3,9}`), anyText())).Draw(t, "queues")
		a["autoscalers[0]."+at+"max_instances"] = rapid.IntRange(1, 99).Draw(t, "most")
		a["autoscalers[0]."+at+"subnets"] = list(id("subnet")).Draw(t, "subnets")
		a["autoscalers[0]."+at+"volumes[0].size_gb"] = rapid.IntRange(1, 99).Draw(t, "size")
		maybe(at+"key_pair", text)
		maybe(at+"cpu_only", func() any { return rapid.Bool().Draw(t, "cpu") })
		maybe(at+"security_groups", func() any { return list(id("sg")).Draw(t, "groups") })
		maybe(at+"tags", func() any {
			tags := map[string]any{}
			for key, v := range rapid.MapOfN(anyText(), anyText(), 1, 3).Draw(t, "tags") {
				tags[key] = v
			}
			return tags
		})
	}
	return a
}

// compiled is the JSON Schema of the file.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("ebb.schema.json", document); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("ebb.schema.json")
}

// fits reads YAML as an editor does.
func fits(s *jsonschema.Schema, text []byte) error {
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		return err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(document)
}

// TestWriteGivesWhatWasAnswered holds that a file written from answers that are right
// loads, and loads as these answers.
func TestWriteGivesWhatWasAnswered(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	schema := compiled(t)
	right := 0
	rapid.Check(t, func(t *rapid.T) {
		a := anyAnswers(t)
		if len(wizard.Check(a)) > 0 {
			return
		}
		right++
		w, err := wizard.Write(a, wizard.Options{InlineSecrets: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := fits(schema, w.YAML); err != nil {
			t.Fatalf("an editor would find fault: %v\n%s", err, w.YAML)
		}
		path := filepath.Join(directory, "ebb.yaml")
		if err := os.WriteFile(path, w.YAML, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := config.Load(config.Source{Path: path})
		if err != nil {
			t.Fatalf("%v\n%s", err, w.YAML)
		}
		back, err := wizard.FromFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for path := range a {
			k, _ := config.KeyAt(path)
			given := wizard.Answers{}
			given.Set(path, a.Text(path))
			if got, want := back.Text(path), a.Text(path); got != want && want != k.Default && got != given.Text(path) {
				t.Fatalf("%s was %q and is %q\n%s", path, want, got, w.YAML)
			}
		}
	})
	if right < 10 {
		t.Errorf("of all answers only %d were right", right)
	}
}
