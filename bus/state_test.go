package bus_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

func openState(tb testing.TB, conn *bus.Bus) *bus.States {
	tb.Helper()
	state, err := conn.OpenState(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return state
}

func TestStateIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := start(t, dir, "127.0.0.1:0")
	conn := connect(t, server)
	state := openState(t, conn)
	save := func(autoscaler messages.AutoscalerName, key string, value []byte) {
		t.Helper()
		if err := state.Save(t.Context(), autoscaler, key, value); err != nil {
			t.Fatal(err)
		}
	}
	check := func(autoscaler messages.AutoscalerName, key string, want []byte) {
		t.Helper()
		got, err := state.Load(t.Context(), autoscaler, key)
		if err != nil || !bytes.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%s %s holds %d bytes (%v), want %d; %v", autoscaler, key, len(got), got == nil, len(want), err)
		}
	}
	big := bytes.Repeat([]byte{0, 255, 'x', '\n'}, bus.StateLimit/4)
	check("prod", "memory", nil)
	save("prod", "memory", []byte("one"))
	save("prod", "memory", []byte("two"))
	save("prod", "big", big)
	save("prod", "", []byte{})
	// Names that could run together or into each other.
	save("a.b", "c", []byte("1"))
	save("a", "b.c", []byte("2"))
	save("a=2Eb", "c", []byte("3"))
	save("*", ">", []byte("4"))
	all := func() {
		t.Helper()
		check("prod", "memory", []byte("two"))
		check("prod", "big", big)
		check("prod", "", []byte{})
		check("a.b", "c", []byte("1"))
		check("a", "b.c", []byte("2"))
		check("a=2Eb", "c", []byte("3"))
		check("*", ">", []byte("4"))
		check("other", "memory", nil)
	}
	all()
	stream, err := admin(t, server.URL()).Stream(t.Context(), "KV_"+bus.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != 7 {
		t.Errorf("%d values are kept, want 7 and no history", got)
	}
	conn.Close()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	server = start(t, dir, "127.0.0.1:0")
	state = openState(t, connect(t, server))
	all()

	// An operator deletes a key, then all of it.
	store, err := admin(t, server.URL()).KeyValue(t.Context(), bus.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), "prod.memory"); err != nil {
		t.Fatal(err)
	}
	check("prod", "memory", nil)
	deleteStream(t, server.URL(), "KV_"+bus.StateBucket)
	_, err = state.Load(t.Context(), "prod", "memory")
	wantClass(t, messages.ClassTransient, err)
	save("prod", "memory", []byte("three")) // it was made anew
	check("prod", "memory", []byte("three"))
}

func TestStateRefusals(t *testing.T) {
	t.Parallel()
	state := openState(t, connect(t, start(t, t.TempDir(), "")))
	wantClass(t, messages.ClassInvalid, state.Save(t.Context(), "prod", "k", make([]byte, bus.StateLimit+1)))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	wantClass(t, messages.ClassTransient, state.Save(over, "prod", "k", nil))
	_, err := state.Load(over, "prod", "k")
	wantClass(t, messages.ClassTransient, err)

	small := external(t, func(o *natsserver.Options) { o.MaxPayload = 8 << 10 })
	conn := dial(t, bus.ConnConfig{URL: small.ClientURL(), EventsMaxBytes: 1 << 20, Log: zerolog.Nop()})
	wantClass(t, messages.ClassInvalid, openState(t, conn).Save(t.Context(), "prod", "k", make([]byte, 8<<10)))

	reader := dial(t, bus.ConnConfig{URL: external(t, func(*natsserver.Options) {}).ClientURL(), ReadOnly: true, Log: zerolog.Nop()})
	if _, err := reader.OpenState(t.Context()); err == nil || !strings.Contains(err.Error(), "KV_ebb_state") {
		t.Errorf("a reader opens state: %v", err)
	}
}
