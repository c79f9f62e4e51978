package dashboard_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/dashboard/dashtest"
)

func TestOrders(t *testing.T) {
	t.Parallel()

	server, world := begin(t, 30)
	status, _ := world.Status(t.Context(), "prod")
	id := string(status.Instances[0].Instance)
	const prod = "/api/v1/autoscalers/prod"
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{prod + "/pause", `{"why":"moving data","for":"30m"}`, 200, `"instances":[]`},
		{prod + "/pause", `{"for":"-1m"}`, 400, "for is not a time"},
		{prod + "/pause", `{"for":"900h"}`, 400, "for is not a time"},
		{prod + "/pause", `{"why":"` + strings.Repeat("x", 400) + `"}`, 400, "too long"},
		{prod + "/pause", `{"whi":"typo"}`, 400, "a field that is not known"},
		{prod + "/pause", ``, 400, "no body"},
		{prod + "/pause", `{} {}`, 400, "follows"},
		{prod + "/pause", strings.Repeat(" ", 70000) + `{}`, 413, "too large"},
		{prod + "/resume", `{}`, 200, "instances"},
		{prod + "/resume", `{}`, 409, "not paused"},
		{prod + "/drain", `{"instance":"` + id + `"}`, 200, id},
		{prod + "/drain", `{"instance":"` + id + `","force":true}`, 400, "confirm"},
		{prod + "/drain", `{"instance":"` + id + `","force":true,"confirm":"i-other"}`, 400, "confirm"},
		{prod + "/drain", `{"instance":"` + id + `","force":true,"confirm":"` + id + `"}`, 200, id},
		{prod + "/drain", `{"instance":"i-none"}`, 404, "no such instance"},
		{prod + "/drain", `{"instance":""}`, 400, "which instance"},
		{prod + "/idle", `{"resource":"gpu"}`, 200, "instances"},
		{prod + "/export", `{"format":"yaml"}`, 200, "${ENV:CLEARML_SECRET_KEY}"},
		{prod + "/export", `{"format":"json"}`, 200, "secret_key"},
		{prod + "/export", `{"format":"exe"}`, 400, "format"},
		{"/api/v1/autoscalers/none/pause", `{}`, 404, "no autoscaler"},
		{"/api/v1/reload", `{}`, 200, `{"changes":[],"restart":[]}`},
		{"/api/v1/apply", `{"yaml":"autoscalers: []"}`, 200, `"before":"/etc/ebb/ebb.yaml.before"`},
		{"/api/v1/apply/plan", `{"yaml":"autoscalers: []"}`, 200, `"restart":["autoscalers[prod-copy]: added`},
		{"/api/v1/apply/plan", `{"yaml":"nonsense"}`, 422, `"path":"autoscalers"`},
		{prod + "/clone", `{}`, 200, `"unset":["autoscalers[0].clearml.secret_key"]`},
		{"/api/v1/autoscalers/none/clone", `{}`, 404, "no autoscaler"},
		{"/api/v1/apply", `{"yaml":"nonsense"}`, 422, `"path":"autoscalers"`},
		{"/api/v1/apply", `{"yaml":""}`, 400, "empty"},
	} {
		got := ask(server, "POST", c.path, c.body, trusted)
		if text := body(got); got.StatusCode != c.status || !strings.Contains(text, c.want) {
			t.Errorf("POST %s %.60s: %d %s, want %d with %q", c.path, c.body, got.StatusCode, text, c.status, c.want)
		}
	}
	for asked, want := range map[string]time.Duration{`{"why":"data","for":"30m"}`: 30 * time.Minute, `{}`: 0} {
		before := time.Now()
		ask(server, "POST", prod+"/pause", asked, trusted)
		status, _ := world.Status(t.Context(), "prod")
		switch until := status.Pause.Until; {
		case want == 0 && !until.IsZero():
			t.Errorf("POST pause %s: until %s, want until resumed", asked, until)
		case want > 0 && (until.Before(before.Add(want)) || until.After(time.Now().Add(want))):
			t.Errorf("POST pause %s: until %s, asked at %s", asked, until, before)
		}
	}
	if text := body(ask(server, "POST", prod+"/export", `{"secrets":true}`, trusted)); !strings.Contains(text, dashtest.Secret) {
		t.Errorf("asked for secrets: %s", text)
	}
}

