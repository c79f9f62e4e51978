package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/fake"
	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
)

// region is the world that the demo autoscales: a ClearML server and an EC2
// region on loopback, with agents on the instances.
type region struct {
	clock   clock.Clock
	clearml *fakeclearml.Server
	cloud   *fakeec2.Cloud
	world   *fake.World

	clearmlURL string
	ec2URL     string
	end        context.CancelFunc
	servers    sync.WaitGroup
}

// newRegion starts the servers on free ports of 127.0.0.1. poll is how often
// agents look at their queues.
func newRegion(ctx context.Context, now clock.Clock, seed uint64, poll time.Duration, log zerolog.Logger) (*region, error) {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	r := &region{clock: now, end: end}
	ml, err := fakeclearml.New(fakeclearml.Config{Clock: now, Seed: seed, Keys: map[string]string{accessKey: secretKey}})
	if err != nil {
		end()
		return nil, fmt.Errorf("make the fake ClearML server: %w", err)
	}
	r.clearml = ml
	r.cloud, err = fakeec2.New(fakeec2.Config{
		Clock: now, Rand: rand.New(rand.NewPCG(seed, 1)), Log: log,
		Timing: fakeec2.DefaultTiming(), Throttle: true, AccessKeys: []string{awsKey},
	})
	if err != nil {
		end()
		return nil, fmt.Errorf("make the fake EC2: %w", err)
	}
	agents := fakeagent.DefaultTiming()
	agents.Poll = max(agents.Poll, poll)
	agents.FirstReport = max(agents.FirstReport, poll)
	agents.Report = max(agents.Report, poll)
	agents.Look = max(agents.Look, poll)
	r.world, err = fake.NewWorld(ctx, fake.WorldConfig{Clock: now, EC2: r.cloud, Seed: seed, Agent: agents, Log: log})
	if err != nil {
		end()
		return nil, err
	}
	if err := r.listen(ctx, log); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *region) listen(ctx context.Context, log zerolog.Logger) error {
	var config net.ListenConfig
	ml, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the fake ClearML server: %w", err)
	}
	ec2, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the fake EC2: %w", err)
	}
	r.clearmlURL, r.ec2URL = "http://"+ml.Addr().String(), "http://"+ec2.Addr().String()
	r.servers.Go(func() {
		if err := fake.Serve(ctx, ml, r.clearml.Handler()); err != nil {
			log.Error().Err(err).Msg("the fake ClearML server ended")
		}
	})
	r.servers.Go(func() {
		if err := fake.Serve(ctx, ec2, r.cloud.Handler()); err != nil {
			log.Error().Err(err).Msg("the fake EC2 ended")
		}
	})
	return nil
}

// enqueue puts a job into its queue, as a user would.
func (r *region) enqueue(j job) error {
	if _, err := r.clearml.AddDemoTasks(fakeclearml.DemoTasks{
		Queue: j.queue, Count: 1, Name: j.name, RunSeconds: j.runs.Seconds(),
	}); err != nil {
		return fmt.Errorf("enqueue %s: %w", j.name, err)
	}
	return nil
}

// alive counts the instances that are pending or running.
func (r *region) alive() int {
	alive := 0
	for _, instance := range r.cloud.Instances() {
		if instance.State.Alive() {
			alive++
		}
	}
	return alive
}

// completed counts the tasks that have run to their end.
func (r *region) completed() int {
	done := 0
	for _, id := range r.clearml.TaskIDs() {
		if r.clearml.TaskStatus(id) == fakeclearml.StatusCompleted {
			done++
		}
	}
	return done
}

func (r *region) close() {
	r.world.Close()
	r.end()
	r.servers.Wait()
}
