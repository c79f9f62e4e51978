package demo

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// job is one task of the day.
type job struct {
	at    time.Duration // from the start of the day
	queue string
	name  string
	runs  time.Duration
}

// The share of the length in which jobs arrive; the rest is for the last ones
// to finish and the instances to go.
const arrivals = 0.55

// script writes a day of the given length: people come in and start a burst of
// experiments, work through the day with a lull at noon, and leave long
// trainings behind in the evening. A shorter day has the same shape and fewer
// jobs. Every job is shorter than a twelfth of the day.
func script(length time.Duration, dice *rand.Rand) []job {
	var jobs []job
	add := func(share float64, queue string, shortest, longest time.Duration) {
		longest = min(longest, length/12)
		shortest = min(shortest, longest)
		span := math.Log(float64(longest)) - math.Log(float64(shortest))
		runs := time.Duration(float64(shortest) * math.Exp(dice.Float64()*span))
		jobs = append(jobs, job{
			at: time.Duration(share * arrivals * float64(length)), queue: queue, runs: runs.Round(time.Second),
			name: fmt.Sprintf("%s-%03d", queue, len(jobs)+1),
		})
	}
	scale := min(6, max(1, length.Hours()/2))
	for range int(8 * scale) { // the morning's burst
		add(0.08+0.01*dice.Float64(), queueTraining, 3*time.Minute, 40*time.Minute)
	}
	for range int(14 * scale) { // the day, with a lull in the middle
		at := 0.1 + 0.3*dice.Float64()
		if dice.Float64() < 0.5 {
			at += 0.4
		}
		add(at, queuePreparation, 10*time.Second, 6*time.Minute)
	}
	for range int(6 * scale) {
		add(0.15+0.6*dice.Float64(), queueTraining, time.Minute, 20*time.Minute)
	}
	for range int(4 * scale) { // the evening's trainings
		add(0.93+0.07*dice.Float64(), queueTraining, 20*time.Minute, 2*time.Hour)
	}
	slices.SortStableFunc(jobs, func(a, b job) int { return cmp.Compare(a.at, b.at) })
	return jobs
}
