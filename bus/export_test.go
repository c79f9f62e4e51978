package bus

import (
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// Over is a bus over a server that a test plays itself.
func Over(stream jetstream.JetStream) *Bus { return &Bus{stream: stream, log: zerolog.Nop()} }

// Break takes the store of a server out of use, as the server does by itself when it
// is denied to write. The watch notices, and starts the server anew.
func (s *Server) Break() error { return s.server().ShutdownJetStream() }

// Generation is another one after each time that the server was started anew.
func (s *Server) Generation() string { return s.server().ID() }

// FaultOf tells faults apart by the words of the system.
func FaultOf(detail string) StoreFault { return faultOf(detail) }

// IsLow says whether little is free.
func IsLow(free int64, was bool) bool { return isLow(free, was) }

// ServerWarns logs a line that the embedded server calls a warning.
func ServerWarns(log zerolog.Logger, line string) { (&serverLog{log: log}).Warnf("%s", line) }
