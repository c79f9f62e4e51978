package simulation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
)

// laws watches the world and writes down what breaks a law.
type laws struct {
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
	queueOf   map[string]string   // by task
	lost      map[string]string   // tasks whose worker was taken away, and how
	stopping  messages.OnShutdown
	disturbs  []time.Time
	explained map[messages.InstanceID]*explanation
}

// instance is what is true of an instance, whatever anybody was told.
type instance struct {
	id, resource string
	launched     time.Time
	ended        time.Time // shutting down since
	endedBy      string
	registered   bool
	frozen       bool   // its agent is
	task         string // popped from a queue and not ended
	taskAt       time.Time
	checked      time.Time // when the tasks API was last asked about it
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
		perLaunch: map[string]int{}, waiting: map[string][]sample{}, queueOf: map[string]string{},
		lost: map[string]string{}, explained: map[messages.InstanceID]*explanation{},
	}
}

func (l *laws) breach(format string, args ...any) {
	at := l.world.Now().Format("15:04:05.000")
	l.breaches = append(l.breaches, at+" "+fmt.Sprintf(format, args...))
	l.world.tell("BREACH "+format, args...)
}

func (l *laws) disturbed() { l.disturbs = append(l.disturbs, l.world.Now()) }

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
	at := slices.IndexFunc(l.world.options.Resources, func(r Resource) bool { return r.Name == i.resource })
	if at < 0 {
		l.breach("%s was launched for resource type %q, which is not configured", i.id, i.resource)
		return
	}
	spec := l.world.options.Resources[at]
	if l.alive[i.resource] > spec.Max {
		l.breach("%d instances of %s are alive, at most %d may be", l.alive[i.resource], i.resource, spec.Max)
	}
	launch := found.Tag(ec2.TagIntent)
	l.perLaunch[launch]++
	switch record := l.world.store.byLaunch[messages.LaunchID(launch)]; {
	case record == nil:
		l.breach("%s was launched without an intent in the ledger (tag %q)", i.id, launch)
	case l.perLaunch[launch] > record.Intent.Count:
		l.breach("launch %s asked for %d instances and has %d", launch, record.Intent.Count, l.perLaunch[launch])
	}
	l.needed(spec)
}

// needed compares what boots with what waited lately.
func (l *laws) needed(spec Resource) {
	now := l.world.Now()
	booting := 0
	for _, i := range l.order {
		if i.resource == spec.Name && i.ended.IsZero() && !i.registered && now.Sub(i.launched) < spec.MaxSpinUp {
			booting++
		}
	}
	tasks := 0
	for _, queue := range l.world.options.queuesOf(spec.Name) {
		tasks += l.mostWaiting(queue, now.Add(-l.world.options.Stale))
	}
	if booting > tasks {
		l.breach("%d instances of %s boot for %d tasks that waited lately", booting, spec.Name, tasks)
	}
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

func (l *laws) enqueued(queue, task string) {
	l.queueOf[task] = queue
	l.sample(queue, 1)
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
	if i.task == "" {
		return
	}
	l.lost[i.task] = fmt.Sprintf("%s ended: %s", i.id, t.Reason)
	if t.Reason != userEnded || l.stopping == messages.ShutdownAll {
		return
	}
	story := fmt.Sprintf("%s was terminated with a task that it pulled %s before, %s after it was checked",
		i.id, t.At.Sub(i.taskAt), t.At.Sub(i.checked))
	switch {
	case i.checked.IsZero():
		l.breach("%s: nobody had asked whether it is idle", story)
	case i.taskAt.Before(i.checked.Add(-reportLag)):
		l.breach("%s: it had the task when it was checked", story)
	case t.At.Sub(i.checked) > checkAge:
		l.breach("%s: the check was too old", story)
	default:
		l.races = append(l.races, story)
	}
}

// polled sees every request of the autoscaler that the ClearML server has served,
// and among them the questions what workers are running.
func (l *laws) polled(r *http.Request, body []byte, answer *http.Response) {
	if !strings.HasSuffix(r.URL.Path, "/tasks.get_all") || answer.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("in_progress")) {
		return
	}
	for _, i := range l.order {
		if i.ended.IsZero() && bytes.Contains(body, []byte(i.id)) {
			i.checked = l.world.Now()
		}
	}
}

// agentCalled sees every request of an agent that the server has served.
func (l *laws) agentCalled(r *http.Request, body []byte, answer *http.Response) {
	i := l.hosts[r.Header.Get("X-ClearML-Worker")]
	endpoint := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if i == nil || answer.StatusCode != http.StatusOK {
		return
	}
	switch endpoint {
	case "workers.register":
		i.registered = true
	case "queues.get_next_task":
		l.popped(i, answer)
	case "tasks.completed", "tasks.stopped", "tasks.failed":
		if bytes.Contains(body, []byte(i.task)) {
			i.task = ""
		}
	case "workers.status_report":
		if i.task != "" && l.world.Now().Sub(i.taskAt) > reportLag && !bytes.Contains(body, []byte(`"task":`)) {
			l.lost[i.task] = i.id + " could not start it and gave it up"
			i.task = ""
		}
	}
}

func (l *laws) popped(i *instance, answer *http.Response) {
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		l.breach("read answer of get_next_task: %s", err)
		return
	}
	answer.Body = io.NopCloser(bytes.NewReader(text))
	var pop struct {
		Data struct {
			Entry struct {
				Task string `json:"task"`
			} `json:"entry"`
		} `json:"data"`
	}
	if err := json.Unmarshal(text, &pop); err != nil {
		l.breach("decode answer of get_next_task: %s", err)
		return
	}
	if task := pop.Data.Entry.Task; task != "" {
		if i.task != "" {
			l.lost[i.task] = i.id + " popped another one: the answer to the first was lost"
		}
		i.task, i.taskAt = task, l.world.Now()
		l.sample(l.queueOf[task], -1)
		if !i.ended.IsZero() {
			l.lost[task] = i.id + " popped it while it was shutting down"
		}
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
