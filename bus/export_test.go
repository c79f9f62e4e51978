package bus

import (
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// Over is a bus over a server that a test plays itself.
func Over(stream jetstream.JetStream) *Bus { return &Bus{stream: stream, log: zerolog.Nop()} }
