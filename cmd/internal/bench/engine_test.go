package bench_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
)

// The size that the figures are for.
const (
	manyQueues    = 1000
	manyResources = 100
	manyInstances = 10_000
	// pollEvery is ebb's default.
	pollEvery = 15 * time.Second
)

// ports are what an engine talks to; those not set are the world's.
type ports struct {
	clearml   actors.ClearML
	ec2       actors.EC2
	ledger    actors.Ledger
	publisher actors.Publisher
}

// engine is a running node in a world.
type engine struct {
	clock *manual
	world *world
	node  *actors.Node
}

// newWorld has no machines yet.
func newWorld(queues int) *world {
	clock := &manual{work: newWork(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w := &world{clock: clock, waiting: map[messages.QueueName]int{}}
	for q := range queues {
		w.queues = append(w.queues, messages.QueueName(fmt.Sprintf("queue-%04d", q)))
	}
	return w
}

func resourceName(r int) messages.ResourceName {
	return messages.ResourceName(fmt.Sprintf("gpu-%03d", r))
}

// fill adds instances to a world, the same number to each resource type, of
// which the given part in a hundred is busy.
func fill(w *world, instances, busyPercent int) {
	each := instances / manyResources
	busy := each * busyPercent / 100
	for r := range manyResources {
		w.add(resourceName(r), busy, true)
		w.add(resourceName(r), each-busy, false)
	}
}

// start runs an engine with the given resource types until it knows its world.
// Each queue may use three types, its own and those of its neighbors, so that
// all hang together.
func start(b *testing.B, w *world, resources, maxInstances int, p ports) *engine {
	b.Helper()
	store := &memory{records: map[messages.RequestID]messages.LaunchRecord{}}
	config := actors.Config{
		Name: "prod", Version: "bench", WorkersPrefix: prefix, PollingInterval: pollEvery,
		ClearML: w, EC2: w, Ledger: store, Publisher: store, Seed: 1, Text: eventtext.Line,
		Ownership: store, State: store,
		// Nobody else wants the lease, and its renewals are not what is measured.
		Lease: messages.LeaseTiming{TTL: 1000 * time.Hour, Renew: 500 * time.Hour, Margin: time.Hour},
	}
	if p.clearml != nil {
		config.ClearML = p.clearml
	}
	if p.ec2 != nil {
		config.EC2 = p.ec2
	}
	if p.ledger != nil {
		config.Ledger, config.Publisher = p.ledger, p.publisher
	}
	for r := range resources {
		config.Resources = append(config.Resources, actors.Resource{
			Name: resourceName(r), Max: maxInstances, Offerings: []messages.Offering{offering()},
			MaxIdle: 1000 * time.Hour, MaxSpinUp: 30 * time.Minute,
		})
	}
	for q, name := range w.queues {
		policy := decide.QueuePolicy{Name: name}
		for n := range min(3, resources) {
			policy.Resources = append(policy.Resources, resourceName((q+n)%resources))
		}
		config.Queues = append(config.Queues, policy)
	}
	w.stage()
	e := &engine{clock: w.clock, world: w}
	e.node = actors.StartNode(actors.Seams{
		Clock: w.clock, Runner: w.clock.work, Dispatcher: w.clock.work,
		Log: zerolog.New(io.Discard).Level(zerolog.InfoLevel), // lines are made as in production
	}, []actors.Config{config})
	for range 4 { // a listing shows the instances, the poll after it their workers
		e.tick()
	}
	w.reset()
	return e
}

// close ends the engine and waits until it has ended.
func (e *engine) close() {
	e.node.Close()
	e.clock.work.wait()
}

// tick makes the answers of the next poll and lets it happen, with all that
// follows from it.
func (e *engine) tick() {
	e.world.stage()
	e.clock.advance(pollEvery)
}
