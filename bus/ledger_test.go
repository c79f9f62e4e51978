package bus_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

func open(tb testing.TB, conn *bus.Bus, autoscaler messages.AutoscalerName) *bus.Ledger {
	tb.Helper()
	ledger, err := conn.OpenLedger(tb.Context(), bus.LedgerConfig{Autoscaler: autoscaler})
	if err != nil {
		tb.Fatal(err)
	}
	return ledger
}

func wanted(request messages.RequestID, resource messages.ResourceName) messages.LaunchIntent {
	return messages.LaunchIntent{
		Request: request, Resource: resource, Count: 2, At: noon,
		Offering: messages.Offering{Market: messages.Spot, InstanceType: "g5.xlarge", Zone: "us-east-1a"},
	}
}

func intend(tb testing.TB, ledger *bus.Ledger, intent messages.LaunchIntent) messages.LaunchRecord {
	tb.Helper()
	record, err := ledger.Intend(tb.Context(), intent)
	if err != nil {
		tb.Fatal(err)
	}
	return record
}

func settle(tb testing.TB, ledger *bus.Ledger, launch messages.LaunchID, outcome messages.LaunchOutcome) {
	tb.Helper()
	if err := ledger.Settle(tb.Context(), launch, outcome); err != nil {
		tb.Fatal(err)
	}
}

func launches(tb testing.TB, ledger *bus.Ledger, since time.Time) []messages.LaunchRecord {
	tb.Helper()
	records, err := ledger.Launches(tb.Context(), since)
	if err != nil {
		tb.Fatal(err)
	}
	return records
}

func gave(at time.Time, ids ...messages.InstanceID) messages.LaunchOutcome {
	return messages.LaunchOutcome{Instances: ids, At: at}
}

func failed(at time.Time) messages.LaunchOutcome {
	return messages.LaunchOutcome{At: at, Failure: &messages.Failure{Class: messages.ClassNoCapacity, Code: "InsufficientInstanceCapacity"}}
}

func TestLedgerTellsWhatBecameOfEachLaunch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := start(t, dir, "")
	conn := connect(t, server)
	ledger := open(t, conn, "my prod")

	first := intend(t, ledger, wanted("r1", "gpu.big"))
	if first.Settled || !reflect.DeepEqual(first.Intent, wanted("r1", "gpu.big")) {
		t.Errorf("first record %+v", first)
	}
	if !regexp.MustCompile(`^ebb-[a-z2-7]{12}-\d+$`).MatchString(first.Token) || first.Token != "ebb-"+string(first.Launch) {
		t.Errorf("launch %q, token %q", first.Launch, first.Token)
	}
	if again := intend(t, ledger, wanted("r1", "gpu.big")); !reflect.DeepEqual(again, first) {
		t.Errorf("the same request again answers %+v", again)
	}
	second := intend(t, ledger, wanted("r2", "gpu.big"))
	third := intend(t, ledger, wanted("r3", "cpu"))
	settle(t, ledger, first.Launch, gave(noon, "i-1", "i-2"))
	settle(t, ledger, third.Launch, failed(noon.Add(time.Hour)))

	first.Settled, first.Outcome = true, gave(noon, "i-1", "i-2")
	third.Settled, third.Outcome = true, failed(noon.Add(time.Hour))
	check := func(ledger *bus.Ledger) {
		t.Helper()
		for since, want := range map[time.Time][]messages.LaunchRecord{
			{}:                      {first, second, third},
			noon:                    {first, second, third},
			noon.Add(time.Second):   {second, third},
			noon.Add(2 * time.Hour): {second},
		} {
			if got := launches(t, ledger, since); !reflect.DeepEqual(got, want) {
				t.Errorf("launches since %s:\n got %+v\nwant %+v", since, got, want)
			}
		}
	}
	check(ledger)
	if again := intend(t, ledger, wanted("r1", "gpu.big")); !reflect.DeepEqual(again, first) {
		t.Errorf("the same request after its end answers %+v", again)
	}
	if others := launches(t, open(t, conn, "other"), time.Time{}); len(others) != 0 {
		t.Errorf("another autoscaler sees %+v", others)
	}

	conn.Close()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	ledger = open(t, connect(t, start(t, dir, "")), "my prod")
	check(ledger)
	if again := intend(t, ledger, wanted("r2", "gpu.big")); !reflect.DeepEqual(again, second) {
		t.Errorf("the same request after a restart answers %+v", again)
	}
}

