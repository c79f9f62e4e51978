// Package demo is `ebb demo`: a scripted day of jobs on a fake ClearML server
// and a fake EC2 region, both real servers on loopback, with the production
// program in between and the clock running fast.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/cmd/internal/app"
)

const (
	day          = 24 * time.Hour
	defaultSpeed = 240
	// windDown is the share of the time that is kept for the last instances to
	// go and the program to stop.
	windDown = 0.9
	// heartbeat is how often the demo looks whether it is done, in real time.
	heartbeat = 100 * time.Millisecond
	// pace is the least real time between two polls, and between two looks of an
	// agent, so that a fast clock does not become a load test.
	pace = 60 * time.Millisecond
	// answerTime is how long the fake ClearML server may take to answer.
	answerTime = time.Second
)

// Options is what a user may ask of the demo.
type Options struct {
	// For is how long the demo may take; zero plays the whole day at Speed.
	For time.Duration
	// Speed is how many times faster than life; zero for the default. What of
	// the day does not fit into For is not played.
	Speed float64
	// Headless prints lines even on a terminal.
	Headless bool
	Seed     uint64
	// NATSListen is the loopback host:port of the event server; empty for any
	// free port, so that demos do not meet.
	NATSListen string
	// Out gets what the user sees, Log what the program logs.
	Out io.Writer
	Log zerolog.Logger
	// Version is the program's.
	Version string
}

// plan is an Options with everything decided.
type plan struct {
	Options
	length time.Duration // of the day that is played
	poll   time.Duration // between two polls, and two looks of an agent
}

func (o Options) plan() (plan, error) {
	p := plan{Options: o, length: day}
	if o.For < 0 || o.Speed < 0 {
		return plan{}, errors.New("--for and --speed must not be negative")
	}
	if p.Speed == 0 {
		p.Speed = defaultSpeed
	}
	if o.For > 0 {
		p.length = min(day, time.Duration(float64(o.For)*windDown*p.Speed))
	}
	if p.length < 20*time.Minute {
		return plan{}, fmt.Errorf("--for %s at --speed %g plays %s of a day, too little to start and end an instance: take more of either",
			o.For, p.Speed, p.length.Round(time.Second))
	}
	p.poll = max(15*time.Second, time.Duration(p.Speed*float64(pace))).Round(time.Second)
	return p, nil
}

// ErrIncomplete says that the demo did not end as it should: not every job
// ran, something is left running, or a law was broken. The summary says what.
var ErrIncomplete = errors.New("the demo did not end as it should")

// Run plays the demo and prints a summary. It returns nil only if no law was
// broken and every job ran and nothing is left running, or whoever watched the live
// view left it.
func Run(ctx context.Context, options Options) error {
	p, err := options.plan()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ebb-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory, and nobody to tell
	if p.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.For)
		defer cancel()
	}
	return p.play(ctx, dir)
}

// play starts the region and the program, lets the day pass, and sums up.
func (p plan) play(ctx context.Context, dir string) error {
	now := clock.Scaled(time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC), p.Speed)
	r, err := newRegion(ctx, now, p.Seed, p.poll, p.Log)
	if err != nil {
		return err
	}
	defer r.close()
	file, err := write(ctx, dir, r, p.poll.String(), p.Log.GetLevel().String())
	if err != nil {
		return err
	}
	if p.NATSListen != "" {
		file.NATS.Listen = p.NATSListen
	}
	file.HTTP.Token = dashboardToken
	process, err := app.Start(ctx, app.Options{
		File: file, Version: p.Version, Log: p.Log, Clock: now,
		AnswerFresh: max(actors.DefaultAnswerFresh, time.Duration(p.Speed*float64(answerTime))), Speed: p.Speed,
	})
	if err != nil {
		return err
	}
	jobs := script(p.length, rand.New(rand.NewPCG(p.Seed, 2)))
	board := newBoard(now, file, len(jobs))
	screen := p.screen(board)
	board.doors = []string{
		fmt.Sprintf("dashboard: %s   (token: %s)", process.Web(), dashboardToken),
		fmt.Sprintf("commands:  ebb status --nats-url %s   (explain, top, drain, pause …)", process.URL()),
		fmt.Sprintf("events:    nats sub -s %s 'ebb.v1.>'", process.URL()),
	}
	fmt.Fprintf(p.Out, "ebb demo: %d jobs of a day of %s, %gx as fast as life\n  %s\n",
		len(jobs), p.length.Round(time.Minute), p.Speed, strings.Join(board.doors, "\n  "))
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan error, 1)
	go func() { watched <- watch(watching, process.Bus(), board, screen) }()
	err = screen.during(ctx, func(ctx context.Context) error { return r.live(ctx, jobs, board) })
	stopErr := process.Stop()
	stopWatching()
	<-watched
	sum := summarize(r, file, jobs, board, err == nil)
	sum.print(p.Out)
	switch {
	case errors.Is(err, context.Canceled) && len(sum.broken()) == 0 && screen.live && stopErr == nil:
		return nil // whoever watched has seen enough
	case err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled):
		return err
	case stopErr != nil:
		return stopErr
	case !sum.good():
		return ErrIncomplete
	}
	return nil
}

// dashboardToken is what the demo's dashboard asks for before it acts.
const dashboardToken = "demo-dashboard-token"

// live enqueues the jobs as the day goes, and returns when all have run, no
// instance is left, and the program has noticed.
func (r *region) live(ctx context.Context, jobs []job, b *board) error {
	start := r.clock.Now()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for next := 0; ; {
		for next < len(jobs) && r.clock.Now().Sub(start) >= jobs[next].at {
			if err := r.enqueue(jobs[next]); err != nil {
				return err
			}
			next++
		}
		if next == len(jobs) && r.completed() == len(jobs) && r.alive() == 0 && b.empty() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
		}
	}
}
