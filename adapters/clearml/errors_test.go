package clearml_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ebbscale/ebb/messages"
)

func TestRecordedErrors(t *testing.T) {
	t.Parallel()
	want := map[string]struct {
		class messages.FailureClass
		code  string
		text  string
	}{
		"bad scheme":                 {messages.ClassUnauthorized, "401/10", "bad authentication header type"},
		"garbage bearer":             {messages.ClassUnauthorized, "401/30", "Not enough segments"},
		"expired token":              {messages.ClassUnauthorized, "401/30", "Signature has expired"},
		"revoked token":              {messages.ClassUnauthorized, "401/30", "revoked token"},
		"login none":                 {messages.ClassUnauthorized, "401/20", "missing credentials"},
		"forbidden":                  {messages.ClassUnauthorized, "403/20", "not allowed for role"},
		"old version":                {messages.ClassNotFound, "404/0", "port 8008"},
		"unknown endpoint":           {messages.ClassNotFound, "404/0", "queues.nope"},
		"bad path":                   {messages.ClassInvalid, "400/0", "/foo"},
		"bad json":                   {messages.ClassInvalid, "400/0", "could not understand"},
		"gzip body":                  {messages.ClassInvalid, "415", "Content encoding is not supported"},
		"wrong type":                 {messages.ClassInvalid, "400/12", "invalid literal"},
		"missing required":           {messages.ClassInvalid, "400/12", "field is required"},
		"short name":                 {messages.ClassInvalid, "400/800", "too short"},
		"dup":                        {messages.ClassInvalid, "400/801", "E11000"},
		"get_by_id bad":              {messages.ClassNotFound, "400/701", "deadbeef"},
		"bad task":                   {messages.ClassNotFound, "400/101", "nonexist"},
		"metadata of no queue":       {messages.ClassNotFound, "400/701", "nope"},
		"already queued":             {messages.ClassInvalid, "400/706", "already queued"},
		"enqueue of one in progress": {messages.ClassInvalid, "400/110", "current_status=in_progress"},
		"server error":               {messages.ClassTransient, "500/0", "must be an instance of dict"},
	}
	seen := 0
	for _, r := range recordings(t) {
		if r.Status == http.StatusOK || r.Label == "login bad secret" {
			continue
		}
		test, known := want[r.Label]
		if !known {
			t.Errorf("no expectation for recording %q", r.Label)
			continue
		}
		seen++
		t.Run(r.Label, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("workers.get_all", always(r.answer()))
			got, err := s.client().Observe(t.Context(), query("q"))
			wantClass(t, err, test.class, test.code)
			for _, part := range []string{"observe workers: call workers.get_all at " + s.server.URL, test.text} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			if !got.At.IsZero() || got.Workers != nil {
				t.Errorf("a part was answered: %+v", got)
			}
		})
	}
	if seen != len(want) {
		t.Errorf("%d recordings of %d were found", seen, len(want))
	}
}

