package bench_test

import (
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
}

// quietTicks reports the CPU time of a tick, and fails when a tick did anything.
func quietTicks(b *testing.B, e *engine, clearmlCalls func() int) {
	b.Helper()
	calls, used, ticks := clearmlCalls(), time.Duration(0), 0
	for b.Loop() {
		b.StopTimer()
		e.world.stage(pollEvery)
		before := cpu(b)
		b.StartTimer()
		e.clock.advance(pollEvery)
		b.StopTimer()
		used += cpu(b) - before
		ticks++
		b.StartTimer()
	}
	w := e.world
	if len(w.launches)+w.ends+w.checks > 0 {
		b.Fatalf("quiet ticks made %d launches, %d terminations, %d checks of workers", len(w.launches), w.ends, w.checks)
	}
	b.ReportMetric(milliseconds(used)/float64(ticks), "cpu_ms/tick")
	b.ReportMetric(float64(clearmlCalls()-calls)/float64(ticks), "clearml_calls/tick")
	b.ReportMetric(float64(w.lists)/float64(ticks), "ec2_listings/tick")
	b.ReportMetric(float64(len(w.launches)+w.ends)/float64(ticks), "ec2_changes/tick")
}
