package fakeclearml

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// version is an API version such as 2.30.
type version struct{ major, minor int }

func parseVersion(text string) (version, error) {
	major, minor, _ := strings.Cut(text, ".")
	var v version
	var err error
	if v.major, err = strconv.Atoi(major); err != nil {
		return version{}, fmt.Errorf("parse API version %q: %w", text, err)
	}
	if minor != "" {
		if v.minor, err = strconv.Atoi(minor); err != nil {
			return version{}, fmt.Errorf("parse API version %q: %w", text, err)
		}
	}
	return v, nil
}

func (v version) compare(o version) int {
	return cmp.Or(cmp.Compare(v.major, o.major), cmp.Compare(v.minor, o.minor))
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// call is one request, past its authentication.
type call struct {
	s     *Server
	id    identity
	asked version
	p     params
	// batch are the lines of a json-lines body.
	batch []params
	ip    string
	// cookie is what the session cookie becomes; nil leaves it.
	cookie *string
}

// endpoint is one action as of one version.
type endpoint struct {
	since version
	// open endpoints need no credentials.
	open bool
	// roles that may call; empty means all.
	roles []string
	fn    func(*call) (map[string]any, error)
}

// on registers an action as of a version like "2.4".
func (s *Server) on(name, since string, fn func(*call) (map[string]any, error)) {
	s.addEndpoint(name, since, endpoint{fn: fn})
}

func (s *Server) addEndpoint(name, since string, e endpoint) {
	v, err := parseVersion(since)
	if err != nil {
		panic("fakeclearml: endpoint " + name + ": " + err.Error()) // a typo in this package
	}
	e.since = v
	s.endpoints[name] = append(s.endpoints[name], e)
	slices.SortFunc(s.endpoints[name], func(a, b endpoint) int { return b.since.compare(a.since) })
}

// resolve finds the newest form of an action that the asked version has.
func (s *Server) resolve(name string, asked version) (endpoint, error) {
	for _, e := range s.endpoints[name] {
		if e.since.compare(asked) <= 0 {
			return e, nil
		}
	}
	return endpoint{}, &Error{Code: 404, Msg: fmt.Sprintf("Unable to find endpoint for name %s and version %s", name, asked)}
}

func (s *Server) registerEndpoints() {
	s.registerAuth()
	s.registerQueues()
	s.registerWorkers()
	s.registerTasks()
	s.registerTaskEdits()
	s.registerRest()
}

// changeAnswer is the body of every change of status.
func changeAnswer(c Change, more map[string]any) map[string]any {
	out := map[string]any{"updated": c.Updated}
	if c.Fields != nil {
		out["fields"] = c.Fields
	}
	return merge(out, more)
}
