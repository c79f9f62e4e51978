package actors

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/messages"
)

const (
	callTimeout   = 60 * time.Second
	ledgerTimeout = 15 * time.Second
	// sweepAfter is when whatever an earlier life was writing to the ledger has
	// been written, or never will be.
	sweepAfter = ledgerTimeout + 5*time.Second
	// launchLanes is how many RunInstances calls may be under way: as many as
	// EC2's request bucket holds.
	launchLanes = 5
	// terminateWindow is how long terminations are gathered, terminateBatch how
	// many go into one call.
	terminateWindow = 200 * time.Millisecond
	terminateBatch  = 500
)

// provisioner is the only one that calls EC2 to change anything. It writes
// each launch to the ledger before it calls EC2, paces its calls by EC2's own
// token buckets, waits longer after each failure, and repeats a launch whose
// end is not known with the same token until EC2 gives a definitive answer.
type provisioner struct {
	env     *env
	ec2     EC2
	durable Ledger
	ledger  entitledLedger // for this life
	rand    *rand.Rand
	fresh   time.Duration // see Config.AnswerFresh

	ready    bool // the ledger has been read
	reading  alarm
	failures int // of reading
	launches map[messages.RequestID]*launchOp
	queue    []messages.RequestID // ready to be called, first first
	lanes    int                  // calls under way
	recent   []messages.LaunchRecord
	owners   map[messages.ResourceName]*actor.PID
	asking   []messages.ResourceName // for reports, before ready

	governor  decide.Governor
	throttles int
	launchAt  alarm

	endings endings
}

// ledgerRead answers the reading of the ledger by the life of that epoch: what an
// earlier one read may have been written to since, until this one had claimed it.
type ledgerRead struct {
	epoch   messages.Epoch
	records []messages.LaunchRecord
	err     error
}

// consoleRead is an answer for whoever asked.
type consoleRead struct {
	tail string
	by   *actor.PID
}

// Receive implements actor.Actor.
func (p *provisioner) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.begin(ctx)
	case *actor.Stopping, *actor.Restarting:
		p.stop()
	case messages.ProvisionerMessage:
		p.on(ctx, m)
	case ledgerRead:
		p.ledgerRead(ctx, m)
	case ledgerSwept:
		p.ledgerSwept(ctx, m)
	case intended:
		p.intended(ctx, m)
	case launchCalled:
		p.launchCalled(ctx, m)
	case outcomeWritten:
		p.outcomeWritten(ctx, m)
	case terminateCalled:
		p.terminateCalled(ctx, m)
	case consoleRead:
		ctx.Send(m.by, messages.ConsoleRead{Tail: m.tail})
	case retryLaunch:
		p.retry(ctx, m)
	case rang:
		p.rang(ctx, m)
	default:
		p.env.unhandled(ctx)
	}
}

func (p *provisioner) begin(ctx actor.Context) {
	p.launches = make(map[messages.RequestID]*launchOp)
	p.owners = make(map[messages.ResourceName]*actor.PID)
	p.governor = decide.NewGovernor()
	p.endings = newEndings()
	p.ledger = p.env.tenure.turn(p.durable, p.env.lives.Add(1))
	p.readLedger(ctx)
	ctx.Send(ctx.Parent(), messages.ProvisionerStarted{})
}

func (p *provisioner) stop() {
	p.reading.cancel()
	p.launchAt.cancel()
	p.endings.flush.cancel()
	for _, op := range p.launches {
		op.wait.cancel()
	}
}

func (p *provisioner) rang(ctx actor.Context, m rang) {
	switch {
	case m.name == "ledger" && p.reading.heeds(m):
		p.readLedger(ctx)
	case m.name == "sweep" && p.reading.heeds(m):
		p.sweep(ctx)
	case m.name == "launch" && p.launchAt.heeds(m):
		p.drive(ctx)
	case m.name == "terminate" && p.endings.flush.heeds(m):
		p.terminateNext(ctx)
	}
}

func (p *provisioner) on(ctx actor.Context, message messages.ProvisionerMessage) {
	switch m := message.(type) {
	case messages.Launch:
		p.owners[m.Intent.Resource] = ctx.Sender()
		p.accept(ctx, m.Intent)
	case messages.ReportLaunches:
		p.owners[m.Resource] = ctx.Sender()
		if !p.ready {
			p.asking = append(p.asking, m.Resource)
			return
		}
		p.report(ctx, m.Resource)
	case messages.TerminateInstance:
		p.endings.add(m.Instance, ending{asker: ctx.Sender(), at: p.env.steady(), certain: m.Certain})
		if !p.endings.calling && !p.endings.flush.pending() {
			p.endings.flush.set(p.env, ctx, "terminate", terminateWindow)
		}
	case messages.ReadConsole:
		by := ctx.Sender()
		p.env.pipe(ctx, callTimeout, func(io context.Context) any {
			tail, err := p.ec2.Console(io, m.Instance)
			if err != nil {
				tail = "(console output not readable: " + messages.FailureOf(err).Error() + ")"
			}
			return consoleRead{tail: tail, by: by}
		})
	}
}

