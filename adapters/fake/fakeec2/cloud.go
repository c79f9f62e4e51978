package fakeec2

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Cloud is one account in one region. Its methods may be called from any
// goroutine. The zero value is not usable: take [New].
type Cloud struct {
	clock  Clock
	log    zerolog.Logger
	cat    Catalog
	timing Timing
	keys   []string
	fail   LaunchFailure

	mu        sync.Mutex
	rng       *rand.Rand
	denied    []string
	owner     Tag // what launches must carry and instances have to be ended; zero for none
	throttle  bool
	buckets   map[bucketKey]*bucket
	faults    []Fault
	instances []*instance // in launch order
	byID      map[string]*instance
	tokens    map[tokenKey]*tokenRecord
	spots     []*spotRequest // in launch order
	resources map[string]*resource
	pools     map[Offering]*pool
	quotas    map[quotaKey]*quota
	addresses map[string]int // free addresses by subnet
	nextIP    map[string]int // by subnet
	ledger    Ledger
	calls     map[string]*CallCount
	watchers  []func(Transition)
	outbox    []Transition
	sending   bool
	closed    bool
}

// instance is the record behind an Instance. All of it is guarded by the lock
// of the cloud.
type instance struct {
	Instance      // with the state as it is, not as it is shown
	seq       int // launch order, from 1
	typ       InstanceType
	visible   time.Time
	history   []stateAt
	rng       *rand.Rand // its own draws, so that no other instance disturbs them
	stop      func() bool
	console   []consoleText
	notice    Notice
	checksOK  time.Time // when the status checks pass
	impaired  bool
	endedAt   time.Time // when it became terminated
	failed    bool      // drawn to fail between pending and running
	spot      *spotRequest
	holdsSlot bool // counts in its pool and quota
	holdsIP   bool
}

// stateAt is a state together with when Describe begins to show it.
type stateAt struct {
	state      State
	reason     Reason
	transition string
	shown      time.Time
}

// resource is something that can carry tags.
type resource struct {
	id, kind string
	tags     []Tag // sorted by key
}

// New makes a region. It reports what is missing or contradictory in cfg.
func New(cfg Config) (*Cloud, error) {
	if cfg.Clock == nil || cfg.Rand == nil {
		return nil, fmt.Errorf("make fake EC2 region: Config.Clock and Config.Rand are required")
	}
	if cfg.Catalog.Region == "" {
		cfg.Catalog = DefaultCatalog()
	}
	for _, s := range cfg.Catalog.Subnets {
		if !slices.Contains(cfg.Catalog.Zones, s.Zone) {
			return nil, fmt.Errorf("make fake EC2 region: subnet %s lies in zone %q, which Catalog.Zones does not list", s.ID, s.Zone)
		}
	}
	if cfg.Timing.TerminatedKept == 0 {
		cfg.Timing.TerminatedKept = time.Hour
	}
	if cfg.Timing.TokenKept == 0 {
		cfg.Timing.TokenKept = 24 * time.Hour
	}
	if cfg.Timing.SpotNotice == 0 {
		cfg.Timing.SpotNotice = 2 * time.Minute
	}
	c := &Cloud{
		clock: cfg.Clock, log: cfg.Log, cat: cfg.Catalog, timing: cfg.Timing,
		keys: slices.Clone(cfg.AccessKeys), fail: cfg.LaunchFailure, rng: cfg.Rand,
		denied: slices.Clone(cfg.Denied), owner: cfg.OnlyTagged, throttle: cfg.Throttle,
		buckets: map[bucketKey]*bucket{}, byID: map[string]*instance{},
		tokens: map[tokenKey]*tokenRecord{}, resources: map[string]*resource{},
		pools: map[Offering]*pool{}, quotas: map[quotaKey]*quota{},
		addresses: map[string]int{}, nextIP: map[string]int{}, calls: map[string]*CallCount{},
	}
	for _, s := range cfg.Catalog.Subnets {
		c.addresses[s.ID] = s.Addresses
	}
	for _, l := range cfg.Limits {
		c.buckets[bucketKey{l.Action, l.Broad, l.Resources}] = &bucket{limit: l, tokens: l.Max, at: cfg.Clock.Now()}
	}
	return c, nil
}

