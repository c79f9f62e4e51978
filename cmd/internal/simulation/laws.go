package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/messages"
)

const (
	// reportLag is how long after it pulled a task an agent may tell the server
	// which worker runs it: until then nobody can know.
	reportLag = 2 * time.Second
	// checkAge is how old the answer that an instance is idle may be when EC2 is
	// told to end it.
	checkAge = 12 * time.Second
	// Events about what happens up to so long before a crash, or so long after,
	// may be missing. A failing EC2 makes it long.
	explainBefore = time.Hour
	explainAfter  = 3 * time.Minute
	userEnded     = "Client.UserInitiatedShutdown"
	selfEnded     = "Client.InstanceInitiatedShutdown"
)

// laws watches the world and writes down what breaks a law.
type laws struct {
	rival    bool // another ebb gives signs of life for the autoscaler
	world    *World
	breaches []string
	// races are busy workers that were killed although they were idle when it
	// was checked last.
	races     []string
	instances map[string]*instance
	order     []*instance
	hosts     map[string]*instance
	alive     map[string]int // by resource type
	perLaunch map[string]int
	waiting   map[string][]sample // by queue, oldest first
	tasks     map[string]*task    // by id
	listed    []*task             // in the order they were enqueued
	stopping  messages.OnShutdown
	disturbs  []time.Time
	lateCalls int // by processes that had lost their lease
	healed    time.Time
	overdue   map[*task]bool
	struck    time.Time             // the last misfortune
	emptied   time.Time             // when ClearML last answered with empty lists
	clocks    map[int]time.Duration // how far they are off, by seat
	skews     []time.Duration       // how far any clock ever was
	turned    time.Time             // when one was set last
	leaks     int                   // of the secret
	paused    time.Time             // since when an operator was told that launching is; zero when it is not
	// pausedUntil is when the pause ends by itself, zero for never.
	pausedUntil time.Time
	dismissed   map[string]bool // instances that an operator wanted gone: whether at once
	// promised is when an operator was told that an instance goes, by its id.
	promised map[string]time.Time
	renamed  map[string]time.Time // when a queue was last, by the name that it had
	outage   time.Time            // since when EC2 cannot be reached; zero when it can
	dead     []time.Time          // when instances were ended for looking dead

	configurations []configuration // the oldest first
	explained      map[messages.InstanceID]*explanation
}

// instance is what is true of an instance, whatever anybody was told.
type instance struct {
	id, resource string
	launched     time.Time
	ended        time.Time // shutting down since
	endedBy      string
	registered   bool
	unready      bool        // an event said that it has no worker: it boots no more
	worked       []time.Time // when its agent registered first, and when tasks ended
	picked       time.Time   // when it certainly had not been told to drain yet
	drained      bool        // its supervisor has said so last
	calledOff    time.Time   // when an event said so of its drain; zero when another one has begun
	frozen       bool        // its agent is
	task         *task       // popped from a queue and not ended
	taskAt       time.Time
	had          *task     // the one that it was lost with
	checked      time.Time // when the tasks API was last asked about it
	// unlisted says that EC2 could not be reached from its end until it was in no
	// listing any more: who came meanwhile does not know it.
	unlisted bool
}

// sample is how many tasks waited since a time.
type sample struct {
	at time.Time
	n  int
}

// explanation is what events say of an instance.
type explanation struct {
	begin, end bool
	drained    bool      // an event said that it was to go, and why
	last       time.Time // of the last event before its end
}

func newLaws(w *World) *laws {
	return &laws{
		world: w, instances: map[string]*instance{}, hosts: map[string]*instance{}, alive: map[string]int{},
		perLaunch: map[string]int{}, waiting: map[string][]sample{}, tasks: map[string]*task{},
		explained: map[messages.InstanceID]*explanation{}, overdue: map[*task]bool{}, clocks: map[int]time.Duration{}, dismissed: map[string]bool{}, promised: map[string]time.Time{}, renamed: map[string]time.Time{},
	}
}

func (l *laws) breach(format string, args ...any) {
	at := l.world.Now().Format("15:04:05.000")
	l.breaches = append(l.breaches, at+" "+fmt.Sprintf(format, args...))
	l.world.tell("BREACH "+format, args...)
}

func (l *laws) disturbed() {
	l.disturbs = append(l.disturbs, l.world.Now())
	l.dead = nil // who comes now has not ended any
}

// Breaches are the laws that were broken, in order; empty when all is well.
func (w *World) Breaches() []string { return w.laws.breaches }

// Races are the busy workers that were terminated within seconds of an answer
// that they were idle: they took a task in between. Nothing rules that out as
// long as a worker is not told to stop pulling first.
func (w *World) Races() []string { return w.laws.races }

// transition sees every change of an instance, as it happens.
func (l *laws) transition(t fakeec2.Transition) {
	l.world.note(t)
	l.world.tell("(%s of %s: %s → %s %s)", t.InstanceID, t.Zone, t.From, t.To, t.Reason)
	switch {
	case t.From == "":
		l.launched(t)
	case t.From.Alive() && !t.To.Alive():
		l.ends(t)
	}
}

