package simulation

import "time"

// wakesUp is how long after it was resumed a process may still send what it had
// decided before it was stopped: the last look at the lease and the sending of a
// request are two moments, and it may be stopped in between.
const wakesUp = time.Second

// called sees every call of a process as it is sent.
func (l *laws) called(p *process, server string, call call) {
	l.clockOf(p)
	if call.changes && l.world.store.epochs > p.epoch {
		l.late(p, server, call)
	}
}

// late judges a call that changes something, by a process that has lost its
// lease, or never had one: another one acts. The ledger and the ClientTokens make launches
// harmless; anything else must be the rest of what it did when it was stopped.
func (l *laws) late(p *process, server string, call call) {
	l.lateCalls++
	if p.woke.IsZero() || l.world.Now().Sub(p.woke) > wakesUp {
		l.breach("%s sends %s to %s although %s acts, of a later epoch", p.holder, call.name, server, l.world.store.lease.Holder)
	}
}
