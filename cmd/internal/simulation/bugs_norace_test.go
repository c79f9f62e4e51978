//go:build !race

package simulation

const bugStep = 1 // every bug
