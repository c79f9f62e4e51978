package clearml_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/messages"
)

const (
	w1 = messages.WorkerID("pfx:a:t:i-1")
	w2 = messages.WorkerID("pfx:a:t:i-2")
)

// tasks serves rows as the server does, newest change first, by pages of 500.
// Filters that it is told to ignore it ignores.
type tasks struct {
	rows   []map[string]any
	limit  int
	ignore bool
}

func (ts *tasks) serve(_ int, a asked) answer {
	status, _ := a.body["status"].([]any)
	changed, _ := a.body["status_changed"].([]any)
	pattern := regexp.MustCompile(a.body["_any_"].(map[string]any)["pattern"].(string))
	var match []map[string]any
	for _, row := range ts.rows {
		worker, _ := row["last_worker"].(string)
		when, _ := row["status_changed"].(string)
		hit := (status == nil || slices.Contains(status, row["status"])) && pattern.MatchString(worker) &&
			(changed == nil || ">="+when >= changed[0].(string))
		if hit || ts.ignore {
			match = append(match, row)
		}
	}
	slices.SortStableFunc(match, func(x, y map[string]any) int {
		return strings.Compare(fmt.Sprint(y["status_changed"]), fmt.Sprint(x["status_changed"]))
	})
	size := int(a.body["page_size"].(float64))
	if ts.limit > 0 {
		size = min(size, ts.limit)
	}
	start := min(int(a.body["page"].(float64))*size, len(match))
	data, err := json.Marshal(map[string]any{"tasks": slices.Clone(match[start:min(start+size, len(match))])})
	if err != nil {
		panic(err)
	}
	return answer{status: 200, body: envelope(strings.Replace(string(data), "null", "[]", 1))}
}

func row(id, status string, worker messages.WorkerID, changed, completed string) map[string]any {
	r := map[string]any{"id": id, "status": status, "status_changed": "2026-11-23T" + changed}
	if worker != "" {
		r["last_worker"] = string(worker)
	}
	if completed != "" {
		r["completed"] = "2026-11-23T" + completed
	}
	return r
}

func TestActivity(t *testing.T) {
	t.Parallel()
	since := at("2026-11-23T09:00:00Z")
	for name, test := range map[string]struct {
		rows []map[string]any
		want messages.WorkerActivity
	}{
		"nothing":   {nil, messages.WorkerActivity{}},
		"running":   {[]map[string]any{row("t", "in_progress", w1, "08:00:00.000Z", "")}, messages.WorkerActivity{Running: "t", Beat: at("2026-11-23T08:00:00Z")}},
		"completed": {[]map[string]any{row("t", "completed", w1, "09:30:00.000Z", "09:29:59.999Z")}, messages.WorkerActivity{LastEnd: at("2026-11-23T09:29:59.999Z")}},
		"published later": {
			[]map[string]any{row("t", "published", w1, "09:50:00.000Z", "09:20:00.000Z")},
			messages.WorkerActivity{LastEnd: at("2026-11-23T09:20:00Z")},
		},
		"stopped without completed": {
			[]map[string]any{row("t", "stopped", w1, "09:30:00.000Z", "")},
			messages.WorkerActivity{LastEnd: at("2026-11-23T09:30:00Z")},
		},
		"failed in a second run": {
			[]map[string]any{row("t", "failed", w1, "09:30:00.000Z", "09:10:00.000Z")},
			messages.WorkerActivity{LastEnd: at("2026-11-23T09:30:00Z")},
		},
		"runs again, its first end is another's": {
			[]map[string]any{row("t", "in_progress", w1, "09:30:00.000Z", "09:10:00.000Z")}, messages.WorkerActivity{Running: "t", Beat: at("2026-11-23T09:30:00Z")},
		},
		"ended and waits again": {
			[]map[string]any{row("t", "queued", w1, "09:30:00.000Z", "09:10:00.000Z")},
			messages.WorkerActivity{LastEnd: at("2026-11-23T09:10:00Z")},
		},
		"waits and never ended": {[]map[string]any{row("t", "queued", w1, "09:30:00.000Z", "")}, messages.WorkerActivity{}},
		"ended before":          {[]map[string]any{row("t", "published", w1, "09:30:00.000Z", "08:59:59.999Z")}, messages.WorkerActivity{}},
		"the newest counts": {
			[]map[string]any{
				row("t1", "completed", w1, "09:10:00.000Z", "09:10:00.000Z"), row("t2", "completed", w1, "09:40:00.000Z", "09:40:00.000Z"),
				row("t3", "stopped", w1, "09:20:00.000Z", ""), row("t4", "in_progress", w1, "09:41:00.000Z", ""),
				row("t5", "in_progress", w1, "09:45:00.000Z", ""), row("t6", "in_progress", w1, "09:43:00.000Z", ""),
			},
			messages.WorkerActivity{Running: "t5", Beat: at("2026-11-23T09:45:00Z"), LastEnd: at("2026-11-23T09:40:00Z")},
		},
		"others' and nobody's": {
			[]map[string]any{
				row("t1", "in_progress", "PFX:A:T:I-1", "09:10:00.000Z", ""), row("t2", "completed", w1+"0", "09:40:00.000Z", "09:40:00.000Z"),
				row("t3", "in_progress", "", "09:20:00.000Z", ""), row("t4", "in_progress", w1[:len(w1)-3]+"xi-1", "09:41:00.000Z", ""),
			},
			messages.WorkerActivity{},
		},
		"launched under another prefix and name": {
			[]map[string]any{row("t1", "in_progress", "old:b:u:i-1", "09:10:00.000Z", "")},
			messages.WorkerActivity{Running: "t1", Beat: at("2026-11-23T09:10:00Z")},
		},
	} {
		for _, ignore := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, filters ignored %v", name, ignore), func(t *testing.T) {
				t.Parallel()
				s := newStub(t)
				s.on("tasks.get_all", (&tasks{rows: test.rows, ignore: ignore}).serve)
				got, err := s.client().Activity(t.Context(), since, []messages.WorkerID{w2, w1, w1})
				if err != nil {
					t.Fatal(err)
				}
				active := test.want // a copy: the two parallel runs of a row share test
				active.Worker = w1
				want := []messages.WorkerActivity{{Worker: w2}, active, active}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("activity is %+v, want %+v", got, want)
				}
			})
		}
	}
}

