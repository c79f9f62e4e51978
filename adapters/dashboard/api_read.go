package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ebbscale/ebb/messages"
)

const (
	bodyMost  = 64 << 10
	askLength = 5 * time.Second
)

func noSuch(_ *http.Request) *problem {
	return refusal(http.StatusNotFound, "there is no autoscaler of this name here", "GET /api/v1/autoscalers lists them")
}

// me says what whoever asks may do, and how to be allowed more.
func (s *Server) me(w http.ResponseWriter, r *http.Request) {
	found, refused := s.rightsOf(r)
	if refused != nil {
		refused.write(w)
		return
	}
	tokenFile := ""
	if s.config.local() {
		tokenFile = s.config.TokenFile
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"token_file": tokenFile, "version": s.config.Version, "speed": s.config.Speed, "read": found.read, "act": found.act, "by": found.by,
		"token": s.config.Token != "", "password": s.config.User != "", "wizard": s.config.Wizard != nil,
	})
}

// signIn takes a token, or a user with a password, and gives a cookie for it.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(pageHeader) == "" {
		refusal(http.StatusForbidden, "the request does not say that it comes from the page", "send the header "+pageHeader+": 1").write(w)
		return
	}
	var given credentials
	if bad := readJSON(w, r, bodyMost, &given); bad != nil {
		bad.write(w)
		return
	}
	if given.Token == "" && given.User == "" {
		refusal(http.StatusBadRequest, "there is no token in the request", `send {"token": "..."}`).write(w)
		return
	}
	found, refused := s.prove(r, given)
	if refused != nil {
		refused.write(w)
		return
	}
	http.SetCookie(w, s.cookie(s.sessions.begin(found), int(sessionLife.Seconds())))
	writeJSON(w, http.StatusOK, map[string]any{"read": found.read, "act": found.act, "by": found.by})
}

func (s *Server) cookie(value string, age int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure over TLS only: a browser drops a Secure cookie of plain http
		Name: s.cookieName(), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: s.config.secure(), SameSite: http.SameSiteStrictMode,
	}
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(pageHeader) == "" {
		refusal(http.StatusForbidden, "the request does not say that it comes from the page", "send the header "+pageHeader+": 1").write(w)
		return
	}
	if cookie, err := r.Cookie(s.cookieName()); err == nil {
		s.sessions.end(cookie.Value)
	}
	http.SetCookie(w, s.cookie("", -1))
	writeJSON(w, http.StatusOK, map[string]any{"read": s.config.local(), "act": false})
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"autoscalers": s.boards.heads()})
}

// named is the board that a request is about.
func (s *Server) named(w http.ResponseWriter, r *http.Request) (messages.AutoscalerName, *board) {
	name := messages.AutoscalerName(r.PathValue("name"))
	found := s.boards.find(name)
	if found == nil {
		noSuch(r).write(w)
	}
	return name, found
}

// one is the whole picture of an autoscaler, as its stream begins with, and the
// links to pages about its things.
func (s *Server) one(w http.ResponseWriter, r *http.Request) {
	name, found := s.named(w, r)
	if found == nil {
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"snapshot": dataOf(found.whole(nil)), "links": s.boards.linksOf(name)})
}

func (s *Server) past(w http.ResponseWriter, r *http.Request) {
	_, found := s.named(w, r)
	if found == nil {
		return
	}
	while, bad := rangeOf(r.URL.Query().Get("range"))
	if bad != nil {
		bad.write(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askLength)
	defer cancel()
	select {
	case <-found.complete:
	case <-ctx.Done(): // a part of the past is still being read: this is what there is
	case <-s.closing:
	}
	writeJSON(w, http.StatusOK, found.past(while))
}

func rangeOf(text string) (time.Duration, *problem) {
	if text == "" {
		return time.Hour, nil
	}
	while, err := time.ParseDuration(text)
	if err != nil || while < time.Minute || while > 24*time.Hour {
		return 0, refusal(http.StatusBadRequest, "range is not a time between 1m and 24h", "write range=15m, range=1h, range=6h or range=24h")
	}
	return while, nil
}

// events are the last ones, as text or as JSON, to be kept as a file.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	name, found := s.named(w, r)
	if found == nil {
		return
	}
	limit, format := linesMax, r.URL.Query().Get("format")
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > linesMax {
			refusal(http.StatusBadRequest, fmt.Sprintf("limit is not a number from 1 to %d", linesMax), "write limit=1000, or leave it out").write(w)
			return
		}
		limit = n
	}
	lines := found.log(limit)
	switch format {
	case "json", "":
		s.attach(w, name, "json", "application/json; charset=utf-8", found.eventsJSON(lines))
	case "text":
		var text strings.Builder
		for _, row := range found.rows(lines) {
			fmt.Fprintf(&text, "%s  %-24s  %s  %s\n", time.UnixMilli(row.At).UTC().Format(time.RFC3339), row.Kind, row.About, row.Text)
		}
		s.attach(w, name, "log", "text/plain; charset=utf-8", []byte(text.String()))
	default:
		refusal(http.StatusBadRequest, "this format is not known", "write format=text or format=json").write(w)
	}
}

// eventsJSON is a list of events with their data.
func (b *board) eventsJSON(lines []messages.Recorded) []byte {
	type event struct {
		logRow

		Data messages.Event `json:"data"`
	}
	events := make([]event, 0, len(lines))
	rows := b.rows(lines)
	for i, r := range lines {
		events = append(events, event{logRow: rows[i], Data: r.Event})
	}
	text, err := json.MarshalIndent(map[string]any{"autoscaler": b.name, "events": events}, "", "  ")
	if err != nil {
		return []byte(`{"events":[]}`)
	}
	return append(text, '\n')
}

// attach sends a file to be kept.
func (s *Server) attach(w http.ResponseWriter, name messages.AutoscalerName, ending, kind string, content []byte) {
	safe := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, string(name))
	w.Header().Set("Content-Disposition", `attachment; filename="ebb-`+safe+"."+ending+`"`)
	writeBytes(w, http.StatusOK, kind, content)
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	name, found := s.named(w, r)
	if found == nil {
		return
	}
	queue := r.URL.Query().Get("queue")
	if queue == "" {
		refusal(http.StatusBadRequest, "which queue?", "write queue=NAME").write(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askLength)
	defer cancel()
	answer, err := s.config.Engine.Explain(ctx, name, messages.QueueName(queue))
	if err != nil {
		failed("no explanation", err).write(w)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}
