//go:build real

package examples_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

// TestViewerMayOnlyWatch tries with the login of the page what only ebb and its operators
// may do.
func TestViewerMayOnlyWatch(t *testing.T) {
	t.Parallel()

	s := newServer(t, nil)
	b := s.ebb(t)
	s.mirror(t)
	refusals := make(chan error, 1)
	viewer := s.connect(t, "viewer", viewerPassword, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refusals <- err }))
	refused := func(t *testing.T, what string) {
		t.Helper()
		select {
		case err := <-refusals:
			if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), what) {
				t.Errorf("refused with %v; that does not name %s", err, what)
			}
		case <-time.After(slow):
			t.Errorf("%s is not refused", what)
		}
	}

	for _, subject := range []string{
		bus.ControlSubject(autoscaler, "pause"), bus.ControlSubject(autoscaler, "status"), "$SRV.PING.ebb",
		bus.EventSubject(autoscaler, "instance.launched"), "ebb.ledger.v1.prod.x", "$KV.ebb_leases.prod",
		"$JS.API.STREAM.DELETE.EBB_EVENTS", "$JS.API.STREAM.PURGE.EBB_EVENTS", "$JS.API.STREAM.CREATE.OTHER",
		"$JS.API.CONSUMER.CREATE.EBB_LEDGER.x", "mirror.api.CONSUMER.CREATE.EBB_EVENTS", "anything",
	} {
		if err := viewer.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		refused(t, subject)
	}
	for _, subject := range []string{"ebb.control.v1.>", ">", "ebb.>", "$SYS.>", "$JS.API.>", "mirror.>"} {
		subscription, err := viewer.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, subject)
		_ = subscription.Unsubscribe()
	}

	live, err := viewer.SubscribeSync("ebb.v1.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := viewer.Flush(); err != nil {
		t.Fatal(err)
	}
	publish(t, b, recorded("once", messages.QueueCreated{Queue: "gpu"}))
	if message, err := live.NextMsg(slow); err != nil || message.Subject != bus.EventSubject(autoscaler, "queue.created") {
		t.Errorf("the viewer sees %v, %v live; want the event", message, err)
	}
	js, err := jetstream.New(viewer)
	if err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, "the event is in the viewers' copy, with its number", func() bool {
		stream, err := js.Stream(t.Context(), bus.EventStream)
		return err == nil && stream.CachedInfo().State.LastSeq == 1 && stream.CachedInfo().State.Msgs == 1
	})
	select {
	case err := <-refusals:
		t.Errorf("refused by surprise: %v", err)
	default:
	}
}

// TestAccountsNotPermissions shows why the configuration has two accounts. JetStream
// itself publishes to the subjects that its clients name, for their replies and as
// deliver_subject of a consumer, and no permission is asked for that. In ebb's own
// account a login that may only read can so write into the launch ledger; from the
// account of the viewers it reaches nothing. What comes on a control subject in this
// way ebb takes for no order in either.
func TestAccountsNotPermissions(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		account string
		reaches bool
	}{
		"viewers' account": {account: "VIEWERS", reaches: false},
		"ebb's account":    {account: "EBB", reaches: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := newServer(t, func(options *natsserver.Options) {
				for _, user := range options.Users {
					if user.Username == "viewer" {
						user.Account = accountOf(t, options, c.account)
					}
				}
			})
			b := s.ebb(t)
			s.mirror(t)
			orders := &atomic.Int64{}
			control, err := b.Serve(t.Context(), bus.ControlConfig{Autoscaler: autoscaler, Handlers: map[string]bus.ControlHandler{
				"pause": func(context.Context, []byte) (any, error) { orders.Add(1); return struct{}{}, nil },
			}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(control.Stop)
			publish(t, b, recorded("once", messages.QueueCreated{Queue: "gpu"}))

			attack(t, s)

			if c.reaches {
				within(t, 20*time.Second, "the attack works, else it shows nothing", func() bool { return ledgerRecords(t, s) > 0 })
			}
			time.Sleep(2 * time.Second)
			if c.reaches && orders.Load() == 0 {
				return
			}
			if orders.Load() > 0 || ledgerRecords(t, s) > 0 || consumers(t, s) > 1 {
				t.Errorf("a viewer gave %d orders, wrote %d records into the launch ledger, and ebb's stream has %d consumers; want 0, 0 and the copy's",
					orders.Load(), ledgerRecords(t, s), consumers(t, s))
			}
		})
	}
}

// attack lets JetStream publish where the viewer itself may not.
func attack(t *testing.T, s *eventServer) {
	t.Helper()
	viewer := s.connect(t, "viewer", viewerPassword)
	order := bus.ControlSubject(autoscaler, "pause")
	create := func(name, deliver string) {
		config := map[string]any{"name": name, "deliver_policy": "all", "ack_policy": "none", "headers_only": true, "mem_storage": true}
		if deliver != "" {
			config["deliver_subject"] = deliver
		}
		request, err := json.Marshal(map[string]any{"stream_name": bus.EventStream, "config": config})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := viewer.Request("$JS.API.CONSUMER.CREATE.EBB_EVENTS."+name, request, slow)
		if err != nil || strings.Contains(string(answer.Data), `"error"`) {
			t.Fatalf("make consumer %s: %v: %s", name, err, answer.Data)
		}
	}
	create("pushed-order", order)
	create("pushed-record", "ebb.ledger.v1.prod.x")
	create("pulled-order", "")
	create("pulled-record", "")
	for subject, reply := range map[string]string{
		"$JS.API.CONSUMER.MSG.NEXT.EBB_EVENTS.pulled-order":  order,
		"$JS.API.CONSUMER.MSG.NEXT.EBB_EVENTS.pulled-record": "ebb.ledger.v1.prod.x",
		// The answer has a configuration in it: may it pass for a request?
		"$JS.API.CONSUMER.INFO.EBB_EVENTS.pushed-order": "mirror.api.CONSUMER.CREATE.EBB_EVENTS",
	} {
		if err := viewer.PublishRequest(subject, reply, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := viewer.Flush(); err != nil {
		t.Fatal(err)
	}
}

func accountOf(t *testing.T, options *natsserver.Options, name string) *natsserver.Account {
	t.Helper()
	for _, account := range options.Accounts {
		if account.Name == name {
			return account
		}
	}
	t.Fatalf("no account %s in the configuration", name)
	return nil
}

// ledgerRecords counts what is in the launch ledger.
func ledgerRecords(t *testing.T, s *eventServer) uint64 {
	t.Helper()
	return streamOfEbb(t, s, bus.LedgerStream).State.Msgs
}

// consumers counts those of ebb's event stream.
func consumers(t *testing.T, s *eventServer) int {
	t.Helper()
	return streamOfEbb(t, s, bus.EventStream).State.Consumers
}

func streamOfEbb(t *testing.T, s *eventServer, name string) *jetstream.StreamInfo {
	t.Helper()
	js, err := jetstream.New(s.connect(t, "ebb", ebbPassword))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo()
}
