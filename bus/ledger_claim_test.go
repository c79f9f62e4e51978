package bus_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

func claim(tb testing.TB, ledger *bus.Ledger, epoch messages.Epoch) {
	tb.Helper()
	if err := ledger.Claim(tb.Context(), epoch); err != nil {
		tb.Fatal(err)
	}
}

// wantClass checks the class of a failure.
func wantClass(tb testing.TB, want messages.FailureClass, err error) {
	tb.Helper()
	var failure *messages.Failure
	if !errors.As(err, &failure) || failure.Class != want {
		tb.Errorf("error %v, want one of class %s", err, want)
	}
}

// by is an intent of an owner.
func by(epoch messages.Epoch, request messages.RequestID, resource messages.ResourceName) messages.LaunchIntent {
	intent := wanted(request, resource)
	intent.Epoch = epoch
	return intent
}

// failedBy and gaveBy are outcomes that an owner tells.
func failedBy(epoch messages.Epoch) messages.LaunchOutcome {
	outcome := failed(noon)
	outcome.Epoch = epoch
	return outcome
}

func gaveBy(epoch messages.Epoch, ids ...messages.InstanceID) messages.LaunchOutcome {
	outcome := gave(noon, ids...)
	outcome.Epoch = epoch
	return outcome
}

func intendError(tb testing.TB, ledger *bus.Ledger, intent messages.LaunchIntent) error {
	tb.Helper()
	_, err := ledger.Intend(tb.Context(), intent)
	return err
}

// rawRecord is what a test reads of a record, past the ledger.
type rawRecord struct {
	Kind    string                  `json:"kind"`
	Epoch   messages.Epoch          `json:"epoch"`
	Intent  *messages.LaunchIntent  `json:"intent"`
	Launch  messages.LaunchID       `json:"launch"`
	Outcome *messages.LaunchOutcome `json:"outcome"`
}

func rawRecords(tb testing.TB, address string) []rawRecord {
	tb.Helper()
	stream := ledgerStream(tb, address)
	var records []rawRecord
	for sequence := range stream.CachedInfo().State.LastSeq {
		message, err := stream.GetMsg(tb.Context(), sequence+1)
		if err != nil {
			tb.Fatal(err)
		}
		var record rawRecord
		if err := json.Unmarshal(message.Data, &record); err != nil {
			tb.Fatal(err)
		}
		records = append(records, record)
	}
	return records
}

// wantEpochsGrow checks what a claim promises, on the records themselves: no
// intent and no failure has an epoch below one that was claimed before it.
func wantEpochsGrow(records []rawRecord) error {
	var highest messages.Epoch
	for n, record := range records {
		epoch := record.Epoch
		switch {
		case record.Intent != nil:
			epoch = record.Intent.Epoch
		case record.Outcome != nil && len(record.Outcome.Instances) == 0:
			epoch = record.Outcome.Epoch
		}
		if epoch < highest {
			return fmt.Errorf("record %d is a %s of epoch %d; epoch %d was claimed before", n+1, record.Kind, epoch, highest)
		}
		if record.Epoch < highest {
			return fmt.Errorf("record %d says that epoch %d is claimed; it is %d", n+1, record.Epoch, highest)
		}
		highest = record.Epoch
	}
	return nil
}

