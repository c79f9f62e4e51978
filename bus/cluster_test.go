package bus_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/internal/freeport"
	"github.com/ebbscale/ebb/messages"
)

// memberEnv, when set, makes the test binary one server of a cluster: its name,
// store, cluster port and routes, separated by semicolons.
const memberEnv = "EBB_TEST_CLUSTER_MEMBER"

// runMember is a server of a cluster until its standard input ends, as it does
// when the test ends, however it ends. It prints where clients connect.
func runMember(config string) error {
	parts := strings.Split(config, ";")
	if len(parts) != 4 {
		return fmt.Errorf("%s is %q", memberEnv, config)
	}
	port, err := strconv.Atoi(parts[2])
	if err != nil {
		return err
	}
	server, err := natsserver.NewServer(&natsserver.Options{
		ServerName: parts[0], Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoLog: true,
		JetStream: true, StoreDir: parts[1],
		Cluster: natsserver.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: port},
		Routes:  natsserver.RoutesFromStr(parts[3]),
	})
	if err != nil {
		return err
	}
	server.Start()
	if !server.ReadyForConnections(patience) {
		return errors.New("server not ready")
	}
	fmt.Println(server.ClientURL())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// cluster runs three servers that keep everything three times, and answers
// their addresses. They are processes of their own: in one process a cluster
// does not always come down.
func cluster(t *testing.T) []string {
	t.Helper()
	const size = 3
	var routes, ports []string // known to all before the first one starts
	for range size {
		address := freeport.Address(t)
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		ports, routes = append(ports, port), append(routes, "nats://"+address)
	}
	addresses := make([]string, size)
	for n := range size {
		member := exec.CommandContext(t.Context(), os.Args[0])
		member.Env = append(os.Environ(), fmt.Sprintf("%s=n%d;%s;%s;%s", memberEnv, n, t.TempDir(), ports[n], strings.Join(routes, ",")))
		member.Stderr = os.Stderr
		stdin, err := member.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := member.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := member.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = member.Process.Kill()
			stdin.Close()
			_ = member.Wait() // killed
		})
		if _, err := fmt.Fscanln(stdout, &addresses[n]); err != nil {
			t.Fatalf("server %d did not start: %v", n, err)
		}
	}
	return addresses
}

// dialCluster connects once the cluster has a leader.
func dialCluster(t *testing.T, config bus.ConnConfig) *bus.Bus {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		conn, err := bus.Connect(t.Context(), config)
		if err == nil {
			t.Cleanup(conn.Close)
			return conn
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestClusterKeepsTheLaw(t *testing.T) {
	t.Parallel()
	addresses := cluster(t)
	all := strings.Join(addresses, ",")
	conn := dialCluster(t, bus.ConnConfig{URL: all, Replicas: 3, EventsMaxBytes: small, Log: zerolog.Nop()})
	events := manyObserved("prod", 0, 700)
	for _, part := range [][]messages.Recorded{events[:650], events[600:]} {
		if err := conn.Publish(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	wantIDs(t, stored(t, conn, bus.EventQuery{}), events)

	const each = 10
	tokens := make([]map[messages.RequestID]string, len(addresses))
	var group sync.WaitGroup
	for w, address := range addresses {
		ledger := open(t, dial(t, bus.ConnConfig{URL: address, Log: zerolog.Nop()}), "prod")
		tokens[w] = map[messages.RequestID]string{}
		group.Go(func() {
			for n := range each {
				for _, request := range []string{fmt.Sprintf("own-%d-%d", w, n), fmt.Sprintf("shared-%d", n)} {
					record, err := ledger.Intend(t.Context(), wanted(messages.RequestID(request), "gpu"))
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
	records := launches(t, open(t, conn, "prod"), time.Time{})
	if want := (len(addresses) + 1) * each; len(records) != want {
		t.Errorf("%d intents, want %d", len(records), want)
	}
	for _, record := range records {
		for w := range tokens {
			if token, ok := tokens[w][record.Intent.Request]; ok && token != record.Token {
				t.Errorf("writer %d was told %s for %s; the ledger says %s", w, token, record.Intent.Request, record.Token)
			}
		}
	}
}
