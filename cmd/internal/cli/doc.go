// Package cli is the command line of ebb: what the commands are called, which
// flags they take, and how they speak. It holds no logic of its own; each command
// asks the package that has it.
//
// Results go to standard output, everything else (notes, problems, logs) to
// standard error. The exit code is 0 when all is well, 1 when something went
// wrong, 2 when the command line itself is wrong. A [Program] is a value without
// process state, so tests run whole commands in process.
package cli
