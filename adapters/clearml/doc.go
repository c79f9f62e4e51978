// Package clearml asks a ClearML API server about queues, workers and tasks. It
// is the adapter behind the actors' ports ClearML, Signals and Tasks.
//
// What it promises:
//
//   - A poll is two HTTP calls, whatever the number of queues. It asks for the
//     workers first and the queues second: a task that is pulled in between is
//     then seen by nobody for one poll, and not by both, so that no instance is
//     launched for a task that already runs.
//   - An answer is whole or an error. A body that is cut off, is not ClearML's
//     envelope, lacks its list or holds a malformed row is never an empty list.
//   - The server ignores filters that it does not know, so every filter is
//     applied again here, exactly.
//   - Every error carries a [messages.Failure], which errors.go makes. No error,
//     log line or URL holds a key, a secret or a token.
//   - Calls that fail by overload, by a 5xx or by the network are sent again with
//     full-jitter backoff, while the context lives. All calls may be repeated.
//     A task is put back only after a look at it right before, also when sent
//     again.
//
// The server's clock is read from the Date header of its answers, which has a
// resolution of one second.
package clearml
