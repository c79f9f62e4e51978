package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

// busyStatus is a status with some of everything.
func busyStatus() messages.Status {
	offer := func(market messages.Market, zone string) messages.Offering {
		return messages.Offering{Market: market, InstanceType: "g5.xlarge", Zone: zone}
	}
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	return messages.Status{
		Autoscaler: "prod", At: noon, Version: "v1.2.3", Holder: "host:1:ABCDEF", Epoch: 7, StartedAt: ago(50 * time.Hour),
		ClearML: messages.SourceStatus{LastGood: ago(3 * time.Second)}, EC2: messages.SourceStatus{LastGood: ago(70 * time.Second)},
		Queues: []messages.QueueStatus{
			{Queue: "default", Known: true, Resources: []messages.ResourceName{"cpu"}},
			{
				Queue: "training", Known: true, Waiting: 9, WaitSeconds: 754, Resources: []messages.ResourceName{"gpu-spot", "gpu"},
				Verdict: messages.QueuePlanned{Queue: "training", Waiting: 9, Covered: 1, Launching: 2, Unmet: 6, Reasons: []messages.Reason{
					{Code: messages.ReasonBlocked, Subject: "gpu-spot", Got: 3, Limit: 8, Detail: "no_capacity; asked again in 1m40s"},
					{Code: messages.ReasonAtMax, Subject: "gpu", Got: 2, Limit: 2},
				}},
			},
			{Queue: "new", Resources: []messages.ResourceName{"cpu"}},
		},
		Resources: []messages.ResourceStatus{
			{
				Resource: "gpu-spot", Known: true, Max: 8, Alive: 3, Launching: 1, Offerings: []messages.Offering{offer(messages.Spot, "us-east-1a"), offer(messages.Spot, "us-east-1b")},
				Blocks: []messages.Blocked{
					{Offering: offer(messages.Spot, "us-east-1a"), Class: messages.ClassNoCapacity, Until: noon.Add(100 * time.Second)},
					{Offering: offer(messages.Spot, "us-east-1b"), Class: messages.ClassNoCapacity, Until: noon.Add(200 * time.Second)},
				},
			},
			{Resource: "gpu", Known: true, Max: 2, Alive: 2, Offerings: []messages.Offering{offer(messages.OnDemand, "us-east-1a")}},
			{Resource: "cpu", Max: 5, Offerings: []messages.Offering{offer(messages.Spot, "us-east-1a")}, Held: []messages.Reason{{Code: messages.ReasonLaunchRefused, Subject: "unauthorized"}}},
		},
		Instances: []messages.InstanceStatus{
			{Instance: "i-0a", Resource: "gpu-spot", Offering: offer(messages.Spot, "us-east-1a"), Condition: messages.ConditionBusy, Since: ago(25 * time.Minute), LaunchedAt: ago(5 * time.Hour), Task: "abc", TaskName: "训练 \x1b[31m of the whole of a very long named thing indeed", HourlyUSD: 0.4},
			{Instance: "i-0b", Resource: "gpu-spot", Offering: offer(messages.Spot, "us-east-1b"), Condition: messages.ConditionDraining, Since: ago(30 * time.Second), LaunchedAt: ago(26 * time.Hour), Notice: messages.NoticeInterruption, HourlyUSD: 0.41, Reasons: []messages.Reason{{Code: messages.ReasonInterrupted}}},
			{Instance: "i-0c", Resource: "gpu", Offering: offer(messages.OnDemand, "us-east-1a"), Condition: messages.ConditionBooting, Since: ago(59 * time.Second), LaunchedAt: ago(59 * time.Second)},
			{Instance: "i-0d", Resource: "gpu", Offering: offer(messages.OnDemand, "us-east-1a"), Condition: messages.ConditionIdle, Since: ago(3 * time.Minute), LaunchedAt: ago(time.Hour), HourlyUSD: 1},
		},
	}
}

// fakeService answers for an autoscaler with what is canned, and remembers what
// it was asked.
type fakeService struct {
	status messages.Status
	fails  *messages.Failure

	mu    sync.Mutex
	asked []string
}

