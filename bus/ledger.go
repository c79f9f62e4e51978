package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/messages"
)

const (
	// DefaultRetain is how long settled launches are kept when
	// [LedgerConfig.Retain] is zero.
	DefaultRetain = 7 * 24 * time.Hour
	// trimAt is how many settled launches may be older than that before they are
	// removed together.
	trimAt = 128
	// appendFailures is how many times in a row one append may go wrong in a
	// way that leaves open what happened.
	appendFailures = 5
	// appendPatience bounds one try to append, pauseBase the pause after the
	// first failure; it doubles with each further one.
	appendPatience = 5 * time.Second
	pauseBase      = 10 * time.Millisecond
)

// LedgerConfig says whose launches a ledger holds.
type LedgerConfig struct {
	// Autoscaler is the owner; every autoscaler has a ledger of its own.
	Autoscaler messages.AutoscalerName
	// Retain is how long settled launches are kept, DefaultRetain when zero.
	// The same request later than that would be a new launch, so it must be
	// far longer than anybody repeats a request.
	Retain time.Duration
}

// Ledger is the durable memory of one autoscaler's launches. Several ledgers of
// the same autoscaler, in this process or others, agree: the server's
// compare-and-set decides. Methods may be called at the same time; they take
// turns. doc.go has the law.
type Ledger struct {
	bus    *Bus
	config LedgerConfig
	log    zerolog.Logger
	// subject is where records are appended.
	subject string
	// turn holds the fold while nobody uses it.
	turn chan *fold
}

// OpenLedger reads the ledger of an autoscaler.
func (b *Bus) OpenLedger(ctx context.Context, config LedgerConfig) (*Ledger, error) {
	if config.Autoscaler == "" {
		return nil, errors.New("open launch ledger: no autoscaler named")
	}
	if config.Retain == 0 {
		config.Retain = DefaultRetain
	}
	ledger := &Ledger{
		bus: b, config: config, turn: make(chan *fold, 1), subject: ledgerSubject(config.Autoscaler),
		log: b.log.With().Str("autoscaler", string(config.Autoscaler)).Logger(),
	}
	state := newFold("")
	if _, err := ledger.refresh(ctx, state); err != nil {
		return nil, fmt.Errorf("open launch ledger of %s: %w", config.Autoscaler, err)
	}
	ledger.turn <- state
	return ledger, nil
}

// Intend writes the intent and answers its id and ClientToken, which no other
// intent ever had. The same intent.Request again answers the first record.
// An intent.Epoch below one that was claimed is a [messages.Failure] of class
// ClassFenced: since that claim the intent was not written, and never will be.
// On any other error it may be written or not; ask again with the same request.
func (l *Ledger) Intend(ctx context.Context, intent messages.LaunchIntent) (messages.LaunchRecord, error) {
	if intent.Request == "" || intent.Resource == "" || intent.Count < 1 {
		return messages.LaunchRecord{}, fmt.Errorf("intend launch: %w", &messages.Failure{
			Class:   messages.ClassInvalid,
			Message: fmt.Sprintf("request %q of resource type %q for %d instances: all three are needed", intent.Request, intent.Resource, intent.Count),
		})
	}
	state, done, err := l.take(ctx)
	if err != nil {
		return messages.LaunchRecord{}, fmt.Errorf("intend launch %s: %w", intent.Request, err)
	}
	defer done()
	prepare := func() (*entryToAppend, error) {
		if intent.Epoch < state.fence {
			return nil, fenced(intent.Epoch, state.fence)
		}
		if _, known := state.byRequest[intent.Request]; known {
			return nil, nil //nolint:nilnil // nothing to append, and no error
		}
		return &entryToAppend{
			id:     "intent/" + l.subject + "/" + EscapeToken(string(intent.Request)),
			record: ledgerRecord{Kind: recordIntent, Epoch: intent.Epoch, Intent: &intent},
		}, nil
	}
	if err := l.append(ctx, state, prepare); err != nil {
		return messages.LaunchRecord{}, fmt.Errorf("intend launch %s: %w", intent.Request, err)
	}
	return cloneRecord(state.byRequest[intent.Request].record), nil
}