func TestErrorsOfServersAndProxies(t *testing.T) {
	t.Parallel()
	const page = "<html><head><title>Oops</title></head></html>"
	for name, test := range map[string]struct {
		answer answer
		class  messages.FailureClass
		code   string
		calls  int
		text   string
	}{
		"throttled":           {answer{429, failure(429, 0, "slow down"), nil}, messages.ClassThrottled, "429/0", 3, "slow down"},
		"throttled by proxy":  {answer{429, "Too many", nil}, messages.ClassThrottled, "429", 3, "Too many"},
		"database away":       {answer{500, failure(500, 102, "db"), nil}, messages.ClassTransient, "500/102", 3, "db"},
		"plain 500":           {answer{500, "Failed processing request", nil}, messages.ClassTransient, "500", 3, "Failed processing"},
		"bad gateway":         {answer{502, page, nil}, messages.ClassTransient, "502", 3, "Bad Gateway (a web page"},
		"maintenance":         {answer{503, "", nil}, messages.ClassTransient, "503", 3, "Service Unavailable"},
		"gateway timeout":     {answer{504, page, nil}, messages.ClassTransient, "504", 3, "(3 attempts)"},
		"bandwidth":           {answer{509, "", nil}, messages.ClassTransient, "509", 3, ""},
		"request timeout":     {answer{408, "", nil}, messages.ClassTransient, "408", 3, ""},
		"not found page":      {answer{404, page, nil}, messages.ClassNotFound, "404", 1, "API server"},
		"teapot":              {answer{418, "", nil}, messages.ClassUnknown, "418", 1, "teapot"},
		"redirect":            {answer{301, "", map[string]string{"Location": "https://new.example/x"}}, messages.ClassInvalid, "301", 1, "redirects to https://new.example:"},
		"web page of 200":     {answer{200, page, nil}, messages.ClassUnknown, "unexpected_answer", 1, "a web page and not JSON"},
		"text of 200":         {answer{200, "fine", nil}, messages.ClassUnknown, "unexpected_answer", 1, "not JSON"},
		"empty 200":           {answer{200, " ", nil}, messages.ClassTransient, "truncated", 3, "empty"},
		"cut off":             {answer{200, envelope(`{"workers": [{"id": "pfx:a:b:c"}]}`)[:170], nil}, messages.ClassTransient, "truncated", 3, "cut off"},
		"two answers":         {answer{200, envelope(`{"workers": []}`) + "{}", nil}, messages.ClassUnknown, "unexpected_answer", 1, "not JSON"},
		"no envelope":         {answer{200, `{"workers": []}`, nil}, messages.ClassUnknown, "unexpected_answer", 1, "result_code"},
		"JSON of another":     {answer{200, `[]`, nil}, messages.ClassUnknown, "unexpected_answer", 1, "as ClearML gives it"},
		"JSON null":           {answer{200, `null`, nil}, messages.ClassUnknown, "unexpected_answer", 1, "result_code"},
		"no data":             {answer{200, `{"meta": {"result_code": 200}}`, nil}, messages.ClassUnknown, "unexpected_answer", 1, "no data"},
		"null data":           {answer{200, envelope(`null`), nil}, messages.ClassUnknown, "unexpected_answer", 1, "no data"},
		"data without list":   {answer{200, envelope(`{}`), nil}, messages.ClassUnknown, "unexpected_answer", 1, "data.workers"},
		"null list":           {answer{200, envelope(`{"workers": null}`), nil}, messages.ClassUnknown, "unexpected_answer", 1, "data.workers"},
		"list of wrong type":  {answer{200, envelope(`{"workers": {}}`), nil}, messages.ClassUnknown, "unexpected_answer", 1, "workers"},
		"row of wrong type":   {answer{200, envelope(`{"workers": [7]}`), nil}, messages.ClassUnknown, "unexpected_answer", 1, "workers"},
		"null row":            {answer{200, envelope(`{"workers": [null]}`), nil}, messages.ClassUnknown, "unexpected_answer", 1, "no id"},
		"row without id":      {answer{200, envelope(`{"workers": [{}]}`), nil}, messages.ClassUnknown, "unexpected_answer", 1, "no id"},
		"task without id":     {answer{200, envelope(`{"workers": [{"id": "pfx:a", "task": {}}]}`), nil}, messages.ClassUnknown, "unexpected_answer", 1, "without an id"},
		"time of wrong type":  {answer{200, envelope(`{"workers": [{"id": "pfx:a", "register_time": 7}]}`), nil}, messages.ClassUnknown, "unexpected_answer", 1, "not a string"},
		"time that is none":   {answer{200, envelope(`{"workers": [{"id": "pfx:a", "register_time": "soon"}]}`), nil}, messages.ClassUnknown, "unexpected_answer", 1, "ISO 8601"},
		"error said in a 200": {answer{200, failure(503, 0, "later"), nil}, messages.ClassTransient, "503/0", 3, "later"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("workers.get_all", always(test.answer))
			_, err := s.client().Observe(t.Context(), query("q"))
			wantClass(t, err, test.class, test.code)
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("error %q does not say %q", err, test.text)
			}
			if got := len(s.asked("workers.get_all")); got != test.calls {
				t.Errorf("%d calls, want %d", got, test.calls)
			}
			if got := len(s.asked("queues.get_all")); got != 0 {
				t.Errorf("%d calls for queues after the workers failed", got)
			}
		})
	}
}

