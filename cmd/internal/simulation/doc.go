// Package simulation runs whole autoscalers in a world that replays from a seed.
//
// The actors and the adapters are those of production. The world around them is
// made of the fakes, in the same process: an EC2 region, a ClearML server, and a
// simulated agent on every instance that booted. Nothing runs at the same time
// as anything else, and nothing reads the wall clock:
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
// # The laws
//
// [World] looks at every change of the region and at every call of an agent, and
// writes down what breaks a law ([World.Breaches]):
//
//   - never over: no resource type has more instances alive than its maximum;
//   - never twice: no launch in the ledger has more instances than it asked for,
//     and there are never more instances booting than tasks waited lately;
//   - never kill a busy worker: see [World.Races] for what this version cannot
//     rule out;
//   - never leak: [World.Converged] demands an empty region, and that every
//     instance was explained by events, its end with a reason;
//   - no actor fails that was not told to, no message goes unhandled, none is
//     sent to an actor that does not exist.
//
// # Seeds
//
// [Run] draws a world, its demand and its misfortunes from a seed, lets it go on
// for some hours, then heals everything and demands that it converges.
package simulation
