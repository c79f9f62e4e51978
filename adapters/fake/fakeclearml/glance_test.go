package fakeclearml_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

// TestGlances answers what the whole objects say, in copies.
func TestGlances(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	queue := must[fakeclearml.Queue](t)(s.CreateQueue(fakeclearml.QueueSpec{Name: "gpu", Tags: []string{"a", "b"}}))
	if names := s.QueueNames(); names[queue.ID] != "gpu" || len(names) != len(s.Queues()) {
		t.Errorf("names are %v", names)
	}
	tags, ok := s.QueueTags(queue.ID)
	if !ok || !slices.Equal(tags, queue.Tags) {
		t.Errorf("tags are %v, %t", tags, ok)
	}
	tags[0] = "changed"
	if again, _ := s.QueueTags(queue.ID); !slices.Equal(again, queue.Tags) {
		t.Errorf("tags are %v", again)
	}
	if _, ok := s.QueueTags("nope"); ok {
		t.Error("an unknown queue has tags")
	}
	task := must[string](t)(s.CreateTask(fakeclearml.TaskSpec{Name: "task", Runtime: map[string]any{"a": 1}}))
	must[fakeclearml.Change](t)(s.Started(fakeclearml.StatusRequest{Task: task, Message: "now"}))
	if status, message, ok := s.TaskNote(task); status != fakeclearml.StatusInProgress || message != "now" || !ok {
		t.Errorf("note is %s %q %t", status, message, ok)
	}
	if err := s.SetTaskRuntime("", task, map[string]any{"b": 2}); err != nil {
		t.Fatal(err)
	}
	if runtime := must[map[string]any](t)(s.TaskRuntime(task)); len(runtime) != 1 || runtime["b"] != 2 {
		t.Errorf("runtime is %v", runtime)
	}
	_, err := s.TaskRuntime("nope")
	for _, err := range []error{err, s.SetTaskRuntime("", "nope", nil)} {
		if refusal, ok := errors.AsType[*fakeclearml.Error](err); !ok || refusal.Subcode != 101 {
			t.Errorf("error is %v", err)
		}
	}
	if _, _, ok := s.TaskNote("nope"); ok {
		t.Error("an unknown task has a note")
	}
}

// TestMetadataValues gives back what is known for as long as it is so.
func TestMetadataValues(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	queue := must[fakeclearml.Queue](t)(s.CreateQueue(fakeclearml.QueueSpec{Name: "gpu"}))
	keys := []string{"a", "b"}
	set := func(key, value string) {
		t.Helper()
		if err := s.SetMetadata(queue.ID, fakeclearml.MetadataItem{Key: key, Type: "str", Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	var known map[string]string
	want := func(values map[string]string) {
		t.Helper()
		got, ok := s.MetadataValues(queue.ID, keys, known)
		if !ok || !maps.Equal(got, values) {
			t.Errorf("values are %v, %t, want %v", got, ok, values)
		}
		known = got
	}
	want(map[string]string{})
	set("other", "x")
	want(map[string]string{})
	set("a", "1")
	want(map[string]string{"a": "1"})
	before := known
	want(map[string]string{"a": "1"})
	before["same"] = "map"
	if known["same"] != "map" {
		t.Error("what did not change was copied")
	}
	delete(known, "same")
	set("b", "")
	want(map[string]string{"a": "1", "b": ""})
	set("a", "2")
	want(map[string]string{"a": "2", "b": ""})
	if err := s.DeleteMetadata(queue.ID, "b"); err != nil {
		t.Fatal(err)
	}
	want(map[string]string{"a": "2"})
	if _, ok := s.MetadataValues("nope", keys, known); ok {
		t.Error("an unknown queue has metadata")
	}
}
