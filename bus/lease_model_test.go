package bus_test

import (
	"context"
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

// keeper is the part of a JetStream server that leases use: one key of one
// bucket, which runs out by the clock.
type keeper struct {
	// mu guards everything in a schedule: two who wake at the same time run at
	// the same time.
	mu     sync.Mutex
	config jetstream.StreamConfig
	last   *jetstream.RawStreamMsg
	next   uint64
	ids    map[string]uint64
}

// expire puts a marker where the key has run out.
func (k *keeper) expire() {
	if k.last != nil && k.last.Header.Get("Nats-Marker-Reason") == "" && time.Since(k.last.Time) >= k.config.MaxAge {
		k.put(&nats.Msg{Subject: k.last.Subject, Header: nats.Header{"Nats-Marker-Reason": []string{"MaxAge"}}})
	}
}

func (k *keeper) put(message *nats.Msg) uint64 {
	k.next++
	k.last = &jetstream.RawStreamMsg{Subject: message.Subject, Sequence: k.next, Data: message.Data, Header: message.Header, Time: time.Now()}
	return k.next
}

// store is what the server does with a message when it arrives. A server that
// stands alone looks at the sequence first, a cluster at the message id.
func (k *keeper) store(message *nats.Msg, clustered bool) (*jetstream.PubAck, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	id := message.Header.Get(jetstream.MsgIDHeader)
	if sequence, ok := k.ids[id]; ok && clustered {
		return &jetstream.PubAck{Sequence: sequence, Duplicate: true}, nil
	}
	var last uint64
	if k.last != nil {
		last = k.last.Sequence
	}
	if message.Header.Get(jetstream.ExpectedLastSubjSeqHeader) != strconv.FormatUint(last, 10) {
		return nil, &jetstream.APIError{Code: 400, ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence, Description: "wrong last sequence"}
	}
	k.ids[id] = k.put(message)
	return &jetstream.PubAck{Sequence: k.ids[id]}, nil
}

// keeperStream is the bucket's stream as one client has it.
type keeperStream struct {
	jetstream.Stream // what leases do not use
	*keeper
}

func (k keeperStream) CachedInfo() *jetstream.StreamInfo {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &jetstream.StreamInfo{Config: k.config}
}

func (k keeperStream) Info(context.Context, ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	return k.CachedInfo(), nil
}

func (k keeperStream) GetLastMsgForSubject(context.Context, string) (*jetstream.RawStreamMsg, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	if k.last == nil {
		return nil, jetstream.ErrMsgNotFound
	}
	return k.last, nil
}

// holder is one process: its messages wait until they are told their fate.
type holder struct {
	jetstream.JetStream // what leases do not use
	keeper              *keeper
	clustered           bool
	leases              *bus.Leases
	sent, busy          atomic.Bool
	fate                chan fate
	strayed             []*nats.Msg
	lease               *messages.Lease
	// until is when it stops acting: counted from before the call.
	until time.Time
}

func (h *holder) Stream(context.Context, string) (jetstream.Stream, error) {
	h.keeper.mu.Lock()
	defer h.keeper.mu.Unlock()
	if h.keeper.config.Name == "" {
		return nil, jetstream.ErrStreamNotFound
	}
	return keeperStream{keeper: h.keeper}, nil
}

func (h *holder) CreateStream(_ context.Context, config jetstream.StreamConfig) (jetstream.Stream, error) {
	h.keeper.mu.Lock()
	defer h.keeper.mu.Unlock()
	h.keeper.config, h.keeper.next = config, config.FirstSeq-1
	return keeperStream{keeper: h.keeper}, nil
}

func (h *holder) PublishMsg(ctx context.Context, message *nats.Msg, _ ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	h.sent.Store(true)
	defer h.sent.Store(false)
	var met fate
	select {
	case met = <-h.fate:
	case <-ctx.Done(): // too late for an answer, not for the server
		met = strays
	}
	switch met {
	case loses:
		_, _ = h.keeper.store(message, h.clustered) // nobody hears of it
		return nil, errLost
	case vanishes:
		return nil, errLost
	case strays:
		h.keeper.mu.Lock()
		defer h.keeper.mu.Unlock()
		h.strayed = append(h.strayed, message)
		return nil, errLost
	default:
		return h.keeper.store(message, h.clustered)
	}
}

// has answers the lease that it has, if any, and until when it may act.
func (h *holder) has() (*messages.Lease, time.Time) {
	h.keeper.mu.Lock()
	defer h.keeper.mu.Unlock()
	return h.lease, h.until
}

// set notes what it has since it asked, at began, or that it has nothing.
func (h *holder) set(lease *messages.Lease, began time.Time) {
	h.keeper.mu.Lock()
	defer h.keeper.mu.Unlock()
	timing := messages.DefaultLeaseTiming()
	h.lease, h.until = lease, began.Add(timing.TTL-timing.Margin)
}

// act does what a process does that wants to own: acquire, renew, now and then
// release.
func (h *holder) act(ctx context.Context, release bool) string {
	ctx, cancel := context.WithTimeout(ctx, 1100*time.Millisecond)
	defer cancel()
	began := time.Now()
	had, until := h.has()
	if had == nil {
		lease, err := h.leases.Acquire(ctx, "prod")
		if err == nil {
			h.set(&lease, began)
		}
		return unexpected("acquire", err, messages.ClassHeld)
	}
	if release {
		h.set(nil, began)
		return unexpected("release", h.leases.Release(ctx, *had))
	}
	lease, err := h.leases.Renew(ctx, *had)
	if err == nil {
		h.set(&lease, began)
		return ""
	}
	if messages.FailureOf(err).Class == messages.ClassFenced {
		h.set(nil, began)
		if time.Now().Before(until) {
			return fmt.Sprintf("fenced while it may act for %s: %v", time.Until(until), err)
		}
	}
	return unexpected("renew", err, messages.ClassFenced)
}

// unexpected is what is wrong with an error, if anything.
func unexpected(what string, err error, fine ...messages.FailureClass) string {
	if err == nil {
		return ""
	}
	if slices.Contains(append(fine, messages.ClassTransient), messages.FailureOf(err).Class) {
		return ""
	}
	return fmt.Sprintf("%s: %v", what, err)
}

// leaseStep is one turn: of whom, what becomes of the message it has sent, how
// much time passes first.
type leaseStep struct {
	Holder  int
	Fate    fate
	Release bool
	Wait    int
}

// waits are how much time passes between two turns.
var waits = []time.Duration{0, 0, 0, 0, time.Millisecond, 30 * time.Millisecond, time.Second, 3 * time.Second, 8 * time.Second, 12 * time.Second}

// fatesOfLeases are the fates, the usual one more often.
var fatesOfLeases = []fate{arrives, arrives, arrives, loses, loses, vanishes, strays}

// playLeases runs a schedule, in a bubble, and answers what was wrong.
func playLeases(t *testing.T, clustered bool, schedule []leaseStep) (wrong []string) {
	t.Helper()
	timing := messages.DefaultLeaseTiming()
	synctest.Test(t, func(t *testing.T) {
		shared := &keeper{ids: map[string]uint64{}}
		holders := make([]*holder, 2)
		for n := range holders {
			holders[n] = &holder{keeper: shared, clustered: clustered, fate: make(chan fate)}
			holders[n].leases = leases(t, bus.Over(holders[n]), fmt.Sprint("holder-", n), timing)
		}
		var epoch messages.Epoch
		fault := func(format string, args ...any) {
			shared.mu.Lock()
			defer shared.mu.Unlock()
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
		check := func() {
			synctest.Wait()
			acting := 0
			for _, h := range holders {
				if lease, until := h.has(); lease != nil && time.Now().Before(until) {
					acting++
					if lease.Epoch < epoch {
						fault("epoch %d acts after %d", lease.Epoch, epoch)
					}
					epoch = lease.Epoch
				}
			}
			if acting > 1 {
				fault("%d act at once", acting)
			}
		}
		for _, next := range schedule {
			time.Sleep(waits[next.Wait])
			check()
			switch h := holders[next.Holder]; {
			case h.sent.Load():
				h.fate <- next.Fate
			case next.Fate == strays && len(h.strayed) > 0:
				message := h.strayed[0]
				h.strayed = h.strayed[1:]
				_, _ = shared.store(message, clustered) // nobody hears of it
			case !h.busy.Load():
				h.busy.Store(true)
				go func() {
					defer h.busy.Store(false)
					if said := h.act(t.Context(), next.Release); said != "" {
						fault("%s", said)
					}
				}()
			}
			check()
		}
		for _, h := range holders {
			for h.busy.Load() {
				if h.sent.Load() {
					h.fate <- arrives
				}
				time.Sleep(time.Millisecond)
				check()
			}
		}
	})
	return wrong
}

// Two processes want the same lease; messages and answers are lost, late, or
// a process is paused. Never do two act at once, no epoch comes twice, and who
// may still act is not fenced.
func TestInterleavingsHaveOneHolder(t *testing.T) {
	t.Parallel()
	draw := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) leaseStep {
		return leaseStep{
			Holder: rapid.IntRange(0, 1).Draw(t, "holder"), Fate: rapid.SampledFrom(fatesOfLeases).Draw(t, "fate"),
			Release: rapid.IntRange(0, 9).Draw(t, "release") == 9, Wait: rapid.IntRange(0, len(waits)-1).Draw(t, "wait"),
		}
	}), 10, 60)
	for _, clustered := range []bool{false, true} {
		for round := range rounds {
			t.Run(fmt.Sprint("clustered ", clustered, " ", round), func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(r *rapid.T) {
					schedule := draw.Draw(r, "schedule")
					if wrong := playLeases(t, clustered, schedule); len(wrong) > 0 {
						r.Fatalf("%d steps: %s", len(schedule), strings.Join(wrong, "\n"))
					}
				})
			})
		}
	}
}
