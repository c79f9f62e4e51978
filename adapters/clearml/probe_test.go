package clearml_test

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/clearml"
)

func TestProbeKnowsTheTime(t *testing.T) {
	t.Parallel()

	for _, skew := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
		s := newStub(t)
		s.skew = skew
		got, err := s.client().Probe(t.Context())
		if err != nil || !got.SkewKnown || (got.Skew-skew).Abs() > time.Second {
			t.Errorf("server %s ahead: got %+v, %v", skew, got, err)
		}
	}
	refusing := newStub(t)
	refusing.skew = time.Hour
	refusing.on("auth.login", always(answer{status: 401, body: failure(401, 21, "no")}))
	if got, err := refusing.client().Probe(t.Context()); err == nil || !got.SkewKnown || (got.Skew-time.Hour).Abs() > time.Second {
		t.Errorf("a server that refuses: got %+v, %v", got, err)
	}
	s := newStub(t)
	s.noDate = true
	if got, err := s.client().Probe(t.Context()); err != nil || got.SkewKnown {
		t.Errorf("without a date: got %+v, %v", got, err)
	}
}

// TestProbeLogsInEachTime: a token that is held tells nothing of the credentials.
func TestProbeLogsInEachTime(t *testing.T) {
	t.Parallel()

	s := newStub(t)
	c := s.client()
	observe(t, c, "q")
	s.on("auth.login", always(answer{status: 401, body: failure(401, 21, "invalid credentials")}))
	got, err := c.Probe(t.Context())
	if got.Fault != clearml.FaultCredentials || err == nil {
		t.Errorf("got %+v, %v", got, err)
	}
	observe(t, c, "q") // the held token is still good

	cfg := s.config()
	cfg.AccessKey, cfg.SecretKey, cfg.AuthToken = "", "", "a-token"
	if _, err := mustNew(t, cfg).Probe(t.Context()); err == nil || strings.Contains(err.Error(), "a-token") {
		t.Errorf("got %v", err)
	}
	logins := s.asked("auth.login")
	if last := logins[len(logins)-1]; last.authorization != "Bearer a-token" {
		t.Errorf("logged in with %q", last.authorization)
	}
}

func TestProbeFaults(t *testing.T) {
	t.Parallel()

	const page = "<html><body>nginx</body></html>"
	for name, c := range map[string]struct {
		says answer
		want clearml.Fault
	}{
		"web page":         {answer{status: 200, body: page}, clearml.FaultNotAPI},
		"not allowed":      {answer{status: 405, body: page}, clearml.FaultNotAPI},
		"not found":        {answer{status: 404, body: page}, clearml.FaultNotAPI},
		"other JSON":       {answer{status: 200, body: `{"hello": 1}`}, clearml.FaultNotAPI},
		"nothing":          {answer{status: 200}, clearml.FaultNotAPI},
		"elsewhere":        {answer{status: 301, header: map[string]string{"Location": "https://api.example.com/"}}, clearml.FaultNotAPI},
		"login of a proxy": {answer{status: 407, body: page}, clearml.FaultNotAPI},
		"401 of a proxy":   {answer{status: 401, body: page}, clearml.FaultNotAPI},
		"401":              {answer{status: 401, body: failure(401, 21, "no")}, clearml.FaultCredentials},
		"403":              {answer{status: 403, body: failure(403, 1, "no")}, clearml.FaultCredentials},
		"500":              {answer{status: 500, body: failure(500, 102, "no database")}, clearml.FaultServer},
		"502":              {answer{status: 502, body: page}, clearml.FaultServer},
	} {
		s := newStub(t)
		s.on("auth.login", always(c.says))
		got, err := s.client().Probe(t.Context())
		if err == nil || got.Fault != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got.Fault, err, c.want)
		}
		if n := len(s.asked("")); n != 1 {
			t.Errorf("%s: %d calls", name, n)
		}
	}
	for name, c := range map[string]struct {
		err  error
		want clearml.Fault
	}{
		"no such name": {&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}}, clearml.FaultName},
		"no resolver":  {&net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", Name: "x"}}, clearml.FaultUnreachable},
		"refused":      {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, clearml.FaultUnreachable},
		"no TLS":       {errors.New("http: server gave HTTP response to HTTPS client"), clearml.FaultTLS},
	} {
		s := newStub(t)
		cfg := s.config()
		cfg.HTTPClient = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, c.err })}
		if got, err := mustNew(t, cfg).Probe(t.Context()); err == nil || got.Fault != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got.Fault, err, c.want)
		}
	}
	s := newStub(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	s.on("auth.login", func(int, asked) answer { <-hang; return answer{status: 200} })
	cfg := s.config()
	cfg.RequestTimeout = 50 * time.Millisecond
	if got, err := mustNew(t, cfg).Probe(t.Context()); err == nil || got.Fault != clearml.FaultTimeout {
		t.Errorf("no answer: got %+v, %v", got, err)
	}
}

func TestGuessAPIServer(t *testing.T) {
	t.Parallel()

	for given, want := range map[string]string{
		"https://app.clear.ml":           "https://api.clear.ml",
		"https://files.example.com/":     "https://api.example.com",
		"https://app.example.com:8443":   "https://api.example.com:8443",
		"http://10.0.0.1:8080/dashboard": "http://10.0.0.1:8008",
		"http://localhost:8081":          "http://localhost:8008",
		"http://[::1]:8080":              "http://[::1]:8008",
		"https://clearml.example.com":    "",
		"http://localhost:8008":          "",
		"http://app.local":               "http://api.local",
		"not a URL":                      "",
	} {
		if got := clearml.GuessAPIServer(given); got != want {
			t.Errorf("%s: got %q, want %q", given, got, want)
		}
	}
}
