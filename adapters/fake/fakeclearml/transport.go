package fakeclearml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Transport carries requests to the handler without a socket, one after the
// other on the caller's goroutine, so that a client of the HTTP API can be part
// of a deterministic simulation. Calls come from address 127.0.0.1. A fault that
// cuts the connection is io.ErrUnexpectedEOF, while reading the body if part of it
// was sent.
func (s *Server) Transport() http.RoundTripper {
	return &transport{handler: s.Handler()}
}

type transport struct{ handler http.Handler }

// RoundTrip serves r and returns the answer.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, fmt.Errorf("call %s: %w", r.URL.Path, err)
	}
	in := r.Clone(r.Context())
	in.RemoteAddr = "127.0.0.1:1"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &memoryWriter{header: http.Header{}, status: http.StatusOK}
	cut := w.run(t.handler, in)
	_ = in.Body.Close()
	if cut && !w.wrote {
		return nil, fmt.Errorf("call %s: %w", r.URL.Path, io.ErrUnexpectedEOF)
	}
	var body io.Reader = &w.body
	if cut {
		body = io.MultiReader(body, failingReader{})
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(body), ContentLength: -1, Request: r,
	}, nil
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type memoryWriter struct {
	header http.Header
	body   bytes.Buffer
	status int
	wrote  bool
}

// run reports whether the handler cut the connection.
func (w *memoryWriter) run(h http.Handler, r *http.Request) (cut bool) {
	defer func() {
		if v := recover(); v != nil {
			if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			cut = true
		}
	}()
	h.ServeHTTP(w, r)
	return false
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) {
	if !w.wrote {
		w.status, w.wrote = status, true
	}
}

func (w *memoryWriter) Write(p []byte) (int, error) {
	w.wrote = true
	return w.body.Write(p)
}
