//go:build race

package simulation_test

// A world is one goroutine: the race detector finds little in it and makes it
// many times slower.
const (
	defaultSeeds       = 3
	defaultCrashPoints = 1
	wireSeeds          = 1
	killStep           = 29
)
