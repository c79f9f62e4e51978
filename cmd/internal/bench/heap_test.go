package bench_test

import (
	"runtime"
	"testing"
)

// heapLimit is the most bytes that an instance may take.
const heapLimit = 4 << 10

// BenchmarkInstanceHeap is what one instance takes on the heap: its actor with
// mailbox, what its resource type keeps of it, and its row in the autoscaler's
// last snapshot. It is the difference between two engines, with ten thousand
// instances and with none; ten thousand are more than enough to be exact to a
// few bytes.
func BenchmarkInstanceHeap(b *testing.B) {
	for _, c := range []struct {
		name string
		busy int
	}{{"idle", 0}, {"busy", 100}} {
		b.Run(c.name, func(b *testing.B) {
			perInstance := 0.0
			for b.Loop() {
				empty := heapOf(b, 0, c.busy)
				full := heapOf(b, manyInstances, c.busy)
				perInstance = (full - empty) / manyInstances
			}
			if perInstance > heapLimit {
				b.Errorf("an instance takes %.0f bytes, more than %d", perInstance, heapLimit)
			}
			b.ReportMetric(perInstance, "bytes/instance")
		})
	}
}

// heapOf is how many bytes an engine with so many instances holds on to. Of the
// world of the benchmark only the timers count: the machine keeps those of a
// program as well.
func heapOf(b *testing.B, instances, busyPercent int) float64 {
	b.Helper()
	w := newWorld(manyQueues)
	fill(w, instances, busyPercent)
	outside := liveHeap()
	e := start(b, w, manyResources, manyInstances/manyResources, ports{})
	w.forget()
	used := liveHeap() - outside
	e.close()
	return used
}

// liveHeap is the bytes in use after everything else was collected. Twice: the
// first collection empties sync.Pools into their victims only.
func liveHeap() float64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}
