package dashboard_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/adapters/dashboard/dashtest"
)

// TestWhoMay is the matrix: where it listens, what is shown, and what is asked.
func TestWhoMay(t *testing.T) {
	t.Parallel()

	fromPage := func(r *http.Request) { r.Header.Set("X-Ebb-Page", "1") }
	bearer := func(text string) func(*http.Request) {
		return func(r *http.Request) { fromPage(r); r.Header.Set("Authorization", "Bearer "+text) }
	}
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { fromPage(r); r.SetBasicAuth(user, password) }
	}
	listeners := map[string]func(*dashboard.Config){
		"loopback":       func(*dashboard.Config) {},
		"loopback, bare": func(c *dashboard.Config) { c.Token = "" },
		"open":           func(c *dashboard.Config) { c.Listen = "0.0.0.0:8480" },
		"open, TLS":      func(c *dashboard.Config) { c.Listen, c.TLS, c.User, c.Password = "[::]:8480", true, "ana", "pass word" },
		"behind a proxy": func(c *dashboard.Config) { c.BehindTLSProxy, c.User, c.Password = true, "ana", "pass word" },
	}
	shows := map[string]func(*http.Request){
		"nothing": fromPage, "token": bearer(token), "wrong token": bearer(token + "x"), "empty token": bearer(""),
		"password": basic("ana", "pass word"), "wrong password": basic("ana", "x"),
	}
	// want is the status of reading and of acting.
	want := map[string]map[string][2]int{
		"loopback": {
			"nothing": {200, 401}, "token": {200, 200}, "wrong token": {401, 401}, "empty token": {401, 401},
			"password": {401, 401}, "wrong password": {401, 401},
		},
		"loopback, bare": {
			"nothing": {200, 401}, "token": {401, 401}, "wrong token": {401, 401}, "empty token": {401, 401},
			"password": {401, 401}, "wrong password": {401, 401},
		},
		"open": {
			"nothing": {401, 401}, "token": {200, 200}, "wrong token": {401, 401}, "empty token": {401, 401},
			"password": {401, 401}, "wrong password": {401, 401},
		},
		"open, TLS": {
			"nothing": {401, 401}, "token": {200, 200}, "wrong token": {401, 401}, "empty token": {401, 401},
			"password": {200, 401}, "wrong password": {401, 401},
		},
		"behind a proxy": {
			"nothing": {401, 401}, "token": {200, 200}, "wrong token": {401, 401}, "empty token": {401, 401},
			"password": {200, 401}, "wrong password": {401, 401},
		},
	}
	for listener, change := range listeners {
		for show, shown := range shows {
			t.Run(listener+"/"+show, func(t *testing.T) {
				t.Parallel()
				server, err := dashboard.New(configWith(change))
				if err != nil {
					t.Fatal(err)
				}
				host := func(r *http.Request) {
					if listener != "loopback" && listener != "loopback, bare" {
						r.Host = "ebb.example.com"
					}
				}
				for kind, requests := range [][]string{reading(), acting()} {
					allowed := want[listener][show][kind] == http.StatusOK
					for i, request := range requests {
						method, path, _ := strings.Cut(request, " ")
						from := func(r *http.Request) { r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", kind, i) } // else it has to wait
						got := ask(server, method, path, "{}", shown, host, from)
						// Whoever is let in is told what is wrong with the request, or that there is no
						// such autoscaler yet.
						if refused := got.StatusCode == http.StatusUnauthorized || got.StatusCode == http.StatusForbidden; refused == allowed {
							t.Errorf("%s: %d %s, want it allowed: %t", request, got.StatusCode, body(got), allowed)
						}
					}
				}
				if got := ask(server, "GET", "/", "", host); got.StatusCode != http.StatusOK {
					t.Errorf("the page itself: %d", got.StatusCode)
				}
			})
		}
	}
}