// Settle writes the outcome of a launch; the same outcome again is fine. An
// outcome that differs never takes instances back: those of both count. A
// launch that the ledger does not hold is a [messages.Failure] of class
// ClassNotFound. An outcome without instances whose epoch is below one that was
// claimed is of class ClassFenced, and never written from then on; instances are
// truth, and written whoever has got them.
func (l *Ledger) Settle(ctx context.Context, launch messages.LaunchID, outcome messages.LaunchOutcome) error {
	if len(outcome.Instances) == 0 && outcome.Failure == nil {
		return fmt.Errorf("settle launch %s: %w", launch, &messages.Failure{
			Class: messages.ClassInvalid, Message: "an outcome has instances or a failure",
		})
	}
	state, done, err := l.take(ctx)
	if err != nil {
		return fmt.Errorf("settle launch %s: %w", launch, err)
	}
	defer done()
	if state.find(launch) == nil {
		if _, err := l.refresh(ctx, state); err != nil {
			return fmt.Errorf("settle launch %s: %w", launch, err)
		}
	}
	prepare := func() (*entryToAppend, error) {
		if len(outcome.Instances) == 0 && outcome.Epoch < state.fence {
			return nil, fenced(outcome.Epoch, state.fence)
		}
		found := state.find(launch)
		if found == nil {
			return nil, nil //nolint:nilnil // nothing to append, and no error
		}
		if _, changes := mergeOutcome(found.record, outcome); !changes {
			return nil, nil //nolint:nilnil // nothing to append, and no error
		}
		return &entryToAppend{
			id:     "done/" + string(launch) + "/" + strconv.FormatUint(state.last[l.subject], 10),
			record: ledgerRecord{Kind: recordDone, Epoch: max(outcome.Epoch, state.fence), Launch: launch, Outcome: &outcome},
		}, nil
	}
	if err := l.append(ctx, state, prepare); err != nil {
		return fmt.Errorf("settle launch %s: %w", launch, err)
	}
	if state.find(launch) == nil {
		return fmt.Errorf("settle launch %s: %w", launch, &messages.Failure{
			Class:   messages.ClassNotFound,
			Message: "the ledger does not hold it: another autoscaler's, settled long ago, or written before the state directory was lost",
		})
	}
	l.trim(ctx, state, outcome.At.Add(-l.config.Retain))
	return nil
}

// Launches answers all intents that are not settled, and those settled at or
// after since, oldest first. It reads what others have written meanwhile.
func (l *Ledger) Launches(ctx context.Context, since time.Time) ([]messages.LaunchRecord, error) {
	state, done, err := l.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("read launches: %w", err)
	}
	defer done()
	if _, err := l.refresh(ctx, state); err != nil {
		return nil, fmt.Errorf("read launches: %w", err)
	}
	return state.launches(since), nil
}

// take waits for our turn with the fold; done ends it.
func (l *Ledger) take(ctx context.Context) (state *fold, done func(), err error) {
	select {
	case state := <-l.turn:
		return state, func() { l.turn <- state }, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// find is the entry of a launch id, or nil.
func (f *fold) find(launch messages.LaunchID) *entry {
	sequence, ok := launchSequence(f.nonce, launch)
	if !ok {
		return nil
	}
	return f.bySequence[sequence]
}

// entryToAppend is a record on its way.
type entryToAppend struct {
	// id is the message id, the same for every try to append the same thing.
	id     string
	record ledgerRecord
}

// append writes what prepare answers, or nothing when it answers nil: nothing is
// needed (any more), or it may not be. Whatever leaves open if the record was
// written (a time-out, a lost connection, a conflict with another writer) ends
// in reading the subject again and asking prepare again: the fold knows.
func (l *Ledger) append(ctx context.Context, state *fold, prepare func() (*entryToAppend, error)) error {
	for failures := 0; ; {
		next, err := prepare()
		if next == nil || err != nil {
			return err
		}
		tried := l.try(ctx, state, *next)
		if tried == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), tried)
		}
		if isRefusal(tried) && !isConflict(tried) {
			return tried
		}
		grown, err := l.refresh(ctx, state)
		if err == nil && grown && isConflict(tried) {
			continue // another writer was quicker; we have caught up with it
		}
		if err == nil && isConflict(tried) {
			state.restart("") // the subject is not what we think: read it all
			_, err = l.refresh(ctx, state)
		}
		if failures++; failures >= appendFailures {
			return giveUp(tried, err, prepare)
		}
		pause(ctx, pauseBase<<failures)
	}
}

// giveUp answers the error of the last try, unless what was read since says that
// nothing is to be appended: then that try was stored after all.
func giveUp(tried, read error, prepare func() (*entryToAppend, error)) error {
	if read == nil {
		if next, err := prepare(); next == nil {
			return err
		}
	}
	return errors.Join(tried, read)
}

// errRepeated says that the server knows the message id already.
var errRepeated = errors.New("the record was written before")

// errReplaced says that the stream is not the one that was read.
var errReplaced = errors.New("the ledger stream was replaced by a new one")

// try appends one record after the last one that is known, and takes it into
// the fold.
func (l *Ledger) try(ctx context.Context, state *fold, next entryToAppend) error {
	data, err := json.Marshal(next.record)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, appendPatience)
	defer cancel()
	message := nats.NewMsg(l.subject)
	message.Data = data
	message.Header.Set("Content-Type", "application/json")
	message.Header.Set(jetstream.MsgIDHeader, next.id)
	message.Header.Set(jetstream.ExpectedStreamHeader, LedgerStream)
	message.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(state.last[l.subject], 10))
	ack, err := l.bus.stream.PublishMsg(ctx, message)
	if err != nil {
		return err
	}
	if ack.Duplicate {
		return errRepeated
	}
	// The token is made of the nonce and the sequence. Should the stream have
	// been replaced since we read the nonce, the two do not belong together.
	_, nonce, err := l.bus.ensureLedger(ctx)
	if err != nil {
		return err
	}
	if nonce != state.nonce {
		return errReplaced
	}
	_, err = state.apply(l.subject, ack.Sequence, data)
	return err
}

// isConflict says whether another record came between.
func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// isRefusal says whether the server refused the record for good: a 4xx answer,
// but for 409: a cluster is still busy with the same message id.
func isRefusal(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Code >= 400 && api.Code < 500 && api.Code != 409
}

// pause waits a little, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}
