//go:build !race

package simulation_test

const (
	defaultSeeds       = 60
	defaultCrashPoints = 3
	wireSeeds          = 4
	killStep           = 1 // every call
)
