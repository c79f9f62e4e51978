// Package bench measures the engine: the production actors, started as the
// program starts them, over worlds that cost next to nothing. It holds only
// benchmarks; docs/performance.md has what they found and `make bench` runs
// them.
//
// What a benchmark counts (calls, instances) is exact and fails it when wrong.
// What it times is only reported: how fast a machine is, is not a property of
// the program.
package bench
