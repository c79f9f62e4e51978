package bus_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
)

// admin is a plain client, as an operator has it.
func admin(tb testing.TB, address string) jetstream.JetStream {
	tb.Helper()
	conn, err := nats.Connect(address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(conn.Close)
	stream, err := jetstream.New(conn)
	if err != nil {
		tb.Fatal(err)
	}
	return stream
}

func ledgerStream(tb testing.TB, address string) jetstream.Stream {
	tb.Helper()
	found, err := admin(tb, address).Stream(tb.Context(), bus.LedgerStream)
	if err != nil {
		tb.Fatal(err)
	}
	return found
}

func recordCount(tb testing.TB, address string) int {
	tb.Helper()
	return int(ledgerStream(tb, address).CachedInfo().State.Msgs)
}

func TestUnsafeLedgerStreamIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*jetstream.StreamConfig)
		want   string
	}{
		"forgets by age":     {func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour; c.Duplicates = time.Hour }, "max_age must be 0"},
		"forgets by number":  {func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }, "max_msgs must be unlimited"},
		"forgets by subject": {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 10 }, "max_msgs_per_subject must be -1"},
		"drops the oldest":   {func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "discard must be new"},
		"other subjects":     {func(c *jetstream.StreamConfig) { c.Subjects = []string{"ebb.ledger.v1.prod.*"} }, "subjects must be"},
		"stale reads":        {func(c *jetstream.StreamConfig) { c.AllowDirect = true }, "allow_direct must be off"},
		"no nonce":           {func(c *jetstream.StreamConfig) { c.Metadata = nil }, "metadata lack ebb_nonce"},
		"odd nonce":          {func(c *jetstream.StreamConfig) { c.Metadata = map[string]string{"ebb_nonce": "Ärger-1"} }, "metadata lack ebb_nonce"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, t.TempDir(), "127.0.0.1:0")
			connect(t, server)
			config := ledgerStream(t, server.URL()).CachedInfo().Config
			test.change(&config)
			if _, err := admin(t, server.URL()).UpdateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			_, err := bus.Connect(t.Context(), bus.ConnConfig{Server: server, Log: zerolog.Nop()})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestConfiguredLimitsReachTheStream(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "127.0.0.1:0")
	limits := func() jetstream.StreamConfig {
		found, err := admin(t, server.URL()).Stream(t.Context(), bus.EventStream)
		if err != nil {
			t.Fatal(err)
		}
		return found.CachedInfo().Config
	}
	for _, step := range []struct {
		config  bus.ConnConfig
		age     time.Duration
		bytes   int64
		deduped time.Duration
	}{
		{bus.ConnConfig{EventsMaxBytes: small}, 30 * 24 * time.Hour, small, 10 * time.Minute},
		{bus.ConnConfig{EventsMaxAge: time.Hour, EventsMaxBytes: 2 * small}, time.Hour, 2 * small, 10 * time.Minute},
		{bus.ConnConfig{}, time.Hour, 2 * small, 10 * time.Minute},
		{bus.ConnConfig{EventsMaxAge: time.Minute}, time.Minute, 2 * small, time.Minute},
	} {
		step.config.Server, step.config.Log = server, zerolog.Nop()
		dial(t, step.config)
		if got := limits(); got.MaxAge != step.age || got.MaxBytes != step.bytes || got.Duplicates != step.deduped {
			t.Errorf("after %+v: age %s, bytes %d, dedupe %s", step.config, got.MaxAge, got.MaxBytes, got.Duplicates)
		}
	}
	if config := ledgerStream(t, server.URL()).CachedInfo().Config; !config.DenyDelete || config.DenyPurge || config.MaxAge != 0 {
		t.Errorf("ledger stream %+v", config)
	}
}
