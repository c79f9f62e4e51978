package clearml_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ebbscale/ebb/messages"
)

func TestLoginIsBasicOnceAndThenBearer(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	c := s.client()
	for range 3 {
		observe(t, c, "q")
	}
	logins := s.asked("auth.login")
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(testKey+":"+testSecret))
	if len(logins) != 1 || logins[0].authorization != want || logins[0].raw != "{}" {
		t.Fatalf("logins are %+v, want one with %s", logins, want)
	}
	for _, call := range s.asked("queues.get_all") {
		if call.authorization != "Bearer "+s.jwt(1) {
			t.Errorf("call was made with %q", call.authorization)
		}
	}
}

func TestTokenIsRenewedBeforeItExpires(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		life   time.Duration
		quiet  time.Duration // until then no second login
		renews time.Duration // from then on one
		skew   time.Duration // the server's clock before ours
	}{
		"thirty days, twelve hours early":  {30 * day, 30*day - 12*time.Hour - time.Minute, 30*day - 12*time.Hour, 0},
		"an hour, six minutes early":       {time.Hour, 53 * time.Minute, 54 * time.Minute, 0},
		"our clock is a day behind":        {time.Hour, 53 * time.Minute, 54 * time.Minute, day},
		"our clock is a day in the future": {time.Hour, 53 * time.Minute, 54 * time.Minute, -day},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.life, s.skew = test.life, test.skew
			c := s.client()
			observe(t, c, "q")
			s.clock.advance(test.quiet)
			observe(t, c, "q")
			if got := len(s.asked("auth.login")); got != 1 {
				t.Fatalf("%d logins after %v, want 1", got, test.quiet)
			}
			s.clock.advance(test.renews - test.quiet)
			observe(t, c, "q")
			if got := len(s.asked("auth.login")); got != 2 {
				t.Errorf("%d logins after %v, want 2", got, test.renews)
			}
		})
	}
}

