// Package messages holds every value that crosses a mailbox, a port or the bus.
// It imports nothing but the standard library, so that every other package may
// import it.
//
// # Naming law
//
// Commands are imperative (LaunchInstances). Facts are past tense
// (InstanceLaunched). What a poll saw ends in Observed. Answers to a question
// end in Stated, Reported or Settled. Every message says when it is sent, by
// whom, and who handles it.
//
// # Shape law
//
// Messages are values: no pointer to live state, no context, no function, no
// channel. A slice inside a message belongs to the receiver once sent. Times
// are UTC; a zero time means "never" or "not known", as the field says. A
// request carries an id or a tick that its answer repeats.
//
// # The inboxes
//
// Each actor's inbox is a sealed interface, one file each: [AutoscalerMessage],
// [ObserverMessage], [InventoryMessage], [QueueMessage], [ResourceMessage],
// [InstanceMessage], [ProvisionerMessage], [RecorderMessage]. Results of I/O
// that an actor started itself are private to that actor and not listed here.
//
// What goes out on the bus is the sealed set [Event].
package messages
