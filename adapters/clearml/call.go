package clearml

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/ebbscale/ebb/messages"
)

const (
	// apiVersion goes into every path. A server that is older serves its newest,
	// one that is newer serves what it had at this version.
	apiVersion = "v2.30"
	userAgent  = "ebb"

	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 10 * time.Second
	// patience is the longest Retry-After that is waited for; whoever asked will
	// ask again anyway.
	patience = 30 * time.Second

	// calledOK is the result of a call that did not fail.
	calledOK = "ok"
)

// reply is a good answer.
type reply[T checked] struct {
	data T
	// sent is when the request went out, by our clock; date the server's clock as
	// it answered, zero when it did not say.
	sent, date time.Time
}

// call sends a request with a token, and again when that may help. A token that
// the server no longer takes is replaced once.
func call[T checked](ctx context.Context, c *Client, action string, request any) (reply[T], error) {
	return callUpTo[T](ctx, c, action, request, c.attempts)
}

// callUpTo is call with a number of attempts of its own.
func callUpTo[T checked](ctx context.Context, c *Client, action string, request any, attempts int) (reply[T], error) {
	var none reply[T]
	body, err := json.Marshal(request)
	if err != nil {
		return none, fmt.Errorf("write request of %s: %w", action, err)
	}
	renewed := false
	return retry(ctx, c, action, attempts, func() (reply[T], *trouble, error) {
		for {
			held, err := c.authorize(ctx)
			if err != nil {
				return none, nil, err
			}
			if err := messages.Permitted(ctx); err != nil {
				return none, nil, err
			}
			got, t := post[T](ctx, c, action, "Bearer "+held.token, body)
			if t == nil || t.status != http.StatusUnauthorized || renewed {
				return got, t, nil
			}
			renewed = true
			c.log.Debug().Str("action", action).Str("code", t.failure.Code).Msg("token refused, logging in again")
			c.session.drop(held)
		}
	})
}

// retry runs try until it works, fails in a way that repeating does not cure, or
// has been run the given number of times. An error of try ends it at once.
func retry[T checked](
	ctx context.Context, c *Client, action string, attempts int, try func() (reply[T], *trouble, error),
) (reply[T], error) {
	var none reply[T]
	for attempt := 1; ; attempt++ {
		got, t, err := try()
		if err != nil {
			return none, err
		}
		if t == nil {
			return got, nil
		}
		pause := max(c.backoff(attempt), t.after)
		if !t.retry || attempt >= attempts || t.after > patience || ctx.Err() != nil || !c.wait(ctx, pause) {
			return none, &callError{action: action, server: c.base, attempts: attempt, trouble: t}
		}
		c.log.Debug().Str("action", action).Int("attempt", attempt).Dur("pause", pause).
			Str("class", string(t.failure.Class)).Str("code", t.failure.Code).Msg("call sent again")
	}
}

// backoff draws the pause after the given attempt: anything up to a bound that
// doubles (full jitter), so that many clients do not come back at once.
func (c *Client) backoff(attempt int) time.Duration {
	bound := min(firstBackoff<<min(attempt-1, 10), maxBackoff)
	c.diceMu.Lock()
	defer c.diceMu.Unlock()
	return time.Duration(c.dice.Int64N(int64(bound)) + 1)
}

// wait lets the time pass and reports whether the context lived through it.
func (c *Client) wait(ctx context.Context, pause time.Duration) bool {
	over := make(chan struct{})
	stop := c.clock.AfterFunc(pause, func() { close(over) })
	select {
	case <-over:
		return true
	case <-ctx.Done():
		stop()
		return false
	}
}

// post sends one request and reads its answer.
func post[T checked](ctx context.Context, c *Client, action, authorization string, body []byte) (reply[T], *trouble) {
	got := reply[T]{sent: c.clock.Now()}
	ended := c.called(action)
	status, header, payload, t := c.exchange(ctx, action, authorization, body)
	if t == nil && status != http.StatusOK {
		t = refused(status, payload, header)
	}
	if t == nil {
		got.date = dateOf(header)
		got.data, t = decode[T](payload, header)
	}
	if t != nil {
		ended(string(t.failure.Class))
		t.failure.Message = clean(t.failure.Message, c.session.secrets(authorization))
		return reply[T]{}, t
	}
	ended(calledOK)
	return got, nil
}

func (c *Client) exchange(
	ctx context.Context, action, authorization string, body []byte,
) (status int, header http.Header, payload []byte, t *trouble) {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, http.MethodPost, c.base+"/"+apiVersion+"/"+action, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, networkTrouble(ctx, err)
	}
	request.Header.Set("Authorization", authorization)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", userAgent)
	defer c.use()() // ends after the body is closed
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, nil, networkTrouble(ctx, err)
	}
	defer response.Body.Close()
	payload, t = c.read(ctx, response)
	return response.StatusCode, response.Header, payload, t
}

// read takes the whole body, at most maxBody bytes of it unpacked.
func (c *Client) read(ctx context.Context, response *http.Response) ([]byte, *trouble) {
	body := io.Reader(response.Body)
	// Go's own transport unpacks and removes the header; another one may not.
	if strings.EqualFold(response.Header.Get("Content-Encoding"), "gzip") {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, unpackTrouble(ctx, err)
		}
		body = unpacked
	}
	var buffer bytes.Buffer
	if known := response.ContentLength; known > 0 && known < c.maxBody {
		buffer.Grow(int(known) + bytes.MinRead)
	}
	size, err := buffer.ReadFrom(io.LimitReader(body, c.maxBody+1))
	switch {
	case err != nil:
		return nil, unpackTrouble(ctx, err)
	case size > c.maxBody:
		t := shapeTrouble("the answer is larger than %d bytes; raise the limit or watch fewer queues", c.maxBody)
		t.failure.Code = codeTooLarge
		return nil, t
	}
	return buffer.Bytes(), nil
}

func unpackTrouble(ctx context.Context, err error) *trouble {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
		return shapeTrouble("the answer is not the gzip it says it is: %s", err)
	}
	t := networkTrouble(ctx, err)
	if t.failure.Code == codeNetwork {
		t.failure.Class, t.failure.Code = messages.ClassTransient, codeCut
	}
	return t
}