// reading and acting are all requests of the interface that not everybody may make.
func reading() []string {
	const one = "/api/v1/autoscalers/prod"
	return []string{
		"GET /api/v1/autoscalers", "GET " + one, "GET " + one + "/stream", "GET " + one + "/history", "GET " + one + "/events",
		"GET " + one + "/explain?queue=training", "GET /api/v1/wizard", "POST /api/v1/wizard/check", "POST /api/v1/wizard/read",
		"POST /api/v1/wizard/write", "GET /metrics",
	}
}

func acting() []string {
	const one = "/api/v1/autoscalers/prod"
	return []string{
		"POST " + one + "/pause", "POST " + one + "/resume", "POST " + one + "/drain", "POST " + one + "/idle", "POST " + one + "/export", "POST " + one + "/clone",
		"POST /api/v1/reload", "POST /api/v1/apply", "POST /api/v1/apply/plan",
	}
}

// TestEveryRouteIsGuarded: what docs/dashboard.md lists is in one of the lists above, or
// is for everybody.
func TestEveryRouteIsGuarded(t *testing.T) {
	t.Parallel()

	page, err := os.ReadFile("../../docs/dashboard.md")
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"GET /me", "POST /session", "DELETE /session", "GET /stream"}
	for _, request := range append(reading(), acting()...) {
		request, _, _ = strings.Cut(request, "?")
		known = append(known, strings.Replace(strings.Replace(request, "/api/v1", "", 1), "/prod", "/{name}", 1))
	}
	listed := regexp.MustCompile("(?m)^\\| `((?:GET|POST|DELETE) [^`? ]+)").FindAllStringSubmatch(string(page), -1)
	if len(listed) < 20 {
		t.Fatalf("docs/dashboard.md lists %d requests", len(listed))
	}
	for _, request := range listed {
		if !slices.Contains(known, request[1]) {
			t.Errorf("%s is in docs/dashboard.md, and no test says who may do it", request[1])
		}
	}
}

func configWith(change func(*dashboard.Config)) dashboard.Config {
	config := configOf(dashtest.New(clock.System(), 1, 3, "prod"))
	config.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ebb_up 1") })
	change(&config)
	return config
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		change func(*dashboard.Config)
		want   string
	}{
		"open without token":     {func(c *dashboard.Config) { c.Listen, c.Token = ":8480", "" }, "http.token"},
		"proxy without token":    {func(c *dashboard.Config) { c.BehindTLSProxy, c.Token = true, "" }, "http.token"},
		"password in the clear":  {func(c *dashboard.Config) { c.User, c.Password = "a", "b" }, "http.tls"},
		"user without password":  {func(c *dashboard.Config) { c.User, c.TLS = "a", true }, "belong together"},
		"no engine":              {func(c *dashboard.Config) { c.Engine = nil }, "Engine"},
		"a name is not loopback": {func(c *dashboard.Config) { c.Listen, c.Token = "ebb.example.com:8480", "" }, "http.token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := dashboard.New(configWith(c.change)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something about %s", err, c.want)
			}
		})
	}
}

