package fakeagent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// HTTPConfig says how to reach a ClearML server, and as whom.
type HTTPConfig struct {
	Host string // such as http://clearml:8008
	// AccessKey and SecretKey, or Token, are the credentials.
	AccessKey, SecretKey, Token string
	Hostname                    string       // of the caller, as it tells it in headers
	Client                      *http.Client // nil: http.DefaultClient
	Log                         zerolog.Logger
}

// NewHTTP is a ClearML server behind its HTTP API. Each process of a machine has
// one of its own, as it has its own token.
func NewHTTP(cfg HTTPConfig) API {
	if cfg.Client == nil {
		cfg.Client = http.DefaultClient
	}
	return &wire{cfg: cfg}
}

type wire struct {
	cfg HTTPConfig

	mu     sync.Mutex
	bearer string
}

// Call implements API. It logs in when nobody has, and when the token has run
// out, once.
func (w *wire) Call(ctx context.Context, endpoint string, in Body, out any) error {
	if endpoint == loginEndpoint {
		token, err := w.login(ctx)
		if answer, ok := out.(*Token); ok {
			answer.Token = token
		}
		return err
	}
	w.mu.Lock()
	bearer := w.bearer
	w.mu.Unlock()
	if bearer != "" {
		err := w.send(ctx, endpoint, in, out)
		if !isStatus(err, http.StatusUnauthorized) {
			return err
		}
	}
	if _, err := w.login(ctx); err != nil {
		return err
	}
	return w.send(ctx, endpoint, in, out)
}

const loginEndpoint = "auth.login"

// login gets a token for the credentials.
func (w *wire) login(ctx context.Context) (string, error) {
	var out Token
	if err := w.send(ctx, loginEndpoint, nil, &out); err != nil {
		return "", fmt.Errorf("log in: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bearer = out.Token
	return out.Token, nil
}

// send makes one request: a GET that carries its parameters as JSON, which is
// what the real agent does.
func (w *wire) send(ctx context.Context, endpoint string, in Body, out any) error {
	var text []byte
	if in != nil {
		var err error
		if text, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encode %s: %w", endpoint, err)
		}
	}
	url := strings.TrimRight(w.cfg.Host, "/") + "/" + endpoint
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("make request %s: %w", endpoint, err)
	}
	w.sign(req, endpoint)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := w.cfg.Client.Do(req)
	if err != nil {
		return fmt.Errorf("call %s: %w", endpoint, err)
	}
	defer func() {
		if err := resp.Body.Close(); err != nil {
			w.cfg.Log.Debug().Err(err).Str("endpoint", endpoint).Msg("body not closed")
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
		return fmt.Errorf("call %s: %w", endpoint, &Refusal{resp.StatusCode, envelope.Meta.Subcode, envelope.Meta.Message})
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
func (w *wire) sign(req *http.Request, endpoint string) {
	w.mu.Lock()
	bearer := w.bearer
	w.mu.Unlock()
	for _, brand := range []string{"ClearML", "Trains"} {
		req.Header.Set("X-"+brand+"-Worker", w.cfg.Hostname)
		req.Header.Set("X-"+brand+"-Agent", "api-3.0.3")
	}
	switch {
	case endpoint == loginEndpoint && w.cfg.AccessKey != "":
		req.SetBasicAuth(w.cfg.AccessKey, w.cfg.SecretKey)
	case endpoint == loginEndpoint && bearer == "":
		req.Header.Set("Authorization", "Bearer "+w.cfg.Token)
	default:
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
}
