package bench_test

import (
	"fmt"
	"testing"
	"time"
)

// latencyTicks is how many polls with tasks a distribution is made of at least.
const latencyTicks = 150

// BenchmarkPollToLaunch is the time from the answer of a poll, in which four of
// a thousand queues have a task, to the RunInstances calls: the first of the
// four and the last of them. Ten thousand instances are known and busy. After
// launches EC2 is listed every five seconds: apart from the polls, or, which is
// the worst that can happen, at the same moment as each of them.
func BenchmarkPollToLaunch(b *testing.B) {
	variants := []struct {
		name string
		make func(b *testing.B, w *world) ports
	}{
		{"engine", func(*testing.B, *world) ports { return ports{} }},
		{"engine+ledger", func(b *testing.B, _ *world) ports { b.Helper(); return onDisk(b, ports{}) }},
		{"engine+ledger+ec2", func(b *testing.B, w *world) ports {
			b.Helper()
			return overEC2Wire(b, w, onDisk(b, ports{}))
		}},
		{"clearml+engine+ledger+ec2", func(b *testing.B, w *world) ports {
			b.Helper()
			p, _ := overClearMLWire(b, w, overEC2Wire(b, w, onDisk(b, ports{})))
			return p
		}},
	}
	for _, v := range variants {
		for _, listings := range []string{"apart", "together"} {
			b.Run(v.name+"/listings="+listings, func(b *testing.B) {
				w := newWorld(manyQueues)
				if listings == "apart" {
					w.refusals = 1 // the next poll comes some seconds later, off the beat of the listings
				}
				fill(w, manyInstances, 100)
				e := start(b, w, manyResources, manyInstances, v.make(b, w))
				defer e.close()
				pollToLaunch(b, e)
			})
		}
	}
}

func pollToLaunch(b *testing.B, e *engine) {
	b.Helper()
	var first, last []time.Duration
	sample := func() {
		f, l := e.tickWithTasks(b, len(first))
		first, last = append(first, f), append(last, l)
	}
	for b.Loop() {
		sample()
	}
	for len(first) < latencyTicks {
		sample()
	}
	reportTimes(b, "first", first)
	reportTimes(b, "last", last)
}

// tickWithTasks puts one task each into four queues that share no resource
// type, polls, and returns when the first and the last of the launches came.
func (e *engine) tickWithTasks(b *testing.B, n int) (first, last time.Duration) {
	b.Helper()
	const spread = 4
	w := e.world
	clear(w.waiting)
	for k := range spread {
		w.waiting[w.queues[(n+k*manyResources/spread)%manyResources]] = 1
	}
	w.reset()
	e.tick()
	if len(w.launches) != spread {
		b.Fatalf("%d launches for %d tasks", len(w.launches), spread)
	}
	for i, launch := range w.launches {
		took := launch.at.Sub(w.answered)
		if launch.count != 1 || took < 0 {
			b.Fatalf("launch of %d instances %s after the poll", launch.count, took)
		}
		if i == 0 || took < first {
			first = took
		}
		last = max(last, took)
	}
	return first, last
}

// BenchmarkThousandTasks is how many RunInstances calls a thousand waiting
// tasks take, with one resource type and with three of which none is large enough.
func BenchmarkThousandTasks(b *testing.B) {
	const tasks, mostCalls = 1000, 10
	for _, c := range []struct{ resources, each int }{{1, tasks}, {3, 350}} {
		b.Run(fmt.Sprintf("resources=%d", c.resources), func(b *testing.B) {
			calls := 0
			for b.Loop() {
				b.StopTimer()
				w := newWorld(1)
				e := start(b, w, c.resources, c.each, ports{})
				w.waiting[w.queues[0]] = tasks
				b.StartTimer()
				e.tick()
				b.StopTimer()
				e.clock.advance(pollEvery - time.Second) // what EC2's request bucket holds back
				e.close()
				calls = checkLaunches(b, w.launches, tasks, mostCalls)
				b.StartTimer()
			}
			b.ReportMetric(float64(calls), "RunInstances_calls")
		})
	}
}

// checkLaunches returns the number of calls.
func checkLaunches(b *testing.B, launches []launchCall, instances, mostCalls int) int {
	b.Helper()
	launched := 0
	for _, launch := range launches {
		launched += launch.count
	}
	if launched != instances {
		b.Fatalf("%d instances launched, %d needed", launched, instances)
	}
	if len(launches) > mostCalls {
		b.Fatalf("%d RunInstances calls, at most %d wanted", len(launches), mostCalls)
	}
	return len(launches)
}

// BenchmarkEC2Listing is a listing of ten thousand instances by the real
// adapter: ten pages of XML through the SDK. The server is in the same process
// and has its pages ready.
func BenchmarkEC2Listing(b *testing.B) {
	w := newWorld(1)
	fill(w, manyInstances, 100)
	adapter := ec2Adapter(b, describeInstances(w.machines))
	used := cpu(b)
	n := 0
	for b.Loop() {
		list, err := adapter.List(b.Context())
		if err != nil || len(list) != manyInstances {
			b.Fatalf("%d instances, %v", len(list), err)
		}
		n++
	}
	b.ReportMetric(milliseconds(cpu(b)-used)/float64(n), "cpu_ms/op")
}
