package metrics

import "slices"

// Type is what Prometheus calls the type of a metric.
type Type string

// The types.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram"
)

// Metric is one metric: what it is, and what it means to an operator.
type Metric struct {
	Name   string
	Type   Type
	Labels []string
	// Help says what it counts, as a sentence without its full stop.
	Help string
	// Worry says when somebody should look.
	Worry string
	// Buckets are the upper bounds of a histogram, in seconds.
	Buckets []float64
}

// The labels. Each value is a name of the configuration or a word of a closed set.
const (
	labelAutoscaler   = "autoscaler"
	labelQueue        = "queue"
	labelResource     = "resource"
	labelMarket       = "market"
	labelInstanceType = "instance_type"
	labelCondition    = "condition"
	labelReason       = "reason"
	labelClass        = "class"
	labelMethod       = "method"
	labelSource       = "source"
	labelKind         = "kind"
	labelNotice       = "notice"
	labelAction       = "action"
	labelResult       = "result"
	labelVersion      = "version"
	labelGoVersion    = "goversion"
)

// Part is a chapter of the catalog.
type Part struct {
	Title   string
	Metrics []Metric
}

// Parts is the catalog in chapters, in the order of the documentation.
func Parts() []Part {
	return []Part{
		{Title: "The process and its autoscalers", Metrics: processCatalog()},
		{Title: "Queues and tasks", Metrics: queueCatalog()},
		{Title: "Resource types and launches", Metrics: resourceCatalog()},
		{Title: "Instances", Metrics: instanceCatalog()},
		{Title: "Money", Metrics: moneyCatalog()},
		{Title: "Calls to EC2 and ClearML", Metrics: callCatalog()},
	}
}

// Catalog lists all metrics of ebb's own. The Go runtime's and the process's come
// besides, by Prometheus' own collectors.
func Catalog() []Metric {
	var all []Metric
	for _, part := range Parts() {
		all = slices.Concat(all, part.Metrics)
	}
	return all
}

func labels(more ...string) []string { return append([]string{labelAutoscaler}, more...) }

// The buckets: answers of an interface, launches, boots, lives.
func callBuckets() []float64 {
	return []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}
}

func launchBuckets() []float64 {
	return []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800}
}

func bootBuckets() []float64 {
	return []float64{15, 30, 45, 60, 90, 120, 180, 240, 300, 450, 600, 900, 1800}
}

func lifeBuckets() []float64 {
	return []float64{60, 300, 900, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 24 * 3600, 3 * 24 * 3600, 7 * 24 * 3600}
}

