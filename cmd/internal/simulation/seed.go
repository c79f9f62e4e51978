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
	// Races are tasks lost in the seconds between check and termination.
	Races                              []string
	Tasks, Finished, Lost              int
	Launched, Crashes, Restarts, Calls int
	Span                               time.Duration
	Steps                              uint64
	// Story is everything that happened, a line each.
	Story []string
}

// String is one line about the seed.
func (r Report) String() string {
	return fmt.Sprintf("seed %d: trace %s, %s in %d steps, %d tasks: %d finished, %d lost (%d in a race); %d instances, %d crashes, %d starts",
		r.Seed, r.Trace, r.Span, r.Steps, r.Tasks, r.Finished, r.Lost, len(r.Races), r.Launched, r.Crashes, r.Restarts)
}

// Run lets a world that is drawn from a seed go through its misfortunes, heals it
// and demands that it converges. An error says that the world could not be made.
func Run(seed uint64) (Report, error) {
	rng := rand.New(rand.NewPCG(seed, 7))
	options := drawOptions(rng)
	w, err := New(seed, options)
	if err != nil {
		return Report{}, err
	}
	defer w.Close()
	begun := w.Now()
	m := &misfortune{world: w, rng: rng}
	if rng.IntN(3) == 0 {
		w.Crashes(0.002 * rng.Float64())
	}
	for end := begun.Add(time.Duration(25+rng.IntN(50)) * time.Minute); w.Now().Before(end); {
		if err := m.strike(); err != nil {
			return Report{}, err
		}
		w.Advance(time.Duration(5+rng.IntN(115)) * time.Second)
	}
	if err := m.heal(); err != nil {
		return Report{}, err
	}
	wrong := w.Converged(healsWithin + w.work)
	return Report{
		Seed: seed, Trace: w.Trace(), Wrong: append(slices.Clone(w.Breaches()), wrong...), Races: w.Races(),
		Tasks: len(w.tasks), Finished: w.Finished(), Lost: w.Lost(), Launched: len(w.laws.order), Crashes: w.chaos.struck,
		Restarts: w.starts, Span: w.Now().Sub(begun), Steps: w.loop.steps, Story: w.story,
	}, nil
}

// between draws a duration.
func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)+1))
}

func drawOptions(rng *rand.Rand) Options {
	o := Options{
		Polling:  []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute}[rng.IntN(4)],
		Throttle: rng.IntN(3) == 0, Stale: time.Hour,
		Network: fakeec2.Dist{Median: 15 * time.Millisecond, P99: between(rng, 50*time.Millisecond, time.Second)},
		AgentFaults: []fake.Share{
			{Fault: fakeagent.Fault{Kind: fakeagent.NeverUp}, Probability: 0.04},
			{Fault: fakeagent.Fault{Kind: fakeagent.DiesIdle, After: between(rng, 0, 5*time.Minute)}, Probability: 0.04},
			{Fault: fakeagent.Fault{Kind: fakeagent.DiesMidTask, After: between(rng, 0, 5*time.Minute)}, Probability: 0.02},
			{Fault: fakeagent.Fault{Kind: fakeagent.DiesBeforeRun}, Probability: 0.02},
		},
		Agent:         fakeagent.DefaultTiming(),
		Region:        fakeec2.DefaultTiming(),
		LaunchFailure: fakeec2.LaunchFailure{Probability: 0.03}, NoQueues: rng.IntN(4) == 0,
	}
	o.Agent.Poll = between(rng, 5*time.Second, 40*time.Second)
	o.Region.TerminatedKept = 15 * time.Minute
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

// misfortune draws what happens to a world next.
type misfortune struct {
	world *World
	rng   *rand.Rand
}

