// Package decide is the pure core: what to do, given what is known. It has no
// I/O, no clock, no randomness and no actor types; the same input always gives
// the same output, in the same order.
//
// # The rules of an evaluation, in the order they apply
//
//  1. What is not known is not decided on. Without a fresh answer of the ClearML
//     server nothing is launched, taken back or drained. Nor is it of a resource
//     type that does not know its instances.
//  2. Capacity that is there covers waiting tasks first, one task each,
//     wherever a queue's resource types allow it: idle instances, then those
//     that are booting or requested. As many tasks as possible are covered.
//  3. For the rest, drains of instances that were idle are taken back.
//  4. For the rest, instances are launched: of the first resource type of the
//     queue that has room, then of the next. As many tasks as possible get one,
//     and no task gets two. When there is not enough, the queues that come first
//     in the policy come first.
//  5. Instances that EC2 has announced to take back with their tasks get
//     replacements in the same way, with what waiting tasks leave.
//  6. No resource type goes over its max_instances, counting everything that is
//     alive or in flight, nor over what may be tried while it is not known
//     whether launching works.
//  7. An instance that has been idle for its max_idle_time is drained, longest
//     idle first, unless a waiting task was covered by it.
//  8. What is over max_instances, because that was lowered, is drained: idle
//     instances first, whatever waits, then busy ones, which finish their task.
//
// Every launch, every drain and every task that gets nothing has a reason with
// the numbers behind it.
//
// It follows that carrying a plan out and evaluating again at once changes
// nothing: there is nothing left to launch, to take back or to drain.
//
// [Evaluate] holds the rules together; [Check] states what must be true of any
// plan and is used by the tests and by the running program.
//
// # What is remembered
//
// [Memory] knows what EC2 refused, [Boots] and [Breaker] what became of boots,
// [Losses] and [Fates] what became of tasks and instances, [Guard] what was let
// go lately, [Governor] what calls cost. All of them are values: a method that
// learns something returns the next one, and leaves the one that it was called
// on as it was. Those that are worth keeping over a restart are plain data with
// JSON names; a field that a later version adds is passed over.
package decide
