package metrics

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/ebbscale/ebb/messages"
)

// Clock tells the time.
type Clock interface {
	// Now is the current time; it is compared with the times of events.
	Now() time.Time
	// Elapsed grows with the time and never goes back; calls are measured by it.
	Elapsed() time.Duration
}

// Desk is where autoscalers are asked for their status.
type Desk interface {
	// Status returns an autoscaler's answer: a status, or a failure of class held
	// when this process does not act for it. An error, also that of ctx, is no
	// answer. It is called for several autoscalers at the same time.
	Status(ctx context.Context, name messages.AutoscalerName) (messages.Answered, error)
}

// The results of a reload.
const (
	reloadApplied = "applied"
	reloadRefused = "refused"
)

// Defaults of [Config].
const (
	DefaultTimeout = 3 * time.Second
	DefaultFresh   = time.Second
)

// Config is what [New] makes metrics of.
type Config struct {
	Version string
	Clock   Clock
	// Autoscalers are those of the process, whether it acts for them or not.
	Autoscalers []messages.AutoscalerName
	// Timeout is how long a scrape waits for the autoscalers, in real time, Fresh
	// how long their answers serve further scrapes, by Clock; zero takes the
	// defaults.
	Timeout time.Duration
	Fresh   time.Duration
	// Disk tells how the disk of the embedded event server is; nil, or a nil answer,
	// when there is none.
	Disk func() *Disk
}

// Disk is how the disk of the embedded event server is.
type Disk struct {
	// Writable says that what is to be stored is stored.
	Writable bool
	// Free is how many bytes are free; -1 when nobody knows. Low says that this is
	// little.
	Free int64
	Low  bool
}

// Metrics are the metrics of one process. All methods may be called at the same
// time, and none waits for anybody but, within the time-out, for a status.
type Metrics struct {
	clock       Clock
	autoscalers []messages.AutoscalerName
	registry    *prometheus.Registry
	counters    map[string]*prometheus.CounterVec
	histograms  map[string]*prometheus.HistogramVec
	gauges      map[string]*prometheus.GaugeVec
	descs       map[string]*prometheus.Desc
	statuses    *statuses
	disk        func() *Disk

	mu       sync.Mutex
	trackers map[messages.AutoscalerName]*tracker
}

// New makes metrics. Nobody is asked for a status before [Metrics.Open].
func New(config Config) *Metrics {
	m := &Metrics{
		clock: config.Clock, autoscalers: config.Autoscalers, registry: prometheus.NewRegistry(),
		counters:   make(map[string]*prometheus.CounterVec),
		histograms: make(map[string]*prometheus.HistogramVec),
		gauges:     make(map[string]*prometheus.GaugeVec),
		descs:      make(map[string]*prometheus.Desc),
		statuses:   newStatuses(config),
		disk:       config.Disk,
		trackers:   make(map[messages.AutoscalerName]*tracker),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	told := m.toldAtScrapes()
	for _, metric := range Catalog() {
		switch {
		case told[metric.Name]:
			m.descs[metric.Name] = prometheus.NewDesc(metric.Name, metric.Help, metric.Labels, nil)
		case metric.Type == Counter:
			vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: metric.Name, Help: metric.Help}, metric.Labels)
			m.registry.MustRegister(vec)
			m.counters[metric.Name] = vec
		case metric.Type == Histogram:
			vec := prometheus.NewHistogramVec(
				prometheus.HistogramOpts{Name: metric.Name, Help: metric.Help, Buckets: metric.Buckets}, metric.Labels)
			m.registry.MustRegister(vec)
			m.histograms[metric.Name] = vec
		default:
			vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: metric.Name, Help: metric.Help}, metric.Labels)
			m.registry.MustRegister(vec)
			m.gauges[metric.Name] = vec
		}
	}
	m.gauges["ebb_build_info"].WithLabelValues(config.Version, runtime.Version()).Set(1)
	for _, name := range config.Autoscalers {
		m.tracker(name)
		m.zero(string(name))
	}
	return m
}

