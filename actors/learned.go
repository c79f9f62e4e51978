package actors

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

const (
	stateTimeout = 10 * time.Second
	// blockBoots is told in place of a failure class while boots fail.
	blockBoots messages.FailureClass = "boot_failures"
)

// learned is what a resource type knows from experience: what EC2 refuses, how
// long boots take, and what does not boot. It is kept over a restart as advice:
// without it launches are asked for that are refused once more.
type learned struct {
	Memory  decide.Memory  `json:"memory"`
	Boots   decide.Boots   `json:"boots"`
	Breaker decide.Breaker `json:"breaker"`
	// Dismissed are the instances that an operator wants gone, and Gone those whose
	// end was told: a later life is to hold to the one and not to repeat the other.
	Dismissed map[messages.InstanceID]dismissal `json:"dismissed,omitempty"`
	Gone      []goneInstance                    `json:"gone,omitempty"`

	ready  bool // loaded, or known not to be to be had
	saving bool
	dirty  bool
}

// learnedLoaded answers a load, learnedSaved a save.
type learnedLoaded struct {
	value []byte
	err   error
}

type learnedSaved struct{ err error }

func (r *resource) stateKey() string { return "resource/" + string(r.spec.Name) }

func (r *resource) load(ctx actor.Context) {
	state, name, key := r.state, r.env.name, r.stateKey()
	r.env.pipe(ctx, stateTimeout, func(io context.Context) any {
		value, err := state.Load(io, name, key)
		return learnedLoaded{value: value, err: err}
	})
}

func (r *resource) loaded(ctx actor.Context, m learnedLoaded) {
	if r.learned.ready {
		return // asked for in an earlier life
	}
	r.learned.ready = true
	if m.err == nil && len(m.value) > 0 {
		m.err = json.Unmarshal(m.value, &r.learned)
	}
	if m.err != nil {
		r.learned = learned{ready: true}
		r.env.log.Warn().Err(m.err).Str("resource", string(r.spec.Name)).
			Msg("what was learned of EC2's refusals and of boots is not readable; it is learned again")
	}
	// What a person had to change may have been changed: a start or a new
	// configuration is how we are told.
	r.learned.Memory.Blocks = slices.DeleteFunc(r.learned.Memory.Blocks, func(b decide.Block) bool { return decide.Stops(b.Class) })
	ctx.Send(ctx.Parent(), messages.CapacityChanged{Resource: r.spec.Name})
}

// save keeps what was learned, one write at a time.
func (r *resource) save(ctx actor.Context) {
	if !r.learned.ready {
		return // what was kept has not come yet, and is not to be lost
	}
	if r.learned.saving {
		r.learned.dirty = true
		return
	}
	value, err := json.Marshal(r.learned)
	if err != nil {
		r.env.log.Error().Err(err).Str("resource", string(r.spec.Name)).Msg("what was learned can not be written")
		return
	}
	r.learned.saving, r.learned.dirty = true, false
	state, name, key := r.state, r.env.name, r.stateKey()
	r.env.pipe(ctx, stateTimeout, func(io context.Context) any { return learnedSaved{err: state.Save(io, name, key, value)} })
}

func (r *resource) saved(ctx actor.Context, m learnedSaved) {
	r.learned.saving = false
	if m.err != nil {
		r.env.log.Warn().Err(m.err).Str("resource", string(r.spec.Name)).Msg("what was learned is not saved; saved with the next change")
		return
	}
	if r.learned.dirty {
		r.save(ctx)
	}
}

// choice is what may be launched next, or why nothing may.
type choice struct {
	decide.Choice
	// most is how many may be launched now over all offerings; zero is no limit.
	most int
}

// choose picks the offering to ask for. Types that do not boot are left out, but
// for one instance now and then.
func (r *resource) choose(now time.Time) choice {
	var offerings []messages.Offering
	var until time.Time
	probes := make(map[string]bool)
	for _, offering := range r.spec.Offerings {
		limit, again := r.learned.Breaker.Allows(now, offering.InstanceType, r.spec.Image)
		if limit == 0 {
			if until.IsZero() || again.Before(until) {
				until = again
			}
			continue
		}
		probes[offering.InstanceType] = limit > 0
		offerings = append(offerings, offering)
	}
	if len(offerings) == 0 {
		return choice{Choice: decide.Choice{Until: until, Class: blockBoots}}
	}
	next := choice{
		Choice: r.learned.Memory.Choose(now, offerings, r.spec.Fallback),
		most:   r.learned.Memory.LaunchLimit(now, offerings, r.spec.Fallback),
	}
	if next.OK && probes[next.Offering.InstanceType] {
		next.Limit, next.most = 1, 1
	}
	return next
}