// processCatalog is the process and its autoscalers.
func processCatalog() []Metric {
	return []Metric{
		{Name: "ebb_build_info", Type: Gauge, Labels: []string{labelVersion, labelGoVersion}, Help: "Always 1; its labels say what runs", Worry: "never; it marks deployments on a board"},
		{Name: "ebb_up", Type: Gauge, Labels: labels(), Help: "Whether the autoscaler answered within the time, acting or standing by", Worry: "0 for more than two minutes: its actors hang or fail again and again"},
		{Name: "ebb_acting", Type: Gauge, Labels: labels(), Help: "Whether this process acts for the autoscaler; a standby has 0", Worry: "the sum over all processes is not 1"},
		{Name: "ebb_acting_since_timestamp_seconds", Type: Gauge, Labels: labels(), Help: "When it began to act; absent while it does not", Worry: "it changes often: the lease is lost, or the autoscaler fails"},
		{Name: "ebb_lease_epoch", Type: Gauge, Labels: labels(), Help: "Number of the owner that acts, counted from the first; absent in a standby", Worry: "it grows without deployments"},
		{Name: "ebb_stopping", Type: Gauge, Labels: labels(), Help: "Whether the autoscaler is about to end", Worry: "1 for longer than a stop takes, 80 s"},
		{Name: "ebb_paused", Type: Gauge, Labels: labels(), Help: "Whether an operator has paused launching", Worry: "1 and nobody remembers why"},
		{Name: "ebb_paused_since_timestamp_seconds", Type: Gauge, Labels: labels(), Help: "When launching was paused; absent while it is not", Worry: "hours ago"},
		{Name: "ebb_contested", Type: Gauge, Labels: labels(), Help: "Whether another ebb, with another event server, shows to act for the same autoscaler", Worry: "1: stop one of them, or name them differently; the younger one launches nothing"},
		{Name: "ebb_status_silent", Type: Gauge, Labels: labels(), Help: "Queues and resource types that did not answer within the time; their gauges are absent", Worry: "above 0 for more than a minute"},
		{Name: "ebb_observation_age_seconds", Type: Gauge, Labels: labels(labelSource), Help: "Age of the last good answer of clearml or ec2; before the first one, since it began to act", Worry: "clearml above two polling intervals and 15 s: nothing is launched or drained; ec2 above 5 min: ended and lost instances are not noticed"},
		{Name: "ebb_observation_up", Type: Gauge, Labels: labels(labelSource), Help: "Whether the last answer of clearml or ec2 was good", Worry: "0 for minutes"},
		{Name: "ebb_observation_failures_total", Type: Counter, Labels: labels(labelSource, labelClass), Help: "Times that clearml or ec2 began to fail or failed in another way, by failure class", Worry: "class unauthorized or invalid: it does not heal by itself"},
		{Name: "ebb_events_recorded_total", Type: Counter, Labels: labels(labelKind), Help: "Events recorded, by kind", Worry: "see the other counters, which are made of them"},
		{Name: "ebb_events_pending", Type: Gauge, Labels: labels(), Help: "Events that are not on the event server yet", Worry: "growing: the server is down or its disk is full; at 100000 events are lost"},
		{Name: "ebb_events_lost_total", Type: Counter, Labels: labels(), Help: "Events that never reached the event server, since the process began; absent while it does not act", Worry: "any: the history has a gap, though the log has them"},
		{Name: "ebb_disk_writable", Type: Gauge, Help: "Whether the embedded event server can write to the disk of state_dir; absent with an external server", Worry: "0: nothing is launched or ended until there is room"},
		{Name: "ebb_disk_low", Type: Gauge, Help: "Whether little is free on the disk of state_dir: less than 1.33 GiB, or until 1.5 GiB are free again", Worry: "1: make room before it is full"},
		{Name: "ebb_disk_free_bytes", Type: Gauge, Help: "Bytes that ebb may still write to the disk of state_dir; absent where the system does not tell", Worry: "below 1.33 GiB, or shrinking"},
		{Name: "ebb_config_reloads_total", Type: Counter, Labels: labels(labelResult), Help: "New configurations, by result: applied or refused", Worry: "refused: what was edited is not in effect"},
		{Name: "ebb_config_last_reload_successful", Type: Gauge, Labels: labels(), Help: "Whether the last new configuration was taken over; 1 before the first", Worry: "0: the file on disk is not what runs"},
		{Name: "ebb_guard_alarms_total", Type: Counter, Labels: labels(), Help: "Times that more instances looked dead at once than can be believed", Worry: "any: ClearML or the network is blind, or many machines broke at once"},
	}
}

// queueCatalog is the demand, and the tasks.
func queueCatalog() []Metric {
	return []Metric{
		{Name: "ebb_queue_tasks_waiting", Type: Gauge, Labels: labels(labelQueue), Help: "Tasks that wait in the queue; absent before the first good poll", Worry: "together with a long wait"},
		{Name: "ebb_queue_oldest_wait_seconds", Type: Gauge, Labels: labels(labelQueue), Help: "How long the first task in line has waited", Worry: "above what launch and boot take, while there is room"},
		{Name: "ebb_queue_tasks_covered", Type: Gauge, Labels: labels(labelQueue), Help: "Waiting tasks that idle, booting or requested instances take", Worry: "high for longer than a boot: booted instances take no tasks"},
		{Name: "ebb_queue_tasks_launching", Type: Gauge, Labels: labels(labelQueue), Help: "Instances that were launched for it at the last evaluation", Worry: "never by itself"},
		{Name: "ebb_queue_tasks_unmet", Type: Gauge, Labels: labels(labelQueue), Help: "Waiting tasks that nothing will take for now", Worry: "above 0 for long: ebb_queue_unmet_reason says why"},
		{Name: "ebb_queue_unmet_reason", Type: Gauge, Labels: labels(labelQueue, labelReason), Help: "1 for each reason why tasks of the queue are unmet", Worry: "offerings_blocked, boot_failures, launch_refused, paused, observation_stale; at_max_instances is the budget"},
		{Name: "ebb_queue_resource_info", Type: Gauge, Labels: labels(labelQueue, labelResource), Help: "Always 1: the resource type serves the queue", Worry: "never; it joins the metrics of queues and of resource types"},
		{Name: "ebb_queue_closings_total", Type: Counter, Labels: labels(labelQueue), Help: "Times that the queue was closed to all agents for a moment, to end an instance without a supervisor", Worry: "often: instances run without ebb's supervisor"},
		{Name: "ebb_tasks_started_total", Type: Counter, Labels: labels(labelResource), Help: "Tasks that workers of the resource type were seen to start", Worry: "flat while tasks wait and instances idle"},
		{Name: "ebb_tasks_requeued_total", Type: Counter, Labels: labels(labelQueue, labelReason), Help: "Lost tasks that were put back into their queue, by why they were lost", Worry: "more than spot interruptions explain: workers die"},
		{Name: "ebb_tasks_lost_total", Type: Counter, Labels: labels(labelQueue, labelReason), Help: "Lost tasks that were not put back, by why they were lost", Worry: "any: somebody has to look at the task"},
		{Name: "ebb_tasks_duplicated_total", Type: Counter, Labels: labels(), Help: "Tasks that two live workers reported at once", Worry: "any: the task ran twice"},
		{Name: "ebb_task_seen_to_launched_seconds", Type: Histogram, Labels: labels(labelResource), Help: "From the poll that showed new waiting tasks to EC2's answer to RunInstances; without tasks that had to wait for room", Worry: "p95 above 10 s: throttled, or the disk of the ledger is slow", Buckets: launchBuckets()},
	}
}

