package app

import "time"

const (
	// StopMax is how long a process takes at most from SIGTERM to its end. Whoever
	// stops ebb must wait longer before killing it; tests in
	// cmd/internal/deployments hold the settings of Compose, systemd and Kubernetes
	// to it.
	StopMax = stopPatience + stopGrace + closeGrace
	// closeGrace is what is left to do when the autoscalers have stopped:
	// connections, and the embedded event store.
	closeGrace = 15 * time.Second
)
