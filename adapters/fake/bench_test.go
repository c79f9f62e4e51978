package fake_test

import (
	"testing"
	"time"
)

// BenchmarkIdleHour is an hour of ten idle supervised instances.
func BenchmarkIdleHour(b *testing.B) {
	for way, world := range bothWays() {
		b.Run(way, func(b *testing.B) {
			l := world(b, nil)
			ids := l.supervised(b, 10, nil)
			b.ReportAllocs()
			for b.Loop() {
				for range 6 {
					l.sign(b)
					l.clock.Advance(10 * time.Minute)
				}
			}
			for _, id := range ids {
				if !l.Answers(id) {
					b.Fatalf("%s is gone", id)
				}
			}
		})
	}
}