// resourceCatalog is the resource types and their launches.
func resourceCatalog() []Metric {
	return []Metric{
		{Name: "ebb_resource_known", Type: Gauge, Labels: labels(labelResource), Help: "Whether the instances of the resource type are known; it launches nothing before", Worry: "0 for minutes: EC2 is not listed, or the ledger is not readable"},
		{Name: "ebb_resource_max_instances", Type: Gauge, Labels: labels(labelResource), Help: "The setting max_instances", Worry: "never by itself"},
		{Name: "ebb_resource_instances_alive", Type: Gauge, Labels: labels(labelResource), Help: "What counts against max_instances: instances, and launches in flight; absent while it is not known", Worry: "at max_instances for long: the budget is what tasks wait for"},
		{Name: "ebb_resource_launching", Type: Gauge, Labels: labels(labelResource), Help: "Instances of launches in flight", Worry: "above 0 for minutes: EC2 does not answer clearly, or throttles"},
		{Name: "ebb_resource_held", Type: Gauge, Labels: labels(labelResource, labelReason, labelClass), Help: "1 for each reason that holds the resource type, with its failure class; absent when nothing does", Worry: "any: it launches nothing, and most reasons need somebody"},
		{Name: "ebb_resource_offerings", Type: Gauge, Labels: labels(labelResource), Help: "Offerings that the configuration allows: market, instance type and place", Worry: "never by itself"},
		{Name: "ebb_resource_offerings_blocked", Type: Gauge, Labels: labels(labelResource, labelClass), Help: "Offerings that are not asked for now, by why", Worry: "as many as ebb_resource_offerings: nothing can be launched"},
		{Name: "ebb_resource_holds_total", Type: Counter, Labels: labels(labelResource, labelReason), Help: "Times that a resource type was held, by reason", Worry: "boot_failures: the image or its set-up is broken"},
		{Name: "ebb_instances_requested_total", Type: Counter, Labels: labels(labelResource, labelMarket, labelInstanceType), Help: "Instances asked for", Worry: "much above ebb_instances_launched_total"},
		{Name: "ebb_instances_launched_total", Type: Counter, Labels: labels(labelResource, labelMarket, labelInstanceType), Help: "Instances that EC2 gave", Worry: "flat while tasks are unmet"},
		{Name: "ebb_instances_refused_total", Type: Counter, Labels: labels(labelResource, labelMarket, labelInstanceType, labelClass), Help: "Instances asked for and not given, by failure class", Worry: "unauthorized, invalid or quota: it does not pass by itself; no_capacity: widen types and zones"},
		{Name: "ebb_instances_adopted_total", Type: Counter, Labels: labels(labelResource), Help: "Instances that were found and not launched by this life of the process", Worry: "without a restart or reload: answers of EC2 are lost"},
		{Name: "ebb_launch_seconds", Type: Histogram, Labels: labels(labelResource), Help: "From the decision to launch to EC2's answer with instances: ledger, pacing and the call", Worry: "p95 above 10 s: throttled, or the disk of the ledger is slow", Buckets: launchBuckets()},
	}
}

