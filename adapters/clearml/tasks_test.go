package clearml_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/messages"
)

// board is a server's list of tasks, ordered by their last change of status.
// between is called after each page was served.
type board struct {
	rows    []map[string]any
	limit   int
	between func(b *board, call int)
}

func unfinishedRow(id, status string) map[string]any {
	return map[string]any{"id": id, "status": status, "status_changed": "2026-11-23T09:00:00+00:00"}
}

func (b *board) serve(n int, a asked) answer {
	size := int(a.body["page_size"].(float64))
	if b.limit > 0 {
		size = min(size, b.limit)
	}
	start := min(int(a.body["page"].(float64))*size, len(b.rows))
	data, err := json.Marshal(map[string]any{"tasks": slices.Clone(b.rows[start:min(start+size, len(b.rows))])})
	if err != nil {
		panic(err)
	}
	if b.between != nil {
		b.between(b, n)
	}
	return answer{status: 200, body: envelope(strings.Replace(string(data), "null", "[]", 1))}
}

func TestUnfinishedReadsAnAnswer(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	s.on("tasks.get_all", ok(`{"tasks": [
		{"id": "t1", "name": "n é", "status": "queued", "status_reason": "why", "execution": {"queue": "q1"},
		 "last_update": "2026-11-23T09:45:06.643000+00:00", "status_changed": "2026-11-23T09:45:06.643000+00:00"},
		{"id": "t2", "status": "in_progress", "last_worker": "pfx:a:t:i-1", "execution": {}, "last_update": "2026-11-23T09:46:00"},
		{"id": "t3", "status": "completed"}, {"id": "t4", "status": "in_progress", "last_worker": null, "execution": null}]}`))
	got, err := s.client().Unfinished(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []messages.TaskState{
		{ID: "t1", Name: "n é", Status: messages.TaskQueued, StatusReason: "why", QueueID: "q1", LastUpdate: at("2026-11-23T09:45:06.643Z")},
		{ID: "t2", Status: messages.TaskInProgress, LastWorker: w1, LastUpdate: at("2026-11-23T09:46:00Z")},
		{ID: "t4", Status: messages.TaskInProgress},
	}
	if !slices.Equal(got, want) {
		t.Errorf("tasks are\n%+v\nwant\n%+v", got, want)
	}
	wantWrites(t, s, []string{`tasks.get_all {"status":["queued","in_progress"],` +
		`"only_fields":["id","name","status","status_reason","status_message","execution.queue","last_worker","last_update","status_changed"],` +
		`"search_hidden":true,"order_by":["status_changed","id"],"page":0,"page_size":500}`})
}

func TestUnfinishedOfManyTasks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ count, limit, calls int }{
		{0, 0, 1},
		{99, 0, 1},
		{100, 0, 3}, // it may be a limit of the server
		{501, 0, 3},
		{1650, 0, 7},
		{1700, 100, 35},
	} {
		t.Run(fmt.Sprintf("%d by %d", test.count, test.limit), func(t *testing.T) {
			t.Parallel()
			b := &board{limit: test.limit}
			for i := range test.count {
				b.rows = append(b.rows, unfinishedRow(fmt.Sprintf("t%04d", i), "queued"))
			}
			s := newStub(t)
			s.on("tasks.get_all", b.serve)
			got, err := s.client().Unfinished(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if ids := idsOf(got); len(got) != test.count || len(ids) != test.count {
				t.Errorf("%d tasks, %d of them different, want %d", len(got), len(ids), test.count)
			}
			if calls := len(s.asked("tasks.get_all")); calls != test.calls {
				t.Errorf("%d calls, want %d", calls, test.calls)
			}
		})
	}
}

func idsOf(states []messages.TaskState) map[messages.TaskID]bool {
	ids := map[messages.TaskID]bool{}
	for _, state := range states {
		ids[state.ID] = true
	}
	return ids
}

