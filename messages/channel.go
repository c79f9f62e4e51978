package messages

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The channel between an autoscaler and the supervisor on an instance is the
// metadata of the instance's home queue on the ClearML server: one key for each
// instance and direction. Values are words with one space between them, so that
// a shell can read and write them. docs/bootstrap.md has the protocol.

// BarrierKey is the queue metadata that says which autoscaler closed a queue
// for a moment, so that it is opened again after a crash.
const BarrierKey = "ebb.barrier"

// BarrierTag is the tag that keeps every agent from pulling from a queue.
const BarrierTag = "force_workers:off"

// DrainKey is where the autoscaler tells an instance to stop or go on pulling.
func DrainKey(id InstanceID) string { return drainPrefix + string(id) }

// AckKey is where the instance's supervisor answers.
func AckKey(id InstanceID) string { return ackPrefix + string(id) }

// NoticeKey is where the supervisor reports what EC2 told the instance.
func NoticeKey(id InstanceID) string { return noticePrefix + string(id) }

// SignKey is where an autoscaler gives its sign of life.
func SignKey(name AutoscalerName) string { return "ebb.lease." + string(name) }

const (
	drainPrefix  = "ebb.drain."
	ackPrefix    = "ebb.ack."
	noticePrefix = "ebb.notice."
)

// ChannelInstance says which instance a metadata key is about; ok is false for
// a key that is about none.
func ChannelInstance(key string) (id InstanceID, ok bool) {
	for _, prefix := range []string{drainPrefix, ackPrefix, noticePrefix} {
		if rest, found := strings.CutPrefix(key, prefix); found && rest != "" {
			return InstanceID(rest), true
		}
	}
	return "", false
}

// Drain is what the autoscaler tells a supervisor: "EPOCH UNIX drain" or
// "EPOCH UNIX run". A supervisor heeds it when its epoch is above the last one
// that it heeded.
type Drain struct {
	Epoch uint64
	// At is when it was written, in whole seconds, by the autoscaler's clock.
	At time.Time
	// Run takes a drain back: the agent may pull again.
	Run bool
}

// String is the value as it is written.
func (d Drain) String() string {
	word := "drain"
	if d.Run {
		word = "run"
	}
	return fmt.Sprintf("%d %d %s", d.Epoch, d.At.Unix(), word)
}

// ParseDrain reads what [Drain.String] wrote.
func ParseDrain(value string) (drain Drain, ok bool) {
	epoch, at, words, ok := stamped(value)
	if !ok || len(words) != 1 || (words[0] != "drain" && words[0] != "run") {
		return Drain{}, false
	}
	return Drain{Epoch: epoch, At: at, Run: words[0] == "run"}, true
}

// AckState is what a supervisor says of its agent.
type AckState string

// What a supervisor answers.
const (
	// AckRunning: the agent pulls (again).
	AckRunning AckState = "running"
	// AckBusy: the agent pulls nothing more and finishes its task.
	AckBusy AckState = "busy"
	// AckDrained: the agent has no task, has ended, and pulls nothing more
	// unless a later epoch says so in time.
	AckDrained AckState = "drained"
)

// Ack is a supervisor's answer: "EPOCH UNIX STATE [TASK]". Epoch repeats that of
// the [Drain] it heeds.
type Ack struct {
	Epoch uint64
	// At is by the instance's clock.
	At    time.Time
	State AckState
	// Task is what is being finished, where the supervisor knows it.
	Task TaskID
}

// String is the value as it is written.
func (a Ack) String() string {
	return strings.TrimSuffix(fmt.Sprintf("%d %d %s %s", a.Epoch, a.At.Unix(), a.State, a.Task), " ")
}

// ParseAck reads what [Ack.String] wrote.
func ParseAck(value string) (ack Ack, ok bool) {
	epoch, at, words, ok := stamped(value)
	if !ok || len(words) < 1 || len(words) > 2 {
		return Ack{}, false
	}
	ack = Ack{Epoch: epoch, At: at, State: AckState(words[0])}
	if len(words) == 2 {
		ack.Task = TaskID(words[1])
	}
	switch ack.State {
	case AckRunning, AckBusy, AckDrained:
		return ack, true
	}
	return Ack{}, false
}

// NoticeKind is what EC2 announced to an instance.
type NoticeKind string

// The announcements.
const (
	// NoticeInterruption: EC2 takes the spot instance back within two minutes.
	NoticeInterruption NoticeKind = "interruption"
	// NoticeRebalance: EC2 thinks that it may have to, soon.
	NoticeRebalance NoticeKind = "rebalance"
)

// Notice is what a supervisor reports of EC2's announcements: "UNIX KIND WHEN",
// WHEN in Unix seconds too, 0 when EC2 did not say.
type Notice struct {
	At   time.Time
	Kind NoticeKind
	// When is when it happens; zero when EC2 did not say.
	When time.Time
}

// String is the value as it is written.
func (n Notice) String() string {
	when := int64(0)
	if !n.When.IsZero() {
		when = n.When.Unix()
	}
	return fmt.Sprintf("%d %s %d", n.At.Unix(), n.Kind, when)
}

