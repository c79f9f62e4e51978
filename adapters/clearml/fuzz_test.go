package clearml_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/messages"
)

// canned is a client whose server always gives these answers.
func canned(tb testing.TB, workers, queues []byte) *clearml.Client {
	tb.Helper()
	return mustNew(tb, clearml.Config{
		APIServer: "http://server", AccessKey: testKey, SecretKey: testSecret, Clock: newClock(),
		Rand: rand.New(rand.NewPCG(1, 2)), Log: zerolog.Nop(), MaxAttempts: 1,
		HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			switch action := strings.TrimPrefix(r.URL.Path, "/v2.30/"); action {
			case "auth.login":
				return respond(200, []byte(envelope(`{"token": "opaque"}`))), nil
			case "workers.get_all":
				return respond(200, workers), nil
			default:
				return respond(200, queues), nil
			}
		})},
	})
}

// FuzzSnapshot gives arbitrary answers of status 200: none may bring the client
// down, and only a real list may be taken for one.
func FuzzSnapshot(f *testing.F) {
	for _, label := range []string{"busy", "all prefixes", "idle never reported", "no workers"} {
		f.Add([]byte(recorded(f, label).body), []byte(recorded(f, "get_all gpu-a").body))
	}
	for _, text := range []string{"", "{}", "null", "[]", "<html>", envelope("{}"), envelope(`{"workers": null}`), failure(500, 0, "x")} {
		f.Add([]byte(text), []byte(envelope(`{"queues": []}`)))
		f.Add([]byte(envelope(`{"workers": []}`)), []byte(text))
	}
	f.Add([]byte(envelope(`{"workers": []}`)), []byte(recorded(f, "queue metadata").body))
	f.Fuzz(func(t *testing.T, workers, queues []byte) {
		watched := []messages.QueueName{"gpu-a", "other"}
		got, err := canned(t, workers, queues).Observe(t.Context(), query(watched...))
		if err != nil {
			if messages.FailureOf(err).Class == "" || !got.At.IsZero() || got.Queues != nil || got.Workers != nil || got.Missing != nil {
				t.Fatalf("error %v with a snapshot %+v", err, got)
			}
			return
		}
		if list(t, workers, "workers") < len(got.Workers) || list(t, queues, "queues") < len(got.Queues) {
			t.Fatalf("more than was said: %+v", got)
		}
		if len(got.Queues)+len(got.Missing) != len(watched) {
			t.Fatalf("%d queues and %d missing of %d", len(got.Queues), len(got.Missing), len(watched))
		}
		for _, queue := range got.Queues {
			for _, entry := range queue.Entries {
				if entry.Task == "" {
					t.Fatalf("entry without a task in %+v", queue)
				}
			}
		}
		for _, worker := range got.Workers {
			if !strings.HasPrefix(string(worker.ID), prefix+":") {
				t.Fatalf("worker %q is not ours", worker.ID)
			}
		}
	})
}

// list reads an answer that was taken for good another way: it must be an
// envelope that says 200 and holds the list.
func list(t *testing.T, body []byte, name string) int {
	t.Helper()
	var loose map[string]any
	if err := json.Unmarshal(body, &loose); err != nil {
		t.Fatalf("taken for JSON: %q", body)
	}
	about, _ := fold(loose, "meta").(map[string]any)
	data, _ := fold(loose, "data").(map[string]any)
	rows, isList := fold(data, name).([]any)
	if fmt.Sprint(fold(about, "result_code")) != "200" || !isList {
		t.Fatalf("taken for an answer with %s: %q", name, body)
	}
	return len(rows)
}

// fold finds a member as encoding/json does, whatever the case of its name. Of
// several the test cannot know the last, so it takes any that is not nothing.
func fold(object map[string]any, name string) any {
	for key, value := range object {
		if strings.EqualFold(key, name) && value != nil {
			return value
		}
	}
	return nil
}

func BenchmarkObserve(b *testing.B) {
	const queues, workers = 1000, 10000
	var q, w strings.Builder
	names := make([]messages.QueueName, queues)
	for i := range queues {
		names[i] = messages.QueueName(fmt.Sprintf("queue-%04d", i))
		fmt.Fprintf(&q, `,{"id":"%032x","name":%q,"tags":["t"],"system_tags":[],"metadata":{},"entries":[`, i, names[i])
		for n := range 5 {
			if n > 0 {
				q.WriteByte(',')
			}
			fmt.Fprintf(&q, `{"task":"%032x","added":"2026-11-23T09:45:06.643000+00:00"}`, i*5+n)
		}
		q.WriteString("]}")
	}
	one := strings.TrimSuffix(strings.SplitAfterN(recorded(b, "busy").body, `"workers": [`, 2)[1], "]}}")
	for i := range workers {
		w.WriteString("," + strings.ReplaceAll(one, "pfx:m1:g4dn.xlarge:i-0aaa", fmt.Sprintf("pfx:m1:g4dn.xlarge:i-%017x", i)))
	}
	workersBody := []byte(envelope(`{"workers":[` + w.String()[1:] + `]}`))
	queuesBody := []byte(envelope(`{"queues":[` + q.String()[1:] + `]}`))
	c := canned(b, workersBody, queuesBody)
	b.SetBytes(int64(len(workersBody) + len(queuesBody)))
	b.ReportAllocs()
	for b.Loop() {
		got, err := c.Observe(b.Context(), query(names...))
		if err != nil || len(got.Queues) != queues || len(got.Workers) != workers {
			b.Fatalf("%d queues, %d workers, %v", len(got.Queues), len(got.Workers), err)
		}
	}
}
