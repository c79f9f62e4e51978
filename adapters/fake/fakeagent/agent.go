// Package fakeagent is a clearml-agent daemon without the machine: it makes the
// calls that a recorded agent 3.0.3 makes, in their order and with their bodies,
// and lets time pass where the real one would run a task.
//
// It is driven by the clock it is given. Calls run through Config.Go, by default
// each activity on its own goroutine; a simulator passes a function that runs
// them at once, together with an [API] or an http.Client that stays in the
// process, and the agent becomes deterministic.
//
// A [Supervisor] is what ebb's bootstrap puts around an agent: it listens on the
// channel, the metadata of the instance's first queue, tells an agent that is to
// drain to stop, and powers the machine off.
//
// How long a task runs is read from the task: the number of seconds under the
// runtime key ebb_duration_s, a minute without one.
package fakeagent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Clock is the time the agent lives in.
type Clock interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// FaultKind is the way an agent goes wrong.
type FaultKind string

// The faults of an agent. A crashed one is silent: it unregisters nothing and
// its task stays as it is.
const (
	NoFault       FaultKind = ""
	NeverUp       FaultKind = "never_up"        // not one call is made, the process hangs
	DiesIdle      FaultKind = "dies_idle"       // crashes After its registration, when it is idle then
	DiesMidTask   FaultKind = "dies_mid_task"   // crashes After a task started running
	DiesBeforeRun FaultKind = "dies_before_run" // crashes between popping a task and starting it
)

// The faults of a supervisor. Its agent is well.
const (
	SupervisorDead FaultKind = "supervisor_dead" // never looks at the channel and never answers
	SupervisorSlow FaultKind = "supervisor_slow" // looks After the look before, half a minute if zero
)

// Fault is what goes wrong with an agent, once.
type Fault struct {
	Kind  FaultKind
	After time.Duration
}

// Timing is how often the agent does things.
type Timing struct {
	Poll        time.Duration // between looks at empty queues, and at the state of a running task
	FirstReport time.Duration // until the first status report
	Report      time.Duration // between status reports
	Ping        time.Duration // between pings of a running task
	Child       time.Duration // from pulling a task until its process runs
	Look        time.Duration // between looks at the channel
	Grace       time.Duration // from a drained agent until the power is off
}

// DefaultTiming is what the recorded agent does.
func DefaultTiming() Timing {
	return Timing{
		Poll: 5 * time.Second, FirstReport: 3 * time.Second, Report: 30 * time.Second, Ping: time.Minute,
		Child: 1600 * time.Millisecond, Look: 5 * time.Second, Grace: 5 * time.Second,
	}
}

// Exit is how an agent ended by itself or by Stop.
type Exit struct {
	Code    int    // of the process: 254 after a signal, 1 after an error
	Crashed bool   // silently, by a fault
	Reason  string // for people
}

// Config is what an agent needs. WorkerID, Queues and Clock are required, and
// API, or APIHost and either both keys or Token.
type Config struct {
	API       API // nil: NewHTTP with what follows
	APIHost   string
	AccessKey string
	SecretKey string
	Token     string
	WorkerID  string
	Hostname  string   // as the agent tells it in headers and in the task, vm when empty
	Queues    []string // names, in order of priority
	Timing    Timing   // what is zero: as in DefaultTiming
	Clock     Clock
	Client    *http.Client // nil: http.DefaultClient
	Go        func(func()) // runs what waits for the network, nil: its own goroutine
	Fault     Fault
	Log       zerolog.Logger
	Print     func(line string) // what the agent writes to its standard output
	OnExit    func(Exit)        // not called by PowerCut
}

// Agent is a running agent. Its methods may be called from any goroutine.
type Agent struct {
	cfg   Config
	spawn func(f func(context.Context)) // runs f through Config.Go while the agent lives

	mu       sync.Mutex
	cancel   context.CancelFunc
	dead     bool
	stopping bool
	calls    int      // under way
	held     bool     // no task is asked for
	pulling  bool     // a task is being asked for
	taken    int      // tasks, ever
	popped   string   // a task that is not being worked on yet
	faulty   bool     // the fault has not struck yet
	queueIDs []string // in order of priority
	noProps  bool     // the server has no runtime properties
	task     string   // the task that is being worked on
	queue    string   // where it came from
	ending   bool     // somebody is bringing the task to its end
	timers   map[string]func() bool
}

// Start sets an agent going and returns at once. The end of parent is a power cut.
func Start(parent context.Context, cfg Config) (*Agent, error) {
	switch {
	case cfg.API == nil && cfg.APIHost == "":
		return nil, errors.New("start agent: the API host is missing, set CLEARML_API_HOST")
	case cfg.WorkerID == "":
		return nil, errors.New("start agent: the worker id is missing")
	case len(cfg.Queues) == 0:
		return nil, errors.New("start agent: no queue to serve, set EBB_QUEUES")
	case cfg.API == nil && cfg.Token == "" && (cfg.AccessKey == "" || cfg.SecretKey == ""):
		return nil, errors.New("start agent: credentials are missing, set both keys or a token")
	case cfg.Clock == nil:
		return nil, errors.New("start agent: Config.Clock is missing")
	}
	cfg.fill()
	if cfg.API == nil {
		cfg.API = cfg.newAPI()
	}
	ctx, cancel := context.WithCancel(parent)
	a := &Agent{cfg: cfg, cancel: cancel, faulty: cfg.Fault.Kind != NoFault, timers: map[string]func() bool{}}
	a.spawn = func(f func(context.Context)) {
		cfg.Go(func() {
			if ctx.Err() == nil {
				f(ctx)
			}
		})
	}
	if cfg.Fault.Kind != NeverUp {
		a.spawn(a.startUp)
	}
	return a, nil
}