func TestSettleIsIdempotentAndForgetsNoInstance(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	ledger := open(t, connect(t, server), "prod")
	launch := intend(t, ledger, wanted("r", "gpu")).Launch
	steps := []struct {
		name    string
		say     messages.LaunchOutcome
		want    messages.LaunchOutcome
		records int
	}{
		{"first", failed(noon), failed(noon), 2},
		{"again", failed(noon.Add(time.Second)), failed(noon), 2},
		{"but there is one", gave(noon.Add(time.Minute), "i-1"), gave(noon.Add(time.Minute), "i-1"), 3},
		{"and another", gave(noon.Add(time.Hour), "i-2"), gave(noon.Add(time.Hour), "i-1", "i-2"), 4},
		{"all of them", gave(noon.Add(2*time.Hour), "i-2", "i-1"), gave(noon.Add(time.Hour), "i-1", "i-2"), 4},
		{"a failure takes none back", failed(noon.Add(2 * time.Hour)), gave(noon.Add(time.Hour), "i-1", "i-2"), 4},
	}
	for _, step := range steps {
		settle(t, ledger, launch, step.say)
		// A second ledger folds what is written; both must agree.
		for which, reader := range map[string]*bus.Ledger{"same": ledger, "fresh": open(t, connect(t, server), "prod")} {
			if got := launches(t, reader, time.Time{}); len(got) != 1 || !reflect.DeepEqual(got[0].Outcome, step.want) {
				t.Errorf("%s, %s ledger: %+v, want outcome %+v", step.name, which, got, step.want)
			}
		}
		if got := recordCount(t, server.URL()); got != step.records {
			t.Errorf("%s: %d records, want %d", step.name, got, step.records)
		}
	}
}

func TestEightWritersAgree(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 20
	server := start(t, t.TempDir(), "127.0.0.1:0")
	tokens := make([]map[messages.RequestID]string, writers)
	var group sync.WaitGroup
	for w := range writers {
		conn := dial(t, bus.ConnConfig{URL: server.URL(), Log: zerolog.Nop()})
		ledger := open(t, conn, "prod")
		tokens[w] = map[messages.RequestID]string{}
		group.Go(func() {
			for n := range each {
				// One request of its own, and one that all of them make.
				for _, request := range []string{fmt.Sprintf("own-%d-%d", w, n), fmt.Sprintf("shared-%d", n)} {
					record, err := ledger.Intend(t.Context(), wanted(messages.RequestID(request), "gpu"))
					if err == nil {
						err = ledger.Settle(t.Context(), record.Launch, gave(noon, messages.InstanceID("i-"+request)))
					}
					if err != nil {
						t.Error(err)
						return
					}
					tokens[w][messages.RequestID(request)] = record.Token
				}
			}
		})
	}
	group.Wait()

	byToken := map[string]messages.RequestID{}
	for _, record := range launches(t, open(t, connect(t, server), "prod"), time.Time{}) {
		if other, ok := byToken[record.Token]; ok {
			t.Errorf("requests %s and %s share the token %s", other, record.Intent.Request, record.Token)
		}
		byToken[record.Token] = record.Intent.Request
		if !record.Settled {
			t.Errorf("request %s is not settled", record.Intent.Request)
		}
	}
	if want := writers*each + each; len(byToken) != want {
		t.Errorf("%d intents, want %d", len(byToken), want)
	}
	for w, mine := range tokens {
		for request, token := range mine {
			if byToken[token] != request {
				t.Errorf("writer %d was told %s for %s; the ledger says %s", w, token, request, byToken[token])
			}
		}
	}
}

// A ledger that is used by many goroutines at once takes turns, and gives up
// waiting when told to.
func TestLedgerTakesTurns(t *testing.T) {
	t.Parallel()
	ledger := open(t, connect(t, start(t, t.TempDir(), "")), "prod")
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			record, err := ledger.Intend(t.Context(), wanted(messages.RequestID(fmt.Sprint("r", n%4)), "gpu"))
			if err != nil || record.Intent.Request != messages.RequestID(fmt.Sprint("r", n%4)) {
				t.Errorf("%+v, %v", record, err)
			}
		})
	}
	group.Wait()
	if got := launches(t, ledger, time.Time{}); len(got) != 4 {
		t.Errorf("%d launches, want 4", len(got))
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ledger.Intend(over, wanted("late", "gpu")); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context ended: %v", err)
	}
}