// readLedger shuts earlier owners and lives out, and finds out what they had begun.
func (p *provisioner) readLedger(ctx actor.Context) {
	since, ledger := p.env.clock.Now().Add(-decide.SettleTime), p.ledger
	p.env.pipe(ctx, ledgerTimeout, func(io context.Context) any {
		if err := ledger.Claim(io); err != nil {
			return ledgerRead{epoch: ledger.epoch, err: err}
		}
		records, err := ledger.Launches(io, since)
		return ledgerRead{epoch: ledger.epoch, records: records, err: err}
	})
}

func (p *provisioner) ledgerRead(ctx actor.Context, m ledgerRead) {
	if m.epoch != p.ledger.epoch {
		return // asked for in an earlier life
	}
	if m.err != nil {
		p.failures++
		wait := p.backoff().Wait(p.failures, p.rand.Float64())
		p.env.log.Error().Err(m.err).Dur("retry_in", wait).Msg("launch ledger not readable; nothing is launched until it is")
		p.reading.set(p.env, ctx, "ledger", wait)
		return
	}
	p.ready = true
	for _, record := range m.records {
		if record.Settled {
			p.recent = append(p.recent, record)
			continue
		}
		p.env.log.Warn().Str("launch", string(record.Launch)).Str("resource", string(record.Intent.Resource)).
			Int("count", record.Intent.Count).Msg("a launch of an earlier life has no known end; sent again with its old token")
		p.launches[record.Intent.Request] = &launchOp{intent: record.Intent, record: record, stage: opCalling, doubtful: true}
		p.queue = append(p.queue, record.Intent.Request)
	}
	for _, resource := range p.asking {
		p.report(ctx, resource)
	}
	p.asking = nil
	p.queue = append(p.queue, p.waiting()...)
	p.drive(ctx)
	p.reading.set(p.env, ctx, "sweep", sweepAfter)
}

// ledgerSwept is the second look into the ledger.
type ledgerSwept struct {
	records []messages.LaunchRecord
	err     error
}

// sweep looks again for intents that an earlier life was still writing when
// this one read the ledger.
func (p *provisioner) sweep(ctx actor.Context) {
	now := p.env.clock.Now() // what is settled already does not matter
	p.env.pipe(ctx, ledgerTimeout, func(io context.Context) any {
		records, err := p.ledger.Launches(io, now)
		return ledgerSwept{records: records, err: err}
	})
}

// ledgerSwept gives up the intents that nobody asks for any more: their life
// ended before EC2 was called, and nobody counts them. Left alone they would be
// sent at the next start, over whatever there is then.
func (p *provisioner) ledgerSwept(ctx actor.Context, m ledgerSwept) {
	if m.err != nil {
		p.reading.set(p.env, ctx, "sweep", sweepAfter)
		return
	}
	for _, record := range m.records {
		request := record.Intent.Request
		if record.Settled || p.launches[request] != nil || slices.ContainsFunc(p.recent, func(r messages.LaunchRecord) bool {
			return r.Intent.Request == request
		}) {
			continue
		}
		p.env.log.Warn().Str("launch", string(record.Launch)).Msg("a launch of an earlier life was never sent and is given up")
		op := &launchOp{intent: record.Intent, record: record, stage: opCalling}
		p.launches[request] = op
		p.refused(ctx, op, &messages.Failure{Class: messages.ClassUnknown, Message: "given up: its process ended before EC2 was called"})
	}
}

// waiting lists the requests that came before the ledger was read.
func (p *provisioner) waiting() []messages.RequestID {
	var waiting []messages.RequestID
	for request, op := range p.launches {
		if op.stage == opNew {
			waiting = append(waiting, request)
		}
	}
	slices.Sort(waiting)
	return waiting
}

// report tells a resource type what is under way and what ended lately.
func (p *provisioner) report(ctx actor.Context, resource messages.ResourceName) {
	report := messages.LaunchesReported{}
	for _, op := range p.launches {
		if op.intent.Resource == resource && !op.record.Settled {
			report.Pending = append(report.Pending, messages.LaunchRecord{
				Launch: op.record.Launch, Token: op.record.Token, Intent: op.intent,
			})
		}
	}
	slices.SortFunc(report.Pending, func(a, b messages.LaunchRecord) int {
		return cmp.Or(a.Intent.At.Compare(b.Intent.At), cmp.Compare(a.Intent.Request, b.Intent.Request))
	})
	for _, record := range p.recent {
		if record.Intent.Resource == resource {
			report.Recent = append(report.Recent, record)
		}
	}
	ctx.Send(p.owners[resource], report)
}

// remember keeps a settled launch for as long as listings may not show it.
func (p *provisioner) remember(record messages.LaunchRecord) {
	young := p.env.clock.Now().Add(-decide.SettleTime)
	p.recent = slices.DeleteFunc(p.recent, func(r messages.LaunchRecord) bool { return r.Outcome.At.Before(young) })
	p.recent = append(p.recent, record)
}

func (p *provisioner) backoff() decide.Backoff {
	return decide.Backoff{Base: time.Second, Max: time.Minute}
}