func TestMalformedQueuesAreErrors(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"no list":            `{}`,
		"null list":          `{"queues": null}`,
		"wrong list":         `{"queues": "none"}`,
		"no id":              `{"queues": [{"name": "q"}]}`,
		"no name":            `{"queues": [{"id": "1"}]}`,
		"entries as number":  `{"queues": [{"id": "1", "name": "q", "entries": 3}]}`,
		"entries as ids":     `{"queues": [{"id": "1", "name": "q", "entries": ["t1"]}]}`,
		"entry without task": `{"queues": [{"id": "1", "name": "q", "entries": [{}]}]}`,
		"tags as text":       `{"queues": [{"id": "1", "name": "q", "tags": "a,b"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("queues.get_all", ok(data))
			got, err := s.client().Observe(t.Context(), query("q"))
			wantClass(t, err, messages.ClassUnknown, "unexpected_answer")
			if !got.At.IsZero() || len(got.Missing) > 0 {
				t.Errorf("a part was answered: %+v", got)
			}
		})
	}
}

func TestRetriesHeal(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	s.on("workers.get_all", first(1, answer{status: 503}, ok(`{"workers": []}`)))
	s.on("queues.get_all", first(2, answer{status: 502}, ok(`{"queues": [{"id": "1", "name": "q"}]}`)))
	got := observe(t, s.client(), "q")
	if len(got.Queues) != 1 || !got.At.Equal(epoch()) {
		t.Errorf("snapshot is %+v", got)
	}
	pauses := s.clock.waited()
	if len(pauses) != 3 || pauses[0] > 500*time.Millisecond || pauses[2] > time.Second || slices.Min(pauses) <= 0 {
		t.Errorf("pauses were %v", pauses)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		header string
		least  time.Duration
		calls  int
	}{
		"seconds":        {"7", 7 * time.Second, 2},
		"date of server": {epoch().Add(time.Hour + 9*time.Second).Format(http.TimeFormat), 8 * time.Second, 2},
		"in the past":    {epoch().Format(http.TimeFormat), 0, 2},
		"nonsense":       {"soon", 0, 2},
		"too long":       {"3600", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.skew = time.Hour
			busy := answer{429, failure(429, 0, "busy"), map[string]string{"Retry-After": test.header}}
			s.on("workers.get_all", first(1, busy, ok(`{"workers": []}`)))
			_, err := s.client().Observe(t.Context(), query("q"))
			if test.calls == 1 {
				wantClass(t, err, messages.ClassThrottled, "429/0")
			} else if err != nil {
				t.Fatal(err)
			}
			if got := len(s.asked("workers.get_all")); got != test.calls {
				t.Errorf("%d calls, want %d", got, test.calls)
			}
			if pauses := s.clock.waited(); test.calls == 2 && (len(pauses) != 1 || pauses[0] < test.least) {
				t.Errorf("pauses were %v, want one of at least %v", pauses, test.least)
			}
		})
	}
}

func TestContextEndsTheWait(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	s.clock.frozen = true // nobody ever wakes the retry
	ctx, cancel := context.WithCancel(t.Context())
	s.on("workers.get_all", func(int, asked) answer {
		time.AfterFunc(10*time.Millisecond, cancel)
		return answer{status: 503}
	})
	_, err := s.client().Observe(ctx, query("q"))
	wantClass(t, err, messages.ClassTransient, "503")
	if got := len(s.asked("workers.get_all")); got != 1 {
		t.Errorf("%d calls, want 1", got)
	}
}

func TestContextEndsTheCall(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end  func(context.Context) (context.Context, context.CancelFunc)
		code string
		is   error
	}{
		"canceled": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}, "canceled", context.Canceled},
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Nanosecond)
		}, "timeout", context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			ctx, cancel := test.end(t.Context())
			defer cancel()
			_, err := s.client().Observe(ctx, query("q"))
			wantClass(t, err, messages.ClassTransient, test.code)
			if !errors.Is(err, test.is) {
				t.Errorf("error %v is not %v", err, test.is)
			}
		})
	}
}

func TestNetworkErrors(t *testing.T) {
	t.Parallel()
	t.Run("request takes too long", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) { // the time-out is on the clock of the bubble
			login, calls := &stub{clock: newClock(), life: time.Hour}, 0
			cfg := login.configFor("http://clearml.invalid", &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/auth.login") {
					return respond(200, []byte(envelope(fmt.Sprintf(`{"token": %q}`, login.jwt(1))))), nil
				}
				calls++
				<-r.Context().Done()
				return nil, r.Context().Err()
			})})
			cfg.RequestTimeout, cfg.MaxAttempts = 50*time.Millisecond, 2
			_, err := mustNew(t, cfg).Observe(t.Context(), query("q"))
			wantClass(t, err, messages.ClassTransient, "timeout")
			if calls != 2 {
				t.Errorf("%d calls, want 2", calls)
			}
		})
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		s := newStub(t)
		// Not the port of a server that was closed: another test may get that one.
		c := mustNew(t, s.configFor("http://127.0.0.1:1", s.server.Client()))
		_, err := c.Observe(t.Context(), query("q"))
		wantClass(t, err, messages.ClassTransient, "network")
	})
	t.Run("connection cut in the body", func(t *testing.T) {
		t.Parallel()
		s := newStub(t)
		s.on("workers.get_all", always(answer{200, envelope(`{"workers": []}`), map[string]string{"Content-Length": "100000"}}))
		_, err := s.client().Observe(t.Context(), query("q"))
		wantClass(t, err, messages.ClassTransient, "truncated")
		if got := len(s.asked("workers.get_all")); got != 3 {
			t.Errorf("%d calls, want 3", got)
		}
	})
	t.Run("larger than allowed", func(t *testing.T) {
		t.Parallel()
		s := newStub(t)
		s.on("workers.get_all", ok(`{"workers": [], "more": "`+strings.Repeat("x", 2000)+`"}`))
		cfg := s.config()
		cfg.MaxBody = 2000
		_, err := mustNew(t, cfg).Observe(t.Context(), query("q"))
		wantClass(t, err, messages.ClassUnknown, "answer_too_large")
	})
	t.Run("https asked of http", func(t *testing.T) {
		t.Parallel()
		s := newStub(t)
		cfg := s.config()
		cfg.APIServer = strings.Replace(cfg.APIServer, "http://", "https://", 1)
		_, err := mustNew(t, cfg).Observe(t.Context(), query("q"))
		wantClass(t, err, messages.ClassInvalid, "tls")
	})
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var buffer bytes.Buffer
	w := gzip.NewWriter(&buffer)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.String()
}

func TestGzip(t *testing.T) {
	t.Parallel()
	header := map[string]string{"Content-Encoding": "gzip"}
	body := zipped(t, envelope(`{"workers": [{"id": "pfx:a:b:c"}]}`))
	for name, disabled := range map[string]bool{"by the transport": false, "by us": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("workers.get_all", always(answer{200, body, header}))
			cfg := s.config()
			cfg.HTTPClient = &http.Client{Transport: &http.Transport{DisableCompression: disabled}}
			c := mustNew(t, cfg)
			t.Cleanup(c.Close)
			if got := observe(t, c, "q"); len(got.Workers) != 1 {
				t.Errorf("workers are %v", got.Workers)
			}
		})
		t.Run("cut, "+name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("workers.get_all", always(answer{200, body[:len(body)-12], header}))
			cfg := s.config()
			cfg.HTTPClient = &http.Client{Transport: &http.Transport{DisableCompression: disabled}}
			c := mustNew(t, cfg)
			t.Cleanup(c.Close)
			_, err := c.Observe(t.Context(), query("q"))
			wantClass(t, err, messages.ClassTransient, "truncated")
		})
	}
	t.Run("no gzip at all", func(t *testing.T) {
		t.Parallel()
		s := newStub(t)
		s.on("workers.get_all", always(answer{200, envelope(`{"workers": []}`), header}))
		_, err := s.client().Observe(t.Context(), query("q"))
		wantClass(t, err, messages.ClassUnknown, "unexpected_answer")
	})
}

func TestPrivateCertificateAuthority(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := s.config()
	cfg.APIServer, cfg.HTTPClient, cfg.CAFile = secure.URL, nil, file
	c := mustNew(t, cfg)
	t.Cleanup(c.Close)
	observe(t, c, "q")

	cfg.CAFile = ""
	c = mustNew(t, cfg)
	t.Cleanup(c.Close)
	_, err := c.Observe(t.Context(), query("q"))
	wantClass(t, err, messages.ClassInvalid, "tls")
	if !strings.Contains(err.Error(), "ca_file") {
		t.Errorf("error %q does not name the cure", err)
	}
}

func TestErrorSaysWhatWasTried(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	s.on("queues.get_all", always(answer{status: 503, body: "closed\n for\trepair"}))
	_, err := s.client().Observe(t.Context(), query("q"))
	want := fmt.Sprintf("observe queues: call queues.get_all at %s (3 attempts): transient: 503: closed for repair", s.server.URL)
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}
}
