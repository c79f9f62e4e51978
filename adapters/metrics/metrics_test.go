package metrics_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/metrics"
	"github.com/ebbscale/ebb/messages"
)

// TestStatusGauges is what a status says, as gauges.
func TestStatusGauges(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.says(fullStatus())
	w.Acting(prod, true)
	w.want(map[string]any{
		"ebb_up{}": 1.0, "ebb_acting{}": 1.0, "ebb_lease_epoch{}": 7.0, "ebb_stopping{}": 0.0, "ebb_paused{}": 1.0,
		"ebb_acting_since_timestamp_seconds{}":                                              float64(noon().Add(-time.Hour).Unix()),
		"ebb_paused_since_timestamp_seconds{}":                                              float64(noon().Add(-time.Minute).Unix()),
		"ebb_status_silent{}":                                                               1.0,
		"ebb_observation_age_seconds{source=clearml}":                                       20.0,
		"ebb_observation_age_seconds{source=ec2}":                                           3600.0, // never a good one
		"ebb_observation_up{source=clearml}":                                                1.0,
		"ebb_observation_up{source=ec2}":                                                    0.0,
		"ebb_events_pending{}":                                                              3.0,
		"ebb_events_lost_total{}":                                                           2.0,
		"ebb_queue_tasks_waiting{queue=train}":                                              9.0,
		"ebb_queue_oldest_wait_seconds{queue=train}":                                        120.0,
		"ebb_queue_tasks_covered{queue=train}":                                              2.0,
		"ebb_queue_tasks_launching{queue=train}":                                            3.0,
		"ebb_queue_tasks_unmet{queue=train}":                                                4.0,
		"ebb_queue_unmet_reason{queue=train,reason=at_max_instances}":                       1.0,
		"ebb_queue_unmet_reason{queue=train,reason=offerings_blocked}":                      1.0,
		"ebb_queue_resource_info{queue=train,resource=gpu}":                                 1.0,
		"ebb_resource_max_instances{resource=gpu}":                                          8.0,
		"ebb_resource_instances_alive{resource=gpu}":                                        4.0,
		"ebb_resource_launching{resource=gpu}":                                              1.0,
		"ebb_resource_held{class=quota,reason=launch_refused,resource=gpu}":                 1.0,
		"ebb_resource_offerings{resource=gpu}":                                              1.0,
		"ebb_resource_offerings_blocked{class=no_capacity,resource=gpu}":                    1.0,
		"ebb_instances{condition=idle,instance_type=g5.xlarge,market=spot,resource=gpu}":    2.0,
		"ebb_instances{condition=booting,instance_type=g5.xlarge,market=spot,resource=gpu}": 0.0,
		"ebb_cost_dollars_per_hour{condition=idle,market=spot,resource=gpu}":                0.75,
		"ebb_instances_unpriced{resource=gpu}":                                              1.0,
	})
}

// TestUnknownIsNotZero: what is not known has no series.
func TestUnknownIsNotZero(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	status := fullStatus()
	status.Queues[0].Known, status.Resources[0].Known, status.Instances = false, false, nil
	w.says(status)
	w.Acting(prod, true)
	w.want(map[string]any{
		"ebb_up{}": 1.0, "ebb_resource_known{resource=gpu}": 0.0, "ebb_resource_max_instances{resource=gpu}": 8.0,
		"ebb_queue_tasks_waiting{queue=train}": nil, "ebb_resource_instances_alive{resource=gpu}": nil,
		"ebb_instances_unpriced{resource=gpu}":                                           nil,
		"ebb_instances{condition=idle,instance_type=g5.xlarge,market=spot,resource=gpu}": nil,
	})
}

// TestNeverAnswered: a source that has not answered yet is not up, though it has not
// failed either.
func TestNeverAnswered(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	status := fullStatus()
	status.ClearML, status.EC2 = messages.SourceStatus{}, messages.SourceStatus{LastGood: noon(), DownSince: noon()}
	w.says(status)
	w.Acting(prod, true)
	w.want(map[string]any{
		"ebb_observation_up{source=clearml}": 0.0, "ebb_observation_age_seconds{source=clearml}": 3600.0,
		"ebb_observation_up{source=ec2}": 0.0, "ebb_observation_age_seconds{source=ec2}": 0.0,
	})
}

// TestStandby has a series that says so, and no gauges of what it does not know.
func TestStandby(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.desk.answer = func(context.Context, messages.AutoscalerName) (messages.Answered, error) {
		return messages.Answered{Failure: &messages.Failure{Class: messages.ClassHeld}}, nil
	}
	w.want(map[string]any{"ebb_up{}": 1.0, "ebb_acting{}": 0.0, "ebb_lease_epoch{}": nil, "ebb_events_pending{}": nil})
}

