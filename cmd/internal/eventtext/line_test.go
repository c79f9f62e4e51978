package eventtext_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
)

var update = flag.Bool("update", false, "rewrite testdata")

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// events has at least one event of every kind.
func events() []messages.Event {
	spot := messages.Offering{Market: messages.Spot, InstanceType: "g5.xlarge", Zone: "us-east-1a"}
	idle := []messages.Reason{{Code: messages.ReasonIdle, Want: 1, Got: 3, Detail: "3 idle, 1 of them needed"}}
	return []messages.Event{
		messages.AutoscalerStarted{Version: "v1.2.3", Queues: []messages.QueueName{"gpu", "cpu"}, Resources: []messages.ResourceName{"big"}},
		messages.AutoscalerStarted{Version: "v1.2.3"},
		messages.AutoscalerStarted{Version: "v1.2.3", Holder: "host-1:4242:9f3c", Epoch: 7},
		messages.AutoscalerReconfigured{Changes: []string{"max_instances of big: 4, was 8", "queue cpu is\nnot served any more"}},
		messages.AutoscalerReconfigured{Restart: []string{"state_dir: takes effect at the next start"}},
		messages.AutoscalerMisconfigured{Problems: []string{"ebb.yaml:3: region: is empty;\nwrite one"}},
		messages.AutoscalerContested{Epoch: 7, Queue: "g\npu", Holds: true},
		messages.AutoscalerContested{Epoch: 9, Queue: "gpu"},
		messages.AutoscalerUncontested{ContestedSeconds: 600},
		messages.AutoscalerPaused{By: "ana\n", Why: "moving\tdata", Until: noon.Add(time.Hour)},
		messages.AutoscalerPaused{},
		messages.AutoscalerResumed{By: "ana", PausedSeconds: 90},
		messages.AutoscalerResumed{PausedSeconds: 3600},
		messages.QueueCreated{Queue: "gpu"},
		messages.ObservationFailed{Source: "clearml", Class: messages.ClassUnauthorized, Code: "401", Message: "bad\nkey", LastGood: noon},
		messages.ObservationFailed{Source: "ec2", Class: messages.ClassTransient, Message: "connection refused"},
		messages.ObservationRecovered{Source: "clearml", DownSeconds: 90.4},
		messages.QueueObserved{Queue: "gpu", Waiting: 1, OldestWaitSeconds: 12},
		messages.QueueObserved{Queue: "gpu"},
		messages.QueuePlanned{Queue: "gpu", Waiting: 5, Covered: 2, Launching: 2, Unmet: 1, Reasons: []messages.Reason{
			{Code: messages.ReasonAtMax, Subject: "big", Got: 8, Limit: 8},
			{Code: messages.ReasonBlocked, Subject: "small", Detail: "no_capacity; asked again in 2m0s"},
		}},
		messages.QueuePlanned{Queue: "gpu", Waiting: 2, Covered: 2},
		messages.QueuePlanned{Queue: "gpu"},
		messages.InstanceRequested{Resource: "big", Request: "r1", Offering: spot, Count: 2, Alive: 3, Max: 8, Reasons: []messages.Reason{{Code: messages.ReasonWaitingTasks, Want: 5, Got: 3}}},
		messages.InstanceRefused{Resource: "big", Offering: spot, Count: 2, Class: messages.ClassNoCapacity, Code: "InsufficientInstanceCapacity", Message: "none left", RetryAt: noon.Add(2 * time.Minute)},
		messages.InstanceRefused{Resource: "big", Offering: spot, Count: 1, Class: messages.ClassThrottled},
		messages.InstanceLaunched{Instance: "i-01", Resource: "big", Launch: "prod-7", Offering: spot},
		messages.InstanceAdopted{Instance: "i-01", Resource: "big", Offering: spot, State: messages.StateRunning},
		messages.InstanceRegistered{Instance: "i-01", Resource: "big", Worker: "p:big:g5.xlarge:i-01", BootSeconds: 83.2},
		messages.InstanceBusy{Instance: "i-01", Resource: "big", Task: "abc", TaskName: "train \x1b[31mred\u202e"},
		messages.InstanceBusy{Instance: "i-01", Resource: "big", Task: "abc"},
		messages.InstanceIdle{Instance: "i-01", Resource: "big", Since: noon},
		messages.InstanceDraining{Instance: "i-01", Resource: "big", Reasons: idle},
		messages.InstanceKept{Instance: "i-01", Resource: "big", Reasons: []messages.Reason{{Code: messages.ReasonTookWork, Subject: "abc", Detail: "its worker is running a task"}}},
		messages.InstanceUnready{Instance: "i-01", Resource: "big", Reasons: []messages.Reason{{Code: messages.ReasonNeverRegistered, Limit: 1800}}, Console: "one\nFAILED: no route\r\n\n"},
		messages.InstanceTerminating{Instance: "i-01", Resource: "big", Method: messages.DrainAcknowledged, Reasons: idle},
		messages.InstanceTerminating{Instance: "i-01", Resource: "big", Method: messages.DrainVanished},
		messages.InstanceTerminating{Instance: "i-01", Resource: "big", Method: messages.DrainBarrier},
		messages.InstanceTerminating{Instance: "i-01", Resource: "big", Method: messages.DrainNeverRegistered},
		messages.InstanceTerminating{Instance: "i-01", Resource: "big", Method: messages.DrainForced},
		messages.InstanceTerminating{Instance: "i-01", Resource: "big"},
		messages.InstanceTerminating{Instance: "i-01", Resource: "big", Method: "by\nmagic"},
		messages.InstanceUnended{Instance: "i-01", Resource: "big", Class: messages.ClassProtected, Code: "OperationNotPermitted", Message: "no\nway"},
		messages.InstanceRecalled{Instance: "i-01", Resource: "big", Reasons: []messages.Reason{{Code: messages.ReasonNeeded, Subject: "gpu", Want: 2, Got: 1}}},
		messages.InstanceNoticed{Instance: "i-01", Resource: "big", Notice: messages.NoticeInterruption, When: noon.Add(2 * time.Minute), Task: "abc"},
		messages.InstanceNoticed{Instance: "i-01", Resource: "big", Notice: messages.NoticeRebalance},
		messages.InstanceNoticed{Instance: "i-01", Resource: "big", Notice: "quake\n"},
		messages.QueueClosed{Queue: "gpu", Instance: "i-01"},
		messages.QueueClosed{Queue: "gpu"},
		messages.QueueOpened{Queue: "gpu"},
		messages.ResourceHeld{Resource: "big", InstanceType: "g5.xlarge", Until: noon.Add(time.Minute), Reasons: []messages.Reason{{Code: messages.ReasonBootFailures, Subject: "ami-1", Got: 3, Limit: 3}}},
		messages.ResourceHeld{Resource: "big", Reasons: []messages.Reason{{Code: messages.ReasonLaunchRefused, Detail: "UnauthorizedOperation"}}},
		messages.ResourceReleased{Resource: "big", InstanceType: "g5.xlarge"},
		messages.ResourceReleased{Resource: "big"},
		messages.FleetGuarded{Suspects: 7, Alive: 10, Allowed: 3},
		messages.TaskRequeued{Task: "abc", Name: "train\n", Queue: "gpu", Reasons: []messages.Reason{{Code: messages.ReasonInstanceGone, Subject: "i-01"}}},
		messages.TaskRequeued{Task: "abc", Queue: "gpu"},
		messages.TaskLost{Task: "abc", Name: "train", Reasons: []messages.Reason{{Code: messages.ReasonNeverStarted}, {Code: messages.ReasonPolicy, Subject: "requeue_lost_tasks"}}},
		messages.TaskDuplicated{Task: "abc", Workers: []messages.WorkerID{"p:big:g5.xlarge:i-01", "p:big:g5.xlarge:i-02"}},
		messages.InstanceGone{Instance: "i-01", Resource: "big", Offering: spot, UpSeconds: 3723, Reasons: []messages.Reason{{Code: messages.ReasonInterrupted}}, Task: "abc"},
		messages.InstanceGone{Instance: "i-01", Resource: "big", Offering: spot, UpSeconds: 60},
		messages.InstanceStray{Instance: "i-01", Resource: "old", State: messages.StateRunning},
		messages.AutoscalerStopped{OnShutdown: "keep", Left: 1},
	}
}

