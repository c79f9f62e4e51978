package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/internal/freeport"
	"github.com/ebbscale/ebb/internal/leaks"
	"github.com/ebbscale/ebb/internal/output"
	"github.com/ebbscale/ebb/messages"
)

// TestDashboard asks a whole process over HTTP: what it shows is what runs, orders
// reach the autoscaler, the wizard's file can be applied, and no secret comes out.
func TestDashboard(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer r.close()
	if _, err := r.clearml.AddDemoTasks(fakeclearml.DemoTasks{Queue: "training", Count: 2, RunSeconds: 600}); err != nil {
		t.Fatal(err)
	}
	file := r.load("1h", 1)
	file.HTTP.Listen = "127.0.0.1:0"
	path := filepath.Join(r.dir, "ebb.yaml")
	log := &output.Buffer{}
	process, err := app.Start(t.Context(), app.Options{
		File: file, Version: "v9", Log: zerolog.New(log), Path: path,
		Load: func() (config.File, error) { return config.Load(config.Source{Path: path}) },
	})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(filepath.Join(r.dir, "state", "http-token"))
	token := strings.TrimSpace(string(kept))
	if err != nil || len(token) < 20 {
		t.Fatalf("the token that was made up: %q, %v", token, err)
	}
	if info, err := os.Stat(filepath.Join(r.dir, "state", "http-token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info.Mode(), err)
	}
	page := client{t: t, url: process.Web(), token: token}

	r.until(func() bool {
		_, text := page.ask("GET", "/autoscalers/test", nil)
		return strings.Contains(text, `"condition":"busy"`) && strings.Contains(text, `"waiting":1`)
	}, "one instance works and one task waits")
	page.wants(http.StatusOK, "max_instances", "GET", "/autoscalers/test/explain?queue=training", nil)
	page.wants(http.StatusOK, `"instances":[]`, "POST", "/autoscalers/test/pause", map[string]string{"why": "a test", "for": "1h"})
	r.until(func() bool {
		_, text := page.ask("GET", "/autoscalers/test", nil)
		return strings.Contains(text, `"why":"a test"`) && strings.Contains(text, "autoscaler.paused")
	}, "the pause is shown, and in the log")
	page.wants(http.StatusOK, `"instances":[]`, "POST", "/autoscalers/test/resume", struct{}{})
	page.wants(http.StatusConflict, "not paused", "POST", "/autoscalers/test/resume", struct{}{})
	page.wants(http.StatusNotFound, "i-none", "POST", "/autoscalers/test/drain", map[string]string{"instance": "i-none"})
	_, exported := page.ask("POST", "/autoscalers/test/export", struct{}{})
	if !strings.Contains(exported, "state_dir") || strings.Contains(exported, "ttl: 0s") {
		t.Errorf("exported without the process's own settings: %s", exported)
	}
	if !strings.Contains(exported, "name: test") || strings.Contains(exported, "not-to-be-seen") {
		t.Errorf("exported without secrets: %s", exported)
	}
	page.wizard(path)
	bare := client{t: t, url: page.url}
	bare.wants(http.StatusOK, fmt.Sprintf(`"token_file":%q`, filepath.Join(r.dir, "state", "http-token")), "GET", "/me", nil)
	bare.wants(http.StatusUnauthorized, "token", "POST", "/reload", struct{}{})
	for _, probe := range []string{"/metrics", "/healthz", "/readyz"} {
		r.until(func() bool { status, _ := bare.ask("GET", "/../.."+probe, nil); return status == http.StatusOK }, probe+" answers that all is well")
	}
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), token) || strings.Contains(log.String(), "not-to-be-seen") {
		t.Error("the log holds a secret")
	}
}

