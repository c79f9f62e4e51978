// Package eventtext writes events for people: one line each, with the numbers and
// the reasons in words. The log, `ebb events` and the demo use the same lines.
//
// What came from outside (a vendor's message, the name of a task, a console) is
// made harmless first: a line never holds a line break or a control character,
// and no part of it is longer than [PartMax].
package eventtext