// zero shows counters without further labels before their first event: of a series
// that begins at 1 Prometheus does not see the increase.
func (m *Metrics) zero(name string) {
	for _, metric := range Catalog() {
		if vec := m.counters[metric.Name]; vec != nil && len(metric.Labels) == 1 {
			vec.WithLabelValues(name)
		}
	}
	for _, result := range []string{reloadApplied, reloadRefused} {
		m.counters["ebb_config_reloads_total"].WithLabelValues(name, result)
	}
}

// toldAtScrapes are the metrics that [snapshot] makes of statuses and trackers.
func (m *Metrics) toldAtScrapes() map[string]bool {
	told := map[string]bool{"ebb_events_lost_total": true, "ebb_cost_dollars_total": true}
	for _, metric := range Catalog() {
		if metric.Type == Gauge && metric.Name != "ebb_build_info" {
			told[metric.Name] = true
		}
	}
	return told
}

// Open says where to ask for statuses from now on.
func (m *Metrics) Open(desk Desk) { m.statuses.open(desk) }

// Acting is told when this process begins and ceases to act for an autoscaler.
func (m *Metrics) Acting(name messages.AutoscalerName, acts bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tracker(name).act(acts, m.clock.Now())
	m.statuses.forget()
}

// Reloaded is told whether a new configuration of an autoscaler was taken over; one
// without a difference counts too. Events do not tell of those, nor to a standby.
func (m *Metrics) Reloaded(name messages.AutoscalerName, taken bool) {
	result := reloadRefused
	if taken {
		result = reloadApplied
	}
	m.counters["ebb_config_reloads_total"].WithLabelValues(string(name), result).Inc()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tracker(name).misconfigured = !taken
}

// EC2Calls counts the calls that an autoscaler makes of EC2; ClearMLCalls, those of
// ClearML. The function is called as a call of an action begins, and the one that it
// returns as it ends, with "ok" or a failure class.
func (m *Metrics) EC2Calls(name messages.AutoscalerName) func(action string) func(result string) {
	return m.calls(name, m.counters["ebb_ec2_calls_total"], m.histograms["ebb_ec2_call_seconds"])
}

// ClearMLCalls is [Metrics.EC2Calls] for ClearML.
func (m *Metrics) ClearMLCalls(name messages.AutoscalerName) func(action string) func(result string) {
	return m.calls(name, m.counters["ebb_clearml_calls_total"], m.histograms["ebb_clearml_call_seconds"])
}

func (m *Metrics) calls(
	name messages.AutoscalerName, calls *prometheus.CounterVec, took *prometheus.HistogramVec,
) func(string) func(string) {
	return func(action string) func(string) {
		begun := m.clock.Elapsed()
		return func(result string) {
			calls.WithLabelValues(string(name), action, result).Inc()
			took.WithLabelValues(string(name), action).Observe((m.clock.Elapsed() - begun).Seconds())
		}
	}
}

// Statuses is what each autoscaler of the process answered, at most Fresh ago. One
// that did not answer within the time-out is not there. The map is not to be changed.
func (m *Metrics) Statuses(ctx context.Context) map[messages.AutoscalerName]messages.Answered {
	return m.statuses.get(ctx)
}

// Gather asks for statuses and collects everything.
func (m *Metrics) Gather(ctx context.Context) ([]*dto.MetricFamily, error) {
	moment := prometheus.NewRegistry()
	if err := moment.Register(m.snapshot(m.Statuses(ctx))); err != nil {
		return nil, fmt.Errorf("collect gauges: %w", err)
	}
	families, err := prometheus.Gatherers{m.registry, moment}.Gather()
	if err != nil {
		return families, fmt.Errorf("collect metrics: %w", err)
	}
	return families, nil
}

// Handler serves /metrics.
func (m *Metrics) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		families, err := m.Gather(r.Context())
		gathered := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return families, err })
		promhttp.HandlerFor(gathered, promhttp.HandlerOpts{
			// One bad series must not hide all the others.
			ErrorHandling: promhttp.ContinueOnError,
		}).ServeHTTP(w, r)
	})
}
