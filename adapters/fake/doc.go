// Package fake puts the fakes together into a world in which production code can
// run: an EC2 region whose instances boot, read their user data, and run
// simulated clearml-agents against whatever ClearML server the user data names.
//
// The machine of an instance follows its state. Running, it boots for a drawn
// time and starts an agent; shutting down, the agent loses its power; and when
// the agent ends, the machine powers itself off.
package fake
