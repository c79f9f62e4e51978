package app

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

// serveAgain is how soon a control service that could not be started is tried
// again.
const serveAgain = 5 * time.Second

// controls runs a control service for each autoscaler that this process acts for,
// exactly while it does.
type controls struct {
	process *Process
	nudge   chan struct{}
	done    chan struct{}
	end     context.CancelFunc

	mu     sync.Mutex
	wanted map[messages.AutoscalerName]bool
}

func newControls(p *Process) *controls {
	return &controls{
		process: p, nudge: make(chan struct{}, 1), done: make(chan struct{}), wanted: make(map[messages.AutoscalerName]bool),
	}
}

// acting is told by the actors, and never waits.
func (c *controls) acting(name messages.AutoscalerName, acts bool) {
	c.mu.Lock()
	c.wanted[name] = acts
	c.mu.Unlock()
	select {
	case c.nudge <- struct{}{}:
	default:
	}
}

// start runs until ctx ends or close is called.
func (c *controls) start(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	c.end = cancel
	go c.run(ctx)
}

func (c *controls) run(ctx context.Context) {
	defer close(c.done)
	running := make(map[messages.AutoscalerName]*bus.Control)
	again := time.NewTicker(serveAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			for _, service := range running {
				service.Stop()
			}
			return
		case <-c.nudge:
		case <-again.C:
		}
		c.follow(ctx, running)
	}
}

// follow starts and stops services as the actors said last.
func (c *controls) follow(ctx context.Context, running map[messages.AutoscalerName]*bus.Control) {
	c.mu.Lock()
	wanted := maps.Clone(c.wanted)
	c.mu.Unlock()
	p := c.process
	for name, acts := range wanted {
		service := running[name]
		switch {
		case acts && service == nil:
			service, err := p.bus.Serve(ctx, bus.ControlConfig{
				Autoscaler: name, Holder: p.holder, Version: p.options.Version, Handlers: control.Handlers(name, engine{p}),
			})
			if err != nil {
				p.log.Warn().Err(err).Str("autoscaler", string(name)).Msg("commands can not reach the autoscaler yet; tried again")
				continue
			}
			running[name] = service
		case !acts && service != nil:
			service.Stop()
			delete(running, name)
		}
	}
}

func (c *controls) close() {
	c.end()
	<-c.done
}

// engine is the process as control sees it.
type engine struct{ *Process }

// Order implements [control.Engine].
func (e engine) Order(ctx context.Context, name messages.AutoscalerName, by string, order messages.Order) (messages.Answered, error) {
	return e.Process.Order(ctx, name, by, order)
}

// Now implements [control.Engine].
func (e engine) Now() time.Time { return e.options.Clock.Now() }

// Order has an autoscaler carry out an order and waits for the answer. Every
// error carries a [messages.Failure].
func (p *Process) Order(ctx context.Context, name messages.AutoscalerName, by string, order messages.Order) (messages.Answered, error) {
	answers := make(chan messages.Answered, 1)
	forget := p.node.Order(name, by, order, func(answered messages.Answered) { answers <- answered })
	defer forget()
	select {
	case answer := <-answers:
		if answer.Failure != nil {
			return messages.Answered{}, answer.Failure
		}
		if answer.Status != nil {
			status := *answer.Status
			status.Configuration = p.standing.status()
			answer.Status = &status
		}
		return answer, nil
	case <-ctx.Done():
		return messages.Answered{}, &messages.Failure{Class: messages.ClassTransient, Message: "the autoscaler gave no answer in time; it may be beginning anew: try again"}
	}
}
