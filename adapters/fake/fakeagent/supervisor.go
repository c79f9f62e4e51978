package fakeagent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// slowLook is how far apart the looks of a slow supervisor are that says nothing
// else.
const slowLook = 30 * time.Second

// leastDeadMan is the shortest time after which an instance ends itself because
// its autoscaler is dead.
const leastDeadMan = 15 * time.Minute

// SupervisorConfig is what a supervisor needs: that of its agent, in which API
// and OnExit mean the agent's own, and the rest.
type SupervisorConfig struct {
	Agent Config
	// API is the supervisor's own way to the server; nil makes one like the
	// agent's.
	API      API
	Instance messages.InstanceID
	// Autoscaler is whose sign of life the dead-man watches.
	Autoscaler messages.AutoscalerName
	// MaxIdle makes an idle instance end itself when the sign of life has not
	// changed for three times as long, but at least 15 min; 0: never.
	MaxIdle time.Duration
	// Unreachable makes an idle instance end itself when ClearML has not answered
	// for so long; 0: never.
	Unreachable time.Duration
	// Notice is what the metadata service says of the instance's end; nil for an
	// instance of which it never says anything.
	Notice func() Notice
	// PowerOff powers the machine off; required.
	PowerOff func(reason string)
}

// Notice is what EC2 announced to an instance; a zero time is no announcement.
type Notice struct {
	Interruption time.Time // when the instance is taken back
	Rebalance    time.Time // when a rebalance was recommended
}

// phase is how far a drain has come.
type phase int

const (
	serving  phase = iota // the agent may pull
	draining              // the agent is fenced and has something to finish
	stopping              // the agent was told to end
	drained               // the agent has ended, the grace runs
)

// Supervisor is the part of ebb's bootstrap that runs beside the agent. It makes
// the calls that the script makes, in their order, and takes the script's
// decisions. Its methods may be called from any goroutine.
type Supervisor struct {
	cfg   SupervisorConfig
	every time.Duration // between looks
	spawn func(f func(context.Context))
	start func(Fault) (*Agent, error)

	mu     sync.Mutex
	phase  phase  // written by steps only
	agent  *Agent // the newest, which may have ended
	halted bool   // by a power cut, or since the machine goes down
	cancel context.CancelFunc
	stop   func() bool // of the timer
	runs   bool        // a step is under way
	kicked bool        // another is wanted right after it

	// What follows belongs to the step that is under way.
	channel Metadata
	home    string // the id of the first queue
	dying   string // why the instance ends itself
	epoch   uint64 // the last order heeded
	said    string // the state that was acknowledged last, without its time
	due     map[string]string
	noticed messages.NoticeKind
	since   life
}

// life is what the dead-man knows. Its time runs while ClearML answers.
type life struct {
	sign   string
	looked time.Time     // the last good look, zero after a bad one
	still  time.Duration // how long the sign has not changed
	idle   time.Duration // how long there was no task
	taken  int           // tasks of the agent until then
	heard  time.Time     // the last answer of ClearML
}

// Supervise starts an agent and a supervisor beside it, and returns at once. The
// end of parent is a power cut. With the fault [SupervisorDead] only the agent
// lives.
func Supervise(parent context.Context, cfg SupervisorConfig) (*Supervisor, error) {
	if cfg.Instance == "" || cfg.PowerOff == nil {
		return nil, errors.New("start supervisor: Instance and PowerOff are required")
	}
	fault := cfg.Agent.Fault
	cfg.Agent.fill()
	if cfg.API == nil {
		cfg.API = cfg.Agent.newAPI()
	}
	s := &Supervisor{
		cfg: cfg, every: cfg.Agent.Timing.Look, due: map[string]string{}, halted: fault.Kind == SupervisorDead,
		channel: Metadata{Keys: []string{messages.DrainKey(cfg.Instance), messages.SignKey(cfg.Autoscaler)}},
	}
	if fault.Kind == SupervisorSlow {
		s.every = max(fault.After, slowLook)
	}
	s.since.heard = cfg.Agent.Clock.Now()
	s.start = func(fault Fault) (*Agent, error) {
		own := cfg.Agent
		own.Fault, own.OnExit = fault, s.exited
		return Start(parent, own)
	}
	agent, err := s.start(fault)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(parent)
	s.agent, s.cancel = agent, cancel
	s.spawn = func(f func(context.Context)) {
		cfg.Agent.Go(func() {
			if ctx.Err() == nil {
				f(ctx)
			}
		})
	}
	s.kick()
	return s, nil
}

