package bus

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ebbscale/ebb/messages"
)

const (
	// batchLimit is how many events go into one atomic batch; the server takes
	// up to 1000.
	batchLimit = 500
	// ackPatience bounds the wait for one acknowledgment.
	ackPatience = 10 * time.Second
	// headerRoom is what the headers of one message may take of its size.
	headerRoom = 1024

	// The headers of an atomic batch (nats-server 2.12 and later).
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

// Publish stores the events in order and returns when all of them are on the
// server's disk. On an error some may be stored, always the first ones; the
// same events again store each one once, within the window of doc.go. An event
// that can never be stored is a [messages.Failure] of class ClassInvalid whose
// Code is the event's id; then none of the events has been sent.
func (b *Bus) Publish(ctx context.Context, events []messages.Recorded) error {
	batch := make([]*nats.Msg, 0, len(events))
	for _, event := range events {
		message, err := b.message(event)
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		batch = append(batch, message)
	}
	for len(batch) > 0 {
		part := batch[:min(len(batch), batchLimit)]
		if err := b.store(ctx, part); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		batch = batch[len(part):]
	}
	return nil
}

// message is an event as it goes on the wire.
func (b *Bus) message(event messages.Recorded) (*nats.Msg, error) {
	data, err := EncodeEvent(event)
	if err != nil {
		return nil, err
	}
	if most := b.conn.MaxPayload(); most > 0 && int64(len(data)+headerRoom) > most {
		return nil, fmt.Errorf("encode event: %w", &messages.Failure{
			Class: messages.ClassInvalid, Code: event.ID,
			Message: fmt.Sprintf("%s is %d bytes long, and this server takes %d", event.Event.Kind(), len(data), most-headerRoom),
		})
	}
	message := nats.NewMsg(EventSubject(event.Autoscaler, event.Event.Kind()))
	message.Data = data
	message.Header.Set(jetstream.MsgIDHeader, event.ID)
	message.Header.Set("Content-Type", ContentType)
	return message, nil
}

// store puts up to batchLimit messages into the stream: as one atomic batch, in
// which order cannot break, or else one by one, each acknowledged before the
// next is sent. Publishing many at once and then waiting would be as quick as
// the batch, but when the connection breaks and comes back in the middle, later
// events are stored and earlier ones are not.
func (b *Bus) store(ctx context.Context, batch []*nats.Msg) error {
	if len(batch) > 1 && b.atomicBatch.Load() {
		err := b.storeBatch(ctx, batch)
		var refused *jetstream.APIError
		if err == nil || !errors.As(err, &refused) {
			return err
		}
		// Refused as a whole, nothing of it is stored. Mostly it is a repeat of
		// which a part is there already; one by one the server sorts that out,
		// and otherwise says which event it does not take.
	}
	for _, message := range batch {
		if err := b.storeOne(ctx, message); err != nil {
			return fmt.Errorf("event %s: %w", message.Header.Get(jetstream.MsgIDHeader), err)
		}
	}
	return nil
}

// storeOne stores one message. A server that knows no stream for it has lost
// the stream: it is made again, once.
func (b *Bus) storeOne(ctx context.Context, message *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, ackPatience)
	defer cancel()
	_, err := b.stream.PublishMsg(ctx, message)
	if errors.Is(err, jetstream.ErrNoStreamResponse) && !b.config.ReadOnly {
		if err := b.ensureEvents(ctx); err != nil {
			return err
		}
		_, err = b.stream.PublishMsg(ctx, message)
	}
	return err
}

// batchAck is the server's answer to the last message of an atomic batch.
type batchAck struct {
	Error *jetstream.APIError `json:"error"`
	Batch string              `json:"batch"`
	Count int                 `json:"count"`
}

// storeBatch stores all messages or none. An error that is not the server's
// own leaves open which.
func (b *Bus) storeBatch(ctx context.Context, batch []*nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, ackPatience)
	defer cancel()
	id := rand.Text()
	last := len(batch) - 1
	for i, message := range batch {
		sent := &nats.Msg{Subject: message.Subject, Data: message.Data, Header: nats.Header{
			headerBatchID:       []string{id},
			headerBatchSequence: []string{strconv.Itoa(i + 1)},
		}}
		maps.Copy(sent.Header, message.Header)
		if i < last {
			if err := b.conn.PublishMsg(sent); err != nil {
				return fmt.Errorf("send batch of %d events: %w", len(batch), err)
			}
			continue
		}
		sent.Header.Set(headerBatchCommit, "1")
		answer, err := b.conn.RequestMsgWithContext(ctx, sent)
		if errors.Is(err, nats.ErrNoResponders) && !b.config.ReadOnly {
			err = &jetstream.APIError{Code: 503, Description: "no stream takes the events"}
		}
		if err != nil {
			return fmt.Errorf("commit batch of %d events: %w", len(batch), err)
		}
		return readBatchAck(answer.Data, id, len(batch))
	}
	return nil
}

// readBatchAck turns the server's answer to a commit into an error or nil.
func readBatchAck(data []byte, id string, count int) error {
	var ack batchAck
	if err := json.Unmarshal(data, &ack); err != nil {
		return fmt.Errorf("commit batch of %d events: read the server's answer: %w", count, err)
	}
	if ack.Error != nil {
		return fmt.Errorf("commit batch of %d events: %w", count, ack.Error)
	}
	if ack.Batch != id || ack.Count != count {
		return fmt.Errorf("commit batch of %d events: the server stored %d of batch %q", count, ack.Count, ack.Batch)
	}
	return nil
}
