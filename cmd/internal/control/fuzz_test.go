package control_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

// FuzzRequests sends anything to every verb. Whatever is no request is refused in
// words that a terminal can show, and does nothing; whatever is carried out was a
// JSON object, or nothing at all, and brings nothing into events that can not be
// printed.
func FuzzRequests(f *testing.F) {
	for _, seed := range []string{
		``, ` `, `{}`, `null`, `[]`, `{"by":"ana","why":"x","seconds":60}`, `{"instance":"i-1","force":true}`, `{"instance":"i-1","force":true,"force":false}`,
		`{"resource":"gpu"}`, `{"queue":"training"}`, `{"after":"i-1"}`, `{"seconds":1e308}`, `{"seconds":-0}`, `{"by":"\u202e"}`, "{\"by\":\"\xff\"}", `{"by":"a"}{}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, request string) {
		for _, verb := range slices.Sorted(maps.Keys(control.Handlers("prod", &fakeEngine{}))) {
			engine := &fakeEngine{status: world()}
			answer, err := ask(engine, verb, request)
			switch {
			case err != nil:
				failure := messages.FailureOf(err)
				if failure.Class != messages.ClassInvalid && failure.Class != messages.ClassNotFound {
					t.Errorf("%s %q: %v", verb, request, failure)
				}
				if strings.ContainsFunc(failure.Message, func(r rune) bool { return !unicode.IsPrint(r) }) || len(failure.Message) > 4000 {
					t.Errorf("%s %q: fails with %q", verb, request, failure.Message)
				}
				if answer != nil || len(engine.orders)+len(engine.by) > 0 {
					t.Errorf("%s %q: fails and is done", verb, request)
				}
			case answer == nil:
				t.Errorf("%s %q: neither an answer nor a failure", verb, request)
			case strings.TrimSpace(request) != "":
				understood(t, verb, request, engine)
			}
		}
	})
}

// understood checks a request that was carried out.
func understood(t *testing.T, verb, request string, engine *fakeEngine) {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(request), &fields); err != nil || fields == nil {
		t.Errorf("%s %q: no JSON object, and carried out", verb, request)
	}
	texts := slices.Clone(engine.by)
	for _, o := range engine.orders {
		texts = append(texts, o.by)
		switch order := o.order.(type) {
		case messages.PauseLaunches:
			texts = append(texts, order.Why)
			if !order.Until.IsZero() && (order.Until.Before(noon) || order.Until.Sub(noon).Hours() > 366*24) {
				t.Errorf("%s %q: paused until %s", verb, request, order.Until)
			}
		case messages.DrainInstanceNow:
			texts = append(texts, string(order.Instance))
			if order.Instance == "" {
				t.Errorf("%s %q: drains no instance", verb, request)
			}
		case messages.DrainIdleNow:
			texts = append(texts, string(order.Resource))
		case messages.ResumeLaunches, messages.ReportStatus:
		}
	}
	for _, text := range texts {
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || len(text) > 2000 {
			t.Errorf("%s %q: %q goes into events", verb, request, text)
		}
	}
}
