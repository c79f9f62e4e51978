package bus_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/internal/freeport"
)

func TestCheckStateDir(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	state := filepath.Join(dir, "deep", "state")
	report, err := bus.CheckStateDir(state)
	if err != nil || !report.Missing || report.UsedBy != "" || report.HasEvents || report.Free < 1<<20 {
		t.Errorf("a directory to be made: %+v, %v", report, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	server := start(t, state, "")
	connect(t, server)
	report, err = bus.CheckStateDir(state)
	if err != nil || report.Missing || !strings.HasPrefix(report.UsedBy, "process ") || !report.HasEvents {
		t.Errorf("one in use: %+v, %v", report, err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadDir(state)
	if err != nil {
		t.Fatal(err)
	}
	report, err = bus.CheckStateDir(state)
	if err != nil || report.UsedBy != "" || !report.HasEvents {
		t.Errorf("one that was used: %+v, %v", report, err)
	}
	if after, err := os.ReadDir(state); err != nil || len(after) != len(before) {
		t.Errorf("left behind: %v, %v", after, err)
	}
	start(t, state, "") // the check has let go of the lock

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", file, filepath.Join(file, "below"), "/proc/ebb"} {
		if _, err := bus.CheckStateDir(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestCheckListen(t *testing.T) {
	t.Parallel()

	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	ours := start(t, t.TempDir(), "127.0.0.1:0")
	theirs := external(t, func(*natsserver.Options) {})
	locked := external(t, func(o *natsserver.Options) { o.Username, o.Password = "u", "p" })
	for name, c := range map[string]struct {
		address string
		want    bus.Listener
	}{
		"free":    {freeport.Address(t), bus.ListenerNone},
		"any":     {"127.0.0.1:0", bus.ListenerNone},
		"ebb":     {strings.TrimPrefix(ours.URL(), "nats://"), bus.ListenerEbb},
		"NATS":    {theirs.Addr().String(), bus.ListenerNATS},
		"login":   {locked.Addr().String(), bus.ListenerNATS},
		"another": {other.Addr().String(), bus.ListenerOther},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got, err := bus.CheckListen(t.Context(), c.address); err != nil || got != c.want {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
	for _, bad := range []string{"4222", "0.0.0.0:4222", "127.0.0.1:x", "192.0.2.1:4222"} {
		if _, err := bus.CheckListen(t.Context(), bad); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

// problems are those of the streams, by name.
func problems(report bus.ServerReport) map[string]string {
	found := map[string]string{}
	for _, s := range report.Streams {
		if s.Problem != nil {
			found[s.Name] = s.Problem.Error()
		}
	}
	return found
}

func TestCheckServerMakesNothing(t *testing.T) {
	t.Parallel()

	server := external(t, func(*natsserver.Options) {})
	config := bus.ConnConfig{URL: server.ClientURL(), Name: t.Name()}
	report := bus.CheckServer(t.Context(), config)
	if report.Login != nil || report.JetStream != nil || len(report.Streams) != 4 || len(problems(report)) != 0 {
		t.Errorf("got %+v", report)
	}
	for _, s := range report.Streams {
		if !s.Missing {
			t.Errorf("%s is there", s.Name)
		}
	}
	if account, err := admin(t, server.ClientURL()).AccountInfo(t.Context()); err != nil || account.Streams != 0 {
		t.Errorf("%+v, %v: streams were made", account, err)
	}
	dial(t, bus.ConnConfig{URL: server.ClientURL(), Name: t.Name(), EventsMaxBytes: small})
	for _, s := range bus.CheckServer(t.Context(), config).Streams[:2] {
		if s.Missing || s.Problem != nil {
			t.Errorf("got %+v", s)
		}
	}
}

func TestCheckServerFaults(t *testing.T) {
	t.Parallel()

	t.Run("a ledger that forgets", func(t *testing.T) {
		t.Parallel()

		server := external(t, func(*natsserver.Options) {})
		stream := admin(t, server.ClientURL())
		if _, err := stream.CreateStream(t.Context(), jetstream.StreamConfig{Name: bus.LedgerStream, Subjects: []string{bus.LedgerSubjects}, MaxAge: time.Hour}); err != nil {
			t.Fatal(err)
		}
		found := problems(bus.CheckServer(t.Context(), bus.ConnConfig{URL: server.ClientURL()}))
		if len(found) != 1 || !strings.Contains(found[bus.LedgerStream], "cannot be a launch ledger") {
			t.Errorf("got %q", found)
		}
	})
	t.Run("an account without room", func(t *testing.T) {
		t.Parallel()

		server := external(t, func(*natsserver.Options) {})
		limits := natsserver.JetStreamAccountLimits{MaxMemory: -1, MaxStore: 1 << 20, MaxStreams: 2, MaxConsumers: -1}
		if err := server.GlobalAccount().UpdateJetStreamLimits(map[string]natsserver.JetStreamAccountLimits{"": limits}); err != nil {
			t.Fatal(err)
		}
		found := problems(bus.CheckServer(t.Context(), bus.ConnConfig{URL: server.ClientURL()}))
		if len(found) != 3 || !strings.Contains(found[bus.EventStream], "storage left") || !strings.Contains(found["KV_"+bus.LeaseBucket], "2 streams") {
			t.Errorf("got %q", found)
		}
	})
	t.Run("rights", func(t *testing.T) {
		t.Parallel()

		server := external(t, func(o *natsserver.Options) {
			o.Users = []*natsserver.User{{Username: "u", Password: "planted", Permissions: &natsserver.Permissions{
				Publish: &natsserver.SubjectPermission{Deny: []string{"$JS.API.STREAM.CREATE.KV_ebb_state", "$JS.API.STREAM.INFO.EBB_LEDGER"}},
			}}}
		})
		found := problems(bus.CheckServer(t.Context(), bus.ConnConfig{URL: "nats://" + server.Addr().String(), User: "u", Password: "planted"}))
		if len(found) != 2 || !strings.Contains(found["KV_"+bus.StateBucket], "STREAM.CREATE.KV_ebb_state") || !strings.Contains(found[bus.LedgerStream], "STREAM.INFO.EBB_LEDGER") {
			t.Errorf("got %q", found)
		}
		report := bus.CheckServer(t.Context(), bus.ConnConfig{URL: "nats://" + server.Addr().String(), User: "u", Password: "planted-wrong"})
		if report.Fault != bus.LoginRefused || report.Login == nil || strings.Contains(report.Login.Error(), "planted") {
			t.Errorf("got %+v", report)
		}
	})
}
