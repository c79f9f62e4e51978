package bus_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/internal/freeport"
	"github.com/ebbscale/ebb/messages"
)

type question struct {
	Text string `json:"text"`
}

func echo(_ context.Context, request []byte) (any, error) {
	return question{Text: "heard " + string(request)}, nil
}

func serve(t *testing.T, b *bus.Bus, name messages.AutoscalerName, handlers map[string]bus.ControlHandler) *bus.Control {
	t.Helper()
	control, err := b.Serve(t.Context(), bus.ControlConfig{Autoscaler: name, Holder: "host:1", Version: "v1", Handlers: handlers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(control.Stop)
	return control
}

// failureOf asks and answers the class of the failure and its text.
func failureOf(t *testing.T, b *bus.Bus, name messages.AutoscalerName, verb string, request any) (messages.FailureClass, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var answer question
	err := b.Ask(ctx, name, verb, request, &answer)
	if err == nil {
		t.Fatalf("%s answers %+v, want a failure", verb, answer)
	}
	failure := messages.FailureOf(err)
	return failure.Class, failure.Message
}

func TestControlAnswers(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "")
	engine, operator := connect(t, server), connect(t, server)
	control := serve(t, engine, "my prod.eu", map[string]bus.ControlHandler{"status": echo})

	var answer question
	if err := operator.Ask(t.Context(), "my prod.eu", "status", question{Text: "hi"}, &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Text != `heard {"text":"hi"}` {
		t.Errorf("got %+v", answer)
	}
	found, err := operator.Controls(t.Context())
	if want := (bus.ControlInfo{Autoscaler: "my prod.eu", Holder: "host:1", Version: "v1"}); err != nil || len(found) != 1 || found[0] != want {
		t.Errorf("found %+v, %v", found, err)
	}
	if class, text := failureOf(t, operator, "other", "status", question{}); class != messages.ClassHeld || !strings.Contains(text, `"other"`) {
		t.Errorf("asking nobody: %s %s", class, text)
	}
	control.Stop()
	if class, _ := failureOf(t, operator, "my prod.eu", "status", question{}); class != messages.ClassHeld {
		t.Errorf("asking one that has stopped: %s", class)
	}
	if found, err := operator.Controls(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("found %+v, %v after the stop", found, err)
	}
}

func TestControlFailures(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "")
	engine := connect(t, server)
	serve(t, engine, "prod", map[string]bus.ControlHandler{
		"refuse": func(context.Context, []byte) (any, error) {
			return nil, &messages.Failure{Class: messages.ClassNotFound, Message: "no such\r\nthing: " + strings.Repeat("x", 2000)}
		},
		"break": func(context.Context, []byte) (any, error) { panic("as told") },
		"odd":   func(context.Context, []byte) (any, error) { return nil, errors.New("of no class") },
		"long":  func(context.Context, []byte) (any, error) { return question{Text: strings.Repeat("x", 2<<20)}, nil },
		"mute":  func(context.Context, []byte) (any, error) { return func() {}, nil },
		"echo":  echo,
	})
	for verb, want := range map[string]struct {
		class messages.FailureClass
		text  string
	}{
		"refuse": {messages.ClassNotFound, "no such\r\nthing: xxx"},
		"break":  {messages.ClassUnknown, "report it: as told"},
		"odd":    {messages.ClassUnknown, "of no class"},
		"long":   {messages.ClassInvalid, "too long"},
		"mute":   {messages.ClassUnknown, "unsupported type"},
	} {
		if class, text := failureOf(t, engine, "prod", verb, question{}); class != want.class || !strings.Contains(text, want.text) {
			t.Errorf("%s: got %s %.100q, want %s %q", verb, class, text, want.class, want.text)
		}
	}
	if class, text := failureOf(t, engine, "prod", "echo", question{Text: strings.Repeat("x", 65<<10)}); class != messages.ClassInvalid || !strings.Contains(text, "at most 65536") {
		t.Errorf("a long request: %s %s", class, text)
	}
	var answer question
	if err := engine.Ask(t.Context(), "prod", "echo", question{}, &answer); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// Requests that hang keep others from being answered only when there are as many
// as are worked on at once, and the end of the service ends them.
// TestControlFailsFast has handlers fail while the service goes on with their request:
// the race detector is to find nothing.
func TestControlFailsFast(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "")
	engine, operator := connect(t, server), connect(t, server)
	serve(t, engine, "prod", map[string]bus.ControlHandler{"refuse": func(context.Context, []byte) (any, error) {
		return nil, &messages.Failure{Class: messages.ClassInvalid, Message: "no"}
	}})
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			for range 200 {
				failure := messages.FailureOf(operator.Ask(t.Context(), "prod", "refuse", question{}, nil))
				if failure == nil || failure.Class != messages.ClassInvalid || failure.Message != "no" {
					t.Errorf("got %v", failure)
					return
				}
			}
		})
	}
	asking.Wait()
}