// Catalog is what the region offers.
func (c *Cloud) Catalog() Catalog { return c.cat }

// Close stops everything that the region still has on its clock. Instances stay
// in the state they are in.
func (c *Cloud) Close() {
	c.mu.Lock()
	defer c.unlock()
	c.closed = true
	for _, i := range c.instances {
		i.disarm()
	}
}

// Watch has f called with every transition, in order, after the call that
// caused it let go of the region; f may call back into it.
func (c *Cloud) Watch(f func(Transition)) {
	c.mu.Lock()
	defer c.unlock()
	c.watchers = append(c.watchers, f)
}

// SetDenied replaces the list of actions that are answered with
// UnauthorizedOperation. Denying CreateTags also refuses launches with tags,
// PassRole those with an instance profile, GetParameters those of an image that
// a parameter names, and CreateServiceLinkedRole those on the spot market.
func (c *Cloud) SetDenied(actions ...string) {
	c.mu.Lock()
	defer c.unlock()
	c.denied = slices.Clone(actions)
}

func (c *Cloud) now() time.Time { return c.clock.Now() }

// unlock lets go of the region and hands the transitions that happened to the
// watchers, from one goroutine at a time so that they stay in order.
func (c *Cloud) unlock() {
	if c.sending {
		c.mu.Unlock()
		return
	}
	c.sending = true
	for len(c.outbox) > 0 {
		batch, watchers := c.outbox, slices.Clone(c.watchers)
		c.outbox = nil
		c.mu.Unlock()
		for _, t := range batch {
			for _, watch := range watchers {
				watch(t)
			}
		}
		c.mu.Lock()
	}
	c.sending = false
	c.mu.Unlock()
}

// call says what the gates in front of an action need to know.
type call struct {
	action string
	page   int  // 1-based page of a listing
	broad  bool // a listing with neither filter nor page size
	dryRun bool
}

// CallCount is how often an action was called and how many of the calls failed.
type CallCount struct {
	Action string `json:"action"`
	Calls  int    `json:"calls"`
	Errors int    `json:"errors"`
}

// serve runs one API call under the lock: faults, throttling and permissions
// first, then f, then the faults that strike after the effect.
func serve[T any](c *Cloud, in call, f func(Fault) (T, error)) (T, error) {
	c.mu.Lock()
	defer c.unlock()
	count, ok := c.calls[in.action]
	if !ok {
		count = &CallCount{Action: in.action}
		c.calls[in.action] = count
	}
	count.Calls++
	out, err := gated(c, in, f)
	if err != nil {
		count.Errors++
		c.log.Debug().Str("action", in.action).Err(err).Msg("call refused")
	}
	return out, err
}

func gated[T any](c *Cloud, in call, f func(Fault) (T, error)) (T, error) {
	var none T
	fault := c.takeFault(in.action, in.page, false)
	if err := fault.before(); err != nil {
		return none, err
	}
	if c.throttled(in.action, in.broad, false, 1) {
		return none, errThrottled()
	}
	if slices.Contains(c.denied, in.action) {
		return none, c.cat.errDenied("ec2:"+in.action, c.cat.deniedOn(in.action))
	}
	if in.dryRun {
		return none, errDryRun()
	}
	out, err := f(fault)
	if err != nil {
		return none, err
	}
	if err := fault.after(); err != nil {
		return none, err
	}
	return out, nil
}

// Calls lists the actions that were called, by name.
func (c *Cloud) Calls() []CallCount {
	c.mu.Lock()
	defer c.unlock()
	list := make([]CallCount, 0, len(c.calls))
	for _, n := range c.calls {
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b CallCount) int { return compareText(a.Action, b.Action) })
	return list
}

// id draws a resource id such as i-0123456789abcdef0.
func (c *Cloud) id(prefix string) string { return fmt.Sprintf("%s-0%016x", prefix, c.rng.Uint64()) }