// Agent is the agent that runs, or that ran last.
func (s *Supervisor) Agent() *Agent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.agent
}

// Answers tells whether anybody looks at the channel.
func (s *Supervisor) Answers() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.halted
}

// PowerCut ends agent and supervisor the way a vanished machine does.
func (s *Supervisor) PowerCut() {
	s.halt()
	s.Agent().PowerCut()
}

// Stop ends both as a machine does that is told to power off: the agent gets its
// signal.
func (s *Supervisor) Stop() {
	s.halt()
	s.Agent().Stop()
}

func (s *Supervisor) halt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.halted = true
	s.cancel()
	if s.stop != nil {
		s.stop()
	}
}

// exited is the end of the agent. One that was not asked to end is none of the
// supervisor's affairs: whoever started both decides.
func (s *Supervisor) exited(e Exit) {
	s.mu.Lock()
	asked := s.phase == stopping && !s.halted
	s.mu.Unlock()
	if asked {
		s.kick()
		return
	}
	s.cfg.Agent.OnExit(e)
}

// kick runs a step now, or right after the one that is under way.
func (s *Supervisor) kick() {
	s.mu.Lock()
	begins := !s.halted && !s.runs
	s.kicked = s.runs
	s.runs = s.runs || begins
	if begins && s.stop != nil {
		s.stop()
	}
	s.mu.Unlock()
	if begins {
		s.spawn(s.run)
	}
}

// run makes steps as long as somebody asks for another, then waits.
func (s *Supervisor) run(ctx context.Context) {
	for {
		pause := s.step(ctx)
		s.mu.Lock()
		again := s.kicked
		s.kicked = false
		if !again {
			s.runs = false
			if !s.halted {
				s.stop = s.cfg.Agent.Clock.AfterFunc(pause, s.kick)
			}
		}
		s.mu.Unlock()
		if !again || ctx.Err() != nil {
			return
		}
	}
}

// enter changes the phase, which others than the step may look at.
func (s *Supervisor) enter(p phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = p
}

// off powers the machine off.
func (s *Supervisor) off(reason string) {
	s.halt()
	s.cfg.Agent.Print("bootstrap: " + reason)
	s.cfg.PowerOff(reason)
}

// step looks at the channel, does what it says, and returns how long to wait.
func (s *Supervisor) step(ctx context.Context) time.Duration {
	ended := !s.Agent().Alive()
	if s.phase == stopping {
		if !ended {
			return s.every
		}
		return s.ended(ctx)
	}
	s.notice()
	good := s.look(ctx)
	s.write(ctx)
	if ctx.Err() != nil {
		return s.every
	}
	switch s.phase {
	case serving:
		if good {
			s.watch()
		}
		s.alone()
	case draining:
		return s.drain(ctx)
	case drained:
		s.off("drained, powering off")
	case stopping:
	}
	return s.every
}

// look reads the channel and heeds it; false when the server gave no answer.
func (s *Supervisor) look(ctx context.Context) bool {
	now := s.cfg.Agent.Clock.Now()
	err := s.find(ctx)
	if err == nil && s.home != "" {
		err = s.cfg.API.Call(ctx, "v2.30/queues.get_all", Body{"id": []string{s.home}, "only_fields": []string{"id", "metadata"}}, &s.channel)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.cfg.Agent.Log.Debug().Err(err).Str("instance", string(s.cfg.Instance)).Msg("look at the channel went wrong")
		}
		s.since.looked = time.Time{}
		return false
	}
	s.since.heard = now
	if s.home == "" || !s.channel.Found { // gone; a new one of this name has another id
		s.home = ""
		return true
	}
	s.heed(ctx, s.channel.Values[messages.DrainKey(s.cfg.Instance)])
	return true
}

// find looks for the id of the home queue.
func (s *Supervisor) find(ctx context.Context) error {
	if s.home != "" {
		return nil
	}
	name := s.cfg.Agent.Queues[0]
	var out Queues
	in := Body{"name": "^" + escape(name) + "$", "only_fields": []string{"id", "name"}}
	if err := s.cfg.API.Call(ctx, "v2.30/queues.get_all", in, &out); err != nil {
		return err
	}
	for _, q := range out.Queues {
		if q.Name == name {
			s.home = q.ID
			return nil
		}
	}
	return nil
}
