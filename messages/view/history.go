package view

import (
	"slices"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// Sample is how things stood at one moment.
type Sample struct {
	At time.Time
	// Conditions are numbers of instances in the order of [messages.Conditions].
	Conditions []int
	// Resources are numbers of instances.
	Resources map[messages.ResourceName]int
	// Waiting are tasks, Wait seconds that the first one has waited.
	Waiting map[messages.QueueName]int
	Wait    map[messages.QueueName]float64
	// HourlyUSD is what the instances cost an hour, as far as prices are known.
	HourlyUSD float64
}

// SampleOf is how things stand in s at the time at.
func SampleOf(s *State, at time.Time) Sample {
	sample := Sample{
		At: at, Conditions: s.Counts(), Resources: make(map[messages.ResourceName]int, len(s.Resources)),
		Waiting: make(map[messages.QueueName]int, len(s.Queues)), Wait: make(map[messages.QueueName]float64, len(s.Queues)),
	}
	for name, r := range s.Resources {
		if r.Known {
			sample.Resources[name] = 0
		}
	}
	for _, i := range s.Instances {
		sample.Resources[i.Resource]++
		sample.HourlyUSD += i.HourlyUSD
	}
	for name, q := range s.Queues {
		if !q.Known {
			continue // not 0: nobody has looked
		}
		sample.Waiting[name], sample.Wait[name] = q.Waiting, q.Wait(at).Seconds()
	}
	return sample
}

// Resolution is one of the two steps of a history.
type Resolution struct {
	Step time.Duration
	Keep time.Duration
}

// Fine and Coarse are the two: 10 s for an hour, a minute for a day.
func Fine() Resolution { return Resolution{Step: 10 * time.Second, Keep: time.Hour} }

// Coarse is the step for what is longer ago.
func Coarse() Resolution { return Resolution{Step: time.Minute, Keep: 24 * time.Hour} }

// History is the past of one autoscaler, in rings that do not grow.
type History struct {
	fine   ring
	coarse ring
	next   time.Time // the next moment to remember
}

// NewHistory is an empty one.
func NewHistory() *History {
	return &History{fine: newRing(Fine()), coarse: newRing(Coarse())}
}

// Advance remembers how things stood at each moment until now, now included. s is
// what has been so since the last call; after a gap of more than a day only the
// last day of it is remembered. It returns the samples of the fine step that are
// new, at most a hundred.
func (h *History) Advance(s *State, now time.Time) []Sample {
	step := Fine().Step
	if h.next.IsZero() {
		h.next = now.Truncate(step)
		if h.next.Before(now) {
			h.next = h.next.Add(step)
		}
	}
	if now.Sub(h.next) > Coarse().Keep {
		h.next = now.Add(-Coarse().Keep).Truncate(step)
	}
	var fresh []Sample
	for ; !h.next.After(now); h.next = h.next.Add(step) {
		isCoarse := h.next.Truncate(Coarse().Step).Equal(h.next)
		if now.Sub(h.next) > Fine().Keep && !isCoarse {
			continue
		}
		sample := SampleOf(s, h.next)
		if now.Sub(h.next) <= Fine().Keep {
			h.fine.push(sample)
			fresh = append(fresh, sample)
		}
		if isCoarse {
			h.coarse.push(sample)
		}
	}
	return fresh[max(0, len(fresh)-100):]
}

// Prepend puts what past has from before the first sample in front of it.
func (h *History) Prepend(past *History) {
	h.fine.prepend(past.fine.all())
	h.coarse.prepend(past.coarse.all())
	if h.next.IsZero() {
		h.next = past.next
	}
}

// Since are the samples of the last while before now, oldest first, with the step
// that covers it.
func (h *History) Since(now time.Time, while time.Duration) ([]Sample, time.Duration) {
	from := &h.fine
	if while > Fine().Keep {
		from = &h.coarse
	}
	samples := from.all()
	for len(samples) > 0 && now.Sub(samples[0].At) > while {
		samples = samples[1:]
	}
	return samples, from.step
}

// ring keeps the last samples.
type ring struct {
	step    time.Duration
	size    int
	samples []Sample
	first   int
}

func newRing(r Resolution) ring {
	return ring{step: r.Step, size: int(r.Keep/r.Step) + 1}
}

func (r *ring) push(s Sample) {
	if len(r.samples) < r.size {
		r.samples = append(r.samples, s)
		return
	}
	r.samples[r.first] = s
	r.first = (r.first + 1) % r.size
}

func (r *ring) prepend(past []Sample) {
	all := r.all()
	if len(all) > 0 {
		first := all[0].At
		past = slices.DeleteFunc(past, func(s Sample) bool { return !s.At.Before(first) })
	}
	all = append(past, all...)
	r.samples, r.first = all[max(0, len(all)-r.size):], 0
}

func (r *ring) all() []Sample {
	all := make([]Sample, 0, len(r.samples))
	all = append(all, r.samples[r.first:]...)
	return append(all, r.samples[:r.first]...)
}
