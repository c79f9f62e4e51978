package clearml_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/messages"
)

func TestObserveReadsMetadataAndTags(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer answer
		queue  messages.QueueName
		want   map[string]string
	}{
		"recorded": {recorded(t, "queue metadata"), "drain-lab-1795433925", map[string]string{
			"ebb.drain.i-0abc": "epoch=7;at=2026-11-23T11:40:00Z", "ebb.ack.i-0abc": "epoch=7;drained",
		}},
		"odd keys and values": {queueWith(`{"$a b/c.d": {"key": "x", "type": "t", "value": "é\n"}, "e": {"value": ""}}`), "q", map[string]string{
			"$a b/c.d": "é\n", "e": "",
		}},
		"what is no text is another's": {queueWith(`{"a": {"value": 1}, "b": {"value": null}, "c": {}, "d": {"value": "x"}, "e": null}`), "q", map[string]string{
			"d": "x",
		}},
		"none":                {queueWith(`{}`), "q", nil},
		"none, with a space":  {queueWith(`{ }`), "q", nil},
		"null":                {queueWith(`null`), "q", nil},
		"of a server of 2.16": {queueWith(`[]`), "q", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("queues.get_all", always(test.answer))
			got := observe(t, s.client(), test.queue)
			if len(got.Queues) != 1 || !maps.Equal(got.Queues[0].Metadata, test.want) {
				t.Errorf("queues are %+v, want metadata %v", got.Queues, test.want)
			}
			if len(s.asked("queues.get_all")) != 1 || len(s.asked("workers.get_all")) != 1 {
				t.Error("the metadata cost a call")
			}
		})
	}
	for _, malformed := range []string{`1`, `"text"`, `{"a": 1}`, `{"a": "b"}`, `[1]`} {
		s := newStub(t)
		s.on("queues.get_all", always(queueWith(malformed)))
		_, err := s.client().Observe(t.Context(), query("q"))
		wantClass(t, err, messages.ClassUnknown, "unexpected_answer")
	}
}

func queueWith(metadata string) answer {
	return answer{status: 200, body: envelope(`{"queues": [{"id": "1", "name": "q", "metadata": ` + metadata + `}]}`)}
}

func TestSignal(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		signal messages.Signal
		want   []string // paths and bodies
	}{
		"set": {
			messages.Signal{QueueID: "q1", Set: map[string]string{"b": "2 x", "a": ""}},
			[]string{`queues.add_or_update_metadata {"queue":"q1","metadata":[{"key":"a","type":"str","value":""},{"key":"b","type":"str","value":"2 x"}]}`},
		},
		"delete": {
			messages.Signal{QueueID: "q1", Delete: []string{"b", "a"}},
			[]string{`queues.delete_metadata {"queue":"q1","keys":["b","a"]}`},
		},
		"both": {
			messages.Signal{QueueID: "q1", Set: map[string]string{"ebb.drain.i-1": "7 1 drain"}, Delete: []string{"ebb.ack.i-1"}},
			[]string{
				`queues.add_or_update_metadata {"queue":"q1","metadata":[{"key":"ebb.drain.i-1","type":"str","value":"7 1 drain"}]}`,
				`queues.delete_metadata {"queue":"q1","keys":["ebb.ack.i-1"]}`,
			},
		},
		"nothing": {messages.Signal{QueueID: "q1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("queues.add_or_update_metadata", always(recorded(t, "metadata set")))
			s.on("queues.delete_metadata", always(recorded(t, "metadata deleted")))
			if err := s.client().Signal(t.Context(), test.signal); err != nil {
				t.Fatal(err)
			}
			wantWrites(t, s, test.want)
		})
	}
}

// wantWrites holds what the stub was asked, logins left out, against paths and
// bodies.
func wantWrites(t *testing.T, s *stub, want []string) {
	t.Helper()
	var got []string
	for _, a := range s.asked("") {
		if action := strings.TrimPrefix(a.path, "/v2.30/"); action != "auth.login" {
			got = append(got, action+" "+a.raw)
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSignalFailures(t *testing.T) {
	t.Parallel()
	set := messages.Signal{QueueID: "nope", Set: map[string]string{"a": "b"}}
	both := messages.Signal{QueueID: "q1", Set: map[string]string{"a": "b"}, Delete: []string{"c"}}
	for name, test := range map[string]struct {
		signal messages.Signal
		action string
		reply  func(int, asked) answer
		class  messages.FailureClass
		code   string
		calls  int
	}{
		"no such queue":       {set, "queues.add_or_update_metadata", always(recorded(t, "metadata of no queue")), messages.ClassNotFound, "400/701", 1},
		"sent again":          {set, "queues.add_or_update_metadata", first(2, answer{status: 502}, ok(`{"updated": 1}`)), "", "", 3},
		"away":                {set, "queues.add_or_update_metadata", always(answer{status: 503}), messages.ClassTransient, "503", 3},
		"throttled":           {both, "queues.delete_metadata", always(answer{status: 429}), messages.ClassThrottled, "429", 3},
		"says nothing":        {set, "queues.add_or_update_metadata", ok(`{}`), messages.ClassUnknown, "unexpected_answer", 1},
		"second call refused": {both, "queues.delete_metadata", always(recorded(t, "forbidden")), messages.ClassUnauthorized, "403/20", 1},
		"no queue":            {messages.Signal{Set: set.Set}, "", nil, messages.ClassInvalid, "bad_request", 0},
		"no key":              {messages.Signal{QueueID: "q", Set: map[string]string{"": "x"}}, "", nil, messages.ClassInvalid, "bad_request", 0},
		"no key to delete":    {messages.Signal{QueueID: "q", Delete: []string{"a", ""}}, "", nil, messages.ClassInvalid, "bad_request", 0},
		"set and deleted":     {messages.Signal{QueueID: "q", Set: set.Set, Delete: []string{"a"}}, "", nil, messages.ClassInvalid, "bad_request", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			if test.action != "" {
				s.on(test.action, test.reply)
			}
			err := s.client().Signal(t.Context(), test.signal)
			switch {
			case test.class == "" && err != nil:
				t.Fatal(err)
			case test.class != "":
				wantClass(t, err, test.class, test.code)
			}
			if test.action == "" {
				wantWrites(t, s, nil)
			} else if got := len(s.asked(test.action)); got != test.calls {
				t.Errorf("%d calls, want %d", got, test.calls)
			}
		})
	}
}

func TestSetTag(t *testing.T) {
	t.Parallel()
	const look = `queues.get_all {"id":["q1"],"only_fields":["id","name","tags"]}`
	for name, test := range map[string]struct {
		tags string
		on   bool
		want string // the tags written, empty for no write
	}{
		"on, none":        {`[]`, true, `["force_workers:off"]`},
		"on, unset":       {`null`, true, `["force_workers:off"]`},
		"on, beside":      {`["b", "a"]`, true, `["b","a","force_workers:off"]`},
		"on already":      {`["a", "force_workers:off"]`, true, ""},
		"off, the others": {`["b", "force_workers:off", "a", "force_workers:off"]`, false, `["b","a"]`},
		"off, the last":   {`["force_workers:off"]`, false, `[]`},
		"off already":     {`["force_workers:on"]`, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.on("queues.get_all", ok(`{"queues": [{"id": "q0", "name": "other"}, {"id": "q1", "name": "q", "tags": `+test.tags+`}]}`))
			if err := s.client().SetTag(t.Context(), "q1", messages.BarrierTag, test.on); err != nil {
				t.Fatal(err)
			}
			want := []string{look}
			if test.want != "" {
				want = append(want, fmt.Sprintf(`queues.update {"queue":"q1","tags":%s}`, test.want))
			}
			wantWrites(t, s, want)
		})
	}
}

func TestSetTagFailures(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	c := s.client()
	wantClass(t, c.SetTag(t.Context(), "q1", "tag", true), messages.ClassNotFound, "no_such_queue")
	wantClass(t, c.SetTag(t.Context(), "", "tag", true), messages.ClassInvalid, "bad_request")
	wantClass(t, c.SetTag(t.Context(), "q1", "", true), messages.ClassInvalid, "bad_request")
	if len(s.asked("queues.update")) != 0 || len(s.asked("queues.get_all")) != 1 {
		t.Errorf("asked %v", s.asked(""))
	}
	s.on("queues.get_all", ok(`{"queues": [{"id": "q1", "name": "q"}]}`))
	for name, test := range map[string]struct {
		answer answer
		class  messages.FailureClass
		code   string
	}{
		"gone meanwhile": {recorded(t, "metadata of no queue"), messages.ClassNotFound, "400/701"},
		"away":           {answer{status: 504}, messages.ClassTransient, "504"},
		"says nothing":   {answer{status: 200, body: envelope(`{}`)}, messages.ClassUnknown, "unexpected_answer"},
	} {
		s.on("queues.update", always(test.answer))
		err := c.SetTag(t.Context(), "q1", "tag", true)
		wantClass(t, err, test.class, test.code)
		if !strings.Contains(err.Error(), `set tag "tag" of queue q1 to true`) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}