func (m *misfortune) strike() error {
	w, rng := m.world, m.rng
	switch rng.IntN(24) {
	case 0, 1, 2, 3, 4, 5, 6:
		return m.demand()
	case 7:
		return m.outage("polling", 2)
	case 8:
		return m.outage("ec2", 3)
	case 9:
		return m.outage("store", 3)
	case 10:
		w.Loss(float64(rng.IntN(2)) * 0.1 * rng.Float64())
	case 11, 12:
		return m.fault()
	case 13, 14:
		m.capacity()
	case 15, 16:
		m.takeAway()
	case 17:
		return m.restart()
	case 18, 19:
		kinds := []string{"node", "autoscaler", "recorder", "provisioner", "observer", "inventory", "queue", "resource", "instance"}
		w.Crash(kinds[rng.IntN(len(kinds))], rng.IntN(20), rng.IntN(2) == 0)
	case 20:
		denied := [][]string{{"RunInstances"}, {"DescribeInstances"}, {"TerminateInstances"}, nil, nil, nil}
		w.cloud.SetDenied(denied[rng.IntN(len(denied))]...)
	}
	return nil
}

// outage cuts a server off in one case of so many, and brings it back otherwise.
func (m *misfortune) outage(server string, of int) error {
	return m.world.Outage(server, m.rng.IntN(of) == 0)
}

func (m *misfortune) demand() error {
	if len(m.world.tasks) > seedTasks {
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

func (m *misfortune) fault() error {
	faults := []fakeec2.Fault{
		{Action: "RunInstances", Kind: fakeec2.FaultDropAfter},
		{Action: "RunInstances", Kind: fakeec2.FaultDropBefore},
		{Action: "RunInstances", Kind: fakeec2.FaultTimeoutAfter},
		{Action: "RunInstances", Kind: fakeec2.FaultErrorBefore, Code: "InsufficientInstanceCapacity"},
		{Action: "RunInstances", Kind: fakeec2.FaultErrorBefore, Code: "RequestLimitExceeded", Times: 3},
		{Action: "RunInstances", Kind: fakeec2.FaultErrorAfter, Code: "InternalError"},
		{Action: "RunInstances", Kind: fakeec2.FaultHTTP500},
		{Action: "TerminateInstances", Kind: fakeec2.FaultDropAfter},
		{Action: "TerminateInstances", Kind: fakeec2.FaultErrorBefore, Code: "RequestLimitExceeded", Times: 3},
		{Action: "TerminateInstances", Kind: fakeec2.FaultErrorBefore, Code: "InternalError", Times: 2},
		{Action: "DescribeInstances", Kind: fakeec2.FaultHTTP500, Times: 3},
		{Action: "GetConsoleOutput", Kind: fakeec2.FaultErrorBefore, Code: "InternalError"},
	}
	return m.world.cloud.Inject(faults[m.rng.IntN(len(faults))])
}

func (m *misfortune) capacity() {
	cat := m.world.cloud.Catalog()
	r := m.world.options.Resources[m.rng.IntN(len(m.world.options.Resources))]
	market := fakeec2.OnDemand
	if r.Market == messages.Spot {
		market = fakeec2.Spot
	}
	for _, zone := range cat.Zones {
		if m.rng.IntN(2) == 0 {
			offering := fakeec2.Offering{Type: r.Types[0], Zone: zone, Market: market}
			m.world.cloud.SetCapacity(offering, m.rng.IntN(4)-1)
		}
	}
}

// takeAway ends one instance from outside.
func (m *misfortune) takeAway() {
	var running []fakeec2.Instance
	for _, i := range m.world.cloud.Instances() {
		if i.State == fakeec2.Running {
			running = append(running, i)
		}
	}
	if len(running) == 0 {
		return
	}
	i := running[m.rng.IntN(len(running))]
	end := m.world.cloud.Kill
	if i.Market == fakeec2.Spot {
		end = func(id string) error { return m.world.cloud.InterruptSpot(id, 0) }
	}
	if err := end(i.ID); err != nil {
		m.world.laws.breach("take away a running instance: %s", err)
	}
}

func (m *misfortune) restart() error {
	m.world.Kill()
	m.world.Advance(between(m.rng, 0, 3*time.Minute))
	return m.world.Restart()
}

// heal ends all misfortunes.
func (m *misfortune) heal() error {
	w := m.world
	w.cloud.ClearFaults()
	w.cloud.SetDenied()
	w.Loss(0)
	w.Crashes(0)
	w.chaos.plans = nil
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
	return nil
}
