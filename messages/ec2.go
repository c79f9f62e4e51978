package messages

import (
	"errors"
	"fmt"
	"time"
)

// Market is how an instance is bought.
type Market string

// The markets.
const (
	OnDemand Market = "on_demand"
	Spot     Market = "spot"
)

// Offering is what can be out of capacity: a market, an instance type and a
// place. Zone or Subnet may be empty; both empty lets EC2 choose.
type Offering struct {
	Market       Market `json:"market"`
	InstanceType string `json:"instance_type"`
	Zone         string `json:"zone,omitempty"`
	Subnet       string `json:"subnet,omitempty"`
}

// String is the offering for people: "spot g5.xlarge in us-east-1a".
func (o Offering) String() string {
	place := o.Zone
	switch {
	case place != "" && o.Subnet != "":
		place += "/" + o.Subnet
	case place == "":
		place = o.Subnet
	}
	if place == "" {
		place = "any zone"
	}
	return fmt.Sprintf("%s %s in %s", o.Market, o.InstanceType, place)
}

// InstanceState is EC2's own state of an instance.
type InstanceState string

// EC2's instance states, by EC2's names.
const (
	StatePending      InstanceState = "pending"
	StateRunning      InstanceState = "running"
	StateShuttingDown InstanceState = "shutting-down"
	StateTerminated   InstanceState = "terminated"
	StateStopping     InstanceState = "stopping"
	StateStopped      InstanceState = "stopped"
)

// Ending says whether an instance in this state will never run again.
func (s InstanceState) Ending() bool { return s == StateShuttingDown || s == StateTerminated }

// Instance is one EC2 instance as a listing or a launch answer told it.
type Instance struct {
	ID InstanceID
	// Resource and Launch come from our tags; Launch is empty when the tag is
	// not there.
	Resource ResourceName
	Launch   LaunchID
	// Token is the ClientToken of the launch.
	Token    string
	State    InstanceState
	Offering Offering
	// LaunchedAt is EC2's launch time.
	LaunchedAt time.Time
	// StateReason is EC2's code for the last change, such as
	// Server.SpotInstanceTermination; empty when EC2 gave none.
	StateReason string
	// Home is the queue whose metadata its supervisor listens on, by our tag;
	// empty when it has no supervisor.
	Home QueueName
	// Notice is set when EC2 has announced to take the instance back.
	Notice NoticeKind
}

// LaunchIntent is the decision to launch, as it is written to the ledger
// before EC2 is called. It holds all that the request is made of except the
// parts that come from the configuration.
type LaunchIntent struct {
	Request  RequestID    `json:"request"`
	Resource ResourceName `json:"resource"`
	Offering Offering     `json:"offering"`
	// Count is how many instances to launch, at least 1.
	Count int       `json:"count"`
	At    time.Time `json:"at"`
	// Epoch is that of the owner that decided it: the ledger refuses the intent
	// of an owner that was shut out.
	Epoch Epoch `json:"epoch,omitempty"`
}

// LaunchRequest is one RunInstances call: the same request may be sent any
// number of times and launches once.
type LaunchRequest struct {
	Launch LaunchID
	// Token is the ClientToken, at most 64 ASCII characters.
	Token    string
	Resource ResourceName
	Offering Offering
	// Count is the most instances to launch; EC2 may give fewer, at least 1.
	Count int
}

// LaunchRecord is one intent of the ledger with what became of it.
type LaunchRecord struct {
	Launch LaunchID
	Token  string
	Intent LaunchIntent
	// Settled says whether the outcome is known.
	Settled bool
	Outcome LaunchOutcome
}

// LaunchOutcome is the end of a launch: the instances, or why there are none.
type LaunchOutcome struct {
	Instances []InstanceID `json:"instances,omitempty"`
	// Failure is set when nothing was launched, and never will be by this
	// intent.
	Failure *Failure  `json:"failure,omitempty"`
	At      time.Time `json:"at"`
	// Epoch is that of the owner that says so.
	Epoch Epoch `json:"epoch,omitempty"`
}

