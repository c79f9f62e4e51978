package fakeagent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// apiError is an error that the ClearML server answered.
type apiError struct {
	status, subcode int
	message         string
}

func (e *apiError) Error() string {
	return fmt.Sprintf("server answered %d/%d: %s", e.status, e.subcode, e.message)
}

// isStatus tells whether err is an answer with that HTTP status.
func isStatus(err error, status int) bool {
	var e *apiError
	return errors.As(err, &e) && e.status == status
}

// body is the parameters of a call.
type body map[string]any

// call makes one API call and decodes its data into out, which may be nil. When
// the token has run out it logs in anew, once.
func (a *Agent) call(ctx context.Context, endpoint string, in body, out any) error {
	a.gate.RLock()
	defer a.gate.RUnlock()
	if a.isStopping() {
		return fmt.Errorf("call %s: %w", endpoint, errStopping)
	}
	return a.retried(ctx, endpoint, in, out)
}

// errStopping is what everything gets but the last calls of an agent that ends.
var errStopping = errors.New("the agent is stopping")

func (a *Agent) isStopping() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stopping
}

// retried is a call with another try after a new login.
func (a *Agent) retried(ctx context.Context, endpoint string, in body, out any) error {
	err := a.send(ctx, endpoint, in, out)
	if !isStatus(err, http.StatusUnauthorized) {
		return err
	}
	if err := a.login(ctx); err != nil {
		return err
	}
	return a.send(ctx, endpoint, in, out)
}

// login gets a token for the credentials.
func (a *Agent) login(ctx context.Context) error {
	var out struct {
		Token string `json:"token"`
	}
	if err := a.send(ctx, "auth.login", nil, &out); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bearer = out.Token
	return nil
}

// send makes one request: a GET that carries its parameters as JSON, which is
// what the real agent does.
func (a *Agent) send(ctx context.Context, endpoint string, in body, out any) error {
	var text []byte
	if in != nil {
		var err error
		if text, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encode %s: %w", endpoint, err)
		}
	}
	url := strings.TrimRight(a.cfg.APIHost, "/") + "/" + endpoint
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("make request %s: %w", endpoint, err)
	}
	a.sign(req, endpoint)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.cfg.Client.Do(req)
	if err != nil {
		return fmt.Errorf("call %s: %w", endpoint, err)
	}
	defer func() {
		if err := resp.Body.Close(); err != nil {
			a.cfg.Log.Debug().Err(err).Str("endpoint", endpoint).Msg("body not closed")
		}
	}()
	var envelope struct {
		Meta struct {
			Subcode int    `json:"result_subcode"`
			Message string `json:"result_msg"`
		} `json:"meta"`
		Data json.RawMessage `json:"data"`
	}
	decodeErr := json.NewDecoder(resp.Body).Decode(&envelope)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("call %s: %w", endpoint, &apiError{resp.StatusCode, envelope.Meta.Subcode, envelope.Meta.Message})
	}
	if decodeErr != nil {
		return fmt.Errorf("decode answer of %s: %w", endpoint, decodeErr)
	}
	if out == nil || len(envelope.Data) == 0 {
		return nil
	}
	if err := json.Unmarshal(envelope.Data, out); err != nil {
		return fmt.Errorf("decode data of %s: %w", endpoint, err)
	}
	return nil
}

// sign sets the headers that a live agent sends.
func (a *Agent) sign(req *http.Request, endpoint string) {
	a.mu.Lock()
	bearer := a.bearer
	a.mu.Unlock()
	for _, brand := range []string{"ClearML", "Trains"} {
		req.Header.Set("X-"+brand+"-Worker", a.cfg.Hostname)
		req.Header.Set("X-"+brand+"-Agent", "api-3.0.3")
	}
	switch {
	case endpoint == "auth.login" && a.cfg.AccessKey != "":
		req.SetBasicAuth(a.cfg.AccessKey, a.cfg.SecretKey)
	case endpoint == "auth.login" && bearer == "":
		req.Header.Set("Authorization", "Bearer "+a.cfg.Token)
	default:
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
}

// escape writes a name as a regular expression the way Python's re.escape does.
func escape(name string) string {
	var b strings.Builder
	for _, r := range name {
		if strings.ContainsRune("()[]{}?*+-|^$\\.&~# \t\n\r\v\f", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