func (f *fakeService) Order(_ context.Context, _ messages.AutoscalerName, by string, order messages.Order) (messages.Answered, error) {
	if _, only := order.(messages.ReportStatus); only {
		status := f.status
		return messages.Answered{Status: &status}, nil
	}
	f.note(by, fmt.Sprintf("%#v", order))
	if f.fails != nil {
		return messages.Answered{}, f.fails
	}
	switch o := order.(type) {
	case messages.DrainInstanceNow:
		return messages.Answered{Instances: []messages.InstanceID{o.Instance}}, nil
	case messages.DrainIdleNow:
		if o.Resource == "cpu" {
			return messages.Answered{}, nil
		}
		return messages.Answered{Instances: []messages.InstanceID{"i-0c", "i-0d"}}, nil
	default:
		return messages.Answered{}, nil
	}
}

func (f *fakeService) Reload(_ context.Context, by string) (control.Reloaded, error) {
	f.note(by, "reload")
	if f.fails != nil {
		return control.Reloaded{}, f.fails
	}
	if f.status.Autoscaler == "dev" {
		return control.Reloaded{Changes: []string{}}, nil
	}
	return control.Reloaded{Changes: []string{"prod: resources[gpu].max_instances: 2 -> 3"}, Restart: []string{"nats.listen: changed (at the next start)"}}, nil
}

func (f *fakeService) Now() time.Time { return noon }

func (f *fakeService) note(by, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	by, _, _ = strings.Cut(by, "@")
	f.asked = append(f.asked, by+": "+what)
}

// heard is what it was asked so far.
func (f *fakeService) heard() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

