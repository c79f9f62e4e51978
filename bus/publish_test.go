package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

func TestPublishKeepsOrderAndStoresOnce(t *testing.T) {
	t.Parallel()
	conn := connect(t, start(t, t.TempDir(), ""))
	all := manyObserved("prod", 0, 1200) // more than two batches
	for _, part := range [][]messages.Recorded{
		nil,
		all[:1],      // alone
		all[:700],    // one of them again, so not as a batch
		all[700:710], // a batch
		all[690:],    // overlapping, then batches
		all[3:9],     // nothing new
	} {
		if err := conn.Publish(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	got := stored(t, conn, bus.EventQuery{})
	wantIDs(t, got, all)
	for i, event := range got {
		if event.Problem != nil || event.Event != all[i].Event || !event.At.Equal(all[i].At) ||
			event.Autoscaler != "prod" || event.About != "default" || event.Kind != "queue.observed" {
			t.Fatalf("event %d came back as %+v", i, event)
		}
	}
}

func TestPlainSubscriberSeesCloudEvents(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	conn := connect(t, server)
	plain, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	sub, err := plain.SubscribeSync("ebb.v1.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := plain.Flush(); err != nil {
		t.Fatal(err)
	}
	// Two at once go as an atomic batch: subscribers see those like any other.
	events := []messages.Recorded{
		{ID: "a-1", Autoscaler: "my prod.eu", At: noon, Event: messages.AutoscalerStopped{OnShutdown: "drain", Left: 2}},
		{ID: "a-2", Autoscaler: "my prod.eu", At: noon, Event: messages.QueueCreated{Queue: "gpu"}},
	}
	if err := conn.Publish(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		subject string
		event   map[string]any
	}{
		{"ebb.v1.my%20prod%2Eeu.autoscaler.stopped", map[string]any{
			"specversion": "1.0", "id": "a-1", "source": "/ebb/my%20prod.eu", "type": "ebb.v1.autoscaler.stopped",
			"time": "2026-03-01T12:00:00Z", "datacontenttype": "application/json",
			"data": map[string]any{"on_shutdown": "drain", "left": 2.0},
		}},
		{"ebb.v1.my%20prod%2Eeu.queue.created", map[string]any{
			"specversion": "1.0", "id": "a-2", "source": "/ebb/my%20prod.eu", "type": "ebb.v1.queue.created",
			"subject": "gpu", "time": "2026-03-01T12:00:00Z", "datacontenttype": "application/json",
			"data": map[string]any{"queue": "gpu"},
		}},
	}
	for i, want := range want {
		message, err := sub.NextMsg(patience)
		if err != nil {
			t.Fatal(err)
		}
		if message.Subject != want.subject || message.Header.Get("Nats-Msg-Id") != events[i].ID ||
			message.Header.Get("Content-Type") != "application/cloudevents+json" {
			t.Errorf("message on %s with headers %v, want %s", message.Subject, message.Header, want.subject)
		}
		wantJSON, _ := json.Marshal(want.event)
		var got any
		if err := json.Unmarshal(message.Data, &got); err != nil {
			t.Fatal(err)
		}
		if gotJSON, _ := json.Marshal(got); string(gotJSON) != string(wantJSON) {
			t.Errorf("event\n got %s\nwant %s", gotJSON, wantJSON)
		}
	}
}

func TestRestartKeepsEventsAndDedupes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	all := manyObserved("prod", 0, 20)

	first := start(t, dir, "")
	conn := connect(t, first)
	if err := conn.Publish(t.Context(), all[:12]); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	conn = connect(t, start(t, dir, ""))
	if err := conn.Publish(t.Context(), all[5:]); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, stored(t, conn, bus.EventQuery{}), all)
}

