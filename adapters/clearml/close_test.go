package clearml_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/messages"
)

// connections counts the connections that a server has.
type connections struct{ open atomic.Int32 }

func (c *connections) on(server *httptest.Server) {
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			c.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			c.open.Add(-1)
		case http.StateActive, http.StateIdle:
		}
	}
}

func (c *connections) become(t *testing.T, want int32, when string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); c.open.Load() != want; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s there are %d connections, want %d", when, c.open.Load(), want)
		}
	}
}

// TestClose closes a client while a call is under way: that call and later ones
// work, and leave no connection behind.
func TestClose(t *testing.T) {
	t.Parallel()

	s := newStub(t)
	s.server.Close()
	var seen connections
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	seen.on(s.server)
	s.server.Start()
	t.Cleanup(s.server.Close)
	come, goOn := make(chan bool), make(chan bool)
	s.on("queues.create", func(int, asked) answer {
		come <- true
		<-goOn
		return ok(`{"id": "0123"}`)(1, asked{})
	})
	cfg := s.config()
	cfg.HTTPClient = nil // with a transport of its own, as in production
	client, err := clearml.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	observe := func() error {
		_, err := client.Observe(t.Context(), messages.ClearMLQuery{WorkersPrefix: prefix})
		return err
	}
	if err := observe(); err != nil {
		t.Fatal(err)
	}
	if seen.open.Load() == 0 {
		t.Fatal("no connection is kept: the test shows nothing")
	}
	done := make(chan error)
	go func() { done <- client.CreateQueues(t.Context(), []messages.QueueName{"training"}) }()
	<-come
	client.Close()
	seen.become(t, 1, "while a call is under way")
	close(goOn)
	if err := <-done; err != nil {
		t.Errorf("the call that was under way: %v", err)
	}
	seen.become(t, 0, "after the last call")
	for range 3 {
		if err := observe(); err != nil {
			t.Errorf("a call after the end: %v", err)
		}
		seen.become(t, 0, "after a later call")
	}
}
