package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// storeSubject is where a process tells how the store of its embedded server is,
	// whether it acts for anybody or not.
	storeSubject = "ebb.server.v1.store"
	// storePatience is how long it may take to say so.
	storePatience = time.Second
)

// tellStore answers whoever asks for the store of an embedded server, as long as the
// connection stands.
func (b *Bus) tellStore(server *Server) error {
	_, err := b.conn.Subscribe(storeSubject, func(request *nats.Msg) {
		answer, err := json.Marshal(server.Store())
		if err == nil {
			err = request.Respond(answer)
		}
		if err != nil {
			b.log.Debug().Err(err).Msg("state of the store not told")
		}
	})
	if err != nil {
		return fmt.Errorf("answer for the state of the store: %w", err)
	}
	return nil
}

// AskStore asks the process whose embedded server this is how its store is. found is
// false when it is another server, or one of a version that does not tell.
func (b *Bus) AskStore(ctx context.Context) (store Store, found bool, err error) {
	return askStore(ctx, b.conn)
}

func askStore(ctx context.Context, conn *nats.Conn) (store Store, found bool, err error) {
	if conn.ConnectedServerName() != serverName { // where a login may not ask that
		return Store{}, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	answer, err := conn.RequestWithContext(ctx, storeSubject, nil)
	if errors.Is(err, nats.ErrNoResponders) {
		return Store{}, false, nil
	}
	if err == nil {
		err = json.Unmarshal(answer.Data, &store)
	}
	if err != nil {
		return Store{}, false, fmt.Errorf("ask for the state of the store: %w", err)
	}
	return store, true, nil
}
