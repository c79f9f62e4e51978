package messages

import "time"

// Epoch numbers the owners of an autoscaler over all processes: a later owner
// has a higher one. It is never part of a ClientToken.
type Epoch uint64

// Lease is the right to act for an autoscaler for a while.
type Lease struct {
	Autoscaler AutoscalerName
	// Holder names the process, such as host-1:4242:9f3c.
	Holder string
	Epoch  Epoch
	// Revision is the state of the lease that this holder knows; each renewal
	// gives a new one.
	Revision uint64
	// First is the lowest epoch that the event server can have given: a lower one is of
	// another event server. 0 when nobody knows.
	First Epoch
}

// StateKey is where an owner keeps a value over a restart.
type StateKey struct {
	Autoscaler AutoscalerName
	Key        string
	// Epoch is the owner's; the actors' ports set it.
	Epoch Epoch
}

// LeaseTiming says how leases are kept. TTL is when, after the last renewal,
// another may act; Renew how often it is renewed; Margin how long before the
// end of TTL the holder stops acting.
type LeaseTiming struct {
	TTL    time.Duration
	Renew  time.Duration
	Margin time.Duration
}

// DefaultLeaseTiming is a TTL of 15 s, renewed every 4 s, with a margin of 3 s.
func DefaultLeaseTiming() LeaseTiming {
	return LeaseTiming{TTL: 15 * time.Second, Renew: 4 * time.Second, Margin: 3 * time.Second}
}
