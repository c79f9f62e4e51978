package app

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/adapters/prices"
	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
)

const (
	// stopPatience is how long instances are drained when the process stops.
	stopPatience = time.Minute
	// stopGrace is how much longer the end of the autoscalers is waited for.
	stopGrace = actors.StopLatest + 5*time.Second
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
	// Load reads the configuration again; nil when it can not be.
	Load func() (config.File, error)
	// LoadFrom reads another file as Load reads its own, with the same environment and
	// flags; nil reads it with the environment alone.
	LoadFrom func(path string) (config.File, error)
	// Path is the file whose changes have it read again; empty is none.
	Path string
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

// Process is a running ebb: the event server and one autoscaler for each
// configuration.
type Process struct {
	options Options
	server  *bus.Server // nil with an external one
	bus     *bus.Bus
	leases  *bus.Leases
	states  *bus.States
	runner  *runner
	node    *actors.Node
	holder  string
	prices  prices.List
	// clients are the ones in use; guarded by mu once the process runs.
	clients map[messages.AutoscalerName]*clearml.Client
	ledgers map[messages.AutoscalerName]*bus.Ledger // as clients
	// carrier is what all calls to AWS go over: one for all configurations that
	// there ever are, since connections of the SDK cannot be closed.
	carrier httpCarrier
	log     zerolog.Logger
	control *controls
	// monitoring is told of everything.
	monitoring *monitoring
	web        *webServer // nil when nothing is served

	// replacing holds apart those who write the configuration file, reading those who
	// read it again and take it over. They are taken in this order, and before mu.
	replacing, reading sync.Mutex
	// mu holds reloads apart, and from the beginning of the stop.
	mu       sync.Mutex
	stopping bool
	modes    map[messages.AutoscalerName]messages.OnShutdown
	// restart are the differences that were told to take effect at the next start.
	restart []string
	// standing is how the file is that was read last.
	standing standing
}

// Run starts a process and keeps it until ctx ends; then it stops in order. The
// configuration is read again at each hangup and when its file has changed. A process
// that is stuck for good ends with an error.
func Run(ctx context.Context, options Options, hangups <-chan os.Signal) error {
	watching, watched := context.WithCancel(ctx)
	defer watched()
	changed := watchFile(watching, options.Path, options.Log) // from before the start: that may wait for the event server
	process, err := Start(ctx, options)
	if err != nil {
		return err
	}
	manager := newSystemd(options.Log)
	stuck := newWatchdog(process.monitoring.probe.Judge, func() { manager.tell(systemdAlive) }).watch(watching)
	manager.tell(systemdReady)
	for {
		by := "SIGHUP"
		select {
		case <-ctx.Done():
			manager.tell(systemdStopping)
			return manager.during(process.Stop)
		case what := <-stuck:
			process.abandon()
			return fmt.Errorf("this process is stuck (%s) and has ended, so that it can be started anew; "+
				"that is safe, instances and launches are found again", what)
		case <-hangups:
		case <-changed:
			by = byFile
		}
		_, _ = process.Reload(ctx, by) // it has said what went wrong
	}
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
		holder: holder(), prices: prices.OnDemand(),
		clients: make(map[messages.AutoscalerName]*clearml.Client), ledgers: make(map[messages.AutoscalerName]*bus.Ledger),
		carrier: ec2.NewHTTPClient(),
	}
	names := make([]messages.AutoscalerName, 0, len(translated))
	for _, t := range translated {
		names = append(names, t.Name)
	}
	p.monitoring = newMonitoring(p, names)
	if err := p.openBus(ctx, options); err != nil {
		p.close()
		return nil, err
	}
	configs := make([]actors.Config, 0, len(translated))
	for _, t := range translated {
		cfg, tracker, err := p.assemble(ctx, options, t)
		if err != nil {
			p.close()
			return nil, fmt.Errorf("autoscaler %q: %w", t.Name, err)
		}
		configs, p.clients[t.Name] = append(configs, cfg), tracker
		p.modes[t.Name] = t.OnShutdown
	}
	p.control = newControls(p)
	p.node = actors.StartNode(actors.Seams{
		Clock: options.Clock, Runner: p.runner, Log: options.Log,
		Acting: func(name messages.AutoscalerName, acts bool) {
			p.control.acting(name, acts)
			p.monitoring.Acting(name, acts)
		},
	}, configs)
	p.monitoring.Open(statusDesk{p.node})
	p.control.start(context.WithoutCancel(ctx)) // commands are answered until the end of the stop
	if err := p.openWeb(ctx); err != nil {
		p.close()
		return nil, err
	}
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
		Holder: p.holder, Place: place, Timing: options.File.Lease.Timing(), Now: time.Now,
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

// httpCarrier sends requests, as the SDK wants it.
type httpCarrier interface {
	Do(request *http.Request) (*http.Response, error)
}

// assemble makes the adapters of one autoscaler. Its ClearML client is the caller's
// to close; it has no connection before its first call.
func (p *Process) assemble(ctx context.Context, options Options, t Translated) (actors.Config, *clearml.Client, error) {
	log := options.Log.With().Str("autoscaler", string(t.Name)).Logger()
	var seed uint64
	if err := binary.Read(cryptorand.Reader, binary.LittleEndian, &seed); err != nil {
		return actors.Config{}, nil, fmt.Errorf("draw a seed: %w", err)
	}
	t.ClearML.Clock, t.ClearML.Log = options.Clock, log
	p.monitoring.tap(&t)
	t.ClearML.Rand = rand.New(rand.NewPCG(seed, 0))
	tracker, err := clearml.New(t.ClearML)
	if err != nil {
		return actors.Config{}, nil, err
	}
	t.EC2.HTTPClient = p.carrier
	client, err := ec2.NewClient(ctx, t.EC2)
	if err != nil {
		return actors.Config{}, nil, err
	}
	fleet, err := ec2.New(ec2.Config{Autoscaler: t.Name, Client: client, Resources: t.Templates(), Log: log})
	if err != nil {
		return actors.Config{}, nil, err
	}
	ledger, err := p.ledger(ctx, t.Name)
	if err != nil {
		return actors.Config{}, nil, err
	}
	cfg := actors.Config{
		Name: t.Name, Version: options.Version, WorkersPrefix: t.Query.WorkersPrefix,
		PollingInterval: t.PollingInterval, AnswerFresh: options.AnswerFresh, Queues: t.Queues,
		ClearML: tracker, EC2: fleet, Ledger: ledger, Publisher: p.bus, Seed: seed,
		Ownership: p.leases, Lease: options.leaseTiming(), State: p.states,
		RequeueLost: t.RequeueLost, WarnDuplicates: t.WarnDuplicates, Watch: p.monitoring.Observe,
		Text: func(r messages.Recorded) string {
			return fmt.Sprintf("%s: %s", strings.TrimSpace(r.Event.Kind()+" "+r.Event.About()), eventtext.Words(r.Event))
		},
	}
	for _, r := range t.Resources {
		cfg.Resources = append(cfg.Resources, actors.Resource{
			Price: p.priceOf(r),
			Name:  r.Name, Max: r.Max, Offerings: r.Offerings, MaxIdle: r.MaxIdleTime, MaxSpinUp: r.MaxSpinUpTime,
			MaxLifetime: r.MaxLifetime, Fallback: r.Fallback, Image: r.Template.AMI,
		})
	}
	return cfg, tracker, nil
}

// ledger is that of an autoscaler. It is opened once: a new configuration is no matter
// of the event server, and is taken over also while that cannot be reached.
func (p *Process) ledger(ctx context.Context, name messages.AutoscalerName) (*bus.Ledger, error) {
	if opened := p.ledgers[name]; opened != nil {
		return opened, nil
	}
	opened, err := p.bus.OpenLedger(ctx, bus.LedgerConfig{Autoscaler: name})
	if err == nil {
		p.ledgers[name] = opened
	}
	return opened, err
}

// priceOf estimates what an hour of an offering of a resource type costs.
func (p *Process) priceOf(r Resource) func(messages.Offering) float64 {
	if r.PricePerHour > 0 {
		return func(messages.Offering) float64 { return r.PricePerHour }
	}
	return p.prices.Hourly
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
	p.mu.Lock()
	p.stopping = true
	modes := maps.Clone(p.modes)
	p.mu.Unlock() // commands are answered until the end of the stop, and may want it
	p.node.Stop(modes, stopPatience)
	deadline := time.NewTimer(stopPatience + stopGrace)
	defer deadline.Stop()
	var problem error
	for range modes {
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

// abandon ends a process that does not do what it is told: no autoscaler is asked to
// stop, so no instance is ended.
func (p *Process) abandon() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		p.close()
	}()
	select {
	case <-closed:
	case <-time.After(abandonPatience):
	}
}

// close ends what there is, in the reverse order of the start.
func (p *Process) close() {
	if p.web != nil {
		p.web.close()
	}
	if p.node != nil {
		p.node.Close()
	}
	if p.control != nil {
		p.control.close()
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
