package clearml_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/messages"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*clearml.Config)
		text   string
	}{
		"no server":         {func(c *clearml.Config) { c.APIServer = " " }, "it is empty"},
		"no URL":            {func(c *clearml.Config) { c.APIServer = "http://h:port" }, "not a URL"},
		"no scheme":         {func(c *clearml.Config) { c.APIServer = "api.clear.ml" }, "http or https"},
		"other scheme":      {func(c *clearml.Config) { c.APIServer = "ftp://api.clear.ml" }, `"ftp"`},
		"no host":           {func(c *clearml.Config) { c.APIServer = "http://:8008" }, "no host"},
		"password in URL":   {func(c *clearml.Config) { c.APIServer = "http://u:" + testSecret + "@h" }, "access_key"},
		"query in URL":      {func(c *clearml.Config) { c.APIServer = "http://h?token=" + testSecret }, "query"},
		"no credentials":    {func(c *clearml.Config) { c.AccessKey, c.SecretKey = "", "" }, "give access_key"},
		"half of them":      {func(c *clearml.Config) { c.SecretKey = "" }, "give access_key"},
		"both kinds":        {func(c *clearml.Config) { c.AuthToken = testSecret }, "keep one"},
		"colon in key":      {func(c *clearml.Config) { c.AccessKey = "a:b" }, "colon"},
		"token of two":      {func(c *clearml.Config) { c.AccessKey, c.SecretKey, c.AuthToken = "", "", testSecret+"\n" }, "white space"},
		"no clock":          {func(c *clearml.Config) { c.Clock = nil }, "Clock"},
		"no dice":           {func(c *clearml.Config) { c.Rand = nil }, "Rand"},
		"negative attempts": {func(c *clearml.Config) { c.MaxAttempts = -1 }, "negative"},
		"CA and client":     {func(c *clearml.Config) { c.CAFile = notPEM }, "both given"},
		"CA not PEM":        {func(c *clearml.Config) { c.HTTPClient, c.CAFile = nil, notPEM }, "no PEM certificate"},
		"CA not there":      {func(c *clearml.Config) { c.HTTPClient, c.CAFile = nil, notPEM+"x" }, "read ca_file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := newStub(t).config()
			test.change(&cfg)
			_, err := clearml.New(cfg)
			if err == nil || !strings.Contains(err.Error(), test.text) {
				t.Fatalf("error is %v, want one with %q", err, test.text)
			}
			if strings.Contains(err.Error(), testSecret) {
				t.Errorf("error %q holds the secret", err)
			}
		})
	}
}

func TestServerBehindAPath(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	cfg := s.config()
	cfg.APIServer = "  " + s.server.URL + "/deep/api/ "
	_, err := mustNew(t, cfg).Observe(t.Context(), query("q"))
	wantClass(t, err, messages.ClassNotFound, "404/0")
	if got := s.asked("")[0].path; got != "/deep/api/v2.30/auth.login" {
		t.Errorf("asked for %s", got)
	}
}

func TestCookiesAndRedirectsStayOut(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	s.on("workers.get_all", always(answer{307, "", map[string]string{
		"Location": s.server.URL + "/v2.30/queues.get_all", "Set-Cookie": "clearml_token_basic=x",
	}}))
	c := s.client()
	_, err := c.Observe(t.Context(), query("q"))
	wantClass(t, err, messages.ClassInvalid, "307")
	if got := len(s.asked("queues.get_all")); got != 0 {
		t.Errorf("the redirect was followed")
	}
	_, err = c.Observe(t.Context(), query("q"))
	wantClass(t, err, messages.ClassInvalid, "307")
	for _, call := range s.asked("") {
		if call.header.Get("Cookie") != "" {
			t.Errorf("cookie %q was sent", call.header.Get("Cookie"))
		}
	}
}

// Whatever a server, a proxy or the network says, and even if it repeats what
// we sent, nothing of it gets out.
func TestNoSecretGetsOut(t *testing.T) {
	t.Parallel()
	const given = "given.token.ofTheUser"
	basic := base64.StdEncoding.EncodeToString([]byte(testKey + ":" + testSecret))
	for name, reply := range map[string]func(s *stub) func(int, asked) answer{
		"envelope that echoes": func(*stub) func(int, asked) answer {
			return func(_ int, a asked) answer {
				return answer{status: 400, body: failure(400, 12, "bad "+a.authorization+" "+testSecret+" "+given)}
			}
		},
		"text that echoes": func(*stub) func(int, asked) answer {
			return func(_ int, a asked) answer { return answer{status: 503, body: a.authorization + testSecret + given} }
		},
		"refusal that echoes": func(*stub) func(int, asked) answer {
			return func(_ int, a asked) answer {
				return answer{status: 401, body: failure(401, 30, "token "+a.authorization+" "+testKey+":"+testSecret)}
			}
		},
		"shape that echoes": func(*stub) func(int, asked) answer {
			return func(_ int, a asked) answer {
				_, token, _ := strings.Cut(a.authorization, " ")
				return answer{status: 200, body: envelope(fmt.Sprintf(`{"workers": [{"id": %q, "task": {}}], "token": ""}`, token))}
			}
		},
	} {
		for _, action := range []string{"auth.login", "workers.get_all"} {
			for _, byToken := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, by token %v", name, action, byToken), func(t *testing.T) {
					t.Parallel()
					s := newStub(t)
					s.on(action, reply(s))
					var log bytes.Buffer
					cfg := s.config()
					cfg.Log = zerolog.New(&log).Level(zerolog.TraceLevel)
					if byToken {
						cfg.AccessKey, cfg.SecretKey, cfg.AuthToken = "", "", given
					}
					_, err := mustNew(t, cfg).Observe(t.Context(), query("q"))
					if err == nil {
						t.Fatal("no error")
					}
					secrets := []string{given, s.jwt(1), s.jwt(2)}
					if !byToken {
						secrets = []string{testSecret, testKey, basic, s.jwt(1), s.jwt(2)}
					}
					text := fmt.Sprintf("%v %+v %#v %s", err, err, messages.FailureOf(err), log.String())
					for _, call := range s.asked("") {
						text += call.path
					}
					for _, secret := range secrets {
						if strings.Contains(text, secret) {
							t.Errorf("%q is in %s", secret, text)
						}
					}
				})
			}
		}
	}
}

func TestNoSecretOfANetworkErrorGetsOut(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	cfg := s.config()
	cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		return nil, errors.New("invalid proxy http://user:hunter22@proxy:3128 for " + r.Header.Get("Authorization"))
	})}
	_, err := mustNew(t, cfg).Observe(t.Context(), query("q"))
	wantClass(t, err, messages.ClassTransient, "network")
	for _, secret := range []string{"hunter22", base64.StdEncoding.EncodeToString([]byte(testKey + ":" + testSecret))} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q is in %v", secret, err)
		}
	}
	if !strings.Contains(err.Error(), "[redacted]") {
		t.Errorf("error is %v", err)
	}
}
