//go:build race

package simulation

// bugStep leaves most bugs out: see race_test.go.
const bugStep = 9
