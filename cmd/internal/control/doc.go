// Package control is what operators ask of a running ebb, over the NATS micro
// service of package bus: the requests and answers as JSON, the handlers of the
// process that acts, a client for the commands and the dashboard, and the
// explanation of why the tasks of a queue wait.
package control