// fill puts in what a configuration may leave out.
func (cfg *Config) fill() {
	cfg.Timing.fill()
	if cfg.Hostname == "" {
		cfg.Hostname = "vm"
	}
	if cfg.Go == nil {
		cfg.Go = func(f func()) { go f() }
	}
	if cfg.Print == nil {
		cfg.Print = func(string) {}
	}
	if cfg.OnExit == nil {
		cfg.OnExit = func(Exit) {}
	}
}

// newAPI is a way to the server for one process of the machine.
func (cfg *Config) newAPI() API {
	return NewHTTP(HTTPConfig{
		Host: cfg.APIHost, AccessKey: cfg.AccessKey, SecretKey: cfg.SecretKey, Token: cfg.Token,
		Hostname: cfg.Hostname, Client: cfg.Client, Log: cfg.Log,
	})
}

func (t *Timing) fill() {
	standard := DefaultTiming()
	t.Poll, t.FirstReport = cmp.Or(t.Poll, standard.Poll), cmp.Or(t.FirstReport, standard.FirstReport)
	t.Report, t.Ping = cmp.Or(t.Report, standard.Report), cmp.Or(t.Ping, standard.Ping)
	t.Child, t.Look = cmp.Or(t.Child, standard.Child), cmp.Or(t.Look, standard.Look)
	t.Grace = cmp.Or(t.Grace, standard.Grace)
}

// PowerCut ends the agent the way a vanished machine does: nothing more is sent.
func (a *Agent) PowerCut() {
	a.die()
}

// Stop ends the agent as SIGTERM does: a running task is stopped, the worker is
// unregistered, and OnExit is called. It returns at once.
func (a *Agent) Stop() {
	a.mu.Lock()
	already, busy := a.dead || a.stopping, a.calls > 0
	a.stopping = true
	a.mu.Unlock()
	if already {
		return
	}
	a.disarmAll()
	// What arrives after the unregister would bring the worker back, so the last of
	// the calls under way begins the end.
	if !busy {
		a.spawn(a.leave)
	}
}

// Hold makes the agent stop taking tasks, or take them again. What it works on
// goes on, and a pull that is already on its way may still succeed.
func (a *Agent) Hold(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = on
}

// Fenced makes the agent stop taking tasks and tells what it has: idle means
// that it has no task and gets none, until it is released with Hold. While a
// pull is on its way nobody knows.
func (a *Agent) Fenced() (task string, idle bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = true
	task = a.task
	if task == "" {
		task = a.popped
	}
	return task, task == "" && !a.pulling
}

// Task is the id of the task that the agent works on, empty when it is idle.
func (a *Agent) Task() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.task
}

// Taken counts the tasks that the agent has got so far.
func (a *Agent) Taken() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.taken
}

// Alive tells whether the agent has neither ended nor lost its power.
func (a *Agent) Alive() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.dead
}

// die stops everything and reports whether the agent was alive until now.
func (a *Agent) die() bool {
	a.mu.Lock()
	was := !a.dead
	a.dead = true
	cancel := a.cancel
	a.mu.Unlock()
	if was {
		cancel()
		a.disarmAll()
	}
	return was
}

// exit ends the agent and tells its owner.
func (a *Agent) exit(e Exit) {
	if a.die() {
		a.cfg.Print("clearml-agent: " + e.Reason)
		a.cfg.OnExit(e)
	}
}

// crash ends the agent silently if its fault is of the given kind and has not
// struck yet; it reports whether it did.
func (a *Agent) crash(kind FaultKind) bool {
	a.mu.Lock()
	strikes := a.faulty && a.cfg.Fault.Kind == kind
	if strikes {
		a.faulty = false
	}
	a.mu.Unlock()
	if strikes {
		a.exit(Exit{Code: 1, Crashed: true, Reason: "crashed: " + string(kind)})
	}
	return strikes
}

// errStopping is what everything gets but the last calls of an agent that ends.
var errStopping = errors.New("the agent is stopping")

// call makes one API call and decodes its data into out, which may be nil.
func (a *Agent) call(ctx context.Context, endpoint string, in Body, out any) error {
	a.mu.Lock()
	if a.stopping {
		a.mu.Unlock()
		return fmt.Errorf("call %s: %w", endpoint, errStopping)
	}
	a.calls++
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.calls--
		leaves := a.stopping && a.calls == 0
		a.mu.Unlock()
		if leaves {
			a.spawn(a.leave)
		}
	}()
	return a.cfg.API.Call(ctx, endpoint, in, out)
}

// arm runs f once d has passed, in place of what was armed under that name.
func (a *Agent) arm(name string, d time.Duration, f func(context.Context)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if stop, ok := a.timers[name]; ok {
		stop()
	}
	if a.dead || a.stopping {
		return
	}
	a.timers[name] = a.cfg.Clock.AfterFunc(d, func() { a.spawn(f) })
}

func (a *Agent) disarm(names ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range names {
		if stop, ok := a.timers[name]; ok {
			stop()
			delete(a.timers, name)
		}
	}
}

func (a *Agent) disarmAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, stop := range a.timers {
		stop()
	}
	clear(a.timers)
}
