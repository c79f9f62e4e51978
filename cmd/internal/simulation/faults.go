package simulation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/messages"
)

// misfortunes are what can befall a world, by name. Each is drawn as often as
// its weight says.
func misfortunes() map[string]fault {
	return map[string]fault{
		"clearml-outage": {1, "the ClearML server cannot be reached by ebb, until it can again", func(m *misfortune) error { return m.outage("polling", 2) }},
		"ec2-outage":     {1, "EC2 cannot be reached, until it can again", func(m *misfortune) error { return m.outage("ec2", 3) }},
		"store-outage":   {1, "the event server cannot be reached: no event, ledger, lease or state, until it can again", func(m *misfortune) error { return m.outage("store", 3) }},
		"loss":           {1, "up to a tenth of requests and of answers are lost on the way, or none any more", (*misfortune).loss},
		"ec2-errors":     {2, "the next call or calls of one kind to EC2 fail: refused, throttled, or done and the answer lost", (*misfortune).fault},
		"capacity":       {2, "in some zones EC2 has few or no instances left of one type and market, or has them again", (*misfortune).capacity},
		"instance-loss":  {2, "EC2 takes one running instance away: spot with its notice, on-demand at once", (*misfortune).takeAway},
		"spot-half":      {1, "EC2 gives half of the running spot instances notice, and takes them away", (*misfortune).interruptHalf},
		"kill":           {1, "a process of ebb, or all of them, is killed and started again within three minutes", (*misfortune).restart},
		"crash":          {2, "an actor fails at one of its next messages, and in some worlds actors keep failing now and then", (*misfortune).crash},
		"denied":         {1, "EC2 refuses one action for want of permission, until it is granted again", (*misfortune).deny},
		"empty-lists":    {1, "ClearML answers ebb with empty lists for up to three minutes", (*misfortune).empty},
		"pause":          {2, "a process of ebb stands still, often longer than its lease lives, then goes on or is killed", (*misfortune).pause},
		"cut":            {1, "a process of ebb has no network for up to two minutes, while the others have", (*misfortune).cut},
		"reload":         {1, "the configuration is read again: one thing of it has another value, or all is as it was", (*misfortune).reload},
		"abort":          {1, "a user aborts a task", (*misfortune).abort},
		"stop":           {1, "ebb is told to stop in good order, with on_shutdown keep or idle, and started again", (*misfortune).stop},
		"set-clock":      {1, "the clock of a host of ebb is set forth or back, by two minutes at most", (*misfortune).setClock},
		"queue":          {1, "somebody renames or deletes a queue of the ClearML server that is empty", (*misfortune).queue},
		"move":           {1, "a user puts a task that waits into another queue", (*misfortune).move},
		"operator":       {2, "somebody pauses, resumes, drains an instance, lets the idle ones go, or asks for the status", (*misfortune).operator},
		// Those drawn once for the world.
		"standby":    {about: "for the whole of half the worlds: two processes of ebb run, of which one stands by"},
		"agents":     {about: "for the whole world: some instances never come up, and some agents die, idle or in a task"},
		"supervisor": {about: "for the whole world: on some instances the supervisor is dead, or slow to answer"},
		"clock":      {about: "for the whole world: the clocks of some hosts of ebb are wrong by up to a minute"},
	}
}

// fault is one kind of misfortune.
type fault struct {
	weight int
	// about is what happens, in words, on one line.
	about string
	// strike lets it happen; nil for what is drawn once for the world.
	strike func(*misfortune) error
}

// Faults are the names of all misfortunes, sorted.
func Faults() []string { return slices.Sorted(maps.Keys(misfortunes())) }

// AboutFault says in one line what a misfortune is; empty when there is none of
// the name.
func AboutFault(name string) string { return misfortunes()[name].about }

// CheckFaults says which of the names is none of [Faults].
func CheckFaults(names []string) error {
	for _, name := range names {
		if _, known := misfortunes()[name]; !known {
			return fmt.Errorf("there is no fault %q; there are %s", name, strings.Join(Faults(), ", "))
		}
	}
	return nil
}

// deck is every misfortune as often as its weight, in a fixed order.
func deck() []string {
	var names []string
	for _, name := range Faults() {
		for range misfortunes()[name].weight {
			names = append(names, name)
		}
	}
	return names
}

