package app_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/internal/leaks"
	"github.com/ebbscale/ebb/messages"
)

// TestFileNotInEffect holds that a file that is not taken over, or not wholly, is told
// of until it is, to everybody who asks, and that the process stays ready.
func TestFileNotInEffect(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer r.close()
	file, broken := r.load("1h", 1), error(nil)
	process, err := app.Start(t.Context(), app.Options{
		File: file, Log: zerolog.Nop(), Load: func() (config.File, error) { return file, broken },
	})
	if err != nil {
		t.Fatal(err)
	}
	told := func() (*messages.ConfigurationStatus, *dashboard.Trouble, string) {
		var status messages.Status
		var ready string
		r.until(func() bool {
			var err error
			status, err = process.Page().Status(t.Context(), "test")
			recorder := httptest.NewRecorder()
			process.Monitoring().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
			ready = recorder.Body.String()
			return err == nil && recorder.Code == http.StatusOK
		}, "it acts, and is ready")
		for _, trouble := range process.Troubles(t.Context()) {
			if trouble.About == "configuration" {
				return status.Configuration, &trouble, ready
			}
		}
		return status.Configuration, nil, ready
	}
	if status, page, ready := told(); status != nil || page != nil || !strings.Contains(ready, "ok    configuration: in effect\n") {
		t.Errorf("at first: %v, %v, %s", status, page, ready)
	}

	file.Log.Level = "debug"
	if _, err := process.Reload(t.Context(), "test"); err != nil {
		t.Error(err)
	}
	const later = "log.level: info → debug"
	if status, page, ready := told(); status == nil || len(status.Restart) != 1 || status.Restart[0] != later || len(status.Unsound) != 0 ||
		page == nil || page.Wrong || len(page.Lines) != 1 || page.Lines[0] != later || page.Cure == "" ||
		!strings.Contains(ready, "note  configuration: 1 change of the file will take effect at the next start\n") {
		t.Errorf("for the next start: %v, %v, %s", status, page, ready)
	}

	broken = config.Errors{{Path: "autoscalers", Message: "is 7", Fix: "write a list"}}
	if _, err := process.Reload(t.Context(), "test"); err == nil {
		t.Error("a file that is not sound was taken over")
	}
	status, page, ready := told()
	if status == nil || len(status.Unsound) != 1 || !strings.Contains(status.Unsound[0], "is 7") || status.UnsoundSince.IsZero() || len(status.Restart) != 1 ||
		page == nil || page.Wrong || len(page.Lines) != 2 || !strings.Contains(ready, "(1 mistake), what ran before goes on") || strings.Contains(ready, "is 7") {
		t.Errorf("not sound: %v, %v, %s", status, page, ready)
	}

	file, broken = r.load("1h", 1), nil
	if _, err := process.Reload(t.Context(), "test"); err != nil {
		t.Error(err)
	}
	if status, page, ready := told(); status != nil || page != nil || !strings.Contains(ready, "configuration: in effect") {
		t.Errorf("mended: %v, %v, %s", status, page, ready)
	}
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
}

// TestApplyPutsBack holds that what cannot be taken over after all leaves the file as it
// was, and that nothing is told of a file that is not there any more.
func TestApplyPutsBack(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer r.close()
	file, path := r.load("1h", 1), filepath.Join(r.dir, "ebb.yaml")
	process, err := app.Start(t.Context(), app.Options{
		File: file, Log: zerolog.Nop(), Path: path,
		Load: func() (config.File, error) {
			file, err := config.Load(config.Source{Path: path})
			if err == nil && file.Autoscalers[0].MaxIdleTime == 7*time.Minute {
				err = errors.New("the disk hiccups")
			}
			return file, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = process.Page().Apply(t.Context(), []byte(strings.Replace(string(before), "max_idle_time: 1h", "max_idle_time: 7m", 1)))
	if err == nil || !strings.Contains(err.Error(), "the disk hiccups") {
		t.Errorf("applied: %v", err)
	}
	if now, _ := os.ReadFile(path); string(now) != string(before) {
		t.Errorf("the file is %s", now)
	}
	if left, _ := filepath.Glob(filepath.Join(r.dir, "*ebb*.yaml*")); len(left) != 1 {
		t.Errorf("%v are there", left)
	}
	for _, trouble := range process.Troubles(t.Context()) {
		if trouble.About == "configuration" {
			t.Errorf("it is told: %+v", trouble)
		}
	}
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
}
