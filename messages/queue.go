package messages

import "time"

// QueueMessage is the inbox of a queue actor.
//
//sumtype:decl
type QueueMessage interface{ queueMessage() }

// QueuePolled is sent at each good poll, by the autoscaler; answered with
// [DemandStated].
type QueuePolled struct {
	Tick Tick
	// ServerNow is the ClearML server's clock at the poll.
	ServerNow time.Time
	// State has no entries when the queue does not exist (yet).
	State QueueState
}

// StateDemand is sent by the autoscaler when it evaluates again between two
// polls; answered with [DemandStated] from the last poll.
type StateDemand struct{ Tick Tick }

// QueueJudged is sent after each evaluation, by the autoscaler. The queue
// keeps it as the answer to "why" and records it when it has changed.
type QueueJudged struct {
	Tick    Tick
	Verdict QueuePlanned
}

func (QueuePolled) queueMessage() {}
func (StateDemand) queueMessage() {}
func (QueueJudged) queueMessage() {}
