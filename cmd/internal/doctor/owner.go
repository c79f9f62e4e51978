package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

const (
	// signFresh is how old a sign of life may be besides two polls: it is written
	// anew once a minute, by a clock that may be wrong.
	signFresh = 5 * time.Minute
	// signLag is how much later than the last lease of a process that stopped its
	// last sign of life can have been written.
	signLag = time.Minute
)

// leases is what the event server of the configuration knows of owners.
type leases struct {
	// trouble is why nothing is known; empty when all is.
	trouble string
	// running says that the server could be asked: Given are its epochs. Else it is
	// one inside of an ebb that does not run, and Used is when that last held a
	// lease.
	running bool
	given   bus.Epochs
	used    time.Time
}

// lookAtLeases asks the event server, or looks at what the own one has left.
func lookAtLeases(ctx context.Context, options Options) leases {
	if options.File.NATS.URL == "" {
		report, err := bus.CheckStateDir(options.File.StateDir)
		if err != nil {
			return leases{trouble: "state_dir failed"}
		}
		if report.UsedBy == "" {
			return leases{used: report.LeasesUsed}
		}
	}
	limited, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	given, err := bus.CheckLeases(limited, options.server())
	if err != nil {
		return leases{trouble: "the leases of the event server could not be looked at: " + err.Error()}
	}
	return leases{running: true, given: given}
}

// checkOwner looks for an ebb that acts for this autoscaler on another event
// server: the lease keeps those apart that share a server, and only those. What
// shows it is its sign of life on the queues of its instances.
func (p *patient) checkOwner(ctx context.Context, s *sheet, seen observation, fleet listing, known func() leases) {
	if !seen.known {
		s.skip("the queues could not be looked at", "", ClearMLOwner)
		return
	}
	sign, queue, ok := p.freshSign(p.withHomes(ctx, seen.snapshot, fleet))
	if !ok {
		s.ok(ClearMLOwner, "", "no other ebb gives a sign of life for this autoscaler (one with instances does)")
		return
	}
	l := known()
	about := fmt.Sprintf("owner %d gave a sign of life for this autoscaler at %s, on the queue %s", sign.Epoch, sign.At.Format(time.TimeOnly), queue)
	switch {
	case l.trouble != "":
		s.skip(l.trouble, "", ClearMLOwner)
	case l.running && l.given.Include(sign.Epoch):
		s.ok(ClearMLOwner, "", "%s: its lease is on this event server", about)
	case !l.running && !sign.At.After(l.used.Add(signLag)):
		s.skip("an ebb with this state_dir acted until "+l.used.UTC().Format(time.TimeOnly)+
			", and the sign of life of "+sign.At.Format(time.TimeOnly)+" may be its own: ask again in "+p.signFresh().String(), "", ClearMLOwner)
	default:
		s.warn(ClearMLOwner, "", about+", and has no lease on this event server: another ebb with another event server acts for an autoscaler of this name; "+
			"each would take the other's instances for its own, and end them", p.ownerFix())
	}
}

func (p *patient) ownerFix() string {
	return "find the other ebb (EC2's tag ebb:autoscaler=" + string(p.Name) + " is on the instances of both) and stop it; or let both use one event server (nats.url); " +
		"or, if it is another autoscaler, write another " + p.path + ".name. If nobody else runs ebb any more: ask again " + p.signFresh().String() + " after its end"
}

// signFresh is the age up to which a sign of life is one of an ebb that runs.
func (p *patient) signFresh() time.Duration { return signFresh + 2*p.PollingInterval }

// freshSign is the youngest sign of life of this autoscaler that may be of an ebb
// that runs.
func (p *patient) freshSign(queues []messages.QueueState, now time.Time) (sign messages.Sign, queue messages.QueueName, ok bool) {
	for _, q := range queues {
		found, is := messages.ParseSign(q.Metadata[messages.SignKey(p.Name)])
		if is && now.Sub(found.At).Abs() <= p.signFresh() && found.At.After(sign.At) {
			sign, queue, ok = found, q.Name, true
		}
	}
	return sign, queue, ok
}

// withHomes are the queues of a poll, and those that instances of the autoscaler
// serve though it does not: another ebb's configuration may have others. Those are
// left out when they cannot be looked at.
func (p *patient) withHomes(ctx context.Context, snapshot messages.ClearMLSnapshot, fleet listing) (queues []messages.QueueState, now time.Time) {
	query := messages.ClearMLQuery{WorkersPrefix: p.Query.WorkersPrefix}
	for _, i := range fleet.instances {
		if i.Home != "" && !slices.Contains(p.Query.Queues, i.Home) && !slices.Contains(query.Queues, i.Home) {
			query.Queues = append(query.Queues, i.Home)
		}
	}
	if len(query.Queues) == 0 {
		return snapshot.Queues, snapshot.ServerNow
	}
	client, err := p.tracker()
	if err != nil {
		return snapshot.Queues, snapshot.ServerNow
	}
	defer client.Close()
	slices.SortFunc(query.Queues, func(a, b messages.QueueName) int { return strings.Compare(string(a), string(b)) })
	others, err := client.Observe(ctx, query)
	if err != nil {
		return snapshot.Queues, snapshot.ServerNow
	}
	return slices.Concat(snapshot.Queues, others.Queues), snapshot.ServerNow
}
