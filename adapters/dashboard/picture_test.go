package dashboard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/adapters/dashboard/dashtest"
	"github.com/ebbscale/ebb/messages"
)

var update = flag.Bool("update", false, "rewrite testdata")

// noon is when the autoscalers of these tests tell their status; it does not go on.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type still struct{ dashboard.Clock }

func (still) Now() time.Time { return noon }

// teller is a world whose autoscalers say always the same, or cannot be reached.
type teller struct {
	*dashtest.World

	about  dashboard.Autoscaler
	status messages.Status
	err    error
}

func (t *teller) Autoscalers(context.Context) ([]dashboard.Autoscaler, error) {
	return []dashboard.Autoscaler{t.about}, nil
}

func (t *teller) Status(context.Context, messages.AutoscalerName) (messages.Status, error) {
	return t.status, t.err
}

// shown is what GET of an autoscaler answers, with line breaks.
func shown(t *testing.T, of *teller) string {
	t.Helper()
	of.World = dashtest.New(clock.System(), 1, 0, of.about.Name)
	server := run(t, of.World, func(c *dashboard.Config) {
		c.Engine, c.Clock = of, still{c.Clock}
		c.Reason = func(r messages.Reason) string { return "because of " + string(r.Code) }
	})
	answer := func() string { return body(ask(server, "GET", "/api/v1/autoscalers/prod", "", trusted)) }
	waitFor(t, "the picture", func() bool {
		return strings.Contains(answer(), `"told":1`) || strings.Contains(answer(), `"problem":`)
	})
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(answer()), "", "  "); err != nil {
		t.Fatal(err)
	}
	return indented.String() + "\n"
}

// everything is a status in which all that can be told is told.
func everything() messages.Status {
	spot := messages.Offering{Market: messages.Spot, InstanceType: "g5.xlarge", Zone: "us-east-1a"}
	subnet := messages.Offering{Market: messages.OnDemand, InstanceType: "m7i.large", Subnet: "subnet-1"}
	return messages.Status{
		Autoscaler: "prod", At: noon, Version: "v1.2.3", Holder: "host-1:42:ABC", Epoch: 3, StartedAt: noon.Add(-time.Hour), Stopping: true,
		Pause:         &messages.Pause{At: noon.Add(-time.Minute), By: "ana", Why: "moving <data>", Until: noon.Add(time.Minute)},
		Rival:         &messages.Rival{Epoch: 7, Queue: "training", Since: noon.Add(-2 * time.Minute), Holds: true},
		ClearML:       messages.SourceStatus{LastGood: noon.Add(-time.Second)},
		EC2:           messages.SourceStatus{LastGood: noon.Add(-time.Minute), DownSince: noon.Add(-30 * time.Second), Class: messages.ClassThrottled, Message: "RequestLimitExceeded"},
		EventsPending: 4, EventsLost: 2,
		Queues: []messages.QueueStatus{
			{Queue: "training", AsOf: noon, Known: true, Waiting: 5, WaitSeconds: 90, Resources: []messages.ResourceName{"gpu", "cpu"}, Verdict: messages.QueuePlanned{
				Queue: "training", Waiting: 5, Covered: 2, Launching: 1, Unmet: 2, Reasons: []messages.Reason{{Code: messages.ReasonAtMax, Subject: "gpu"}},
			}},
			{Queue: "not looked at", AsOf: noon},
		},
		Resources: []messages.ResourceStatus{
			{
				Resource: "gpu", AsOf: noon, Known: true, Max: 4, Alive: 3, Launching: 1, Offerings: []messages.Offering{spot}, IdleSeconds: 900, BootSeconds: 240,
				Held: []messages.Reason{{Code: messages.ReasonBootFailures}},
				Blocks: []messages.Blocked{
					{Offering: spot, Class: messages.ClassNoCapacity, Until: noon.Add(time.Minute)},
					{Offering: spot, Class: messages.ClassQuota, Until: noon.Add(-time.Minute)}, // it is asked again
					{Offering: spot, Class: messages.ClassUnauthorized},                         // not by itself
				},
			},
			{Resource: "cpu", AsOf: noon, Max: 2},
			{Resource: "old", AsOf: noon, Known: true, Retired: true, Alive: 1},
		},
		Instances: []messages.InstanceStatus{
			{
				Instance: "i-1", Resource: "gpu", Offering: spot, Condition: messages.ConditionBusy, Since: noon.Add(-time.Minute), LaunchedAt: noon.Add(-2 * time.Hour),
				Worker: "w:gpu:g5.xlarge:i-1", Task: "t1", TaskName: "<b>train</b>", Notice: messages.NoticeRebalance, HourlyUSD: 0.5,
			},
			{
				Instance: "i-2", Resource: "old", Offering: subnet, Condition: messages.ConditionDraining, Since: noon, LaunchedAt: noon.Add(-30 * time.Minute),
				Reasons: []messages.Reason{{Code: messages.ReasonIdle}, {Code: messages.ReasonOperator}},
			},
		},
	}
}

