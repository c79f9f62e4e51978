// Package simulation runs whole autoscalers in a world that replays from a seed.
//
// The actors and the adapters are those of production. The world around them is
// made of the fakes, in the same process: an EC2 region, a ClearML server, and on
// every instance that booted a simulated agent with its supervisor. Nothing runs
// at the same time as anything else, and nothing reads the wall clock:
//
//   - mailboxes that have something to do stand in one list, and the next one to
//     run is drawn;
//   - timers stand on a virtual clock, which moves when the list is empty;
//   - calls to the outside are coroutines that sleep on that clock for as long as
//     the network takes, on the way there and on the way back, so that anything
//     can happen in between.
//
// So the same seed gives the same world, event by event.
//
// # Processes
//
// A world has one process of the autoscaler or several, a standby then. A process
// can be killed, also right before and right after any one of its calls
// ([World.KillAtCall]), paused as by SIGSTOP ([World.Pause]), and cut off
// ([World.Cut]). What it had sent arrives all the same; what comes for it while it
// is paused is there at once when it goes on. The store, with the ledger, the
// lease, the state and the events, outlives them all.
//
// # In process and over HTTP
//
// What is read again and again (polls, listings, all calls of agents) goes to the
// fakes directly, over the same simulated network: a world takes less than a
// tenth of a second. Everything that the autoscaler changes in ClearML goes
// through the adapter, and everything that it asks of EC2 through the adapter and
// a stand-in for the SDK's client. With [Options.Wire] all goes through the
// adapters' HTTP. Tests hold the two together: the same calls with the same
// troubles give the same answers and classes of failure.
//
// # The laws
//
// [World] looks at every change of the region and at every call of an agent and of
// a process, and writes down what breaks a law ([World.Breaches]):
//
//   - never over: no resource type has more instances alive than its maximum, with
//     any number of processes;
//   - never twice: no launch in the ledger has more instances than it asked for,
//     none is there without an intent, and there are never more instances booting
//     than tasks waited lately;
//   - never kill a busy worker: none whose supervisor answers, and of the others
//     none that was not asked about in the last seconds ([World.Races]);
//   - never lose a job: a task that lost its worker is put back, once for each
//     loss, never one that its user aborted, and never while a worker has it; no
//     task is run by two live workers;
//   - one owner: a process that has lost its lease changes nothing, save what it
//     was just sending when it was stopped ([Report.Late]);
//   - never leak: [World.Converged] demands an empty region, that every instance
//     was explained by events, its end with a reason, and that no key of a gone
//     instance and no closed queue is left;
//   - what events say is true, as far as it can be known: how many tasks waited,
//     that EC2 had no capacity, that an instance was idle for its max_idle_time,
//     that it stays; no event and no line of the log has a secret in it, and only a
//     few instances are ended at a time because they look dead;
//   - no actor fails that was not told to, no message goes unhandled, none is
//     sent to an actor that does not exist.
//
// # Seeds
//
// [RunWith] draws a world, its demand and its misfortunes ([Faults]) from a seed,
// lets it go on for some time, then heals everything and demands that it
// converges. [RunMany] runs many; `ebb sim` is its command.
package simulation
