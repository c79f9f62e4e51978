// Package freeport finds addresses for servers that tests start by number.
package freeport

import (
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
	after = 32000
)

// Address is a loopback address on which nobody listens, such as 127.0.0.1:17001,
// and which nobody is given but who asks for that number.
func Address(tb testing.TB) string {
	tb.Helper()
	for range 1000 {
		//nolint:forbidigo // tests that run at the same time are to look at different ones
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(after-first)))
		listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", address)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			tb.Fatal(err)
		}
		return address
	}
	tb.Fatalf("of 1,000 ports from %d to %d none is free", first, after-1)
	return ""
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
