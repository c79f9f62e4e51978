package health_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/health"
	"github.com/ebbscale/ebb/messages"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// well are facts of a process that acts and has no trouble.
func well() health.Facts {
	return health.Facts{
		At:  noon(),
		Bus: health.Bus{Embedded: true, Running: true, Connected: true, Disk: health.Disk{Free: 9 << 30}},
		Autoscalers: []health.Autoscaler{{
			Name: "prod", Answered: true, ClearMLWithin: 75 * time.Second, EC2Within: 5 * time.Minute, PendingBefore: -1,
			Status: &messages.Status{
				StartedAt: noon().Add(-time.Hour),
				ClearML:   messages.SourceStatus{LastGood: noon().Add(-10 * time.Second)},
				EC2:       messages.SourceStatus{LastGood: noon().Add(-time.Minute)},
			},
		}},
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		spoil       func(*health.Facts)
		live, ready bool
		says        string // in a check of readiness, with its cure
	}{
		"well":      {func(*health.Facts) {}, true, true, "answered 10s ago"},
		"stands by": {func(f *health.Facts) { f.Autoscalers[0].Status = nil }, true, true, "stands by"},
		"paused": {
			func(f *health.Facts) { f.Autoscalers[0].Status.Pause = &messages.Pause{At: noon()} },
			true, true, "launching is paused",
		},
		"stopping":     {func(f *health.Facts) { f.Autoscalers[0].Status.Stopping = true }, true, true, "is stopping"},
		"external bus": {func(f *health.Facts) { f.Bus = health.Bus{Connected: true} }, true, true, "event server connection"},
		"bus away":     {func(f *health.Facts) { f.Bus = health.Bus{} }, true, false, "nats.url"},
		"server ended": {func(f *health.Facts) { f.Bus.Running, f.Bus.Connected = false, false }, false, false, "restart ebb"},
		"disk full": {
			func(f *health.Facts) {
				f.Bus.Disk = health.Disk{Fault: "the disk is full", Cure: "make room", Low: true}
			}, true, false, "the disk is full: nothing can be stored, so nothing is launched or ended\n      to do: make room",
		},
		"disk nearly full":  {func(f *health.Facts) { f.Bus.Disk = health.Disk{Free: 300 << 20, Low: true} }, true, true, "note  disk: 300 MiB are free, which is little\n      to do: make room"},
		"disk with room":    {func(*health.Facts) {}, true, true, "9216 MiB are free\n"},
		"disk of no report": {func(f *health.Facts) { f.Bus.Disk.Free = -1 }, true, true, "can be written"},
		"file in effect":    {func(*health.Facts) {}, true, true, "ok    configuration: in effect\n"},
		"file not sound": {
			func(f *health.Facts) {
				f.Configuration = health.Configuration{Mistakes: 2, Since: noon().Add(-time.Minute)}
			},
			true, true, "note  configuration: the file has not been taken over since 2026-03-01T11:59:00Z (2 mistakes), what ran before goes on\n      to do: correct the file, ebb config check",
		},
		"file for later": {
			func(f *health.Facts) { f.Configuration = health.Configuration{Mistakes: 1, Since: noon(), Waiting: 1} },
			true, true, "(1 mistake), what ran before goes on; 1 change of the file will take effect at the next start\n      to do: correct",
		},
		"no answer": {func(f *health.Facts) { f.Autoscalers[0].Answered, f.Autoscalers[0].Status = false, nil }, false, false, "did not answer"},
		"a part is silent": {
			func(f *health.Facts) { f.Autoscalers[0].Status.Silent = []string{"queue a", "resource b"} },
			true, false, "parts of prod: no answer from queue a, resource b\n",
		},
		"a rival": {
			func(f *health.Facts) {
				f.Autoscalers[0].Status.Rival = &messages.Rival{Epoch: 7, Queue: "q", Holds: true}
			},
			true, false, "rival of prod: another ebb (owner 7 on an event server of its own) gives signs of life for it on queue q; " +
				"this one came later and launches nothing\n      to do: stop one of the two",
		},
		"nobody asks ClearML": {
			func(f *health.Facts) { f.Autoscalers[0].Status.ClearML.LastGood = noon().Add(-3 * time.Minute) },
			true, false, "parts of prod: no answer from what asks ClearML\n",
		},
		"nobody asked EC2 yet": {
			func(f *health.Facts) { f.Autoscalers[0].Status.EC2.LastGood = time.Time{} },
			true, false, "parts of prod: no answer from what asks EC2\n",
		},
		"ClearML is away": {
			func(f *health.Facts) {
				f.Autoscalers[0].Status.ClearML = messages.SourceStatus{LastGood: noon().Add(-time.Hour), DownSince: noon().Add(-time.Hour)}
			},
			true, false, "parts of prod: all answer\n",
		},
		"clearml too old": {func(f *health.Facts) { f.Autoscalers[0].ClearMLWithin = 9 * time.Second }, true, false, "10s old, more than 9s"},
		"clearml unauthorized": {func(f *health.Facts) {
			f.Autoscalers[0].Status.ClearML = messages.SourceStatus{
				DownSince: noon().Add(-time.Minute), Class: messages.ClassUnauthorized, Message: "SECRET",
			}
		}, true, false, "check the ClearML credentials"},
		"ec2 unauthorized": {func(f *health.Facts) {
			f.Autoscalers[0].Status.EC2 = messages.SourceStatus{
				LastGood: noon().Add(-time.Hour), DownSince: noon().Add(-time.Hour), Class: messages.ClassUnauthorized, Message: "SECRET",
			}
		}, true, false, "ebb iam-policy"},
		"not asked yet": {func(f *health.Facts) { f.Autoscalers[0].Status.EC2 = messages.SourceStatus{} }, true, false, "no answer yet"},
		"outbox grows": {func(f *health.Facts) {
			f.Autoscalers[0].Status.EventsPending, f.Autoscalers[0].PendingBefore = 5000, 4000
		}, true, false, "4000 a minute ago"},
		"outbox shrinks": {func(f *health.Facts) {
			f.Autoscalers[0].Status.EventsPending, f.Autoscalers[0].PendingBefore = 4000, 5000
		}, true, true, "4000 wait"},
		"outbox small": {func(f *health.Facts) {
			f.Autoscalers[0].Status.EventsPending, f.Autoscalers[0].PendingBefore = 300, 0
		}, true, true, "300 wait"},
	} {
		facts := well()
		c.spoil(&facts)
		live, ready := health.Judge(facts)
		if live.OK != c.live || ready.OK != c.ready {
			t.Errorf("%s: alive %t, ready %t; want %t and %t\n%s", name, live.OK, ready.OK, c.live, c.ready, ready.Text())
		}
		if text := ready.Text(); !strings.Contains(text, c.says) || strings.Contains(text, "SECRET") {
			t.Errorf("%s: want %q, and no text of others, in:\n%s", name, c.says, text)
		}
		for _, check := range ready.Checks {
			if (check.OK && !check.Notice) == (check.Cure != "") || check.Found == "" {
				t.Errorf("%s: %+v: what is wrong or to be seen to, and only that, has a cure", name, check)
			}
		}
	}
}