// strike lets the next thing happen: in a third of the cases somebody wants
// something, else a misfortune is drawn. One that is not among those allowed is
// drawn all the same, so that the others come as they would with it.
func (m *misfortune) strike() error {
	if m.rng.IntN(3) == 0 {
		return m.demand()
	}
	name := m.deck[m.rng.IntN(len(m.deck))]
	rng := m.rng
	defer func() { m.rng = rng }()
	m.rng = forked(rng) // what this one draws does not change what the others do
	if !m.allowed(name) {
		return nil
	}
	m.world.laws.struck = m.world.Now()
	return misfortunes()[name].strike(m)
}

// outage cuts a server off in one case of so many, and brings it back otherwise.
func (m *misfortune) outage(server string, of int) error {
	return m.world.Outage(server, m.rng.IntN(of) == 0)
}

// setClock sets the clock of a host, by seconds or by minutes. Events carry the
// time of that clock, and the laws have to place them.
func (m *misfortune) setClock() error {
	most := []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute}[m.rng.IntN(3)]
	m.world.TurnClock(m.rng.IntN(m.world.options.Processes), between(m.rng, -most, most))
	return nil
}

func (m *misfortune) loss() error {
	m.world.Loss(float64(m.rng.IntN(2)) * 0.1 * m.rng.Float64())
	return nil
}

func (m *misfortune) deny() error {
	denied := [][]string{{"RunInstances"}, {"DescribeInstances"}, {"TerminateInstances"}, {"DescribeSpotInstanceRequests"}, nil, nil, nil, nil}
	m.world.cloud.SetDenied(denied[m.rng.IntN(len(denied))]...)
	return nil
}

func (m *misfortune) crash() error {
	kinds := []string{
		"node", "owner", "autoscaler", "recorder", "provisioner", "observer", "inventory", "queue", "resource", "instance", "rescuer",
	}
	m.world.Crash(kinds[m.rng.IntN(len(kinds))], m.rng.IntN(20), m.rng.IntN(2) == 0)
	return nil
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
		{Action: "DescribeSpotInstanceRequests", Kind: fakeec2.FaultHTTP500, Times: 3},
		{Action: "GetConsoleOutput", Kind: fakeec2.FaultErrorBefore, Code: "InternalError"},
	}
	return m.world.cloud.Inject(faults[m.rng.IntN(len(faults))])
}

func (m *misfortune) capacity() error {
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
	return nil
}

func (m *misfortune) running(wanted func(fakeec2.Instance) bool) []fakeec2.Instance {
	var running []fakeec2.Instance
	for _, i := range m.world.cloud.Instances() {
		if i.State == fakeec2.Running && wanted(i) {
			running = append(running, i)
		}
	}
	return running
}

// takeAway ends one instance from outside.
func (m *misfortune) takeAway() error {
	running := m.running(func(fakeec2.Instance) bool { return true })
	if len(running) == 0 {
		return nil
	}
	i := running[m.rng.IntN(len(running))]
	if i.Market == fakeec2.Spot {
		return m.world.cloud.InterruptSpot(i.ID, 0)
	}
	return m.world.cloud.Kill(i.ID)
}

