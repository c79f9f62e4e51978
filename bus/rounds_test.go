//go:build !race

package bus_test

// rounds of a hundred schedules each are played.
const rounds = 20