// ParseNotice reads what [Notice.String] wrote.
func ParseNotice(value string) (notice Notice, ok bool) {
	words := strings.Fields(value)
	if len(words) != 3 {
		return Notice{}, false
	}
	at, err1 := strconv.ParseInt(words[0], 10, 64)
	when, err2 := strconv.ParseInt(words[2], 10, 64)
	notice = Notice{At: time.Unix(at, 0).UTC(), Kind: NoticeKind(words[1])}
	if when > 0 {
		notice.When = time.Unix(when, 0).UTC()
	}
	return notice, err1 == nil && err2 == nil && (notice.Kind == NoticeInterruption || notice.Kind == NoticeRebalance)
}

// Sign is an autoscaler's sign of life: "UNIX EPOCH". A supervisor does not
// compare it with its own clock: it watches that the value changes.
type Sign struct {
	At    time.Time
	Epoch Epoch
}

// String is the value as it is written.
func (s Sign) String() string { return fmt.Sprintf("%d %d", s.At.Unix(), s.Epoch) }

// ParseSign reads what [Sign.String] wrote.
func ParseSign(value string) (sign Sign, ok bool) {
	at, epoch, found := strings.Cut(value, " ")
	seconds, err1 := strconv.ParseInt(at, 10, 64)
	number, err2 := strconv.ParseUint(epoch, 10, 64)
	if !found || err1 != nil || err2 != nil {
		return Sign{}, false
	}
	return Sign{At: time.Unix(seconds, 0).UTC(), Epoch: Epoch(number)}, true
}

// Barrier is the owner marker of a closed queue: "UNIX AUTOSCALER".
type Barrier struct {
	At         time.Time
	Autoscaler AutoscalerName
}

// String is the value as it is written.
func (b Barrier) String() string { return fmt.Sprintf("%d %s", b.At.Unix(), b.Autoscaler) }

// ParseBarrier reads what [Barrier.String] wrote.
func ParseBarrier(value string) (barrier Barrier, ok bool) {
	at, name, found := strings.Cut(value, " ")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if !found || err != nil || name == "" {
		return Barrier{}, false
	}
	return Barrier{At: time.Unix(seconds, 0).UTC(), Autoscaler: AutoscalerName(name)}, true
}

// stamped splits "EPOCH UNIX words…".
func stamped(value string) (epoch uint64, at time.Time, words []string, ok bool) {
	fields := strings.Fields(value)
	if len(fields) < 3 {
		return 0, time.Time{}, nil, false
	}
	epoch, err1 := strconv.ParseUint(fields[0], 10, 64)
	seconds, err2 := strconv.ParseInt(fields[1], 10, 64)
	return epoch, time.Unix(seconds, 0).UTC(), fields[2:], err1 == nil && err2 == nil
}

// Channel is what the metadata say of one instance. A value that is not there
// has a zero epoch or time.
type Channel struct {
	Drain  Drain
	Ack    Ack
	Notice Notice
	// Keys are those that are there, with the queue that has them.
	Keys map[string]string
}

// Acked says how the supervisor answered to the drain of this epoch, empty when
// it has not.
func (c Channel) Acked(epoch uint64) AckState {
	if epoch == 0 || c.Ack.Epoch != epoch {
		return ""
	}
	return c.Ack.State
}

// Board is everything that one poll found written on the queues. It is never
// changed once it is made.
type Board struct {
	queues   map[QueueName]QueueState
	channels map[InstanceID]Channel
}

// NewBoard reads the metadata of the queues of a snapshot. What cannot be read
// is left out: it is somebody else's.
func NewBoard(queues []QueueState) Board {
	board := Board{queues: make(map[QueueName]QueueState, len(queues)), channels: make(map[InstanceID]Channel)}
	for _, queue := range queues {
		board.queues[queue.Name] = queue
		for key, value := range queue.Metadata {
			id, ours := ChannelInstance(key)
			if !ours {
				continue
			}
			channel := board.channels[id]
			if channel.Keys == nil {
				channel.Keys = make(map[string]string)
			}
			channel.Keys[key] = queue.ID
			switch key {
			case DrainKey(id):
				channel.Drain, _ = ParseDrain(value)
			case AckKey(id):
				channel.Ack, _ = ParseAck(value)
			case NoticeKey(id):
				channel.Notice, _ = ParseNotice(value)
			}
			board.channels[id] = channel
		}
	}
	return board
}

// Queue is a queue by its name.
func (b Board) Queue(name QueueName) (queue QueueState, ok bool) {
	queue, ok = b.queues[name]
	return queue, ok
}

// Empty says that the poll found no queue.
func (b Board) Empty() bool { return len(b.queues) == 0 }

// Names are the names of all queues, sorted.
func (b Board) Names() []QueueName { return slices.Sorted(maps.Keys(b.queues)) }

// Channel is what is written of an instance.
func (b Board) Channel(id InstanceID) Channel { return b.channels[id] }

// Channels are all instances that anything is written of.
func (b Board) Channels() map[InstanceID]Channel { return b.channels }

// Signal is one change to the metadata of a queue. Keys are written one by one
// on the server: nobody else's are touched.
type Signal struct {
	// QueueID is ClearML's id of the queue.
	QueueID string
	Set     map[string]string
	Delete  []string
}
