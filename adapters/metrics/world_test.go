package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/ebbscale/ebb/adapters/metrics"
	"github.com/ebbscale/ebb/messages"
)

// noon is when all tests begin.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Elapsed() time.Duration { return c.Now().Sub(noon()) }

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// desk answers as it is told.
type desk struct {
	mu     sync.Mutex
	asked  int
	answer func(ctx context.Context, name messages.AutoscalerName) (messages.Answered, error)
}

func (d *desk) Status(ctx context.Context, name messages.AutoscalerName) (messages.Answered, error) {
	d.mu.Lock()
	d.asked++
	d.mu.Unlock()
	return d.answer(ctx, name)
}

func (d *desk) times() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

// world is metrics with what they are told.
type world struct {
	*metrics.Metrics
	t     testing.TB
	clock *clock
	desk  *desk
	disk  *metrics.Disk
	ids   int
}

const prod messages.AutoscalerName = "prod"

// patience is how long the desk is waited for, which answers at once on a machine that
// has nothing else to do.
const patience = 2 * time.Minute

func newWorld(tb testing.TB) *world {
	tb.Helper()
	return newHurriedWorld(tb, patience)
}

// newHurriedWorld waits for the desk no longer than limit.
func newHurriedWorld(tb testing.TB, limit time.Duration) *world {
	tb.Helper()
	w := &world{t: tb, clock: &clock{now: noon()}, desk: &desk{}}
	w.desk.answer = func(context.Context, messages.AutoscalerName) (messages.Answered, error) {
		return messages.Answered{}, errors.New("nobody is asked here")
	}
	w.Metrics = metrics.New(metrics.Config{
		Version: "v1", Clock: w.clock, Autoscalers: []messages.AutoscalerName{prod}, Timeout: limit,
		Disk: func() *metrics.Disk { return w.disk },
	})
	w.Open(w.desk)
	return w
}

// says has the autoscaler answer with a status from now on.
func (w *world) says(status messages.Status) {
	w.desk.answer = func(context.Context, messages.AutoscalerName) (messages.Answered, error) {
		return messages.Answered{Status: &status}, nil
	}
}

// tell has events recorded, all at this moment.
func (w *world) tell(events ...messages.Event) {
	for _, event := range events {
		w.ids++
		w.Observe(messages.Recorded{ID: fmt.Sprint(w.ids), Autoscaler: prod, At: w.clock.Now(), Event: event})
	}
}

// scrape gathers everything; of a histogram it takes the sum.
func (w *world) scrape() map[string]float64 {
	w.t.Helper()
	families, err := w.Gather(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			key := family.GetName() + "{" + labelsOf(metric) + "}"
			switch {
			case metric.GetCounter() != nil:
				got[key] = metric.GetCounter().GetValue()
			case metric.GetGauge() != nil:
				got[key] = metric.GetGauge().GetValue()
			case metric.GetHistogram() != nil:
				got[key] = metric.GetHistogram().GetSampleSum()
			}
		}
	}
	return got
}

// want checks series of the one autoscaler: name{other labels' values}; nil is for
// one that must not be there.
func (w *world) want(series map[string]any) {
	w.t.Helper()
	got := w.scrape()
	for key, want := range series {
		name, rest, _ := strings.Cut(strings.TrimSuffix(key, "}"), "{")
		full := name + "{" + strings.TrimSuffix("prod,"+rest, ",") + "}"
		value, found := got[full]
		switch want := want.(type) {
		case nil:
			if found {
				w.t.Errorf("%s is %v, must not be there", full, value)
			}
		case float64:
			if !found || value < want-1e-6 || value > want+1e-6 {
				w.t.Errorf("%s is %v (there: %t), want %v", full, value, found, want)
			}
		default:
			w.t.Fatalf("%s: want is a %T", key, want)
		}
	}
}

// labelsOf are the values of a metric's labels, in the order of the catalog, which
// for the autoscaler is the first place.
func labelsOf(metric *dto.Metric) string {
	var first string
	var rest []string
	for _, pair := range metric.GetLabel() {
		if pair.GetName() == "autoscaler" {
			first = pair.GetValue()
			continue
		}
		rest = append(rest, pair.GetName()+"="+pair.GetValue())
	}
	return strings.Trim(strings.Join(append([]string{first}, rest...), ","), ",")
}

// offering is what the tests launch.
func offering() messages.Offering {
	return messages.Offering{Market: messages.Spot, InstanceType: "g5.xlarge", Zone: "us-east-1a"}
}

func why(codes ...messages.ReasonCode) []messages.Reason {
	var reasons []messages.Reason
	for _, code := range codes {
		reasons = append(reasons, messages.Reason{Code: code})
	}
	return reasons
}

