package fakeagent

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// heed does what the channel orders, if that is news.
func (s *Supervisor) heed(ctx context.Context, order string) {
	drain, ok := messages.ParseDrain(order)
	if !ok || drain.Epoch <= s.epoch || s.dying != "" {
		return
	}
	s.epoch, s.said = drain.Epoch, ""
	if !drain.Run {
		s.Agent().Hold(true)
		if s.phase == serving {
			s.enter(draining)
		}
		return
	}
	if agent := s.Agent(); agent.Alive() {
		agent.Hold(false)
	} else if s.phase == drained {
		s.restart()
	}
	s.enter(serving)
	s.ack(ctx, messages.AckRunning, "")
}

// restart starts another agent. What was wrong with the first is not wrong with
// it.
func (s *Supervisor) restart() {
	agent, err := s.start(Fault{})
	if err != nil { // the first was started with the same settings
		s.cfg.Agent.Print("bootstrap: " + err.Error())
		return
	}
	s.mu.Lock()
	s.agent = agent
	halted := s.halted
	s.mu.Unlock()
	if halted {
		agent.PowerCut()
	}
}

// drain ends the agent once it has nothing to do.
func (s *Supervisor) drain(ctx context.Context) time.Duration {
	agent := s.Agent()
	task, idle := agent.Fenced()
	switch {
	case !agent.Alive():
		return s.ended(ctx)
	case idle:
		s.enter(stopping)
		agent.Stop() // its end kicks
	default:
		s.ack(ctx, messages.AckBusy, messages.TaskID(task))
	}
	return s.every
}

// ended says that there is no agent any more, and lets the grace begin: the next
// step has a last look.
func (s *Supervisor) ended(ctx context.Context) time.Duration {
	if s.dying != "" {
		s.off(s.dying)
		return s.every
	}
	s.enter(drained)
	s.ack(ctx, messages.AckDrained, "")
	return s.cfg.Agent.Timing.Grace
}

// ack says how things stand, if it is news for this epoch.
func (s *Supervisor) ack(ctx context.Context, state messages.AckState, task messages.TaskID) {
	said := string(state) + " " + string(task)
	if s.said == said {
		return
	}
	s.said = said
	answer := messages.Ack{Epoch: s.epoch, At: s.cfg.Agent.Clock.Now(), State: state, Task: task}
	s.due[messages.AckKey(s.cfg.Instance)] = answer.String()
	s.write(ctx)
}

// write writes what is due; what fails stays due.
func (s *Supervisor) write(ctx context.Context) {
	if s.home == "" {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(s.due)) {
		item := Body{"key": key, "type": "str", "value": s.due[key]}
		in := Body{"queue": s.home, "metadata": []Body{item}}
		if err := s.cfg.API.Call(ctx, "v2.30/queues.add_or_update_metadata", in, nil); err != nil {
			if ctx.Err() == nil {
				s.cfg.Agent.Log.Debug().Err(err).Str("key", key).Msg("key not written")
			}
			return
		}
		delete(s.due, key)
	}
}

// notice passes on what EC2 announced, each kind once; an interruption has the
// last word.
func (s *Supervisor) notice() {
	if s.cfg.Notice == nil || s.noticed == messages.NoticeInterruption {
		return
	}
	seen := s.cfg.Notice()
	notice := messages.Notice{At: s.cfg.Agent.Clock.Now()}
	switch {
	case !seen.Interruption.IsZero():
		notice.Kind, notice.When = messages.NoticeInterruption, seen.Interruption
	case !seen.Rebalance.IsZero() && s.noticed == "":
		notice.Kind = messages.NoticeRebalance
	default:
		return
	}
	s.noticed = notice.Kind
	s.due[messages.NoticeKey(s.cfg.Instance)] = notice.String()
}

// watch counts how long the agent is idle and the autoscaler shows no life, after
// a good look. Only time between good looks counts.
func (s *Supervisor) watch() {
	now := s.cfg.Agent.Clock.Now()
	passed := time.Duration(0)
	if !s.since.looked.IsZero() {
		passed = now.Sub(s.since.looked)
	}
	s.since.looked = now
	if sign := s.channel.Values[messages.SignKey(s.cfg.Autoscaler)]; sign != s.since.sign {
		s.since.sign, s.since.still = sign, 0
	} else {
		s.since.still += passed
	}
	agent := s.Agent()
	taken := agent.Taken()
	if (agent.Alive() && agent.Task() != "") || taken != s.since.taken {
		s.since.idle = 0
	} else {
		s.since.idle += passed
	}
	s.since.taken = taken
}

// alone ends an idle instance to which nobody talks any more.
func (s *Supervisor) alone() {
	limit := 3 * s.cfg.MaxIdle
	if limit > 0 {
		limit = max(limit, leastDeadMan)
	}
	away := s.cfg.Agent.Clock.Now().Sub(s.since.heard)
	switch {
	case limit > 0 && min(s.since.still, s.since.idle) >= limit:
		s.dying = "the autoscaler has shown no sign of life for " + limit.String() + ", powering off"
	case s.cfg.Unreachable > 0 && away >= s.cfg.Unreachable:
		s.dying = "ClearML has not answered for " + s.cfg.Unreachable.String() + ", powering off"
	default:
		return
	}
	agent := s.Agent()
	if _, idle := agent.Fenced(); !idle && agent.Alive() {
		agent.Hold(false)
		s.dying = ""
		return
	}
	s.enter(stopping)
	if agent.Alive() {
		agent.Stop()
		return
	}
	s.off(s.dying)
}
