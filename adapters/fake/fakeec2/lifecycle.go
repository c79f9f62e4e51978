package fakeec2

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func compareText(a, b string) int { return strings.Compare(a, b) }

// Reasons as EC2 words them.
func reasonUser() Reason {
	return Reason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"}
}

func reasonGuest() Reason {
	return Reason{"Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown"}
}

func reasonSpot() Reason {
	return Reason{"Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination"}
}

func reasonInternal() Reason {
	return Reason{"Server.InternalError", "Server.InternalError: Internal error on launch"}
}

// move takes an instance to a state, writes that down and tells the watchers.
func (c *Cloud) move(i *instance, to State, why Reason, transition string) {
	now := c.now()
	from := i.State
	i.disarm()
	i.State, i.StateReason, i.TransitionReason = to, why, transition
	shown := now.Add(c.timing.Stale.Draw(i.rng))
	if n := len(i.history); n > 0 && shown.Before(i.history[n-1].shown) {
		shown = i.history[n-1].shown // states show in order
	}
	i.history = append(i.history, stateAt{state: to, reason: why, transition: transition, shown: shown})
	t := Transition{
		Seq: len(c.ledger.Transitions) + 1, At: now, InstanceID: i.ID, Type: i.Type, Zone: i.Zone,
		Market: i.Market, From: from, To: to, Reason: why.Code,
	}
	c.ledger.Transitions = append(c.ledger.Transitions, t)
	c.outbox = append(c.outbox, t)
	switch to {
	case Running:
		i.checksOK = now.Add(c.timing.StatusChecks.Draw(i.rng))
	case Terminated, Stopped:
		c.release(i, to == Terminated)
		if to == Terminated {
			i.endedAt = now
		}
	case Pending, ShuttingDown, Stopping:
	}
}

// after runs f on an instance once d has passed, unless it moved on until then.
func (c *Cloud) after(i *instance, d time.Duration, f func()) {
	i.disarm()
	if c.closed {
		return
	}
	seen := i.State
	i.stop = c.clock.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.unlock()
		if i.State == seen && !c.closed {
			f()
		}
	})
}

func (i *instance) disarm() {
	if i.stop != nil {
		i.stop()
		i.stop = nil
	}
}

// boot sends a new instance on its way to running, or to its launch failure.
func (c *Cloud) boot(i *instance) {
	c.after(i, c.timing.Pending.Draw(i.rng), func() {
		if i.failed {
			why := c.fail.Reason
			if why.Code == "" {
				why = reasonInternal()
			}
			c.move(i, Terminated, why, why.Code)
			c.closeSpot(i, "system-error", "failed")
			return
		}
		c.move(i, Running, Reason{}, "")
	})
}

// shutDown begins the end of an instance. One that is already ending or stopped
// for good is left alone.
func (c *Cloud) shutDown(i *instance, why Reason, transition, spotStatus string) {
	switch i.State {
	case Terminated, ShuttingDown:
		return
	case Stopped:
		c.move(i, Terminated, why, transition)
	case Pending, Running, Stopping:
		c.move(i, ShuttingDown, why, transition)
		c.after(i, c.timing.ShuttingDown.Draw(i.rng), func() { c.move(i, Terminated, why, transition) })
	}
	c.closeSpot(i, spotStatus, "closed")
}

// userInitiated is the transition reason of an API call at this moment.
func (c *Cloud) userInitiated() string {
	return fmt.Sprintf("User initiated (%s)", c.now().UTC().Format("2006-01-02 15:04:05 GMT"))
}

// GuestShutdown is what the operating system does when it powers off: the
// instance terminates or stops, as its launch said. It reports an error for an
// instance that is not running.
func (c *Cloud) GuestShutdown(id string) error {
	return c.onRunning(id, "power off", func(i *instance) {
		if i.ShutdownBehavior == "terminate" || i.Market == Spot {
			c.shutDown(i, reasonGuest(), "", "instance-terminated-by-user")
			return
		}
		c.move(i, Stopping, reasonGuest(), "")
		c.after(i, c.timing.Stopping.Draw(i.rng), func() { c.move(i, Stopped, reasonGuest(), "") })
	})
}