// asked takes note that what was chosen is asked of EC2.
func (r *resource) asked(now time.Time, next choice) {
	r.learned.Memory = r.learned.Memory.Asked(now, next.Choice)
	r.learned.Breaker = r.learned.Breaker.Asked(now, next.Offering.InstanceType, r.spec.Image)
}

// granted takes note of instances that EC2 gave.
func (r *resource) granted(ctx actor.Context, offering messages.Offering) {
	before := r.heldBy()
	if len(r.learned.Memory.Blocks) == 0 && r.learned.Memory.Drought == (decide.Drought{}) {
		return
	}
	r.learned.Memory = r.learned.Memory.Granted(offering)
	r.save(ctx)
	if before != "" && r.heldBy() == "" {
		r.record(ctx, messages.ResourceReleased{Resource: r.spec.Name})
	}
	ctx.Send(ctx.Parent(), messages.CapacityChanged{Resource: r.spec.Name}) // more may be asked for than a probe
}

// heldBy is what keeps the resource type from launching, or a part of what it
// may launch, and does not pass by itself: a person has to change a permission,
// the configuration or a quota. Empty when nothing does.
func (r *resource) heldBy() messages.FailureClass {
	if _, class, stopped := r.learned.Memory.Stopped(r.env.clock.Now()); stopped {
		return class
	}
	for _, b := range r.learned.Memory.Blocks {
		if b.Class == messages.ClassQuota {
			return b.Class
		}
	}
	return ""
}

// refused takes note of a refusal, and answers when it is asked again.
func (r *resource) refused(ctx actor.Context, offering messages.Offering, failure messages.Failure) time.Time {
	now := r.env.clock.Now()
	before := r.heldBy()
	memory, until := r.learned.Memory.Refused(now, offering, failure.Class, r.rand.Float64())
	r.learned.Memory = memory
	r.learned.Breaker = r.learned.Breaker.Unanswered(offering.InstanceType, r.spec.Image)
	r.save(ctx)
	if after := r.heldBy(); after != "" && after != before {
		r.record(ctx, messages.ResourceHeld{
			Resource: r.spec.Name, Until: until, Reasons: []messages.Reason{{
				Code: messages.ReasonLaunchRefused, Subject: string(failure.Class), Detail: failure.Error(),
			}},
		})
	}
	return until
}

// booted takes note of a worker that appeared.
func (r *resource) booted(ctx actor.Context, m *member, row *messages.WorkerState) {
	kind := m.instance.Offering.InstanceType
	held := r.learned.Breaker.Open(kind, r.spec.Image)
	before := r.bootWithin()
	if took := row.Registered.Sub(m.instance.LaunchedAt); !row.Registered.IsZero() && took > 0 {
		r.learned.Boots = r.learned.Boots.Observed(took)
	}
	if r.bootWithin() != before {
		for _, id := range r.order { // those that boot now are to know
			if other := r.members[id]; other.phase == messages.PhaseBooting && other != m {
				r.sight(ctx, other)
			}
		}
	}
	r.learned.Breaker = r.learned.Breaker.Booted(r.env.clock.Now(), kind, r.spec.Image)
	r.save(ctx)
	if held {
		r.record(ctx, messages.ResourceReleased{Resource: r.spec.Name, InstanceType: kind})
	}
}

// unbooted takes note of an instance that never had a worker.
func (r *resource) unbooted(ctx actor.Context, m *member) {
	kind, now := m.instance.Offering.InstanceType, r.env.clock.Now()
	held := r.learned.Breaker.Open(kind, r.spec.Image)
	r.learned.Boots = r.learned.Boots.Late()
	r.learned.Breaker = r.learned.Breaker.Failed(now, kind, r.spec.Image)
	r.save(ctx)
	if held || !r.learned.Breaker.Open(kind, r.spec.Image) {
		return
	}
	_, until := r.learned.Breaker.Allows(now, kind, r.spec.Image)
	r.record(ctx, messages.ResourceHeld{
		Resource: r.spec.Name, InstanceType: kind, Until: until, Reasons: []messages.Reason{{
			Code: messages.ReasonBootFailures, Subject: kind,
			Detail: "no worker appeared on the last instances; see their console output in instance.unready",
		}},
	})
}

// bootWithin is how long a boot may take.
func (r *resource) bootWithin() time.Duration { return r.learned.Boots.Deadline(r.spec.MaxSpinUp) }
