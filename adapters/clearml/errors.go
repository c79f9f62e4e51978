package clearml

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ebbscale/ebb/messages"
)

const (
	statusBandwidthLimit = 509
	maxMessage           = 400 // bytes of somebody else's text in our errors
)

// Subcodes of ClearML's errors that change what the HTTP status says.
const (
	subcodeTaskID        = 101
	subcodeTaskStatus    = 110
	subcodeStatusRace    = 121
	subcodeTaskNotFound  = 130
	subcodeQueueID       = 701
	subcodeAlreadyQueued = 706
	subcodeUnique        = 801
	subcodeWorkerID      = 1001
)

// Codes of failures that have no HTTP error.
const (
	codeNetwork  = "network"
	codeTimeout  = "timeout"
	codeCanceled = "canceled"
	codeTLS      = "tls"
	codeCut      = "truncated"
	codeShape    = "unexpected_answer"
	codeTooLarge = "answer_too_large"
	codeRequest  = "bad_request"
	codeNoQueue  = "no_such_queue"
)

// classOf is the table of HTTP statuses and ClearML's subcodes.
func classOf(status, subcode int) messages.FailureClass {
	switch status {
	case http.StatusBadRequest:
		switch subcode {
		case subcodeTaskID, subcodeQueueID, subcodeWorkerID:
			return messages.ClassNotFound
		}
		return messages.ClassInvalid
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return messages.ClassUnauthorized
	case http.StatusNotFound, http.StatusGone:
		return messages.ClassNotFound
	case http.StatusTooManyRequests:
		return messages.ClassThrottled
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return messages.ClassTransient
	case http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return messages.ClassInvalid
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return messages.ClassInvalid
	}
	// 502, 503, 504 and 509 come from proxies, 500 from ClearML itself (500/102:
	// its database is away).
	if status >= http.StatusInternalServerError && status < 600 {
		return messages.ClassTransient
	}
	return messages.ClassUnknown
}

// cure is what a person can do about a failure, empty when the text says it.
func cure(status, subcode int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "check that the ClearML credentials exist and have not been revoked"
	case status == http.StatusForbidden:
		return "the user of these ClearML credentials may not do this"
	case status == http.StatusNotFound && subcode == 0:
		return "check that the URL is that of the API server (port 8008 by default) and not of the web or files server"
	}
	return ""
}

// trouble is one attempt that did not work.
type trouble struct {
	failure messages.Failure
	status  int // of HTTP, 0 when there was no answer
	subcode int
	retry   bool
	after   time.Duration // what Retry-After asks for
	cause   error         // of the network or the context
	date    time.Time     // the server's clock as it refused, zero when it did not say
}

// callError is a call that did not work: what was tried, and why it failed.
type callError struct {
	action   string
	server   string
	attempts int
	trouble  *trouble
}

// Error names the call, the server and the failure.
func (e *callError) Error() string {
	tries := ""
	if e.attempts > 1 {
		tries = fmt.Sprintf(" (%d attempts)", e.attempts)
	}
	return fmt.Sprintf("call %s at %s%s: %s", e.action, e.server, tries, e.trouble.failure.Error())
}

// Unwrap gives the [messages.Failure], then the error of network or context.
func (e *callError) Unwrap() []error {
	if e.trouble.cause == nil {
		return []error{&e.trouble.failure}
	}
	return []error{&e.trouble.failure, e.trouble.cause}
}

// networkTrouble is a request without an answer.
func networkTrouble(ctx context.Context, err error) *trouble {
	t := &trouble{
		failure: messages.Failure{Class: messages.ClassTransient, Code: codeNetwork, Message: err.Error()},
		retry:   true,
		cause:   err,
	}
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		t.failure.Code, t.retry = codeCanceled, false
	case ctx.Err() != nil:
		t.failure.Code, t.retry = codeTimeout, false
	case errors.Is(err, context.DeadlineExceeded):
		t.failure.Code = codeTimeout
	case errors.As(err, &certificate):
		t.failure.Class, t.failure.Code, t.retry = messages.ClassInvalid, codeTLS, false
		t.failure.Message += "; if the server has a private certificate authority, give its certificate as ca_file"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		t.failure.Class, t.failure.Code, t.retry = messages.ClassInvalid, codeTLS, false
		t.failure.Message += "; the server does not speak TLS on this port: is it http:// instead of https://?"
	case errors.Is(err, io.ErrUnexpectedEOF):
		t.failure.Code = codeCut
	}
	return t
}

// answerTrouble is an answer with an HTTP status other than 200, or an envelope
// that says so. known is false when the body was not ClearML's envelope.
func answerTrouble(status int, header http.Header, about meta, known bool) *trouble {
	class := classOf(status, about.ResultSubcode)
	t := &trouble{
		failure: messages.Failure{Class: class, Code: strconv.Itoa(status), Message: about.ResultMsg},
		status:  status,
		subcode: about.ResultSubcode,
		date:    dateOf(header),
		retry:   class == messages.ClassThrottled || class == messages.ClassTransient,
	}
	if known {
		t.failure.Code = fmt.Sprintf("%d/%d", status, about.ResultSubcode)
	}
	if t.failure.Message == "" {
		t.failure.Message = http.StatusText(status)
	}
	if hint := cure(status, about.ResultSubcode); hint != "" {
		t.failure.Message += "; " + hint
	}
	if status >= http.StatusMultipleChoices && status < http.StatusBadRequest {
		if to, err := (&http.Response{Header: header}).Location(); err == nil && to.Host != "" {
			t.failure.Message += fmt.Sprintf("; the server redirects to %s://%s: give that as the API server", to.Scheme, to.Host)
		}
	}
	t.after = retryAfter(header)
	return t
}

// shapeTrouble is an answer of status 200 that is not what was asked for.
func shapeTrouble(format string, arguments ...any) *trouble {
	return &trouble{
		failure: messages.Failure{
			Class: messages.ClassUnknown, Code: codeShape, Message: fmt.Sprintf(format, arguments...),
		},
		status: http.StatusOK,
	}
}

// cutTrouble is an answer that ends too early.
func cutTrouble(format string, arguments ...any) *trouble {
	t := shapeTrouble(format, arguments...)
	t.failure.Class, t.failure.Code, t.retry = messages.ClassTransient, codeCut, true
	return t
}

// refusedWith says whether the server answered 400 with one of the subcodes.
func refusedWith(err error, subcodes ...int) bool {
	var refusal *callError
	return errors.As(err, &refusal) && refusal.trouble.status == http.StatusBadRequest &&
		slices.Contains(subcodes, refusal.trouble.subcode)
}

// invalid is a question that is not worth asking.
func invalid(format string, arguments ...any) error {
	return &messages.Failure{
		Class: messages.ClassInvalid, Code: codeRequest, Message: fmt.Sprintf(format, arguments...),
	}
}

// retryAfter reads the header of that name, seconds or a date, 0 without one.
func retryAfter(header http.Header) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(seconds, 0), int(time.Hour/time.Second))) * time.Second
	}
	until, err := http.ParseTime(text)
	now := dateOf(header)
	if err != nil || now.IsZero() {
		return 0
	}
	return max(until.Sub(now), 0)
}

// clean makes somebody else's text fit for our errors: one line, not long, and
// without the given secrets.
func clean(text string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	// The user and password of a proxy's URL.
	text = regexp.MustCompile(`://[^/@\s"]*@`).ReplaceAllString(text, "://[redacted]@")
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return text
}
