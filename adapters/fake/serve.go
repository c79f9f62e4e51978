package fake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// headerTime is how long the head of a request may take.
	headerTime = 5 * time.Second
	// stopTime is how long requests under way are waited for when a server stops.
	stopTime = 15 * time.Second
)

// Serve answers requests on a listener until ctx ends, then lets those under way
// finish and returns nil. Requests that hang on purpose end with ctx.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	fresh := &freshConns{conns: map[net.Conn]bool{}}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, ConnState: fresh.note,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	fresh.close()
	if err := server.Shutdown(grace); err != nil {
		return errors.Join(fmt.Errorf("stop server on %s: %w", l.Addr(), err), server.Close())
	}
	return nil
}

// freshConns are the connections on which nothing was sent yet. A stopping
// server would wait five seconds for their first request; clients open some
// ahead and never use them.
type freshConns struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

func (f *freshConns) note(c net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if state == http.StateNew {
		f.conns[c] = true
	} else {
		delete(f.conns, c)
	}
}

func (f *freshConns) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		if err := c.Close(); err != nil {
			continue // it closed by itself
		}
	}
}

// Loopback is a transport that hands requests to a handler in the same process,
// on the caller's goroutine. With it a client needs no network and a simulation
// no threads. A handler that aborts looks like a broken connection.
func Loopback(h http.Handler) http.RoundTripper { return loopback{h} }

type loopback struct{ handler http.Handler }

// RoundTrip serves one request.
func (l loopback) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := &recorder{header: http.Header{}, status: http.StatusOK}
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			resp, err = nil, fmt.Errorf("answer of %s: %w", r.URL.Path, io.ErrUnexpectedEOF)
			if ctxErr := r.Context().Err(); ctxErr != nil {
				err = ctxErr
			}
		default:
			panic(v)
		}
	}()
	l.handler.ServeHTTP(out, in)
	if err := in.Body.Close(); err != nil {
		return nil, fmt.Errorf("close body of request %s: %w", r.URL.Path, err)
	}
	return &http.Response{
		Status: http.StatusText(out.status), StatusCode: out.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: out.header, Body: io.NopCloser(&out.body), ContentLength: int64(out.body.Len()), Request: r,
	}, nil
}

// recorder keeps what a handler writes.
type recorder struct {
	header http.Header
	status int
	wrote  bool
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if !r.wrote {
		r.status, r.wrote = status, true
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	return r.body.Write(b)
}
