package control_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/internal/leaks"
	"github.com/ebbscale/ebb/messages"
)

var update = flag.Bool("update", false, "rewrite testdata/explain")

func TestMain(m *testing.M) { leaks.Main(m) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// offering is one of the choices of a resource type.
func offering(market messages.Market, kind, zone string) messages.Offering {
	return messages.Offering{Market: market, InstanceType: kind, Zone: zone}
}

// instances are n instances of a resource type in some condition.
func instances(resource messages.ResourceName, condition messages.Condition, n int) []messages.InstanceStatus {
	var all []messages.InstanceStatus
	for i := range n {
		all = append(all, messages.InstanceStatus{
			Instance: messages.InstanceID(fmt.Sprintf("i-%s-%s-%04d", resource, condition, i)), Resource: resource,
			Offering: offering(messages.Spot, "g5.xlarge", "us-east-1a"), Condition: condition, Since: noon, LaunchedAt: noon,
		})
	}
	return all
}

// world is a status in which nothing is wrong: queue training is served by
// gpu-spot (4 at most) and then gpu (2 at most).
func world() messages.Status {
	zones := []messages.Offering{
		offering(messages.Spot, "g5.xlarge", "us-east-1a"), offering(messages.Spot, "g5.xlarge", "us-east-1b"),
		offering(messages.Spot, "g4dn.xlarge", "us-east-1a"), offering(messages.Spot, "g4dn.xlarge", "us-east-1b"),
	}
	return messages.Status{
		Autoscaler: "prod", At: noon, Version: "v1.2.3", Holder: "host:1:ABC", Epoch: 7, StartedAt: noon.Add(-3 * time.Hour),
		ClearML: messages.SourceStatus{LastGood: noon.Add(-5 * time.Second)},
		EC2:     messages.SourceStatus{LastGood: noon.Add(-20 * time.Second)},
		Queues: []messages.QueueStatus{
			{Queue: "training", Known: true, Resources: []messages.ResourceName{"gpu-spot", "gpu"}, Verdict: messages.QueuePlanned{Queue: "training"}},
			{Queue: "cpu", Known: true, Resources: []messages.ResourceName{"cpu"}, Verdict: messages.QueuePlanned{Queue: "cpu"}},
		},
		Resources: []messages.ResourceStatus{
			{Resource: "gpu-spot", Known: true, Max: 4, Offerings: zones, BootSeconds: 300},
			{Resource: "gpu", Known: true, Max: 2, Offerings: []messages.Offering{offering(messages.OnDemand, "g5.xlarge", "us-east-1a")}, BootSeconds: 300},
		},
		Instances: []messages.InstanceStatus{},
	}
}

// waiting has tasks wait in queue training, with the verdict on them.
func waiting(s *messages.Status, n, covered, launching int, reasons ...messages.Reason) {
	q := &s.Queues[0]
	q.Waiting, q.WaitSeconds = n, 125
	q.Verdict.Waiting, q.Verdict.Covered, q.Verdict.Launching, q.Verdict.Unmet = n, covered, launching, n-covered-launching
	q.Verdict.Reasons = reasons
}

// filled gives a resource type instances that count.
func filled(s *messages.Status, resource int, condition messages.Condition, n int) {
	r := &s.Resources[resource]
	r.Alive += n
	s.Instances = append(s.Instances, instances(r.Resource, condition, n)...)
	slices.SortFunc(s.Instances, func(a, b messages.InstanceStatus) int { return strings.Compare(string(a.Instance), string(b.Instance)) })
}

func atMax(resource string, got, limit int64) messages.Reason {
	return messages.Reason{Code: messages.ReasonAtMax, Subject: resource, Got: got, Limit: limit, Detail: "n of at most m"}
}

// refused blocks offerings of a resource type, and is the reason for a verdict.
func refused(s *messages.Status, resource int, class messages.FailureClass, until time.Duration, which ...int) messages.Reason {
	r := &s.Resources[resource]
	for _, n := range which {
		r.Blocks = append(r.Blocks, messages.Blocked{Offering: r.Offerings[n], Class: class, Until: noon.Add(until)})
	}
	return messages.Reason{
		Code: messages.ReasonBlocked, Subject: string(r.Resource), Got: int64(r.Alive), Limit: int64(r.Max),
		Detail: fmt.Sprintf("%s; asked again in %s", class, until),
	}
}

// situations are what a queue may be in, each by the name of its golden file.
func situations() map[string]func(s *messages.Status) {
	return map[string]func(s *messages.Status){
		"nothing_waits": func(s *messages.Status) { filled(s, 0, messages.ConditionBusy, 2) },
		"nobody_knows":  func(s *messages.Status) { s.Queues[0].Known = false },
		"covered": func(s *messages.Status) {
			filled(s, 0, messages.ConditionBusy, 1)
			filled(s, 0, messages.ConditionBooting, 2)
			waiting(s, 2, 2, 0)
		},
		"one_launching": func(s *messages.Status) {
			s.Resources[0].Alive, s.Resources[0].Launching = 1, 1
			waiting(s, 1, 0, 1)
		},
		"at_max": func(s *messages.Status) {
			filled(s, 0, messages.ConditionBusy, 3)
			filled(s, 0, messages.ConditionBooting, 1)
			filled(s, 1, messages.ConditionBusy, 2)
			waiting(s, 4, 1, 0, atMax("gpu-spot", 4, 4), atMax("gpu", 2, 2))
		},
		"max_lowered": func(s *messages.Status) {
			filled(s, 0, messages.ConditionBusy, 6)
			waiting(s, 1, 0, 0, atMax("gpu-spot", 6, 4))
		},
		"max_zero": func(s *messages.Status) {
			s.Resources[0].Max = 0
			waiting(s, 1, 0, 0, atMax("gpu-spot", 0, 0))
		},
		"no_capacity": func(s *messages.Status) {
			filled(s, 1, messages.ConditionBusy, 2)
			reason := refused(s, 0, messages.ClassNoCapacity, 100*time.Second, 0, 1, 2, 3)
			s.Resources[0].Blocks[2].Until = noon.Add(30 * time.Second)
			waiting(s, 3, 0, 0, reason, atMax("gpu", 2, 2))
		},
		"mixed_refusals": func(s *messages.Status) {
			refused(s, 0, messages.ClassNoCapacity, 2*time.Minute, 0, 1)
			waiting(s, 2, 0, 1, refused(s, 0, messages.ClassUnsupported, time.Hour, 2, 3))
		},
		"may_be_contested": func(s *messages.Status) {
			waiting(s, 2, 0, 0, messages.Reason{Code: messages.ReasonContested, Limit: 100, Detail: "owner 7 of another event server gave a sign of life on queue training a moment ago"})
		},
		"unauthorized_with_words": func(s *messages.Status) {
			reason := refused(s, 0, messages.ClassUnauthorized, time.Hour, 0)
			s.Resources[0].Blocks[0].Message = "UnauthorizedOperation: You are not authorized to perform: ec2:RunInstances"
			waiting(s, 2, 0, 0, reason)
		},
		"quota":        func(s *messages.Status) { waiting(s, 1, 0, 0, refused(s, 0, messages.ClassQuota, 10*time.Minute, 0)) },
		"unauthorized": func(s *messages.Status) { waiting(s, 2, 0, 0, refused(s, 0, messages.ClassUnauthorized, time.Hour, 0)) },
		"no_addresses": func(s *messages.Status) {
			waiting(s, 2, 0, 0, refused(s, 0, messages.ClassNoAddresses, time.Minute, 0))
		},
		"market_closed": func(s *messages.Status) {
			waiting(s, 2, 0, 0, refused(s, 0, messages.ClassMarketClosed, time.Hour, 0))
		},
		"wrong_request": func(s *messages.Status) { waiting(s, 2, 0, 0, refused(s, 0, messages.ClassInvalid, time.Hour, 0)) },
		"odd_class":     func(s *messages.Status) { waiting(s, 2, 0, 0, refused(s, 0, "moon_phase", -time.Second, 0)) },
		"boots_fail":    func(s *messages.Status) { waiting(s, 2, 0, 0, refused(s, 0, "boot_failures", 15*time.Minute, 0, 1)) },
		"half_open": func(s *messages.Status) {
			waiting(s, 5, 0, 1, messages.Reason{
				Code: messages.ReasonBlocked, Subject: "gpu-spot", Got: 1, Limit: 4,
				Detail: "no_capacity; only 1 instance may be launched until it is known whether that works again",
			})
		},
		"half_open_unnamed": func(s *messages.Status) {
			waiting(s, 5, 0, 1, messages.Reason{
				Code: messages.ReasonBlocked, Subject: "gpu-spot", Got: 1, Limit: 4,
				Detail: "only 1 instance may be launched until it is known whether that works again",
			})
		},
		"paused": func(s *messages.Status) {
			s.Pause = &messages.Pause{At: noon.Add(-12 * time.Minute), By: "ana@host", Why: "moving the data set", Until: noon.Add(90 * time.Minute)}
			filled(s, 0, messages.ConditionIdle, 1)
			waiting(s, 3, 1, 0, messages.Reason{Code: messages.ReasonPaused, Detail: "since noon"})
		},
		"paused_nothing_waits": func(s *messages.Status) { s.Pause = &messages.Pause{At: noon.Add(-time.Hour)} },
		"pause_over": func(s *messages.Status) {
			waiting(s, 3, 0, 0, messages.Reason{Code: messages.ReasonPaused, Detail: "since 2026-03-01T11:00:00Z"})
		},
		"pause_unread": func(s *messages.Status) {
			waiting(s, 3, 0, 0, messages.Reason{Code: messages.ReasonPaused, Detail: messages.PauseUnread})
		},
		"clearml_slow": func(s *messages.Status) {
			waiting(s, 3, 0, 0, messages.Reason{Code: messages.ReasonStale, Subject: "clearml", Got: 95, Limit: 75})
		},
		"clearml_never": func(s *messages.Status) {
			waiting(s, 3, 0, 0, messages.Reason{Code: messages.ReasonStale, Subject: "clearml", Limit: 75})
		},
		"clearml_future": func(s *messages.Status) {
			waiting(s, 3, 0, 0, messages.Reason{Code: messages.ReasonStale, Subject: "clearml", Got: -7200, Limit: 75})
		},
		"clearml_down": func(s *messages.Status) {
			s.ClearML = messages.SourceStatus{
				LastGood: noon.Add(-6 * time.Minute), DownSince: noon.Add(-5 * time.Minute), Class: messages.ClassTransient,
				Message: "dial tcp 10.0.0.7:8008:\r\n\x1b[31mconnection refused " + strings.Repeat("x", 300),
			}
			waiting(s, 3, 0, 0, messages.Reason{Code: messages.ReasonStale, Subject: "clearml", Got: 360, Limit: 75})
		},
		"ec2_down": func(s *messages.Status) {
			s.EC2 = messages.SourceStatus{DownSince: noon.Add(-90 * time.Second), Class: messages.ClassUnauthorized}
			waiting(s, 3, 0, 0, messages.Reason{Code: messages.ReasonFleetUnknown, Subject: "gpu-spot", Limit: 4})
		},
		"fleet_unknown": func(s *messages.Status) {
			waiting(s, 3, 0, 0, messages.Reason{Code: messages.ReasonFleetUnknown, Subject: "gpu-spot", Limit: 4},
				messages.Reason{Code: messages.ReasonFleetUnknown, Subject: "gpu", Limit: 2})
		},
		"no_resource": func(s *messages.Status) {
			s.Queues[0].Resources = nil
			waiting(s, 2, 0, 0, messages.Reason{Code: messages.ReasonNoResource, Subject: "training", Detail: "no configured resource type serves this queue"})
		},
		"silent_resource": func(s *messages.Status) {
			s.Resources = s.Resources[1:]
			s.Silent = []string{"resource gpu-spot"}
			waiting(s, 2, 2, 0)
		},
		"silent_resource_at_max": func(s *messages.Status) {
			s.Resources = s.Resources[1:]
			s.Silent = []string{"resource gpu-spot"}
			waiting(s, 2, 0, 0, atMax("gpu-spot", 4, 4))
		},
		"old_verdict": func(s *messages.Status) {
			filled(s, 0, messages.ConditionIdle, 1)
			waiting(s, 1, 1, 0)
			s.Queues[0].Waiting = 5
		},
		"stopping": func(s *messages.Status) {
			s.Stopping = true
			filled(s, 0, messages.ConditionBusy, 4)
			waiting(s, 2, 0, 0, atMax("gpu-spot", 4, 4))
		},
		"odd_reason": func(s *messages.Status) { waiting(s, 2, 0, 0, messages.Reason{Code: "moon_phase"}) },
	}
}

// TestExplain holds what an operator reads to testdata/explain.
func TestExplain(t *testing.T) {
	t.Parallel()
	for name, change := range situations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status := world()
			change(&status)
			e, err := control.Explain(status, "training")
			if err != nil {
				t.Fatal(err)
			}
			if e.Waiting != status.Queues[0].Waiting || e.Unmet != status.Queues[0].Verdict.Unmet || !e.At.Equal(noon) {
				t.Errorf("numbers are %+v", e)
			}
			if !strings.HasPrefix(e.Summary, strings.TrimSuffix(e.Outcome, ".")) {
				t.Errorf("the summary %q does not begin with the outcome %q", e.Summary, e.Outcome)
			}
			golden(t, filepath.Join("testdata", "explain", name+".txt"), text(e)+"\nIn one sentence: "+e.Summary+"\n")
		})
	}
}

