package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/messages"
)

const (
	// healsWithin is how long a healed world may take until all is done, besides the
	// time that its tasks take one after the other.
	healsWithin = 3 * time.Hour
	// seedTasks is how many tasks a seed enqueues at most.
	seedTasks = 80
)

// Report is what became of a seed.
type Report struct {
	Seed  uint64
	Trace string
	// Wrong lists the laws that were broken, and what was not as it should be at
	// the end; empty when all is well.
	Wrong []string
	// Races are tasks lost in the seconds between check and termination, on
	// instances whose supervisor did not answer.
	Races                           []string
	Tasks, Finished, Aborted        int
	Lost, Requeued                  int
	Launched                        int
	Crashes, Starts                 int
	Kills, Pauses, Stops, Handovers int
	// Calls are those of the processes, and Late those of them that changed
	// something by a process that had just lost its lease.
	Calls, Late int
	Span        time.Duration
	Steps       uint64
	// Story is everything that happened, a line each; empty unless asked for.
	Story []string
}

// String is one line about the seed.
func (r Report) String() string {
	return fmt.Sprintf("seed %d: trace %s, %s in %d steps, %d tasks: %d finished, %d lost (%d in a race); %d instances, %d crashes, %d starts",
		r.Seed, r.Trace, r.Span, r.Steps, r.Tasks, r.Finished, r.Lost, len(r.Races), r.Launched, r.Crashes, r.Starts)
}

// RunOptions say how to run a seed.
type RunOptions struct {
	// Faults are those that may strike, by the names of [Faults]; nil for all. A
	// seed with fewer faults is otherwise the same world.
	Faults []string
	// Story keeps what happens, for [Report.Story].
	Story bool
	// Wire is [Options.Wire].
	Wire bool

	mistake *mistake // that a test has made
	hasty   bool     // ends with the first law that is broken
}

// Run runs a seed with all faults.
func Run(seed uint64) (Report, error) { return RunWith(seed, RunOptions{}) }

// RunWith lets a world that is drawn from a seed go through its misfortunes,
// heals it and demands that it converges. An error says that the world could not
// be made.
func RunWith(seed uint64, run RunOptions) (Report, error) {
	if err := CheckFaults(run.Faults); err != nil {
		return Report{}, fmt.Errorf("run seed %d: %w", seed, err)
	}
	rng := rand.New(rand.NewPCG(seed, 7))
	m := &misfortune{rng: rng, faults: run.Faults, deck: deck()}
	m.options = run.mistake.drawn(m.drawOptions())
	m.options.Story, m.options.Wire = run.Story, run.Wire
	w, err := New(seed, m.options)
	if err != nil {
		return Report{}, err
	}
	defer w.Close()
	m.world, m.options = w, w.options
	begun := w.Now()
	run.mistake.begins(w)
	if share := 0.002 * rng.Float64(); rng.IntN(3) == 0 && m.allowed("crash") {
		w.Crashes(share)
	}
	for end := begun.Add(time.Duration(25+rng.IntN(50)) * time.Minute); w.Now().Before(end); {
		if err := m.strike(); err != nil {
			return Report{}, err
		}
		w.Advance(between(rng, 5*time.Second, 2*time.Minute))
		if run.hasty && len(w.Breaches()) > 0 {
			return w.report(seed, w.Now().Sub(begun), nil), nil
		}
	}
	if err := m.heal(); err != nil {
		return Report{}, err
	}
	wrong := w.converged(healsWithin+w.work, run.hasty)
	return w.report(seed, w.Now().Sub(begun), wrong), nil
}

func (w *World) report(seed uint64, span time.Duration, wrong []string) Report {
	r := Report{
		Seed: seed, Trace: w.Trace(), Wrong: append(slices.Clone(w.Breaches()), wrong...), Races: w.Races(),
		Tasks: len(w.laws.listed), Finished: w.Finished(), Lost: w.Lost(), Requeued: w.requeues, Launched: len(w.laws.order),
		Crashes: w.chaos.struck, Starts: w.starts, Kills: w.kills, Pauses: w.pauses, Stops: w.stops,
		Handovers: max(0, int(w.store.epochs)-1), Calls: w.calls, Late: w.laws.lateCalls, Span: span, Steps: w.loop.steps, Story: w.story,
	}
	for _, t := range w.laws.listed {
		if t.aborted {
			r.Aborted++
		}
	}
	return r
}

// between draws a duration.
func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)+1))
}

// forked is a generator of its own that takes one draw of another.
func forked(rng *rand.Rand) *rand.Rand { return rand.New(rand.NewPCG(rng.Uint64(), 11)) }

// misfortune draws what happens to a world next.
type misfortune struct {
	world   *World
	options Options // as they were at first
	rng     *rand.Rand
	faults  []string
	deck    []string
}

// allowed tells whether a misfortune may strike. One that the table does not have
// could neither be named nor explained, and is a mistake in the program.
func (m *misfortune) allowed(name string) bool {
	if _, known := misfortunes()[name]; !known {
		panic("no fault " + name)
	}
	return m.faults == nil || slices.Contains(m.faults, name)
}

