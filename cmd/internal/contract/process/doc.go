// Package process tests the program as its users run it: the built binary,
// started, killed and stopped as a process, against fake servers on loopback.
package process