// TerminateOutcome tells what one request to terminate did to each id.
type TerminateOutcome struct {
	// Terminating are on their way out.
	Terminating []InstanceID
	// Gone were not known to EC2 (any more).
	Gone []InstanceID
	// Failed could not be terminated; Failures explains them one by one.
	Failed   []InstanceID
	Failures []Failure
}

// FailureClass says what a failure of the outside world means for us.
type FailureClass string

// The classes. An error that no rule knows is ClassUnknown: retried slowly,
// counted, never taken for success.
const (
	// ClassThrottled: too many calls; the same call will work later.
	ClassThrottled FailureClass = "throttled"
	// ClassNoCapacity: EC2 has none of this offering now.
	ClassNoCapacity FailureClass = "no_capacity"
	// ClassNoAddresses: the subnet has no free address.
	ClassNoAddresses FailureClass = "no_addresses"
	// ClassQuota: an account limit of the family and market is reached.
	ClassQuota FailureClass = "quota"
	// ClassMarketClosed: the account may not use this market at all.
	ClassMarketClosed FailureClass = "market_closed"
	// ClassUnsupported: this type is not sold in this place.
	ClassUnsupported FailureClass = "unsupported"
	// ClassUnauthorized: credentials are wrong or lack a permission.
	ClassUnauthorized FailureClass = "unauthorized"
	// ClassInvalid: the request itself is wrong (AMI, subnet, key …).
	ClassInvalid FailureClass = "invalid"
	// ClassNotFound: the thing named does not exist (yet, or any more).
	ClassNotFound FailureClass = "not_found"
	// ClassTokenMismatch: the ClientToken was used with other parameters.
	ClassTokenMismatch FailureClass = "token_mismatch"
	// ClassTokenSpent: the instances of this ClientToken are terminated.
	ClassTokenSpent FailureClass = "token_spent"
	// ClassProtected: termination protection is on.
	ClassProtected FailureClass = "protected"
	// ClassHeld: somebody else holds the lease.
	ClassHeld FailureClass = "held"
	// ClassFenced: a later owner has taken over; whoever hears this must stop.
	ClassFenced FailureClass = "fenced"
	// ClassTransient: network, time-out or a server's 5xx; nothing is known
	// about what the other side did.
	ClassTransient FailureClass = "transient"
	// ClassUnknown: not in any list.
	ClassUnknown FailureClass = "unknown"
)

// Failure is an expected failure of the outside world, as a value. Adapters
// return it as an error (find it with errors.As); actors pass it on in
// messages.
type Failure struct {
	Class FailureClass `json:"class"`
	// Code is the vendor's own code, such as InsufficientInstanceCapacity.
	Code string `json:"code,omitempty"`
	// Message is the vendor's text; it holds no secret.
	Message string `json:"message,omitempty"`
}

// Error says class, code and message in one line.
func (f *Failure) Error() string {
	switch {
	case f.Code == "" && f.Message == "":
		return string(f.Class)
	case f.Code == "":
		return fmt.Sprintf("%s: %s", f.Class, f.Message)
	default:
		return fmt.Sprintf("%s: %s: %s", f.Class, f.Code, f.Message)
	}
}

// Definitive says whether the failure of a launch proves that this request
// launched nothing and never will, so that another one may take its place.
func (f *Failure) Definitive() bool {
	switch f.Class {
	case ClassNoCapacity, ClassNoAddresses, ClassQuota, ClassMarketClosed, ClassUnsupported,
		ClassUnauthorized, ClassInvalid, ClassNotFound, ClassTokenSpent:
		return true
	case ClassThrottled, ClassTokenMismatch, ClassProtected, ClassHeld, ClassFenced, ClassTransient, ClassUnknown:
		return false
	}
	return false
}

// FailureOf turns any error of a port into a Failure; one that carries none is
// ClassUnknown. It returns nil for nil.
func FailureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure
	}
	return &Failure{Class: ClassUnknown, Code: "", Message: err.Error()}
}
