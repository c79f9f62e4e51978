package fakeec2

import (
	"slices"
	"strings"
)

// Offering is what can be out of capacity: a type in a zone on a market.
type Offering struct {
	Type   string `json:"type"`
	Zone   string `json:"zone"`
	Market Market `json:"market"`
}

// pool holds the capacity of an offering. Launches past limit are refused;
// lowering it below what is in use takes nothing away from anybody.
type pool struct {
	limit   int
	limited bool
	used    int
}

type quotaKey struct {
	family string
	market Market
}

// quota counts vCPUs of a family on a market.
type quota struct {
	limit   int
	limited bool
	used    int
}

func (c *Cloud) pool(o Offering) *pool {
	p, ok := c.pools[o]
	if !ok {
		p = &pool{}
		c.pools[o] = p
	}
	return p
}

func (c *Cloud) quota(family string, m Market) *quota {
	key := quotaKey{family, m}
	q, ok := c.quotas[key]
	if !ok {
		q = &quota{}
		c.quotas[key] = q
	}
	return q
}

// SetCapacity lets at most n instances of an offering exist at a time; negative
// takes the bound away.
func (c *Cloud) SetCapacity(o Offering, n int) {
	c.mu.Lock()
	defer c.unlock()
	p := c.pool(o)
	p.limit, p.limited = n, n >= 0
}

// SetQuota bounds the vCPUs of a family (see [Family]) on a market; negative
// takes the bound away.
func (c *Cloud) SetQuota(family string, m Market, vcpus int) {
	c.mu.Lock()
	defer c.unlock()
	q := c.quota(family, m)
	q.limit, q.limited = vcpus, vcpus >= 0
}

// SetAddresses says how many free addresses a subnet has now.
func (c *Cloud) SetAddresses(subnet string, n int) {
	c.mu.Lock()
	defer c.unlock()
	c.addresses[subnet] = n
}

// unlimited is more instances than one call can ask for.
const unlimited = 1 << 30

func (p *pool) free() int {
	if !p.limited {
		return unlimited
	}
	return max(p.limit-p.used, 0)
}

func (q *quota) free(vcpus int) int {
	if !q.limited || vcpus == 0 {
		return unlimited
	}
	return max(q.limit-q.used, 0) / vcpus
}

// place finds where a launch goes and how many instances of it. A launch that
// names no zone goes as a whole to one of the zones, drawn.
func (c *Cloud) place(in *launch) error {
	q := c.quota(in.typ.Family(), in.market)
	if q.free(in.typ.VCPUs) < in.MinCount {
		return errQuota(q.limit, in.market)
	}
	subnets := in.candidates
	if len(subnets) > 1 {
		subnets = slices.Clone(subnets)
		c.rng.Shuffle(len(subnets), func(a, b int) { subnets[a], subnets[b] = subnets[b], subnets[a] })
	}
	var refused error
	for _, s := range subnets {
		capacity := c.pool(Offering{in.typ.Name, s.Zone, in.market}).free()
		switch {
		case capacity < in.MinCount:
			if refused == nil || len(subnets) > 1 {
				refused = c.errCapacity(in)
			}
		case c.addresses[s.ID] < in.MinCount:
			if refused == nil {
				refused = errorf("InsufficientFreeAddressesInSubnet",
					"There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", s.ID)
			}
		default:
			in.subnet = s
			in.count = min(in.MaxCount, capacity, c.addresses[s.ID], q.free(in.typ.VCPUs))
			return nil
		}
	}
	return refused
}

func errQuota(limit int, m Market) *APIError {
	if m == Spot {
		return errorf("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
	}
	return errorf("VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit of %d allows "+
		"for the instance bucket that the specified instance type belongs to. "+
		"Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.", limit)
}

func (c *Cloud) errCapacity(in *launch) *APIError {
	const code = "InsufficientInstanceCapacity"
	if in.market == Spot {
		return errorf(code, "There is no Spot capacity available that matches your request.")
	}
	if len(in.candidates) > 1 {
		return errorf(code, "We currently do not have sufficient %s capacity in zones with support for 'gp2' volumes. "+
			"Our system will be working on provisioning additional capacity.", in.typ.Name)
	}
	zone := in.candidates[0].Zone
	var elsewhere []string
	for _, z := range c.cat.zonesOf(in.typ) {
		if z != zone && c.pool(Offering{in.typ.Name, z, in.market}).free() > 0 {
			elsewhere = append(elsewhere, z)
		}
	}
	hint := ""
	if len(elsewhere) > 0 {
		hint = " You can currently get " + in.typ.Name + " capacity by not specifying an Availability Zone in your request or choosing " +
			strings.Join(elsewhere, ", ") + "."
	}
	return errorf(code, "We currently do not have sufficient %s capacity in the Availability Zone you requested (%s). "+
		"Our system will be working on provisioning additional capacity.%s", in.typ.Name, zone, hint)
}

// hold counts an instance in its pool, its quota and its subnet.
func (c *Cloud) hold(i *instance) {
	c.pool(Offering{i.Type, i.Zone, i.Market}).used++
	c.quota(i.typ.Family(), i.Market).used += i.typ.VCPUs
	c.addresses[i.SubnetID]--
	i.holdsSlot, i.holdsIP = true, true
}

// release gives back what an instance held; its address only when it is gone.
func (c *Cloud) release(i *instance, gone bool) {
	if i.holdsSlot {
		c.pool(Offering{i.Type, i.Zone, i.Market}).used--
		c.quota(i.typ.Family(), i.Market).used -= i.typ.VCPUs
		i.holdsSlot = false
	}
	if gone && i.holdsIP {
		c.addresses[i.SubnetID]++
		i.holdsIP = false
	}
}