// instanceCatalog is the instances.
func instanceCatalog() []Metric {
	return []Metric{
		{Name: "ebb_instances", Type: Gauge, Labels: labels(labelResource, labelMarket, labelInstanceType, labelCondition), Help: "Instances by condition: booting, idle, busy, vanished, draining or terminating", Worry: "vanished or terminating for long; booting while no boot ends"},
		{Name: "ebb_boot_seconds", Type: Histogram, Labels: labels(labelResource), Help: "From EC2's launch time to the registration of the worker", Worry: "p95 near max_spin_up_time, or twice what it was", Buckets: bootBuckets()},
		{Name: "ebb_instances_unready_total", Type: Counter, Labels: labels(labelResource, labelReason), Help: "Instances without a live worker although they should have one: never_registered is a failed boot, worker_vanished a dead worker", Worry: "more than one in ten launches"},
		{Name: "ebb_idle_before_drain_seconds", Type: Histogram, Labels: labels(labelResource), Help: "How long an instance was idle when it was picked to go", Worry: "far above max_idle_time: drains are refused or held; that time is paid for nothing", Buckets: lifeBuckets()},
		{Name: "ebb_drains_total", Type: Counter, Labels: labels(labelResource, labelReason), Help: "Instances picked to go, by reason", Worry: "never by itself"},
		{Name: "ebb_drains_kept_total", Type: Counter, Labels: labels(labelResource, labelReason), Help: "Drains called off, by reason", Worry: "unconfirmed, again and again: supervisors do not answer"},
		{Name: "ebb_drains_recalled_total", Type: Counter, Labels: labels(labelResource), Help: "Drains taken back because waiting tasks need the instance", Worry: "often: max_idle_time is shorter than the gaps between tasks"},
		{Name: "ebb_instances_terminated_total", Type: Counter, Labels: labels(labelResource, labelReason, labelMethod), Help: "Instances that EC2 accepted to terminate, by reason and by how it was made certain that they had no work", Worry: "method barrier: no supervisor; forced: somebody ended work"},
		{Name: "ebb_instances_gone_total", Type: Counter, Labels: labels(labelResource, labelMarket, labelReason), Help: "Instances that have ended, by reason", Worry: "ended_by_itself: not by ebb; spot_interrupted: the spot market"},
		{Name: "ebb_instances_noticed_total", Type: Counter, Labels: labels(labelResource, labelNotice), Help: "Instances that EC2 announced to take back: interruption or rebalance", Worry: "interruptions in a row: choose other types or zones"},
		{Name: "ebb_instance_lifetime_seconds", Type: Histogram, Labels: labels(labelResource, labelMarket), Help: "From EC2's launch time to when the end was seen", Worry: "many in the lowest buckets: instances are started for nothing", Buckets: lifeBuckets()},
		{Name: "ebb_instances_unended", Type: Gauge, Labels: labels(labelResource), Help: "Instances that EC2 refuses to terminate and that have not ended", Worry: "any: they cost money until somebody ends them"},
		{Name: "ebb_instances_stray", Type: Gauge, Labels: labels(labelResource), Help: "Instances with our owner tag whose resource type is not configured, and that have not ended", Worry: "for hours: a task that never ends, or another configuration of the same name"},
	}
}

// moneyCatalog is what it costs, by the list prices that the configuration or AWS
// gives.
func moneyCatalog() []Metric {
	return []Metric{
		{Name: "ebb_cost_dollars_per_hour", Type: Gauge, Labels: labels(labelResource, labelMarket, labelCondition), Help: "Estimated price of an hour of the instances there are now, in US dollars, without those whose price is not known", Worry: "above the budget; idle above a little"},
		{Name: "ebb_cost_dollars_total", Type: Counter, Labels: labels(labelResource, labelMarket), Help: "Estimated cost in US dollars since this process began to act, by price and running time", Worry: "its increase over a day is above the budget"},
		{Name: "ebb_instances_unpriced", Type: Gauge, Labels: labels(labelResource), Help: "Instances whose price is not known, and which are not in the cost", Worry: "above 0: the cost is higher than it says"},
	}
}

// callCatalog is the calls to the outside.
func callCatalog() []Metric {
	return []Metric{
		{Name: "ebb_ec2_calls_total", Type: Counter, Labels: labels(labelAction, labelResult), Help: "Calls of EC2 by action and result: ok or a failure class", Worry: "result throttled: too many calls in the account; unauthorized: the policy"},
		{Name: "ebb_ec2_call_seconds", Type: Histogram, Labels: labels(labelAction), Help: "How long calls of EC2 took", Worry: "p95 of RunInstances above 10 s", Buckets: callBuckets()},
		{Name: "ebb_clearml_calls_total", Type: Counter, Labels: labels(labelAction, labelResult), Help: "Calls of the ClearML server by action and result: ok or a failure class; a repeated call counts again", Worry: "more than a few in a hundred are not ok"},
		{Name: "ebb_clearml_call_seconds", Type: Histogram, Labels: labels(labelAction), Help: "How long calls of the ClearML server took", Worry: "p95 above 5 s: answers about idle workers become too old to act on", Buckets: callBuckets()},
	}
}