// What breaks in the middle of publishing, the connection or the server, leaves
// a prefix; the same events again make it whole, in order.
func TestPublishThroughLoss(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ batch, server bool }{
		"connection, as batch":   {batch: true},
		"connection, one by one": {},
		"server, as batch":       {batch: true, server: true},
		"server, one by one":     {server: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			server := external(t, func(o *natsserver.Options) { o.StoreDir = dir })
			way := startRelay(t, server.Addr().String())
			conn := dial(t, bus.ConnConfig{URL: way.url(), EventsMaxBytes: small, Log: zerolog.Nop()})
			if !test.batch {
				atomicOff(t, way.url())
				conn = dial(t, bus.ConnConfig{URL: way.url(), Log: zerolog.Nop()})
			}
			all := manyObserved("prod", 0, 4000)
			ctx, giveUp := context.WithCancel(t.Context())
			defer giveUp()
			failed := make(chan error, 1)
			severed := way.cutAt("prod-000600") // in the middle of the second batch
			go func() { failed <- conn.Publish(ctx, all) }()
			<-severed
			if test.server {
				server.Shutdown()
				server.WaitForShutdown()
				server = external(t, func(o *natsserver.Options) { o.StoreDir = dir })
			}
			time.AfterFunc(300*time.Millisecond, giveUp) // until then it tries to connect again
			if err := <-failed; err == nil {
				t.Fatal("all was published before anything broke: nothing was tested")
			}
			reader := dial(t, bus.ConnConfig{URL: server.ClientURL(), Log: zerolog.Nop()})
			before := stored(t, reader, bus.EventQuery{})
			if len(before) == 0 || len(before) >= len(all) {
				t.Fatalf("%d events before the repeat: nothing was tested", len(before))
			}
			wantIDs(t, before, all[:len(before)])
			if test.batch && len(before)%500 != 0 {
				t.Errorf("%d events are no number of whole batches", len(before))
			}
			way.cut(server.Addr().String())
			var err error
			for range 5 {
				if err = conn.Publish(t.Context(), all); err == nil {
					break
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			wantIDs(t, stored(t, reader, bus.EventQuery{}), all)
		})
	}
}

// atomicOff makes the event stream anew, as a server before 2.12 would have it.
func atomicOff(t *testing.T, address string) {
	t.Helper()
	conn, err := nats.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	found, err := stream.Stream(t.Context(), bus.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	config := found.CachedInfo().Config
	config.AllowAtomicPublish = false
	if _, err := stream.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

// A stream that somebody deletes is made again by the next event.
func TestPublishAfterStreamWasDeleted(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	conn := connect(t, server)
	for _, events := range [][]messages.Recorded{manyObserved("prod", 0, 1), manyObserved("prod", 1, 4)} {
		deleteStream(t, server.URL(), bus.EventStream)
		if err := conn.Publish(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		wantIDs(t, stored(t, conn, bus.EventQuery{}), events)
	}
}

func deleteStream(t *testing.T, address, name string) {
	t.Helper()
	conn, err := nats.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteStream(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

func TestPublishRefusesWhatCanNeverBeStored(t *testing.T) {
	t.Parallel()
	conn := connect(t, start(t, t.TempDir(), ""))
	good := observed("prod", 1)
	change := func(f func(*messages.Recorded)) messages.Recorded {
		bad := observed("prod", 2)
		f(&bad)
		return bad
	}
	for name, test := range map[string]struct {
		event messages.Recorded
		want  string
	}{
		"no id":         {change(func(r *messages.Recorded) { r.ID = "" }), "printable ASCII"},
		"id with break": {change(func(r *messages.Recorded) { r.ID = "a\r\nNats-Rollup: all" }), "printable ASCII"},
		"no autoscaler": {change(func(r *messages.Recorded) { r.Autoscaler = "" }), "no autoscaler"},
		"no event":      {change(func(r *messages.Recorded) { r.Event = nil }), "no event"},
		"not a number": {
			change(func(r *messages.Recorded) { r.Event = messages.QueueObserved{OldestWaitSeconds: math.NaN()} }),
			"unsupported value",
		},
		"too long": {
			change(func(r *messages.Recorded) {
				r.Event = messages.InstanceUnready{Instance: "i-1", Console: strings.Repeat("x", 1<<20)}
			}),
			"bytes long",
		},
	} {
		err := conn.Publish(t.Context(), []messages.Recorded{good, test.event})
		var failure *messages.Failure
		if !errors.As(err, &failure) || failure.Class != messages.ClassInvalid || failure.Code != test.event.ID {
			t.Fatalf("%s: error %v carries no invalid failure with the event's id", name, err)
		}
		if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %q does not say %q", name, err, test.want)
		}
	}
	if got := stored(t, conn, bus.EventQuery{}); len(got) != 0 {
		t.Errorf("%d events stored along with refused ones", len(got))
	}
}

func BenchmarkPublish1000(b *testing.B) {
	for name, always := range map[string]bool{"sync": true, "nosync": false} {
		b.Run(name, func(b *testing.B) {
			server, err := bus.Start(b.Context(), bus.ServerConfig{StateDir: b.TempDir(), SyncAlways: always, Log: zerolog.Nop()})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = server.Close() }()
			conn := connect(b, server)
			next := 0
			for b.Loop() {
				if err := conn.Publish(b.Context(), manyObserved("prod", next, next+1000)); err != nil {
					b.Fatal(err)
				}
				next += 1000
			}
			conn.Close()
		})
	}
}