func TestControlThatHangs(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "")
	engine := connect(t, server)
	began := make(chan struct{}, 16)
	control := serve(t, engine, "prod", map[string]bus.ControlHandler{
		"hang": func(ctx context.Context, _ []byte) (any, error) {
			began <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"echo": echo,
	})
	ended := make(chan error, 15)
	for range 15 {
		go func() { ended <- engine.Ask(t.Context(), "prod", "hang", question{}, &question{}) }()
		<-began
	}
	if err := engine.Ask(t.Context(), "prod", "echo", question{}, &question{}); err != nil {
		t.Errorf("beside those that hang: %v", err)
	}
	control.Stop()
	for range 15 {
		if err := <-ended; err == nil {
			t.Error("one that hung got an answer")
		}
	}
}

// The permissions that docs/control.md shows let a user watch and not command.
func TestControlPermissions(t *testing.T) {
	t.Parallel()
	server := external(t, func(o *natsserver.Options) {
		o.Users = []*natsserver.User{{Username: "ebb", Password: "e"}, {Username: "watcher", Password: "w", Permissions: &natsserver.Permissions{
			Publish:   &natsserver.SubjectPermission{Allow: []string{"ebb.control.v1.*.status", "ebb.control.v1.*.explain", "$SRV.>"}},
			Subscribe: &natsserver.SubjectPermission{Allow: []string{"_INBOX.>", "ebb.v1.>"}},
		}}}
	})
	as := func(user, password string) *bus.Bus {
		return dial(t, bus.ConnConfig{URL: server.ClientURL(), User: user, Password: password, ReadOnly: true, Name: user, Log: zerolog.Nop()})
	}
	engine, watcher := as("ebb", "e"), as("watcher", "w")
	paused := false
	serve(t, engine, "prod", map[string]bus.ControlHandler{"status": echo, "pause": func(ctx context.Context, request []byte) (any, error) {
		paused = true
		return echo(ctx, request)
	}})
	if err := watcher.Ask(t.Context(), "prod", "status", question{}, &question{}); err != nil {
		t.Error(err)
	}
	if found, err := watcher.Controls(t.Context()); err != nil || len(found) != 1 {
		t.Errorf("found %+v, %v", found, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := watcher.Ask(ctx, "prod", "pause", question{}, &question{}); err == nil || paused {
		t.Errorf("a watcher pauses: %v", err)
	}
}

// TestControlHeedsRequestsOnly has a reader of a stream name a control subject for
// the answers of JetStream, which the server then publishes there whatever the
// reader may do: nothing of that is an order.
func TestControlHeedsRequestsOnly(t *testing.T) {
	t.Parallel()
	server := external(t, func(*natsserver.Options) {})
	engine := dial(t, bus.ConnConfig{URL: server.ClientURL(), Name: t.Name(), EventsMaxBytes: small, Log: zerolog.Nop()})
	heard := make(chan string, 10)
	serve(t, engine, "prod", map[string]bus.ControlHandler{"pause": func(_ context.Context, request []byte) (any, error) {
		heard <- string(request)
		return question{}, nil
	}})
	conn, err := nats.Connect(server.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := conn.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Publish("ebb.v1.prod.queue.observed", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.AddConsumer(bus.EventStream, &nats.ConsumerConfig{Durable: "reader", AckPolicy: nats.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	control := bus.ControlSubject("prod", "pause")
	for _, ask := range []string{"$JS.API.CONSUMER.MSG.NEXT." + bus.EventStream + ".reader", "$JS.API.STREAM.MSG.GET." + bus.EventStream} {
		for range 2 { // a message, and that there is none
			if err := conn.PublishRequest(ask, control, []byte(`{"no_wait":true,"seq":1,"batch":1}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := conn.Publish(control, nil); err != nil { // and one that nobody waits for
		t.Fatal(err)
	}
	if err := engine.Ask(t.Context(), "prod", "pause", question{Text: "in earnest"}, &question{}); err != nil {
		t.Fatal(err)
	}
	for first := <-heard; ; first = <-heard {
		if strings.Contains(first, "in earnest") {
			return
		}
		if first == "" || first == "{}" {
			t.Errorf("the handler was given %q, which nobody asked", first)
		}
	}
}

func TestControlWithoutServer(t *testing.T) {
	t.Parallel()
	server := external(t, func(o *natsserver.Options) { o.Port = freeport.Number(t) }) // nobody else's after its end
	b := dial(t, bus.ConnConfig{URL: server.ClientURL(), ReadOnly: true, Name: "test", Log: zerolog.Nop()})
	server.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if failure := messages.FailureOf(b.Ask(ctx, "prod", "status", question{}, &question{})); failure == nil || failure.Class != messages.ClassTransient {
		t.Errorf("got %v", failure)
	}
}
