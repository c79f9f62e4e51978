package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// flowFrom is how many records of the stream make it worth to open a flow
// rather than to ask for them one by one.
const flowFrom = 64

// refresh reads what was written since the last time, into the fold, and says
// whether there was anything. When the stream was replaced by a new one, the
// fold begins anew.
func (l *Ledger) refresh(ctx context.Context, state *fold) (grown bool, err error) {
	for {
		stream, before, err := l.bus.ensureLedger(ctx)
		if err != nil {
			return grown, err
		}
		if before != state.nonce {
			if state.nonce != "" {
				l.log.Warn().Str("was", state.nonce).Str("is", before).
					Msg("the launch ledger was replaced by a new one; open launches of the old one are only known to EC2")
			}
			state.restart(before)
			grown = true
		}
		some, err := l.readOn(ctx, stream, state)
		grown = grown || some
		if err != nil {
			return grown, err
		}
		whole, err := isWhole(ctx, stream, state)
		if err != nil {
			return grown, err
		}
		if !whole {
			state.restart(state.nonce)
			grown = true
			continue
		}
		_, after, err := l.bus.ensureLedger(ctx)
		if err != nil {
			return grown, err
		}
		if after == state.nonce {
			return grown, nil
		}
	}
}

// isWhole says whether no launch of the fold was removed from the stream. Its
// done may have been removed along with it, unread: it would look open for
// ever, and be launched again. What is removed is always the oldest, so looking
// at the first one is enough, after the reading.
func isWhole(ctx context.Context, stream jetstream.Stream, state *fold) (bool, error) {
	if len(state.entries) == 0 {
		return true, nil
	}
	first := state.entries[0].sequence
	_, err := stream.GetMsg(ctx, first)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read ledger record %d again: %w", first, err)
	}
	return true, nil
}

// readOn reads the records after state.read. Many come in a flow, from any
// replica; the last ones are asked for one by one from the stream's leader,
// which alone knows the last.
func (l *Ledger) readOn(ctx context.Context, stream jetstream.Stream, state *fold) (grown bool, err error) {
	filter := ledgerFilter(l.config.Autoscaler)
	take := func(subject string, sequence uint64, data []byte) error {
		added, err := state.apply(subject, sequence, data)
		if err == nil {
			state.read = max(state.read, sequence)
			grown = grown || added
		}
		return err
	}
	last := stream.CachedInfo().State.LastSeq
	if last > state.read+flowFrom {
		flow := reading{stream: LedgerStream, config: jetstream.OrderedConsumerConfig{
			FilterSubjects: []string{filter},
			DeliverPolicy:  jetstream.DeliverByStartSequencePolicy,
			OptStartSeq:    state.read + 1,
		}}
		err := l.bus.read(ctx, flow, func(message jetstream.Msg) error {
			meta, err := message.Metadata()
			if err != nil {
				return err
			}
			return take(message.Subject(), meta.Sequence.Stream, message.Data())
		})
		if err != nil {
			return grown, fmt.Errorf("read ledger: %w", err)
		}
	}
	for {
		message, err := stream.GetMsg(ctx, state.read+1, jetstream.WithGetMsgSubject(filter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			// Up to last, what is not ours need not be looked at again.
			state.read = max(state.read, last)
			return grown, nil
		}
		if err != nil {
			return grown, fmt.Errorf("read ledger after record %d: %w", state.read, err)
		}
		if err := take(message.Subject, message.Sequence, message.Data); err != nil {
			return grown, err
		}
	}
}

// trim removes launches settled before the horizon, once there are enough of
// them. What goes wrong is logged: it costs disk, nothing else.
func (l *Ledger) trim(ctx context.Context, state *fold, horizon time.Time) {
	count := state.trimmable(horizon)
	if count < trimAt || state.last[l.subject] == 0 {
		return
	}
	keepFrom := state.trim(l.subject, count)
	stream, err := l.bus.stream.Stream(ctx, LedgerStream)
	if err == nil {
		filter := ledgerFilter(l.config.Autoscaler)
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(filter), jetstream.WithPurgeSequence(keepFrom))
	}
	if err != nil {
		l.log.Warn().Err(err).Msg("settled launches stay in the ledger for now")
		return
	}
	l.log.Debug().Int("launches", count).Msg("settled launches removed from the ledger")
}
