package view

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// State is what is shown of one autoscaler.
type State struct {
	Version   string
	Holder    string
	Epoch     messages.Epoch
	StartedAt time.Time
	// Stopping says that it is about to end, or has ended.
	Stopping bool
	Pause    *messages.Pause
	Rival    *messages.Rival

	ClearML messages.SourceStatus
	EC2     messages.SourceStatus

	EventsPending int
	EventsLost    int

	// QueueOrder and ResourceOrder are the names in the order of the
	// configuration, as far as that is known.
	QueueOrder    []messages.QueueName
	ResourceOrder []messages.ResourceName

	Queues    map[messages.QueueName]Queue
	Resources map[messages.ResourceName]messages.ResourceStatus
	Instances map[messages.InstanceID]messages.InstanceStatus

	// gone are the instances that have ended, by when: no later event makes one of
	// them live again, only a status does.
	gone map[messages.InstanceID]time.Time
	// asOf is when the status was begun, and heard, for each resource type, when the
	// last one was in which it was not silent.
	asOf  time.Time
	heard map[messages.ResourceName]time.Time
}

// Queue is one watched queue.
type Queue struct{ messages.QueueStatus }

// Since is since when the first task in line waits; zero when none does.
func (q Queue) Since() time.Time {
	if q.Waiting == 0 || q.AsOf.IsZero() {
		return time.Time{}
	}
	return q.AsOf.Add(-time.Duration(q.WaitSeconds * float64(time.Second)))
}

// Wait is how long the first task in line has waited at the time now.
func (q Queue) Wait(now time.Time) time.Duration {
	since := q.Since()
	if since.IsZero() {
		return 0
	}
	return max(0, now.Sub(since))
}

func newState() State {
	return State{
		Queues:    make(map[messages.QueueName]Queue),
		Resources: make(map[messages.ResourceName]messages.ResourceStatus),
		Instances: make(map[messages.InstanceID]messages.InstanceStatus),
		gone:      make(map[messages.InstanceID]time.Time),
		heard:     make(map[messages.ResourceName]time.Time),
	}
}

// clone is a State that can be folded into without changing this one. What its
// values point to is never changed in place.
func (s *State) clone() State {
	c := *s
	c.Queues, c.Resources = maps.Clone(s.Queues), maps.Clone(s.Resources)
	c.Instances, c.gone = maps.Clone(s.Instances), maps.Clone(s.gone)
	c.heard = maps.Clone(s.heard)
	c.QueueOrder, c.ResourceOrder = slices.Clone(s.QueueOrder), slices.Clone(s.ResourceOrder)
	return c
}

// stateOf is what a status says. What was silent in it is taken from what was known
// before any event, base: that nobody answered does not mean that there is nothing.
// Names are in the order of shown.
func stateOf(status messages.Status, base, shown *State) State {
	s := newState()
	s.asOf = status.At
	s.Version, s.Holder, s.Epoch, s.StartedAt = status.Version, status.Holder, status.Epoch, status.StartedAt
	s.Stopping, s.Pause, s.Rival, s.ClearML, s.EC2 = status.Stopping, status.Pause, status.Rival, status.ClearML, status.EC2
	s.EventsPending, s.EventsLost = status.EventsPending, status.EventsLost
	for _, q := range status.Queues {
		s.QueueOrder = append(s.QueueOrder, q.Queue)
		if q.AsOf.IsZero() { // told by a version that does not say
			q.AsOf = status.At
		}
		s.Queues[q.Queue] = Queue{QueueStatus: q}
	}
	for _, r := range status.Resources {
		if r.AsOf.IsZero() {
			r.AsOf = status.At
		}
		s.ResourceOrder = append(s.ResourceOrder, r.Resource)
		s.Resources[r.Resource] = r
		s.heard[r.Resource] = status.At
	}
	for _, i := range status.Instances {
		s.Instances[i.Instance] = i
	}
	for _, who := range status.Silent {
		if name, ok := strings.CutPrefix(who, "queue "); ok {
			s.keepQueue(base, messages.QueueName(name))
		}
		if name, ok := strings.CutPrefix(who, "resource "); ok {
			s.keepResource(base, messages.ResourceName(name))
		}
	}
	if len(status.Silent) > 0 { // else the status has the order of the configuration
		s.order(shown)
	}
	return s
}

func (s *State) keepQueue(before *State, name messages.QueueName) {
	if was, ok := before.Queues[name]; ok {
		s.Queues[name] = was
		s.QueueOrder = append(s.QueueOrder, name)
		return
	}
	s.queue(name)
}

func (s *State) keepResource(before *State, name messages.ResourceName) {
	was, ok := before.Resources[name]
	if !ok {
		s.resource(name)
		return
	}
	s.ResourceOrder = append(s.ResourceOrder, name)
	s.Resources[name] = was
	s.heard[name] = before.heard[name]
	for id, instance := range before.Instances {
		if instance.Resource == name {
			s.Instances[id] = instance
		}
	}
}

// order puts names where they were before, and new ones behind: rows must not jump
// because somebody has not answered.
func (s *State) order(before *State) {
	s.QueueOrder = likeBefore(s.QueueOrder, before.QueueOrder)
	s.ResourceOrder = likeBefore(s.ResourceOrder, before.ResourceOrder)
}

func likeBefore[T comparable](names, before []T) []T {
	ordered := make([]T, 0, len(names))
	for _, name := range before {
		if slices.Contains(names, name) {
			ordered = append(ordered, name)
		}
	}
	for _, name := range names {
		if !slices.Contains(ordered, name) {
			ordered = append(ordered, name)
		}
	}
	return ordered
}

// Counts is how many instances there are in each condition, in the order of
// [messages.Conditions].
func (s *State) Counts() []int {
	counts, at := make([]int, len(messages.Conditions())), conditionIndex()
	for _, i := range s.Instances {
		if index, ok := at[i.Condition]; ok {
			counts[index]++
		}
	}
	return counts
}

func conditionIndex() map[messages.Condition]int {
	at := make(map[messages.Condition]int)
	for i, c := range messages.Conditions() {
		at[c] = i
	}
	return at
}

// Waiting is how many tasks wait in all queues, and how long the one that waits
// longest has waited, at the time now.
func (s *State) Waiting(now time.Time) (tasks int, oldest time.Duration) {
	for _, q := range s.Queues {
		tasks += q.Waiting
		oldest = max(oldest, q.Wait(now))
	}
	return tasks, oldest
}
