package actors

import (
	"maps"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/messages"
)

const (
	// A stray is believed in when it is older than strayAge and two complete
	// listings, strayTwice apart, have shown it.
	strayAge   = time.Minute
	strayTwice = 30 * time.Second
)

// fleet is what the last complete listing of EC2 showed.
type fleet struct {
	known     bool
	instances map[messages.InstanceID]listedInstance
	alive     map[messages.ResourceName]int
	// strays are instances of resource types that are not configured, with when
	// they were first seen; told are those that were recorded.
	strays map[messages.InstanceID]time.Time
	told   map[messages.InstanceID]bool
	// gone are instances that a listing of this life showed as terminated, and
	// when: EC2 forgets them after an hour, what is written of them may come later.
	gone map[messages.InstanceID]time.Time
}

// listedInstance is what is kept of an instance; there may be ten thousand.
type listedInstance struct {
	home  messages.QueueName
	alive bool
}

func newFleet() fleet {
	return fleet{
		strays: make(map[messages.InstanceID]time.Time), told: make(map[messages.InstanceID]bool),
		gone: make(map[messages.InstanceID]time.Time),
	}
}

// take makes a listing the last one.
func (f *fleet) take(listing messages.FleetObserved) {
	f.known = true
	f.instances = make(map[messages.InstanceID]listedInstance, len(listing.Instances))
	f.alive = make(map[messages.ResourceName]int)
	for _, found := range listing.Instances {
		f.instances[found.ID] = listedInstance{home: found.Home, alive: !found.State.Ending()}
		if !found.State.Ending() {
			f.alive[found.Resource]++
		}
		if found.State == messages.StateTerminated {
			f.gone[found.ID] = listing.At
		}
	}
	maps.DeleteFunc(f.gone, func(_ messages.InstanceID, at time.Time) bool { return listing.At.Sub(at).Abs() > staleKey })
	maps.DeleteFunc(f.strays, func(id messages.InstanceID, _ time.Time) bool { return !f.shows(id) })
	maps.DeleteFunc(f.told, func(id messages.InstanceID, _ bool) bool { return !f.shows(id) })
}

func (f *fleet) shows(id messages.InstanceID) bool {
	_, there := f.instances[id]
	return there
}

// total is how many instances are alive.
func (f *fleet) total() int {
	total := 0
	for _, n := range f.alive {
		total += n
	}
	return total
}

// homes are the queues on which supervisors of living instances listen.
func (f *fleet) homes() map[messages.QueueName]bool {
	homes := make(map[messages.QueueName]bool)
	for _, found := range f.instances {
		if found.home != "" && found.alive {
			homes[found.home] = true
		}
	}
	return homes
}

// fleetObserved gives each resource type its part of a listing. Instances of a
// type that is not configured get one that only retires them, once it is certain
// that they are there to stay.
func (a *autoscaler) fleetObserved(ctx actor.Context, m messages.FleetObserved) {
	a.fleet.take(m)
	parts := make(map[messages.ResourceName][]messages.Instance)
	for _, found := range m.Instances {
		parts[found.Resource] = append(parts[found.Resource], found)
		if !found.State.Ending() && a.unconfigured(found.Resource) {
			a.stray(ctx, m.At, found)
		}
	}
	for _, name := range a.resourceNames() {
		ctx.Send(a.resources[name], messages.FleetListed{At: m.At, Instances: parts[name]})
	}
	ctx.Send(a.rescuer, messages.InstancesObserved(m))
	a.watchHomes(ctx)
}

func (a *autoscaler) unconfigured(name messages.ResourceName) bool {
	for _, resource := range a.cfg.Resources {
		if resource.Name == name {
			return false
		}
	}
	return true
}

// stray takes note of an instance whose resource type is not configured.
func (a *autoscaler) stray(ctx actor.Context, listedAt time.Time, found messages.Instance) {
	first, seen := a.fleet.strays[found.ID]
	if !seen {
		a.fleet.strays[found.ID] = listedAt
		ctx.Send(a.inventory, messages.HurryListing{For: 2 * strayTwice})
		return
	}
	if a.fleet.told[found.ID] || listedAt.Sub(first) < strayTwice || listedAt.Sub(found.LaunchedAt) < strayAge {
		return
	}
	a.fleet.told[found.ID] = true
	a.record(ctx, messages.InstanceStray{Instance: found.ID, Resource: found.Resource, State: found.State})
	if a.resources[found.Resource] == nil {
		a.retired = append(a.retired, found.Resource)
		a.hire(ctx, retirement(found.Resource, a.cfg))
	}
}

// retirement is a resource type that launches nothing and lets each instance
// go as soon as it has nothing to do.
func retirement(name messages.ResourceName, cfg Config) Resource {
	retire := Resource{Name: name, MaxSpinUp: 30 * time.Minute}
	for _, resource := range cfg.Resources {
		retire.MaxSpinUp = max(retire.MaxSpinUp, resource.MaxSpinUp)
	}
	return retire
}

// judgeSuspect says whether an instance that looks dead may be ended. One that
// was allowed stays so.
func (a *autoscaler) judgeSuspect(ctx actor.Context, m messages.SuspectInstance) {
	alive := a.fleet.total()
	guard, allowed, alarmed := a.guard.Judge(a.env.clock.Now(), alive, m.Instance)
	a.guard = guard
	if alarmed {
		a.env.log.Error().Int("suspects", guard.Suspects()).Int("alive", alive).
			Msg("many instances look dead at once; only a few of them are ended at a time, in case it is we who do not see")
		a.record(ctx, messages.FleetGuarded{Suspects: guard.Suspects(), Alive: alive, Allowed: guard.Allowed(alive)})
	}
	ctx.Send(a.resources[m.Resource], messages.SuspectJudged{Instance: m.Instance, Allowed: allowed})
}
