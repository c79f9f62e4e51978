//go:build !race

package simulation_test

const (
	defaultSeeds       = 60
	defaultCrashPoints = 3
)
