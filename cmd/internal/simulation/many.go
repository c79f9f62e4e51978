package simulation

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Many says which worlds to run.
type Many struct {
	First uint64
	Count int
	// Workers is how many run at the same time.
	Workers int
	Run     RunOptions
}

// Summary adds up what happened in many worlds.
type Summary struct {
	Worlds, Failed                int
	Virtual                       time.Duration
	Tasks, Finished, Aborted      int
	Lost, Requeued, Races         int
	Launched                      int
	Crashes, Kills, Pauses, Stops int
	Handovers                     int
	Calls, Late                   int
	Steps                         uint64
}

// and is the summary with another world in it.
func (s Summary) and(r Report) Summary {
	s.Worlds++
	if len(r.Wrong) > 0 {
		s.Failed++
	}
	s.Virtual += r.Span
	s.Tasks += r.Tasks
	s.Finished += r.Finished
	s.Aborted += r.Aborted
	s.Lost += r.Lost
	s.Requeued += r.Requeued
	s.Races += len(r.Races)
	s.Launched += r.Launched
	s.Crashes += r.Crashes
	s.Kills += r.Kills
	s.Pauses += r.Pauses
	s.Stops += r.Stops
	s.Handovers += r.Handovers
	s.Calls += r.Calls
	s.Late += r.Late
	s.Steps += r.Steps
	return s
}

// String is a few lines for people.
func (s Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "worlds     %d, %d broke a law; %.1f days went by in %d steps\n", s.Worlds, s.Failed, s.Virtual.Hours()/24, s.Steps)
	fmt.Fprintf(&b, "tasks      %d, %d finished, %d aborted by their users\n", s.Tasks, s.Finished, s.Aborted)
	fmt.Fprintf(&b, "lost       %d tasks lost their worker, %d were put back, %d of the losses were races\n", s.Lost, s.Requeued, s.Races)
	fmt.Fprintf(&b, "instances  %d launched\n", s.Launched)
	fmt.Fprintf(&b, "processes  %d actors crashed, %d processes killed, %d paused, %d stopped; %d handovers\n", s.Crashes, s.Kills, s.Pauses, s.Stops, s.Handovers)
	fmt.Fprintf(&b, "calls      %d to ClearML, EC2 and the store, %d of them by a process that had just lost its lease\n", s.Calls, s.Late)
	return b.String()
}

// RunMany runs worlds, several at a time, and shows each report as it is there;
// show is called for one at a time, in no particular order. It ends early with
// ctx, and with the first world that cannot be made.
func RunMany(ctx context.Context, many Many, show func(Report)) (Summary, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	seeds := make(chan uint64)
	reports := make(chan Report)
	var workers sync.WaitGroup
	for range max(1, many.Workers) {
		workers.Go(func() { //nolint:contextcheck // a world has contexts of its own, on its own clock
			for seed := range seeds {
				report, err := RunWith(seed, many.Run)
				if err != nil {
					cancel(fmt.Errorf("seed %d: %w", seed, err))
					continue
				}
				reports <- report
			}
		})
	}
	go func() {
		defer close(reports)
		defer workers.Wait()
		defer close(seeds)
		for n := range many.Count {
			select {
			case seeds <- many.First + uint64(n):
			case <-ctx.Done():
				return
			}
		}
	}()
	var sum Summary
	for report := range reports {
		sum = sum.and(report)
		show(report)
	}
	return sum, context.Cause(ctx)
}
