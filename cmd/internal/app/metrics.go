package app

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/adapters/health"
	"github.com/ebbscale/ebb/adapters/metrics"
	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

// ec2Within is how old a listing may be before the process is not ready: five that
// failed.
const ec2Within = 5 * time.Minute

// monitoring is what tells others how the process is: metrics and health.
type monitoring struct {
	*metrics.Metrics
	probe *health.Probe

	mu       sync.Mutex
	expected []health.Expected
}

// newMonitoring makes the metrics of a process that is not up yet.
func newMonitoring(p *Process, names []messages.AutoscalerName) *monitoring {
	m := &monitoring{Metrics: metrics.New(metrics.Config{
		Version: p.options.Version, Clock: p.options.Clock, Autoscalers: names, Disk: p.disk,
	})}
	m.probe = health.New(health.Config{
		Now: p.options.Clock.Now, Autoscalers: m.autoscalers, Statuses: m.Statuses, Configuration: p.standing.health,
		Bus: func() health.Bus {
			if p.server == nil {
				return health.Bus{Connected: p.bus.Connected()}
			}
			store := p.server.Store()
			return health.Bus{
				Embedded: true, Running: p.server.Running(), Connected: p.bus.Connected(),
				Disk: health.Disk{Fault: store.Fault.Words(), Cure: store.Fault.Cure(), Free: store.Free, Low: store.Low},
			}
		},
	})
	return m
}

// disk is how the disk of the embedded event server is; nil with an external one.
func (p *Process) disk() *metrics.Disk {
	if p.server == nil {
		return nil
	}
	store := p.server.Store()
	return &metrics.Disk{Writable: store.Fault == bus.StoreGood, Free: store.Free, Low: store.Low}
}

// tap has an autoscaler that is being made told of: its events and its calls.
func (m *monitoring) tap(t *Translated) {
	t.EC2.Called, t.ClearML.Called = m.EC2Calls(t.Name), m.ClearMLCalls(t.Name)
	now := health.Expected{Name: t.Name, ClearMLWithin: 2*t.PollingInterval + 15*time.Second, EC2Within: ec2Within}
	m.mu.Lock()
	defer m.mu.Unlock()
	for n, known := range m.expected {
		if known.Name == t.Name {
			m.expected[n] = now
			return
		}
	}
	m.expected = append(m.expected, now)
}

func (m *monitoring) autoscalers() []health.Expected {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]health.Expected(nil), m.expected...)
}

// reloaded notes what became of a new configuration of these autoscalers.
func (m *monitoring) reloaded(of map[messages.AutoscalerName]messages.OnShutdown, taken bool) {
	for name := range of {
		m.Reloaded(name, taken)
	}
}

// Monitoring serves /metrics, /healthz and /readyz. What it says holds no secret and
// no id.
func (p *Process) Monitoring() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", p.monitoring.Handler())
	mux.Handle("GET /healthz", p.monitoring.probe.Live())
	mux.Handle("GET /readyz", p.monitoring.probe.Ready())
	return mux
}

// statusDesk asks the actors for statuses.
type statusDesk struct{ node *actors.Node }

// Status implements [metrics.Desk].
func (d statusDesk) Status(ctx context.Context, name messages.AutoscalerName) (messages.Answered, error) {
	answers := make(chan messages.Answered, 1)
	forget := d.node.Order(name, "metrics", messages.ReportStatus{}, func(answered messages.Answered) { answers <- answered })
	defer forget()
	select {
	case answer := <-answers:
		return answer, nil
	case <-ctx.Done():
		return messages.Answered{}, ctx.Err()
	}
}
