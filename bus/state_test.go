package bus_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
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
		if err := state.Save(t.Context(), messages.StateKey{Autoscaler: autoscaler, Key: key}, value); err != nil {
			t.Fatal(err)
		}
	}
	check := func(autoscaler messages.AutoscalerName, key string, want []byte) {
		t.Helper()
		got, err := state.Load(t.Context(), messages.StateKey{Autoscaler: autoscaler, Key: key})
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s %s holds %d bytes, want %d; %v", autoscaler, key, len(got), len(want), err)
		}
	}
	big := noise(bus.StateLimit - 1000) // and what compressing adds
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
	_, err = state.Load(t.Context(), messages.StateKey{Autoscaler: "prod", Key: "memory"})
	wantClass(t, messages.ClassTransient, err)
	save("prod", "memory", []byte("three")) // it was made anew
	check("prod", "memory", []byte("three"))
}

// noise is what does not get shorter by compressing it.
func noise(size int) []byte {
	value := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(value)
	return value
}

// TestStateOfManyInstances keeps what operators said of more instances than one
// autoscaler may have.
func TestStateOfManyInstances(t *testing.T) {
	t.Parallel()
	state := openState(t, connect(t, start(t, t.TempDir(), "")))
	key := messages.StateKey{Autoscaler: "prod", Key: "resource/gpu"}
	random := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	const instances = 20_000
	for range instances {
		fmt.Fprintf(&text, `"i-%017x":{"reasons":[{"code":"operator","detail":"asked for by root@build-7"}],"idle":true},`, random.Uint64())
	}
	if err := state.Save(t.Context(), key, []byte(text.String())); err != nil {
		t.Fatal(err)
	}
	if got, err := state.Load(t.Context(), key); err != nil || string(got) != text.String() {
		t.Errorf("%d of %d bytes came back, %v", len(got), text.Len(), err)
	}
}

// TestStateThatIsNotReadable tells what is kept from what is not readable, and saves
// over it.
func TestStateThatIsNotReadable(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	state := openState(t, connect(t, server))
	key := messages.StateKey{Autoscaler: "prod", Key: "pause", Epoch: 3}
	var endless bytes.Buffer
	w := gzip.NewWriter(&endless)
	for range 65 {
		_, _ = w.Write(make([]byte, 1<<20))
	}
	_ = w.Close()
	for name, data := range map[string][]byte{"garbage": []byte("garbage"), "nothing": {}, "endless": endless.Bytes()} {
		message := nats.NewMsg("$KV." + bus.StateBucket + ".prod.pause")
		message.Data = data
		message.Header.Set("Content-Encoding", "gzip")
		if _, err := admin(t, server.URL()).PublishMsg(t.Context(), message); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the first makes it the epoch's
			if _, err := state.Load(t.Context(), key); !strings.Contains(fmt.Sprint(err), "not readable") {
				t.Errorf("%s: %v", name, err)
			} else {
				wantClass(t, messages.ClassInvalid, err)
			}
		}
		if err := state.Save(t.Context(), key, []byte("new")); err != nil {
			t.Fatal(err)
		}
		if got, err := state.Load(t.Context(), key); err != nil || string(got) != "new" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestStateIsFenced keeps a former owner's value from a later owner.
func TestStateIsFenced(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "")
	former, later := openState(t, connect(t, server)), openState(t, connect(t, server))
	key := func(name string, epoch messages.Epoch) messages.StateKey {
		return messages.StateKey{Autoscaler: "prod", Key: name, Epoch: epoch}
	}
	for _, taken := range []struct {
		by   string
		take func(key messages.StateKey) error
	}{
		{"load", func(key messages.StateKey) error {
			_, err := later.Load(t.Context(), key)
			return err
		}},
		{"save", func(key messages.StateKey) error { return later.Save(t.Context(), key, []byte("theirs")) }},
	} {
		for _, kept := range []string{"", "ours"} {
			name := taken.by + " " + kept
			if kept != "" {
				if err := former.Save(t.Context(), key(name, 5), []byte(kept)); err != nil {
					t.Fatal(err)
				}
			}
			if err := taken.take(key(name, 7)); err != nil {
				t.Fatal(err)
			}
			wantClass(t, messages.ClassFenced, former.Save(t.Context(), key(name, 5), []byte("late")))
			_, err := former.Load(t.Context(), key(name, 5))
			wantClass(t, messages.ClassFenced, err)
			want := kept
			if taken.by == "save" {
				want = "theirs"
			}
			for _, epoch := range []messages.Epoch{7, 8} {
				if got, err := later.Load(t.Context(), key(name, epoch)); err != nil || string(got) != want {
					t.Errorf("%s: epoch %d reads %q, %v, want %q", name, epoch, got, err, want)
				}
			}
		}
	}
}

// TestStateIsFencedInARace has owners take over from each other while the former
// ones go on to save: what an owner has read stays until it saves itself.
func TestStateIsFencedInARace(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "")
	state := openState(t, connect(t, server))
	var former sync.WaitGroup
	over, end := context.WithCancel(t.Context())
	defer func() {
		end()
		former.Wait()
	}()
	const owners = 30
	for epoch := messages.Epoch(1); epoch <= owners; epoch++ {
		key := messages.StateKey{Autoscaler: "prod", Key: "pause", Epoch: epoch}
		read, err := state.Load(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			again, err := state.Load(t.Context(), key)
			if err != nil || !bytes.Equal(again, read) {
				t.Fatalf("owner %d has read %q, and then %q, %v", epoch, read, again, err)
			}
		}
		late := openState(t, connect(t, server))
		saved := make(chan struct{})
		former.Go(func() {
			for n := 0; ; n++ {
				err := late.Save(over, key, fmt.Appendf(nil, "%d of owner %d", n, epoch))
				if n == 0 {
					close(saved)
				}
				failure := messages.FailureOf(err)
				switch {
				case over.Err() != nil:
					return
				case failure == nil, failure.Class == messages.ClassTransient: // a later one came between its look and its write
				case failure.Class == messages.ClassFenced && epoch < owners:
					return
				default:
					t.Errorf("owner %d: %v", epoch, err)
					return
				}
			}
		})
		<-saved
	}
}

func TestStateRefusals(t *testing.T) {
	t.Parallel()
	state := openState(t, connect(t, start(t, t.TempDir(), "")))
	key := messages.StateKey{Autoscaler: "prod", Key: "k"}
	wantClass(t, messages.ClassInvalid, state.Save(t.Context(), key, noise(bus.StateLimit+1)))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	wantClass(t, messages.ClassTransient, state.Save(over, key, nil))
	_, err := state.Load(over, key)
	wantClass(t, messages.ClassTransient, err)

	small := external(t, func(o *natsserver.Options) { o.MaxPayload = 8 << 10 })
	conn := dial(t, bus.ConnConfig{URL: small.ClientURL(), EventsMaxBytes: 1 << 20, Log: zerolog.Nop()})
	wantClass(t, messages.ClassInvalid, openState(t, conn).Save(t.Context(), key, noise(8<<10)))

	reader := dial(t, bus.ConnConfig{URL: external(t, func(*natsserver.Options) {}).ClientURL(), ReadOnly: true, Log: zerolog.Nop()})
	if _, err := reader.OpenState(t.Context()); err == nil || !strings.Contains(err.Error(), "KV_ebb_state") {
		t.Errorf("a reader opens state: %v", err)
	}
}