// interruptHalf lets EC2 announce that it takes half of the spot instances back.
func (m *misfortune) interruptHalf() error {
	for n, i := range m.running(func(i fakeec2.Instance) bool { return i.Market == fakeec2.Spot }) {
		if n%2 == 0 {
			if err := m.world.cloud.InterruptSpot(i.ID, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// empty makes ClearML answer empty lists to the autoscaler for a while.
func (m *misfortune) empty() error {
	m.world.EmptyLists(true)
	m.world.Advance(between(m.rng, 10*time.Second, 3*time.Minute))
	m.world.EmptyLists(false)
	return nil
}

// seat draws one of the processes.
func (m *misfortune) seat() int { return m.rng.IntN(len(m.world.seats)) }

func (m *misfortune) restart() error {
	if len(m.world.seats) > 1 && m.rng.IntN(2) == 0 {
		seat := m.seat()
		m.world.KillProcess(seat)
		m.world.Advance(between(m.rng, 0, 3*time.Minute))
		return m.world.StartProcess(seat)
	}
	m.world.Kill()
	m.world.Advance(between(m.rng, 0, 3*time.Minute))
	return m.world.Restart()
}

// pause stops a process for a while, often longer than a lease lives; some never
// wake up.
func (m *misfortune) pause() error {
	seat := m.seat()
	m.world.Pause(seat)
	m.world.Advance(between(m.rng, time.Second, 4*m.world.options.Lease.TTL))
	if m.rng.IntN(5) > 0 {
		m.world.Resume(seat)
		return nil
	}
	m.world.KillProcess(seat)
	m.world.Advance(between(m.rng, 0, time.Minute))
	return m.world.StartProcess(seat)
}

// cut takes one process's network away for a while.
func (m *misfortune) cut() error {
	seat := m.seat()
	m.world.Cut(seat, true)
	m.world.Advance(between(m.rng, time.Second, 2*time.Minute))
	m.world.Cut(seat, false)
	return nil
}

// reload changes one thing of the configuration, or brings all back.
func (m *misfortune) reload() error {
	options := m.world.options.Clone()
	r := &options.Resources[m.rng.IntN(len(options.Resources))]
	switch m.rng.IntN(9) {
	case 0:
		r.Max = max(1, r.Max-1-m.rng.IntN(3))
	case 1:
		r.Max += 1 + m.rng.IntN(2)
	case 2:
		options = options.Without(r.Name)
	case 3:
		options.Queues, options.Resources = m.options.Queues, m.options.Resources
	case 4:
		r.Market = []messages.Market{messages.Spot, messages.OnDemand}[m.rng.IntN(2)]
	case 5:
		r.MaxIdle = between(m.rng, 30*time.Second, 8*time.Minute)
	case 6:
		r.MaxLifetime = between(m.rng, 5*time.Minute, 30*time.Minute)
	case 7:
		m.rearrange(&options.Queues[m.rng.IntN(len(options.Queues))])
	case 8:
		serve(&options.Queues[m.rng.IntN(len(options.Queues))], r.Name)
	}
	if len(options.Resources) == 0 || !options.allServed() {
		return nil
	}
	return m.world.Reload(options)
}

// rearrange has the resource types of a queue tried in another order.
func (m *misfortune) rearrange(q *Queue) {
	q.Resources = slices.Clone(q.Resources)
	m.rng.Shuffle(len(q.Resources), func(i, j int) { q.Resources[i], q.Resources[j] = q.Resources[j], q.Resources[i] })
}

// serve has a resource type serve a queue, or not any more when it does.
func serve(q *Queue, resource string) {
	before := len(q.Resources)
	q.Resources = slices.DeleteFunc(slices.Clone(q.Resources), func(name string) bool { return name == resource })
	if len(q.Resources) == before {
		q.Resources = append(q.Resources, resource)
	}
}

// queue takes a queue from under the autoscaler and its agents.
func (m *misfortune) queue() error {
	w := m.world
	name := w.options.Queues[m.rng.IntN(len(w.options.Queues))].Name
	if there, known := w.ml.QueueByName(name); !known || len(there.Entries) > 0 {
		return nil
	}
	if m.rng.IntN(2) == 0 {
		return w.DeleteQueue(name)
	}
	return w.RenameQueue(name, fmt.Sprintf("%s-%d", name, m.rng.IntN(100_000)))
}

func (m *misfortune) move() error {
	queues := m.world.options.Queues
	_, err := m.world.MoveTask(m.rng.IntN(1000), queues[m.rng.IntN(len(queues))].Name)
	return err
}

func (m *misfortune) abort() error {
	_, err := m.world.Abort(m.rng.IntN(1000))
	return err
}

// operator orders something: an operator is not a misfortune, but may come in
// the middle of one.
func (m *misfortune) operator() error {
	orders := []messages.Order{
		messages.PauseLaunches{Why: "drawn"},
		messages.PauseLaunches{Why: "drawn", Until: m.world.Now().Add(between(m.rng, time.Minute, 20*time.Minute))},
		messages.ResumeLaunches{},
		messages.ResumeLaunches{},
		messages.DrainIdleNow{},
		messages.ReportStatus{},
	}
	if running := m.running(func(fakeec2.Instance) bool { return true }); len(running) > 0 {
		id := messages.InstanceID(running[m.rng.IntN(len(running))].ID)
		orders = append(orders, messages.DrainInstanceNow{Instance: id}, messages.DrainInstanceNow{Instance: id}, messages.DrainInstanceNow{Instance: id, Force: true})
	}
	m.world.Order(orders[m.rng.IntN(len(orders))])
	return nil
}

// stop ends the program in good order in the midst of it all, and starts it again.
func (m *misfortune) stop() error {
	modes := []messages.OnShutdown{messages.ShutdownKeep, messages.ShutdownIdle}
	if m.world.seats[0] == nil || m.world.seats[0].paused {
		return nil
	}
	if _, err := m.world.Stop(modes[m.rng.IntN(len(modes))], between(m.rng, 5*time.Second, time.Minute)); err != nil {
		m.world.laws.breach("%s", err)
		m.world.KillProcess(0)
	}
	m.world.Advance(between(m.rng, 0, time.Minute))
	return m.world.StartProcess(0)
}