func TestReading(t *testing.T) {
	t.Parallel()

	server, world := begin(t, 30)
	for range 50 {
		world.Step()
	}
	const prod = "/api/v1/autoscalers/prod"
	waitFor(t, "the events", func() bool { return strings.Contains(body(ask(server, "GET", prod+"/events", "")), `"test.50"`) })
	if text := body(ask(server, "GET", prod, "")); !strings.Contains(text, `"waiting_unknown":0`) {
		t.Errorf("with all queues known: %.600s", text)
	}
	world.Unseen()
	waitFor(t, "a queue that nobody has seen", func() bool { return strings.Contains(body(ask(server, "GET", prod, "")), `"waiting_unknown":1`) })
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"/api/v1/autoscalers", 200, `"name":"research"`},
		{prod, 200, `"instances":[{`},
		{prod, 200, `"resources":{"cpu":{"today_hours":`},
		{prod, 200, `"max_idle_seconds":900`},
		{prod + "/history", 200, `"step_seconds":10`},
		{prod + "/history?range=24h", 200, `"step_seconds":60`},
		{prod + "/history?range=25h", 400, "range"},
		{prod + "/history?range=x", 400, "range"},
		{prod + "/events?format=text&limit=5", 200, "instance."},
		{prod + "/events?format=json", 200, `"data": {`},
		{prod + "/events?format=xml", 400, "format"},
		{prod + "/events?limit=0", 400, "limit"},
		{prod + "/events?limit=9999999", 400, "limit"},
		{prod + "/explain?queue=training", 200, "tasks wait"},
		{prod + "/explain?queue=inference+%2F+nightly", 200, "tasks wait"},
		{prod + "/explain?queue=none", 404, "no such queue"},
		{prod + "/explain", 400, "which queue"},
		{"/api/v1/autoscalers/none", 404, "no autoscaler"},
		{"/api/v1/autoscalers/none/stream", 404, "no autoscaler"},
		{"/api/v1/wizard", 200, `"steps":[`},
		{"/api/v1/me", 200, `"act":false`},
		{"/metrics", 404, "no such page"},
	} {
		got := ask(server, "GET", c.path, "")
		if text := body(got); got.StatusCode != c.status || !strings.Contains(text, c.want) {
			t.Errorf("GET %s: %d %.300s, want %d with %q", c.path, got.StatusCode, text, c.status, c.want)
		}
	}
	if got := ask(server, "GET", prod+"/events?format=text", ""); !strings.Contains(got.Header.Get("Content-Disposition"), `"ebb-prod.log"`) {
		t.Errorf("a download is called %q", got.Header.Get("Content-Disposition"))
	}
}

func TestWizard(t *testing.T) {
	t.Parallel()

	server, _ := begin(t, 1)
	page := func(r *http.Request) { r.Header.Set("X-Ebb-Page", "1") }
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"check", `{"answers":{}}`, 200, `"path":"autoscalers[0].name"`},
		{"check", `{"answers":{"autoscalers[0].aws.region":"mars"}}`, 200, "not the name of a region"},
		{"check", `{"answers":[]}`, 400, "not an object"},
		{"check", `{}`, 400, "not an object"},
		{"read", `{"name":"a.yaml","text":"autoscalers[0].name: prod\n"}`, 200, `"autoscalers[0].name":"prod"`},
		{"read", `{"name":"a.yaml","text":"nothing"}`, 422, "no answer in the file"},
		{"read", `{"name":"a.yaml","text":"  "}`, 400, "not a configuration"},
		{"write", `{"answers":{"autoscalers[0].clearml.secret_key":"hunter2"}}`, 200, "${ENV:CLEARML_SECRET_KEY}"},
	} {
		got := ask(server, "POST", "/api/v1/wizard/"+c.path, c.body, page)
		if text := body(got); got.StatusCode != c.status || !strings.Contains(text, c.want) {
			t.Errorf("POST %s %s: %d %s, want %d with %q", c.path, c.body, got.StatusCode, text, c.status, c.want)
		}
	}
	if got := ask(server, "POST", "/api/v1/wizard/check", `{"answers":{}}`); got.StatusCode != http.StatusForbidden {
		t.Errorf("without the page's header: %d", got.StatusCode)
	}
}