// TestPicture holds what is shown of a status, of everything and of nothing at all.
func TestPicture(t *testing.T) {
	t.Parallel()

	ended := everything()
	ended.Pause.Until = noon // the pause has ended, and the next status says so
	about := dashboard.Autoscaler{Name: "prod", Region: "us-east-1", WebServer: "https://app.example.com"}
	for name, of := range map[string]*teller{
		"everything":  {about: about, status: everything()},
		"nothing":     {about: dashboard.Autoscaler{Name: "prod"}, status: messages.Status{Autoscaler: "prod", At: noon, StartedAt: noon}},
		"ended_pause": {about: about, status: messages.Status{Autoscaler: "prod", At: noon, StartedAt: noon, Pause: ended.Pause}},
		"unreachable": {about: about, err: &messages.Failure{Class: messages.ClassHeld, Message: "nobody acts for it"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, path := shown(t, of), filepath.Join("testdata", "picture_"+name+".json")
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
				t.Errorf("got\n%s\nwant %s (go test ./adapters/dashboard -run TestPicture -update rewrites it)", got, path)
			}
		})
	}
}

// TestLinks are those to AWS, whose partitions have different addresses, and to
// ClearML, whose address may hold a login.
func TestLinks(t *testing.T) {
	t.Parallel()

	for _, c := range []struct{ region, web, instance, task string }{
		{"us-east-1", "https://app.clear.ml/", "https://us-east-1.console.aws.amazon.com/ec2/home?region=us-east-1#InstanceDetails:instanceId={id}", "https://app.clear.ml/projects/*/experiments/{id}/output/log"},
		{"cn-north-1", "http://clearml:8080/sub", "https://cn-north-1.console.amazonaws.cn/ec2/home?region=cn-north-1#InstanceDetails:instanceId={id}", "http://clearml:8080/sub/projects/*/experiments/{id}/output/log"},
		{"us-gov-west-1", "https://ana:planted-secret@app.clear.ml?a=b#c", "https://us-gov-west-1.console.amazonaws-us-gov.com/ec2/home?region=us-gov-west-1#InstanceDetails:instanceId={id}", "https://app.clear.ml/projects/*/experiments/{id}/output/log"},
		{"evil.example/?", "javascript:alert(1)", "", ""},
		{"", "", "", ""},
	} {
		got := shown(t, &teller{about: dashboard.Autoscaler{Name: "prod", Region: c.region, WebServer: c.web}, status: messages.Status{Autoscaler: "prod", At: noon}})
		var answer struct {
			Links struct{ Instance, Task string }
		}
		if err := json.Unmarshal([]byte(got), &answer); err != nil {
			t.Fatal(err)
		}
		if answer.Links.Instance != c.instance || answer.Links.Task != c.task || strings.Contains(got, "planted-secret") {
			t.Errorf("region %q, web server %q: %+v", c.region, c.web, answer.Links)
		}
	}
}
