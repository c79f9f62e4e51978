package bus_test

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

// cluster runs three servers that keep everything three times, and answers
// their addresses.
func cluster(t *testing.T) []string {
	t.Helper()
	const size = 3
	// The servers must know each other's ports before they start.
	var routes []*url.URL
	var ports []int
	var free []net.Listener
	for range size {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address, err := url.Parse("nats://" + listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		routes, ports = append(routes, address), append(ports, portOf(t, address.String()))
		free = append(free, listener)
	}
	for _, listener := range free {
		listener.Close()
	}
	servers := make([]*natsserver.Server, size)
	for n := range size {
		servers[n] = external(t, func(o *natsserver.Options) {
			o.ServerName = fmt.Sprint("n", n)
			o.Cluster = natsserver.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: ports[n]}
			o.Routes = routes
		})
	}
	var addresses []string
	for _, server := range servers {
		addresses = append(addresses, server.ClientURL())
	}
	return addresses
}

func TestClusterKeepsTheLaw(t *testing.T) {
	t.Parallel()
	addresses := cluster(t)
	all := strings.Join(addresses, ",")
	var conn *bus.Bus
	for try := 0; ; try++ { // until a leader is elected
		var err error
		conn, err = bus.Connect(t.Context(), bus.ConnConfig{URL: all, Replicas: 3, EventsMaxBytes: small, Log: zerolog.Nop()})
		if err == nil {
			break
		}
		if try == 100 {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Cleanup(conn.Close)
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