// TestUnfinishedWhileTasksComeAndGo: whatever stays as it is the whole time is
// in the answer, however much leaves the list, changes or joins it.
func TestUnfinishedWhileTasksComeAndGo(t *testing.T) {
	t.Parallel()
	b := &board{}
	for i := range 2600 {
		b.rows = append(b.rows, unfinishedRow(fmt.Sprintf("t%04d", i), "queued"))
	}
	stay := func(row map[string]any) bool { return strings.HasSuffix(row["id"].(string), "7") }
	b.between = func(b *board, call int) {
		seen := 0
		b.rows = slices.DeleteFunc(b.rows, func(row map[string]any) bool {
			seen++
			return !stay(row) && seen%5 == call%5
		})
		// One changes its status, and one is new: both are last now.
		b.rows = append(b.rows, unfinishedRow(fmt.Sprintf("n%d", call), "queued"))
	}
	s := newStub(t)
	s.on("tasks.get_all", b.serve)
	got, err := s.client().Unfinished(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := idsOf(got)
	for i := 7; i < 2600; i += 10 {
		if id := messages.TaskID(fmt.Sprintf("t%04d", i)); !ids[id] {
			t.Errorf("%s is missing", id)
		}
	}
}

func TestUnfinishedIsWholeOrAnError(t *testing.T) {
	t.Parallel()
	page := make([]string, 500)
	for i := range page {
		page[i] = fmt.Sprintf(`{"id": "t%d", "status": "queued"}`, i)
	}
	full := `{"tasks": [` + strings.Join(page, ",") + `]}`
	for name, test := range map[string]struct {
		reply func(int, asked) answer
		class messages.FailureClass
		code  string
	}{
		"never ends":     {ok(full), messages.ClassUnknown, "answer_too_large"},
		"second is lost": {first(1, answer{status: 200, body: envelope(full)}, always(answer{status: 500})), messages.ClassTransient, "500"},
		"last is lost": {func(n int, _ asked) answer {
			switch n {
			case 1:
				return answer{status: 200, body: envelope(full)}
			case 2:
				return answer{status: 200, body: envelope(`{"tasks": []}`)}
			}
			return answer{status: 502}
		}, messages.ClassTransient, "502"},
		"no list":        {ok(`{}`), messages.ClassUnknown, "unexpected_answer"},
		"null":           {ok(`{"tasks": null}`), messages.ClassUnknown, "unexpected_answer"},
		"no id":          {ok(`{"tasks": [{"status": "queued"}]}`), messages.ClassUnknown, "unexpected_answer"},
		"no status":      {ok(`{"tasks": [{"id": "t"}]}`), messages.ClassUnknown, "unexpected_answer"},
		"a bad time":     {ok(`{"tasks": [{"id": "t", "status": "queued", "last_update": "now"}]}`), messages.ClassUnknown, "unexpected_answer"},
		"an odd queue":   {ok(`{"tasks": [{"id": "t", "status": "queued", "execution": {"queue": {"id": "q"}}}]}`), messages.ClassUnknown, "unexpected_answer"},
		"a web page":     {always(answer{status: 200, body: "<html>"}), messages.ClassUnknown, "unexpected_answer"},
		"not for us":     {always(answer{status: 403, body: failure(403, 20, "no")}), messages.ClassUnauthorized, "403/20"},
		"too many calls": {always(answer{status: 429}), messages.ClassThrottled, "429"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("tasks.get_all", test.reply)
			got, err := s.client().Unfinished(t.Context())
			wantClass(t, err, test.class, test.code)
			if got != nil {
				t.Errorf("a part was answered: %d tasks", len(got))
			}
		})
	}
}

// ward is a server with one task. enqueue answers a call of tasks.enqueue, and
// may change the task before.
type ward struct {
	task    map[string]any
	enqueue func(w *ward, n int, a asked) answer
}

func (w *ward) look(int, asked) answer {
	data, err := json.Marshal(map[string]any{"tasks": []any{w.task}})
	if err != nil {
		panic(err)
	}
	if w.task == nil {
		data = []byte(`{"tasks": []}`)
	}
	return answer{status: 200, body: envelope(string(data))}
}

// put does what the server does with a good tasks.enqueue.
func (w *ward) put(a asked) answer {
	w.change("queued", fmt.Sprint(a.body["status_reason"]), "10:00:00.000Z")
	w.task["execution"] = map[string]any{"queue": a.body["queue"]}
	return answer{status: 200, body: envelope(`{"queued": 1, "updated": 1, "fields": {}}`)}
}

func (w *ward) change(status, reason, when string) {
	w.task["status"], w.task["status_reason"] = status, reason
	w.task["status_changed"], w.task["last_update"] = "2026-11-23T"+when, "2026-11-23T"+when
}

func newWard(t *testing.T, status string, enqueue func(w *ward, n int, a asked) answer) (*ward, *stub) {
	t.Helper()
	w := &ward{task: map[string]any{"id": "t1", "last_worker": string(w1), "execution": map[string]any{"queue": "q1"}}, enqueue: enqueue}
	w.change(status, "old", "09:30:00.000Z")
	s := newStub(t)
	s.on("tasks.get_all", w.look)
	s.on("tasks.enqueue", func(n int, a asked) answer { return w.enqueue(w, n, a) })
	return w, s
}

func work(w *ward, _ int, a asked) answer { return w.put(a) }

