package dashboard

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ebbscale/ebb/messages"
)

const (
	// orderPatience is how long an order may take.
	orderPatience = 10 * time.Second
	pauseMost     = 30 * 24 * time.Hour
	reasonMost    = 300
)

// order hands an order over and tells what became of it.
func (s *Server) order(w http.ResponseWriter, r *http.Request, name messages.AutoscalerName, order messages.Order) {
	ctx, cancel := context.WithTimeout(r.Context(), orderPatience)
	defer cancel()
	by := askedBy(r.Context()).by
	answer, err := s.config.Operator.Order(ctx, name, by, order)
	if err == nil && answer.Failure != nil {
		err = answer.Failure
	}
	if err != nil {
		failed("not done", err).write(w)
		return
	}
	s.config.Log.Info().Str("autoscaler", string(name)).Str("by", by).Type("order", order).Msg("order from the dashboard")
	instances := answer.Instances
	if instances == nil {
		instances = []messages.InstanceID{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"instances": instances})
}

func (s *Server) pause(w http.ResponseWriter, r *http.Request) {
	name, found := s.named(w, r)
	if found == nil {
		return
	}
	var asked struct {
		Why string `json:"why"`
		For string `json:"for"`
	}
	if bad := readJSON(w, r, bodyMost, &asked); bad != nil {
		bad.write(w)
		return
	}
	if !utf8.ValidString(asked.Why) || len(asked.Why) > reasonMost {
		refusal(http.StatusBadRequest, "the reason is too long", "write up to 300 characters").write(w)
		return
	}
	order := messages.PauseLaunches{Why: strings.TrimSpace(asked.Why)}
	if asked.For != "" {
		while, err := time.ParseDuration(asked.For)
		if err != nil || while < time.Second || while > pauseMost {
			refusal(http.StatusBadRequest, "for is not a time between 1s and 720h", `write "for": "30m", or leave it out to pause until resumed`).write(w)
			return
		}
		order.Until = s.config.Clock.Now().Add(while)
	}
	s.order(w, r, name, order)
}

func (s *Server) resume(w http.ResponseWriter, r *http.Request) {
	if name, found := s.named(w, r); found != nil && s.emptyBody(w, r) {
		s.order(w, r, name, messages.ResumeLaunches{})
	}
}

// emptyBody reads a body that says nothing.
func (s *Server) emptyBody(w http.ResponseWriter, r *http.Request) bool {
	var nothing struct{}
	bad := readJSON(w, r, bodyMost, &nothing)
	if bad != nil {
		bad.write(w)
	}
	return bad == nil
}

func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	name, found := s.named(w, r)
	if found == nil {
		return
	}
	var asked struct {
		Instance messages.InstanceID `json:"instance"`
		Force    bool                `json:"force"`
		Confirm  string              `json:"confirm"`
	}
	if bad := readJSON(w, r, bodyMost, &asked); bad != nil {
		bad.write(w)
		return
	}
	switch {
	case asked.Instance == "" || len(asked.Instance) > 64:
		refusal(http.StatusBadRequest, "which instance?", `write "instance": "i-..."`).write(w)
	case asked.Force && asked.Confirm != string(asked.Instance):
		refusal(http.StatusBadRequest, "by force is not confirmed: it kills what the instance runs",
			`repeat the instance's id in "confirm"`).write(w)
	default:
		s.order(w, r, name, messages.DrainInstanceNow{Instance: asked.Instance, Force: asked.Force})
	}
}

func (s *Server) drainIdle(w http.ResponseWriter, r *http.Request) {
	name, found := s.named(w, r)
	if found == nil {
		return
	}
	var asked struct {
		Resource messages.ResourceName `json:"resource"`
	}
	if bad := readJSON(w, r, bodyMost, &asked); bad != nil {
		bad.write(w)
		return
	}
	s.order(w, r, name, messages.DrainIdleNow{Resource: asked.Resource})
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	if !s.emptyBody(w, r) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), orderPatience)
	defer cancel()
	change, err := s.config.Operator.Reload(ctx)
	if err != nil {
		p := failed("the old configuration stays", err)
		if p.status == http.StatusConflict {
			p.Fix = "correct the file, and reload again; `ebb config check` says the same of it"
		}
		p.write(w)
		return
	}
	writeJSON(w, http.StatusOK, change.listed())
}

func (s *Server) export(w http.ResponseWriter, r *http.Request) {
	name, found := s.named(w, r)
	if found == nil {
		return
	}
	var asked struct {
		Format  string `json:"format"`
		Secrets bool   `json:"secrets"`
	}
	if bad := readJSON(w, r, bodyMost, &asked); bad != nil {
		bad.write(w)
		return
	}
	kind := "application/yaml; charset=utf-8"
	switch asked.Format {
	case "yaml", "":
		asked.Format = "yaml"
	case "json":
		kind = "application/json; charset=utf-8"
	default:
		refusal(http.StatusBadRequest, "this format is not known", `write "format": "yaml" or "json"`).write(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), orderPatience)
	defer cancel()
	content, err := s.config.Operator.Export(ctx, name, asked.Format, asked.Secrets)
	if err != nil {
		failed("not exported", err).write(w)
		return
	}
	if asked.Secrets {
		s.config.Log.Warn().Str("autoscaler", string(name)).Str("by", askedBy(r.Context()).by).Msg("configuration exported with its secrets")
	}
	s.attach(w, name, asked.Format, kind, content)
}