// Neither a lost state directory nor a deleted stream brings a token back.
func TestNewLedgerNeverReusesATokenOrALaunchID(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	note := func(record messages.LaunchRecord) {
		t.Helper()
		for _, name := range []string{record.Token, "launch " + string(record.Launch)} {
			if seen[name] {
				t.Errorf("%s was given out twice", name)
			}
			seen[name] = true
		}
	}
	note(intend(t, open(t, connect(t, start(t, t.TempDir(), "")), "prod"), wanted("r", "gpu")))

	server := start(t, t.TempDir(), "127.0.0.1:0")
	ledger := open(t, connect(t, server), "prod")
	old := intend(t, ledger, wanted("r", "gpu"))
	note(old)
	deleteStream(t, server.URL(), bus.LedgerStream)
	// The open ledger notices, on a subject it knows and on one it does not.
	note(intend(t, ledger, wanted("r2", "cpu")))
	note(intend(t, ledger, wanted("r3", "gpu")))
	deleteStream(t, server.URL(), bus.LedgerStream)
	if got := launches(t, ledger, time.Time{}); len(got) != 0 {
		t.Errorf("launches of a deleted ledger: %+v", got)
	}
	var failure *messages.Failure
	if err := ledger.Settle(t.Context(), old.Launch, failed(noon)); !errors.As(err, &failure) || failure.Class != messages.ClassNotFound {
		t.Errorf("settle a launch of a deleted ledger: %v", err)
	}
	note(intend(t, ledger, wanted("r", "gpu")))
	// Somebody else makes the new one, before the open ledger notices.
	deleteStream(t, server.URL(), bus.LedgerStream)
	connect(t, server)
	note(intend(t, ledger, wanted("r4", "disk")))
	note(intend(t, ledger, wanted("r5", "disk")))
}

// The answer to an append may be lost: whatever happens to the connection and
// the server, the same request ends in one record.
func TestIntendThroughLoss(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := external(t, func(o *natsserver.Options) { o.StoreDir = dir })
	way := startRelay(t, server.Addr().String())
	conn := dial(t, bus.ConnConfig{URL: way.url(), EventsMaxBytes: small, Log: zerolog.Nop()})
	ledger := open(t, conn, "prod")
	got := map[messages.RequestID]messages.LaunchRecord{}
	stop, done := make(chan struct{}), make(chan struct{})
	var count atomic.Int64
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			request := messages.RequestID(fmt.Sprintf("r-%d", n))
			for try, end := 0, time.Now().Add(patience); ; try++ {
				// Short, so that many tries are cut, and longer when the machine is slow.
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(min(200+20*try, 5000))*time.Millisecond)
				record, err := ledger.Intend(ctx, wanted(request, "gpu"))
				cancel()
				if err == nil {
					got[request] = record
					count.Add(1)
					break
				}
				if time.Now().After(end) {
					t.Errorf("request %s, try %d: %v", request, try, err)
					return
				}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for round := range 2 {
		for seen := count.Load(); count.Load() < seen+3 && t.Context().Err() == nil && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		way.cut("")
		if round%2 == 1 {
			server.Shutdown()
			server.WaitForShutdown()
			server = external(t, func(o *natsserver.Options) { o.StoreDir = dir })
		}
		way.cut(server.Addr().String())
	}
	close(stop)
	<-done
	records := launches(t, open(t, dial(t, bus.ConnConfig{URL: way.url(), Log: zerolog.Nop()}), "prod"), time.Time{})
	if len(records) != len(got) || len(got) < 6 {
		t.Fatalf("%d records for %d requests", len(records), len(got))
	}
	for _, record := range records {
		if !reflect.DeepEqual(got[record.Intent.Request], record) {
			t.Errorf("the ledger says %+v, Intend said %+v", record, got[record.Intent.Request])
		}
	}
}

