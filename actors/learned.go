package actors

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

// blockBoots is told in place of a failure class while boots fail.
const blockBoots messages.FailureClass = "boot_failures"

// learned is what a resource type knows from experience: what EC2 refuses, how
// long boots take, and what does not boot. It is kept over a restart as advice:
// without it launches are asked for that are refused once more.
type learned struct {
	Memory  decide.Memory  `json:"memory"`
	Boots   decide.Boots   `json:"boots"`
	Breaker decide.Breaker `json:"breaker"`
	// Image is the one that is configured, Imaged since when in place of another:
	// what was launched before says nothing of it.
	Image  string    `json:"image,omitempty"`
	Imaged time.Time `json:"imaged,omitzero"`
	// Dismissed are the instances that an operator wants gone, and Gone those whose
	// end was told: a later life is to hold to the one and not to repeat the other.
	Dismissed map[messages.InstanceID]dismissal `json:"dismissed,omitempty"`
	Gone      []goneInstance                    `json:"gone,omitempty"`

	// heard says that it was read or could not be: what is kept comes later then.
	heard  bool
	stored *stored
}

func (r *resource) load(ctx actor.Context) {
	r.learned = learned{stored: &stored{
		state: r.state, at: messages.StateKey{Autoscaler: r.env.name, Key: "resource/" + string(r.spec.Name)},
		what: "what was learned of " + string(r.spec.Name), cost: "a restart now would forget refusals, boot times and what operators let go",
		value: func() any { return r.learned },
	}}
	r.learned.stored.load(r.env, ctx)
}

func (r *resource) loaded(ctx actor.Context, m stateRead) {
	take := func(value []byte) error {
		var kept learned
		err := json.Unmarshal(value, &kept)
		if err == nil {
			r.learned = kept.with(r.learned)
		}
		return err
	}
	if r.learned.stored.loaded(r.env, ctx, m, take) {
		// What a person had to change may have been changed: a start or a new
		// configuration is how we are told.
		r.learned.Memory.Blocks = slices.DeleteFunc(r.learned.Memory.Blocks, func(b decide.Block) bool { return decide.Stops(b.Class) })
		r.noteImage(ctx)
	}
	if m.of == r.learned.stored {
		r.learned.heard = true
		ctx.Send(ctx.Parent(), messages.CapacityChanged{Resource: r.spec.Name})
	}
}

// noteImage notes that another image is configured than in earlier lives.
func (r *resource) noteImage(ctx actor.Context) {
	before := r.learned.Image
	if before == r.spec.Image || r.spec.Image == "" { // a type that is not configured any more has none
		return
	}
	r.learned.Image = r.spec.Image
	if before != "" {
		r.learned.Imaged = r.born
	}
	r.save(ctx)
}

// outdated says whether a member was launched with another image than the one that is
// configured.
func (r *resource) outdated(m *member) bool { return m.instance.LaunchedAt.Before(r.learned.Imaged) }

// with is what was kept and what this life has heard of operators and told since.
func (l learned) with(since learned) learned {
	if l.Dismissed == nil {
		l.Dismissed = make(map[messages.InstanceID]dismissal)
	}
	maps.Copy(l.Dismissed, since.Dismissed)
	l.Gone = append(l.Gone, since.Gone...)
	l.stored = since.stored
	return l
}

// save keeps what was learned.
func (r *resource) save(ctx actor.Context) { r.learned.stored.save(r.env, ctx) }

func (r *resource) saved(ctx actor.Context, m stateSaved) {
	if !r.learned.stored.saved(r.env, ctx, m) {
		return
	}
	for _, ask := range r.unkept {
		ctx.Send(ctx.Parent(), messages.ReleaseKept{Ask: ask, Resource: r.spec.Name})
	}
	r.unkept = nil
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
	r.refusals[failure.Class] = wordsOf(failure)
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

// wordsOf is what EC2 said, without the long message behind it that sts would have to
// decode.
func wordsOf(failure messages.Failure) string {
	const most = 300
	text, _, _ := strings.Cut(failure.Message, " Encoded authorization failure message")
	if failure.Code != "" {
		text = failure.Code + ": " + text
	}
	if letters := []rune(text); len(letters) > most {
		text = string(letters[:most-1]) + "…"
	}
	return text
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
	if r.outdated(m) {
		r.save(ctx)
		return
	}
	r.learned.Breaker = r.learned.Breaker.Booted(r.env.clock.Now(), kind, r.spec.Image)
	r.save(ctx)
	if held {
		r.record(ctx, messages.ResourceReleased{Resource: r.spec.Name, InstanceType: kind})
	}
}

// unbooted takes note of an instance that never had a worker.
func (r *resource) unbooted(ctx actor.Context, m *member, detail string) {
	if r.outdated(m) {
		r.save(ctx)
		return
	}
	kind, now := m.instance.Offering.InstanceType, r.env.clock.Now()
	held := r.learned.Breaker.Open(kind, r.spec.Image)
	r.learned.Breaker = r.learned.Breaker.Failed(now, kind, r.spec.Image)
	r.save(ctx)
	if held || !r.learned.Breaker.Open(kind, r.spec.Image) {
		return
	}
	_, until := r.learned.Breaker.Allows(now, kind, r.spec.Image)
	r.record(ctx, messages.ResourceHeld{
		Resource: r.spec.Name, InstanceType: kind, Until: until, Reasons: []messages.Reason{{
			Code: messages.ReasonBootFailures, Subject: kind, Detail: detail,
		}},
	})
}

// gaveUp says whether an instance that never had a worker ended by itself while it
// booted: its set-up powers it off, or EC2 cannot start it. One that EC2 took back, or
// that somebody ended, might have booted; and of one that was there before we looked
// nobody knows whether it had a worker.
func (m *member) gaveUp(ended messages.Instance) bool {
	watched := m.polled || m.instance.State == messages.StatePending
	return watched && ended.State.Ending() && !m.draining &&
		!strings.Contains(ended.StateReason, "Spot") && !strings.Contains(ended.StateReason, "User")
}

// bootWithin is how long a boot may take.
func (r *resource) bootWithin() time.Duration { return r.learned.Boots.Deadline(r.spec.MaxSpinUp) }
