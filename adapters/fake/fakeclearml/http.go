package fakeclearml

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	minCompressed = 500 // bytes; smaller answers are sent as they are
	plainText     = "text/plain; charset=utf-8"
	badJSON       = "The browser (or proxy) sent a request that this server could not understand."
)

// Handler is the HTTP API: /v2.30/queues.get_all or /queues.get_all with any
// method, and below /_fake/ the fake's own side door, which needs no credentials:
//
//	POST   /_fake/tasks    {"queue": name, "count": 1, "name": …, "run_seconds": …} creates and enqueues tasks
//	GET    /_fake/state    queues, workers and tasks by status
//	GET    /_fake/calls    how often each endpoint was called
//	POST   /_fake/faults   a Fault; answers {"id": n}
//	DELETE /_fake/faults   removes all faults
func (s *Server) Handler() http.Handler {
	path := regexp.MustCompile(`^/?(?:v(\d+\.?\d+)/)?([a-zA-Z_]\w+\.[a-zA-Z_]\w+)/?$`)
	admin := s.adminHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", s.cfg.Clock.Now().UTC().Format(http.TimeFormat))
		if strings.HasPrefix(r.URL.Path, "/_fake/") {
			admin.ServeHTTP(w, r)
			return
		}
		if r.Method == http.MethodOptions {
			return
		}
		s.serve(w, r, path)
	})
}

// reply is an answer on its way out.
type reply struct {
	status      int
	body        []byte
	contentType string
	cookie      *string
	fault       Fault
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, path *regexp.Regexp) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" {
		w.Header().Set("Content-Type", plainText)
		w.WriteHeader(http.StatusUnsupportedMediaType)
		fmt.Fprintf(w, "Content encoding is not supported (%s)", enc) //nolint:gosec // plain text, and byte for byte what the real server says
		return
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBodyBytes))
	if err != nil {
		return // the caller is gone
	}
	rep := s.answer(r, raw, path)
	if !s.wait(r.Context(), rep.fault.delay()) || rep.fault.Drop {
		panic(http.ErrAbortHandler)
	}
	s.write(w, r, rep)
}

// wait sleeps on the server's clock; false means that the caller has left.
func (s *Server) wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	done := make(chan struct{})
	stop := s.cfg.Clock.AfterFunc(d, func() { close(done) })
	defer stop()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, rep reply) {
	h := w.Header()
	h.Set("Content-Type", rep.contentType)
	if rep.cookie != nil {
		c := &http.Cookie{ //nolint:gosec // the real server's cookie, and this one speaks plain HTTP on loopback
			Name: sessionCookie, Value: *rep.cookie, Path: "/", HttpOnly: true, MaxAge: int(defaultTokenLife / time.Second),
		}
		if *rep.cookie == "" {
			c.MaxAge = -1
		}
		http.SetCookie(w, c)
	}
	body := rep.body
	if len(body) >= minCompressed && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(body)
		_ = z.Close()
		body = b.Bytes()
		h.Set("Content-Encoding", "gzip")
		h.Set("Vary", "Accept-Encoding")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(rep.status)
	if n := rep.fault.Truncate; n > 0 && n < len(body) {
		_, _ = w.Write(body[:n])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}

// envelope is the body of every answer.
type envelope struct {
	Meta envelopeMeta `json:"meta"`
	Data any          `json:"data"`
}

type envelopeMeta struct {
	ID            string           `json:"id"`
	Trx           string           `json:"trx"`
	Endpoint      envelopeEndpoint `json:"endpoint"`
	ResultCode    int              `json:"result_code"`
	ResultSubcode int              `json:"result_subcode"`
	ResultMsg     string           `json:"result_msg"`
	ErrorStack    any              `json:"error_stack"`
	ErrorData     map[string]any   `json:"error_data"`
}

// envelopeEndpoint: the versions are strings, numbers when less than 2.1 was
// asked for, and null when there is no such endpoint.
type envelopeEndpoint struct {
	Name             string `json:"name"`
	RequestedVersion any    `json:"requested_version"`
	ActualVersion    any    `json:"actual_version"`
}

// answer takes one call under the lock, from its path to its bytes.
func (s *Server) answer(r *http.Request, raw []byte, path *regexp.Regexp) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchdog()
	meta := envelopeMeta{ID: newID(s.calls), ErrorData: map[string]any{}}
	meta.Trx = meta.ID
	for _, h := range []string{"X-Clearml-Trx", "X-Trains-Trx"} {
		if v := r.Header.Get(h); v != "" {
			meta.Trx = v
		}
	}
	name, asked, e, err := s.route(r.URL.Path, path)
	meta.Endpoint = envelopeEndpoint{Name: name, RequestedVersion: versionValue(asked, asked)}
	if err != nil {
		return finishReply(meta, nil, err)
	}
	meta.Endpoint.ActualVersion = versionValue(e.since, asked)
	c, err := s.open(r, raw, e, asked)
	if err != nil {
		return finishReply(meta, nil, err)
	}
	fault := s.faultFor(name, c.id.user)
	if fault == nil {
		fault = &Fault{}
	}
	if fault.Status != 0 && !fault.Execute {
		return s.faultReply(meta, fault)
	}
	s.race = fault.Race
	data, err := e.fn(c)
	s.race = ""
	if fault.Status != 0 {
		return s.faultReply(meta, fault)
	}
	if fault.EmptyList {
		data = emptyLists(data)
	}
	rep := finishReply(meta, data, err)
	rep.fault = *fault
	if err == nil {
		rep.cookie = c.cookie
	}
	return rep
}

