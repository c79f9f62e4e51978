package app

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
)

const (
	// stopPatience is how long instances are drained when the process stops.
	stopPatience = time.Minute
	// stopGrace is how much longer the end of the autoscalers is waited for.
	stopGrace = 20 * time.Second
	// startPatience bounds the connection to the bus at the start.
	startPatience = 30 * time.Second
)

// The adapters satisfy the actors' ports by their methods alone; here it is
// checked.
var (
	_ actors.ClearML   = (*clearml.Client)(nil)
	_ actors.EC2       = (*ec2.Adapter)(nil)
	_ actors.Ledger    = (*bus.Ledger)(nil)
	_ actors.Publisher = (*bus.Bus)(nil)
	_ actors.Ownership = (*bus.Leases)(nil)
	_ actors.State     = (*bus.States)(nil)
	_ actors.Clock     = clock.Clock{}
	_ actors.Runner    = (*runner)(nil)
)

// Options is what a process is made of.
type Options struct {
	File    config.File
	Version string
	Log     zerolog.Logger
	// Clock is nil for the machine's own.
	Clock actors.Clock
	// AnswerFresh is actors.Config's; zero for its default. A fast clock needs
	// more, since the network does not run faster with it.
	AnswerFresh time.Duration
	// Speed is how many times faster than the machine's own the clock runs; zero
	// is 1. Leases are kept by the event server, in real time.
	Speed float64
}

// leaseTiming is how leases are kept, by the actors' clock.
func (o Options) leaseTiming() messages.LeaseTiming {
	timing, speed := o.File.Lease.Timing(), max(o.Speed, 1)
	scaled := func(d time.Duration) time.Duration { return time.Duration(float64(d) * speed) }
	return messages.LeaseTiming{TTL: scaled(timing.TTL), Renew: scaled(timing.Renew), Margin: scaled(timing.Margin)}
}

// Process is a running ebb: the event bus and one autoscaler for each
// configuration.
type Process struct {
	options Options
	server  *bus.Server // nil with an external one
	bus     *bus.Bus
	leases  *bus.Leases
	states  *bus.States
	runner  *runner
	node    *actors.Node
	modes   map[messages.AutoscalerName]messages.OnShutdown
	clients []*clearml.Client
	log     zerolog.Logger
}

// Run starts a process and keeps it until ctx ends; then it stops in order.
// Configurations from reloads take effect while it runs.
func Run(ctx context.Context, options Options, reloads <-chan config.File) error {
	process, err := Start(ctx, options)
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return process.Stop()
		case file := <-reloads:
			if err := process.Reload(ctx, file); err != nil {
				options.Log.Error().Err(err).Msg("new configuration not taken over; the old one stays")
			}
		}
	}
}

// Reload gives the autoscalers that run a new configuration. What needs a
// restart (another set of autoscalers, the event server, leases) is named in the
// log and stays as it is. On an error nothing has changed.
func (p *Process) Reload(ctx context.Context, file config.File) error {
	options, old := p.options, p.options.File
	options.File.Autoscalers = file.Autoscalers
	old.Autoscalers, file.Autoscalers = nil, nil
	if !reflect.DeepEqual(old, file) {
		p.log.Warn().Msg("settings outside of autoscalers have changed; they take effect at the next start")
	}
	var configs []actors.Config
	modes := make(map[messages.AutoscalerName]messages.OnShutdown)
	for _, autoscaler := range options.File.Autoscalers {
		t, err := Translate(autoscaler)
		if err != nil {
			return err
		}
		if _, runs := p.modes[t.Name]; !runs {
			p.log.Warn().Str("autoscaler", string(t.Name)).Msg("an autoscaler that does not run yet is started at the next start")
			continue
		}
		cfg, err := p.assemble(ctx, options, t)
		if err != nil {
			return fmt.Errorf("autoscaler %q: %w", t.Name, err)
		}
		configs, modes[t.Name] = append(configs, cfg), t.OnShutdown
	}
	if len(configs) < len(p.modes) {
		p.log.Warn().Int("missing", len(p.modes)-len(configs)).
			Msg("autoscalers that are not in the new configuration go on with the old one until the next start")
	}
	maps.Copy(p.modes, modes)
	p.node.Reconfigure(configs)
	return nil
}

// Start brings everything up. Nothing runs when it returns an error.
func Start(ctx context.Context, options Options) (*Process, error) {
	translated := make([]Translated, 0, len(options.File.Autoscalers))
	for _, autoscaler := range options.File.Autoscalers {
		t, err := Translate(autoscaler)
		if err != nil {
			return nil, err
		}
		translated = append(translated, t)
	}
	if options.Clock == nil {
		options.Clock = clock.System()
	}
	p := &Process{
		options: options, log: options.Log, runner: newRunner(ctx), modes: make(map[messages.AutoscalerName]messages.OnShutdown),
	}
	if err := p.openBus(ctx, options); err != nil {
		p.close()
		return nil, err
	}
	configs := make([]actors.Config, 0, len(translated))
	for _, t := range translated {
		cfg, err := p.assemble(ctx, options, t)
		if err != nil {
			p.close()
			return nil, fmt.Errorf("autoscaler %q: %w", t.Name, err)
		}
		configs = append(configs, cfg)
		p.modes[t.Name] = t.OnShutdown
	}
	p.node = actors.StartNode(actors.Seams{Clock: options.Clock, Runner: p.runner, Log: options.Log}, configs)
	return p, nil
}

