package freeport_test

import (
	"net"
	"testing"

	"github.com/ebbscale/ebb/internal/freeport"
)

// TestAddress gives no address twice while tests run, though nobody listens on any.
func TestAddress(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 300 { // of 10,000: by chance alone some would come again
		address := freeport.Address(t)
		if seen[address] {
			t.Fatalf("%s was given twice", address)
		}
		seen[address] = true
	}
	for address := range seen {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		return
	}
}
