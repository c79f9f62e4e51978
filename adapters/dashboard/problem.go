package dashboard

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/ebbscale/ebb/messages"
)

// problem is what is answered instead of what was asked for.
type problem struct {
	status int
	Error  string `json:"error"`
	Fix    string `json:"fix"`
	// Problems are there when what was sent is a configuration with mistakes.
	Problems []Problem `json:"problems,omitempty"`
}

func refusal(status int, message, fix string) *problem {
	return &problem{status: status, Error: message, Fix: fix}
}

// failed is a problem of an error of a port: what it says is made to be shown.
func failed(what string, err error) *problem {
	failure := messages.FailureOf(err)
	text := failure.Message
	if text == "" {
		text = failure.Error()
	}
	p := &problem{status: http.StatusServiceUnavailable, Error: what + ": " + text, Fix: "try again in a moment; `ebb events --follow` and the log say more"}
	switch failure.Class {
	case messages.ClassNotFound:
		p.status, p.Fix = http.StatusNotFound, "look at the list: it may have gone meanwhile"
	case messages.ClassInvalid, messages.ClassProtected:
		p.status, p.Fix = http.StatusConflict, "look at how things stand now and ask again"
	case messages.ClassHeld, messages.ClassFenced:
		p.Fix = "wait until an ebb acts for this autoscaler; /readyz of each says what keeps it from that"
	default:
	}
	if invalid, ok := errors.AsType[*InvalidError](err); ok {
		p.status, p.Fix, p.Problems = http.StatusUnprocessableEntity, "correct what is named and send it again", invalid.Problems
	}
	return p
}

// InvalidError is what an [Operator] or a [Wizard] returns for a configuration
// with mistakes.
type InvalidError struct{ Problems []Problem }

// Error names the first mistake.
func (e *InvalidError) Error() string {
	if len(e.Problems) == 0 {
		return "the configuration is not sound"
	}
	first := e.Problems[0]
	return "the configuration is not sound: " + first.Path + ": " + first.Message
}

func (p *problem) write(w http.ResponseWriter) {
	writeJSON(w, p.status, p)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer could not be written","fix":"look at the log"}`)
	}
	writeBytes(w, status, "application/json; charset=utf-8", text)
}

func writeBytes(w http.ResponseWriter, status int, kind string, text []byte) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// readJSON reads the body of a request into value. Unknown fields and whatever
// follows are refused: a misspelled field must not be passed over.
func readJSON(w http.ResponseWriter, r *http.Request, most int64, value any) *problem {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value); err != nil {
		if _, tooMuch := errors.AsType[*http.MaxBytesError](err); tooMuch {
			return refusal(http.StatusRequestEntityTooLarge, "the request is too large", "send less")
		}
		if errors.Is(err, io.EOF) {
			return refusal(http.StatusBadRequest, "the request has no body", "send a JSON object; {} if there is nothing to say")
		}
		return refusal(http.StatusBadRequest, "the request is not the JSON that is expected here: "+shape(err), "docs/dashboard.md has the fields of each request")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return refusal(http.StatusBadRequest, "something follows the JSON object", "send one object")
	}
	return nil
}

// shape says what is wrong with JSON without repeating any of it: it may hold a
// secret.
func shape(err error) string {
	if typed, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return "a field has the wrong type (" + typed.Type.String() + " is expected)"
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "it cannot be parsed"
	}
	return "it is cut off, or has a field that is not known"
}