// unseen works, but the caller does not learn it the first time; then may happen
// what happens.
func unseen(then func(w *ward)) func(*ward, int, asked) answer {
	return func(w *ward, n int, a asked) answer {
		if n > 1 {
			return w.put(a)
		}
		w.put(a)
		then(w)
		return answer{status: 504, body: "<html>"}
	}
}

func lostRequest(status messages.TaskStatus) messages.Requeue {
	return messages.Requeue{Task: "t1", QueueID: "q1", Status: status, LastWorker: w1, Reason: "instance i-1 was lost"}
}

func TestRequeue(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status  string
		ask     messages.TaskStatus
		change  func(w *ward) // before the call
		enqueue func(*ward, int, asked) answer
		done    bool
		found   messages.TaskStatus
		writes  int
	}{
		"queued in no queue":  {"queued", "queued", nil, work, true, "queued", 1},
		"running on the dead": {"in_progress", "in_progress", nil, work, true, "in_progress", 1},
		"aborted":             {"stopped", "in_progress", nil, work, false, "stopped", 0},
		"started meanwhile":   {"in_progress", "queued", nil, work, false, "in_progress", 0},
		"runs elsewhere":      {"in_progress", "in_progress", func(w *ward) { w.task["last_worker"] = string(w2) }, work, false, "in_progress", 0},
		"gone":                {"queued", "queued", func(w *ward) { w.task = nil }, work, false, "", 0},
		"is back already, by us": {"queued", "in_progress", func(w *ward) {
			w.change("queued", "instance i-1 was lost", "09:31:00.000Z")
		}, work, true, "queued", 0},
		"is back already, by another": {"queued", "in_progress", nil, work, false, "queued", 0},
		"in the queue after all": {"queued", "queued", nil, func(*ward, int, asked) answer {
			return answer{400, failure(400, 706, "already queued"), nil}
		}, true, "queued", 1},
		"the answer is lost":         {"in_progress", "in_progress", nil, unseen(func(*ward) {}), true, "queued", 1},
		"the answer is lost, orphan": {"queued", "queued", nil, unseen(func(*ward) {}), true, "queued", 1},
		"the request is lost": {"in_progress", "in_progress", nil, func(w *ward, n int, a asked) answer {
			if n < 3 {
				return answer{status: 502}
			}
			return w.put(a)
		}, true, "in_progress", 3},
		"the answer is lost, and it runs again": {"in_progress", "in_progress", nil, unseen(func(w *ward) {
			// Another worker took it, and has not reported yet.
			w.change("in_progress", "pulled by agent", "10:00:01.000Z")
		}), false, "in_progress", 1},
		"the answer is lost, and it was aborted": {"queued", "queued", nil, unseen(func(w *ward) {
			w.change("stopped", "no", "10:00:01.000Z")
		}), false, "stopped", 1},
		"aborted between look and write": {"queued", "queued", nil, func(w *ward, _ int, _ asked) answer {
			w.change("in_progress", "pulled by agent", "10:00:01.000Z")
			return answer{400, failure(400, 110, "invalid task status"), nil}
		}, false, "in_progress", 1},
		"a lost race": {"in_progress", "in_progress", nil, func(w *ward, _ int, _ asked) answer {
			w.change("completed", "", "10:00:01.000Z")
			return answer{400, failure(400, 121, "failed changing task status"), nil}
		}, false, "completed", 1},
		"deleted between look and write": {"queued", "queued", nil, func(w *ward, _ int, _ asked) answer {
			w.task = nil
			return answer{400, failure(400, 101, "invalid task id"), nil}
		}, false, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s := newWard(t, test.status, test.enqueue)
			if test.change != nil {
				test.change(w)
			}
			got, err := s.client().Requeue(t.Context(), lostRequest(test.ask))
			if err != nil {
				t.Fatal(err)
			}
			if got.Done != test.done || got.Found.Status != test.found {
				t.Errorf("outcome is %+v, want done %v, found %q", got, test.done, test.found)
			}
			calls := s.asked("tasks.enqueue")
			if len(calls) != test.writes {
				t.Fatalf("%d writes, want %d", len(calls), test.writes)
			}
			want := `{"task":"t1","queue":"q1","status_reason":"instance i-1 was lost"}`
			if test.ask == messages.TaskInProgress {
				want = `{"task":"t1","queue":"q1","force":true,"status_reason":"instance i-1 was lost"}`
			}
			for _, call := range calls {
				if call.raw != want {
					t.Errorf("wrote %s, want %s", call.raw, want)
				}
			}
		})
	}
}

