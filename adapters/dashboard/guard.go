package dashboard

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

const (
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
		"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
	// pageHeader is on every request that our page makes. Another site's form
	// cannot set it, and its script must ask first, which is answered with no.
	pageHeader = "X-Ebb-Page"
)

// cookieName is __Host- when the browser lets us: such a cookie cannot be set from
// elsewhere.
func (s *Server) cookieName() string {
	if s.config.secure() {
		return "__Host-ebb_session"
	}
	return "ebb_session"
}

// guarded puts around next what holds for every request: headers, the name of the
// host, the origin, and that a crash is an answer.
func (s *Server) guarded(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refusal(http.StatusForbidden, "the request comes from another site", "use the dashboard's own page, or a client that is no browser").write(w)
	}))
	protected := origin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.setHeaders(w.Header())
		defer s.survive(w, r)
		if s.config.local() && !localHost(r.Host) && !isProbe(r.URL.Path) {
			refusal(http.StatusMisdirectedRequest, "this dashboard answers to the names of this machine only",
				"open it as http://127.0.0.1 or http://localhost, or listen on another address with a token").write(w)
			return
		}
		protected.ServeHTTP(w, r)
	})
}

func (s *Server) setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
	if s.config.secure() {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// survive turns a panic into an answer. What was asked is not logged: it may hold a
// secret.
func (s *Server) survive(w http.ResponseWriter, r *http.Request) {
	reason := recover()
	if reason == nil {
		return
	}
	if reason == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
		panic(reason)
	}
	s.config.Log.Error().Str("path", r.Pattern).Any("panic", reason).Msg("request of the dashboard failed")
	refusal(http.StatusInternalServerError, "something went wrong inside ebb", "the log has it; please report it").write(w)
}

// localHost says whether a browser was told the name of this machine. Another name
// that resolves to it is how a foreign page would get in (DNS rebinding).
func localHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback()
}

func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" }

// address is where a request comes from.
func (s *Server) address(r *http.Request) string {
	if s.config.BehindTLSProxy {
		hops := strings.Split(r.Header.Get("X-Forwarded-For"), ",")
		if last := strings.TrimSpace(hops[len(hops)-1]); last != "" {
			if ip, err := netip.ParseAddr(last); err == nil {
				return ip.String()
			}
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// rightsOf is what the sender of a request may do.
func (s *Server) rightsOf(r *http.Request) (rights, *problem) {
	open := rights{read: s.config.local(), by: "dashboard"}
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		cookie, err := r.Cookie(s.cookieName())
		if err != nil {
			return open, nil
		}
		if found, ok := s.sessions.find(cookie.Value); ok {
			return found, nil
		}
		return open, nil
	}
	if token, ok := strings.CutPrefix(authorization, "Bearer "); ok {
		return s.prove(r, credentials{Token: token})
	}
	if user, password, ok := r.BasicAuth(); ok {
		return s.prove(r, credentials{User: user, Password: password})
	}
	return rights{}, refusal(http.StatusUnauthorized, "this kind of Authorization is not known", "send Authorization: Bearer TOKEN")
}

// credentials are what somebody shows to be let in.
type credentials struct {
	Token    string `json:"token"`
	User     string `json:"user"`
	Password string `json:"password"`
	// Name is what events shall call the operator.
	Name string `json:"name"`
}

// prove checks credentials, and counts wrong ones.
func (s *Server) prove(r *http.Request, c credentials) (rights, *problem) {
	address := s.address(r)
	if wait := s.tries.wait(address); wait > 0 {
		return rights{}, &problem{
			status: http.StatusTooManyRequests, Error: "too many wrong tokens from this address",
			Fix: "wait " + strconv.Itoa(int(wait.Seconds())+1) + " seconds",
		}
	}
	given := rights{by: "dashboard"}
	for _, name := range []string{cleanName(c.User), cleanName(c.Name)} {
		if name != "" {
			given.by = name
		}
	}
	switch {
	case c.Token != "" && same(c.Token, s.config.Token):
		given.read, given.act = true, true
		return given, nil
	case c.Token == "" && c.User != "" && s.config.User != "" && s.config.secure():
		user, password := same(c.User, s.config.User), same(c.Password, s.config.Password)
		if user && password {
			given.read = true
			return given, nil
		}
	}
	s.tries.failed(address)
	s.config.Log.Warn().Str("from", address).Msg("wrong token or password at the dashboard")
	fix := "look at http.token in the configuration, or at the file http-token in the state directory"
	if s.config.Token == "" {
		fix = "this ebb has no http.token: set one in its configuration to act from here"
	}
	return rights{}, refusal(http.StatusUnauthorized, "the token or password is wrong", fix)
}

// cleanName makes a name fit for events: printable, and not long.
func cleanName(name string) string {
	name = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r > 0xffff {
			return ' '
		}
		return r
	}, name)), " ")
	if letters := []rune(name); len(letters) > 64 {
		name = string(letters[:64])
	}
	return name
}

type rightsKey struct{}

// askedBy is who a request is from.
func askedBy(ctx context.Context) rights {
	r, _ := ctx.Value(rightsKey{}).(rights)
	return r
}

// readers lets in who may look, operators who may act.
func (s *Server) readers(next http.HandlerFunc) http.HandlerFunc { return s.only(false, next) }

func (s *Server) operators(next http.HandlerFunc) http.HandlerFunc { return s.only(true, next) }

func (s *Server) only(act bool, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		found, refused := s.rightsOf(r)
		if refused == nil {
			refused = s.lacking(r, found, act)
		}
		if refused != nil {
			if refused.status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="ebb"`)
			}
			if refused.status == http.StatusTooManyRequests {
				w.Header().Set("Retry-After", "60")
			}
			refused.write(w)
			return
		}
		next(w, r.WithContext(context.WithValue(r.Context(), rightsKey{}, found)))
	}
}

// lacking is what the sender of a request lacks to do it; nil when nothing.
func (s *Server) lacking(r *http.Request, found rights, act bool) *problem {
	if act && !found.act {
		fix := "sign in with the token, or send Authorization: Bearer TOKEN"
		if s.config.Token == "" {
			fix = "set http.token in the configuration; without one nobody can act from here"
		}
		return refusal(http.StatusUnauthorized, "this needs the token", fix)
	}
	if !found.read {
		return refusal(http.StatusUnauthorized, "looking needs the token here", "sign in, or send Authorization: Bearer TOKEN")
	}
	fromPage := r.Header.Get("Authorization") != "" || r.Header.Get(pageHeader) != ""
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !fromPage {
		return refusal(http.StatusForbidden, "the request does not say that it comes from the page", "send the header "+pageHeader+": 1")
	}
	return nil
}
