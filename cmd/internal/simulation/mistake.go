package simulation

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
)

// mistake is a known bug, put in where the program is put together: only tests of
// this package can, and the program itself knows nothing of it. Each part may be
// nil.
type mistake struct {
	// configure changes what a process is made of: its ports and its resource types.
	configure func(p *process, cfg *actors.Config)
	// messages stands between the actors of a process and their mailboxes.
	messages func(p *process) actor.ReceiverMiddleware
	// agents stands between the agents and supervisors and their server.
	agents func(server fakeagent.API) fakeagent.API
	// options changes the world, and befalls happens to it once it is there, for
	// what never comes up by itself.
	options func(*Options)
	befalls func(*World)
	// faults are those that may strike, nil for all.
	faults []string
}

func (m *mistake) configured(p *process, cfg actors.Config) actors.Config {
	if m != nil && m.configure != nil {
		m.configure(p, &cfg)
	}
	return cfg
}

func (m *mistake) middleware(p *process) []actor.ReceiverMiddleware {
	if m == nil || m.messages == nil {
		return nil
	}
	return []actor.ReceiverMiddleware{m.messages(p)}
}

func (m *mistake) agent(server fakeagent.API) fakeagent.API {
	if m == nil || m.agents == nil {
		return server
	}
	return m.agents(server)
}

func (m *mistake) drawn(o Options) Options {
	if m != nil && m.options != nil {
		m.options(&o)
	}
	o.mistake = m
	return o
}

func (m *mistake) begins(w *World) {
	if m != nil && m.befalls != nil {
		m.befalls(w)
	}
}
