// Package actors is the shell around the pure core of [decide]: actors that
// receive, ask the core, and carry out what it says. They know no AWS, no NATS
// and no HTTP, only the ports of ports.go.
//
// # Who is whose child
//
//	node                            one per process
//	└─ owner                        one per configuration: holds its lease
//	   ├─ recorder                  events → log and bus
//	   └─ autoscaler                while the lease is held: runs the evaluations
//	      ├─ provisioner            all calls that change EC2
//	      ├─ observer               polls of ClearML, and what is written to its queues
//	      ├─ inventory              listings of EC2
//	      ├─ rescuer                lost tasks → back into their queues
//	      ├─ queue (per queue)      demand, and why it is not met
//	      └─ resource (per type)    budget, memory of refusals and of boots
//	         └─ instance (per one)  idle timer, deadlines, the way out
//
// # Who may act
//
// An owner starts its autoscaler when it gets the lease, and stops it before the
// lease can pass to another process. Every call that changes something looks at
// the lease once more ([tenure]): a process that slept past it does nothing when
// it wakes. The provisioner's first word to the ledger is a claim with the
// lease's epoch, which shuts all earlier owners out. A new configuration is a new
// autoscaler under the same lease.
//
// # The way out
//
// No instance is ended on what was read alone. Its supervisor is told, over the
// metadata of a queue, to stop the agent once it has no task; it answers that it
// did, or that a task runs, and may be taken back until then. leaving.go has
// the stages, and what is done when nobody answers.
//
// # One evaluation
//
//	observer ── ClearMLObserved ──► autoscaler ── QueuePolled ──► queue ── DemandStated ──────► autoscaler
//	                                           └─ WorkersPolled ► resource ── CapacityStated ─►
//	autoscaler: decide.Evaluate ── RecallInstances, LaunchInstances, DrainInstances ──► resource;  QueueJudged ──► queue
//
// Only the autoscaler makes resource types launch, and each of them states its
// capacity after it has handled all earlier orders, since messages between two
// actors keep their order. So nothing is counted twice and nothing is missed.
//
// # Who restarts whom, and what survives
//
// Expected failures are messages. An unexpected one panics; the parent's
// [supervision] restarts the actor, at once the first time, then ever more
// slowly. What an actor knew is lost and rebuilt: a resource type from the
// launch ledger and two listings of EC2, an instance from its resource type, the
// provisioner from the ledger (it sends every unsettled request again, with
// its old token), the others from the next poll. Until a resource type has
// rebuilt its picture it launches and drains nothing.
//
// # Time
//
// Actors read the [Clock] and wait with it, never otherwise; I/O goes through
// the [Runner] and comes back as a message. With a seeded dispatcher, a
// virtual clock and a runner on the same queue, a whole autoscaler runs on one
// goroutine and replays from a seed.
package actors