func TestLine(t *testing.T) {
	t.Parallel()

	missing := map[string]bool{}
	for _, kind := range messages.EventKinds() {
		missing[kind] = true
	}
	var got strings.Builder
	for i, event := range events() {
		delete(missing, event.Kind())
		line := eventtext.Line(messages.Recorded{ID: "x", Autoscaler: "prod", At: noon.Add(time.Duration(i) * time.Second), Event: event})
		if strings.ContainsAny(line, "\n\r\x1b\u202e") {
			t.Errorf("%s: line holds control characters: %q", event.Kind(), line)
		}
		if eventtext.Words(event) == "" {
			t.Errorf("%s: no words", event.Kind())
		}
		got.WriteString(line + "\n")
	}
	for kind := range missing {
		t.Errorf("no example of %s", kind)
	}
	golden(t, "lines.txt", got.String())
}

func TestReason(t *testing.T) {
	t.Parallel()

	codes := []messages.ReasonCode{
		messages.ReasonWaitingTasks, messages.ReasonCovered, messages.ReasonAtMax, messages.ReasonBlocked, messages.ReasonFleetUnknown,
		messages.ReasonStale, messages.ReasonIdle, messages.ReasonNeeded, messages.ReasonTookWork, messages.ReasonIdleTooShort, messages.ReasonUnconfirmed,
		messages.ReasonNeverRegistered, messages.ReasonWorkerVanished, messages.ReasonShutdown, messages.ReasonNoResource,
		messages.ReasonEnded, messages.ReasonInterrupted, messages.ReasonMaxLifetime, messages.ReasonOverMax, messages.ReasonBootFailures,
		messages.ReasonLaunchRefused, messages.ReasonInstanceGone, messages.ReasonNeverStarted, messages.ReasonGuarded, messages.ReasonPolicy,
		messages.ReasonPaused, messages.ReasonOperator,
	}
	for _, code := range codes {
		if text := eventtext.Reason(messages.Reason{Code: code}); text == "" || text == string(code) {
			t.Errorf("%s: got %q, want words", code, text)
		}
	}
	if got := eventtext.Reason(messages.Reason{Code: "from_tomorrow", Want: 1, Got: 2, Limit: 3}); got != "from_tomorrow (want 1, got 2, limit 3)" {
		t.Errorf("got %q for a code that is not known", got)
	}
}

func TestOddLines(t *testing.T) {
	t.Parallel()

	if got := eventtext.Line(messages.Recorded{Autoscaler: "prod", At: noon}); got != "2026-11-23T12:00:00Z  prod  unknown" {
		t.Errorf("no event: got %q", got)
	}
	long := eventtext.Unknown(noon, "prod", "moon.landed", "", strings.Repeat("é", 2*eventtext.PartMax)+"\x00")
	if runes := []rune(long); len(runes) > eventtext.PartMax+80 || !strings.HasSuffix(long, "é…") {
		t.Errorf("long data: got %d characters: %q", len(runes), long)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant %s (go test ./cmd/internal/eventtext -update rewrites it)\n%s", got, path, want)
	}
}
