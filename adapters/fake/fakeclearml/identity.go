package fakeclearml

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

type account struct {
	id, name, role string
	protected      bool
	keys           []string
}

type credential struct {
	user, secret, label string
	lastUsed            time.Time
	lastUsedFrom        string
}

// identity is who makes a call.
type identity struct {
	user, name, role string
	session          string // empty unless a token was used
}

func (s *Server) addUser(u User) error {
	if u.ID == "" {
		return fmt.Errorf("add user %q: its ID is empty; give it one", u.Name)
	}
	if s.users[u.ID] != nil {
		return fmt.Errorf("add user %s: the id is taken; give each user its own", u.ID)
	}
	a := &account{id: u.ID, name: u.Name, role: u.Role, protected: u.Protected}
	if a.role == "" {
		a.role = "user"
	}
	if a.name == "" {
		a.name = u.ID
	}
	for _, key := range sortedKeys(u.Keys) {
		if other := s.credentials[key]; other != nil {
			return fmt.Errorf("add user %s: access key %s belongs to user %s; use another", u.ID, key, other.user)
		}
		s.credentials[key] = &credential{user: u.ID, secret: u.Keys[key]}
		a.keys = append(a.keys, key)
	}
	s.users[u.ID] = a
	s.userOrder = append(s.userOrder, u.ID)
	return nil
}

func (s *Server) userName(id string) string {
	if a := s.users[id]; a != nil {
		return a.name
	}
	return id
}

// orDefault is the user, or the server's default one.
func (s *Server) orDefault(user string) string {
	if user == "" {
		return s.cfg.User.ID
	}
	return user
}

// authenticate finds out who is calling from the Authorization header or, when
// there is none, the session cookie.
func (s *Server) authenticate(r *http.Request) (identity, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		if c, err := r.Cookie(sessionCookie); err == nil && c.Value != "" {
			header = "Bearer " + c.Value
		}
	}
	if header == "" {
		return identity{}, fail(401, 20, "unauthorized (missing credentials)", "")
	}
	scheme, data, _ := strings.Cut(header, " ")
	var id identity
	var err error
	switch scheme {
	case "Bearer":
		id, err = s.bearer(data)
	case "Basic":
		id, err = s.basic(data, r)
	default:
		return identity{}, fail(401, 10, "unauthorized (bad authentication header type)", "")
	}
	if err != nil {
		return identity{}, err
	}
	return s.actAs(id, r)
}

func (s *Server) basic(data string, r *http.Request) (identity, error) {
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return identity{}, fail(401, 21, "unauthorized (malformed credentials)", err.Error())
	}
	key, secret, _ := strings.Cut(string(raw), ":")
	c := s.credentials[key]
	if c == nil || c.secret != secret {
		return identity{}, fail(401, 22, "unauthorized (invalid credentials)", "failed to locate provided credentials")
	}
	c.lastUsed, c.lastUsedFrom = milli(s.now()), workerHeader(r)
	return s.identityOf(c.user), nil
}

// workerHeader is the host that the caller says it is, or its address.
func workerHeader(r *http.Request) string {
	for _, h := range []string{"X-Clearml-Worker", "X-Trains-Worker"} {
		if v := r.Header.Get(h); v != "" {
			return v
		}
	}
	return hostOnly(r.RemoteAddr)
}

func (s *Server) identityOf(user string) identity {
	a := s.users[user]
	return identity{user: a.id, name: a.name, role: a.role}
}

// actAs lets privileged users act for another.
func (s *Server) actAs(id identity, r *http.Request) (identity, error) {
	for _, h := range []string{"X-Clearml-Act-As", "X-Trains-Act-As", "X-Clearml-Impersonate-As", "X-Trains-Impersonate-As"} {
		other := r.Header.Get(h)
		if other == "" {
			continue
		}
		if id.role != "admin" && id.role != "system" && id.role != "root" {
			return identity{}, fail(400, 6, "impersonation error", "forbidden for role", kv{"role", id.role})
		}
		if s.users[other] == nil {
			return identity{}, fail(400, 6, "impersonation error", "unknown user", kv{"user", other})
		}
		session := id.session
		id = s.identityOf(other)
		id.session = session
	}
	return id, nil
}

func (s *Server) createCredentials(user, label string) (key, secret string) {
	key = strings.ToUpper(newID(s.sessions))[:20]
	secret = newID(s.sessions) + newID(s.sessions)
	s.credentials[key] = &credential{user: user, secret: secret, label: label}
	s.users[user].keys = append(s.users[user].keys, key)
	return key, secret
}