// TestHeadersOnEverything asks for all kinds of answers and looks at their headers.
func TestHeadersOnEverything(t *testing.T) {
	t.Parallel()

	server, _ := begin(t, 3, func(c *dashboard.Config) {
		c.Healthz = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("on purpose") })
	})
	foreign := func(r *http.Request) { r.Host = "evil.example.com" }
	for _, c := range []struct {
		method, path string
		status       int
		change       func(*http.Request)
	}{
		{"GET", "/", 200, nil},
		{"GET", "/a/prod", 200, nil},
		{"GET", "/app.js", 200, nil},
		{"GET", "/none", 404, nil},
		{"POST", "/", 405, nil},
		{"GET", "/api/v1/me", 200, nil},
		{"GET", "/api/v1/none", 404, nil},
		{"PUT", "/api/v1/autoscalers", 404, nil},
		{"HEAD", "/api/v1/stream", 405, nil},
		{"GET", "/api/v1/autoscalers/none", 404, nil},
		{"GET", "/api/v1/autoscalers/prod", 200, nil},
		{"POST", "/api/v1/reload", 401, nil},
		{"GET", "/", 421, foreign},
		{"GET", "/api/v1/me", 421, foreign},
		{"GET", "/healthz", 500, nil},
	} {
		change := c.change
		if change == nil {
			change = func(*http.Request) {}
		}
		got := ask(server, c.method, c.path, "", change)
		if got.StatusCode != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got.StatusCode, c.status)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
			"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s %s: %s is %q", c.method, c.path, name, got.Header.Get(name))
			}
		}
		if text := body(got); got.StatusCode >= 400 && (!strings.Contains(text, `"error"`) || !strings.Contains(text, `"fix"`)) {
			t.Errorf("%s %s: no problem with a fix: %s", c.method, c.path, text)
		}
	}
}

// TestPageHasNothingInline holds the page to its own policy.
func TestPageHasNothingInline(t *testing.T) {
	t.Parallel()

	server, _ := begin(t, 1)
	page := body(ask(server, "GET", "/", ""))
	for _, bad := range []string{"<style", "style=", "onclick", "onload", "http://", "https://", "//"} {
		if strings.Contains(strings.ReplaceAll(page, "</", ""), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if strings.Count(page, "<script") != strings.Count(page, "<script src=") {
		t.Error("the page holds a script of its own")
	}
}

// TestTokenFile holds that only whoever is on the same machine hears where the token is.
func TestTokenFile(t *testing.T) {
	t.Parallel()

	for listen, told := range map[string]bool{"127.0.0.1:8480": true, "0.0.0.0:8480": false} {
		server, err := dashboard.New(configWith(func(c *dashboard.Config) { c.Listen, c.TokenFile = listen, "/var/lib/ebb/http-token" }))
		if err != nil {
			t.Fatal(err)
		}
		if text := body(ask(server, "GET", "/api/v1/me", "")); strings.Contains(text, `"token_file":"/var/lib/ebb/http-token"`) != told {
			t.Errorf("on %s: %s", listen, text)
		}
	}
}

func TestForeignNames(t *testing.T) {
	t.Parallel()

	server, _ := begin(t, 1)
	for host, want := range map[string]int{
		"127.0.0.1:8480": 200, "localhost": 200, "LOCALHOST:99": 200, "[::1]:8480": 200, "ebb.localhost:8480": 200, "127.1.2.3": 200,
		"evil.example.com": 421, "127.0.0.1.example.com": 421, "localhost.example.com:8480": 421, "": 421, "10.0.0.1:8480": 421, "xlocalhost": 421,
	} {
		if got := ask(server, "GET", "/api/v1/me", "", func(r *http.Request) { r.Host = host }); got.StatusCode != want {
			t.Errorf("Host %q: %d, want %d", host, got.StatusCode, want)
		}
	}
}

// TestForeignPages holds that another site's page cannot act with our cookie.
func TestForeignPages(t *testing.T) {
	t.Parallel()

	server, world := begin(t, 1)
	cookie := signIn(t, server)
	for name, change := range map[string]func(*http.Request){
		"no header of the page": func(*http.Request) {},
		"cross-site":            func(r *http.Request) { r.Header.Set("X-Ebb-Page", "1"); r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"same-site":             func(r *http.Request) { r.Header.Set("X-Ebb-Page", "1"); r.Header.Set("Sec-Fetch-Site", "same-site") },
		"other origin": func(r *http.Request) {
			r.Header.Set("X-Ebb-Page", "1")
			r.Header.Set("Origin", "http://127.0.0.1:9999")
		},
		"null origin": func(r *http.Request) { r.Header.Set("X-Ebb-Page", "1"); r.Header.Set("Origin", "null") },
	} {
		got := ask(server, "POST", "/api/v1/reload", "{}", func(r *http.Request) { r.AddCookie(cookie); change(r) })
		if got.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, got.StatusCode, body(got))
		}
	}
	if orders := world.Orders(); len(orders) != 0 {
		t.Errorf("something was done: %v", orders)
	}
	got := ask(server, "POST", "/api/v1/reload", "{}", func(r *http.Request) {
		r.AddCookie(cookie)
		r.Header.Set("X-Ebb-Page", "1")
		r.Header.Set("Origin", "http://127.0.0.1:8480")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	})
	if got.StatusCode != http.StatusOK || len(world.Orders()) != 1 {
		t.Errorf("the page's own request: %d %s", got.StatusCode, body(got))
	}
}

func signIn(t *testing.T, server *dashboard.Server) *http.Cookie {
	t.Helper()
	got := ask(server, "POST", "/api/v1/session", fmt.Sprintf(`{"token":%q,"name":"ana"}`, token), func(r *http.Request) { r.Header.Set("X-Ebb-Page", "1") })
	if got.StatusCode != http.StatusOK || len(got.Cookies()) != 1 {
		t.Fatalf("sign in: %d %s", got.StatusCode, body(got))
	}
	return got.Cookies()[0]
}

func TestSession(t *testing.T) {
	t.Parallel()

	server, world := begin(t, 1)
	cookie := signIn(t, server)
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || strings.Contains(cookie.Value, token) {
		t.Errorf("got %+v", cookie)
	}
	page := func(r *http.Request) { r.AddCookie(cookie); r.Header.Set("X-Ebb-Page", "1") }
	if got := ask(server, "POST", "/api/v1/autoscalers/prod/pause", `{"why":"data","for":"1h"}`, page); got.StatusCode != http.StatusOK {
		t.Fatalf("pause: %d %s", got.StatusCode, body(got))
	}
	if orders := world.Orders(); len(orders) != 1 || !strings.Contains(orders[0], "prod ana") {
		t.Errorf("the order is not by who signed in: %v", orders)
	}
	if got := ask(server, "DELETE", "/api/v1/session", "", page); got.StatusCode != http.StatusOK {
		t.Errorf("sign out: %d", got.StatusCode)
	}
	if got := ask(server, "POST", "/api/v1/reload", "{}", page); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("the session goes on after its end: %d", got.StatusCode)
	}
	secure, err := dashboard.New(configWith(func(c *dashboard.Config) { c.Listen, c.TLS = "0.0.0.0:1", true }))
	if err != nil {
		t.Fatal(err)
	}
	if cookie := signIn(t, secure); !cookie.Secure || !strings.HasPrefix(cookie.Name, "__Host-") {
		t.Errorf("over TLS: %+v", cookie)
	}
}