func TestClaimShutsTheEarlierOwnerOut(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	conn := connect(t, server)
	before, after := open(t, conn, "prod"), open(t, conn, "prod")
	claim(t, before, 0) // nothing was claimed
	claim(t, before, 5)
	claim(t, before, 5)
	first := intend(t, before, by(5, "r1", "gpu"))
	second := intend(t, before, by(5, "r2", "gpu"))
	third := intend(t, before, by(5, "r3", "gpu"))
	claim(t, after, 6)

	// On a resource type with records, and on one that has none yet.
	wantClass(t, messages.ClassFenced, intendError(t, before, by(5, "r4", "gpu")))
	wantClass(t, messages.ClassFenced, intendError(t, before, by(5, "r5", "cpu")))
	wantClass(t, messages.ClassFenced, intendError(t, open(t, conn, "prod"), by(5, "r6", "tpu")))
	wantClass(t, messages.ClassFenced, before.Settle(t.Context(), first.Launch, failedBy(5)))
	wantClass(t, messages.ClassFenced, before.Claim(t.Context(), 5))
	wantClass(t, messages.ClassFenced, before.Claim(t.Context(), 0))
	settle(t, before, second.Launch, gaveBy(5, "i-1")) // instances are truth

	settle(t, after, first.Launch, failedBy(6))
	fourth := intend(t, after, by(6, "r7", "cpu"))
	if again := intend(t, after, by(6, "r3", "gpu")); !reflect.DeepEqual(again, third) {
		t.Errorf("the new owner asks for a request of the old one, and is answered %+v", again)
	}
	first.Settled, first.Outcome = true, failedBy(6)
	second.Settled, second.Outcome = true, gaveBy(5, "i-1")
	want := []messages.LaunchRecord{first, second, third, fourth}
	for which, reader := range map[string]*bus.Ledger{"old": before, "new": after, "fresh": open(t, conn, "prod")} {
		if got := launches(t, reader, time.Time{}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s ledger:\n got %+v\nwant %+v", which, got, want)
		}
	}
	if err := wantEpochsGrow(rawRecords(t, server.URL())); err != nil {
		t.Error(err)
	}
	intend(t, open(t, conn, "other"), by(1, "r1", "gpu")) // another autoscaler's ledger
}

// The fence is not forgotten by who has seen it, also when the stream is lost.
func TestClaimOutlivesTheStream(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	conn := connect(t, server)
	old, owner := open(t, conn, "prod"), open(t, conn, "prod")
	claim(t, old, 5)
	claim(t, owner, 6)
	deleteStream(t, server.URL(), bus.LedgerStream)
	intend(t, owner, by(6, "r1", "gpu"))
	wantClass(t, messages.ClassFenced, intendError(t, old, by(5, "r2", "gpu")))
	wantClass(t, messages.ClassFenced, owner.Claim(t.Context(), 5))
}

// The old owner's record is on its way, prepared when nothing forbade it, and
// arrives after the claim.
func TestPausedOwnerIsShutOut(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	for name, say := range map[string]func(*bus.Ledger, messages.LaunchID) error{
		"intent": func(l *bus.Ledger, _ messages.LaunchID) error {
			return intendError(t, l, by(5, "late", "gpu"))
		},
		"intent of a new resource type": func(l *bus.Ledger, _ messages.LaunchID) error {
			return intendError(t, l, by(5, "late", "cpu"))
		},
		"failure": func(l *bus.Ledger, launch messages.LaunchID) error {
			return l.Settle(t.Context(), launch, failedBy(5))
		},
	} {
		autoscaler := messages.AutoscalerName(name)
		way := startRelay(t, server.URL()[len("nats://"):])
		old := open(t, dial(t, bus.ConnConfig{URL: way.url(), Log: zerolog.Nop()}), autoscaler)
		claim(t, old, 5)
		launch := intend(t, old, by(5, "early", "gpu")).Launch
		reached, resume := make(chan struct{}), make(chan struct{})
		way.mu.Lock()
		way.tamper = func([]byte) { // runs with the relay's lock, once
			way.tamper = nil
			close(reached)
			<-resume
		}
		way.mu.Unlock()
		answer := make(chan error, 1)
		go func() { answer <- say(old, launch) }()
		<-reached
		after := open(t, connect(t, server), autoscaler)
		claim(t, after, 6)
		before := launches(t, after, time.Time{})
		close(resume)
		wantClass(t, messages.ClassFenced, <-answer)
		if got := launches(t, after, time.Time{}); len(got) != 1 || !reflect.DeepEqual(got, before) {
			t.Errorf("%s: the new owner saw %+v when it began, and now %+v", name, before, got)
		}
	}
}

