package dashboard

import (
	"context"
	"net/http"
	"strings"
)

// clone is an autoscaler as answers to begin with.
func (s *Server) clone(w http.ResponseWriter, r *http.Request) {
	name, found := s.named(w, r)
	if found == nil || !s.emptyBody(w, r) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), orderPatience)
	defer cancel()
	cloned, err := s.config.Operator.Clone(ctx, name)
	if err != nil {
		p := failedFile("the autoscaler cannot be cloned", err)
		p.Fix = "mend the configuration file; `ebb config check` says what is wrong with it"
		p.write(w)
		return
	}
	writeJSON(w, http.StatusOK, cloned)
}

// applied reads the configuration that is to be applied, or answers what is wrong.
func (s *Server) applied(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	var asked struct {
		YAML string `json:"yaml"`
	}
	if bad := readJSON(w, r, 2*fileMost, &asked); bad != nil {
		bad.write(w)
		return nil, false
	}
	if strings.TrimSpace(asked.YAML) == "" || len(asked.YAML) > fileMost {
		refusal(http.StatusBadRequest, "the configuration is empty or larger than 1 MiB", `send {"yaml": "..."}`).write(w)
		return nil, false
	}
	return []byte(asked.YAML), true
}

// plan says what apply would do.
func (s *Server) plan(w http.ResponseWriter, r *http.Request) {
	yaml, ok := s.applied(w, r)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), orderPatience)
	defer cancel()
	change, err := s.config.Operator.Plan(ctx, yaml)
	if err != nil {
		notApplied("it cannot be applied", err).write(w)
		return
	}
	writeJSON(w, http.StatusOK, change.listed())
}

func (s *Server) apply(w http.ResponseWriter, r *http.Request) {
	yaml, ok := s.applied(w, r)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), orderPatience)
	defer cancel()
	change, err := s.config.Operator.Apply(ctx, yaml)
	if err != nil {
		notApplied("nothing has changed", err).write(w)
		return
	}
	s.config.Log.Warn().Str("by", askedBy(r.Context()).by).Strs("changes", change.Changes).Strs("at_the_next_start", change.Restart).
		Str("file", change.File).Str("before", change.Before).Msg("configuration applied from the dashboard")
	writeJSON(w, http.StatusOK, change.listed())
}

// notApplied is a failure over a configuration that was sent.
func notApplied(what string, err error) *problem {
	p := failedFile(what, err)
	if len(p.Problems) == 0 {
		p.Fix = "if that cannot be, download the configuration, and put it where this ebb reads it when it starts"
	}
	return p
}

// listed is the change with lists that are there, for JSON.
func (c Change) listed() Change {
	if c.Changes == nil {
		c.Changes = []string{}
	}
	if c.Restart == nil {
		c.Restart = []string{}
	}
	return c
}
