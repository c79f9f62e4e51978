package bus_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

const (
	asyncapiFile = "../docs/asyncapi.yaml"
	eventsFile   = "../docs/events.md"
	exampleDir   = "../messages/testdata/events"
)

// asyncAPI is the part of docs/asyncapi.yaml that these tests look at.
type asyncAPI struct {
	AsyncAPI string `yaml:"asyncapi"`
	Channels map[string]struct {
		Address    string               `yaml:"address"`
		Parameters map[string]reference `yaml:"parameters"`
		Messages   map[string]reference `yaml:"messages"`
	} `yaml:"channels"`
	Operations map[string]struct {
		Action   string      `yaml:"action"`
		Channel  reference   `yaml:"channel"`
		Messages []reference `yaml:"messages"`
	} `yaml:"operations"`
	Components struct {
		Messages map[string]struct {
			Name        string `yaml:"name"`
			ContentType string `yaml:"contentType"`
			Examples    []struct {
				Headers map[string]string `yaml:"headers"`
				Payload any               `yaml:"payload"`
			} `yaml:"examples"`
		} `yaml:"messages"`
		Schemas map[string]struct {
			Required   []string       `yaml:"required"`
			Properties map[string]any `yaml:"properties"`
		} `yaml:"schemas"`
	} `yaml:"components"`
}

type reference struct {
	Ref string `yaml:"$ref"`
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readAsyncAPI(t *testing.T) asyncAPI {
	t.Helper()
	var api asyncAPI
	if err := yaml.Unmarshal(readFile(t, asyncapiFile), &api); err != nil {
		t.Fatal(err)
	}
	return api
}

// exampleOf is the documented data of a kind, and the event it is.
func exampleOf(t *testing.T, kind string) ([]byte, messages.Event) {
	t.Helper()
	data := readFile(t, filepath.Join(exampleDir, kind+".json"))
	event, err := messages.DecodeEvent(kind, data)
	if err != nil {
		t.Fatal(err)
	}
	return data, event
}

func sortedKinds() []string {
	kinds := messages.EventKinds()
	slices.Sort(kinds)
	return kinds
}

func TestAsyncAPIListsEveryEvent(t *testing.T) {
	t.Parallel()
	api := readAsyncAPI(t)
	if api.AsyncAPI != "3.0.0" {
		t.Errorf("asyncapi version %q", api.AsyncAPI)
	}
	kinds := sortedKinds()
	for what, got := range map[string][]string{
		"channels":            slices.Sorted(maps.Keys(api.Channels)),
		"components.messages": slices.Sorted(maps.Keys(api.Components.Messages)),
	} {
		if !slices.Equal(got, kinds) {
			t.Errorf("%s are %v\nwant %v", what, got, kinds)
		}
	}
	if len(api.Operations) != len(kinds) {
		t.Errorf("%d operations for %d kinds", len(api.Operations), len(kinds))
	}
	for _, kind := range kinds {
		channel := api.Channels[kind]
		for _, autoscaler := range []messages.AutoscalerName{"prod", "my prod.eu"} {
			address := strings.ReplaceAll(channel.Address, "{autoscaler}", bus.EscapeToken(string(autoscaler)))
			if want := bus.EventSubject(autoscaler, kind); address != want {
				t.Errorf("channel %s has address %s, events go to %s", kind, address, want)
			}
		}
		if channel.Parameters["autoscaler"].Ref != "#/components/parameters/autoscaler" ||
			channel.Messages[kind].Ref != "#/components/messages/"+kind {
			t.Errorf("channel %s refers to %v and %v", kind, channel.Parameters, channel.Messages)
		}
		operation := api.Operations["publish."+kind]
		if operation.Action != "send" || operation.Channel.Ref != "#/channels/"+kind ||
			len(operation.Messages) != 1 || operation.Messages[0].Ref != "#/channels/"+kind+"/messages/"+kind {
			t.Errorf("operation publish.%s is %+v", kind, operation)
		}
	}
}

// The example of each message is the very event of messages/testdata, as the
// bus writes it, and the schema of its payload agrees.
func TestAsyncAPIExamples(t *testing.T) {
	t.Parallel()
	api := readAsyncAPI(t)
	compiler := asyncAPICompiler(t)
	for _, kind := range sortedKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			message := api.Components.Messages[kind]
			if message.Name != kind || message.ContentType != bus.ContentType || len(message.Examples) != 1 {
				t.Fatalf("message %+v: want its name, its content type and one example", message)
			}
			payload, err := json.Marshal(message.Examples[0].Payload)
			if err != nil {
				t.Fatal(err)
			}
			envelope, err := bus.DecodeEvent(payload)
			if err != nil {
				t.Fatal(err)
			}
			data, event := exampleOf(t, kind)
			if !reflect.DeepEqual(envelope.Event, event) || envelope.About != event.About() {
				t.Errorf("the example is %+v\nwant %+v", envelope, event)
			}
			sameJSON(t, envelope.Data, data)
			written, err := bus.EncodeEvent(envelope.Recorded)
			if err != nil {
				t.Fatal(err)
			}
			sameJSON(t, written, payload)
			headers := message.Examples[0].Headers
			if headers["Nats-Msg-Id"] != envelope.ID || headers["Content-Type"] != bus.ContentType {
				t.Errorf("headers %v", headers)
			}
			validateExample(t, compiler, kind, payload)
		})
	}
}

