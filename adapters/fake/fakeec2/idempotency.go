package fakeec2

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// tokenKey is the scope of a ClientToken: the zone for a launch that names a
// subnet or a zone, the region (an empty zone) otherwise.
type tokenKey struct {
	token, zone string
}

// tokenRecord is what EC2 remembers of a ClientToken. A launch that failed for
// want of capacity leaves a record without a reservation: the same request may
// be tried again, another one is a mismatch.
type tokenRecord struct {
	hash        [sha256.Size]byte
	reservation string
	instances   []string
	refused     bool      // a launch with it found no capacity
	ended       time.Time // when the last instance was found terminated
}

// claim finds the record of the launch's token or makes one.
func (c *Cloud) claim(l *launch) (*tokenRecord, error) {
	hash := l.hash()
	if l.ClientToken == "" {
		return &tokenRecord{hash: hash}, nil
	}
	key := l.tokenKey()
	if r, ok := c.tokens[key]; ok && !c.lapsed(r) {
		if r.hash != hash {
			return nil, errorf("IdempotentParameterMismatch",
				"Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
		}
		return r, nil
	}
	r := &tokenRecord{hash: hash}
	c.tokens[key] = r
	return r, nil
}

func (l *launch) tokenKey() tokenKey {
	if l.zonal {
		return tokenKey{l.ClientToken, l.Zone}
	}
	return tokenKey{l.ClientToken, ""}
}

// unclaim takes back the claim of a request that was refused at the gate, as
// throttled ones are.
func (c *Cloud) unclaim(r *tokenRecord, l *launch) {
	if !r.refused {
		delete(c.tokens, l.tokenKey())
	}
}

// lapsed tells whether a token has outlived its instances long enough to be
// free again.
func (c *Cloud) lapsed(r *tokenRecord) bool {
	if r.reservation == "" || !c.allEnded(r) {
		return false
	}
	return c.now().Sub(r.ended) > c.timing.TokenKept
}

// allEnded tells whether everything the token launched is terminated, and notes
// since when.
func (c *Cloud) allEnded(r *tokenRecord) bool {
	if !r.ended.IsZero() {
		return true
	}
	var last time.Time
	for _, id := range r.instances {
		i, ok := c.byID[id]
		if !ok {
			continue // so long gone that it is not even listed
		}
		if i.State != Terminated {
			return false
		}
		if i.endedAt.After(last) {
			last = i.endedAt
		}
	}
	if last.IsZero() {
		last = c.now().Add(-c.timing.TerminatedKept)
	}
	r.ended = last
	return true
}

// replay answers a repeated launch with what the first one made: the same
// reservation and the same instances, in the states they are in now.
func (c *Cloud) replay(r *tokenRecord) (Reservation, error) {
	if c.allEnded(r) {
		return Reservation{}, errorf("IdempotentInstanceTerminated",
			"The request to launch an instance uses the same client token as a previous request for which the instance has been terminated.")
	}
	res := Reservation{ID: r.reservation}
	for _, id := range r.instances {
		if i, ok := c.byID[id]; ok {
			res.Instances = append(res.Instances, c.snapshot(i))
		}
	}
	return res, nil
}

// hash fingerprints everything that was asked but the token itself.
func (l *launch) hash() [sha256.Size]byte {
	in := l.RunInstancesInput
	in.ClientToken, in.DryRun = "", false
	spot := SpotOptions{}
	if in.Spot != nil {
		spot = *in.Spot
	}
	market := in.Spot != nil
	in.Spot = nil                                                          // printed by value, a pointer would be printed as an address
	return sha256.Sum256(fmt.Appendf(nil, "%#v %t %#v", in, market, spot)) // fmt writes maps in the order of their keys
}
