// Package fakeimds is the instance metadata service of one EC2 instance, version
// 2: a token is fetched with PUT and sent along with every GET. It listens
// wherever it is put; on a real instance that is 169.254.169.254.
package fakeimds

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Metadata is what the service knows about its instance at one moment.
type Metadata struct {
	InstanceID   string
	InstanceType string
	ImageID      string
	Zone         string
	Region       string
	AccountID    string
	Architecture string
	LocalIPv4    string
	LifeCycle    string // spot or on-demand
	UserData     []byte // raw; 404 when empty
	Disabled     bool   // HttpEndpoint=disabled: everything is 403
	TokenNeeded  bool   // HttpTokens=required
	TagsShown    bool   // InstanceMetadataTags=enabled
	Tags         map[string]string
	Action       string    // spot action, empty without a notice
	ActionAt     time.Time // when the action is taken
	RebalanceAt  time.Time // when a rebalance was recommended, zero for never
}

// Config is what the service is made of. Both functions are required.
type Config struct {
	Now    func() time.Time
	Lookup func() (Metadata, bool) // false once the instance is gone
}

// maxTTL is the longest life of a token, in seconds.
const maxTTL = 21600

const (
	ttlHeader   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	tokenHeader = "X-Aws-Ec2-Metadata-Token" //nolint:gosec // the name of a header
)

type service struct {
	cfg Config

	mu     sync.Mutex
	issued int
	tokens map[string]time.Time // until when
}

// New makes the service.
func New(cfg Config) http.Handler {
	return &service{cfg: cfg, tokens: map[string]time.Time{}}
}

// ServeHTTP answers one request.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	meta, ok := s.cfg.Lookup()
	switch {
	case !ok:
		panic(http.ErrAbortHandler) // nobody is there any more
	case meta.Disabled:
		fail(w, http.StatusForbidden)
	case r.URL.Path == "/latest/api/token":
		s.token(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		fail(w, http.StatusMethodNotAllowed)
	case !s.authorized(r, meta):
		fail(w, http.StatusUnauthorized)
	default:
		s.get(w, r, meta)
	}
}

// token issues a session token. A request that came through a proxy gets none.
func (s *service) token(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		fail(w, http.StatusMethodNotAllowed)
		return
	}
	if r.Header.Get("X-Forwarded-For") != "" {
		fail(w, http.StatusForbidden)
		return
	}
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	if err != nil || ttl < 1 || ttl > maxTTL {
		fail(w, http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued++
	token := fmt.Sprintf("AQAEAF%050d==", s.issued)
	s.tokens[token] = s.cfg.Now().Add(time.Duration(ttl) * time.Second)
	w.Header().Set(ttlHeader, strconv.Itoa(ttl))
	reply(w, "text/plain", token)
}

// authorized tells whether a read is let through. A token that is sent must be
// valid even where none is needed.
func (s *service) authorized(r *http.Request, meta Metadata) bool {
	sent := r.Header.Values(tokenHeader)
	if len(sent) == 0 {
		return !meta.TokenNeeded
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.tokens[sent[0]]
	return ok && s.cfg.Now().Before(until)
}

func (s *service) get(w http.ResponseWriter, r *http.Request, meta Metadata) {
	path := strings.Trim(r.URL.Path, "/")
	switch path {
	case "latest/user-data":
		if len(meta.UserData) == 0 {
			fail(w, http.StatusNotFound)
			return
		}
		reply(w, "application/octet-stream", string(meta.UserData))
		return
	case "latest/dynamic/instance-identity/document":
		s.identity(w, meta)
		return
	}
	key, ok := strings.CutPrefix(path, "latest/meta-data")
	if !ok {
		fail(w, http.StatusNotFound)
		return
	}
	key = strings.Trim(key, "/")
	leaves := meta.leaves()
	if text, ok := leaves[key]; ok {
		reply(w, "text/plain", text)
		return
	}
	names := children(leaves, key)
	if len(names) == 0 {
		fail(w, http.StatusNotFound)
		return
	}
	reply(w, "text/plain", strings.Join(names, "\n"))
}

// leaves is every readable path below meta-data with its text.
func (m Metadata) leaves() map[string]string {
	l := map[string]string{
		"ami-id":                      m.ImageID,
		"instance-id":                 m.InstanceID,
		"instance-type":               m.InstanceType,
		"instance-life-cycle":         m.LifeCycle,
		"local-ipv4":                  m.LocalIPv4,
		"placement/availability-zone": m.Zone,
		"placement/region":            m.Region,
	}
	if m.Action != "" {
		at := m.ActionAt.UTC().Format("2006-01-02T15:04:05Z")
		l["spot/instance-action"] = fmt.Sprintf(`{"action": %q, "time": %q}`, m.Action, at)
		l["spot/termination-time"] = at
	}
	if !m.RebalanceAt.IsZero() {
		l["events/recommendations/rebalance"] = fmt.Sprintf(`{"noticeTime": %q}`, m.RebalanceAt.UTC().Format("2006-01-02T15:04:05Z"))
	}
	if m.TagsShown {
		for key, value := range m.Tags {
			l["tags/instance/"+key] = value
		}
	}
	return l
}

// children lists the names directly below a path, with a slash behind those
// that have children themselves.
func children(leaves map[string]string, at string) []string {
	prefix := at + "/"
	if at == "" {
		prefix = ""
	}
	var names []string
	for path := range leaves {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok {
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		if deeper {
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *service) identity(w http.ResponseWriter, m Metadata) {
	text, err := json.MarshalIndent(map[string]string{
		"accountId": m.AccountID, "architecture": m.Architecture, "availabilityZone": m.Zone, "imageId": m.ImageID, "instanceId": m.InstanceID,
		"instanceType": m.InstanceType, "privateIp": m.LocalIPv4, "region": m.Region, "version": "2017-09-30",
	}, "", "  ")
	if err != nil {
		fail(w, http.StatusInternalServerError)
		return
	}
	reply(w, "text/plain", string(text))
}

func reply(w http.ResponseWriter, kind, text string) {
	w.Header().Set("Content-Type", kind)
	if _, err := w.Write([]byte(text)); err != nil {
		return // the caller has gone away
	}
}

// fail answers with a page of HTML, as the real service does.
func fail(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	page := fmt.Sprintf("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n<html><head><title>%d - %s</title></head><body><h1>%d - %s</h1></body></html>\n",
		status, http.StatusText(status), status, http.StatusText(status))
	if _, err := w.Write([]byte(page)); err != nil {
		return
	}
}