// asyncAPICompiler compiles schemas out of the AsyncAPI file.
func asyncAPICompiler(t *testing.T) func(pointer string) *jsonschema.Schema {
	t.Helper()
	var document any
	if err := yaml.Unmarshal(readFile(t, asyncapiFile), &document); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiled := map[string]*jsonschema.Schema{}
	for _, kind := range sortedKinds() {
		for _, pointer := range []string{"/components/messages/" + kind + "/payload"} {
			compiler := jsonschema.NewCompiler()
			compiler.DefaultDraft(jsonschema.Draft7)
			compiler.AssertFormat()
			if err := compiler.AddResource("asyncapi.json", whole); err != nil {
				t.Fatal(err)
			}
			if compiled[pointer], err = compiler.Compile("asyncapi.json#" + pointer); err != nil {
				t.Fatal(err)
			}
		}
	}
	return func(pointer string) *jsonschema.Schema { return compiled[pointer] }
}

// validateExample wants the schema to take the example, and to refuse it with
// another type, without its data, and with each required field gone.
func validateExample(t *testing.T, compiled func(string) *jsonschema.Schema, kind string, payload []byte) {
	t.Helper()
	schema := compiled("/components/messages/" + kind + "/payload")
	fresh := func() map[string]any {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
		if err != nil {
			t.Fatal(err)
		}
		object, ok := value.(map[string]any)
		if !ok {
			t.Fatalf("the example is a %T", value)
		}
		return object
	}
	if err := schema.Validate(fresh()); err != nil {
		t.Errorf("the schema refuses the example: %v", err)
	}
	other := fresh()
	other["type"] = "ebb.v1.instance.beamed"
	if schema.Validate(other) == nil {
		t.Error("the schema takes another type")
	}
	for _, attribute := range []string{"specversion", "id", "source", "type", "time", "data"} {
		less := fresh()
		delete(less, attribute)
		if schema.Validate(less) == nil {
			t.Errorf("the schema does not miss %s", attribute)
		}
	}
	data, ok := fresh()["data"].(map[string]any)
	if !ok {
		t.Fatal("data is no object")
	}
	for field := range data {
		wrong := fresh()
		changed, _ := wrong["data"].(map[string]any)
		changed[field] = []any{map[string]any{"no": "such thing"}}
		if schema.Validate(wrong) == nil {
			t.Errorf("the schema takes nonsense for data.%s", field)
		}
	}
}

