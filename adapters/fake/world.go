package fake

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/adapters/fake/fakeimds"
	"github.com/ebbscale/ebb/messages"
)

// Clock is the time the world lives in.
type Clock interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// Share is a fault of agents together with the part of the instances it befalls.
type Share struct {
	Fault       fakeagent.Fault
	Probability float64
}

// Workload is what runs on a booted instance.
type Workload interface {
	PowerCut() // the machine is gone
	Stop()     // the machine is told to power off
}

// WorldConfig is what a world is made of. Clock and EC2 are required.
type WorldConfig struct {
	Clock   Clock
	EC2     *fakeec2.Cloud
	Seed    uint64           // of the draws below; every instance has its own, by its id
	Install fakeec2.Dist     // running until the agent starts; zero: DefaultInstall
	Faults  []Share          // what goes wrong with agents and supervisors, drawn once per instance
	Agent   fakeagent.Timing // zero: as recorded
	Client  *http.Client     // how agents and supervisors reach their ClearML server
	// API is how the agent and the supervisor of an instance call their ClearML
	// server, one for each; nil: over HTTP, through Client.
	API func(fakeec2.Instance) fakeagent.API
	Go  func(func()) // see fakeagent.Config.Go
	Log zerolog.Logger
	// StayUp leaves an instance running when its agent crashed. Otherwise the
	// bootstrap powers it off, whatever the agent ended with.
	StayUp bool
	// Start replaces the simulated agent with something else. done is called
	// when that has ended by itself.
	Start func(i fakeec2.Instance, b Boot, done func()) (Workload, error)
}

// DefaultInstall is a prebaked image: the agent is ready after a median of 75 s,
// 150 s at the 95th percentile.
func DefaultInstall() fakeec2.Dist {
	return fakeec2.Dist{Median: 75 * time.Second, P99: 200 * time.Second}
}

// World is a region whose instances live.
type World struct {
	cfg   WorldConfig
	start func(i fakeec2.Instance, b Boot, fault fakeagent.Fault, done func()) (Workload, error)

	mu       sync.Mutex
	machines map[string]*machine
	closed   bool
}

// machine is what runs on one instance.
type machine struct {
	stop func() bool // of the boot that is under way
	work Workload
}

// NewWorld brings the instances of a region to life, from now on. The end of ctx
// takes the power from simulated agents.
func NewWorld(ctx context.Context, cfg WorldConfig) (*World, error) {
	if cfg.Clock == nil || cfg.EC2 == nil {
		return nil, errors.New("make world: WorldConfig.Clock and WorldConfig.EC2 are required")
	}
	if cfg.Install == (fakeec2.Dist{}) {
		cfg.Install = DefaultInstall()
	}
	w := &World{cfg: cfg, machines: map[string]*machine{}}
	w.start = func(i fakeec2.Instance, b Boot, fault fakeagent.Fault, done func()) (Workload, error) {
		if cfg.Start != nil {
			return cfg.Start(i, b, done)
		}
		agent := w.agentConfig(i, b, fault, done)
		if b.Autoscaler == "" {
			return fakeagent.Start(ctx, agent)
		}
		return fakeagent.Supervise(ctx, w.supervisorConfig(i, b, agent))
	}
	cfg.EC2.Watch(w.follow)
	return w, nil
}

// follow lets a machine do what its instance does.
func (w *World) follow(t fakeec2.Transition) {
	switch t.To {
	case fakeec2.Running:
		w.powerOn(t.InstanceID)
	case fakeec2.ShuttingDown, fakeec2.Terminated, fakeec2.Stopped:
		w.powerOff(t.InstanceID)
	case fakeec2.Stopping:
		w.shutDown(t.InstanceID)
	case fakeec2.Pending:
		w.cfg.EC2.AppendConsole(t.InstanceID, "[    0.000000] Linux version 6.8.0 (fake)\n")
	}
}

func (w *World) powerOn(id string) {
	rng := w.rng(id)
	install := w.cfg.Install.Draw(rng)
	fault := w.drawFault(rng)
	w.print(id, "cloud-init: running user data")
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	m := &machine{}
	w.machines[id] = m
	m.stop = w.cfg.Clock.AfterFunc(install, func() { w.boot(id, m, fault) })
}