func TestConcurrentClaims(t *testing.T) {
	t.Parallel()
	const owners, each = 6, 12
	server := start(t, t.TempDir(), "127.0.0.1:0")
	var group sync.WaitGroup
	for o := range owners {
		ledger := open(t, dial(t, bus.ConnConfig{URL: server.URL(), Log: zerolog.Nop()}), "prod")
		group.Go(func() {
			for n := range each {
				epoch := messages.Epoch(n*owners + o + 1)
				err := ledger.Claim(t.Context(), epoch)
				var record messages.LaunchRecord
				if err == nil {
					record, err = ledger.Intend(t.Context(), by(epoch, messages.RequestID(fmt.Sprint(epoch)), "gpu"))
				}
				if err == nil {
					err = ledger.Settle(t.Context(), record.Launch, failedBy(epoch))
				}
				if err != nil && messages.FailureOf(err).Class != messages.ClassFenced {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	records := rawRecords(t, server.URL())
	if err := wantEpochsGrow(records); err != nil {
		t.Error(err)
	}
	if highest := records[len(records)-1].Epoch; highest != owners*each {
		t.Errorf("epoch %d was claimed last, want %d: the highest claim never fails", highest, owners*each)
	}
}

// What versions before the claim wrote, one subject per resource type, is read
// and settled, and goes when it is old.
func TestOlderLedgerIsRead(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	conn := connect(t, server)
	nonce := ledgerStream(t, server.URL()).CachedInfo().Config.Metadata["ebb_nonce"]
	write := func(resource, body string, more ...any) messages.LaunchID {
		ack, err := admin(t, server.URL()).Publish(t.Context(), "ebb.ledger.v1.prod."+resource, fmt.Appendf(nil, body, more...))
		if err != nil {
			t.Fatal(err)
		}
		return messages.LaunchID(fmt.Sprint(nonce, "-", ack.Sequence))
	}
	const intent = `{"kind":"intent","intent":{"request":%q,"resource":%q,"offering":{"market":"spot","instance_type":"g5.xlarge"},"count":1,"at":"2026-03-01T12:00:00Z"}}`
	settled := write("gpu", intent, "r1", "gpu")
	unsettled := write("cpu", intent, "r2", "cpu")
	write("gpu", `{"kind":"done","launch":%q,"outcome":{"instances":["i-1"],"at":"2026-03-01T12:00:00Z"}}`, settled)

	ledger, err := conn.OpenLedger(t.Context(), bus.LedgerConfig{Autoscaler: "prod", Retain: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	check := func(want ...messages.LaunchID) {
		t.Helper()
		for which, reader := range map[string]*bus.Ledger{"same": ledger, "fresh": open(t, conn, "prod")} {
			var got []messages.LaunchID
			for _, record := range launches(t, reader, noon.Add(time.Minute)) {
				got = append(got, record.Launch)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s ledger: open or settled later %v, want %v", which, got, want)
			}
		}
	}
	check(unsettled)
	claim(t, ledger, 3)
	if again := intend(t, ledger, by(3, "r2", "cpu")); again.Launch != unsettled || again.Token != "ebb-"+string(unsettled) {
		t.Errorf("an old request is answered %+v", again)
	}
	wantClass(t, messages.ClassFenced, ledger.Settle(t.Context(), unsettled, failedBy(2)))
	settle(t, ledger, unsettled, gaveBy(3, "i-2"))
	check()
	added := intend(t, ledger, by(3, "r3", "gpu"))
	check(added.Launch)
	settle(t, ledger, added.Launch, gaveBy(3, "i-3"))
	// Enough to be removed: all of it goes together, whatever the subject.
	for n := range 200 {
		settle(t, ledger, intend(t, ledger, by(3, messages.RequestID(fmt.Sprint("more-", n)), "gpu")).Launch, gaveBy(3, "i-4"))
	}
	settle(t, ledger, intend(t, ledger, by(3, "new", "gpu")).Launch, gave(noon.Add(2*time.Hour), "i-5"))
	if got := recordCount(t, server.URL()); got != 2 {
		t.Errorf("%d records, want those of the new launch", got)
	}
	if got := launches(t, open(t, conn, "prod"), time.Time{}); len(got) != 1 || got[0].Intent.Request != "new" {
		t.Errorf("launches %+v", got)
	}
}