func TestSettledLaunchesAreTrimmed(t *testing.T) {
	t.Parallel()
	const many = 200
	server := start(t, t.TempDir(), "127.0.0.1:0")
	conn := connect(t, server)
	ledger, err := conn.OpenLedger(t.Context(), bus.LedgerConfig{Autoscaler: "prod", Retain: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	other := open(t, conn, "other")
	mine := intend(t, other, wanted("mine", "gpu"))
	run := func(prefix string, count int, at time.Time) {
		for n := range count {
			record := intend(t, ledger, wanted(messages.RequestID(fmt.Sprint(prefix, n)), "gpu"))
			settle(t, ledger, record.Launch, gave(at, "i-1"))
		}
	}
	run("old-", many, noon)
	pinned := intend(t, ledger, wanted("open", "gpu"))
	run("behind-", many, noon)
	if got := recordCount(t, server.URL()); got != 4*many+2 {
		t.Fatalf("%d records before anything is old", got)
	}
	run("new-", 1, noon.Add(2*time.Hour))
	// The open intent, all behind it, and the other autoscaler's stay.
	if got := recordCount(t, server.URL()); got != 2*many+4 {
		t.Errorf("%d records, want %d: up to the open intent all should be gone", got, 2*many+4)
	}
	settle(t, ledger, pinned.Launch, failed(noon.Add(2*time.Hour)))
	run("newer-", 1, noon.Add(4*time.Hour))
	if got := recordCount(t, server.URL()); got != 3 {
		t.Errorf("%d records, want the last launch and the other autoscaler's", got)
	}
	run("next-", 1, noon.Add(4*time.Hour)) // the compare-and-set still holds
	for which, reader := range map[string]*bus.Ledger{"same": ledger, "fresh": open(t, conn, "prod")} {
		var requests []string
		for _, record := range launches(t, reader, time.Time{}) {
			requests = append(requests, string(record.Intent.Request))
		}
		if got := strings.Join(requests, " "); got != "newer-0 next-0" {
			t.Errorf("%s ledger holds %q", which, got)
		}
	}
	// The server still knows the message id of what was trimmed a moment ago:
	// too early to ask again, and no second launch.
	if record, err := ledger.Intend(t.Context(), wanted("old-0", "gpu")); err == nil || !strings.Contains(err.Error(), "written before") {
		t.Errorf("a request that was trimmed answers %+v, %v", record, err)
	}
	if got := launches(t, open(t, conn, "other"), time.Time{}); len(got) != 1 || !reflect.DeepEqual(got[0], mine) {
		t.Errorf("the other autoscaler's ledger holds %+v", got)
	}
}

// When all is old, the last record stays, because the next append names it, and
// tells which epoch was claimed.
func TestTrimKeepsTheLastRecord(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	conn := connect(t, server)
	ledger, err := conn.OpenLedger(t.Context(), bus.LedgerConfig{Autoscaler: "prod", Retain: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	claim(t, ledger, 7)
	var last messages.LaunchID
	for n := range 150 {
		intent := wanted(messages.RequestID(fmt.Sprint("old-", n)), "gpu")
		intent.Epoch = 7
		last = intend(t, ledger, intent).Launch
		settle(t, ledger, last, gave(noon, "i-1"))
	}
	settle(t, ledger, last, gave(noon.Add(2*time.Hour), "i-1")) // says nothing new
	if got := recordCount(t, server.URL()); got != 1 {
		t.Errorf("%d records, want the last one", got)
	}
	for which, writer := range map[string]*bus.Ledger{"same": ledger, "fresh": open(t, conn, "prod")} {
		intent := wanted(messages.RequestID("next-"+which), "gpu")
		wantClass(t, messages.ClassFenced, func() error { _, err := writer.Intend(t.Context(), intent); return err }())
		intent.Epoch = 7
		intend(t, writer, intent)
	}
	if got := launches(t, ledger, time.Time{}); len(got) != 2 {
		t.Errorf("launches %+v", got)
	}
}

// A ledger that was open all the time while another one settled and removed a
// launch must not take it for open: it would be launched again.
func TestStandbyDoesNotRememberWhatWasTrimmed(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	conn := connect(t, server)
	config := bus.LedgerConfig{Autoscaler: "prod", Retain: time.Hour}
	owner, err := conn.OpenLedger(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	var open []messages.LaunchID
	for n := range 150 {
		open = append(open, intend(t, owner, wanted(messages.RequestID(fmt.Sprint("old-", n)), "gpu")).Launch)
	}
	standby, err := conn.OpenLedger(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if got := launches(t, standby, noon); len(got) != 150 {
		t.Fatalf("%d launches, want 150 open ones", len(got))
	}
	for _, launch := range open {
		settle(t, owner, launch, gave(noon, "i-1"))
	}
	kept := intend(t, owner, wanted("new", "gpu"))
	settle(t, owner, kept.Launch, gave(noon.Add(2*time.Hour), "i-2"))
	if got := recordCount(t, server.URL()); got != 2 {
		t.Fatalf("%d records, want those of the new launch", got)
	}
	if got := launches(t, standby, time.Time{}); len(got) != 1 || got[0].Launch != kept.Launch {
		t.Errorf("the standby holds %d launches, want the new one: %+v", len(got), got)
	}
}

func TestLedgerRefusals(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	conn := connect(t, server)
	if _, err := conn.OpenLedger(t.Context(), bus.LedgerConfig{}); err == nil {
		t.Error("a ledger of nobody was opened")
	}
	ledger := open(t, conn, "prod")
	for name, change := range map[string]func(*messages.LaunchIntent){
		"no request":  func(i *messages.LaunchIntent) { i.Request = "" },
		"no resource": func(i *messages.LaunchIntent) { i.Resource = "" },
		"no count":    func(i *messages.LaunchIntent) { i.Count = 0 },
	} {
		bad := wanted("r", "gpu")
		change(&bad)
		var failure *messages.Failure
		if _, err := ledger.Intend(t.Context(), bad); !errors.As(err, &failure) || failure.Class != messages.ClassInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	launch := intend(t, ledger, wanted("r", "gpu")).Launch
	var failure *messages.Failure
	if err := ledger.Settle(t.Context(), launch, messages.LaunchOutcome{At: noon}); !errors.As(err, &failure) || failure.Class != messages.ClassInvalid {
		t.Errorf("an outcome without anything: %v", err)
	}
	for _, unknown := range []messages.LaunchID{"", "7", launch + "0", "0" + launch, messages.LaunchID(strings.Split(string(launch), "-")[0] + "-01")} {
		if err := ledger.Settle(t.Context(), unknown, failed(noon)); !errors.As(err, &failure) || failure.Class != messages.ClassNotFound {
			t.Errorf("launch %q: %v", unknown, err)
		}
	}
}

// What a newer version wrote may forbid what this one is about to do.
func TestLedgerStopsAtWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"newer":          `{"kind":"handover","epoch":7}`,
		"claim of none":  `{"kind":"claim"}`,
		"garbage":        `{"kind":`,
		"intent of none": `{"kind":"intent"}`,
		"done of none":   `{"kind":"done"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, t.TempDir(), "127.0.0.1:0")
			conn := connect(t, server)
			ledger := open(t, conn, "prod")
			intend(t, ledger, wanted("r1", "gpu"))
			if _, err := admin(t, server.URL()).Publish(t.Context(), "ebb.ledger.v1.prod.%launches", []byte(body)); err != nil {
				t.Fatal(err)
			}
			_, intendErr := ledger.Intend(t.Context(), wanted("r2", "gpu"))
			_, readErr := ledger.Launches(t.Context(), time.Time{})
			_, openErr := conn.OpenLedger(t.Context(), bus.LedgerConfig{Autoscaler: "prod"})
			for what, err := range map[string]error{"intend": intendErr, "read": readErr, "open": openErr} {
				if err == nil || !strings.Contains(err.Error(), "read record 2 on ebb.ledger.v1.prod.%launches") {
					t.Errorf("%s: %v", what, err)
				}
			}
			if got := recordCount(t, server.URL()); got != 2 {
				t.Errorf("%d records, want 2", got)
			}
		})
	}
}

func BenchmarkIntend(b *testing.B) {
	for name, always := range map[string]bool{"sync": true, "nosync": false} {
		b.Run(name, func(b *testing.B) {
			server, err := bus.Start(b.Context(), bus.ServerConfig{StateDir: b.TempDir(), SyncAlways: always, Log: zerolog.Nop()})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = server.Close() }()
			conn := connect(b, server)
			ledger := open(b, conn, "prod")
			n := 0
			for b.Loop() {
				n++
				if _, err := ledger.Intend(b.Context(), wanted(messages.RequestID(fmt.Sprint("r", n)), "gpu")); err != nil {
					b.Fatal(err)
				}
			}
			conn.Close()
		})
	}
}