func TestActivityAsks(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	_, err := s.client().Activity(t.Context(), at("2026-11-23T11:00:00.123987+02:00"), []messages.WorkerID{"p(1):a:t:i-1", w2})
	if err != nil {
		t.Fatal(err)
	}
	const rest = `"_any_":{"fields":["last_worker"],"pattern":"(^|:)(i-1|i-2)$"},` +
		`"only_fields":["id","status","last_worker","completed","status_changed","last_update"],` +
		`"search_hidden":true,"order_by":["-status_changed"],"page":0,"page_size":500}`
	want := []string{`{"status":["in_progress"],` + rest, `{"status_changed":["\u003e=2026-11-23T09:00:00.123Z"],` + rest}
	calls := s.asked("tasks.get_all")
	if len(calls) != 2 || calls[0].raw != want[0] || calls[1].raw != want[1] {
		t.Errorf("asked\n%v\nwant\n%v", calls, want)
	}
}

func TestActivityOfNobodyAsksNothing(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	c := s.client()
	got, err := c.Activity(t.Context(), time.Time{}, nil)
	if err != nil || len(got) != 0 || len(s.asked("")) != 0 {
		t.Errorf("activity is %v, %v", got, err)
	}
	_, err = c.Activity(t.Context(), time.Time{}, []messages.WorkerID{w1, ""})
	wantClass(t, err, messages.ClassInvalid, "bad_request")
	if len(s.asked("")) != 0 {
		t.Error("a bad question was asked")
	}
}

func TestActivityOfManyWorkersAndTasks(t *testing.T) {
	t.Parallel()
	ask := make([]messages.WorkerID, 450)
	var rows []map[string]any
	want := make([]messages.WorkerActivity, len(ask))
	for i := range ask {
		ask[i] = messages.WorkerID(fmt.Sprintf("pfx:a:t:i-%03d", i))
		want[i].Worker = ask[i]
		for n := range 5 {
			end := fmt.Sprintf("09:%02d:00.000Z", 10+n)
			rows = append(rows, row(fmt.Sprintf("t%d-%d", i, n), "completed", ask[i], end, end))
			want[i].LastEnd = at("2026-11-23T" + end)
		}
		if i%2 == 0 {
			want[i].Running, want[i].Beat = messages.TaskID(fmt.Sprintf("r%d", i)), at("2026-11-23T08:00:00Z")
			rows = append(rows, row(string(want[i].Running), "in_progress", ask[i], "08:00:00.000Z", ""))
		}
	}
	for _, limit := range []int{0, 100} { // a server whose largest page is 100
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("tasks.get_all", (&tasks{rows: rows, limit: limit}).serve)
			got, err := s.client().Activity(t.Context(), at("2026-11-23T09:00:00Z"), ask)
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("activity %d is %+v, want %+v", i, got[i], want[i])
				}
			}
		})
	}
}

func TestActivityThatNeverEndsIsAnError(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	rows := make([]string, 500)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"id": "t%d", "status": "in_progress"}`, i)
	}
	s.on("tasks.get_all", ok(`{"tasks": [`+strings.Join(rows, ",")+`]}`))
	_, err := s.client().Activity(t.Context(), at("2026-11-23T09:00:00Z"), []messages.WorkerID{w1})
	wantClass(t, err, messages.ClassUnknown, "answer_too_large")
}

func TestActivityMalformed(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{}`, `{"tasks": null}`, `{"tasks": "none"}`, `{"tasks": [{"status": "completed"}]}`, `{"tasks": [{"id": "t"}]}`,
		`{"tasks": [{"id": "t", "status": "completed", "completed": 12}]}`,
	} {
		s := newStub(t)
		s.on("tasks.get_all", ok(data))
		_, err := s.client().Activity(t.Context(), at("2026-11-23T09:00:00Z"), []messages.WorkerID{w1})
		wantClass(t, err, messages.ClassUnknown, "unexpected_answer")
	}
}