// route reads the path and finds the endpoint. A path that cannot be read counts
// as one of version 1.0 without a name.
func (s *Server) route(target string, path *regexp.Regexp) (name string, asked version, e endpoint, err error) {
	m := path.FindStringSubmatch(target)
	if m == nil {
		return "", version{1, 0}, endpoint{}, &Error{Code: 400, Msg: "Invalid request path " + target}
	}
	name, asked = m[2], s.api
	if m[1] != "" {
		if asked, err = parseVersion(m[1]); err != nil {
			return name, asked, endpoint{}, fail(400, 2, "request path has invalid version", "", kv{"version", m[1]})
		}
	}
	s.counts[name]++
	e, err = s.resolve(name, asked)
	return name, asked, e, err
}

func versionValue(v, asked version) any {
	if asked.compare(version{2, 1}) < 0 {
		return json.Number(v.String())
	}
	return v.String()
}

// open authenticates the call and reads its fields.
func (s *Server) open(r *http.Request, raw []byte, e endpoint, asked version) (*call, error) {
	c := &call{s: s, asked: asked, ip: hostOnly(r.RemoteAddr)}
	var err error
	if c.p, c.batch, err = readParams(r, raw); err != nil {
		return nil, err
	}
	c.id, err = s.authenticate(r)
	if err != nil && !e.open {
		return nil, err
	}
	if len(e.roles) > 0 && !slices.Contains(e.roles, c.id.role) {
		return nil, fail(403, 20, "forbidden (not allowed for role)", "", kv{"role", c.id.role}, kv{"allowed", tuple(e.roles)})
	}
	return c, nil
}

// readParams reads the body whatever its Content-Type says; only an empty one
// leaves the word to the query string.
func readParams(r *http.Request, raw []byte) (params, []params, error) {
	if r.Header.Get("Content-Type") == "application/json-lines" {
		return readLines(raw)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return queryParams(r), nil, nil
	}
	var v any
	if err := decode(raw, &v); err != nil {
		return nil, nil, &Error{Code: 400, Msg: badJSON}
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			return queryParams(r), nil, nil
		}
		return v, nil, nil
	case nil:
		return queryParams(r), nil, nil
	}
	return nil, nil, errValidation("the body must be a JSON object")
}

func readLines(raw []byte) (params, []params, error) {
	var batch []params
	for i, line := range bytes.Split(raw, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var p params
		if err := decode(line, &p); err != nil {
			return nil, nil, &Error{Code: 400, Msg: fmt.Sprintf("%v in batch item #%d", err, i)}
		}
		batch = append(batch, p)
	}
	return params{}, batch, nil
}

func decode(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("extra data after the JSON value")
	}
	return nil
}

// queryParams types crudely: digits are numbers, true and false are truths.
func queryParams(r *http.Request) params {
	p := params{}
	for k, vs := range r.URL.Query() {
		v := vs[0]
		digits := strings.Replace(v, ".", "", 1)
		switch {
		case digits != "" && strings.Trim(digits, "0123456789") == "":
			p[k] = json.Number(v)
		case strings.EqualFold(v, "true"):
			p[k] = true
		case strings.EqualFold(v, "false"):
			p[k] = false
		default:
			p[k] = v
		}
	}
	return p
}

func finishReply(meta envelopeMeta, data map[string]any, err error) reply {
	meta.ResultCode, meta.ResultMsg = 200, "OK"
	if err != nil {
		meta.ResultCode, meta.ResultMsg, data = 500, err.Error(), nil
		if e, ok := errors.AsType[*Error](err); ok {
			meta.ResultCode, meta.ResultSubcode, meta.ResultMsg = e.Code, e.Subcode, e.Msg
		}
	}
	if data == nil {
		data = map[string]any{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(envelope{Meta: meta, Data: render(data)}); err != nil {
		return reply{status: 500, body: []byte("Failed processing request: " + err.Error()), contentType: plainText}
	}
	return reply{status: meta.ResultCode, body: bytes.TrimRight(b.Bytes(), "\n"), contentType: "application/json"}
}

func (s *Server) faultReply(meta envelopeMeta, f *Fault) reply {
	if f.RawBody != "" {
		return reply{status: f.Status, body: []byte(f.RawBody), contentType: plainText, fault: *f}
	}
	rep := finishReply(meta, nil, &Error{Code: f.Status, Subcode: f.Subcode, Msg: f.Message})
	rep.fault = *f
	return rep
}