// TestChartsAfterRestart holds that the charts of a process that has just started
// begin with the events that are kept, whoever asks first.
func TestChartsAfterRestart(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer r.close()
	file := r.load("1h", 1)
	file.HTTP.Listen = "127.0.0.1:0"
	began := time.Now().Add(-50 * time.Minute).Truncate(time.Minute)
	for run := range 4 {
		process, err := app.Start(t.Context(), app.Options{File: file, Version: "v9", Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		if run == 0 {
			err = process.Bus().Publish(t.Context(), []messages.Recorded{{
				ID: "long.ago", Autoscaler: "test", At: began.Add(-time.Second), Event: messages.InstanceLaunched{Instance: "i-1", Resource: "gpu"},
			}})
			if err != nil {
				t.Fatal(err)
			}
		} else {
			r.until(func() bool { return process.Web() != "" }, "the page is served")
			page := client{t: t, url: process.Web()}
			var chart struct{ At []int64 }
			r.until(func() bool { // until somebody knows the autoscaler
				status, text := page.ask("GET", "/autoscalers/test/history?range=1h", nil)
				return status == http.StatusOK && json.Unmarshal([]byte(text), &chart) == nil
			}, "there is a history")
			if len(chart.At) < 300 || chart.At[0] != began.UnixMilli() {
				t.Errorf("restart %d: the charts have %d samples; want the first one of %s: %v", run, len(chart.At), began, chart.At[:min(1, len(chart.At))])
			}
		}
		if err := process.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestClone clones an autoscaler whose secrets are references and one that is in the
// file itself, and applies what came of it: under its own name it stays what it is,
// under another one it is added. Nothing else in the file changes.
func TestClone(t *testing.T) {
	defer leaks.None(t, goleak.IgnoreCurrent())
	r := newRegion(t)
	defer r.close()
	r.load("1h", 1)
	path, sec := filepath.Join(r.dir, "ebb.yaml"), filepath.Join(r.dir, "sec")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mine := "# ours\n" + strings.NewReplacer(`listen: "off"`, fmt.Sprintf("listen: 127.0.0.1:%d", freeport.Number(t)), "secret_key: not-to-be-seen", `secret_key: "${FILE:`+sec+`}"`).Replace(string(text))
	if err := errors.Join(os.WriteFile(sec, []byte("not-to-be-seen\n"), 0o600), os.WriteFile(path, []byte(mine), 0o600)); err != nil {
		t.Fatal(err)
	}
	load := func() (config.File, error) { return config.Load(config.Source{Path: path}) }
	file, err := load()
	if err != nil {
		t.Fatal(err)
	}
	process, err := app.Start(t.Context(), app.Options{File: file, Log: zerolog.Nop(), Path: path, Load: load})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := process.Stop(); err != nil {
			t.Error(err)
		}
	}()
	token, err := os.ReadFile(filepath.Join(r.dir, "state", "http-token"))
	if err != nil {
		t.Fatal(err)
	}
	page := client{t: t, url: process.Web(), token: strings.TrimSpace(string(token))}
	client{t: t, url: page.url}.wants(http.StatusUnauthorized, "token", "POST", "/autoscalers/test/clone", struct{}{})
	var cloned struct {
		Answers      map[string]any
		Notes, Unset []string
	}
	r.until(func() bool {
		status, answer := page.ask("POST", "/autoscalers/test/clone", struct{}{})
		return status == http.StatusOK && json.Unmarshal([]byte(answer), &cloned) == nil
	}, "the autoscaler is known")
	if cloned.Answers["autoscalers[0].clearml.secret_key"] != "${FILE:"+sec+"}" || cloned.Answers["state_dir"] != nil {
		t.Errorf("cloned: %v", cloned.Answers)
	}
	if len(cloned.Unset) != 1 || cloned.Unset[0] != "autoscalers[0].aws.secret_access_key" || len(cloned.Notes) != 1 || strings.Contains(fmt.Sprint(cloned), "nor-this") {
		t.Errorf("of the secret in the file: %v", cloned)
	}
	page.wants(http.StatusOK, `"path":"autoscalers[0].aws.secret_access_key","message":"is missing beside access_key_id"`, "POST", "/wizard/check", map[string]any{"answers": cloned.Answers})

	write := func(name string) map[string]string {
		t.Helper()
		cloned.Answers["autoscalers[0].name"], cloned.Answers["autoscalers[0].aws.secret_access_key"] = name, "${FILE:"+sec+"}"
		var written struct{ YAML string }
		status, answer := page.ask("POST", "/wizard/write", map[string]any{"answers": cloned.Answers})
		if err := json.Unmarshal([]byte(answer), &written); err != nil || status != http.StatusOK {
			t.Fatalf("write: %d %s", status, answer)
		}
		return map[string]string{"yaml": written.YAML}
	}
	apply := func(name string) {
		t.Helper()
		want := map[string]string{
			"test":  `"changes":["test: aws.secret_access_key: changed"],"restart":[]`,
			"other": `"changes":[],"restart":["autoscalers[other]: added; it begins at the next start"]`,
		}[name]
		page.wants(http.StatusOK, want, "POST", "/apply/plan", write(name))
		page.wants(http.StatusOK, want, "POST", "/apply", write(name))
	}
	apply("test")
	sound, _ := os.ReadFile(path)
	if err := os.WriteFile(path, []byte("autoscalers: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	page.wants(http.StatusConflict, "the file that is there now cannot be read, mend it first", "POST", "/apply/plan", write("test"))
	if err := os.WriteFile(path, sound, 0o600); err != nil {
		t.Fatal(err)
	}
	if kept, _ := os.ReadFile(path + ".before"); string(kept) != mine {
		t.Errorf("kept: %s", kept)
	}
	page.wants(http.StatusUnprocessableEntity, "write another prefix", "POST", "/apply/plan", write("other"))
	cloned.Answers["autoscalers[0].workers_prefix"] = "other"
	apply("other")
	after, err := load()
	if err != nil || len(after.Autoscalers) != 2 || after.Autoscalers[0].Name != "test" || after.Autoscalers[1].Name != "other" {
		t.Fatalf("%v, %v", after, err)
	}
	if after.Autoscalers = file.Autoscalers; !reflect.DeepEqual(after, file) {
		t.Errorf("the settings of the process have changed: %s", config.Diff(file, after))
	}
	if now, _ := os.ReadFile(path); strings.Count(string(now), "secret_key: ${FILE:"+sec+"}") != 2 {
		t.Errorf("the references are not kept: %s", now)
	}
}

// client is a user of the interface.
type client struct {
	t          *testing.T
	url, token string
}

func (c client) ask(method, path string, content any) (int, string) {
	c.t.Helper()
	var text io.Reader
	if content != nil {
		encoded, err := json.Marshal(content)
		if err != nil {
			c.t.Fatal(err)
		}
		text = bytes.NewReader(encoded)
	}
	url := c.url + "/api/v1" + path
	if rest, ok := strings.CutPrefix(path, "/../.."); ok {
		url = c.url + rest
	}
	request, err := http.NewRequestWithContext(context.Background(), method, url, text)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" && strings.Contains(string(answer), c.token) {
		c.t.Errorf("%s %s answers with the token", method, path)
	}
	return response.StatusCode, string(answer)
}

func (c client) wants(status int, part, method, path string, content any) {
	c.t.Helper()
	if got, text := c.ask(method, path, content); got != status || !strings.Contains(text, part) {
		c.t.Errorf("%s %s: %d %s, want %d with %q", method, path, got, text, status, part)
	}
}

// wizard reads the file of the process into answers, changes one, writes and
// applies it; one that is not sound changes nothing.
func (c client) wizard(path string) {
	c.t.Helper()
	const mode = 0o640
	file := filepath.Join(filepath.Dir(path), "elsewhere.yaml")
	if err := errors.Join(os.Rename(path, file), os.Symlink(file, path), os.Chmod(file, mode)); err != nil {
		c.t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	c.wants(http.StatusOK, "autoscalers[0].aws.region", "GET", "/wizard", nil)
	var imported struct{ Answers map[string]any }
	status, text := c.ask("POST", "/wizard/read", map[string]string{"name": "ebb.yaml", "text": string(before)})
	if err := json.Unmarshal([]byte(text), &imported); err != nil || status != http.StatusOK {
		c.t.Fatalf("read: %d %s", status, text)
	}
	imported.Answers["autoscalers[0].aws.region"] = "nowhere!"
	c.wants(http.StatusOK, `"path":"autoscalers[0].aws.region"`, "POST", "/wizard/check", map[string]any{"answers": imported.Answers})
	imported.Answers["autoscalers[0].aws.region"] = "us-east-1"
	imported.Answers["autoscalers[0].max_idle_time"] = "7m"
	c.wants(http.StatusOK, `"problems":[]`, "POST", "/wizard/check", map[string]any{"answers": imported.Answers})
	var written struct{ YAML string }
	status, text = c.ask("POST", "/wizard/write", map[string]any{"answers": imported.Answers, "inline_secrets": true})
	if err := json.Unmarshal([]byte(text), &written); err != nil || status != http.StatusOK {
		c.t.Fatalf("write: %d %s", status, text)
	}
	c.wants(http.StatusUnprocessableEntity, `"problems":[{`, "POST", "/apply", map[string]string{"yaml": fmt.Sprintf("%s\nnonsense: 1\n", written.YAML)})
	if now, _ := os.ReadFile(path); !bytes.Equal(now, before) {
		c.t.Error("a configuration that is not sound replaced the file")
	}
	c.wants(http.StatusOK, `"changes":["test: max_idle_time: 1h → 7m"],"restart":["http.listen: 127.0.0.1:0 → off"]`, "POST", "/apply/plan", map[string]string{"yaml": written.YAML})
	if now, _ := os.ReadFile(path); !bytes.Equal(now, before) {
		c.t.Error("a plan replaced the file")
	}
	c.wants(http.StatusOK, `"changes":["test: max_idle_time: 1h → 7m"],"restart":["http.listen: 127.0.0.1:0 → off"]`, "POST", "/apply", map[string]string{"yaml": written.YAML})
	if kept, _ := os.ReadFile(file + ".before"); !bytes.Equal(kept, before) {
		c.t.Errorf("the old file is not kept: %s", kept)
	}
	if info, err := os.Stat(file + ".before"); err != nil || info.Mode().Perm() != 0o600 {
		c.t.Errorf("the old file is %v (%v), want it for its owner only", info, err)
	}
	if now, _ := os.ReadFile(path); !strings.Contains(string(now), "7m") {
		c.t.Errorf("the file was not replaced: %s", now)
	}
	if led, err := os.Readlink(path); err != nil || led != file {
		c.t.Errorf("the path was a symbolic link: %q, %v", led, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
		c.t.Errorf("the file is %v (%v), want the mode that it had", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".ebb-*")); len(left) > 0 {
		c.t.Errorf("%v are left beside the file", left)
	}
}