// fullStatus has something of everything.
func fullStatus() messages.Status {
	return messages.Status{
		Autoscaler: prod, At: noon(), Holder: "host:1:abc", Epoch: 7, StartedAt: noon().Add(-time.Hour),
		Pause:         &messages.Pause{At: noon().Add(-time.Minute), By: "ana"},
		ClearML:       messages.SourceStatus{LastGood: noon().Add(-20 * time.Second)},
		EC2:           messages.SourceStatus{DownSince: noon().Add(-30 * time.Second), Class: messages.ClassThrottled},
		EventsPending: 3, EventsLost: 2, Silent: []string{"queue slow"},
		Queues: []messages.QueueStatus{{
			Queue: "train", Known: true, Waiting: 9, WaitSeconds: 120, Resources: []messages.ResourceName{"gpu"},
			Verdict: messages.QueuePlanned{
				Queue: "train", Waiting: 9, Covered: 2, Launching: 3, Unmet: 4,
				Reasons: why(messages.ReasonAtMax, messages.ReasonBlocked, messages.ReasonBlocked),
			},
		}},
		Resources: []messages.ResourceStatus{{
			Resource: "gpu", Known: true, Max: 8, Alive: 4, Launching: 1, Offerings: []messages.Offering{offering()},
			Blocks: []messages.Blocked{{Offering: offering(), Class: messages.ClassNoCapacity, Until: noon()}},
			Held:   []messages.Reason{{Code: messages.ReasonLaunchRefused, Subject: "quota"}},
		}},
		Instances: []messages.InstanceStatus{
			{Instance: "i-1", Resource: "gpu", Offering: offering(), Condition: messages.ConditionIdle, HourlyUSD: 0.5},
			{Instance: "i-2", Resource: "gpu", Offering: offering(), Condition: messages.ConditionIdle, HourlyUSD: 0.25},
			{Instance: "i-3", Resource: "gpu", Offering: offering(), Condition: messages.ConditionBusy},
		},
	}
}

// everything is an event of each kind, in an order that can be.
func everything() []messages.Event {
	return []messages.Event{
		messages.AutoscalerStarted{},
		messages.AutoscalerPaused{},
		messages.AutoscalerResumed{},
		messages.AutoscalerReconfigured{},
		messages.AutoscalerMisconfigured{},
		messages.AutoscalerContested{Epoch: 7, Queue: "train"},
		messages.AutoscalerUncontested{ContestedSeconds: 60},
		messages.ObservationFailed{Source: "ec2", Class: messages.ClassThrottled},
		messages.ObservationRecovered{Source: "ec2"},
		messages.QueueCreated{Queue: "train"},
		messages.QueueObserved{Queue: "train", Waiting: 2},
		messages.QueuePlanned{Queue: "train", Launching: 1},
		messages.QueueClosed{Queue: "train"},
		messages.QueueOpened{Queue: "train"},
		messages.InstanceRequested{Resource: "gpu", Request: "r-1", Offering: offering(), Count: 2},
		messages.InstanceLaunched{Instance: "i-1", Resource: "gpu", Request: "r-1", Offering: offering(), HourlyUSD: 0.5},
		messages.InstanceRefused{Resource: "gpu", Request: "r-1", Offering: offering(), Count: 1, Class: messages.ClassNoCapacity},
		messages.InstanceAdopted{Instance: "i-2", Resource: "gpu", Offering: offering()},
		messages.InstanceStray{Instance: "i-2", Resource: "gpu"},
		messages.InstanceRegistered{Instance: "i-1", Resource: "gpu", BootSeconds: 100},
		messages.InstanceBusy{Instance: "i-1", Resource: "gpu"},
		messages.InstanceIdle{Instance: "i-1", Resource: "gpu", Since: noon().Add(-time.Minute)},
		messages.InstanceNoticed{Instance: "i-1", Resource: "gpu", Notice: messages.NoticeInterruption},
		messages.InstanceUnready{Instance: "i-2", Resource: "gpu", Reasons: why(messages.ReasonNeverRegistered)},
		messages.InstanceDraining{Instance: "i-1", Resource: "gpu", Reasons: why(messages.ReasonIdle)},
		messages.InstanceKept{Instance: "i-1", Resource: "gpu", Reasons: why(messages.ReasonTookWork)},
		messages.InstanceRecalled{Instance: "i-1", Resource: "gpu", Reasons: why(messages.ReasonNeeded)},
		messages.InstanceUnended{Instance: "i-2", Resource: "gpu", Class: messages.ClassProtected},
		messages.InstanceTerminating{Instance: "i-1", Resource: "gpu", Method: messages.DrainAcknowledged, Reasons: why(messages.ReasonIdle)},
		messages.InstanceGone{Instance: "i-1", Resource: "gpu", Offering: offering(), UpSeconds: 600, Reasons: why(messages.ReasonIdle)},
		messages.ResourceHeld{Resource: "gpu", Reasons: why(messages.ReasonBootFailures)},
		messages.ResourceReleased{Resource: "gpu"},
		messages.FleetGuarded{},
		messages.TaskRequeued{Queue: "train", Reasons: why(messages.ReasonInstanceGone)},
		messages.TaskLost{Queue: "train", Reasons: why(messages.ReasonNeverStarted)},
		messages.TaskDuplicated{},
	}
}
