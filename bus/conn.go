package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// Bus is one connection to NATS. Its methods may be called at the same time.
type Bus struct {
	conn   *nats.Conn
	stream jetstream.JetStream
	config ConnConfig
	log    zerolog.Logger
	// atomicBatch is whether the event stream stores a batch as a whole; servers
	// before 2.12 do not.
	atomicBatch atomic.Bool
}

// Connect connects to the embedded or to an external server and makes the
// streams that are missing. A server that cannot be reached now is an error;
// a connection that is lost later is got back for ever, and logged.
func Connect(ctx context.Context, config ConnConfig) (*Bus, error) {
	address, options, err := config.options()
	if err != nil {
		return nil, fmt.Errorf("connect to event server: %w", err)
	}
	where := "the embedded server"
	if address != "" {
		where = addresses(address)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to event server at %s: %w", where, err)
	}
	conn, err := nats.Connect(address, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to event server at %s: %w", where, withCure(err))
	}
	stream, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to event server at %s: %w", where, err)
	}
	bus := &Bus{conn: conn, stream: stream, config: config, log: config.Log}
	if !config.ReadOnly {
		if err := bus.ensureStreams(ctx); err != nil {
			conn.Close()
			return nil, fmt.Errorf("prepare event server at %s: %w", where, err)
		}
	}
	if config.Server != nil && !config.ReadOnly {
		if err := bus.tellStore(config.Server); err != nil {
			conn.Close()
			return nil, fmt.Errorf("prepare event server at %s: %w", where, err)
		}
	}
	return bus, nil
}

// plainError is an error in words that say what to look at.
type plainError struct {
	text string
	err  error
}

// Error is the words.
func (e plainError) Error() string { return e.text }

// Unwrap is the error of the library.
func (e plainError) Unwrap() error { return e.err }

// withCure words why no server could be reached, and what to look at.
func withCure(err error) error {
	text, cure := inWords(err)
	if text == "" {
		return err
	}
	return plainError{text + "; " + cure, err}
}

// inWords says why no server could be reached; empty where the error itself does.
func inWords(err error) (text, cure string) {
	const port = "4222 unless another was chosen"
	var name *net.DNSError
	var network *net.OpError
	switch isNetwork := errors.As(err, &network); {
	case errors.Is(err, nats.ErrNoServers):
		return "nothing answers there", "look whether a NATS server runs at that address and port, which is " + port
	case errors.As(err, &name):
		return fmt.Sprintf("the host %s is not known (%v)", name.Name, name), "look at its spelling"
	case isNetwork && network.Op == "dial":
		return fmt.Sprintf("nothing answers there (%v)", network.Err), "look at the address, and whether a firewall is in between"
	case errors.Is(err, io.EOF), errors.Is(err, nats.ErrNoInfoReceived), isNetwork && network.Op == "read" && network.Timeout():
		return fmt.Sprintf("what answers there is no NATS server (%v)", err), "look at the port: that of NATS is " + port + ", and 8480 that of the dashboard"
	}
	return "", ""
}

// Connected says whether the connection stands right now; false while it is
// being got back.
func (b *Bus) Connected() bool { return b.conn.IsConnected() }

// Close ends the connection. What a method has answered is stored; calls that
// still wait end with an error. Closing twice is fine.
func (b *Bus) Close() { b.conn.Close() }
