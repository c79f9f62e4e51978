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

func at(text string) time.Time {
	got, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return got.UTC()
}

func TestObserveReadsRecordedAnswers(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	s.skew = 90 * time.Second
	s.on("queues.get_all", always(recorded(t, "get_all gpu-a")))
	s.on("workers.get_all", always(recorded(t, "busy")))
	got := observe(t, s.client(), "gpu-a", "not-there", "not-there")
	want := messages.ClearMLSnapshot{
		At:        epoch(),
		ServerNow: epoch().Add(90 * time.Second),
		Queues: []messages.QueueState{{
			Name: "gpu-a", ID: "b1b9c7219a7748bca88107d6eb426b6e", Tags: []string{"t1"},
			Entries: []messages.QueueEntry{
				{Task: "3fbf7450e9264ef09e93f551f12a83ae", Added: at("2026-11-23T09:45:06.643Z")},
				{Task: "0816c719bda542198ab1cabc9a035fdf", Added: at("2026-11-23T09:45:06.668Z")},
				{Task: "d1d8d222b69b46aeb22db19b8ff4cf55", Added: at("2026-11-23T09:45:06.680Z")},
			},
		}},
		Missing: []messages.QueueName{"not-there"},
		Workers: []messages.WorkerState{{
			ID: "pfx:m1:g4dn.xlarge:i-0aaa", Task: "3fbf7450e9264ef09e93f551f12a83ae", TaskName: "task-0",
			Registered: at("2026-11-23T09:45:06.746228Z"), LastActive: at("2026-11-23T09:45:06.841651Z"),
			Queues: []messages.QueueName{"gpu-a"},
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("snapshot is\n%+v\nwant\n%+v", got, want)
	}
}

func TestObserveIsTwoCallsWithTheseFilters(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	c := s.client()
	observe(t, c, "warm-up")
	before := len(s.asked(""))
	if _, err := c.Observe(t.Context(), messages.ClearMLQuery{
		Queues: []messages.QueueName{"gpu a", "c++ (big)"}, WorkersPrefix: `p[1]*\?`,
	}); err != nil {
		t.Fatal(err)
	}
	calls := s.asked("")[before:]
	if len(calls) != 2 {
		t.Fatalf("%d calls, want 2", len(calls))
	}
	if got, want := calls[0].raw, `{"last_seen":600,"worker_pattern":"p\\[1\\]\\*\\\\\\?:*"}`; got != want {
		t.Errorf("workers.get_all asked %s, want %s", got, want)
	}
	want := `{"name":"^(gpu a|c\\+\\+ \\(big\\))$","only_fields":["id","name","tags","system_tags","entries","metadata"],` +
		`"scroll_id":null,"size":10000}`
	if got := calls[1].raw; got != want {
		t.Errorf("queues.get_all asked %s, want %s", got, want)
	}
	for _, call := range calls {
		if call.header.Get("User-Agent") != "ebb" || call.header.Get("Content-Type") != "application/json" ||
			!strings.HasPrefix(call.authorization, "Bearer ") {
			t.Errorf("headers of %s are %v", call.path, call.header)
		}
	}
}

func TestObserveRefiltersWhatTheServerGives(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	// A glob of Redis matches other_pfx too; a server may ignore any filter.
	s.on("workers.get_all", always(recorded(t, "all prefixes")))
	s.on("queues.get_all", ok(`{"queues": [
		{"id": "1", "name": "gpu-ab"}, {"id": "2", "name": "GPU-a"}, {"id": "3", "name": "gpu-a"}, {"id": "4", "name": "xgpu-a"},
		{"id": "5", "name": "gpu-a\n"}]}`))
	got := observe(t, s.client(), "gpu-a")
	if len(got.Queues) != 1 || got.Queues[0].ID != "3" || len(got.Queues[0].Entries) != 0 || len(got.Missing) != 0 {
		t.Errorf("queues are %+v, missing %v", got.Queues, got.Missing)
	}
	if len(got.Workers) == 0 {
		t.Error("no worker kept")
	}
	for _, w := range got.Workers {
		if !strings.HasPrefix(string(w.ID), "pfx:") {
			t.Errorf("worker %s kept", w.ID)
		}
	}
}

func TestObserveWorkerRows(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rows string
		want []messages.WorkerState
	}{
		"never reported": {
			`{"id": "pfx:a:t:i-1", "register_time": "2026-11-23T09:45:06.5"}`,
			[]messages.WorkerState{{
				ID: "pfx:a:t:i-1", Registered: at("2026-11-23T09:45:06.5Z"), LastActive: at("2026-11-23T09:45:06.5Z"),
			}},
		},
		"null is absent": {
			`{"id": "pfx:a:t:i-1", "register_time": null, "task": null, "last_report_time": "2026-11-23T11:45:06+02:00"}`,
			[]messages.WorkerState{{ID: "pfx:a:t:i-1", LastActive: at("2026-11-23T09:45:06Z")}},
		},
		"a queue that is no more has only an id": {
			`{"id": "pfx:a:t:i-1", "queues": [{"id": "q1"}]},
			 {"id": "pfx:a:t:i-2", "queues": [{"id": "q2", "name": "gpu"}, {"id": "q1"}]},
			 {"id": "pfx:a:t:i-3", "queues": [{"id": "q2", "name": "gpu"}]}`,
			[]messages.WorkerState{
				{ID: "pfx:a:t:i-1", Forsaken: true},
				{ID: "pfx:a:t:i-2", Queues: []messages.QueueName{"gpu"}, Forsaken: true},
				{ID: "pfx:a:t:i-3", Queues: []messages.QueueName{"gpu"}},
			},
		},
		"two users, the one heard last counts": {
			`{"id": "pfx:a:t:i-1", "user": {"id": "u1"}, "task": {"id": "old"}, "last_activity_time": "2026-11-23T09:40:00+00:00"},
			 {"id": "pfx:a:t:i-2"},
			 {"id": "pfx:a:t:i-1", "user": {"id": "u2"}, "last_activity_time": "2026-11-23T09:45:00+00:00"},
			 {"id": "pfx:a:t:i-1", "user": {"id": "u3"}, "task": {"id": "older"}, "last_activity_time": "2026-11-23T09:30:00+00:00"}`,
			[]messages.WorkerState{{ID: "pfx:a:t:i-1", LastActive: at("2026-11-23T09:45:00Z")}, {ID: "pfx:a:t:i-2"}},
		},
		"two users at once, the busy one counts": {
			`{"id": "pfx:a:t:i-1", "last_activity_time": "2026-11-23T09:45:00+00:00"},
			 {"id": "pfx:a:t:i-1", "task": {"id": "t", "name": "n"}, "last_activity_time": "2026-11-23T09:45:00+00:00"}`,
			[]messages.WorkerState{{ID: "pfx:a:t:i-1", Task: "t", TaskName: "n", LastActive: at("2026-11-23T09:45:00Z")}},
		},
		"prefix alone is not ours": {`{"id": "pfx"}, {"id": "pfxx:a"}, {"id": "other_pfx:a:t:i"}`, []messages.WorkerState{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("workers.get_all", ok(`{"workers": [`+test.rows+`]}`))
			if got := observe(t, s.client(), "q").Workers; !reflect.DeepEqual(got, test.want) {
				t.Errorf("workers are\n%+v\nwant\n%+v", got, test.want)
			}
		})
	}
}

func TestObserveTimes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-11-23T09:45:06.643000+00:00": "2026-11-23T09:45:06.643Z",
		"2026-11-23T09:45:06.643123":       "2026-11-23T09:45:06.643123Z",
		"2026-11-23T09:45:06":              "2026-11-23T09:45:06Z",
		"2026-11-23T09:45:06.6Z":           "2026-11-23T09:45:06.6Z",
		"2026-11-23T09:45:06.643+0530":     "2026-11-23T04:15:06.643Z",
		"2026-11-23 09:45:06.643":          "2026-11-23T09:45:06.643Z",
		"2026-11-23T10:45:06.643+01:00":    "2026-11-23T09:45:06.643Z",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("queues.get_all", ok(`{"queues": [{"id": "1", "name": "q", "entries": [{"task": "t", "added": "`+text+`"}]}]}`))
			if got := observe(t, s.client(), "q").Queues[0].Entries[0].Added; !got.Equal(at(want)) || got.Location() != time.UTC {
				t.Errorf("time is %s, want %s", got, want)
			}
		})
	}
}

