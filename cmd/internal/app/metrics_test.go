package app_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/internal/leaks"
)

// TestMonitoring reads metrics and health of a whole process that works: every part
// tells what it has to, also after a reload, and no secret is among it.
func TestMonitoring(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer r.close()
	addTask := func() {
		if _, err := r.clearml.AddDemoTasks(fakeclearml.DemoTasks{Queue: "training", Count: 1, RunSeconds: 600}); err != nil {
			t.Fatal(err)
		}
	}
	addTask()
	next := func() (config.File, error) { return r.load("2h", 2), nil }
	process, err := app.Start(t.Context(), app.Options{
		File: r.load("1h", 2), Version: "v9", Log: zerolog.Nop(), Load: func() (config.File, error) { return next() },
	})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) (int, string) {
		recorder := httptest.NewRecorder()
		process.Monitoring().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if body := recorder.Body.String(); strings.Contains(body, "not-to-be-seen") || strings.Contains(body, "nor-this") {
			t.Errorf("%s shows a secret", path)
		}
		return recorder.Code, recorder.Body.String()
	}
	shows := func(lines ...string) func() bool {
		return func() bool {
			status, body := get("/metrics")
			for _, line := range lines {
				if !strings.Contains(body, "\n"+line) {
					return false
				}
			}
			return status == http.StatusOK
		}
	}
	const offering = `instance_type="g5.xlarge",market="on_demand",resource="gpu"`
	busy := func(n string) string {
		return `ebb_instances{autoscaler="test",condition="busy",` + offering + `} ` + n
	}
	r.until(shows(busy("1")), "the metrics tell of the one busy instance")
	addTask() // the first one had to wait until EC2 was listed, and is not measured
	r.until(shows(
		`ebb_build_info{`, `ebb_up{autoscaler="test"} 1`, `ebb_acting{autoscaler="test"} 1`, busy("2"),
		`ebb_instances_launched_total{autoscaler="test",`+offering+`} 2`,
		`ebb_task_seen_to_launched_seconds_count{autoscaler="test",resource="gpu"} 1`,
		`ebb_boot_seconds_count{autoscaler="test",resource="gpu"} 2`,
		`ebb_ec2_calls_total{action="RunInstances",autoscaler="test",result="ok"} 2`,
		`ebb_clearml_calls_total{action="queues.get_all",autoscaler="test",result="ok"}`,
		`ebb_cost_dollars_per_hour{autoscaler="test",condition="busy",market="on_demand",resource="gpu"} 2.012`,
	), "the metrics tell of both")
	for _, path := range []string{"/healthz", "/readyz"} {
		r.until(func() bool {
			status, body := get(path)
			return status == http.StatusOK && strings.HasSuffix(body, "\nok\n")
		}, path+" answers that all is well")
	}
	if _, err := process.Reload(t.Context(), "a test"); err != nil {
		t.Error(err)
	}
	r.until(shows(busy("2"), `ebb_config_reloads_total{autoscaler="test",result="applied"} 1`,
		`ebb_cost_dollars_total{autoscaler="test",market="on_demand",resource="gpu"}`,
	), "the instances are known again after a reload")
	next = func() (config.File, error) { return config.File{}, errors.New("half of a file") }
	if _, err := process.Reload(t.Context(), "a test"); err == nil {
		t.Error("half of a file was taken over")
	}
	r.until(shows(`ebb_config_last_reload_successful{autoscaler="test"} 0`), "the metrics tell of the refusal")
	next = func() (config.File, error) { return r.load("2h", 2), nil }
	if _, err := process.Reload(t.Context(), "a test"); err != nil {
		t.Error(err)
	}
	r.until(shows(`ebb_config_last_reload_successful{autoscaler="test"} 1`), "the metrics tell that it is well again, though nothing is different")
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
}
