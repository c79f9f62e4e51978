// Package health judges whether a process of ebb is alive and ready, and says so
// over HTTP.
//
// Alive is what a restart could cure: the actors answer, the embedded event server
// runs. Ready is more: the event bus is connected, and each autoscaler stands by, or
// acts and sees ClearML and EC2 and gets its events onto the bus. A process that is
// not ready goes on working; it holds what it does not know.
//
// [Judge] is a function of [Facts], which [Probe] gathers. What it says holds class
// and age of a failure and no text of somebody else, so that the answer may be shown
// to whoever reaches the listener.
package health