func TestServerNowWithoutDateIsOurs(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	s.skew, s.noDate = time.Hour, true
	if got := observe(t, s.client(), "q"); !got.ServerNow.Equal(epoch()) {
		t.Errorf("ServerNow is %s, want %s", got.ServerNow, epoch())
	}
}

func TestObserveRefusesBadQuestions(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	c := s.client()
	for _, q := range []messages.ClearMLQuery{
		{WorkersPrefix: ""},
		{WorkersPrefix: "a\xff"},
		{WorkersPrefix: "a", Queues: []messages.QueueName{""}},
		{WorkersPrefix: "a", Queues: []messages.QueueName{"nul\x00"}},
		{WorkersPrefix: "a", Queues: []messages.QueueName{"bad\xff"}},
	} {
		_, err := c.Observe(t.Context(), q)
		wantClass(t, err, messages.ClassInvalid, "bad_request")
	}
	if n := len(s.asked("")); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

// shelves serves n queues q-00000… as the server does: filtered by name,
// scrolled, and clipped to limit when that is set.
type shelves struct {
	names []string
	limit int
	at    map[string]int
}

func (c *shelves) serve(_ int, a asked) answer {
	pattern := regexp.MustCompile(fmt.Sprint(a.body["name"]))
	if a.body["name"] == nil {
		pattern = regexp.MustCompile("")
	}
	size := int(a.body["size"].(float64))
	if c.limit > 0 {
		size = min(size, c.limit)
	}
	id, _ := a.body["scroll_id"].(string)
	if id == "" {
		id = "scroll-1"
		c.at = map[string]int{}
	}
	var match []string
	for _, name := range c.names {
		if pattern.MatchString(name) {
			match = append(match, name)
		}
	}
	start := min(c.at[id], len(match))
	end := min(start+size, len(match))
	c.at[id] = end
	rows := make([]map[string]any, 0, end-start)
	for _, name := range match[start:end] {
		rows = append(rows, map[string]any{"id": "id of " + name, "name": name, "entries": []any{}})
	}
	data, err := json.Marshal(map[string]any{"queues": rows, "scroll_id": id})
	if err != nil {
		panic(err)
	}
	return answer{status: 200, body: envelope(string(data))}
}

func numbered(n int) []messages.QueueName {
	names := make([]messages.QueueName, n)
	for i := range names {
		names[i] = messages.QueueName(fmt.Sprintf("q-%05d.(x)", i))
	}
	return names
}

func plainText(names []messages.QueueName) []string {
	var texts []string
	for _, name := range names {
		texts = append(texts, string(name))
	}
	return texts
}

func TestManyQueues(t *testing.T) {
	t.Parallel()
	const ghost = messages.QueueName("ghost")
	for name, test := range map[string]struct {
		exist, watch []messages.QueueName
		limit        int
		calls        int
		filtered     bool
	}{
		"a hundred by name":                      {numbered(2000), numbered(100), 0, 1, true},
		"twelve hundred are too long for that":   {numbered(3000), numbered(1200), 0, 1, false},
		"ten thousand":                           {numbered(10000), numbered(10000), 0, 1, false},
		"more than fit one answer":               {numbered(25000), numbered(25000), 0, 3, false},
		"a server that clips":                    {numbered(2000), numbered(1200), 500, 3, false},
		"clipped, and one is missing":            {numbered(1000), append(numbered(1000), ghost), 500, 3, true},
		"missing among few":                      {numbered(10), append(numbered(10), ghost), 0, 1, true},
		"a hundred and a missing one: looked on": {numbered(100), append(numbered(100), ghost), 0, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			shelf := &shelves{names: plainText(test.exist), limit: test.limit}
			s.on("queues.get_all", shelf.serve)
			got := observe(t, s.client(), test.watch...)
			wantMissing := slices.DeleteFunc(slices.Clone(test.watch), func(n messages.QueueName) bool { return n != ghost })
			if len(got.Queues) != len(test.watch)-len(wantMissing) || !slices.Equal(got.Missing, wantMissing) {
				t.Errorf("%d queues, missing %v", len(got.Queues), got.Missing)
			}
			calls := s.asked("queues.get_all")
			if len(calls) != test.calls {
				t.Errorf("%d calls, want %d", len(calls), test.calls)
			}
			pattern, filtered := calls[0].body["name"].(string)
			hidden, _ := calls[0].body["search_hidden"].(bool)
			if filtered != test.filtered || hidden == filtered || len(pattern) > 16000 {
				t.Errorf("filtered %v by %d bytes, hidden ones %v", filtered, len(pattern), hidden)
			}
		})
	}
}