func (l *laws) launched(t fakeec2.Transition) {
	found, _ := l.world.cloud.Instance(t.InstanceID)
	i := &instance{id: t.InstanceID, resource: found.Tag(ec2.TagResource), launched: t.At}
	l.instances[i.id] = i
	l.order = append(l.order, i)
	l.hosts["ip-"+strings.ReplaceAll(found.PrivateIP, ".", "-")] = i
	l.alive[i.resource]++
	launch := found.Tag(ec2.TagIntent)
	l.perLaunch[launch]++
	record := l.world.store.byLaunch[messages.LaunchID(launch)]
	if record == nil {
		l.breach("%s was launched without an intent in the ledger (tag %q)", i.id, launch)
		return
	}
	if l.perLaunch[launch] > record.Intent.Count {
		l.breach("launch %s asked for %d instances and has %d", launch, record.Intent.Count, l.perLaunch[launch])
	}
	l.launchedPaused(i.id, record.Intent.At)
	spec, configured := l.limitSince(i.resource, l.soonest(record.Intent.At))
	switch {
	case !configured:
		l.breach("%s was launched for resource type %q, which is not configured", i.id, i.resource)
		return
	case l.alive[i.resource] > spec.Max:
		l.breach("%d instances of %s are alive, at most %d may be", l.alive[i.resource], i.resource, spec.Max)
	}
	l.needed(spec)
}

// needed compares what boots with what waited lately.
func (l *laws) needed(spec Resource) {
	now := l.world.Now()
	booting := 0
	for _, i := range l.order {
		if i.resource != spec.Name || !i.ended.IsZero() || i.registered || i.unready || now.Sub(i.launched) >= spec.MaxSpinUp-l.skewed() {
			continue
		}
		if _, replaced := l.dismissed[i.id]; replaced {
			continue
		}
		if notice, _ := l.world.cloud.Notice(i.id); notice.Action == "" { // one that EC2 takes back is replaced
			booting++
		}
	}
	tasks := 0
	for _, queue := range l.servedBy(spec.Name) {
		tasks += l.mostWaiting(queue, now.Add(-l.world.options.Stale))
	}
	tasks += l.takenBack()
	if booting > tasks {
		l.breach("%d instances of %s boot for %d tasks that waited lately", booting, spec.Name, tasks)
	}
}

// takenBack counts the tasks on instances that EC2 has announced to take back, and
// those that were on one and are not put back yet: they wait soon.
func (l *laws) takenBack() int {
	n := 0
	for _, i := range l.order {
		if notice, _ := l.world.cloud.Notice(i.id); notice.Action == "" {
			continue
		}
		if i.task != nil || (i.had != nil && i.had.lost != "") {
			n++
		}
	}
	return n
}

func (l *laws) mostWaiting(queue string, since time.Time) int {
	most := 0
	for _, s := range slices.Backward(l.waiting[queue]) {
		most = max(most, s.n)
		if s.at.Before(since) {
			break
		}
	}
	return most
}

func (l *laws) sample(queue string, change int) {
	n := change
	if samples := l.waiting[queue]; len(samples) > 0 {
		n += samples[len(samples)-1].n
	}
	l.waiting[queue] = append(l.waiting[queue], sample{at: l.world.Now(), n: n})
}

func (l *laws) ends(t fakeec2.Transition) {
	i := l.instances[t.InstanceID]
	l.alive[i.resource]--
	i.ended, i.endedBy = t.At, t.Reason
	l.endsItself(i)
	if i.task != nil {
		l.endsBusy(i, t)
	}
}

// event sees what reached the bus.
//
//nolint:cyclop // one case for each event
func (l *laws) event(recorded messages.Recorded) {
	of := func(id messages.InstanceID) *explanation {
		if l.explained[id] == nil {
			l.explained[id] = &explanation{}
		}
		return l.explained[id]
	}
	if i := l.instances[recorded.Event.About()]; i != nil && (i.ended.IsZero() || recorded.At.Before(i.ended)) {
		of(messages.InstanceID(i.id)).last = recorded.At
	}
	l.told(recorded)
	switch e := any(recorded.Event).(type) {
	case messages.InstanceLaunched:
		of(e.Instance).begin = true
	case messages.InstanceAdopted:
		of(e.Instance).begin = true
	case messages.InstanceDraining:
		of(e.Instance).drained = true
	case messages.InstanceTerminating:
		if len(e.Reasons) == 0 {
			l.breach("%s is terminated without a reason", e.Instance)
		}
		of(e.Instance).end = true
	case messages.InstanceGone:
		if len(e.Reasons) == 0 {
			l.breach("%s is gone without a reason", e.Instance)
		}
		if i := l.instances[string(e.Instance)]; i == nil || i.ended.IsZero() {
			l.breach("%s is said to be gone and is alive", e.Instance)
		}
		told, ended := of(e.Instance), l.instances[string(e.Instance)]
		told.end = told.end || told.drained || e.Reasons[0].Code != messages.ReasonEnded || (ended != nil && ended.endedBy != userEnded)
	}
}

// complaint judges what the program logged as an error.
func (l *laws) complaint(message, cause, line string) {
	switch message {
	case "actor failed":
		if !strings.Contains(cause, "as told") {
			l.breach("an actor failed: %s", line)
		}
	case "unhandled message", "panic while stopping", "the plan breaks a law and is not carried out; please report this":
		l.breach("%s", line)
	}
}
