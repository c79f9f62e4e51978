package decide

import (
	"strings"

	"github.com/ebbscale/ebb/messages"
)

// Scope names a set of offerings: those that agree in every field that is set.
// The zero Scope holds all.
type Scope struct {
	Market       messages.Market `json:"market,omitempty"`
	InstanceType string          `json:"instance_type,omitempty"`
	// Family is the part of an instance type that stands for its quota.
	Family string `json:"family,omitempty"`
	Zone   string `json:"zone,omitempty"`
	Subnet string `json:"subnet,omitempty"`
}

// Holds says whether an offering is in the set.
func (s Scope) Holds(o messages.Offering) bool {
	return (s.Market == "" || s.Market == o.Market) &&
		(s.InstanceType == "" || s.InstanceType == o.InstanceType) &&
		(s.Family == "" || s.Family == familyOf(o.InstanceType)) &&
		(s.Zone == "" || s.Zone == o.Zone) &&
		(s.Subnet == "" || s.Subnet == o.Subnet)
}

// familyOf is the part of an instance type that stands for its quota. Several
// families may share one: the next of them is then refused once, too.
func familyOf(instanceType string) string {
	family, _, _ := strings.Cut(instanceType, ".")
	return family
}

// scopeOf says what a refusal of an offering is about. The empty scope holds
// everything: the request itself is wrong, whatever the offering.
func scopeOf(offering messages.Offering, class messages.FailureClass) (Scope, bool) {
	exact := Scope{
		Market: offering.Market, InstanceType: offering.InstanceType,
		Zone: offering.Zone, Subnet: offering.Subnet,
	}
	switch class {
	case messages.ClassNoCapacity, messages.ClassUnsupported:
		return exact, true
	case messages.ClassNoAddresses:
		return Scope{Zone: offering.Zone, Subnet: offering.Subnet}, true
	case messages.ClassQuota:
		return Scope{Market: offering.Market, Family: familyOf(offering.InstanceType)}, true
	case messages.ClassMarketClosed:
		return Scope{Market: offering.Market}, true
	case messages.ClassUnauthorized, messages.ClassInvalid, messages.ClassNotFound:
		return Scope{}, true
	case messages.ClassThrottled, messages.ClassTokenMismatch, messages.ClassTokenSpent,
		messages.ClassProtected, messages.ClassHeld, messages.ClassFenced, messages.ClassTransient, messages.ClassUnknown:
		return Scope{}, false
	}
	return Scope{}, false
}

// Stops says whether a refusal of this class does not pass by itself: a person
// has to change something. It is tried again all the same, once in an hour with
// one instance, because that person will not tell us.
func Stops(class messages.FailureClass) bool {
	return class == messages.ClassUnauthorized || class == messages.ClassInvalid
}
