package clearml

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	loginAction = "auth.login"
	// A token is replaced when a tenth of its life is left, but not more than
	// twelve hours early.
	maxMargin      = 12 * time.Hour
	marginFraction = 10
	// A replacement that failed while the old token is good is tried again after
	// this, or sooner when the token will not live that long.
	renewalPause = time.Minute
	// An access key is not a secret; a shorter one than this is left readable
	// rather than cut out of every word.
	minAccessKey = 8
)

// token is what a login gave, with times by our clock; zero times are unknown.
type token struct {
	token   string
	renew   time.Time
	expires time.Time
}

func (t token) usable(now time.Time) bool {
	return t.token != "" && (t.expires.IsZero() || now.Before(t.expires))
}

func (t token) due(now time.Time) bool { return !t.renew.IsZero() && !now.Before(t.renew) }

// session holds the token that all calls share, and sees to it that one login
// runs at a time.
type session struct {
	keys credentials
	// gate is a lock that a context can stop waiting for; who holds it logs in.
	gate chan struct{}

	mu   sync.Mutex
	held token
	// logins counts the logins that ended; failure is how the last one did.
	logins  uint64
	failure error
}

func newSession(keys credentials) *session {
	return &session{keys: keys, gate: make(chan struct{}, 1)}
}

func (s *session) state() (held token, logins uint64, failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held, s.logins, s.failure
}

func (s *session) settle(held token, failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.failure = held, failure
	s.logins++
}

// keep puts the next renewal of a token off, and reports whether it is still
// the one that we hold.
func (s *session) keep(old token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held.token != old.token {
		return false // refused in the meantime
	}
	s.held, s.failure = old, nil
	s.logins++
	return true
}

// drop forgets a token that the server refused, unless it has been replaced.
func (s *session) drop(refused token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held.token == refused.token {
		s.held = token{}
	}
}

// secrets are the strings that must not get into an error.
func (s *session) secrets(authorization string) []string {
	held, _, _ := s.state()
	_, sent, _ := strings.Cut(authorization, " ")
	secrets := []string{sent, held.token, s.keys.authToken, basic(s.keys), s.keys.secretKey}
	if len(s.keys.accessKey) >= minAccessKey {
		secrets = append(secrets, s.keys.accessKey)
	}
	return secrets
}

func basic(keys credentials) string {
	if keys.accessKey == "" {
		return ""
	}
	return base64.StdEncoding.EncodeToString([]byte(keys.accessKey + ":" + keys.secretKey))
}

// authorize answers a token that should work, logging in when there is none or
// the one there is grows old.
func (c *Client) authorize(ctx context.Context) (token, error) {
	s := c.session
	held, seen, _ := s.state()
	now := c.clock.Now()
	if held.usable(now) && !held.due(now) {
		return held, nil
	}
	if held.usable(now) {
		select {
		case s.gate <- struct{}{}:
		default: // somebody is at it; the old token still works
			return held, nil
		}
	} else {
		select {
		case s.gate <- struct{}{}:
		case <-ctx.Done():
			t := networkTrouble(ctx, context.Cause(ctx))
			return token{}, &callError{action: loginAction, server: c.base, attempts: 1, trouble: t}
		}
	}
	defer func() { <-s.gate }()
	held, logins, failure := s.state()
	now = c.clock.Now()
	if held.usable(now) && !held.due(now) {
		return held, nil
	}
	if logins != seen && failure != nil && !held.usable(now) {
		return token{}, failure // of the login that we waited for
	}
	return c.logIn(ctx, held)
}

// logIn replaces the token; the caller holds the gate. A good old token
// survives a login that fails.
func (c *Client) logIn(ctx context.Context, old token) (token, error) {
	now := c.clock.Now()
	attempts := c.attempts
	if old.usable(now) {
		attempts = 1
	}
	fresh, err := c.exchangeCredentials(ctx, old, attempts)
	switch {
	case err == nil:
		c.session.settle(fresh, nil)
		c.log.Debug().Time("expires", fresh.expires).Time("renew", fresh.renew).Msg("logged in to ClearML")
		return fresh, nil
	case old.usable(c.clock.Now()):
		old.renew = now.Add(min(renewalPause, old.expires.Sub(now)/2))
		if c.session.keep(old) {
			c.log.Warn().Err(err).Time("expires", old.expires).Msg("token not renewed, using the old one")
			return old, nil
		}
	}
	if ctx.Err() == nil {
		c.session.settle(token{}, err)
	}
	return token{}, err // without a word to the next in line, who may have more time
}

// exchangeCredentials logs in with what there is: the key pair, or the token
// that we hold and then the one from the configuration.
func (c *Client) exchangeCredentials(ctx context.Context, old token, attempts int) (token, error) {
	if c.session.keys.authToken == "" {
		return c.loginWith(ctx, "Basic "+basic(c.session.keys), attempts)
	}
	if old.usable(c.clock.Now()) {
		fresh, err := c.loginWith(ctx, "Bearer "+old.token, attempts)
		var refusal *callError
		if err == nil || !errors.As(err, &refusal) || refusal.trouble.status != http.StatusUnauthorized {
			return fresh, err
		}
	}
	return c.loginWith(ctx, "Bearer "+c.session.keys.authToken, attempts)
}

type loginData struct {
	Token string `json:"token"`
}

func (d loginData) check() error {
	if d.Token == "" || strings.ContainsAny(d.Token, " \t\r\n") {
		return errors.New("the answer to auth.login has no usable data.token")
	}
	return nil
}

func (c *Client) loginWith(ctx context.Context, authorization string, attempts int) (token, error) {
	got, err := retry(ctx, c, loginAction, attempts, func() (reply[loginData], *trouble, error) {
		answer, t := post[loginData](ctx, c, loginAction, authorization, []byte("{}"))
		return answer, t, nil
	})
	if err != nil {
		return token{}, err
	}
	fresh := token{token: got.data.Token}
	if life := lifetime(got.data.Token, got.date); life > 0 {
		fresh.expires = got.sent.Add(life)
		fresh.renew = fresh.expires.Add(-min(maxMargin, life/marginFraction))
	}
	return fresh, nil
}

// lifetime is how long the token will be taken, 0 when it does not say. Only
// the server's clock counts: ours may be wrong. The signature is not looked at,
// as the token is not ours to trust.
func lifetime(jwt string, serverNow time.Time) time.Duration {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return 0
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return 0
	}
	var claims struct {
		Issued  float64 `json:"iat"`
		Expires float64 `json:"exp"`
	}
	if json.Unmarshal(raw, &claims) != nil || claims.Expires <= 0 {
		return 0
	}
	if !serverNow.IsZero() {
		if left := claims.Expires - float64(serverNow.Unix()); left > 0 {
			return seconds(left)
		}
	}
	// No Date, or one of another clock than that which issued the token.
	if claims.Issued > 0 && claims.Expires > claims.Issued {
		return seconds(claims.Expires - claims.Issued)
	}
	return 0
}

// seconds is a duration; a token for longer than a hundred years is one for a
// hundred years.
func seconds(n float64) time.Duration {
	const century = 100 * 365 * 24 * time.Hour
	if n > century.Seconds() {
		return century
	}
	return time.Duration(n * float64(time.Second))
}
