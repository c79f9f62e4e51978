package bus_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

func TestEventsFilters(t *testing.T) {
	t.Parallel()
	conn := connect(t, start(t, t.TempDir(), ""))
	at := func(id string, autoscaler messages.AutoscalerName, event messages.Event) messages.Recorded {
		return messages.Recorded{ID: id, Autoscaler: autoscaler, At: noon, Event: event}
	}
	if err := conn.Publish(t.Context(), []messages.Recorded{
		at("1", "a", messages.QueueCreated{Queue: "q"}),
		at("2", "a", messages.InstanceBusy{Instance: "i"}),
		at("3", "a.b", messages.InstanceIdle{Instance: "i"}),
		at("4", "*", messages.InstanceBusy{Instance: "i"}),
	}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		query bus.EventQuery
		want  string
	}{
		"all":              {bus.EventQuery{}, "1234"},
		"autoscaler":       {bus.EventQuery{Autoscaler: "a"}, "12"},
		"dotted":           {bus.EventQuery{Autoscaler: "a.b"}, "3"},
		"a star is a name": {bus.EventQuery{Autoscaler: "*"}, "4"},
		"kind":             {bus.EventQuery{Kind: "instance.busy"}, "24"},
		"noun":             {bus.EventQuery{Kind: "instance"}, "234"},
		"both":             {bus.EventQuery{Autoscaler: "a", Kind: "queue"}, "1"},
		"nothing":          {bus.EventQuery{Autoscaler: "b"}, ""},
		"since long ago":   {bus.EventQuery{Since: noon.AddDate(-10, 0, 0)}, "1234"},
		"since tomorrow":   {bus.EventQuery{Since: time.Now().Add(24 * time.Hour)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			for _, event := range stored(t, conn, test.query) {
				got += event.ID
			}
			if got != test.want {
				t.Errorf("events %q, want %q", got, test.want)
			}
		})
	}
	for _, kind := range []string{"*", ">", "a.b.c", "Instance", "instance."} {
		if err := conn.Events(t.Context(), bus.EventQuery{Kind: kind}, nil); err == nil || !strings.Contains(err.Error(), "noun.verb") {
			t.Errorf("kind %q: %v", kind, err)
		}
	}
}

func TestEventsSince(t *testing.T) {
	t.Parallel()
	conn := connect(t, start(t, t.TempDir(), ""))
	all := manyObserved("prod", 0, 6)
	if err := conn.Publish(t.Context(), all[:3]); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	if err := conn.Publish(t.Context(), all[3:]); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, stored(t, conn, bus.EventQuery{Since: since}), all[3:])
}