// served starts services for autoscalers on an event server, and says where that
// is.
func served(t *testing.T, services ...*fakeService) (url string) {
	t.Helper()
	url, conn := eventBus(t)
	for _, service := range services {
		running, err := conn.Serve(t.Context(), bus.ControlConfig{
			Autoscaler: service.status.Autoscaler, Holder: "host:1", Version: "v1.2.3",
			Handlers: control.Handlers(service.status.Autoscaler, service),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(running.Stop)
	}
	return url
}

// as runs a command line as a user, against an event server.
func as(t *testing.T, user, url string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p, out, problems := program()
	p.Environ = append(p.Environ, "USER="+user)
	if url != "" {
		args = append(args, "--nats-url", url)
	}
	code = p.Execute(t.Context(), args)
	return code, out.String(), strings.ReplaceAll(problems.String(), url, "URL")
}

func devService() *fakeService {
	return &fakeService{status: messages.Status{
		Autoscaler: "dev", At: noon, Version: "v1.2.3", Holder: "other:2:XYZ", StartedAt: noon.Add(-time.Minute),
		Pause: &messages.Pause{At: noon.Add(-30 * time.Second), By: "ana@host", Why: "moving", Until: noon.Add(time.Hour)},
		Configuration: &messages.ConfigurationStatus{
			Unsound: []string{"autoscalers: is 7; write a list"}, UnsoundSince: noon.Add(-2 * time.Minute), Restart: []string{"log.level: info → debug"},
		},
		ClearML:       messages.SourceStatus{DownSince: noon.Add(-2 * time.Minute), Class: messages.ClassUnauthorized, Message: "401"},
		EventsPending: 3, EventsLost: 1, Stopping: true, Silent: []string{"queue slow"},
		Queues: []messages.QueueStatus{{Queue: "dev", Known: true, Waiting: 2, WaitSeconds: 5, Verdict: messages.QueuePlanned{Waiting: 2, Unmet: 2, Reasons: []messages.Reason{{Code: messages.ReasonPaused}}}}},
	}}
}

// TestControlGolden holds what commands to a running ebb print, and what they
// ask of it.
func TestControlGolden(t *testing.T) {
	t.Parallel()
	for name, line := range map[string][]string{
		"status":                {"status"},
		"status_json":           {"status", "--json"},
		"explain":               {"explain", "training"},
		"explain_json":          {"explain", "default", "--json"},
		"explain_unknown":       {"explain", "trainings"},
		"explain_nothing":       {"explain"},
		"explain_two":           {"explain", "a", "b"},
		"pause":                 {"pause", "--why", "moving the data set"},
		"pause_for":             {"pause", "--for", "2h30m"},
		"pause_hours":           {"pause", "--for", "2h"},
		"pause_seconds":         {"pause", "--for", "90s"},
		"pause_json":            {"pause", "--json"},
		"pause_zero":            {"pause", "--for", "0s"},
		"pause_negative":        {"pause", "--for", "-2h"},
		"pause_forever":         {"pause", "--for", "10000h"},
		"pause_odd_why":         {"pause", "--why", "a\x1b[31m"},
		"pause_argument":        {"pause", "prod"},
		"resume":                {"resume"},
		"resume_json":           {"resume", "--json"},
		"drain":                 {"drain", "i-0a"},
		"drain_force":           {"drain", "i-0a", "--force"},
		"drain_json":            {"drain", "i-0a", "--json"},
		"drain_nothing":         {"drain"},
		"drain_empty":           {"drain", ""},
		"shutdown_idle":         {"shutdown-idle"},
		"shutdown_idle_none":    {"shutdown-idle", "--resource", "cpu"},
		"shutdown_idle_json":    {"shutdown-idle", "--json"},
		"shutdown_idle_nothing": {"shutdown-idle", "--json", "--resource", "cpu"},
		"reload":                {"reload"},
		"reload_json":           {"reload", "--json"},
		"autoscaler_unknown":    {"resume", "--autoscaler", "dev"},
		"top_no_terminal":       {"top"},
		"top_json":              {"top", "--json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := &fakeService{status: busyStatus()}
			url := served(t, service)
			code, stdout, stderr := as(t, "ana", url, line...)
			asked := ""
			for _, what := range service.heard() {
				asked += what + "\n"
			}
			golden(t, "control_"+name, fmt.Sprintf("exit %d\n--- stdout\n%s--- stderr\n%s--- asked\n%s", code, stdout, stderr, asked))
		})
	}
}

// TestControlRefused prints why, without a program's words for it.
func TestControlRefused(t *testing.T) {
	t.Parallel()
	service := &fakeService{status: busyStatus(), fails: &messages.Failure{Class: messages.ClassInvalid, Code: "x", Message: "launching is not paused"}}
	url := served(t, service)
	for _, line := range [][]string{{"resume"}, {"pause"}, {"drain", "i-0a"}, {"shutdown-idle"}, {"reload"}} {
		if code, stdout, stderr := as(t, "ana", url, line...); code != 1 || stdout != "" || stderr != "ebb: launching is not paused\n" {
			t.Errorf("%v: exit %d\n%s\n%s", line, code, stdout, stderr)
		}
	}
}

// again does something up to twenty times until it answers what is wanted: of several
// autoscalers, one that a busy machine holds up for long is not found.
func again(want string, do func() string) string {
	got := do()
	for n := 1; n < 20 && got != want; n++ {
		got = do()
	}
	return got
}

// TestControlSeveral has two autoscalers: status shows both, what names a queue or an
// instance finds whose it is, everything else wants to know which.
func TestControlSeveral(t *testing.T) {
	t.Parallel()
	prod, dev := &fakeService{status: busyStatus()}, devService()
	url := served(t, prod, dev)
	for name, line := range map[string][]string{
		"status":         {"status"},
		"status_one":     {"status", "--autoscaler", "dev"},
		"status_unknown": {"status", "--autoscaler", "test"},
		"explain":        {"explain", "training"},
		"explain_dev":    {"explain", "dev", "--autoscaler", "dev"},
		"explain_other":  {"explain", "dev"},
		"explain_none":   {"explain", "trainng"},
		"drain":          {"drain", "i-0d"},
		"drain_none":     {"drain", "i-0e"},
		"reload_dev":     {"reload", "--autoscaler", "dev"},
		"resume":         {"resume"},
	} {
		want, _ := os.ReadFile(goldenFile("several_" + name)) // that it cannot be read is golden's to tell
		golden(t, "several_"+name, again(string(want), func() string {
			code, stdout, stderr := as(t, "ana", url, line...)
			return fmt.Sprintf("exit %d\n--- stdout\n%s--- stderr\n%s", code, stdout, stderr)
		}))
	}
	if got := again("dev prod 4", func() string {
		code, stdout, _ := as(t, "ana", url, "status", "--json")
		var all []messages.Status
		if err := json.Unmarshal([]byte(stdout), &all); code != 0 || err != nil || len(all) != 2 {
			return fmt.Sprintf("exit %d, %v: %s", code, err, stdout)
		}
		return fmt.Sprintf("%s %s %d", all[0].Autoscaler, all[1].Autoscaler, len(all[1].Instances))
	}); got != "dev prod 4" {
		t.Error(got)
	}
}

// TestControlShared has a queue that two autoscalers serve: the message names those two
// and not the third.
func TestControlShared(t *testing.T) {
	t.Parallel()
	test := &fakeService{status: busyStatus()}
	test.status.Autoscaler, test.status.Instances = "test", nil
	url := served(t, &fakeService{status: busyStatus()}, devService(), test)
	want := "exit 2: ebb: several autoscalers have the queue \"training\"; write --autoscaler with one of prod, test\nebb: see ebb explain --help\n"
	if got := again(want, func() string {
		code, stdout, stderr := as(t, "ana", url, "explain", "training")
		return fmt.Sprintf("exit %d: %s%s", code, stdout, stderr)
	}); got != want {
		t.Error(got)
	}
	want = "exit 0: i-0a takes no more tasks and ends when it has none\n"
	if got := again(want, func() string {
		code, stdout, stderr := as(t, "ana", url, "drain", "i-0a")
		return fmt.Sprintf("exit %d: %s%s", code, stdout, stderr)
	}); got != want {
		t.Error(got)
	}
}

// TestNATSURLEverywhere: an address that is none is refused alike by every command that
// takes one, with the cure, before anybody is called.
func TestNATSURLEverywhere(t *testing.T) {
	t.Parallel()
	asked := 0
	for _, path := range commandPaths(t)[1:] {
		_, help, _ := everything(t, append(slices.Clone(path), "--help")...)
		if !strings.Contains(help, "--nats-url ") || slices.Contains([]string{"top", "doctor"}, path[0]) { // which look for a terminal, and report it
			continue
		}
		asked++
		line := append(slices.Clone(path), "--nats-url", "localhost")
		switch path[0] {
		case "explain", "drain":
			line = append(line, "x")
		case "run":
			line = append(line, "--config", "testdata/two.yaml")
		}
		code, stdout, stderr := everything(t, line...)
		if code == 0 || !strings.Contains(stdout+stderr, `"localhost" is not a URL; write nats://localhost`) {
			t.Errorf("%v: exit %d: %s%s", line, code, stdout, stderr)
		}
	}
	if asked < 8 {
		t.Errorf("only %d commands take --nats-url", asked)
	}
}

// TestControlNobody says what to do when nobody is there.
func TestControlNobody(t *testing.T) {
	t.Parallel()
	url := served(t)
	for _, line := range [][]string{{"status"}, {"resume"}, {"explain", "q"}} {
		if code, stdout, stderr := as(t, "ana", url, line...); code != 1 || stdout != "" || !strings.Contains(stderr, "no autoscaler answers at this event server") {
			t.Errorf("%v: exit %d\n%s\n%s", line, code, stdout, stderr)
		}
	}
	if code, _, stderr := as(t, "ana", url, "resume", "--autoscaler", "prod"); code != 1 || stderr != "ebb: no ebb that is connected to this event server acts for an autoscaler \"prod\"\n" {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := as(t, "ana", "nats://127.0.0.1:1", "status"); code != 1 || !strings.Contains(stderr, "is ebb running there?") {
		t.Errorf("no server: exit %d: %s", code, stderr)
	}
}

// TestControlByConfiguration finds the event server where the configuration of the
// running ebb says it listens, and whoever uses sudo is named.
func TestControlByConfiguration(t *testing.T) {
	t.Parallel()
	service := &fakeService{status: busyStatus()}
	url := served(t, service)
	two, err := os.ReadFile("testdata/two.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ebb.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(string(two), "nats://127.0.0.1:4223", url, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	p, stdout, stderr := program()
	p.Environ = append(p.Environ, "EBB_CONFIG="+file, "USER=root", "SUDO_USER=ana")
	if code := p.Execute(t.Context(), []string{"pause"}); code != 0 || stdout.String() != "prod launches nothing until `ebb resume`\n" {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	if asked := service.heard(); len(asked) != 1 || !strings.HasPrefix(asked[0], "ana: messages.PauseLaunches") {
		t.Errorf("asked %q", asked)
	}
	if code, _, stderr := as(t, "ana", url, "status", "--config", file); code != 2 || !strings.Contains(stderr, "both say where the event server is") {
		t.Errorf("two servers: exit %d: %s", code, stderr)
	}
}

// TestControlManyInstances reads a fleet of several pages.
func TestControlManyInstances(t *testing.T) {
	t.Parallel()
	service := &fakeService{status: busyStatus()}
	service.status.Instances = nil
	for n := range 2500 {
		service.status.Instances = append(service.status.Instances, messages.InstanceStatus{Instance: messages.InstanceID(fmt.Sprintf("i-%05d", n)), Condition: messages.ConditionBusy, Since: noon, LaunchedAt: noon})
	}
	code, stdout, stderr := as(t, "ana", served(t, service), "status")
	if code != 0 || strings.Count(stdout, "\ni-") != 2500 || !strings.Contains(stdout, "\ni-02499 ") {
		t.Errorf("exit %d, %d instances: %s", code, strings.Count(stdout, "\ni-"), stderr)
	}
}

// TestControlCompletion offers what the running ebb knows, and nothing where none
// answers.
func TestControlCompletion(t *testing.T) {
	t.Parallel()
	url := served(t, &fakeService{status: busyStatus()}, devService())
	for _, c := range []struct {
		line []string
		want string
	}{
		{[]string{"status", "--nats-url", url, "--autoscaler", ""}, "dev prod"},
		{[]string{"status", "--nats-url", url, "--autoscaler", "p"}, "dev prod"}, // the shell leaves out what does not begin so
		{[]string{"explain", "--nats-url", url, ""}, "default dev new training"},
		{[]string{"explain", "--nats-url", url, "--autoscaler", "dev", ""}, "dev"},
		{[]string{"explain", "--nats-url", url, "training", ""}, ""},
		{[]string{"drain", "--nats-url", url, "--autoscaler", "prod", ""}, "i-0a\tgpu-spot busy i-0b\tgpu-spot draining i-0c\tgpu booting i-0d\tgpu idle"},
		{[]string{"shutdown-idle", "--nats-url", url, "--resource", ""}, "cpu gpu gpu-spot"},
		{[]string{"pause", "--nats-url", url, ""}, ""},
		{[]string{"drain", "--nats-url", "nats://127.0.0.1:1", ""}, ""},
		{[]string{"status", "--nats-url", "no address at all", "--autoscaler", ""}, ""},
		{[]string{"explain", "--config", "testdata/none.yaml", ""}, ""},
		{[]string{"explain", "--nats-url", url, "--autoscaler", "nobody", ""}, ""},
	} {
		stderr, want := "", fmt.Sprintf("exit 0, %q :%q", c.want, "4\n")
		if got := again(want, func() (got string) {
			var code int
			var stdout string
			code, stdout, stderr = ebb(t.Context(), append([]string{"__complete"}, c.line...)...)
			words, directive, _ := strings.Cut(stdout, ":")
			return fmt.Sprintf("exit %d, %q :%q", code, strings.Join(strings.FieldsFunc(words, func(r rune) bool { return r == '\n' }), " "), directive)
		}); got != want {
			t.Errorf("%v: got %s, want %s", c.line, got, want)
		}
		if strings.Trim(strings.ReplaceAll(stderr, "Completion ended with directive: ShellCompDirectiveNoFileComp", ""), "\n") != "" {
			t.Errorf("%v: says %q in the middle of a command line", c.line, stderr)
		}
	}
}

// TestCompletionScripts renders the script of every shell.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for shell, word := range map[string]string{"bash": "__start_ebb", "zsh": "#compdef ebb", "fish": "complete -c ebb", "powershell": "Register-ArgumentCompleter"} {
		code, stdout, stderr := ebb(t.Context(), "completion", shell)
		if code != 0 || !strings.Contains(stdout, word) || stderr != "" {
			t.Errorf("%s: exit %d, %d bytes: %s", shell, code, len(stdout), stderr)
		}
	}
	if code, _, stderr := ebb(t.Context(), "completion", "tcsh"); code != 2 || stderr == "" {
		t.Errorf("tcsh: exit %d: %s", code, stderr)
	}
}
