//go:build real

package metrics_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"
)

// TestPromtool has Prometheus' own tool read and lint a whole answer to a scrape.
func TestPromtool(t *testing.T) {
	t.Parallel()

	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is missing: apt-get install --no-install-recommends prometheus")
	}
	w := newWorld(t)
	w.says(fullStatus())
	w.tell(everything()...)
	w.EC2Calls(prod)("RunInstances")("ok")
	w.ClearMLCalls(prod)("tasks.get_all")("ok")
	recorder := httptest.NewRecorder()
	w.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	command := exec.CommandContext(t.Context(), tool, "check", "metrics")
	command.Stdin = bytes.NewReader(recorder.Body.Bytes())
	if out, err := command.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
