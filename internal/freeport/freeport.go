// Package freeport finds addresses for servers that tests start by number.
package freeport

import (
	"context"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// The numbers are below those that operating systems give out by themselves (from
// 32768 on Linux, from 49152 elsewhere): one of those may go to somebody else's
// connection between the look and the use.
const (
	first = 12000
	after = 22000
	// token is how far above a number its token is: whoever listens there has the number.
	token = 10000
)

// Address is a loopback address on which nobody listens, such as 127.0.0.1:17001,
// and which nobody who asks here is given until the test has ended, in this process
// or another one.
func Address(tb testing.TB) string {
	tb.Helper()
	for range 1000 {
		//nolint:forbidigo // tests that run at the same time are to look at different ones
		number := first + rand.IntN(after-first)
		held, err := listen(tb.Context(), number+token)
		if err != nil {
			continue // another test has this number
		}
		tb.Cleanup(func() { _ = held.Close() })
		free, err := listen(tb.Context(), number)
		if err != nil {
			continue
		}
		if err := free.Close(); err != nil {
			tb.Fatal(err)
		}
		return free.Addr().String()
	}
	tb.Fatalf("of 1,000 ports from %d to %d none is free", first, after-1)
	return ""
}

func listen(ctx context.Context, port int) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// Number is the port of an [Address].
func Number(tb testing.TB) int {
	tb.Helper()
	_, port, err := net.SplitHostPort(Address(tb))
	if err != nil {
		tb.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		tb.Fatal(err)
	}
	return number
}