// text is an explanation as `ebb explain` prints it.
func text(e control.Explanation) string {
	var b strings.Builder
	fmt.Fprintln(&b, e.Outcome)
	for _, f := range e.Findings {
		fmt.Fprintf(&b, "- %s %s\n", f.About, f.Text)
		if f.Cure != "" {
			fmt.Fprintf(&b, "  → %s\n", f.Cure)
		}
	}
	return b.String()
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant %s (go test ./cmd/internal/control -update rewrites it)\n%s", got, path, want)
	}
}

// TestExplainLaws holds what every explanation must be: an unmet task has a cause
// with a cure, no word of the program's insides, and nothing that a terminal
// would obey.
func TestExplainLaws(t *testing.T) {
	t.Parallel()
	for name, change := range situations() {
		status := world()
		change(&status)
		e, err := control.Explain(status, "training")
		if err != nil {
			t.Fatal(err)
		}
		cured := e.Unmet == 0 || e.Waiting != status.Queues[0].Verdict.Waiting
		for _, f := range e.Findings {
			cured = cured || f.Cure != ""
			if f.About == "" || f.Text == "" {
				t.Errorf("%s: half a finding: %+v", name, f)
			}
		}
		if !cured && name != "odd_reason" {
			t.Errorf("%s: nothing says what to do:\n%s", name, text(e))
		}
		for _, jargon := range []string{"_capacity", "verdict", "offering", "unmet", "epoch", "fleet", "\x1b", "\r", "0s by", "  "} {
			if all := strings.ReplaceAll(text(e), "\n  →", "\n→"); strings.Contains(all, jargon) {
				t.Errorf("%s: %q in\n%s", name, jargon, all)
			}
		}
	}
}

func TestExplainUnknownQueue(t *testing.T) {
	t.Parallel()
	many := world()
	for n := range 50 {
		many.Queues = append(many.Queues, messages.QueueStatus{Queue: messages.QueueName(fmt.Sprintf("q%d", n))})
	}
	silent := world()
	silent.Queues, silent.Silent = silent.Queues[1:], []string{"queue training"}
	for _, c := range []struct {
		status messages.Status
		queue  messages.QueueName
		class  messages.FailureClass
		text   string
	}{
		{world(), "old-training", messages.ClassNotFound, `autoscaler prod watches no queue "old-training"; it watches training, cpu`},
		{messages.Status{Autoscaler: "prod"}, "a", messages.ClassNotFound, `autoscaler prod watches no queue "a"`},
		{silent, "training", messages.ClassTransient, "queue training did not answer in time; ask again"},
		{many, "x", messages.ClassNotFound, "q17 and 32 more"},
	} {
		_, err := control.Explain(c.status, c.queue)
		if f := messages.FailureOf(err); f == nil || f.Class != c.class || !strings.HasSuffix(f.Message, c.text) {
			t.Errorf("%s: got %v, want %s %s", c.queue, f, c.class, c.text)
		}
	}
}
