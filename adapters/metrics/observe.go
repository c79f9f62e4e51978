package metrics

import (
	"time"

	"github.com/ebbscale/ebb/messages"
)

// requestsMax bounds the launches in flight that are remembered: their ends are
// events too, so that more means that ends were missed.
const requestsMax = 10_000

// Observe is told of each event as it is recorded. It does not block.
func (m *Metrics) Observe(r messages.Recorded) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tracker(r.Autoscaler)
	o := observing{m: m, t: t, autoscaler: string(r.Autoscaler), at: r.At}
	o.count("ebb_events_recorded_total", r.Event.Kind())
	o.event(r.Event)
}

// observing is one event being counted.
type observing struct {
	m          *Metrics
	t          *tracker
	autoscaler string
	at         time.Time
}

func (o observing) count(name string, values ...string) { o.add(name, 1, values...) }

func (o observing) add(name string, n int, values ...string) {
	o.m.counters[name].WithLabelValues(append([]string{o.autoscaler}, values...)...).Add(float64(n))
}

func (o observing) took(name string, d time.Duration, values ...string) {
	o.m.histograms[name].WithLabelValues(append([]string{o.autoscaler}, values...)...).Observe(max(0, d.Seconds()))
}

// event counts what concerns the autoscaler and its queues; the rest goes on to
// more special ones.
//
//nolint:cyclop // one case for each event
func (o observing) event(event messages.Event) {
	switch e := event.(type) {
	case messages.AutoscalerStarted:
		o.t.act(true, o.at)
	case messages.AutoscalerStopped:
		o.t.act(false, o.at)
	case messages.ObservationFailed:
		o.count("ebb_observation_failures_total", e.Source, string(e.Class))
	case messages.FleetGuarded:
		o.count("ebb_guard_alarms_total")
	case messages.QueueObserved:
		o.t.waiting(e, o.at)
	case messages.QueuePlanned:
		o.t.planned(e)
	case messages.QueueClosed:
		o.count("ebb_queue_closings_total", string(e.Queue))
	case messages.TaskRequeued:
		o.count("ebb_tasks_requeued_total", string(e.Queue), first(e.Reasons))
	case messages.TaskLost:
		o.count("ebb_tasks_lost_total", string(e.Queue), first(e.Reasons))
	case messages.TaskDuplicated:
		o.count("ebb_tasks_duplicated_total")
	case messages.ResourceHeld:
		o.count("ebb_resource_holds_total", string(e.Resource), first(e.Reasons))
	case messages.AutoscalerPaused, messages.AutoscalerResumed, messages.ObservationRecovered, messages.QueueCreated,
		messages.QueueOpened, messages.ResourceReleased, messages.AutoscalerReconfigured, messages.AutoscalerMisconfigured,
		messages.AutoscalerContested, messages.AutoscalerUncontested:
		// The gauges tell of these, and [Metrics.Reloaded] of new configurations.
	case messages.InstanceRequested, messages.InstanceRefused, messages.InstanceLaunched, messages.InstanceAdopted:
		o.launch(event)
	case messages.InstanceRegistered, messages.InstanceBusy, messages.InstanceIdle, messages.InstanceUnready,
		messages.InstanceNoticed, messages.InstanceStray:
		o.life(event)
	case messages.InstanceDraining, messages.InstanceKept, messages.InstanceRecalled, messages.InstanceTerminating,
		messages.InstanceUnended, messages.InstanceGone:
		o.leave(event)
	}
}

