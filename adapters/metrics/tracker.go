package metrics

import (
	"time"

	"github.com/ebbscale/ebb/messages"
)

// tracker is what one autoscaler's events add up to and no status tells. It is
// guarded by [Metrics].
type tracker struct {
	acting    bool
	instances map[messages.InstanceID]*tracked
	// unseen are the queues with tasks that nothing was requested for, since when.
	unseen map[messages.QueueName]time.Time
	// requests are launches in flight.
	requests map[messages.RequestID]requested
	// serves are the queues of each resource type, by the last status.
	serves map[messages.ResourceName][]messages.QueueName
	spent  map[purse]*spending
	// misconfigured says that the last new configuration was refused.
	misconfigured bool
	// lost are the events that were never published, the most of any status.
	lost int
}

// tracked is an instance that has not ended.
type tracked struct {
	since     time.Time // known
	purse     purse
	hourly    float64 // dollars
	idleSince time.Time
	unended   bool
	stray     bool
	// booted says that its boot was counted, task is the one that was counted last:
	// another life of the actors tells both again.
	booted bool
	task   messages.TaskID
}

// requested is when a launch was decided, and when the poll behind it was; the
// latter is zero when no new tasks are behind it.
type requested struct{ at, seen time.Time }

// purse is what money is spent for.
type purse struct {
	resource messages.ResourceName
	market   messages.Market
}

// spending adds up dollars while a rate holds.
type spending struct {
	rate    float64 // dollars an hour, now
	dollars float64 // until at
	at      time.Time
}

// spentAt are the dollars at a time; clocks that go back spend nothing.
func (s *spending) spentAt(now time.Time) float64 {
	return s.dollars + s.rate*max(0, now.Sub(s.at).Hours())
}

// change settles what was spent so far and adds to the rate.
func (s *spending) change(now time.Time, rate float64) {
	s.dollars = s.spentAt(now)
	if now.After(s.at) {
		s.at = now
	}
	s.rate += rate
}

func newTracker() *tracker {
	return &tracker{
		instances: make(map[messages.InstanceID]*tracked),
		unseen:    make(map[messages.QueueName]time.Time),
		requests:  make(map[messages.RequestID]requested),
		spent:     make(map[purse]*spending),
	}
}

// tracker of an autoscaler; made when it is not known. m.mu is held.
func (m *Metrics) tracker(name messages.AutoscalerName) *tracker {
	t := m.trackers[name]
	if t == nil {
		t = newTracker()
		m.trackers[name] = t
	}
	return t
}

// act notes whether this process acts. Who begins or ceases knows no instances:
// events or a status will tell of them. An autoscaler that begins anew while it acts,
// after a reload, keeps them: they go on costing money.
func (t *tracker) act(acts bool, now time.Time) {
	if t.acting != acts {
		for id := range t.instances {
			t.end(id, now)
		}
	}
	t.acting = acts
	clear(t.unseen)
	clear(t.requests)
}

// live is an instance that has begun and not ended; one that is not known is
// changed for nobody to see, so that a late event makes none.
func (t *tracker) live(id messages.InstanceID) *tracked {
	if i := t.instances[id]; i != nil {
		return i
	}
	return &tracked{}
}

// instance of an id, made when it is not known.
func (t *tracker) instance(id messages.InstanceID, resource messages.ResourceName) *tracked {
	i := t.instances[id]
	if i == nil {
		i = &tracked{purse: purse{resource: resource}}
		t.instances[id] = i
	}
	return i
}

// begin has an instance cost money from now on.
func (t *tracker) begin(id messages.InstanceID, of purse, hourly float64, now time.Time) {
	i := t.instance(id, of.resource)
	t.charge(i, -i.hourly, now)
	i.purse, i.hourly, i.since = of, hourly, now
	t.charge(i, hourly, now)
}

// end is the end of an instance.
func (t *tracker) end(id messages.InstanceID, now time.Time) {
	if i := t.instances[id]; i != nil {
		t.charge(i, -i.hourly, now)
		delete(t.instances, id)
	}
}

func (t *tracker) charge(i *tracked, rate float64, now time.Time) {
	if rate == 0 {
		return
	}
	spent := t.spent[i.purse]
	if spent == nil {
		spent = &spending{at: now}
		t.spent[i.purse] = spent
	}
	spent.change(now, rate)
}

// waiting notes the length of a queue.
func (t *tracker) waiting(e messages.QueueObserved, at time.Time) {
	_, known := t.unseen[e.Queue]
	switch {
	case e.Waiting == 0:
		delete(t.unseen, e.Queue)
	case !known:
		t.unseen[e.Queue] = at
	}
}

// planned notes a verdict: tasks that are covered need no launch, and those that
// have to wait for room tell nothing of how fast launching is.
func (t *tracker) planned(e messages.QueuePlanned) {
	if e.Launching == 0 {
		delete(t.unseen, e.Queue)
	}
}

// request notes a launch and the poll behind it: the oldest of the queues that the
// resource type serves, or of all queues before a status has told which these are.
func (t *tracker) request(e messages.InstanceRequested, at time.Time) {
	r := requested{at: at}
	take := func(queue messages.QueueName) {
		seen, waits := t.unseen[queue]
		if waits && (r.seen.IsZero() || seen.Before(r.seen)) {
			r.seen = seen
		}
		delete(t.unseen, queue)
	}
	if queues, known := t.serves[e.Resource]; known {
		for _, queue := range queues {
			take(queue)
		}
	} else {
		for queue := range t.unseen {
			take(queue)
		}
	}
	t.requests[e.Request] = r
}

// learn takes from a status what events do not tell.
func (t *tracker) learn(status *messages.Status) {
	t.serves = make(map[messages.ResourceName][]messages.QueueName)
	for _, queue := range status.Queues {
		for _, resource := range queue.Resources {
			t.serves[resource] = append(t.serves[resource], queue.Queue)
		}
	}
	t.lost = max(t.lost, status.EventsLost)
	t.match(status)
}

// settleTime is how long after its launch an instance may be missing in a status.
const settleTime = 10 * time.Minute

// match corrects what events did not tell: an autoscaler that begins anew takes
// young instances from its ledger without a word, and does not know of those that
// ended meanwhile.
func (t *tracker) match(status *messages.Status) {
	there := make(map[messages.InstanceID]bool, len(status.Instances))
	for _, i := range status.Instances {
		there[i.Instance] = true
		if known := t.instances[i.Instance]; known == nil || known.since.IsZero() {
			t.begin(i.Instance, purse{i.Resource, i.Offering.Market}, i.HourlyUSD, status.At)
		}
	}
	whole := len(status.Silent) == 0
	for _, resource := range status.Resources {
		whole = whole && resource.Known
	}
	for id, i := range t.instances {
		if whole && !there[id] && i.since.Before(status.At.Add(-settleTime)) {
			t.end(id, status.At)
		}
	}
}
