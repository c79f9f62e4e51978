package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

// memory is the part of a JetStream server that a ledger uses: one stream, in
// the order of what arrives, with its compare-and-set and its message ids.
type memory struct {
	// mu guards everything in a schedule: two who wake at the same time run at
	// the same time.
	mu      sync.Mutex
	records []*jetstream.RawStreamMsg
	ids     map[string]uint64
}

var errLost = errors.New("the answer was lost")

// store is what the server does with a message when it arrives.
func (m *memory) store(message *nats.Msg) (*jetstream.PubAck, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := message.Header.Get(jetstream.MsgIDHeader)
	if sequence, ok := m.ids[id]; ok {
		return &jetstream.PubAck{Sequence: sequence, Duplicate: true}, nil
	}
	var last uint64
	for _, record := range m.records {
		if record.Subject == message.Subject {
			last = record.Sequence
		}
	}
	if message.Header.Get(jetstream.ExpectedLastSubjSeqHeader) != strconv.FormatUint(last, 10) {
		return nil, &jetstream.APIError{Code: 400, ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence, Description: "wrong last sequence"}
	}
	sequence := uint64(len(m.records) + 1)
	m.records = append(m.records, &jetstream.RawStreamMsg{Subject: message.Subject, Sequence: sequence, Data: message.Data})
	m.ids[id] = sequence
	return &jetstream.PubAck{Sequence: sequence}, nil
}

// memoryStream is the stream as one reader has it.
type memoryStream struct {
	jetstream.Stream // what a ledger does not use
	*memory
}

func (m memoryStream) CachedInfo() *jetstream.StreamInfo {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &jetstream.StreamInfo{
		Config: jetstream.StreamConfig{
			Subjects: []string{bus.LedgerSubjects}, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
			Storage: jetstream.FileStorage, Metadata: map[string]string{"ebb_nonce": "abcdefghijkl"},
		},
		State: jetstream.StreamState{LastSeq: uint64(len(m.records))},
	}
}

// GetMsg answers the record, or the next one when a subject is given; all
// subjects of these tests match it.
func (m memoryStream) GetMsg(_ context.Context, sequence uint64, _ ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if sequence > uint64(len(m.records)) {
		return nil, jetstream.ErrMsgNotFound
	}
	return m.records[sequence-1], nil
}

// fate is what becomes of a message that was sent.
type fate int

const (
	arrives  fate = iota // it is stored or refused, and answered
	loses                // it is stored or refused; the answer is lost
	vanishes             // it never arrives
	strays               // its sender gives up, and it arrives later
	fates
)

// writer is one process: a ledger whose messages wait until they are told
// their fate.
type writer struct {
	jetstream.JetStream // what a ledger does not use
	*memory
	ledger  *bus.Ledger
	epoch   messages.Epoch
	fate    chan fate
	strayed []*nats.Msg
	// sent is while a message waits for its fate, busy while a method runs.
	sent, busy atomic.Bool
}

func (w *writer) Stream(context.Context, string) (jetstream.Stream, error) {
	return memoryStream{memory: w.memory}, nil
}

func (w *writer) PublishMsg(_ context.Context, message *nats.Msg, _ ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	w.sent.Store(true)
	met := <-w.fate
	w.sent.Store(false)
	switch met {
	case loses:
		_, _ = w.store(message) // nobody hears of it
		return nil, errLost
	case vanishes:
		return nil, errLost
	case strays:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.strayed = append(w.strayed, message)
		return nil, errLost
	default:
		return w.store(message)
	}
}

// step is one turn of a schedule: what a writer begins when it is idle, or the
// fate of what it has sent.
type step struct {
	Writer, Does, Request int
	Fate                  fate
}

// world runs a schedule over several writers and keeps what went wrong.
type world struct {
	memory  *memory
	writers []*writer
	epochs  atomic.Uint64
	wrong   []string
}