// probe is a probe of one autoscaler with a given status.
func probe(now func() time.Time, status *messages.Status) *health.Probe {
	return health.New(health.Config{
		Now: now,
		Autoscalers: func() []health.Expected {
			return []health.Expected{{Name: "prod", ClearMLWithin: time.Minute, EC2Within: time.Minute}}
		},
		Statuses: func(context.Context) map[messages.AutoscalerName]messages.Answered {
			return map[messages.AutoscalerName]messages.Answered{"prod": {Status: status}}
		},
		Bus: func() health.Bus { return health.Bus{Connected: true} },
	})
}

// TestGrowth needs two looks a minute apart.
func TestGrowth(t *testing.T) {
	t.Parallel()

	now := noon()
	status := &messages.Status{EventsPending: 2000}
	p := probe(func() time.Time { return now }, status)
	for _, step := range []struct {
		after   time.Duration
		pending int
		ready   bool
	}{
		{0, 2000, true},
		{30 * time.Second, 3000, true}, // too soon to say
		{30 * time.Second, 4000, false},
		{30 * time.Second, 1500, true},
		{60 * time.Second, 5000, false},
		{60 * time.Second, 900, true},
	} {
		now = now.Add(step.after)
		status.EventsPending = step.pending
		status.ClearML.LastGood, status.EC2.LastGood = now, now
		if _, ready := p.Judge(t.Context()); ready.OK != step.ready {
			t.Errorf("%s, %d pending: ready %t, want %t\n%s", now, step.pending, ready.OK, step.ready, ready.Text())
		}
	}
}

// TestHTTP: status and both forms.
func TestHTTP(t *testing.T) {
	t.Parallel()

	p := probe(noon, &messages.Status{StartedAt: noon(), ClearML: messages.SourceStatus{LastGood: noon()}})
	get := func(handler http.Handler, path, accept string) *httptest.ResponseRecorder {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		request.Header.Set("Accept", accept)
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		return recorder
	}
	if got := get(p.Live(), "/healthz", "*/*"); got.Code != http.StatusOK || !strings.HasSuffix(got.Body.String(), "\nok\n") {
		t.Errorf("alive: %d %s", got.Code, got.Body)
	}
	got := get(p.Ready(), "/readyz", "*/*")
	if got.Code != http.StatusServiceUnavailable || !strings.Contains(got.Body.String(), "WRONG ec2 of prod: no answer yet\n      to do: ") {
		t.Errorf("ready, as text: %d %s", got.Code, got.Body)
	}
	for _, got := range []*httptest.ResponseRecorder{
		get(p.Ready(), "/readyz", "application/json"), get(p.Ready(), "/readyz?format=json", ""),
	} {
		var report health.Report
		if err := json.Unmarshal(got.Body.Bytes(), &report); err != nil || got.Code != http.StatusServiceUnavailable {
			t.Fatalf("ready, as JSON: %d %v %s", got.Code, err, got.Body)
		}
		if report.OK || len(report.Checks) != 8 {
			t.Errorf("got %+v, want eight checks, one of them wrong", report)
		}
	}
}

// TestUnknownFailureIsNoAnswer: only a failure of class held is standing by.
func TestUnknownFailureIsNoAnswer(t *testing.T) {
	t.Parallel()

	for class, alive := range map[messages.FailureClass]bool{messages.ClassHeld: true, messages.ClassNotFound: false} {
		p := health.New(health.Config{
			Now:         noon,
			Autoscalers: func() []health.Expected { return []health.Expected{{Name: "prod"}} },
			Statuses: func(context.Context) map[messages.AutoscalerName]messages.Answered {
				return map[messages.AutoscalerName]messages.Answered{"prod": {Failure: &messages.Failure{Class: class}}}
			},
			Bus: func() health.Bus { return health.Bus{Connected: true} },
		})
		if live, _ := p.Judge(t.Context()); live.OK != alive {
			t.Errorf("%s: alive %t, want %t", class, live.OK, alive)
		}
	}
}