// rng is the generator of one instance: the same for the same seed and id.
func (w *World) rng(id string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(id))
	return rand.New(rand.NewPCG(w.cfg.Seed, h.Sum64()))
}

func (w *World) drawFault(rng *rand.Rand) fakeagent.Fault {
	at := rng.Float64()
	for _, s := range w.cfg.Faults {
		if at < s.Probability {
			return s.Fault
		}
		at -= s.Probability
	}
	return fakeagent.Fault{}
}

// boot is the end of the bootstrap script: the agent starts.
func (w *World) boot(id string, m *machine, fault fakeagent.Fault) {
	i, ok := w.cfg.EC2.Instance(id)
	if !ok || i.State != fakeec2.Running {
		return
	}
	if fault.Kind == fakeagent.NeverUp {
		w.print(id, "bootstrap: pip install clearml-agent: no route to host")
		return
	}
	b, err := ReadUserData(i.UserData)
	if err != nil {
		w.print(id, "bootstrap: "+err.Error())
		return
	}
	w.print(id, "bootstrap: starting clearml-agent as "+WorkerID(i, b))
	work, err := w.start(i, b, fault, func() { w.ended(id) })
	if err != nil {
		w.print(id, "bootstrap: "+err.Error())
		return
	}
	w.mu.Lock()
	gone := w.closed || w.machines[id] != m
	m.work = work
	w.mu.Unlock()
	if gone {
		work.PowerCut()
	}
}

// WorkerID is the worker id of an instance: its worker name and its instance
// id, with the instance type in between when the name leaves it open.
func WorkerID(i fakeec2.Instance, b Boot) string {
	name := strings.TrimSuffix(b.WorkerName, ":")
	if strings.Count(name, ":") < 2 {
		name += ":" + i.Type
	}
	return name + ":" + i.ID
}

// agentConfig is the agent that an instance's user data asks for.
func (w *World) agentConfig(i fakeec2.Instance, b Boot, fault fakeagent.Fault, done func()) fakeagent.Config {
	return fakeagent.Config{
		API: w.api(i), APIHost: b.APIHost, AccessKey: b.AccessKey, SecretKey: b.SecretKey, Token: b.Token, WorkerID: WorkerID(i, b),
		Hostname: "ip-" + strings.ReplaceAll(i.PrivateIP, ".", "-"), Queues: b.Queues, Timing: w.cfg.Agent, Clock: w.cfg.Clock,
		Client: w.cfg.Client, Go: w.cfg.Go, Fault: fault, Log: w.cfg.Log,
		Print: func(line string) { w.print(i.ID, line) },
		OnExit: func(e fakeagent.Exit) {
			if !e.Crashed || !w.cfg.StayUp {
				done()
			}
		},
	}
}

// api is a way to the server for one process on an instance, nil for the usual.
func (w *World) api(i fakeec2.Instance) fakeagent.API {
	if w.cfg.API == nil {
		return nil
	}
	return w.cfg.API(i)
}

// supervisorConfig is the supervisor that an instance's user data ask for.
func (w *World) supervisorConfig(i fakeec2.Instance, b Boot, agent fakeagent.Config) fakeagent.SupervisorConfig {
	cfg := fakeagent.SupervisorConfig{
		Agent: agent, API: w.api(i), Instance: messages.InstanceID(i.ID), Autoscaler: messages.AutoscalerName(b.Autoscaler),
		MaxIdle: b.MaxIdle, Unreachable: b.Unreachable, PowerOff: func(string) { w.guestShutdown(i.ID) },
	}
	if i.Market == fakeec2.Spot {
		cfg.Notice = func() fakeagent.Notice {
			notice, _ := w.cfg.EC2.Notice(i.ID)
			seen := fakeagent.Notice{Rebalance: notice.RebalanceAt}
			if notice.Action != "" {
				seen.Interruption = notice.At
			}
			return seen
		}
	}
	return cfg
}

// ended powers off an instance whose work is over.
func (w *World) ended(id string) {
	w.print(id, "bootstrap: agent ended, powering off")
	w.guestShutdown(id)
}

func (w *World) guestShutdown(id string) {
	if err := w.cfg.EC2.GuestShutdown(id); err != nil {
		w.cfg.Log.Debug().Err(err).Str("instance", id).Msg("power off came too late")
	}
}

// powerOff takes the power from a machine.
func (w *World) powerOff(id string) {
	if m := w.take(id); m != nil {
		m.stop()
		if m.work != nil {
			m.work.PowerCut()
		}
	}
}

// shutDown tells the work on a machine that the machine goes down.
func (w *World) shutDown(id string) {
	if m := w.take(id); m != nil {
		m.stop()
		if m.work != nil {
			m.work.Stop()
		}
	}
}

func (w *World) take(id string) *machine {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.machines[id]
	delete(w.machines, id)
	return m
}

func (w *World) print(id, line string) {
	w.cfg.EC2.AppendConsole(id, line+"\n")
	w.cfg.Log.Debug().Str("instance", id).Msg(line)
}

// Workload is what runs on an instance, false while it boots and once it is
// gone.
func (w *World) Workload(id string) (Workload, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, ok := w.machines[id]
	if !ok || m.work == nil {
		return nil, false
	}
	return m.work, true
}

// Close takes the power from every machine. The region goes on without them.
func (w *World) Close() {
	w.mu.Lock()
	w.closed = true
	ids := make([]string, 0, len(w.machines))
	for id := range w.machines {
		ids = append(ids, id)
	}
	w.mu.Unlock()
	slices.Sort(ids)
	for _, id := range ids {
		w.powerOff(id)
	}
}

// IMDS is the metadata service of one instance. Put it on a listener of its own.
func (w *World) IMDS(id string) http.Handler {
	return fakeimds.New(fakeimds.Config{Now: w.cfg.Clock.Now, Lookup: func() (fakeimds.Metadata, bool) { return w.metadata(id) }})
}

func (w *World) metadata(id string) (fakeimds.Metadata, bool) {
	i, ok := w.cfg.EC2.Instance(id)
	if !ok || i.State != fakeec2.Running {
		return fakeimds.Metadata{}, false
	}
	notice, _ := w.cfg.EC2.Notice(id)
	cat := w.cfg.EC2.Catalog()
	m := fakeimds.Metadata{
		InstanceID: i.ID, InstanceType: i.Type, ImageID: i.ImageID, Zone: i.Zone, Region: cat.Region, AccountID: cat.AccountID,
		Architecture: i.Architecture, LocalIPv4: i.PrivateIP, LifeCycle: string(i.Market), UserData: i.UserData,
		Disabled: i.Metadata.HTTPEndpoint == "disabled", TokenNeeded: i.Metadata.HTTPTokens == "required",
		TagsShown: i.Metadata.InstanceTags == "enabled", Tags: map[string]string{},
		Action: notice.Action, ActionAt: notice.At, RebalanceAt: notice.RebalanceAt,
	}
	for _, t := range i.Tags {
		m.Tags[t.Key] = t.Value
	}
	return m, true
}

// Describe is one line about a machine, for logs.
func (w *World) Describe(id string) string {
	work, ok := w.Workload(id)
	if !ok {
		return id + ": no work"
	}
	switch work := work.(type) {
	case *fakeagent.Agent:
		return fmt.Sprintf("%s: agent alive %t, task %q", id, work.Alive(), work.Task())
	case *fakeagent.Supervisor:
		agent := work.Agent()
		return fmt.Sprintf("%s: agent alive %t, task %q, supervisor answers %t", id, agent.Alive(), agent.Task(), work.Answers())
	default:
		return id + ": at work"
	}
}

// Answers tells whether a supervisor listens to the channel of an instance: not
// while it boots, once it is gone, when it is dead, and without any.
func (w *World) Answers(id string) bool {
	work, _ := w.Workload(id)
	supervisor, ok := work.(*fakeagent.Supervisor)
	return ok && supervisor.Answers()
}