func TestRequeueFound(t *testing.T) {
	t.Parallel()
	w, s := newWard(t, "in_progress", work)
	w.task["name"] = "train"
	got, err := s.client().Requeue(t.Context(), lostRequest(messages.TaskInProgress))
	want := messages.TaskState{
		ID: "t1", Name: "train", Status: messages.TaskInProgress, StatusReason: "old", QueueID: "q1", LastWorker: w1,
		LastUpdate: at("2026-11-23T09:30:00Z"),
	}
	if err != nil || !got.Done || got.Found != want {
		t.Errorf("outcome is %+v, %v", got, err)
	}
}

func TestRequeueFailures(t *testing.T) {
	t.Parallel()
	answers := func(a answer) func(*ward, int, asked) answer {
		return func(*ward, int, asked) answer { return a }
	}
	for name, test := range map[string]struct {
		change  func(*messages.Requeue)
		enqueue func(*ward, int, asked) answer
		class   messages.FailureClass
		code    string
		writes  int
	}{
		"away":                {nil, answers(answer{status: 503}), messages.ClassTransient, "503", 3},
		"throttled":           {nil, answers(answer{status: 429}), messages.ClassThrottled, "429", 3},
		"throttled for long":  {nil, answers(answer{status: 429, header: map[string]string{"Retry-After": "3600"}}), messages.ClassThrottled, "429", 1},
		"not allowed":         {nil, answers(answer{403, failure(403, 21, "no"), nil}), messages.ClassUnauthorized, "403/21", 1},
		"refused for nothing": {nil, answers(answer{400, failure(400, 110, "invalid task status"), nil}), messages.ClassInvalid, "400/110", 3},
		"not queued":          {nil, answers(answer{200, envelope(`{"queued": 0}`), nil}), messages.ClassUnknown, "unexpected_answer", 1},
		"says nothing":        {nil, answers(answer{200, envelope(`{}`), nil}), messages.ClassUnknown, "unexpected_answer", 1},
		"no task":             {func(r *messages.Requeue) { r.Task = "" }, nil, messages.ClassInvalid, "bad_request", 0},
		"no queue":            {func(r *messages.Requeue) { r.QueueID = "" }, nil, messages.ClassInvalid, "bad_request", 0},
		"of a stopped one":    {func(r *messages.Requeue) { r.Status = messages.TaskStopped }, nil, messages.ClassInvalid, "bad_request", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s := newWard(t, "in_progress", test.enqueue)
			request := lostRequest(messages.TaskInProgress)
			if test.change != nil {
				test.change(&request)
			}
			got, err := s.client().Requeue(t.Context(), request)
			wantClass(t, err, test.class, test.code)
			if got != (messages.RequeueOutcome{}) || len(s.asked("tasks.enqueue")) != test.writes {
				t.Errorf("outcome %+v after %d writes, want %d", got, len(s.asked("tasks.enqueue")), test.writes)
			}
		})
	}
}

func TestRequeueWithoutQueue(t *testing.T) {
	t.Parallel()
	_, s := newWard(t, "in_progress", func(w *ward, _ int, _ asked) answer {
		w.task["status_reason"] = "failed enqueueing"
		return answer{400, failure(400, 701, "invalid queue id"), nil}
	})
	got, err := s.client().Requeue(t.Context(), lostRequest(messages.TaskInProgress))
	if err != nil || !got.NoQueue || got.Done || got.Found.StatusReason != "failed enqueueing" || len(s.asked("tasks.enqueue")) != 1 {
		t.Errorf("outcome %+v after %d writes, error %v", got, len(s.asked("tasks.enqueue")), err)
	}
}

func TestRequeueThatCannotLookWritesNothing(t *testing.T) {
	t.Parallel()
	_, s := newWard(t, "in_progress", work)
	s.on("tasks.get_all", always(answer{status: 500}))
	_, err := s.client().Requeue(t.Context(), lostRequest(messages.TaskInProgress))
	wantClass(t, err, messages.ClassTransient, "500")
	if len(s.asked("tasks.enqueue")) != 0 {
		t.Error("written without a look")
	}
}

// TestRequeueSaysWhyItFailed: when the look after a failed write fails too, the
// write's failure is the one that counts.
func TestRequeueSaysWhyItFailed(t *testing.T) {
	t.Parallel()
	w, s := newWard(t, "in_progress", func(*ward, int, asked) answer { return answer{status: 429} })
	s.on("tasks.get_all", func(n int, a asked) answer {
		if n > 1 {
			return answer{status: 403}
		}
		return w.look(n, a)
	})
	_, err := s.client().Requeue(t.Context(), lostRequest(messages.TaskInProgress))
	wantClass(t, err, messages.ClassThrottled, "429")
	if len(s.asked("tasks.enqueue")) != 1 {
		t.Errorf("%d writes", len(s.asked("tasks.enqueue")))
	}
}
