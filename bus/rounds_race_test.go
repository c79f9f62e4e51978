//go:build race

package bus_test

// The race detector makes schedules many times slower: it gets fewer.
const rounds = 3
