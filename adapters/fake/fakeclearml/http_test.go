package fakeclearml_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

func TestPathsAndVersions(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	tests := []struct {
		path              string
		status            int
		requested, actual string
	}{
		{"/v2.30/queues.get_default", 200, `"2.30"`, `"2.4"`},
		{"/queues.get_default", 200, `"2.34"`, `"2.4"`},
		{"/v2.30/queues.get_default/", 200, `"2.30"`, `"2.4"`},
		{"/v99.9/queues.get_default", 200, `"99.9"`, `"2.4"`},
		{"/v2.0/tasks.get_all", 200, `2.0`, `1.0`},
		{"/v2.1/tasks.get_all", 200, `"2.1"`, `"1.0"`},
		{"/v2.3/queues.get_default", 404, `"2.3"`, `null`},
		{"/v2.12/queues.add_or_update_metadata", 404, `"2.12"`, `null`},
		{"/v1.5/workers.get_all", 404, `1.5`, `null`},
		{"/v2.30/workers.set_runtime_properties", 404, `"2.30"`, `null`},
		{"/v2/queues.get_all", 400, `1.0`, `null`},
		{"/foo", 400, `1.0`, `null`},
		{"/v2.30/queues/get_all", 400, `1.0`, `null`},
	}
	for _, tt := range tests {
		a := post(t, s, tt.path, map[string]any{})
		var env struct {
			Meta struct {
				ResultCode int `json:"result_code"`
				Endpoint   struct {
					Requested json.RawMessage `json:"requested_version"`
					Actual    json.RawMessage `json:"actual_version"`
				}
			}
		}
		if err := json.Unmarshal(a.raw, &env); err != nil {
			t.Fatal(err)
		}
		e := env.Meta.Endpoint
		if a.status != tt.status || env.Meta.ResultCode != tt.status || string(e.Requested) != tt.requested || string(e.Actual) != tt.actual {
			t.Errorf("%s: status %d, code %d, versions %s %s, want %d %s %s",
				tt.path, a.status, env.Meta.ResultCode, e.Requested, e.Actual, tt.status, tt.requested, tt.actual)
		}
	}
}

func TestOpenEndpoints(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	for path, status := range map[string]int{
		"/debug.ping": 200, "/login.supported_modes": 200, "/auth.fixed_users_mode": 200, "/server.info": 401, "/users.get_current_user": 401,
	} {
		if a := send(t, s, httptest.NewRequest(http.MethodGet, path, nil)); a.status != status {
			t.Errorf("%s without credentials: %d, want %d", path, a.status, status)
		}
	}
	if a := send(t, s, httptest.NewRequest(http.MethodOptions, "/server.info", nil)); a.status != 200 || len(a.raw) != 0 {
		t.Errorf("OPTIONS: %d %q", a.status, a.raw)
	}
}

func TestDateIsTheClocks(t *testing.T) {
	t.Parallel()
	s, clk := newServer(t)
	clk.Advance(time.Hour)
	if got := post(t, s, "/server.info", nil).header.Get("Date"); got != "Mon, 23 Nov 2026 10:45:05 GMT" {
		t.Errorf("Date is %q", got)
	}
}

func TestWholeSecondsHaveNoFraction(t *testing.T) {
	t.Parallel()
	s, clk := newServer(t)
	clk.Advance(time.Second - 123456*time.Microsecond)
	if err := s.Register(fakeclearml.RegisterRequest{Worker: "w"}); err != nil {
		t.Fatal(err)
	}
	row := post(t, s, "/workers.get_all", map[string]any{}).data["workers"].([]any)[0].(map[string]any)
	if row["register_time"] != "2026-11-23T09:45:06+00:00" {
		t.Errorf("register_time is %v", row["register_time"])
	}
}

