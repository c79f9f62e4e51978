// Package fake puts the fakes together into a world in which production code can
// run: an EC2 region whose instances boot, read their user data, and run
// simulated clearml-agents against whatever ClearML server the user data names.
//
// The machine of an instance follows its state. Running, it boots for a drawn
// time and starts an agent; shutting down, the agent loses its power; and when
// the agent ends, the machine powers itself off. User data that names an
// autoscaler also make the machine run a supervisor, which listens on the channel
// to that autoscaler and may power the machine off too.
package fake
