package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ebbscale/ebb/messages"
)

// snapshot is the gauges of one moment, as a collector for one scrape.
type snapshot struct {
	descs   map[string]*prometheus.Desc
	now     time.Time
	samples []prometheus.Metric
}

// Describe implements prometheus.Collector.
func (s *snapshot) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range s.descs {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (s *snapshot) Collect(to chan<- prometheus.Metric) {
	for _, sample := range s.samples {
		to <- sample
	}
}

func (s *snapshot) set(name string, value float64, labels ...string) {
	s.sample(prometheus.GaugeValue, name, value, labels)
}

func (s *snapshot) sample(of prometheus.ValueType, name string, value float64, labels []string) {
	sample, err := prometheus.NewConstMetric(s.descs[name], of, value, labels...)
	if err != nil { // shown by the scrape, as an error
		sample = prometheus.NewInvalidMetric(s.descs[name], err)
	}
	s.samples = append(s.samples, sample)
}

// snapshot makes the gauges of what is known now.
func (m *Metrics) snapshot(got answers) *snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &snapshot{descs: m.descs, now: m.clock.Now()}
	if m.disk != nil {
		s.disk(m.disk())
	}
	for _, name := range m.autoscalers {
		t, answer := m.tracker(name), got[name]
		s.tracked(string(name), t)
		up := answer.Status != nil || (answer.Failure != nil && answer.Failure.Class == messages.ClassHeld)
		s.set("ebb_up", number(up), string(name))
		if answer.Status != nil && t.acting {
			t.learn(answer.Status)
			s.status(string(name), answer.Status)
			s.sample(prometheus.CounterValue, "ebb_events_lost_total", float64(t.lost), []string{string(name)})
		}
	}
	return s
}

// disk tells how the disk of the embedded event server is, if there is one.
func (s *snapshot) disk(disk *Disk) {
	if disk == nil {
		return
	}
	s.set("ebb_disk_writable", number(disk.Writable))
	s.set("ebb_disk_low", number(disk.Low))
	if disk.Free >= 0 {
		s.set("ebb_disk_free_bytes", float64(disk.Free))
	}
}

// tracked tells what events add up to.
func (s *snapshot) tracked(name string, t *tracker) {
	s.set("ebb_acting", number(t.acting), name)
	s.set("ebb_config_last_reload_successful", number(!t.misconfigured), name)
	for purse, spent := range t.spent {
		s.sample(prometheus.CounterValue, "ebb_cost_dollars_total", spent.spentAt(s.now),
			[]string{name, string(purse.resource), string(purse.market)})
	}
	unended, stray := make(map[messages.ResourceName]int), make(map[messages.ResourceName]int)
	for _, i := range t.instances {
		// An entry for each resource type with instances: zero is a value too.
		unended[i.purse.resource] += int(number(i.unended))
		stray[i.purse.resource] += int(number(i.stray))
	}
	for resource, n := range unended {
		s.set("ebb_instances_unended", float64(n), name, string(resource))
		s.set("ebb_instances_stray", float64(stray[resource]), name, string(resource))
	}
}

// status tells what an autoscaler that acts knows.
func (s *snapshot) status(name string, status *messages.Status) {
	s.set("ebb_acting_since_timestamp_seconds", seconds(status.StartedAt), name)
	s.set("ebb_lease_epoch", float64(status.Epoch), name)
	s.set("ebb_stopping", number(status.Stopping), name)
	s.set("ebb_paused", number(status.Pause != nil), name)
	if status.Pause != nil {
		s.set("ebb_paused_since_timestamp_seconds", seconds(status.Pause.At), name)
	}
	s.set("ebb_contested", number(status.Rival != nil), name)
	s.set("ebb_status_silent", float64(len(status.Silent)), name)
	s.set("ebb_events_pending", float64(status.EventsPending), name)
	s.source(name, "clearml", status.ClearML, status.StartedAt)
	s.source(name, "ec2", status.EC2, status.StartedAt)
	for _, queue := range status.Queues {
		s.queue(name, queue)
	}
	for _, resource := range status.Resources {
		s.resource(name, resource)
	}
	s.instances(name, status)
}