// Kill makes the host of a running instance fail: the instance is gone at once.
func (c *Cloud) Kill(id string) error {
	return c.onRunning(id, "kill", func(i *instance) {
		why := Reason{"Server.InternalError", "Server.InternalError: Host failure"}
		c.move(i, ShuttingDown, why, why.Code)
		c.move(i, Terminated, why, why.Code)
		c.closeSpot(i, "instance-terminated-by-service", "closed")
	})
}

// Impair makes the status checks of a running instance fail, or pass again.
func (c *Cloud) Impair(id string, impaired bool) error {
	return c.onRunning(id, "impair", func(i *instance) { i.impaired = impaired })
}

// onRunning runs f under the lock on an instance that is running.
func (c *Cloud) onRunning(id, verb string, f func(*instance)) error {
	c.mu.Lock()
	defer c.unlock()
	i, ok := c.byID[id]
	if !ok {
		return fmt.Errorf("%s instance %s: there is no such instance", verb, id)
	}
	if i.State != Running {
		return fmt.Errorf("%s instance %s: it is %s, not running", verb, id, i.State)
	}
	f(i)
	return nil
}

// Instance is an instance as it is now, whatever Describe shows of it.
func (c *Cloud) Instance(id string) (Instance, bool) {
	c.mu.Lock()
	defer c.unlock()
	i, ok := c.byID[id]
	if !ok {
		return Instance{}, false
	}
	return c.snapshot(i), true
}

// Instances lists every instance as it is now, in launch order, terminated ones
// for as long as Describe would show them.
func (c *Cloud) Instances() []Instance {
	c.mu.Lock()
	defer c.unlock()
	c.forget()
	list := make([]Instance, 0, len(c.instances))
	for _, i := range c.instances {
		list = append(list, c.snapshot(i))
	}
	return list
}

// snapshot copies an instance together with its current tags.
func (c *Cloud) snapshot(i *instance) Instance {
	view := i.Instance
	view.SecurityGroupIDs = append([]string(nil), i.SecurityGroupIDs...)
	view.Disks = append([]Disk(nil), i.Disks...)
	if r, ok := c.resources[i.ID]; ok {
		view.Tags = append([]Tag(nil), r.tags...)
	}
	return view
}

// shown is an instance as Describe knows it at this moment, false while it does
// not know it at all or not any more.
func (c *Cloud) shown(i *instance) (Instance, bool) {
	now := c.now()
	if now.Before(i.visible) || c.expired(i) {
		return Instance{}, false
	}
	view := c.snapshot(i)
	for n, h := range slices.Backward(i.history) {
		if n == 0 || !now.Before(h.shown) {
			view.State, view.StateReason, view.TransitionReason = h.state, h.reason, h.transition
			break
		}
	}
	return view, true
}

func (c *Cloud) expired(i *instance) bool {
	return i.State == Terminated && c.now().Sub(i.endedAt) > c.timing.TerminatedKept
}

// forget drops instances whose time in the listings is over, with all that
// belongs to them.
func (c *Cloud) forget() {
	kept := c.instances[:0]
	for _, i := range c.instances {
		if !c.expired(i) {
			kept = append(kept, i)
			continue
		}
		delete(c.byID, i.ID)
		delete(c.resources, i.ID)
		delete(c.resources, i.NetworkInterfaceID)
		for _, d := range i.Disks {
			delete(c.resources, d.VolumeID)
		}
	}
	clear(c.instances[len(kept):])
	c.instances = kept
	spots := c.spots[:0]
	for _, s := range c.spots {
		if _, ok := c.byID[s.InstanceID]; ok {
			spots = append(spots, s)
		} else {
			delete(c.resources, s.ID)
		}
	}
	clear(c.spots[len(spots):])
	c.spots = spots
}