func (m *misfortune) drawOptions() Options {
	rng := m.rng
	o := Options{
		Polling:  []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute, 4 * time.Minute}[rng.IntN(6)],
		Throttle: rng.IntN(3) == 0, Stale: time.Hour, Requeue: true,
		Network:       fakeec2.Dist{Median: 15 * time.Millisecond, P99: between(rng, 50*time.Millisecond, time.Second)},
		Agent:         fakeagent.DefaultTiming(),
		Region:        fakeec2.DefaultTiming(),
		LaunchFailure: fakeec2.LaunchFailure{Probability: 0.03}, NoQueues: rng.IntN(4) == 0,
	}
	o.Agent.Poll = between(rng, 5*time.Second, 40*time.Second)
	o.Region.TerminatedKept = 15 * time.Minute
	m.drawAgents(&o)
	m.drawProcesses(&o)
	types := []string{"g4dn.xlarge", "g5.xlarge", "m5.large", "c5.xlarge"}
	zones := []string{"us-east-1a", "us-east-1b", "us-east-1c"}
	for n := range 1 + rng.IntN(3) {
		r := Resource{
			Name: string(rune('A' + n)), Max: 1 + rng.IntN(6), Zones: zones[:rng.IntN(3)], Types: types[n : n+1+rng.IntN(2)],
			MaxIdle: between(rng, time.Minute, 8*time.Minute), MaxSpinUp: between(rng, 4*time.Minute, 15*time.Minute),
		}
		if rng.IntN(2) == 0 {
			r.Market = messages.Spot
		}
		more := forked(rng)
		r.Fallback = r.Market == messages.Spot && more.IntN(3) == 0
		if more.IntN(6) == 0 {
			r.MaxLifetime = between(more, 20*time.Minute, time.Hour)
		}
		o.Resources = append(o.Resources, r)
	}
	for n := range 1 + rng.IntN(3) {
		q := Queue{Name: fmt.Sprintf("queue-%d", n+1)}
		for _, at := range rng.Perm(len(o.Resources)) {
			if n == 0 || rng.IntN(2) == 0 { // the first queue is served by all
				q.Resources = append(q.Resources, o.Resources[at].Name)
			}
		}
		if len(q.Resources) > 0 {
			o.Queues = append(o.Queues, q)
		}
	}
	return o
}

// drawAgents says what goes wrong with agents.
func (m *misfortune) drawAgents(o *Options) {
	rng := forked(m.rng)
	shares := []fake.Share{
		{Fault: fakeagent.Fault{Kind: fakeagent.NeverUp}, Probability: 0.04},
		{Fault: fakeagent.Fault{Kind: fakeagent.DiesIdle, After: between(rng, 0, 5*time.Minute)}, Probability: 0.04},
		{Fault: fakeagent.Fault{Kind: fakeagent.DiesMidTask, After: between(rng, 0, 5*time.Minute)}, Probability: 0.02},
		{Fault: fakeagent.Fault{Kind: fakeagent.DiesBeforeRun}, Probability: 0.02},
	}
	supervisors := []fake.Share{
		{Fault: fakeagent.Fault{Kind: fakeagent.SupervisorDead}, Probability: 0.03},
		{Fault: fakeagent.Fault{Kind: fakeagent.SupervisorSlow}, Probability: 0.03},
	}
	if m.allowed("agents") {
		o.AgentFaults = append(o.AgentFaults, shares...)
	}
	if m.allowed("supervisor") {
		o.AgentFaults = append(o.AgentFaults, supervisors...)
	}
}

// drawProcesses says how many processes run, and how their clocks are off.
func (m *misfortune) drawProcesses(o *Options) {
	rng := forked(m.rng)
	o.Processes = 1
	if rng.IntN(2) == 0 && m.allowed("standby") {
		o.Processes = 2
	}
	for range o.Processes {
		skew := between(rng, -time.Minute, time.Minute)
		if rng.IntN(2) == 0 || !m.allowed("clock") {
			skew = 0
		}
		o.Skews = append(o.Skews, skew)
	}
}

func (m *misfortune) demand() error {
	if len(m.world.laws.listed) > seedTasks {
		return nil
	}
	queue := m.world.options.Queues[m.rng.IntN(len(m.world.options.Queues))].Name
	if _, there := m.world.ml.QueueByName(queue); !there {
		return nil // the autoscaler has not created it yet
	}
	takes := between(m.rng, 2*time.Second, time.Minute)
	if m.rng.IntN(2) == 0 {
		takes = between(m.rng, time.Minute, 6*time.Minute)
	}
	return m.world.Enqueue(queue, 1+m.rng.IntN(8), takes)
}

// heal ends all misfortunes.
func (m *misfortune) heal() error {
	w := m.world
	w.tell("HEALED")
	w.cloud.ClearFaults()
	w.cloud.SetDenied()
	w.Loss(0)
	w.Crashes(0)
	w.chaos.plans = nil
	w.EmptyLists(false)
	cat := w.cloud.Catalog()
	for _, t := range cat.Types {
		for _, zone := range cat.Zones {
			w.cloud.SetCapacity(fakeec2.Offering{Type: t.Name, Zone: zone, Market: fakeec2.OnDemand}, -1)
			w.cloud.SetCapacity(fakeec2.Offering{Type: t.Name, Zone: zone, Market: fakeec2.Spot}, -1)
		}
	}
	for _, server := range []string{"polling", "ec2", "store"} {
		if err := w.Outage(server, false); err != nil {
			return err
		}
	}
	for seat, p := range w.seats {
		if p == nil {
			if err := w.StartProcess(seat); err != nil {
				return err
			}
		}
		w.Resume(seat)
		w.Cut(seat, false)
	}
	original := w.options.Clone()
	original.Queues, original.Resources = m.options.Queues, m.options.Resources
	if err := w.Reload(original); err != nil {
		return err
	}
	var answer messages.Answered
	for range 30 { // until somebody acts, and knows whether it is paused
		if answer = w.Order(messages.ResumeLaunches{}); answer.Failure != nil && answer.Failure.Class == messages.ClassInvalid {
			return nil
		}
		w.Advance(10 * time.Second)
	}
	w.laws.breach("launching can not be resumed: %v", answer.Failure)
	return nil
}
