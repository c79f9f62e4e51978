package bus_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

func TestEscapeToken(t *testing.T) {
	t.Parallel()
	for text, token := range map[string]string{
		"":             "%",
		"prod":         "prod",
		"my prod.eu":   "my%20prod%2Eeu",
		"*":            "%2A",
		">":            "%3E",
		"100%":         "100%25",
		"a\tb\n":       "a%09b%0A",
		"grün-日本":      "grün-日本",
		"\xff":         "%FF",
		"a\u200bb\x7f": "a%E2%80%8Bb%7F",
		"a/b:c_d-e$":   "a/b:c_d-e$",
	} {
		if got := bus.EscapeToken(text); got != token {
			t.Errorf("EscapeToken(%q) = %q, want %q", text, got, token)
		}
		if got, err := bus.UnescapeToken(token); err != nil || got != text {
			t.Errorf("UnescapeToken(%q) = %q, %v, want %q", token, got, err, text)
		}
	}
	for _, token := range []string{"", "a b", "a.b", "*", "%2", "a%", "%zz", "%2e", "%61", "\xff", "%%"} {
		if got, err := bus.UnescapeToken(token); err == nil {
			t.Errorf("UnescapeToken(%q) = %q, want an error", token, got)
		}
	}
}

func TestSubjectsRoundTrip(t *testing.T) {
	t.Parallel()
	kinds := messages.EventKinds()
	rapid.Check(t, func(t *rapid.T) {
		name := messages.AutoscalerName(rapid.OneOf(rapid.String(), rapid.StringMatching(`[ .*>%\x00-\x7f]{0,6}`)).Draw(t, "name"))
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		subject := bus.EventSubject(name, kind)
		if !server.IsValidPublishSubject(subject) || strings.Count(subject, ".") != 4 {
			t.Fatalf("%q is no subject of five tokens", subject)
		}
		gotName, gotKind, err := bus.ParseEventSubject(subject)
		if err != nil || gotName != name || gotKind != kind {
			t.Fatalf("%q, %q came back as %q, %q, %v", name, kind, gotName, gotKind, err)
		}
	})
}

func TestParseEventSubjectRefuses(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{
		"", "ebb.v1", "ebb.v2.prod.queue.observed", "ebb.v1.prod.queue", "ebb.v1.prod.queue.observed.now",
		"ebb.v1.prod.Queue.observed", "ebb.v1..queue.observed", "ebb.v1.%zz.queue.observed",
	} {
		if name, kind, err := bus.ParseEventSubject(subject); err == nil {
			t.Errorf("%q was read as %q, %q", subject, name, kind)
		}
	}
}