// openBus starts the embedded server unless an external one is named, and
// connects.
func (p *Process) openBus(ctx context.Context, options Options) error {
	nats, log, place := options.File.NATS, options.Log, ""
	conn := bus.ConnConfig{
		URL: nats.URL, CredsFile: nats.CredsFile, NKeyFile: nats.NKeyFile, User: nats.User,
		Password: nats.Password.Reveal(), Token: nats.Token.Reveal(),
		TLS:  bus.TLSFiles{CA: nats.TLS.CAFile, Cert: nats.TLS.CertFile, Key: nats.TLS.KeyFile},
		Name: "ebb", Log: log,
	}
	if nats.URL == "" {
		server, err := bus.Start(ctx, bus.ServerConfig{
			StateDir: options.File.StateDir, Listen: nats.Listen, SyncAlways: true, Log: log,
		})
		if err != nil {
			return err
		}
		p.server = server
		// The state directory is locked: whoever held a lease there before is dead.
		place = "state directory " + options.File.StateDir
		conn = bus.ConnConfig{Server: server, Name: "ebb", Log: log}
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	connected, err := bus.Connect(ctx, conn)
	if err != nil {
		return err
	}
	p.bus = connected
	if p.leases, err = connected.OpenLeases(ctx, bus.LeasesConfig{
		Holder: holder(), Place: place, Timing: options.File.Lease.Timing(), Now: time.Now,
	}); err != nil {
		return err
	}
	p.states, err = connected.OpenState(ctx)
	return err
}

// holder names this run of the program for people and for the lease.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	return fmt.Sprintf("%s:%d:%s", host, os.Getpid(), cryptorand.Text()[:6])
}

// assemble makes the adapters of one autoscaler.
func (p *Process) assemble(ctx context.Context, options Options, t Translated) (actors.Config, error) {
	log := options.Log.With().Str("autoscaler", string(t.Name)).Logger()
	var seed uint64
	if err := binary.Read(cryptorand.Reader, binary.LittleEndian, &seed); err != nil {
		return actors.Config{}, fmt.Errorf("draw a seed: %w", err)
	}
	t.ClearML.Clock, t.ClearML.Log = options.Clock, log
	t.ClearML.Rand = rand.New(rand.NewPCG(seed, 0))
	tracker, err := clearml.New(t.ClearML)
	if err != nil {
		return actors.Config{}, err
	}
	p.clients = append(p.clients, tracker)
	client, err := ec2.NewClient(ctx, t.EC2)
	if err != nil {
		return actors.Config{}, err
	}
	fleet, err := ec2.New(ec2.Config{Autoscaler: t.Name, Client: client, Resources: t.Templates(), Log: log})
	if err != nil {
		return actors.Config{}, err
	}
	ledger, err := p.bus.OpenLedger(ctx, bus.LedgerConfig{Autoscaler: t.Name})
	if err != nil {
		return actors.Config{}, err
	}
	cfg := actors.Config{
		Name: t.Name, Version: options.Version, WorkersPrefix: t.Query.WorkersPrefix,
		PollingInterval: t.PollingInterval, AnswerFresh: options.AnswerFresh, Queues: t.Queues,
		ClearML: tracker, EC2: fleet, Ledger: ledger, Publisher: p.bus, Seed: seed,
		Ownership: p.leases, Lease: options.leaseTiming(), State: p.states,
		RequeueLost: t.RequeueLost, WarnDuplicates: t.WarnDuplicates,
		Text: func(r messages.Recorded) string {
			return fmt.Sprintf("%s: %s", strings.TrimSpace(r.Event.Kind()+" "+r.Event.About()), eventtext.Words(r.Event))
		},
	}
	for _, r := range t.Resources {
		cfg.Resources = append(cfg.Resources, actors.Resource{
			Name: r.Name, Max: r.Max, Offerings: r.Offerings, MaxIdle: r.MaxIdleTime, MaxSpinUp: r.MaxSpinUpTime,
			MaxLifetime: r.MaxLifetime, Fallback: r.Fallback, Image: r.Template.AMI,
		})
	}
	return cfg, nil
}

// Bus is where the process publishes.
func (p *Process) Bus() *bus.Bus { return p.bus }

// URL is where other programs reach the embedded event server; empty with an
// external one.
func (p *Process) URL() string {
	if p.server == nil {
		return ""
	}
	return p.server.URL()
}

// Stop lets every autoscaler stop as its on_shutdown says, then ends the rest
// in order. It returns an error when one did not end in time.
func (p *Process) Stop() error {
	p.node.Stop(p.modes, stopPatience)
	deadline := time.NewTimer(stopPatience + stopGrace)
	defer deadline.Stop()
	var problem error
	for range p.modes {
		select {
		case ended := <-p.node.Ended():
			if ended.Acted {
				p.log.Info().Str("autoscaler", string(ended.Autoscaler)).Int("left_running", ended.Left).Msg("autoscaler stopped")
			} else {
				p.log.Info().Str("autoscaler", string(ended.Autoscaler)).Msg("stopped standing by")
			}
			continue
		case <-deadline.C:
			problem = errors.New("not every autoscaler stopped in time; instances and launches are found again at the next start")
		}
		break
	}
	p.close()
	return problem
}

// close ends what there is, in the reverse order of the start.
func (p *Process) close() {
	if p.node != nil {
		p.node.Close()
	}
	p.runner.close()
	for _, client := range p.clients {
		client.Close()
	}
	if p.bus != nil {
		p.bus.Close()
	}
	if p.server != nil {
		if err := p.server.Close(); err != nil {
			p.log.Error().Err(err).Msg("event server not closed cleanly")
		}
	}
}
