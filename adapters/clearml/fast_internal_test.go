package clearml

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	fast "github.com/segmentio/encoding/json"
)

// agree reads an answer both ways, and says whether the fast decoder took it.
// What it takes must be what encoding/json makes of it.
func agree[T checked](t *testing.T, payload []byte) bool {
	t.Helper()
	var quick, decoded envelope[T]
	if fast.Unmarshal(payload, &quick) != nil {
		return false
	}
	if err := json.Unmarshal(payload, &decoded); err != nil {
		t.Fatalf("taken, but encoding/json says %v: %q", err, payload)
	}
	if !reflect.DeepEqual(quick, decoded) {
		t.Fatalf("of %q\nskimmed %+v\ndecoded %+v", payload, quick, decoded)
	}
	return true
}

// wrapped is data in an envelope.
func wrapped(data string) string {
	return `{"meta": {"id": "1", "result_code": 200, "result_msg": "OK", "error_data": {}}, "data": ` + data + `}`
}

// TestFastDecoder holds which answers the fast decoder takes and which it leaves.
func TestFastDecoder(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		name, payload string
		taken         bool
	}{
		{"empty list", wrapped(`{"workers": []}`), true},
		{"no list", wrapped(`{}`), true},
		{"null list", wrapped(`{"workers": null}`), true},
		{"no data", `{"meta": {"result_code": 500}, "data": null}`, true},
		{"no meta", `{"data": {"workers": [{"id": "a"}]}}`, true},
		{"all the values", wrapped(`{"x": [1, -2.5e+3, 0, true, false, null, {}, [], {"a": {"b": []}}, "\u00e9\n", "é"], "workers": [` +
			`{"id": "a\"\u00e9\ud83d\ude00", "task": {"id": "é", "name": "\\"}, "register_time": null, "task_x": 1}, {"id": null, "task": null}]}`), true},
		{"white space", " \t\r\n" + strings.ReplaceAll(wrapped(`{"workers": [ { "id" : "a" } , { } ] } `), ":", " :\n") + " ", true},
		{"invalid UTF-8 in a text", wrapped("{\"workers\": [{\"id\": \"\xff\"}]}"), true},
		{"upper case nobody wants", wrapped(`{"Pages": 1, "workers": [{"id": "a", "userName": "b"}]}`), true},
		{"upper case of a wanted name", wrapped(`{"Workers": [], "workers": [{"id": "a"}]}`), true},
		{"escape in a name", wrapped(`{"w\u006frkers": [{"id": "a"}]}`), true},
		{"a member twice", wrapped(`{"workers": [{"id": "a", "id": "b"}]}`), true},
		{"a list twice", wrapped(`{"workers": [{"id": "a"}], "workers": [{}]}`), true},
		{"a number for a text", wrapped(`{"workers": [{"id": 1}]}`), false},
		{"an object for a list", wrapped(`{"workers": {}}`), false},
		{"a bad time", wrapped(`{"workers": [{"id": "a", "register_time": "yesterday"}]}`), false},
		{"a number for a time", wrapped(`{"workers": [{"id": "a", "register_time": 1}]}`), false},
		{"leading zero", wrapped(`{"workers": [{"id": "a", "x": 01}]}`), false},
		{"bare sign", wrapped(`{"workers": [{"id": "a", "x": -}]}`), false},
		{"bad escape", wrapped(`{"workers": [{"id": "a", "x": "\q"}]}`), false},
		{"control character", wrapped("{\"workers\": [{\"id\": \"a\x01\"}]}"), false},
		{"trailing comma", wrapped(`{"workers": [{"id": "a"},]}`), false},
		{"misspelled literal", wrapped(`{"workers": [], "x": nul}`), false},
		{"cut off", strings.TrimSuffix(wrapped(`{"workers": []}`), "}"), false},
		{"cut off in a text", `{"meta": {"id": "1`, false},
		{"cut off in an escape", `{"meta": {"id": "1\`, false},
		{"more behind", wrapped(`{"workers": []}`) + "{}", false},
		{"too deep", wrapped(`{"x": ` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `, "workers": []}`), true},
		{"a web page", "<html>", false},
		{"nothing", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			if taken := agree[workersData](t, []byte(c.payload)); taken != c.taken {
				t.Errorf("taken is %t, want %t: %q", taken, c.taken, c.payload)
			}
		})
	}
}

// FuzzDecode: whatever the fast decoder takes, encoding/json reads the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(wrapped(`{"workers": [{"id": "a", "task": {"id": "t", "name": "\u00e9"}, "register_time": "2026-11-23T09:45:06.746228+00:00"}, {"ID": 1}]}`)))
	f.Add([]byte(wrapped(`{"queues": [{"id": "1", "name": "q", "tags": ["t", null], "entries": [{"task": "x", "added": "2026-11-23 09:45:06"}, {}], "metadata": {"k": {"v": [1, -0.5e1]}}}], "scroll_id": null}`)))
	f.Add([]byte(wrapped(`{"tasks": [{"id": "t", "name": null, "status": "queued", "execution": {"queue": "q"}, "execution": null, "last_update": "2026-11-23T09:45:06+01:00"}]}`)))
	f.Add([]byte(wrapped(`{"queues": [{"metadata": {"a": {"value": "x", "VALUE": 1}, "a": {}}, "metadata": [], "metadata": {"\ud83d": {"value": "\u00e9"}}}]}`)))
	f.Add([]byte(`{"meta": null, "data": {"queues": null, "workers": null}, "data": 1}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		agree[workersData](t, payload)
		agree[queuesData](t, payload)
		agree[statesData](t, payload)
	})
}