func TestCompression(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	for i := range 20 {
		must[fakeclearml.Queue](t)(s.CreateQueue(fakeclearml.QueueSpec{Name: fmt.Sprintf("queue-%d", i)}))
	}
	for _, accept := range []string{"", "gzip, deflate"} {
		r := httptest.NewRequest(http.MethodPost, "/queues.get_all", strings.NewReader("{}"))
		r.SetBasicAuth(accessKey, secretKey)
		r.Header.Set("Accept-Encoding", accept)
		a := send(t, s, r)
		body := a.raw
		if want := accept != ""; (a.header.Get("Content-Encoding") == "gzip") != want {
			t.Fatalf("Accept-Encoding %q gives Content-Encoding %q", accept, a.header.Get("Content-Encoding"))
		} else if want {
			z := must[*gzip.Reader](t)(gzip.NewReader(bytes.NewReader(body)))
			body = must[[]byte](t)(io.ReadAll(z))
		}
		if !json.Valid(body) || !bytes.Contains(body, []byte("queue-19")) {
			t.Errorf("Accept-Encoding %q: body %q", accept, body)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s, clk := newServer(t)
	login := func(body string) string {
		r := httptest.NewRequest(http.MethodPost, "/auth.login", strings.NewReader(body))
		r.SetBasicAuth(accessKey, secretKey)
		a := send(t, s, r)
		token, _ := a.data["token"].(string)
		if cookies := (&http.Response{Header: a.header}).Cookies(); len(cookies) != 1 || cookies[0].Value != token {
			t.Errorf("cookies %v, want the token", cookies)
		}
		return token
	}
	with := func(set func(*http.Request), path string) answer {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		set(r)
		return send(t, s, r)
	}
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	long, short := login("{}"), login(`{"expiration_sec": 60}`)
	cookie := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "clearml_token_basic", Value: long}) }
	if a := with(cookie, "/server.info"); a.status != 200 {
		t.Errorf("by cookie: %s", a.raw)
	}
	clk.Advance(59 * time.Second)
	if a := with(bearer(short), "/server.info"); a.status != 200 {
		t.Errorf("a second before the end: %s", a.raw)
	}
	clk.Advance(2 * time.Second)
	if a := with(bearer(short), "/server.info"); a.status != 401 || a.subcode != 30 || !strings.Contains(a.msg, "expired") {
		t.Errorf("after the end: %s", a.raw)
	}
	for token, want := range map[string]string{long: `"valid":true`, short: `"valid":false`} {
		if a := post(t, s, "/auth.validate_token", map[string]any{"token": token}); !strings.Contains(string(a.raw), want) {
			t.Errorf("validate: %s, want %s", a.raw, want)
		}
	}
	middle := strings.Split(long, ".")
	forged := middle[0] + "." + middle[1] + "." + strings.Split(short, ".")[2]
	if a := with(bearer(forged), "/server.info"); a.subcode != 30 || !strings.Contains(a.msg, "Signature verification failed") {
		t.Errorf("forged: %s", a.raw)
	}
	if a := with(func(r *http.Request) { r.Header.Set("Authorization", "Basic !!!") }, "/server.info"); a.status != 401 || a.subcode != 21 {
		t.Errorf("malformed: %s", a.raw)
	}
	if a := with(bearer(long), "/auth.logout"); a.status != 200 {
		t.Errorf("logout: %s", a.raw)
	}
	if a := with(cookie, "/server.info"); a.subcode != 30 || !strings.Contains(a.msg, "revoked") {
		t.Errorf("after logout: %s", a.raw)
	}
}

// Tokens outlive the key that minted them, and renew themselves.
func TestCredentials(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, func(c *fakeclearml.Config) {
		c.User = fakeclearml.User{ID: "alice", Name: "Alice", Role: "admin"}
		c.Users = []fakeclearml.User{{ID: "bob", Name: "Bob", Keys: map[string]string{"BK": "BS"}}}
	})
	made, _ := post(t, s, "/auth.create_credentials", map[string]any{"label": "box"}).data["credentials"].(map[string]any)
	key, _ := made["access_key"].(string)
	secret, _ := made["secret_key"].(string)
	call := func(path, body string, set func(*http.Request)) answer {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		set(r)
		return send(t, s, r)
	}
	if a := post(t, s, "/auth.edit_credentials", map[string]any{"access_key": key, "label": "crate"}); a.status != 200 {
		t.Errorf("edit: %s", a.raw)
	}
	if a := post(t, s, "/auth.edit_credentials", map[string]any{"access_key": "BK", "label": "x"}); a.subcode != 75 {
		t.Errorf("edit of another's key: %s", a.raw)
	}
	if a := post(t, s, "/auth.get_credentials", nil); !strings.Contains(string(a.raw), `"label":"crate"`) {
		t.Errorf("credentials: %s", a.raw)
	}
	withKey := func(r *http.Request) { r.SetBasicAuth(key, secret) }
	token, _ := call("/auth.login", "{}", withKey).data["token"].(string)
	if a := post(t, s, "/auth.revoke_credentials", map[string]any{"access_key": key}); a.data["revoked"] != 1.0 {
		t.Errorf("revoke: %s", a.raw)
	}
	if a := call("/auth.login", "{}", withKey); a.status != 401 || a.subcode != 22 {
		t.Errorf("revoked key: %s", a.raw)
	}
	withToken := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	if a := call("/auth.login", "{}", withToken); a.status != 200 || a.data["token"] == "" {
		t.Errorf("renewal by a token of a revoked key: %s", a.raw)
	}
	asBob := func(r *http.Request) {
		r.SetBasicAuth(accessKey, secretKey)
		r.Header.Set("X-Clearml-Act-As", "bob")
	}
	if a := call("/users.get_current_user", "{}", asBob); !strings.Contains(string(a.raw), `"name":"Bob"`) {
		t.Errorf("acting as bob: %s", a.raw)
	}
	bobAsAlice := func(r *http.Request) {
		r.SetBasicAuth("BK", "BS")
		r.Header.Set("X-Clearml-Act-As", "alice")
	}
	if a := call("/users.get_current_user", "{}", bobAsAlice); a.status != 400 || a.subcode != 6 {
		t.Errorf("bob acting as alice: %s", a.raw)
	}
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	clk := newClock()
	for want, cfg := range map[string]fakeclearml.Config{
		"Clock is nil":   {},
		"APIVersion":     {Clock: clk, APIVersion: "two"},
		"ID is empty":    {Clock: clk, Users: []fakeclearml.User{{Name: "x"}}},
		"belongs to use": {Clock: clk, Keys: map[string]string{"K": "1"}, Users: []fakeclearml.User{{ID: "a", Keys: map[string]string{"K": "2"}}}},
		"id is taken":    {Clock: clk, Users: []fakeclearml.User{{ID: "a"}, {ID: "a"}}},
	} {
		if _, err := fakeclearml.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}
