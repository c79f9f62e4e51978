// Package archtest holds the house rules of the module that no linter holds, as
// tests: which layer may import which, how long a file may be, that every direct
// dependency has its reason written down, and that the tree speaks of nothing outside
// itself. It has no other code.
//
//	cmd ──► actors ──► actors/decide ──► messages ──► standard library
//	  ├───► adapters/x ────────────────► messages
//	  └───► bus ───────────────────────► messages
//
// Which vendor may be imported where, and which calls are banned, is for depguard and
// forbidigo in .golangci.yml: they point at the line while it is being written.
package archtest
