package simulation

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// line is HTTP over a wire.
type line struct {
	wire   *wire
	server http.RoundTripper
	// seen is told of every request that was served; body is the request's.
	seen func(r *http.Request, body []byte, answer *http.Response)
}

// RoundTrip implements http.RoundTripper.
func (n *line) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readAll(r)
	if err != nil {
		return nil, err
	}
	return carry(r.Context(), n.wire, callOf(r, body), func() (*http.Response, error) { //nolint:contextcheck // it is in the request
		request := r.Clone(r.Context())
		request.Body = io.NopCloser(bytes.NewReader(body))
		answer, err := n.server.RoundTrip(request)
		if err == nil && n.seen != nil {
			n.seen(r, body, answer)
		}
		return answer, err
	})
}

// callOf names the call that a request of either API makes.
func callOf(r *http.Request, body []byte) call {
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if action, isEC2 := bytes.CutPrefix(body, []byte("Action=")); isEC2 {
		action, _, _ = bytes.Cut(action, []byte("&"))
		name = string(action)
	}
	return call{name: name, changes: changing(name)}
}

// changing says whether a call of ClearML's or EC2's API changes anything there.
func changing(name string) bool {
	switch name {
	case "RunInstances", "TerminateInstances", "queues.create", "queues.update", "queues.add_or_update_metadata",
		"queues.delete_metadata", "tasks.enqueue":
		return true
	}
	return false
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

// atOnce lets a handler that waits for its caller to go away see that at once:
// there is no other thread on which the caller could.
func atOnce(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gone, cancel := context.WithCancel(r.Context())
		cancel()
		h.ServeHTTP(w, r.WithContext(gone))
	})
}