// The schema of each event has exactly the fields of its struct, and requires
// those that are always written.
func TestAsyncAPISchemasAreTheStructs(t *testing.T) {
	t.Parallel()
	api := readAsyncAPI(t)
	types := map[string]reflect.Type{
		"Offering": reflect.TypeFor[messages.Offering](),
		"Reason":   reflect.TypeFor[messages.Reason](),
	}
	for _, kind := range sortedKinds() {
		_, event := exampleOf(t, kind)
		types[reflect.TypeOf(event).Name()] = reflect.TypeOf(event)
	}
	if want := len(types) + 2; len(api.Components.Schemas) != want { // and Headers, CloudEvent
		t.Errorf("%d schemas, want %d", len(api.Components.Schemas), want)
	}
	for name, typed := range types {
		schema, ok := api.Components.Schemas[name]
		if !ok {
			t.Errorf("no schema %s", name)
			continue
		}
		all, always := jsonFields(typed)
		if got := slices.Sorted(maps.Keys(schema.Properties)); !slices.Equal(got, slices.Sorted(slices.Values(all))) {
			t.Errorf("schema %s has %v, the struct %v", name, got, all)
		}
		if !slices.Equal(schema.Required, always) {
			t.Errorf("schema %s requires %v, the struct always writes %v", name, schema.Required, always)
		}
	}
}

// jsonFields are the fields of a struct by their JSON names, and those of them
// that are always written.
func jsonFields(typed reflect.Type) (all, always []string) {
	for field := range typed.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		all = append(all, name)
		if options == "" {
			always = append(always, name)
		}
	}
	return all, always
}

// sameJSON compares without regard to order and white space.
func sameJSON(t *testing.T, got, want []byte) {
	t.Helper()
	var gotValue, wantValue any
	if err := json.Unmarshal(got, &gotValue); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(want, &wantValue); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(gotValue, wantValue) {
		t.Errorf("JSON\n got %s\nwant %s", got, want)
	}
}

func TestEventsPageDescribesEveryEvent(t *testing.T) {
	t.Parallel()
	page := string(readFile(t, eventsFile))
	headings := strings.Count(page, "\n### ")
	if headings != len(messages.EventKinds()) {
		t.Errorf("%d headings for %d kinds", headings, len(messages.EventKinds()))
	}
	for _, kind := range sortedKinds() {
		_, section, ok := strings.Cut(page, "\n### "+kind+"\n")
		if !ok {
			t.Errorf("no section about %s", kind)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		section, _, _ = strings.Cut(section, "\n### ")
		data, event := exampleOf(t, kind)
		if !strings.Contains(section, "```json\n"+string(data)+"```") {
			t.Errorf("the example of %s is not that of %s", kind, exampleDir)
		}
		var rows []string
		for line := range strings.Lines(section) {
			if row, ok := strings.CutPrefix(line, "| `"); ok {
				name, _, _ := strings.Cut(row, "`")
				rows = append(rows, name)
			}
		}
		if all, _ := jsonFields(reflect.TypeOf(event)); !slices.Equal(rows, all) {
			t.Errorf("section %s explains %v, the event has %v", kind, rows, all)
		}
		if anchor := "[`" + kind + "`](#" + strings.ReplaceAll(kind, ".", "") + ")"; !strings.Contains(page, anchor) {
			t.Errorf("the list of all events lacks %s", anchor)
		}
	}
}

func TestEventsPageExplainsEveryCode(t *testing.T) {
	t.Parallel()
	page, api := string(readFile(t, eventsFile)), string(readFile(t, asyncapiFile))
	for heading, codes := range map[string][]string{
		"Reasons":         stringConstants(t, "../messages/event.go", "ReasonCode"),
		"Failure classes": stringConstants(t, "../messages/ec2.go", "FailureClass"),
	} {
		if len(codes) < 10 {
			t.Fatalf("only the codes %v found", codes)
		}
		_, section, _ := strings.Cut(page, "\n## "+heading+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		if at := strings.LastIndex(section, "|---|"); at >= 0 {
			section = section[at:] // the last table
		}
		if got := strings.Count(section, "\n| `"); got != len(codes) {
			t.Errorf("%s: %d rows for %d codes", heading, got, len(codes))
		}
		for _, code := range codes {
			if !strings.Contains(section, "\n| `"+code+"` | ") {
				t.Errorf("%s: no row for %s", heading, code)
			}
		}
		if list := "examples: [" + strings.Join(codes, ", ") + "]"; !strings.Contains(api, list) {
			t.Errorf("%s lacks %s", asyncapiFile, list)
		}
	}
}

// stringConstants are the values of all constants of a type in a file.
func stringConstants(t *testing.T, path, typeName string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if named, ok := spec.Type.(*ast.Ident); !ok || named.Name != typeName {
			return true
		}
		for _, value := range spec.Values {
			text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, text)
		}
		return true
	})
	return values
}
