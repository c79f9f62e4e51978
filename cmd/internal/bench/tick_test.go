package bench_test

import (
	"runtime"
	"testing"
	"time"
)

// BenchmarkQuietTick is a poll with nothing to do: a thousand queues without a
// task, ten thousand instances of which half are busy and half are idle, but
// not for long enough. A fourth of the ticks have a listing of EC2.
func BenchmarkQuietTick(b *testing.B) {
	b.Run("engine", func(b *testing.B) {
		w := newWorld(manyQueues)
		fill(w, manyInstances, 50)
		e := start(b, w, manyResources, 2*manyInstances/manyResources, ports{})
		defer e.close()
		quietTicks(b, e, func() int { return w.polls })
	})
	b.Run("clearml+engine", func(b *testing.B) {
		w := newWorld(manyQueues)
		fill(w, manyInstances, 50)
		p, wire := overClearMLWire(b, w, ports{})
		e := start(b, w, manyResources, 2*manyInstances/manyResources, p)
		defer e.close()
		quietTicks(b, e, wire.count)
	})
}

// quietTicks reports the CPU time of a tick, and fails when a tick did anything.
func quietTicks(b *testing.B, e *engine, clearmlCalls func() int) {
	b.Helper()
	w := e.world
	w.ahead = 1000 * time.Hour // one answer serves all ticks, and leaves nothing to collect
	w.stage()
	e.clock.advance(pollEvery)
	runtime.GC()
	w.reset()
	calls, ticks, before := clearmlCalls(), 0, cpu(b)
	for b.Loop() {
		e.clock.advance(pollEvery)
		ticks++
	}
	used := cpu(b) - before
	if len(w.launches)+w.ends+w.checks > 0 {
		b.Fatalf("quiet ticks made %d launches, %d terminations, %d checks of workers", len(w.launches), w.ends, w.checks)
	}
	b.ReportMetric(milliseconds(used)/float64(ticks), "cpu_ms/tick")
	b.ReportMetric(float64(clearmlCalls()-calls)/float64(ticks), "clearml_calls/tick")
	b.ReportMetric(float64(w.lists)/float64(ticks), "ec2_listings/tick")
	b.ReportMetric(float64(len(w.launches)+w.ends)/float64(ticks), "ec2_changes/tick")
}