// later is the machine's clock, put forward.
type later struct {
	dashboard.Clock

	by atomic.Int64
}

func (l *later) Now() time.Time { return l.Clock.Now().Add(time.Duration(l.by.Load())) }

// TestSessionsEnd: by themselves after twelve hours, and the oldest one when somebody
// opens very many.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()

	wall := &later{Clock: clock.System()}
	server, _ := begin(t, 1, func(c *dashboard.Config) { c.Wall = wall })
	reload := func(cookie *http.Cookie) int {
		return ask(server, "POST", "/api/v1/reload", "{}", func(r *http.Request) { r.AddCookie(cookie); r.Header.Set("X-Ebb-Page", "1") }).StatusCode
	}
	first := signIn(t, server)
	wall.by.Store(int64(12*time.Hour - time.Minute))
	if got := reload(first); got != http.StatusOK {
		t.Errorf("after almost twelve hours: %d", got)
	}
	second := signIn(t, server)
	wall.by.Store(int64(12*time.Hour + time.Minute))
	if a, b := reload(first), reload(second); a != http.StatusUnauthorized || b != http.StatusOK {
		t.Errorf("after twelve hours: %d; a session of two minutes: %d", a, b)
	}
	var last *http.Cookie
	for range 256 {
		wall.by.Add(int64(time.Second))
		last = signIn(t, server)
	}
	if a, b := reload(second), reload(last); a != http.StatusUnauthorized || b != http.StatusOK {
		t.Errorf("after 256 others: %d; the last of them: %d", a, b)
	}
}

