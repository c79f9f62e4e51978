// Package dashboard is ebb's web page and the HTTP interface behind it: what the
// autoscalers do, live, and the orders that an operator may give them.
//
//	Engine, Operator, Events, Wizard   the ports; cmd wires them
//	Server                             routes, and who may use them (guard.go)
//	board                              one autoscaler: its view, history, log, and hub
//	hub                                the browsers that look at a board
//
// One subscription to the events of all autoscalers feeds one board each. A board
// makes at most four frames a second; each is written once, as JSON, and handed to
// every browser through a short queue of its own. Whoever does not keep up loses
// its queue and gets the whole picture again when it can take it; whoever is stuck
// is let go. Nobody waits for a browser: not the engine, not the bus, not the
// other browsers.
//
// The page itself is in web/ (TypeScript); assets/ is what `make web` built of it.
package dashboard