func (w *world) fault(format string, args ...any) {
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// highest is the highest epoch that the records know.
func (w *world) highest() (highest messages.Epoch) {
	for _, record := range w.read() {
		highest = max(highest, record.Epoch)
	}
	return highest
}

func (w *world) read() []rawRecord {
	w.memory.mu.Lock()
	stored := slices.Clone(w.memory.records)
	w.memory.mu.Unlock()
	records := make([]rawRecord, len(stored))
	for n, message := range stored {
		if err := json.Unmarshal(message.Data, &records[n]); err != nil {
			w.fault("record %d: %v", n+1, err)
		}
	}
	return records
}

// begin runs one method of a writer's ledger and checks its answer against the
// records.
func (w *world) begin(ctx context.Context, writer *writer, next step) {
	request := messages.RequestID(fmt.Sprint("r", next.Request))
	launch := messages.LaunchID(fmt.Sprint("abcdefghijkl-", next.Request+1))
	epoch := writer.epoch
	switch next.Does {
	case 0:
		epoch = messages.Epoch(w.epochs.Add(1))
		writer.epoch = epoch
		w.checkClaim(epoch, writer.ledger.Claim(ctx, epoch))
	case 1:
		w.checkClaim(epoch, writer.ledger.Claim(ctx, epoch))
	case 2:
		w.checkOutcome(epoch, writer.ledger.Settle(ctx, launch, failedBy(epoch)))
	case 3:
		err := writer.ledger.Settle(ctx, launch, gaveBy(epoch, messages.InstanceID(fmt.Sprint("i-", launch))))
		if err != nil && messages.FailureOf(err).Class == messages.ClassFenced {
			w.fault("instances of epoch %d were refused: %v", epoch, err)
		}
		w.checkOutcome(epoch, err)
	case 4:
		_, err := writer.ledger.Launches(ctx, time.Time{})
		if err != nil {
			w.fault("launches: %v", err)
		}
	default:
		resource := messages.ResourceName(fmt.Sprint("gpu-", next.Request%3))
		record, err := writer.ledger.Intend(ctx, by(epoch, request, resource))
		w.checkOutcome(epoch, err)
		if err != nil {
			return
		}
		sequence, _ := strconv.Atoi(strings.TrimPrefix(string(record.Launch), "abcdefghijkl-"))
		if all := w.read(); sequence < 1 || sequence > len(all) || all[sequence-1].Intent == nil || all[sequence-1].Intent.Request != request {
			w.fault("intend %s answers %s, where there is no such intent", request, record.Launch)
		}
	}
}

// checkClaim holds a claim's answer against the records.
func (w *world) checkClaim(epoch messages.Epoch, err error) {
	if err == nil && w.highest() < epoch {
		w.fault("epoch %d is claimed; the records say %d", epoch, w.highest())
	}
	w.checkOutcome(epoch, err)
}

// checkOutcome takes only errors that the world explains.
func (w *world) checkOutcome(epoch messages.Epoch, err error) {
	if err == nil || errors.Is(err, errLost) {
		return
	}
	switch messages.FailureOf(err).Class {
	case messages.ClassFenced:
		if w.highest() <= epoch {
			w.fault("epoch %d is fenced; the records say %d", epoch, w.highest())
		}
	case messages.ClassNotFound: // settled what was not launched
	default:
		w.fault("epoch %d: %v", epoch, err)
	}
}

// play runs the schedule to its end, in a bubble, and answers what was wrong.
func play(t *testing.T, schedule []step) []string {
	t.Helper()
	w := &world{memory: &memory{ids: map[string]uint64{}}}
	synctest.Test(t, func(t *testing.T) {
		for range 3 {
			writer := &writer{memory: w.memory, fate: make(chan fate)}
			writer.ledger = open(t, bus.Over(writer), "prod")
			w.writers = append(w.writers, writer)
		}
		turn := func(next step) {
			writer := w.writers[next.Writer]
			switch {
			case writer.sent.Load():
				writer.fate <- next.Fate
			case writer.busy.Load():
				time.Sleep(time.Second) // it pauses before it tries again
			case next.Fate == strays && len(writer.strayed) > 0:
				message := writer.strayed[0]
				writer.strayed = writer.strayed[1:]
				_, _ = w.memory.store(message) // nobody hears of it
			default:
				writer.busy.Store(true)
				go func() {
					defer writer.busy.Store(false)
					w.begin(t.Context(), writer, next)
				}()
			}
			synctest.Wait()
		}
		for _, next := range schedule {
			turn(next)
		}
		for n, writer := range w.writers {
			for writer.busy.Load() {
				turn(step{Writer: n})
			}
			for len(writer.strayed) > 0 {
				turn(step{Writer: n, Fate: strays})
			}
		}
		w.judge(t)
	})
	return w.wrong
}

// judge checks the law on the records, and that every ledger tells the same as
// a fold of them that shares no code with it.
func (w *world) judge(t *testing.T) {
	t.Helper()
	records := w.read()
	if err := wantEpochsGrow(records); err != nil {
		w.fault("%v", err)
	}
	seen := map[messages.RequestID]bool{}
	var want []string
	for n, record := range records {
		if record.Intent == nil {
			continue
		}
		if seen[record.Intent.Request] {
			w.fault("request %s has two intents", record.Intent.Request)
		}
		seen[record.Intent.Request] = true
		state := "open"
		launch := messages.LaunchID(fmt.Sprint("abcdefghijkl-", n+1))
		for _, done := range records {
			if done.Launch == launch && len(done.Outcome.Instances) > 0 {
				state = "launched"
			} else if done.Launch == launch && state == "open" {
				state = "failed"
			}
		}
		want = append(want, fmt.Sprintf("%s %s %s", launch, record.Intent.Request, state))
	}
	for n, writer := range append(w.writers, &writer{ledger: open(t, bus.Over(w.writers[0]), "prod")}) {
		var got []string
		for _, record := range launches(t, writer.ledger, time.Time{}) {
			state := map[bool]string{true: "failed"}[record.Settled]
			if len(record.Outcome.Instances) > 0 {
				state = "launched"
			} else if !record.Settled {
				state = "open"
			}
			got = append(got, fmt.Sprintf("%s %s %s", record.Launch, record.Intent.Request, state))
		}
		if !slices.Equal(got, want) {
			w.fault("ledger %d tells %q, the records %q", n, got, want)
		}
	}
}

// Three writers claim, intend and settle; each message of theirs waits for the
// schedule to tell when it arrives and if its sender hears of it.
func TestInterleavingsKeepTheFence(t *testing.T) {
	t.Parallel()
	draw := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			Writer: rapid.IntRange(0, 2).Draw(t, "writer"), Does: rapid.IntRange(0, 7).Draw(t, "does"),
			Request: rapid.IntRange(0, 5).Draw(t, "request"), Fate: fate(rapid.IntRange(0, int(fates)-1).Draw(t, "fate")),
		}
	}), 1, 40)
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(r *rapid.T) {
				schedule := draw.Draw(r, "schedule")
				if wrong := play(t, schedule); len(wrong) > 0 {
					r.Fatalf("%d steps: %s", len(schedule), strings.Join(wrong, "\n"))
				}
			})
		})
	}
}
