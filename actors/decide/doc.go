// Package decide is the pure core: what to do, given what is known. It has no
// I/O, no clock, no randomness and no actor types; the same input always gives
// the same output, in the same order.
//
// # The rules of an evaluation, in the order they apply
//
//  1. What is not known is not decided on. Without a fresh answer of the ClearML
//     server nothing is launched and nothing is drained. A resource type that
//     does not know its instances neither launches nor drains.
//  2. Capacity that is there covers waiting tasks first, one task each,
//     wherever a queue's resource types allow it: idle instances, then those
//     that are booting or requested. As many tasks as possible are covered.
//  3. For the rest, instances are launched: of the first resource type of the
//     queue that has room, then of the next. As many tasks as possible get one,
//     and no task gets two. When there is not enough, the queues that come first
//     in the policy come first.
//  4. No resource type goes over its max_instances, counting everything that is
//     alive or in flight.
//  5. An instance that has been idle for its max_idle_time is drained, longest
//     idle first, unless a waiting task was covered by it.
//
// Every launch, every drain and every task that gets nothing has a reason with
// the numbers behind it.
//
// It follows that carrying a plan out and evaluating again at once changes
// nothing: there is nothing left to launch and nothing left to drain.
//
// [Evaluate] holds the rules together; [Check] states what must be true of any
// plan and is used by the tests and by the running program.
package decide