func (s *snapshot) source(name, source string, status messages.SourceStatus, began time.Time) {
	good := status.LastGood
	if good.IsZero() {
		good = began
	}
	s.set("ebb_observation_age_seconds", max(0, s.now.Sub(good).Seconds()), name, source)
	s.set("ebb_observation_up", number(status.DownSince.IsZero() && !status.LastGood.IsZero()), name, source)
}

func (s *snapshot) queue(name string, status messages.QueueStatus) {
	queue := string(status.Queue)
	for _, resource := range status.Resources {
		s.set("ebb_queue_resource_info", 1, name, queue, string(resource))
	}
	if !status.Known {
		return
	}
	s.set("ebb_queue_tasks_waiting", float64(status.Waiting), name, queue)
	s.set("ebb_queue_oldest_wait_seconds", status.WaitSeconds, name, queue)
	verdict := status.Verdict
	s.set("ebb_queue_tasks_covered", float64(verdict.Covered), name, queue)
	s.set("ebb_queue_tasks_launching", float64(verdict.Launching), name, queue)
	s.set("ebb_queue_tasks_unmet", float64(verdict.Unmet), name, queue)
	if verdict.Unmet == 0 {
		return
	}
	told := make(map[messages.ReasonCode]bool)
	for _, reason := range verdict.Reasons {
		if !told[reason.Code] {
			told[reason.Code] = true
			s.set("ebb_queue_unmet_reason", 1, name, queue, string(reason.Code))
		}
	}
}

func (s *snapshot) resource(name string, status messages.ResourceStatus) {
	resource := string(status.Resource)
	s.set("ebb_resource_known", number(status.Known), name, resource)
	s.set("ebb_resource_max_instances", float64(status.Max), name, resource)
	s.set("ebb_resource_offerings", float64(len(status.Offerings)), name, resource)
	if status.Known {
		s.set("ebb_resource_instances_alive", float64(status.Alive), name, resource)
		s.set("ebb_resource_launching", float64(status.Launching), name, resource)
	}
	type hold struct{ reason, class string }
	held := make(map[hold]bool)
	for _, reason := range status.Held {
		h := hold{reason: string(reason.Code), class: reason.Subject}
		if !held[h] {
			held[h] = true
			s.set("ebb_resource_held", 1, name, resource, h.reason, h.class)
		}
	}
	blocked := make(map[messages.FailureClass]int)
	for _, block := range status.Blocks {
		blocked[block.Class]++
	}
	for class, n := range blocked {
		s.set("ebb_resource_offerings_blocked", float64(n), name, resource, string(class))
	}
}

// kind is what instances of one resource type are told apart by.
type kind struct {
	resource     messages.ResourceName
	market       messages.Market
	instanceType string
}

// instances counts instances and what they cost. Of what may be launched each
// condition is told, also with none.
func (s *snapshot) instances(name string, status *messages.Status) {
	counts := make(map[kind]map[messages.Condition]int)
	unpriced := make(map[messages.ResourceName]int)
	type price struct {
		purse     purse
		condition messages.Condition
	}
	hourly := make(map[price]float64)
	for _, resource := range status.Resources {
		if !resource.Known {
			continue
		}
		unpriced[resource.Resource] = 0
		for _, offering := range resource.Offerings {
			counts[kind{resource.Resource, offering.Market, offering.InstanceType}] = make(map[messages.Condition]int)
		}
	}
	for _, i := range status.Instances {
		k := kind{i.Resource, i.Offering.Market, i.Offering.InstanceType}
		if counts[k] == nil {
			counts[k] = make(map[messages.Condition]int)
		}
		counts[k][i.Condition]++
		if i.HourlyUSD > 0 {
			hourly[price{purse{i.Resource, i.Offering.Market}, i.Condition}] += i.HourlyUSD
		} else {
			unpriced[i.Resource]++
		}
	}
	for k, of := range counts {
		for _, condition := range messages.Conditions() {
			s.set("ebb_instances", float64(of[condition]), name, string(k.resource), string(k.market), k.instanceType, string(condition))
		}
	}
	for resource, n := range unpriced {
		s.set("ebb_instances_unpriced", float64(n), name, string(resource))
	}
	for p, dollars := range hourly {
		s.set("ebb_cost_dollars_per_hour", dollars, name, string(p.purse.resource), string(p.purse.market), string(p.condition))
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func seconds(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }
