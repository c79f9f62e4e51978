package simulation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2/virtual"
	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
)

// World is an autoscaler with everything around it. Its methods are for one
// goroutine.
type World struct {
	seed    uint64
	options Options
	log     zerolog.Logger

	loop     *loop
	cloud    *fakeec2.Cloud
	ml       *fakeclearml.Server
	machines *fake.World
	end      context.CancelFunc

	// The networks between the autoscaler and ClearML, EC2 and its store, and
	// between the agents and ClearML.
	polling, ec2, storing, working weather
	emptied                        bool // ClearML answers the autoscaler with empty lists

	store   *store
	seats   []*process // nil where none runs; the second is the standby's
	starts  int
	calls   int // of processes, to all servers
	killing killing
	kills   int
	pauses  int
	stops   int

	requeues int
	scripts  map[string][]byte // by what they were rendered from
	chaos    *chaos
	laws     *laws
	trace    hash.Hash
	read     int           // events that EventsSince has answered
	work     time.Duration // of all tasks together
	story    []string
}

// killing is the plan to kill a process at one of its calls.
type killing struct {
	at    int // 0 for never
	after bool
	rest  time.Duration // until it is started again
}

// epoch is when every world begins.
func epoch() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// New makes a world and starts an autoscaler in it.
func New(seed uint64, options Options) (*World, error) {
	options, err := options.filled()
	if err != nil {
		return nil, err
	}
	draws := func(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }
	w := &World{seed: seed, options: options, trace: sha256.New(), scripts: map[string][]byte{}}
	w.loop = &loop{clock: virtual.New(epoch()), rng: draws(1), inOrder: options.InOrder}
	w.laws = newLaws(w)
	w.laws.configured()
	w.chaos = &chaos{world: w, loop: w.loop, count: map[string]int{}}
	w.log = zerolog.New(complaints{w})
	w.store = newStore(w.loop, options.Lease)
	w.store.heard = w.heard
	if err := w.makeClearML(); err != nil {
		return nil, err
	}
	if err := w.makeRegion(draws(2)); err != nil {
		return nil, err
	}
	w.seats = make([]*process, options.Processes)
	for seat := range w.seats {
		if err := w.start(seat); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *World) makeClearML() error {
	ml, err := fakeclearml.New(fakeclearml.Config{
		Clock: w.loop.clock, Seed: w.seed, Keys: map[string]string{accessKey: secretKey}, NoDefaultQueue: true,
	})
	if err != nil {
		return err
	}
	w.ml = ml
	if !w.options.NoQueues {
		for _, q := range w.options.Queues {
			if _, err := ml.CreateQueue(fakeclearml.QueueSpec{Name: q.Name}); err != nil {
				return fmt.Errorf("make queue %s: %w", q.Name, err)
			}
		}
	}
	return nil
}

func (w *World) makeRegion(rng *rand.Rand) error {
	cloud, err := fakeec2.New(fakeec2.Config{
		Clock: w.loop.clock, Rand: rng, Timing: w.options.Region, Throttle: w.options.Throttle, LaunchFailure: w.options.LaunchFailure,
	})
	if err != nil {
		return err
	}
	w.cloud = cloud
	cloud.Watch(w.laws.transition) // before the machines, which lose their power in it
	ctx, end := context.WithCancel(context.Background())
	w.end = end
	cfg := fake.WorldConfig{
		Clock: w.loop.clock, EC2: cloud, Seed: w.seed, Install: w.options.Install, Faults: w.options.AgentFaults, Agent: w.options.Agent,
		Client: &http.Client{Transport: w.agentLine()}, Go: func(f func()) { w.loop.start(nil, f) }, Log: zerolog.Nop(),
	}
	if !w.options.Wire {
		cfg.API = w.agentAPI
	}
	machines, err := fake.NewWorld(ctx, cfg)
	if err != nil {
		end()
		return err
	}
	w.machines = machines
	return nil
}

func (w *World) agentLine() *line {
	return &line{wire: w.wire(nil, clearMLHost, &w.working), server: w.ml.Transport(), seen: w.laws.agentCalled}
}

// Now is the time in the world.
func (w *World) Now() time.Time { return w.loop.clock.Now() }

// Cloud is the region, to look into and to break.
func (w *World) Cloud() *fakeec2.Cloud { return w.cloud }

// ClearML is the server, to look into and to break.
func (w *World) ClearML() *fakeclearml.Server { return w.ml }

// Enqueue puts n tasks that take the given time into a queue.
func (w *World) Enqueue(queue string, n int, takes time.Duration) error {
	w.tell("ENQUEUE %d tasks of %s into %s", n, takes, queue)
	for range n {
		task, err := w.ml.CreateTask(fakeclearml.TaskSpec{
			Name: fmt.Sprintf("task-%d", len(w.laws.listed)+1), Runtime: map[string]any{"ebb_duration_s": takes.Seconds()},
		})
		if err != nil {
			return fmt.Errorf("create task: %w", err)
		}
		in := fakeclearml.EnqueueRequest{StatusRequest: fakeclearml.StatusRequest{Task: task}, QueueName: queue}
		if _, err := w.ml.Enqueue(in); err != nil {
			return fmt.Errorf("enqueue task into %s: %w", queue, err)
		}
		w.work += takes
		w.laws.enqueued(queue, task, takes)
	}
	return nil
}

// Advance lets time pass.
func (w *World) Advance(d time.Duration) {
	if err := w.loop.advance(d); err != nil {
		w.laws.breach("%s", err)
	}
}

// Crash makes the next actor of a kind (node, autoscaler, recorder, provisioner,
// observer, inventory, queue, resource, instance) fail after it has let some
// messages through: at a message, which is lost, or when it was handled.
func (w *World) Crash(kind string, after int, before bool) {
	w.chaos.plans = append(w.chaos.plans, crash{kind: kind, after: after, before: before})
}

// Crashes sets the share of messages at which actors fail, and Messages counts
// what each kind of actor was sent.
func (w *World) Crashes(share float64) { w.chaos.chance = share }

// Messages is how many messages the actors of each kind were sent.
func (w *World) Messages() map[string]int { return w.chaos.count }

// Outage cuts a server off, or brings it back: "clearml" for everybody, "polling"
// is ClearML for the autoscaler alone, "ec2", or "store", the ledger and the bus.
func (w *World) Outage(server string, down bool) error {
	w.tell("OUTAGE of %s: %t", server, down)
	switch server {
	case "clearml":
		w.polling.down, w.working.down = down, down
	case "polling":
		w.polling.down = down
	case "ec2":
		w.laws.unlisted(down)
		w.ec2.down = down
	case "store":
		w.storing.down = down
	default:
		return fmt.Errorf("cut off %q: there are clearml, polling, ec2 and store", server)
	}
	return nil
}

// Vanish lets the agent of an instance freeze, as after a kernel panic: the
// instance runs on. It takes the first of the resource type that has one.
func (w *World) Vanish(resource string) error {
	for _, i := range w.laws.order {
		if work, up := w.machines.Workload(i.id); up && i.resource == resource && i.ended.IsZero() && !i.frozen {
			w.tell("FREEZE of %s", i.id)
			work.PowerCut()
			i.frozen = true
			if i.task != nil {
				w.laws.lose(i.task, "%s froze", i.id)
				i.task = nil
			}
			return nil
		}
	}
	return fmt.Errorf("freeze an agent of %s: there is none", resource)
}

// Loss is the share of requests, and again of answers, that the network of the
// autoscaler loses.
func (w *World) Loss(share float64) {
	w.tell("LOSS of %.3f", share)
	w.polling.loses, w.ec2.loses, w.storing.loses = share, share, share/4
}

// heard notes an event that arrived at the bus.
func (w *World) heard(event messages.Recorded) {
	w.laws.event(event)
	w.note(event)
	if !w.options.Story {
		return
	}
	w.tell("%-21s %s  %s (%s)", event.Event.Kind(), event.Event.About(), eventtext.Words(event.Event), event.At.Format("15:04:05.000"))
}

// tell adds a line to the story.
func (w *World) tell(format string, args ...any) {
	if !w.options.Story {
		return
	}
	w.story = append(w.story, w.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// Story is everything that happened so far, a line each, if [Options.Story] is
// set: what was done to the
// world in capitals, changes of instances as the region knows them, and events
// as they reached the bus.
func (w *World) Story() []string { return w.story }

// note adds to the trace.
func (w *World) note(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		w.laws.breach("encode %T for the trace: %s", v, err)
	}
	w.laws.said("an event", text)
	w.trace.Write(append(text, '\n'))
}

// Trace is a fingerprint of everything that happened: the same seed and the same
// calls give the same.
func (w *World) Trace() string { return fmt.Sprintf("%x", w.trace.Sum(nil)[:8]) }

// Events are all events so far, in the order they reached the bus.
func (w *World) Events() []messages.Recorded { return w.store.events }

// EventsSince are the events since the last call.
func (w *World) EventsSince() []messages.Recorded {
	fresh := w.store.events[w.read:]
	w.read = len(w.store.events)
	return fresh
}

// Close ends everything.
func (w *World) Close() {
	for seat, p := range w.seats {
		if p != nil {
			p.stopping = true
			w.kill(seat)
		}
	}
	w.end()
	w.machines.Close()
	w.cloud.Close()
	w.drain()
}

// drain ends what still sleeps, so that nothing is left behind.
func (w *World) drain() {
	w.Advance(hangs + time.Minute)
	w.loop.close()
}

// complaints takes what the program logs.
type complaints struct{ world *World }

// Write implements io.Writer.
func (c complaints) Write(text []byte) (int, error) {
	c.world.laws.said("the log", text)
	if !bytes.Contains(text, []byte(`"level":"error"`)) {
		return len(text), nil
	}
	var entry struct {
		Message  string   `json:"message"`
		Panic    string   `json:"panic"`
		Type     string   `json:"type"`
		Actor    string   `json:"actor"`
		Breaches []string `json:"breaches"`
	}
	if err := json.Unmarshal(text, &entry); err != nil {
		c.world.laws.breach("log line %q: %s", text, err)
		return len(text), nil
	}
	c.world.laws.complaint(entry.Message, entry.Panic, string(text))
	return len(text), nil
}
