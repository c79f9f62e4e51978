package bus

import (
	"context"
	"fmt"
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
		return nil, fmt.Errorf("connect to event bus: %w", err)
	}
	where := "the embedded server"
	if address != "" {
		where = addresses(address)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to event bus at %s: %w", where, err)
	}
	conn, err := nats.Connect(address, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to event bus at %s: %w", where, err)
	}
	stream, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to event bus at %s: %w", where, err)
	}
	bus := &Bus{conn: conn, stream: stream, config: config, log: config.Log}
	if !config.ReadOnly {
		if err := bus.ensureStreams(ctx); err != nil {
			conn.Close()
			return nil, fmt.Errorf("prepare event bus at %s: %w", where, err)
		}
	}
	if config.Server != nil && !config.ReadOnly {
		if err := bus.tellStore(config.Server); err != nil {
			conn.Close()
			return nil, fmt.Errorf("prepare event bus at %s: %w", where, err)
		}
	}
	return bus, nil
}

// Connected says whether the connection stands right now; false while it is
// being got back.
func (b *Bus) Connected() bool { return b.conn.IsConnected() }

// Close ends the connection. What a method has answered is stored; calls that
// still wait end with an error. Closing twice is fine.
func (b *Bus) Close() { b.conn.Close() }
