package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

// exchanges are the types of the request and the answer of each verb.
func exchanges() map[string][2]any {
	return map[string][2]any{
		control.VerbStatus:       {&control.StatusRequest{}, &control.Status{}},
		control.VerbExplain:      {&control.ExplainRequest{}, &control.Explanation{}},
		control.VerbPause:        {&control.PauseRequest{}, &control.Done{}},
		control.VerbResume:       {&control.ResumeRequest{}, &control.Done{}},
		control.VerbDrain:        {&control.DrainRequest{}, &control.Done{}},
		control.VerbShutdownIdle: {&control.ShutdownIdleRequest{}, &control.Done{}},
		control.VerbReload:       {&control.ReloadRequest{}, &control.Reloaded{}},
	}
}

// page reads docs/control.md by sections: what stands under each second-level
// heading.
func page(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]string)
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		sections[strings.Trim(title, "`")] = body
	}
	return sections
}

// example is the JSON block behind a word of a section.
func example(section, word string) string {
	_, rest, _ := strings.Cut(section, word+"\n\n```json\n")
	text, _, _ := strings.Cut(rest, "\n```")
	return text
}

func strictly(text string, into any) error {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// TestPage holds docs/control.md to the program: every verb has a section, with
// every field of its request, a request that is accepted and an answer that is
// one.
func TestPage(t *testing.T) {
	t.Parallel()
	sections := page(t)
	handlers := control.Handlers("prod", &fakeEngine{status: world()})
	if verbs := slices.Sorted(maps.Keys(handlers)); !slices.Equal(verbs, slices.Sorted(maps.Keys(exchanges()))) {
		t.Errorf("the verbs are %v, and this test knows %v", verbs, slices.Sorted(maps.Keys(exchanges())))
	}
	for verb, types := range exchanges() {
		section, there := sections[verb]
		if !there {
			t.Errorf("docs/control.md has no section on %s", verb)
			continue
		}
		request, answer := example(section, "Request:"), example(section, "Answer:")
		if err := strictly(request, types[0]); err != nil {
			t.Errorf("%s: the request is no %T: %v", verb, types[0], err)
		}
		if _, err := handlers[verb](context.Background(), []byte(request)); err != nil {
			t.Errorf("%s: the request is refused: %v", verb, err)
		}
		if err := strictly(answer, types[1]); err != nil {
			t.Errorf("%s: the answer is no %T: %v", verb, types[1], err)
		}
		for field := range reflect.TypeOf(types[0]).Elem().Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !strings.Contains(section, "| `"+name+"` |") {
				t.Errorf("%s: the field %s has no row", verb, name)
			}
		}
	}
	failure := messages.Failure{}
	if err := strictly(example(sections["Failures"], "both as JSON:"), &failure); err != nil || failure.Class == "" {
		t.Errorf("the failure is none: %v", err)
	}
	whole, err := os.ReadFile("../../../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{bus.ControlSubject("prod", control.VerbStatus), bus.ControlSubject("prod", control.VerbPause), bus.ControlSubject("prod", control.VerbDrain)} {
		if !strings.Contains(string(whole), subject) {
			t.Errorf("the page does not name %s", subject)
		}
	}
}

// TestPageShowsTheWhole holds the example of a status to have every field that is
// there in ordinary life.
func TestPageShowsTheWhole(t *testing.T) {
	t.Parallel()
	var shown map[string]any
	if err := json.Unmarshal([]byte(example(page(t)[control.VerbStatus], "Answer:")), &shown); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		of   string
		kind reflect.Type
		got  any
		rare []string // named in the text
	}{
		{"status", reflect.TypeFor[messages.Status](), shown, []string{"stopping", "silent"}},
		{"queue", reflect.TypeFor[messages.QueueStatus](), shown["queues"].([]any)[0], nil},
		{"resource type", reflect.TypeFor[messages.ResourceStatus](), shown["resources"].([]any)[0], []string{"retired", "held"}},
		{"instance", reflect.TypeFor[messages.InstanceStatus](), shown["instances"].([]any)[0], []string{"reasons", "notice"}},
	} {
		fields := c.got.(map[string]any)
		for field := range c.kind.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if _, there := fields[name]; !there && !slices.Contains(c.rare, name) {
				t.Errorf("the example of a %s has no %s", c.of, name)
			}
		}
	}
}
