package deployments_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
)

// TestComposeNATS starts a NATS server on the file of compose.yaml, with the variable
// that compose gives it, and opens the launch ledger with the login that compose gives
// ebb. Passwords that look like numbers are the ones that go wrong.
func TestComposeNATS(t *testing.T) {
	for _, password := range []string{"1e9", "0123", "a1b2c3", "true", "12k"} {
		t.Run(password, func(t *testing.T) {
			project, err := loadCompose(t.Context(), []string{"compose.yaml"}, []string{"NATS_PASSWORD=" + password})
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("NATS_PASSWORD", *project.Services["nats"].Environment["NATS_PASSWORD"])
			options, err := server.ProcessConfigFile(filepath.Join(root, "deployments", "compose", "nats", "nats.conf"))
			if err != nil {
				t.Fatal(err)
			}
			if !options.SyncAlways || options.HTTPHost != "127.0.0.1" || options.StoreDir != "/data" {
				t.Errorf("sync always %t, monitoring on %s, store in %s", options.SyncAlways, options.HTTPHost, options.StoreDir)
			}
			options.Host, options.Port, options.HTTPPort, options.StoreDir, options.NoLog, options.NoSigs = "127.0.0.1", -1, -1, t.TempDir(), true, true
			nats, err := server.NewServer(options)
			if err != nil {
				t.Fatal(err)
			}
			nats.Start()
			t.Cleanup(func() { nats.Shutdown(); nats.WaitForShutdown() })
			if !nats.ReadyForConnections(2 * time.Minute) {
				t.Fatal("NATS does not start")
			}
			login := project.Services["ebb"].Environment
			config := bus.ConnConfig{
				URL: nats.ClientURL(), User: *login["EBB_NATS__USER"], Password: *login["EBB_NATS__PASSWORD"], Name: "test", Log: zerolog.Nop(),
			}
			connected, err := bus.Connect(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer connected.Close()
			if _, err := connected.OpenLedger(t.Context(), bus.LedgerConfig{Autoscaler: "prod"}); err != nil {
				t.Error(err)
			}
			config.Password = "wrong"
			if other, err := bus.Connect(t.Context(), config); err == nil {
				other.Close()
				t.Error("a wrong password is let in")
			}
		})
	}
}