// FuzzAPI sends anything to every address: the answer is JSON with a status that
// says whose fault it is, and holds no secret.
func FuzzAPI(f *testing.F) {
	paths := []string{
		"/me", "/session", "/autoscalers", "/autoscalers/prod", "/autoscalers/prod/history", "/autoscalers/prod/events",
		"/autoscalers/prod/explain", "/autoscalers/prod/pause", "/autoscalers/prod/resume", "/autoscalers/prod/drain",
		"/autoscalers/prod/idle", "/autoscalers/prod/export", "/reload", "/wizard", "/wizard/check", "/wizard/read", "/wizard/write", "/apply", "/apply/plan", "/autoscalers/prod/clone",
	}
	bodies := []string{
		"", "{}", "[]", "null", `{"token":"x"}`, `{"why":"a","for":"1h"}`, `{"instance":"i-1","force":true,"confirm":"i-1"}`, `{"resource":"gpu"}`,
		`{"format":"yaml","secrets":false}`, `{"answers":{"autoscalers[0].name":1}}`, `{"name":"x","text":"autoscalers[0].name: a"}`,
		`{"yaml":"autoscalers:"}`, "\xff\xfe", `{"a":` + strings.Repeat("[", 5000),
	}
	for i := range paths {
		for _, b := range bodies {
			f.Add(uint8(i), i%2 == 0, "range=1h&queue=cpu&limit=3&format=text", b)
		}
	}
	f.Add(uint8(4), true, "range=%zz&range=", "")
	server, _ := begin(f, 5)
	f.Fuzz(func(t *testing.T, which uint8, get bool, query, content string) {
		if strings.Contains(content, "secrets") && strings.Contains(content, "true") {
			return // asked for them
		}
		method := "POST"
		if get {
			method = "GET"
		}
		got := ask(server, method, "/api/v1"+paths[int(which)%len(paths)], content, trusted, func(r *http.Request) {
			r.URL.RawQuery = query
			r.Header.Set("X-Ebb-Page", "1")
		})
		text := body(got)
		if got.StatusCode >= 500 {
			t.Errorf("%d %s", got.StatusCode, text)
		}
		if strings.Contains(text, token) || strings.Contains(text, dashtest.Secret) {
			t.Errorf("a secret: %s", text)
		}
		if got.StatusCode >= 400 {
			var problem struct{ Error, Fix string }
			if json.Unmarshal([]byte(text), &problem) != nil || problem.Error == "" || problem.Fix == "" {
				t.Errorf("%d without a problem and its fix: %s", got.StatusCode, text)
			}
		}
	})
}

// FuzzGuard sends anything as host, origin, cookie and authorization: nobody gets
// to act.
func FuzzGuard(f *testing.F) {
	f.Add("127.0.0.1", "", "ebb_session=x", "Bearer x", "1.2.3.4:5")
	f.Add("localhost:1", "http://localhost:1", "", "Basic YTpi", "[::1]:5")
	f.Add("[", "null", "=;=", "Bearer", "")
	f.Add("evil", "https://evil", "__Host-ebb_session=", "\x00", "x")
	server, world := begin(f, 1)
	f.Fuzz(func(t *testing.T, host, origin, cookie, authorization, from string) {
		if strings.Contains(authorization, token) {
			return
		}
		got := ask(server, "POST", "/api/v1/reload", "{}", func(r *http.Request) {
			r.Host, r.RemoteAddr = host, from
			r.Header.Set("Origin", origin)
			r.Header.Set("Cookie", cookie)
			r.Header.Set("Authorization", authorization)
			r.Header.Set("X-Ebb-Page", "1")
		})
		if got.StatusCode < 400 || got.StatusCode >= 500 || len(world.Orders()) != 0 {
			t.Errorf("%d %s", got.StatusCode, body(got))
		}
	})
}
