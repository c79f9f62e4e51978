// Package view is what is known of one autoscaler, for showing it: the last
// status it told, with the events since then folded in.
//
// A status is the truth of its moment and comes every few seconds; events come at
// once, at least once, and not always in order. So a [View] keeps the status, and
// beside it the events that are not older, sorted by their time and number; what
// is shown is the one folded with the other. From that follows:
//
//   - an event that the status already knows cannot undo it,
//   - an event twice is an event once, and the order of arrival does not matter,
//   - with a status newer than all events, what is shown is that status,
//   - as many instances and launches in flight are shown as there were at the newest
//     moment that any message has told of, whatever order statuses and events came in.
//
// A status is put together over a while: its queues and resource types each say as of
// when they told their part, and events of theirs from before that are in it, also
// when they are newer than the status as a whole. A part that was silent is what was
// known before, with all the events since then.
//
// Without a status (at the start, or while nobody answers) the events alone are
// folded, as far as they go. The package reads no clock and does no I/O; its types
// are not safe for use by several goroutines.
package view
