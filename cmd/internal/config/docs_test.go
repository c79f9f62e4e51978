package config_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// TestDocs holds that docs/configuration.md has a row for every key, and the example
// as it stands.
func TestDocs(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	for _, key := range keys(reflect.TypeFor[config.File](), "") {
		if !strings.Contains(doc, "| `"+key+"` |") {
			t.Errorf("no row for %s", key)
		}
	}
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(doc, "```yaml\n"+string(example)+"```\n") {
		t.Error("the example differs from deployments/examples/ebb.yaml")
	}
}

// TestExampleHasEveryKey finds each key in the example, if only in a comment.
func TestExampleHasEveryKey(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys(reflect.TypeFor[config.File](), "") {
		last := key[strings.LastIndex(key, ".")+1:]
		if key == "autoscalers[].queues[].queue" || key == "autoscalers[].queues[].resources" {
			continue // the example has the short form, queue: [resources]
		}
		if !strings.Contains(string(example), last+":") {
			t.Errorf("the example lacks %s", key)
		}
	}
}

// keys lists the keys of a type's leaves, as the documentation writes them.
func keys(t reflect.Type, path string) []string {
	switch {
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return keys(t.Elem(), path+"[]")
	case t.Kind() != reflect.Struct:
		return []string{path}
	}
	var out []string
	for field := range t.Fields() {
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if path != "" {
			key = path + "." + key
		}
		out = append(out, keys(field.Type, key)...)
	}
	return out
}