func TestScrollThatNeverEndsIsAnError(t *testing.T) {
	t.Parallel()
	watch := append(numbered(100), "ghost")
	for name, reply := range map[string]func(n int, a asked) answer{
		"the same again": func(int, asked) answer { return page(0, "s") },
		"ever more":      func(n int, _ asked) answer { return page(n*100, "s") },
		"no way on": func(int, asked) answer {
			rows := make([]string, 500)
			for i := range rows {
				rows[i] = fmt.Sprintf(`{"id": "%d", "name": "other %d"}`, i, i)
			}
			return answer{status: 200, body: envelope(`{"queues": [` + strings.Join(rows, ",") + `]}`)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("queues.get_all", reply)
			got, err := s.client().Observe(t.Context(), query(watch...))
			wantClass(t, err, messages.ClassUnknown, "unexpected_answer")
			if len(got.Queues) != 0 || !got.At.IsZero() {
				t.Errorf("a part was answered: %d queues", len(got.Queues))
			}
		})
	}
}

// page is a hundred queues from the given number on.
func page(start int, scroll string) answer {
	rows := make([]string, 100)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"id": "%d", "name": "other %d"}`, start+i, start+i)
	}
	return answer{status: 200, body: envelope(`{"queues": [` + strings.Join(rows, ",") + `], "scroll_id": "` + scroll + `"}`)}
}

func TestSecondQueueOfANameIsIgnored(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	s.on("queues.get_all", ok(`{"queues": [{"id": "1", "name": "q"}, {"id": "2", "name": "q", "entries": [{"task": "t"}]}]}`))
	if got := observe(t, s.client(), "q", "r"); len(got.Queues) != 1 || got.Queues[0].ID != "1" || len(got.Missing) != 1 {
		t.Errorf("queues are %+v, missing %v", got.Queues, got.Missing)
	}
}

func TestCreateQueues(t *testing.T) {
	t.Parallel()
	dup, short, okay := recorded(t, "dup"), recorded(t, "short name"), recorded(t, "create queue")
	for name, test := range map[string]struct {
		names  []messages.QueueName
		reply  func(n int, a asked) answer
		calls  int
		failed string // part of the error
		class  messages.FailureClass
		code   string
	}{
		"new, once each":      {names: []messages.QueueName{"aaa", "bbb", "aaa"}, reply: always(okay), calls: 2},
		"there already":       {names: []messages.QueueName{"gpu-a"}, reply: always(dup), calls: 1},
		"none":                {calls: 0},
		"lost and sent again": {names: []messages.QueueName{"aaa"}, reply: first(1, answer{status: 503}, always(dup)), calls: 2},
		"short name, others are made": {
			[]messages.QueueName{"ab", "abc"}, first(1, short, always(okay)), 2, `create queue "ab"`, messages.ClassInvalid, "400/800",
		},
		"white space": {
			[]messages.QueueName{" abc", "abc"}, always(okay), 1, "white space", messages.ClassInvalid, "bad_request",
		},
		"not allowed ends it": {
			[]messages.QueueName{"aaa", "bbb"}, always(recorded(t, "forbidden")), 1, `create queue "aaa"`, messages.ClassUnauthorized, "403/20",
		},
		"no id": {
			[]messages.QueueName{"aaa"}, ok(`{}`), 1, "data.id", messages.ClassUnknown, "unexpected_answer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			if test.reply != nil {
				s.on("queues.create", test.reply)
			}
			err := s.client().CreateQueues(t.Context(), test.names)
			switch {
			case test.failed == "" && err != nil:
				t.Fatal(err)
			case test.failed != "":
				wantClass(t, err, test.class, test.code)
				if !strings.Contains(err.Error(), test.failed) {
					t.Errorf("error %q does not say %q", err, test.failed)
				}
			}
			if got := len(s.asked("queues.create")); got != test.calls {
				t.Errorf("%d calls, want %d", got, test.calls)
			}
		})
	}
}
