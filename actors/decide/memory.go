package decide

import (
	"strings"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// The waits after a refusal: doubled at each further one, forgotten after a
// success.
const (
	capacityWait    = 2 * time.Minute
	capacityWaitMax = 30 * time.Minute
	// unsupportedWait is for what does not change by itself.
	unsupportedWait = time.Hour
)

// Memory remembers what EC2 refused, each refusal at the scope that it speaks
// of. The zero value remembers nothing.
type Memory struct {
	blocks []block
}

type block struct {
	scope scope
	class messages.FailureClass
	until time.Time
	times int
}

// scope names a set of offerings: those that agree in every field that is set.
type scope struct {
	market       messages.Market
	instanceType string
	family       string
	zone         string
	subnet       string
}

func (s scope) holds(o messages.Offering) bool {
	return (s.market == "" || s.market == o.Market) &&
		(s.instanceType == "" || s.instanceType == o.InstanceType) &&
		(s.family == "" || s.family == familyOf(o.InstanceType)) &&
		(s.zone == "" || s.zone == o.Zone) &&
		(s.subnet == "" || s.subnet == o.Subnet)
}

// familyOf is the part of an instance type that stands for its quota. Several
// families may share one: the next of them is then refused once, too.
func familyOf(instanceType string) string {
	family, _, _ := strings.Cut(instanceType, ".")
	return family
}

// scopeOf says what a refusal of an offering is about. The empty scope holds
// everything: the request itself is wrong, whatever the offering.
func scopeOf(offering messages.Offering, class messages.FailureClass) (scope, bool) {
	exact := scope{
		market: offering.Market, instanceType: offering.InstanceType,
		zone: offering.Zone, subnet: offering.Subnet,
	}
	switch class {
	case messages.ClassNoCapacity, messages.ClassUnsupported:
		return exact, true
	case messages.ClassNoAddresses:
		return scope{zone: offering.Zone, subnet: offering.Subnet}, true
	case messages.ClassQuota:
		return scope{market: offering.Market, family: familyOf(offering.InstanceType)}, true
	case messages.ClassMarketClosed:
		return scope{market: offering.Market}, true
	case messages.ClassUnauthorized, messages.ClassInvalid, messages.ClassNotFound:
		return scope{}, true
	case messages.ClassThrottled, messages.ClassTokenMismatch, messages.ClassTokenSpent,
		messages.ClassProtected, messages.ClassHeld, messages.ClassFenced, messages.ClassTransient, messages.ClassUnknown:
		return scope{}, false
	}
	return scope{}, false
}

// Refused returns the memory after a refusal, and when what it speaks of may
// be asked again; zero when the class of failure blocks nothing.
func (m Memory) Refused(now time.Time, offering messages.Offering, class messages.FailureClass) (Memory, time.Time) {
	where, blocks := scopeOf(offering, class)
	if !blocks {
		return m, time.Time{}
	}
	times := 1
	next := Memory{blocks: make([]block, 0, len(m.blocks)+1)}
	for _, old := range m.blocks {
		if old.scope == where {
			times = old.times
			if !now.Before(old.until) { // refused again after the wait
				times++
			}
			continue
		}
		next.blocks = append(next.blocks, old)
	}
	wait := min(capacityWaitMax, capacityWait<<min(times-1, 10))
	if class == messages.ClassUnsupported {
		wait = unsupportedWait
	}
	until := now.Add(wait)
	next.blocks = append(next.blocks, block{scope: where, class: class, until: until, times: times})
	return next, until
}

// Granted returns the memory after EC2 gave instances of an offering: every
// refusal that holds this offering is forgotten.
func (m Memory) Granted(offering messages.Offering) Memory {
	next := Memory{blocks: make([]block, 0, len(m.blocks))}
	for _, old := range m.blocks {
		if !old.scope.holds(offering) {
			next.blocks = append(next.blocks, old)
		}
	}
	return next
}

// Choose returns the first of the offerings that may be asked at now. When
// none may, ok is false, and until says when the first may be asked again, and
// class why it may not now.
func (m Memory) Choose(
	now time.Time, offerings []messages.Offering,
) (chosen messages.Offering, until time.Time, class messages.FailureClass, ok bool) {
	for _, offering := range offerings {
		blocked, why := m.blockedUntil(now, offering)
		if blocked.IsZero() {
			return offering, time.Time{}, "", true
		}
		if until.IsZero() || blocked.Before(until) {
			until, class = blocked, why
		}
	}
	return messages.Offering{}, until, class, false
}

// blockedUntil is zero for an offering that may be asked.
func (m Memory) blockedUntil(now time.Time, offering messages.Offering) (time.Time, messages.FailureClass) {
	var until time.Time
	var class messages.FailureClass
	for _, b := range m.blocks {
		if b.scope.holds(offering) && now.Before(b.until) && b.until.After(until) {
			until, class = b.until, b.class
		}
	}
	return until, class
}
