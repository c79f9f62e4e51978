package simulation

import (
	"context"
	"fmt"
	"strings"

	"github.com/ebbscale/ebb/adapters/fake/fakeagent"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
)

// agentAPI is how the agent or the supervisor of one instance calls ClearML,
// over a network of its own and without HTTP.
type agentAPI struct {
	laws   *laws
	wire   *wire
	host   *instance
	server fakeagent.API
}

// agentAPI makes one for a process on an instance.
func (w *World) agentAPI(i fakeec2.Instance) fakeagent.API {
	return &agentAPI{
		laws: w.laws, wire: w.wire(nil, clearMLHost, &w.working), host: w.laws.instances[i.ID],
		server: w.options.mistake.agent(fakeagent.NewInProcess(w.ml)),
	}
}

// Call implements fakeagent.API.
func (a *agentAPI) Call(ctx context.Context, endpoint string, in fakeagent.Body, out any) error {
	_, err := carry(ctx, a.wire, call{name: endpoint}, func() (done, error) {
		err := a.server.Call(ctx, endpoint, in, out)
		if err == nil && a.host != nil {
			a.laws.agentDid(a.host, endpoint[strings.LastIndexByte(endpoint, '/')+1:], in, out)
		}
		return done{}, err
	})
	return err
}

// agentDid sees every call of an agent that the server has served without HTTP.
func (l *laws) agentDid(i *instance, endpoint string, in fakeagent.Body, out any) {
	switch endpoint {
	case "workers.register":
		l.registered(i)
	case "queues.get_next_task":
		if next, ok := out.(*fakeagent.Next); ok && next.Entry.Task != "" {
			l.popped(i, next.Entry.Task)
		}
	case "tasks.completed", "tasks.stopped", "tasks.failed":
		if i.task != nil && in["task"] == i.task.id {
			l.finished(i)
		}
	case "queues.add_or_update_metadata":
		l.acked(i, fmt.Sprint(in["metadata"]))
	case "workers.status_report":
		_, withTask := in["task"]
		l.reported(i, withTask)
	}
}