// launch counts the beginnings of instances.
func (o observing) launch(event messages.Event) {
	switch e := any(event).(type) {
	case messages.InstanceRequested:
		if len(o.t.requests) >= requestsMax {
			clear(o.t.requests)
		}
		o.t.request(e, o.at)
		o.add("ebb_instances_requested_total", e.Count, string(e.Resource), string(e.Offering.Market), e.Offering.InstanceType)
	case messages.InstanceRefused:
		delete(o.t.requests, e.Request)
		o.add("ebb_instances_refused_total", e.Count,
			string(e.Resource), string(e.Offering.Market), e.Offering.InstanceType, string(e.Class))
	case messages.InstanceLaunched:
		o.launched(e)
	case messages.InstanceAdopted:
		o.t.begin(e.Instance, purse{e.Resource, e.Offering.Market}, e.HourlyUSD, o.at)
		if e.State == messages.StateRunning { // most likely it booted long ago, and was counted by another process
			o.t.instance(e.Instance, e.Resource).booted = true
		}
		o.count("ebb_instances_adopted_total", string(e.Resource))
	}
}

func (o observing) launched(e messages.InstanceLaunched) {
	if r, known := o.t.requests[e.Request]; known { // one launch is one measurement, however many instances it gave
		delete(o.t.requests, e.Request)
		o.took("ebb_launch_seconds", o.at.Sub(r.at), string(e.Resource))
		if !r.seen.IsZero() {
			o.took("ebb_task_seen_to_launched_seconds", o.at.Sub(r.seen), string(e.Resource))
		}
	}
	o.t.begin(e.Instance, purse{e.Resource, e.Offering.Market}, e.HourlyUSD, o.at)
	o.count("ebb_instances_launched_total", string(e.Resource), string(e.Offering.Market), e.Offering.InstanceType)
}

// life counts what happens to instances while they live.
func (o observing) life(event messages.Event) {
	switch e := any(event).(type) {
	case messages.InstanceRegistered:
		if i := o.t.instance(e.Instance, e.Resource); !i.booted {
			i.booted = true
			o.took("ebb_boot_seconds", time.Duration(e.BootSeconds*float64(time.Second)), string(e.Resource))
		}
	case messages.InstanceBusy:
		i := o.t.instance(e.Instance, e.Resource)
		i.idleSince = time.Time{}
		if e.Task == "" || i.task != e.Task {
			i.task = e.Task
			o.count("ebb_tasks_started_total", string(e.Resource))
		}
	case messages.InstanceIdle:
		o.t.live(e.Instance).idleSince = e.Since
	case messages.InstanceUnready:
		o.count("ebb_instances_unready_total", string(e.Resource), first(e.Reasons))
	case messages.InstanceNoticed:
		o.count("ebb_instances_noticed_total", string(e.Resource), string(e.Notice))
	case messages.InstanceStray:
		o.t.instance(e.Instance, e.Resource).stray = true
	}
}

// leave counts the ends of instances.
func (o observing) leave(event messages.Event) {
	switch e := any(event).(type) {
	case messages.InstanceDraining:
		o.count("ebb_drains_total", string(e.Resource), first(e.Reasons))
		if i := o.t.live(e.Instance); !i.idleSince.IsZero() {
			o.took("ebb_idle_before_drain_seconds", o.at.Sub(i.idleSince), string(e.Resource))
		}
	case messages.InstanceKept:
		o.count("ebb_drains_kept_total", string(e.Resource), first(e.Reasons))
	case messages.InstanceRecalled:
		o.count("ebb_drains_recalled_total", string(e.Resource))
	case messages.InstanceTerminating:
		o.t.live(e.Instance).unended = false
		o.count("ebb_instances_terminated_total", string(e.Resource), first(e.Reasons), string(e.Method))
	case messages.InstanceUnended:
		o.t.live(e.Instance).unended = true
	case messages.InstanceGone:
		o.t.end(e.Instance, o.at)
		o.count("ebb_instances_gone_total", string(e.Resource), string(e.Offering.Market), first(e.Reasons))
		o.took("ebb_instance_lifetime_seconds", time.Duration(e.UpSeconds*float64(time.Second)),
			string(e.Resource), string(e.Offering.Market))
	}
}

// first is the code of the first reason, which is what it was done for.
func first(reasons []messages.Reason) string {
	if len(reasons) == 0 {
		return "unknown"
	}
	return string(reasons[0].Code)
}
