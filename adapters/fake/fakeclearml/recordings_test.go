package fakeclearml_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

// apiDifferences are the requests of api.jsonl that are not sent, by index.
func apiDifferences() map[int]string {
	return map[int]string{
		50: "queues.move_task_to_front: the recorded server ran on a stand-in for its database that cannot reorder a list and " +
			"answered 500; a real one answers {position: 0}, as the fake does, but the order that the later requests rely on would change",
	}
}

// agentDifferences are the requests of agent.jsonl that are not sent, by index.
func agentDifferences() map[int]string {
	const why = "workers.get_runtime_properties: this answer was put in by a proxy; the open-source server answers 404, which other requests of the recording show"
	return map[int]string{49: why, 52: why, 54: why, 56: why}
}

type apiRecord struct {
	Label   string            `json:"label"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Params  map[string]any    `json:"params"`
	Req     json.RawMessage   `json:"req"`
	Headers map[string]string `json:"req_headers"`
	Status  int               `json:"status"`
	Resp    json.RawMessage   `json:"resp"`
}

func readAPI(t *testing.T, file string) []apiRecord {
	t.Helper()
	var out []apiRecord
	readLines(t, file, func(line []byte) error {
		var r apiRecord
		err := json.Unmarshal(line, &r)
		out = append(out, r)
		return err
	})
	return out
}

func (a apiRecord) exchange(i int) exchange {
	e := exchange{
		name: fmt.Sprintf("#%d %q", i, a.Label), method: a.Method, path: a.Path, status: a.Status,
		body: string(a.Req), answer: string(a.Resp), header: http.Header{},
	}
	if e.body == "null" {
		e.body = ""
	}
	var text string
	if json.Unmarshal(a.Req, &text) == nil && text != "" {
		e.body = text // a body that was sent as it is
	}
	if json.Unmarshal(a.Resp, &text) == nil && text != "" {
		e.answer = text
	}
	q := url.Values{}
	for k, v := range a.Params {
		q.Set(k, fmt.Sprint(v))
	}
	e.query = q.Encode()
	for k, v := range a.Headers {
		if k != "Authorization" {
			e.header.Set(k, v)
		}
	}
	return e
}

func basic(key, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(key+":"+secret))
}

func TestReplayAPI(t *testing.T) {
	t.Parallel()
	r := newReplayer(t)
	var token, short, revoked string
	authorization := func(label, header string) string {
		switch {
		case label == "login none":
			return ""
		case label == "login bad secret":
			return basic(accessKey, "wrong")
		case label == "bad scheme":
			return "Token abc"
		case label == "garbage bearer":
			return "Bearer garbage"
		case strings.HasPrefix(label, "expired token"):
			return "Bearer " + short
		case label == "logout" || strings.HasPrefix(label, "revoked"):
			return "Bearer " + revoked
		case header != "":
			return "Bearer " + token
		}
		return basic(accessKey, secretKey)
	}
	differences := apiDifferences()
	for i, rec := range readAPI(t, "testdata/api.jsonl") {
		if differences[i] != "" {
			continue
		}
		switch i {
		case 9: // the token of two seconds is to be expired
			r.clk.Advance(2 * time.Second)
		case 110: // the recording leaves out that it went on to 515 queues
			for n := 3; n < 515; n++ {
				must[fakeclearml.Queue](t)(r.s.CreateQueue(fakeclearml.QueueSpec{Name: fmt.Sprintf("bulk-%04d", n)}))
			}
		case 123: // the worker with a timeout of two seconds is to be gone
			r.clk.Advance(2500 * time.Millisecond)
		}
		e := rec.exchange(i)
		if a := authorization(rec.Label, rec.Headers["Authorization"]); a != "" {
			e.header.Set("Authorization", a)
		}
		got := tokenOf(r.play(t, e))
		switch rec.Label {
		case "login":
			token = got
		case "login exp in body":
			short = got
		case "login3":
			revoked = got
		}
	}
}

func TestReplayQueueMetadata(t *testing.T) {
	t.Parallel()
	r := newReplayer(t)
	for i, rec := range readAPI(t, "testdata/queue-metadata.jsonl") {
		e := rec.exchange(i)
		e.header.Set("Authorization", basic(accessKey, secretKey))
		r.play(t, e)
	}
}

type agentRecord struct {
	Method string            `json:"m"`
	Path   string            `json:"p"`
	Header map[string]string `json:"h"`
	Body   string            `json:"b"`
	Status int               `json:"c"`
	Answer string            `json:"r"`
}

// labQueue makes what the recording's own script made beside it: a queue with a
// task that the agent is to find.
func labQueue(t *testing.T, r *replayer, number string, tags ...string) {
	t.Helper()
	must[fakeclearml.Queue](t)(r.s.CreateQueue(fakeclearml.QueueSpec{Name: "lab-" + number, Tags: tags}))
	labTask(t, r, number)
}

func labTask(t *testing.T, r *replayer, number string) {
	t.Helper()
	id := must[string](t)(r.s.CreateTask(fakeclearml.TaskSpec{Name: "task-" + number, Script: map[string]any{
		"binary": "/root/.pyenv/versions/3.11.7/bin/python3", "entry_point": "x.py", "working_dir": ".",
		"requirements": map[string]any{"pip": ""}, "diff": "import time\nfor i in range(60):\n    print(i, flush=True); time.sleep(1)\n",
	}}))
	enqueued(t, r.s, id, "lab-"+number)
}

func TestReplayAgent(t *testing.T) {
	t.Parallel()
	r := newReplayer(t)
	token := ""
	differences := agentDifferences()
	var records []agentRecord
	readLines(t, "testdata/agent.jsonl", func(line []byte) error {
		var a agentRecord
		err := json.Unmarshal(line, &a)
		records = append(records, a)
		return err
	})
	for i, rec := range records {
		switch i {
		case 16:
			labQueue(t, r, "1795427341", "force_workers:off")
		case 24:
			q, _ := r.s.QueueByName("lab-1795427341")
			if err := r.s.UpdateQueue(q.ID, fakeclearml.QueueUpdate{Tags: []string{}}); err != nil {
				t.Fatal(err)
			}
		case 45:
			labQueue(t, r, "1795427400")
		}
		if differences[i] != "" {
			continue
		}
		e := exchange{
			name: fmt.Sprintf("#%d", i), method: rec.Method, path: rec.Path, body: rec.Body,
			status: rec.Status, answer: rec.Answer, header: http.Header{},
		}
		for k, v := range rec.Header {
			e.header.Set(k, v)
		}
		e.header.Del("Accept-Encoding") // compression has a test of its own
		e.header.Set("Authorization", "Bearer "+token)
		if rec.Path == "/auth.login" {
			e.header.Set("Authorization", basic(accessKey, secretKey))
		}
		body := r.play(t, e)
		if rec.Path == "/auth.login" {
			token = tokenOf(body)
		}
	}
}
