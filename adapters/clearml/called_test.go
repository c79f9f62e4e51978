package clearml_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
)

// TestCalled tells of each request that goes out, with what became of it.
func TestCalled(t *testing.T) {
	t.Parallel()

	s := newStub(t)
	s.on("queues.get_all", first(1, answer{status: http.StatusServiceUnavailable, body: "down"}, ok(`{"queues": []}`)))
	var (
		mu   sync.Mutex
		told []string
	)
	config := s.config()
	config.Called = func(action string) func(string) {
		return func(result string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, action+" "+result)
		}
	}
	_, err := mustNew(t, config).Observe(t.Context(), query("none"))
	t.Logf("observed: %v", err) // what it makes of an empty list is not the point here
	mu.Lock()
	defer mu.Unlock()
	if len(told) == 0 || told[0] != "auth.login ok" {
		t.Errorf("told of %q, want the login first", told)
	}
	for _, want := range []string{"queues.get_all transient", "queues.get_all ok"} {
		if !slices.Contains(told, want) {
			t.Errorf("told of %q, want also %q", told, want)
		}
	}
}
