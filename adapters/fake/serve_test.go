package fake_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake"
)

// TestServe answers until its context ends, also while a request hangs.
func TestServe(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hanging := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- fake.Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hang" {
				close(hanging)
				<-r.Context().Done()
				panic(http.ErrAbortHandler)
			}
			if _, err := io.WriteString(w, "hello"); err != nil {
				t.Error(err)
			}
		}))
	}()
	url := "http://" + l.Addr().String()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil || string(text) != "hello" {
		t.Fatalf("answer is %q, %v", text, err)
	}
	hung := make(chan error, 1)
	go func() {
		resp, err := http.Get(url + "/hang")
		if err == nil {
			err = errors.Join(errors.New("it was answered"), resp.Body.Close())
			hung <- err
			return
		}
		hung <- nil
	}()
	<-hanging
	cancel()
	for what, ch := range map[string]chan error{"server": served, "request": hung} {
		select {
		case err := <-ch:
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(2 * time.Minute):
			t.Errorf("%s: still there two minutes after the end", what)
		}
	}
	if err := fake.Serve(t.Context(), l, http.NotFoundHandler()); err == nil {
		t.Error("served on a closed listener")
	}
}

// TestLoopback behaves like a connection: answers, aborts, and contexts that end.
func TestLoopback(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: fake.Loopback(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/hang":
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("X-Path", r.RequestURI)
			w.WriteHeader(http.StatusTeapot)
			w.WriteHeader(http.StatusOK) // too late, as with net/http
		}
	}))}
	ask := func(ctx context.Context, path string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://fake"+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		return resp, err
	}
	resp, err := ask(t.Context(), "/a?b=c")
	if err != nil || resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Path") != "/a?b=c" {
		t.Errorf("answer is %v, %v", resp, err)
	}
	if _, err := ask(t.Context(), "/abort"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an abort is %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := ask(ctx, "/hang"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline is %v", err)
	}
}
