package decide

import (
	"fmt"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// WorkerFreshness is how old a worker's last sign of life may be. A live agent
// reports every 30 s; a dead one stays listed for ten minutes.
const WorkerFreshness = 120 * time.Second

// ageOf is how long ago something was, by the ClearML server's clock. The server
// tells whole seconds here and parts of one there, so that what has just been
// can seem to be still to come: that is no time ago.
func ageOf(at, serverNow time.Time) time.Duration { return max(0, serverNow.Sub(at)) }

// PhaseOf says where an instance is, from its worker's row. row is nil when the
// poll did not list the worker; seen says whether any poll ever did. Both
// times are the ClearML server's.
func PhaseOf(row *messages.WorkerState, seen bool, serverNow time.Time) messages.Phase {
	switch {
	case row != nil && ageOf(row.LastActive, serverNow) <= WorkerFreshness:
		if row.Task == "" {
			return messages.PhaseIdle
		}
		return messages.PhaseBusy
	case row != nil || seen:
		return messages.PhaseVanished
	default:
		return messages.PhaseBooting
	}
}

// IdleVerdict is what to do about an instance that looks idle.
type IdleVerdict struct {
	// Drain says that it may go.
	Drain bool
	// IdleSince is the corrected start of its idleness; zero when it is busy.
	IdleSince time.Time
	// Reason says why it stays; zero when it goes.
	Reason messages.Reason
}

// Idleness is what polls say of a worker without a task, by our clock.
type Idleness struct {
	// Since is when it was last seen otherwise, or else when it registered.
	Since time.Time
	// Found is when this process first saw it.
	Found time.Time
	// Max is how long it may be idle.
	Max time.Duration
}

// JudgeIdle looks at what the tasks API says of a worker that showed no task
// at any poll for as long as it may be idle: it may have run tasks between two
// polls, or before this process was there to poll. activity is by the server's
// clock, as serverNow is; now is by ours. A nil activity means that nobody knows.
func JudgeIdle(now, serverNow time.Time, seen Idleness, activity *messages.WorkerActivity) IdleVerdict {
	since := seen.Since
	if activity == nil {
		return IdleVerdict{IdleSince: since, Reason: messages.Reason{
			Code: messages.ReasonUnconfirmed, Detail: "the ClearML server did not say what the worker ran lately",
		}}
	}
	if activity.Running != "" {
		return IdleVerdict{Reason: messages.Reason{
			Code: messages.ReasonTookWork, Subject: string(activity.Running), Detail: "its worker is running a task",
		}}
	}
	unseen := false
	if !activity.LastEnd.IsZero() {
		if ended := now.Add(-ageOf(activity.LastEnd, serverNow)); ended.After(since) {
			since, unseen = ended, true
		}
	}
	if idle := max(0, now.Sub(since)); idle < seen.Max {
		verdict := IdleVerdict{IdleSince: since, Reason: messages.Reason{
			Code: messages.ReasonUnconfirmed, Got: int64(idle.Seconds()), Limit: int64(seen.Max.Seconds()),
			Detail: "its worker has not been idle for long enough",
		}}
		switch {
		case unseen && since.Before(seen.Found):
			verdict.Reason.Code = messages.ReasonIdleTooShort
			verdict.Reason.Detail = fmt.Sprintf("its last task ended %s ago, when this ebb had not seen its worker yet; "+
				"until ClearML was asked just now, it counted as idle since its registration", idle.Round(time.Second))
		case unseen:
			verdict.Reason.Code = messages.ReasonTookWork
			verdict.Reason.Detail = "its worker ran a task after that, as the tasks API tells; idle time starts again at the end of that task"
		}
		return verdict
	}
	return IdleVerdict{Drain: true, IdleSince: since}
}

// deadTask is how long the task of a worker that has vanished must have been
// silent too before its machine is taken for dead. A task gives a sign of life
// every minute.
const deadTask = 30 * time.Minute

// Dead says whether the task of a worker that vanished long ago has been silent
// for so long that nothing of it can be saved by waiting. serverNow is by the
// server's clock.
func Dead(serverNow time.Time, activity messages.WorkerActivity) bool {
	return activity.Running != "" && !activity.Beat.IsZero() && ageOf(activity.Beat, serverNow) > deadTask
}

// SettleTime is how long EC2 may go on hiding an instance that it launched.
const SettleTime = 5 * time.Minute

// absentTwice is the least time between two complete listings without an
// instance before it is taken for gone.
const absentTwice = 30 * time.Second

// Absence is what listings say about an instance that they do not show. The
// zero value is that of one that was shown.
type Absence struct {
	// Since is when the first listing without the instance began, of those
	// that count; zero when there was none.
	Since time.Time
}

// Absent records a complete listing, begun at listedAt, that does not show an
// instance launched at launchedAt. gone says that it does not exist any more:
// it is old enough to be shown, and two listings far enough apart did not.
func (a Absence) Absent(listedAt, launchedAt time.Time) (next Absence, gone bool) {
	if listedAt.Sub(launchedAt) < SettleTime {
		return Absence{}, false
	}
	if a.Since.IsZero() {
		return Absence{Since: listedAt}, false
	}
	return a, listedAt.Sub(a.Since) >= absentTwice
}
