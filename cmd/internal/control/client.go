package control

import (
	"context"
	"time"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

// askPatience bounds one request and its answer; the engine takes at most 2 s
// for an order, reading a new configuration may take longer.
const askPatience = 10 * time.Second

// Client asks the process that acts, wherever it runs. Errors are those of
// [bus.Bus.Ask].
type Client struct{ Bus *bus.Bus }

func ask[A any](ctx context.Context, c Client, name messages.AutoscalerName, verb string, request any) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	var answer A
	err := c.Bus.Ask(ctx, name, verb, request, &answer)
	return answer, err
}

// Autoscalers are those that somebody acts for.
func (c Client) Autoscalers(ctx context.Context) ([]bus.ControlInfo, error) {
	return c.Bus.Controls(ctx)
}

// Status is what the autoscaler knows, with all of its instances.
func (c Client) Status(ctx context.Context, name messages.AutoscalerName) (messages.Status, error) {
	all, err := ask[Status](ctx, c, name, VerbStatus, StatusRequest{})
	for err == nil && all.More && len(all.Instances) > 0 {
		var next Status
		next, err = ask[Status](ctx, c, name, VerbStatus, StatusRequest{After: all.Instances[len(all.Instances)-1].Instance})
		all.Instances, all.More = append(all.Instances, next.Instances...), next.More && len(next.Instances) > 0
	}
	return all.Status, err
}

// Explain says why the tasks of a queue wait.
func (c Client) Explain(ctx context.Context, name messages.AutoscalerName, queue messages.QueueName) (Explanation, error) {
	return ask[Explanation](ctx, c, name, VerbExplain, ExplainRequest{Queue: queue})
}

// Pause ends launching.
func (c Client) Pause(ctx context.Context, name messages.AutoscalerName, request PauseRequest) error {
	_, err := ask[Done](ctx, c, name, VerbPause, request)
	return err
}

// Resume ends a pause.
func (c Client) Resume(ctx context.Context, name messages.AutoscalerName, request ResumeRequest) error {
	_, err := ask[Done](ctx, c, name, VerbResume, request)
	return err
}

// Drain lets one instance go.
func (c Client) Drain(ctx context.Context, name messages.AutoscalerName, request DrainRequest) (Done, error) {
	return ask[Done](ctx, c, name, VerbDrain, request)
}

// ShutdownIdle lets idle instances go.
func (c Client) ShutdownIdle(ctx context.Context, name messages.AutoscalerName, request ShutdownIdleRequest) (Done, error) {
	return ask[Done](ctx, c, name, VerbShutdownIdle, request)
}

// Reload has the configuration file read again.
func (c Client) Reload(ctx context.Context, name messages.AutoscalerName, request ReloadRequest) (Reloaded, error) {
	return ask[Reloaded](ctx, c, name, VerbReload, request)
}
