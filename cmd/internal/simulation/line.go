package simulation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
)

// hangs is how long a caller waits for an answer that was lost.
const hangs = 20 * time.Second

var errRefused = errors.New("connection refused")

// line is the network between callers and a server. A request takes its time in
// each direction.
type line struct {
	loop    *loop
	server  http.RoundTripper
	latency fakeec2.Dist // one way
	// down refuses every connection.
	down bool
	// loses is the share of requests, and again of answers, that are lost.
	loses float64
	// seen is told of every request that was served; body is the request's.
	seen func(r *http.Request, body []byte, answer *http.Response)
}

// RoundTrip implements http.RoundTripper.
func (n *line) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readAll(r)
	if err != nil {
		return nil, err
	}
	if err := n.travel(r.Context()); err != nil {
		return nil, err
	}
	if n.down {
		return nil, fmt.Errorf("dial %s: %w", r.URL.Host, errRefused)
	}
	if n.lost() {
		return nil, n.hang(r.Context())
	}
	request := r.Clone(r.Context())
	request.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := n.server.RoundTrip(request)
	if err == nil && n.seen != nil {
		n.seen(r, body, answer)
	}
	if travelErr := n.travel(r.Context()); travelErr != nil {
		return nil, travelErr
	}
	if err == nil && n.lost() {
		return nil, n.hang(r.Context())
	}
	return answer, err
}

func readAll(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read request to %s: %w", r.URL.Path, err)
	}
	return body, nil
}

func (n *line) lost() bool { return n.loses > 0 && n.loop.rng.Float64() < n.loses }

// travel is one way.
func (n *line) travel(ctx context.Context) error {
	if !n.loop.sleep(n.latency.Draw(n.loop.rng)) {
		return context.Canceled
	}
	return ctx.Err()
}

func (n *line) hang(ctx context.Context) error {
	if !n.loop.sleep(hangs) {
		return context.Canceled
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.DeadlineExceeded
}

// atOnce lets a handler that waits for its caller to go away see that at once:
// there is no other thread on which the caller could.
func atOnce(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gone, cancel := context.WithCancel(r.Context())
		cancel()
		h.ServeHTTP(w, r.WithContext(gone))
	})
}
