package bus_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

func TestCloudEventRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// Strings in JSON are UTF-8, so only those come back as they were.
		want := messages.Recorded{
			ID:         rapid.StringMatching(`[!-~]{1,40}`).Draw(t, "id"),
			Autoscaler: messages.AutoscalerName(rapid.StringN(1, 20, -1).Draw(t, "autoscaler")),
			At:         time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
			Event: messages.InstanceBusy{
				Instance: messages.InstanceID(rapid.String().Draw(t, "instance")),
				TaskName: rapid.String().Draw(t, "task"),
			},
		}
		data, err := bus.EncodeEvent(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := bus.DecodeEvent(data)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if !reflect.DeepEqual(got.Recorded, want) {
			t.Fatalf("came back as %+v\nwas          %+v\n%s", got.Recorded, want, data)
		}
	})
}

func TestDecodeEventRefuses(t *testing.T) {
	t.Parallel()
	const good = `{"specversion":"1.0","id":"x","source":"/ebb/prod","type":"ebb.v1.queue.created","time":"2026-03-01T12:00:00Z","data":{"queue":"q"}}`
	if envelope, err := bus.DecodeEvent([]byte(good)); err != nil || envelope.Event != (messages.QueueCreated{Queue: "q"}) {
		t.Fatalf("%+v, %v", envelope, err)
	}
	for name, test := range map[string]struct{ old, new, want string }{
		"no JSON":          {good, "", "decode event"},
		"no object":        {good, "[]", "decode event"},
		"no version":       {`"specversion":"1.0",`, ``, "specversion"},
		"no id":            {`"id":"x"`, `"id":""`, "id"},
		"no source":        {`"/ebb/prod"`, `"/other/prod"`, `source "/other/prod"`},
		"nobody's":         {`"/ebb/prod"`, `"/ebb/"`, `source "/ebb/"`},
		"bad escape":       {`"/ebb/prod"`, `"/ebb/%zz"`, "decode event"},
		"another version":  {"ebb.v1.queue", "ebb.v2.queue", `type "ebb.v2.queue.created"`},
		"no verb":          {"queue.created", "queue", `type "ebb.v1.queue"`},
		"bad time":         {"2026-03-01T12", "yesterday", "time"},
		"data of no queue": {`{"queue":"q"}`, `{"queue":1}`, "decode event queue.created"},
		"no data":          {`,"data":{"queue":"q"}`, ``, "decode event queue.created"},
		"not known":        {"queue.created", "queue.beamed", bus.ErrUnknownKind.Error()},
	} {
		envelope, err := bus.DecodeEvent([]byte(strings.Replace(good, test.old, test.new, 1)))
		if err == nil || envelope.Event != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %+v, error %v, want %q", name, envelope, err, test.want)
		}
		if known := !errors.Is(err, bus.ErrUnknownKind); known != (name != "not known") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeEvent(f *testing.F) {
	for _, kind := range messages.EventKinds() {
		data, err := os.ReadFile(filepath.Join(exampleDir, kind+".json"))
		if err != nil {
			f.Fatal(err)
		}
		event, err := messages.DecodeEvent(kind, data)
		if err != nil {
			f.Fatal(err)
		}
		encoded, err := bus.EncodeEvent(messages.Recorded{ID: "id", Autoscaler: "prod", At: noon, Event: event})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Add([]byte(`{"specversion":"0.3","id":"a","source":"/ebb/a","type":"ebb.v1.a.b","data_base64":"e30=","datacontenttype":"text/xml"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		envelope, err := bus.DecodeEvent(data)
		if err != nil {
			if envelope.Event != nil {
				t.Fatalf("an event along with the error %v", err)
			}
			return
		}
		if envelope.Event == nil || envelope.Kind != envelope.Event.Kind() {
			t.Fatalf("no error and %+v", envelope)
		}
		encoded, err := bus.EncodeEvent(envelope.Recorded)
		if err != nil {
			return // an id that cannot be a header, say
		}
		again, err := bus.DecodeEvent(encoded)
		if err != nil || again.ID != envelope.ID || again.Autoscaler != envelope.Autoscaler || !again.At.Equal(envelope.At) {
			t.Fatalf("%s came back as %+v, %v", encoded, again, err)
		}
	})
}
