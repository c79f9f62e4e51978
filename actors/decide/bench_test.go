package decide_test

import (
	"fmt"
	"testing"

	"github.com/ebbscale/ebb/messages"
)

// largeWorld has a thousand queues, a thousand resource types and ten thousand
// instances; each queue is served by three types, and each type by three
// queues.
func largeWorld(waiting int) *world {
	const size = 1000
	w := newWorld()
	names := make([]messages.ResourceName, size)
	for r := range size {
		names[r] = messages.ResourceName(fmt.Sprintf("r%d", r))
		w.resource(names[r], 20, messages.Capacity{Alive: 10, Idle: idle(names[r], 2, 0)})
	}
	for q := range size {
		w.queue(messages.QueueName(fmt.Sprintf("q%d", q)), waiting, names[q], names[(q+1)%size], names[(q+2)%size])
	}
	return w
}

func benchmarkEvaluate(b *testing.B, w *world, launches int) {
	b.Helper()
	if got := launched(w.evaluate()); got != launches {
		b.Fatalf("launches %d, want %d", got, launches)
	}
	b.ReportAllocs()
	for b.Loop() {
		w.evaluate()
	}
}

// BenchmarkEvaluateNothingToDo: no task waits and nothing has expired.
func BenchmarkEvaluateNothingToDo(b *testing.B) { benchmarkEvaluate(b, largeWorld(0), 0) }

// BenchmarkEvaluateEachQueueOneTask: everybody's capacity is busy, and each
// queue has one new task.
func BenchmarkEvaluateEachQueueOneTask(b *testing.B) {
	w := largeWorld(1)
	for name, capacity := range w.view.Capacity {
		capacity.Idle = nil
		w.view.Capacity[name] = capacity
	}
	benchmarkEvaluate(b, w, 1000)
}

// BenchmarkEvaluateCovered: two thousand tasks and two thousand idle instances.
func BenchmarkEvaluateCovered(b *testing.B) { benchmarkEvaluate(b, largeWorld(2), 0) }

// BenchmarkEvaluateFull: each queue wants more than there can be, so that every
// search for something to move fails.
func BenchmarkEvaluateFull(b *testing.B) { benchmarkEvaluate(b, largeWorld(50), 10*1000) }

// BenchmarkCheck is what the running program spends on checking a plan.
func BenchmarkCheck(b *testing.B) {
	w := largeWorld(50)
	plan := w.evaluate()
	b.ReportAllocs()
	for b.Loop() {
		if breaches := w.check(plan); len(breaches) > 0 {
			b.Fatal(breaches)
		}
	}
}
