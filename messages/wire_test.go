package messages_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/messages"
)

const exampleDir = "testdata/events"

// example is the documented example of a kind, as it is in its file.
func example(tb testing.TB, kind string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(exampleDir, kind+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestEveryEventHasOneExample(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(exampleDir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range files {
		got = append(got, strings.TrimSuffix(file.Name(), ".json"))
	}
	want := messages.EventKinds()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("examples of %v\nkinds are    %v", got, want)
	}
}

func TestExamplesAreWholeAndRoundTrip(t *testing.T) {
	t.Parallel()
	for _, kind := range messages.EventKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			data := example(t, kind)
			event, err := messages.DecodeEvent(kind, data)
			if err != nil {
				t.Fatal(err)
			}
			if event.Kind() != kind {
				t.Errorf("kind %q", event.Kind())
			}
			strict := reflect.New(reflect.TypeOf(event))
			decoder := json.NewDecoder(bytes.NewReader(data))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(strict.Interface()); err != nil {
				t.Errorf("strictly read: %v", err)
			}
			if !reflect.DeepEqual(strict.Elem().Interface(), event) {
				t.Errorf("read strictly it is %+v, else %+v", strict.Elem().Interface(), event)
			}
			var want bytes.Buffer
			if err := json.Compact(&want, data); err != nil {
				t.Fatal(err)
			}
			if got, err := json.Marshal(event); err != nil || string(got) != want.String() {
				t.Errorf("written again (%v):\n got %s\nwant %s", err, got, want.String())
			}
			for _, path := range zeroFields("", reflect.ValueOf(event)) {
				t.Errorf("the example leaves %s empty", path)
			}
		})
	}
}

// zeroFields are the paths of fields that say nothing.
func zeroFields(path string, value reflect.Value) []string {
	if value.IsZero() {
		return []string{path}
	}
	var empty []string
	switch value.Kind() { //nolint:exhaustive // the others have no parts
	case reflect.Struct:
		for i := range value.NumField() {
			if field := value.Type().Field(i); field.IsExported() {
				empty = append(empty, zeroFields(path+"."+field.Name, value.Field(i))...)
			}
		}
	case reflect.Slice:
		if value.Len() == 0 {
			return []string{path}
		}
		for i := range value.Len() {
			empty = append(empty, zeroFields(path+"[]", value.Index(i))...)
		}
	}
	return empty
}

func TestDecodeEventRefuses(t *testing.T) {
	t.Parallel()
	for kind, data := range map[string]string{
		"instance.beamed": `{}`,
		"":                `{}`,
		"queue.created":   `{"queue":7}`,
		"queue.observed":  `{"waiting":1.5}`,
		"instance.idle":   `{"since":"yesterday"}`,
	} {
		event, err := messages.DecodeEvent(kind, []byte(data))
		if err == nil || event != nil || !strings.Contains(err.Error(), kind) {
			t.Errorf("%q: %+v, %v", kind, event, err)
		}
	}
}

// A field that a later version adds must not keep this version from reading
// the rest.
func TestDecodeEventPassesOverNewFields(t *testing.T) {
	t.Parallel()
	event, err := messages.DecodeEvent("queue.created", []byte(`{"queue":"gpu","color":"red"}`))
	if err != nil || event != (messages.QueueCreated{Queue: "gpu"}) {
		t.Errorf("%+v, %v", event, err)
	}
}

func FuzzDecodeEvent(f *testing.F) {
	for _, kind := range messages.EventKinds() {
		f.Add(kind, example(f, kind))
	}
	f.Add("instance.beamed", []byte(`{}`))
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		event, err := messages.DecodeEvent(kind, data)
		if err != nil {
			return
		}
		if event.Kind() != kind {
			t.Fatalf("%s was read as %s", kind, event.Kind())
		}
		written, err := json.Marshal(event)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", event, err)
		}
		again, err := messages.DecodeEvent(kind, written)
		if err != nil || event.About() != again.About() {
			t.Fatalf("%s does not come back from %s: %v", event, written, err)
		}
	})
}