func TestTokensThatDoNotSayWhenTheyExpire(t *testing.T) {
	t.Parallel()
	part := func(text string) string { return "h." + base64.RawURLEncoding.EncodeToString([]byte(text)) + ".s" }
	for name, token := range map[string]string{
		"opaque":       "opaque",
		"no claims":    "a.b.c",
		"no exp":       part(`{"iat": 1}`),
		"exp as text":  part(`{"exp": "soon"}`),
		"exp in space": part(`{"exp": 1e300}`),
		// Expired before it was issued: then only a 401 tells.
		"exp in the past": part(`{"iat": 1000, "exp": 900}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("auth.login", ok(fmt.Sprintf(`{"token": %q}`, token)))
			c := s.client()
			observe(t, c, "q")
			s.clock.advance(20 * 365 * 24 * time.Hour)
			observe(t, c, "q")
			if got := len(s.asked("auth.login")); got != 1 {
				t.Errorf("%d logins, want 1", got)
			}
		})
	}
}

// TestManyCallsLogInOnce has a hundred calls wait for the same login, on a clock of
// their own: it is answered once all of them wait.
func TestManyCallsLogInOnce(t *testing.T) {
	t.Parallel()
	good := &stub{clock: newClock(), life: time.Hour}
	for name, test := range map[string]struct {
		login answer
		fails bool
	}{
		"that works": {answer{status: 200, body: envelope(fmt.Sprintf(`{"token": %q}`, good.jwt(1)))}, false},
		"that fails": {answer{status: 401, body: failure(401, 22, "invalid credentials")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				release, logins := make(chan struct{}), atomic.Int32{}
				c := mustNew(t, (&stub{clock: newClock()}).configFor("http://clearml.invalid", &http.Client{
					Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
						if strings.HasSuffix(r.URL.Path, "/auth.login") {
							logins.Add(1)
							<-release
							return respond(test.login.status, []byte(test.login.body)), nil
						}
						return respond(200, []byte(envelope(`{"queues": [], "workers": []}`))), nil
					}),
				}))
				var all sync.WaitGroup
				for range 100 {
					all.Go(func() {
						if _, err := c.Observe(t.Context(), query("q")); (err != nil) != test.fails {
							t.Errorf("error is %v", err)
						}
					})
				}
				synctest.Wait()
				close(release)
				all.Wait()
				if got := logins.Load(); got != 1 {
					t.Errorf("%d logins, want 1", got)
				}
			})
		})
	}
}

func TestWaitingForALoginEndsWithTheContext(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	began, release := make(chan struct{}), make(chan struct{})
	s.on("auth.login", func(n int, _ asked) answer {
		if n == 1 {
			close(began)
			<-release
		}
		return answer{status: 200, body: envelope(fmt.Sprintf(`{"token": %q}`, s.jwt(n)))}
	})
	c := s.client()
	// The one who logs in gives up; who waits must not fail with it.
	leader, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		_, err := c.Observe(leader, query("q"))
		wantCanceled(t, err)
	})
	<-began
	impatient, cancel := context.WithCancel(t.Context())
	all.Go(func() {
		_, err := c.Observe(impatient, query("q"))
		wantCanceled(t, err)
	})
	all.Go(func() {
		if _, err := c.Observe(t.Context(), query("q")); err != nil {
			t.Errorf("who waited for the login: %v", err)
		}
	})
	cancel()
	stop()
	close(release)
	all.Wait()
}

func wantCanceled(t *testing.T, err error) {
	t.Helper()
	if failure := messages.FailureOf(err); err == nil || failure.Class != messages.ClassTransient || failure.Code != "canceled" {
		t.Errorf("error is %v, want one of a canceled call", err)
	}
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	expired := recorded(t, "expired token")
	t.Run("and the call goes through", func(t *testing.T) {
		t.Parallel()
		s := newStub(t)
		s.on("workers.get_all", first(1, expired, ok(`{"workers": []}`)))
		observe(t, s.client(), "q")
		if got := len(s.asked("auth.login")); got != 2 {
			t.Errorf("%d logins, want 2", got)
		}
		if pauses := s.clock.waited(); len(pauses) != 0 {
			t.Errorf("it waited %v", pauses)
		}
	})
	t.Run("and then it is an error", func(t *testing.T) {
		t.Parallel()
		s := newStub(t)
		s.on("workers.get_all", always(expired))
		_, err := s.client().Observe(t.Context(), query("q"))
		wantClass(t, err, messages.ClassUnauthorized, "401/30")
		if logins, calls := len(s.asked("auth.login")), len(s.asked("workers.get_all")); logins != 2 || calls != 2 {
			t.Errorf("%d logins and %d calls, want 2 of each", logins, calls)
		}
	})
	t.Run("by one of many", func(t *testing.T) {
		t.Parallel()
		s := newStub(t)
		old := ""
		s.on("workers.get_all", func(_ int, a asked) answer {
			if a.authorization == old {
				return expired
			}
			return answer{status: 200, body: envelope(`{"workers": []}`)}
		})
		c := s.client()
		observe(t, c, "q")
		old = s.asked("workers.get_all")[0].authorization
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, err := c.Observe(t.Context(), query("q")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got := len(s.asked("auth.login")); got != 2 {
			t.Errorf("%d logins, want 2", got)
		}
	})
}

func TestBadCredentials(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	s.on("auth.login", always(recorded(t, "login bad secret")))
	c := s.client()
	for n := 1; n <= 2; n++ {
		_, err := c.Observe(t.Context(), query("q"))
		wantClass(t, err, messages.ClassUnauthorized, "401/22")
		if !strings.Contains(err.Error(), "call auth.login") || !strings.Contains(err.Error(), "check that the ClearML credentials") {
			t.Errorf("error is %q", err)
		}
		if got := len(s.asked("auth.login")); got != n {
			t.Errorf("%d logins, want %d", got, n)
		}
	}
	if got := len(s.asked("workers.get_all")); got != 0 {
		t.Errorf("%d calls without a token", got)
	}
}

func TestLoginAnswersWithoutToken(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`{}`, `{"token": ""}`, `{"token": null}`, `{"token": "two\r\nlines"}`} {
		s := newStub(t)
		s.on("auth.login", ok(data))
		_, err := s.client().Observe(t.Context(), query("q"))
		wantClass(t, err, messages.ClassUnknown, "unexpected_answer")
	}
}

func TestLoginIsRetried(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	s.on("auth.login", first(2, answer{status: 503}, func(n int, _ asked) answer {
		return answer{status: 200, body: envelope(fmt.Sprintf(`{"token": %q}`, s.jwt(n)))}
	}))
	observe(t, s.client(), "q")
}

func TestGoodOldTokenOutlivesAFailedRenewal(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	s.life = time.Hour
	c := s.client()
	observe(t, c, "q")
	down := true
	s.on("auth.login", func(n int, _ asked) answer {
		if down {
			return answer{status: 503}
		}
		return answer{status: 200, body: envelope(fmt.Sprintf(`{"token": %q}`, s.jwt(n)))}
	})
	s.clock.advance(55 * time.Minute)
	observe(t, c, "q") // tries once, goes on with the old one
	observe(t, c, "q") // does not try again so soon
	if got := len(s.asked("auth.login")); got != 2 {
		t.Fatalf("%d logins, want 2", got)
	}
	s.clock.advance(time.Minute)
	observe(t, c, "q")
	if got := len(s.asked("auth.login")); got != 3 {
		t.Fatalf("%d logins, want 3", got)
	}
	s.clock.advance(5 * time.Minute) // now it is too old
	_, err := c.Observe(t.Context(), query("q"))
	wantClass(t, err, messages.ClassTransient, "503")
	down = false
	observe(t, c, "q")
}

func TestAuthToken(t *testing.T) {
	t.Parallel()
	const given = "given-token-of-the-user"
	build := func(t *testing.T) *stub {
		t.Helper()
		s := newStub(t)
		s.life = time.Hour
		return s
	}
	t.Run("is exchanged, and its successor too", func(t *testing.T) {
		t.Parallel()
		s := build(t)
		cfg := s.config()
		cfg.AccessKey, cfg.SecretKey, cfg.AuthToken = "", "", given
		c := mustNew(t, cfg)
		observe(t, c, "q")
		used := s.asked("workers.get_all")[0].authorization
		s.clock.advance(55 * time.Minute)
		observe(t, c, "q")
		s.clock.advance(2 * time.Hour) // the successor is dead too
		observe(t, c, "q")
		var logins []string
		for _, login := range s.asked("auth.login") {
			logins = append(logins, login.authorization)
		}
		want := []string{"Bearer " + given, used, "Bearer " + given}
		if fmt.Sprint(logins) != fmt.Sprint(want) {
			t.Errorf("logins were made with %v, want %v", logins, want)
		}
	})
	t.Run("helps when its successor is refused", func(t *testing.T) {
		t.Parallel()
		s := build(t)
		cfg := s.config()
		cfg.AccessKey, cfg.SecretKey, cfg.AuthToken = "", "", given
		c := mustNew(t, cfg)
		observe(t, c, "q")
		revoked := recorded(t, "revoked token")
		s.on("auth.login", func(n int, a asked) answer {
			if a.authorization != "Bearer "+given {
				return revoked
			}
			return answer{status: 200, body: envelope(fmt.Sprintf(`{"token": %q}`, s.jwt(n)))}
		})
		s.clock.advance(55 * time.Minute)
		observe(t, c, "q")
		if got := len(s.asked("auth.login")); got != 3 {
			t.Errorf("%d logins, want 3", got)
		}
	})
	t.Run("that has expired", func(t *testing.T) {
		t.Parallel()
		s := build(t)
		s.on("auth.login", always(recorded(t, "expired token")))
		cfg := s.config()
		cfg.AccessKey, cfg.SecretKey, cfg.AuthToken = "", "", given
		_, err := mustNew(t, cfg).Observe(t.Context(), query("q"))
		wantClass(t, err, messages.ClassUnauthorized, "401/30")
	})
}