// TestHangingDesk: a desk that never answers, and does not even heed its context,
// costs a scrape the time-out, is not asked again meanwhile, and hides nothing else.
func TestHangingDesk(t *testing.T) {
	t.Parallel()

	w := newHurriedWorld(t, 50*time.Millisecond)
	release := make(chan struct{})
	defer close(release)
	w.desk.answer = func(context.Context, messages.AutoscalerName) (messages.Answered, error) {
		<-release
		return messages.Answered{Failure: &messages.Failure{Class: messages.ClassHeld}}, nil
	}
	w.tell(messages.TaskDuplicated{})
	for range 3 {
		over := time.AfterFunc(patience, func() { panic("a scrape waits for ever for a desk that hangs") })
		w.want(map[string]any{"ebb_up{}": 0.0, "ebb_tasks_duplicated_total{}": 1.0})
		over.Stop()
		w.clock.advance(2 * time.Second)
	}
	if n := w.desk.times(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// TestImpatientScrape: whoever goes away does not end the round for the others.
func TestImpatientScrape(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	release := make(chan struct{})
	w.desk.answer = func(ctx context.Context, _ messages.AutoscalerName) (messages.Answered, error) {
		<-release
		return messages.Answered{Failure: &messages.Failure{Class: messages.ClassHeld}}, ctx.Err()
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if got := w.Statuses(gone); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	close(release)
	w.want(map[string]any{"ebb_up{}": 1.0})
	if n := w.desk.times(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// TestAnswersServeASecond: many scrapes at once cost one question.
func TestAnswersServeASecond(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.says(fullStatus())
	for range 3 {
		w.scrape()
	}
	w.clock.advance(900 * time.Millisecond)
	w.scrape()
	if n := w.desk.times(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
	w.clock.advance(200 * time.Millisecond)
	w.scrape()
	if n := w.desk.times(); n != 2 {
		t.Errorf("asked %d times, want twice", n)
	}
}

// TestLaunchTimes measures a launch from the poll that showed its tasks on.
func TestLaunchTimes(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	request := messages.InstanceRequested{Resource: "gpu", Request: "r-1", Offering: offering(), Count: 2}
	launched := messages.InstanceLaunched{Instance: "i-1", Resource: "gpu", Request: "r-1", Offering: offering()}
	w.tell(messages.QueueObserved{Queue: "train", Waiting: 1})
	w.clock.advance(time.Second)
	w.tell(messages.QueueObserved{Queue: "train", Waiting: 2}, messages.QueuePlanned{Queue: "train", Launching: 2}, request)
	w.clock.advance(3 * time.Second)
	w.tell(launched)
	launched.Instance = "i-2"
	w.tell(launched) // the second of one launch measures nothing anew
	w.want(map[string]any{
		"ebb_task_seen_to_launched_seconds{resource=gpu}": 4.0, "ebb_launch_seconds{resource=gpu}": 3.0,
		"ebb_instances_requested_total{instance_type=g5.xlarge,market=spot,resource=gpu}": 2.0,
		"ebb_instances_launched_total{instance_type=g5.xlarge,market=spot,resource=gpu}":  2.0,
	})

	// Tasks that had to wait for room do not count: that is the budget's time.
	w.tell(messages.QueueObserved{Queue: "train", Waiting: 4}, messages.QueuePlanned{Queue: "train", Unmet: 2})
	w.clock.advance(time.Hour)
	request.Request, launched.Request, launched.Instance = "r-2", "r-2", "i-3"
	w.tell(messages.QueuePlanned{Queue: "train", Launching: 1}, request)
	w.clock.advance(time.Second)
	w.tell(launched)
	w.want(map[string]any{
		"ebb_task_seen_to_launched_seconds{resource=gpu}": 4.0, "ebb_launch_seconds{resource=gpu}": 4.0,
	})
}

// TestLaunchTimesOfOtherQueues: once a status has told who serves which queue, the
// tasks of other queues are not taken for those behind a launch.
func TestLaunchTimesOfOtherQueues(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.says(fullStatus())
	w.Acting(prod, true)
	w.scrape()
	w.tell(messages.QueueObserved{Queue: "cpu", Waiting: 1})
	w.clock.advance(time.Minute)
	w.tell(messages.QueueObserved{Queue: "train", Waiting: 1},
		messages.InstanceRequested{Resource: "gpu", Request: "r-1", Offering: offering(), Count: 1})
	w.clock.advance(time.Second)
	w.tell(messages.InstanceLaunched{Instance: "i-1", Resource: "gpu", Request: "r-1", Offering: offering()})
	w.want(map[string]any{"ebb_task_seen_to_launched_seconds{resource=gpu}": 1.0})
}

// TestCost adds up what instances cost while this process acts.
func TestCost(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	const series = "ebb_cost_dollars_total{market=spot,resource=gpu}"
	begun := messages.InstanceLaunched{Instance: "i-1", Resource: "gpu", Offering: offering(), HourlyUSD: 2}
	w.tell(messages.AutoscalerStarted{}, begun)
	w.clock.advance(30 * time.Minute)
	w.want(map[string]any{series: 1.0})
	w.tell(messages.InstanceAdopted{Instance: "i-1", Resource: "gpu", Offering: offering(), HourlyUSD: 2}) // the same again
	w.tell(messages.InstanceAdopted{Instance: "i-2", Resource: "gpu", Offering: offering(), HourlyUSD: 4})
	w.clock.advance(15 * time.Minute)
	w.want(map[string]any{series: 2.5})
	w.tell(messages.InstanceGone{Instance: "i-1", Resource: "gpu", Offering: offering()})
	w.clock.advance(time.Hour)
	w.want(map[string]any{series: 6.5})

	// Another process acts, and counts; this one does not count on.
	w.Acting(prod, false)
	w.clock.advance(time.Hour)
	w.want(map[string]any{series: 6.5, "ebb_acting{}": 0.0})
	w.tell(messages.AutoscalerStarted{}, begun)
	w.clock.advance(-time.Hour) // a clock set back takes nothing away
	w.want(map[string]any{series: 6.5})
}

// TestCostFollowsStatus: what no event tells after a reload, the next status does.
func TestCostFollowsStatus(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	const series = "ebb_cost_dollars_total{market=spot,resource=gpu}"
	w.tell(messages.AutoscalerStarted{},
		messages.InstanceLaunched{Instance: "i-1", Resource: "gpu", Offering: offering(), HourlyUSD: 2},
		messages.InstanceLaunched{Instance: "i-old", Resource: "gpu", Offering: offering(), HourlyUSD: 2})
	w.clock.advance(30 * time.Minute)
	w.tell(messages.AutoscalerStarted{}) // a reload; i-1 is taken from the ledger, i-old has ended unseen
	status := fullStatus()
	status.At, status.Silent = w.clock.Now(), nil
	status.Instances = []messages.InstanceStatus{
		{Instance: "i-1", Resource: "gpu", Offering: offering(), Condition: messages.ConditionBusy, HourlyUSD: 2},
		{Instance: "i-2", Resource: "gpu", Offering: offering(), Condition: messages.ConditionBusy, HourlyUSD: 6},
	}
	w.says(status)
	w.want(map[string]any{series: 2.0})
	w.clock.advance(30 * time.Minute)
	w.want(map[string]any{series: 6.0}) // 4 dollars of the two, and the rest of i-old no more
}

// TestPartOfAStatus takes nothing for ended that is only not told.
func TestPartOfAStatus(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.tell(messages.AutoscalerStarted{},
		messages.InstanceLaunched{Instance: "i-1", Resource: "gpu", Offering: offering(), HourlyUSD: 2})
	w.clock.advance(time.Hour)
	status := fullStatus()
	status.At, status.Instances = w.clock.Now(), nil // and a queue is silent
	w.says(status)
	w.scrape()
	w.clock.advance(time.Hour)
	w.want(map[string]any{"ebb_cost_dollars_total{market=spot,resource=gpu}": 4.0})
}

// TestUnendedAndStray are gauges of events, until the instance has ended.
func TestUnendedAndStray(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.tell(
		messages.InstanceAdopted{Instance: "i-1", Resource: "gpu", Offering: offering()},
		messages.InstanceStray{Instance: "i-1", Resource: "gpu"},
		messages.InstanceUnended{Instance: "i-1", Resource: "gpu", Class: messages.ClassProtected},
	)
	w.want(map[string]any{"ebb_instances_unended{resource=gpu}": 1.0, "ebb_instances_stray{resource=gpu}": 1.0})
	w.tell(messages.InstanceTerminating{Instance: "i-1", Resource: "gpu", Method: messages.DrainForced})
	w.want(map[string]any{"ebb_instances_unended{resource=gpu}": 0.0, "ebb_instances_stray{resource=gpu}": 1.0})
	w.tell(messages.InstanceGone{Instance: "i-1", Resource: "gpu", Offering: offering()})
	w.want(map[string]any{"ebb_instances_unended{resource=gpu}": nil, "ebb_instances_stray{resource=gpu}": nil})
}

// TestIdleTime is from when it became idle to when it was picked to go.
func TestIdleTime(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.tell(messages.InstanceLaunched{Instance: "i-1", Resource: "gpu", Offering: offering()})
	w.tell(messages.InstanceIdle{Instance: "i-1", Resource: "gpu", Since: noon().Add(-time.Minute)})
	w.clock.advance(14 * time.Minute)
	w.tell(messages.InstanceDraining{Instance: "i-1", Resource: "gpu", Reasons: why(messages.ReasonIdle)})
	w.tell(messages.InstanceBusy{Instance: "i-1", Resource: "gpu"})
	w.tell(messages.InstanceDraining{Instance: "i-1", Resource: "gpu", Reasons: why(messages.ReasonMaxLifetime)})
	w.want(map[string]any{
		"ebb_idle_before_drain_seconds{resource=gpu}": 900.0,
		"ebb_drains_total{reason=idle,resource=gpu}":  1.0, "ebb_drains_total{reason=max_lifetime,resource=gpu}": 1.0,
	})
}

// TestToldAgain counts once what another life of the actors tells again.
func TestToldAgain(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	for range 3 { // as after every reload
		w.tell(messages.InstanceRegistered{Instance: "i-1", Resource: "gpu", BootSeconds: 80})
		w.tell(messages.InstanceBusy{Instance: "i-1", Resource: "gpu", Task: "one"})
	}
	w.tell(messages.InstanceBusy{Instance: "i-1", Resource: "gpu", Task: "two"})
	w.tell(messages.InstanceAdopted{Instance: "i-2", Resource: "gpu", State: messages.StateRunning})
	w.tell(messages.InstanceRegistered{Instance: "i-2", Resource: "gpu", BootSeconds: 80})
	w.want(map[string]any{"ebb_boot_seconds{resource=gpu}": 80.0, "ebb_tasks_started_total{resource=gpu}": 2.0})
}

// TestReloads counts what became of new configurations.
func TestReloads(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.want(map[string]any{"ebb_config_reloads_total{result=refused}": 0.0, "ebb_config_last_reload_successful{}": 1.0})
	w.Reloaded(prod, false)
	w.want(map[string]any{"ebb_config_reloads_total{result=refused}": 1.0, "ebb_config_last_reload_successful{}": 0.0})
	w.Reloaded(prod, true)
	w.want(map[string]any{"ebb_config_reloads_total{result=applied}": 1.0, "ebb_config_last_reload_successful{}": 1.0})
}

// TestCalls counts calls and measures them.
func TestCalls(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	ended := w.EC2Calls(prod)("RunInstances")
	w.clock.advance(2 * time.Second)
	ended("throttled")
	w.ClearMLCalls(prod)("tasks.get_all")("ok")
	w.want(map[string]any{
		"ebb_ec2_calls_total{action=RunInstances,result=throttled}": 1.0, "ebb_ec2_call_seconds{action=RunInstances}": 2.0,
		"ebb_clearml_calls_total{action=tasks.get_all,result=ok}": 1.0,
	})
}

// TestHandler serves the text that Prometheus reads, with the runtime's metrics.
func TestHandler(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.says(fullStatus())
	w.tell(everything()...)
	recorder := httptest.NewRecorder()
	w.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	body := recorder.Body.String()
	if recorder.Code != http.StatusOK {
		t.Errorf("status %d: %s", recorder.Code, body)
	}
	for _, want := range []string{"go_goroutines ", "process_start_time_seconds ", `ebb_up{autoscaler="prod"} 1`, "ebb_build_info{"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in the answer", want)
		}
	}
}

// TestDisk: what is not known, or of an external event server, is not there.
func TestDisk(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	for name, c := range map[string]struct {
		disk *metrics.Disk
		want string
	}{
		"none":    {nil, ""},
		"good":    {&metrics.Disk{Writable: true, Free: 5}, "ebb_disk_free_bytes 5 ebb_disk_low 0 ebb_disk_writable 1"},
		"full":    {&metrics.Disk{Low: true}, "ebb_disk_free_bytes 0 ebb_disk_low 1 ebb_disk_writable 0"},
		"unknown": {&metrics.Disk{Writable: true, Free: -1}, "ebb_disk_low 0 ebb_disk_writable 1"},
	} {
		w.disk = c.disk
		recorder := httptest.NewRecorder()
		w.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		var got []string
		for line := range strings.Lines(recorder.Body.String()) {
			if strings.HasPrefix(line, "ebb_disk_") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