// TestStreamEndsWithItsSession: who may look only when signed in sees nothing more
// once the session is over, however it ended; others go on looking.
func TestStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()

	wall := &later{Clock: clock.System()}
	server, world := begin(t, 1, func(c *dashboard.Config) { c.Listen, c.BehindTLSProxy, c.Wall = "0.0.0.0:1", true, wall })
	url := serve(t, server)
	watch := func(prove func(*http.Request)) (ended chan struct{}) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/autoscalers/prod/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		prove(r)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		if response.StatusCode != http.StatusOK {
			t.Fatalf("the stream is refused: %s", response.Status)
		}
		ended = make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = io.Copy(io.Discard, response.Body)
		}()
		return ended
	}
	leaving, staying := signIn(t, server), signIn(t, server)
	left := watch(func(r *http.Request) { r.AddCookie(leaving) })
	stayed := watch(func(r *http.Request) { r.AddCookie(staying) })
	bearer := watch(trusted)
	over := func(ended chan struct{}) func() bool {
		return func() bool {
			world.Step() // a frame comes
			select {
			case <-ended:
				return true
			default:
				return false
			}
		}
	}
	ask(server, "DELETE", "/api/v1/session", "", func(r *http.Request) { r.AddCookie(leaving); r.Header.Set("X-Ebb-Page", "1") })
	waitFor(t, "the end of the stream after signing out", over(left))
	if over(stayed)() {
		t.Error("the stream of another session ended too")
	}
	wall.by.Store(int64(13 * time.Hour))
	waitFor(t, "the end of the stream after twelve hours", over(stayed))
	if over(bearer)() {
		t.Error("the stream of who sent the token ended too")
	}
}

// TestWrongTokens holds that guessing is slow, also with the right one among the
// guesses, and hurts nobody else.
func TestWrongTokens(t *testing.T) {
	t.Parallel()

	server, _ := begin(t, 1)
	from := func(address, text string) int {
		return ask(server, "POST", "/api/v1/reload", "{}", func(r *http.Request) {
			r.RemoteAddr = address + ":1"
			r.Header.Set("Authorization", "Bearer "+text)
		}).StatusCode
	}
	refused := 0
	for range 20 {
		if from("10.1.1.1", "guess") == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 12 {
		t.Errorf("%d of 20 guesses were put off, want 12", refused)
	}
	if got := from("10.1.1.1", token); got != http.StatusTooManyRequests {
		t.Errorf("the right token among guesses: %d", got)
	}
	if got := from("10.1.1.2", token); got != http.StatusOK {
		t.Errorf("another address: %d", got)
	}
}

func TestAddressBehindProxy(t *testing.T) {
	t.Parallel()

	server, err := dashboard.New(configWith(func(c *dashboard.Config) { c.BehindTLSProxy = true }))
	if err != nil {
		t.Fatal(err)
	}
	via := func(chain, text string) int {
		return ask(server, "POST", "/api/v1/reload", "{}", func(r *http.Request) {
			r.Header.Set("X-Forwarded-For", chain)
			r.Header.Set("Authorization", "Bearer "+text)
		}).StatusCode
	}
	for i := range 10 {
		via(fmt.Sprintf("192.0.2.%d, 198.51.100.7", i), "guess") // the first part is whatever the sender wrote
	}
	if got := via("198.51.100.7", token); got != http.StatusTooManyRequests {
		t.Errorf("a forged address helped: %d", got)
	}
	if got := via("198.51.100.8", token); got != http.StatusOK {
		t.Errorf("another address: %d", got)
	}
}