func TestEventsFollow(t *testing.T) {
	t.Parallel()
	conn := connect(t, start(t, t.TempDir(), ""))
	all := manyObserved("prod", 0, 40)
	if err := conn.Publish(t.Context(), all[:10]); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var got []bus.StoredEvent
	err := conn.Events(ctx, bus.EventQuery{Follow: true}, func(event bus.StoredEvent) error {
		got = append(got, event)
		if next := len(got); next >= 10 && next < len(all) {
			return conn.Publish(t.Context(), all[next:next+1])
		}
		if len(got) == len(all) {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("ended with %v", err)
	}
	wantIDs(t, got, all)
	if !slices.IsSortedFunc(got, func(a, b bus.StoredEvent) int { return int(a.Sequence) - int(b.Sequence) }) {
		t.Error("not in the order of the stream")
	}
}

// TestEventsCaughtUp holds that a reader is told once when it has everything that
// was stored when it began, with events or without, however busy the stream is.
func TestEventsCaughtUp(t *testing.T) {
	t.Parallel()
	conn := connect(t, start(t, t.TempDir(), ""))
	all := manyObserved("prod", 0, 30)
	for _, stored := range []int{0, 10} {
		if err := conn.Publish(t.Context(), all[:stored]); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		got, told := 0, []int{}
		query := bus.EventQuery{Follow: true, CaughtUp: func() { told = append(told, got) }}
		if stored == 0 {
			query.CaughtUp = func() { told = append(told, got); cancel() }
		}
		err := conn.Events(ctx, query, func(bus.StoredEvent) error {
			if got++; got < len(all)-stored { // one behind it for each that it reads
				return conn.Publish(t.Context(), all[stored+got-1:stored+got])
			}
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("ended with %v", err)
		}
		if !slices.Equal(told, []int{stored}) {
			t.Errorf("with %d stored it was told after %v", stored, told)
		}
	}
}

// The request for messages gets lost: the reader must notice the silence.
func TestEventsSurviveALostRequest(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	way := startRelay(t, strings.TrimPrefix(server.URL(), "nats://"))
	lost := 0
	way.tamper = func(data []byte) {
		if at := bytes.Index(data, []byte("CONSUMER.MSG.NEXT")); at >= 0 && lost == 0 {
			copy(data[at:], "CONSUMER.MSG.LOST")
			lost++
		}
	}
	conn := dial(t, bus.ConnConfig{URL: way.url(), EventsMaxBytes: small, Log: zerolog.Nop()})
	all := manyObserved("prod", 0, 3)
	if err := conn.Publish(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []bus.StoredEvent
	err := conn.Events(ctx, bus.EventQuery{}, func(event bus.StoredEvent) error {
		got = append(got, event)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, got, all)
	if lost != 1 {
		t.Errorf("%d requests lost: nothing was tested", lost)
	}
}

func TestEventsEndWithTheHandlersError(t *testing.T) {
	t.Parallel()
	conn := connect(t, start(t, t.TempDir(), ""))
	if err := conn.Publish(t.Context(), manyObserved("prod", 0, 3)); err != nil {
		t.Fatal(err)
	}
	enough, calls := errors.New("enough"), 0
	err := conn.Events(t.Context(), bus.EventQuery{}, func(bus.StoredEvent) error { calls++; return enough })
	if err != enough || calls != 1 { //nolint:errorlint // the very same error
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestEventsKeepWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	conn := connect(t, server)
	plain, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	later := `{"specversion":"1.0","id":"x","source":"/ebb/prod","type":"ebb.v1.instance.beamed","subject":"i-1","time":"2026-03-01T12:00:00Z","data":{"to":"enterprise"}}`
	for _, body := range []string{"no json", later} {
		if _, err := plain.Request("ebb.v1.prod.instance.beamed", []byte(body), patience); err != nil {
			t.Fatal(err)
		}
	}
	got := stored(t, conn, bus.EventQuery{Kind: "instance.beamed"})
	if len(got) != 2 {
		t.Fatalf("%d events", len(got))
	}
	if got[0].Problem == nil || errors.Is(got[0].Problem, bus.ErrUnknownKind) || string(got[0].Raw) != "no json" {
		t.Errorf("garbage came as %+v", got[0])
	}
	event := got[1]
	if !errors.Is(event.Problem, bus.ErrUnknownKind) || string(event.Raw) != later || event.Event != nil ||
		event.ID != "x" || event.Autoscaler != "prod" || event.Kind != "instance.beamed" || event.About != "i-1" ||
		!event.At.Equal(noon) || string(event.Data) != `{"to":"enterprise"}` || event.Stored.IsZero() {
		t.Errorf("an unknown kind came as %+v", event)
	}
}

func TestReadOnlyMakesNothing(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "")
	conn := dial(t, bus.ConnConfig{Server: server, ReadOnly: true, Log: zerolog.Nop()})
	err := conn.Events(t.Context(), bus.EventQuery{}, func(bus.StoredEvent) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "no ebb has used this server yet") {
		t.Errorf("events of an empty server: %v", err)
	}
	if _, err := conn.OpenLedger(t.Context(), bus.LedgerConfig{Autoscaler: "prod"}); err == nil {
		t.Error("a ledger was made through a read-only connection")
	}
}
