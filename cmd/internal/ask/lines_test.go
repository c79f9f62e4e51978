package ask_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/ask"
	"github.com/ebbscale/ebb/cmd/internal/wizard"
	"github.com/ebbscale/ebb/internal/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// byLines runs the questions with these lines as answers.
func byLines(ctx context.Context, a wizard.Answers, o ask.Options, answers ...string) (wizard.Answers, string, error) {
	var out bytes.Buffer
	o.In, o.Out, o.Lines, o.Name = strings.NewReader(strings.Join(answers, "\n")+"\n"), &out, true, "ebb.yaml"
	got, err := ask.Run(ctx, a, o)
	return got, out.String(), err
}

// short answers every page: ClearML, AWS, Git, workers, one resource, profile, rest.
func short() []string {
	return []string{
		"", "", "", "KEY", "", // API server as proposed, no others, key, reference as proposed
		"us-east-1", "yes",
		"",             // no git
		"", "", "", "", // workers as proposed
		"gpu", "g5.xlarge, g4dn.xlarge", "1", "n", "", "", // spot, no fallback, no subnets, auto
		"ami-0123456789abcdef0", "4", "gpu", "", "/dev/sda1", "200", "", "", "", "",
		"1",    // no other resource
		"", "", // no profile
		"", "#!/bin/bash", "", "echo hello", ".", "", "2", // name, script, no configuration, idle
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	a, out, err := byLines(t.Context(), nil, ask.Options{}, append(short(), "1")...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for id, want := range map[string]string{
		"autoscalers[0].clearml.api_server":                       "https://api.clear.ml",
		"autoscalers[0].clearml.secret_key":                       "${ENV:CLEARML_API_SECRET_KEY}",
		"autoscalers[0].clearml.auth_token":                       "",
		"autoscalers[0].aws.use_iam_role":                         "true",
		"autoscalers[0].aws.secret_access_key":                    "",
		"autoscalers[0].resources[0].market":                      "spot",
		"autoscalers[0].resources[0].on_demand_fallback.patience": "",
		"autoscalers[0].resources[0].availability_zones":          "auto",
		"autoscalers[0].resources[0].volumes[0].size_gb":          "200",
		"autoscalers[0].init_script":                              "#!/bin/bash\n\necho hello\n",
		"autoscalers[0].on_shutdown":                              "idle",
		"autoscalers[0].name":                                     "prod",
	} {
		if got := a.Text(id); got != want {
			t.Errorf("%s is %q, want %q", id, got, want)
		}
	}
	if problems := wizard.Check(a); len(problems) > 0 {
		t.Error(problems)
	}
	for _, text := range []string{"== ClearML server (1 of 7) ==", "Address of the ClearML API server.", "[https://api.clear.ml]", "1: spot – cheaper", "Compute resource gpu: g5.xlarge"} {
		if !strings.Contains(out, text) {
			t.Errorf("the output lacks %q:\n%s", text, out)
		}
	}
}

// TestLinesRefuse asks again until an answer is right, and says what is wrong.
func TestLinesRefuse(t *testing.T) {
	t.Parallel()
	answers := short()
	answers = append(append([]string{"ftp://x", "https://api.clear.ml", "", "", "KEY", "hunter2", "${ENV:MY_KEY}", "us-east-1a", "us-east-1", "perhaps", "yes"}, answers[7:]...), "99", "1")
	a, out, err := byLines(t.Context(), nil, ask.Options{}, answers...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, text := range []string{"does not begin with http:// or https://", "with --inline-secrets", "write the region us-east-1", "must be true or false", "write a number from 1 to"} {
		if !strings.Contains(out, "Not right: ") || !strings.Contains(out, text) {
			t.Errorf("the output lacks %q:\n%s", text, out)
		}
	}
	if strings.Contains(out, "hunter2") || a.Text("autoscalers[0].clearml.secret_key") != "${ENV:MY_KEY}" {
		t.Error("the secret is printed or kept")
	}
}

// TestLinesEnd holds that the end of input, or of the program, is no answer.
func TestLinesEnd(t *testing.T) {
	t.Parallel()
	all := short()
	for _, n := range []int{0, 3, len(all)} {
		if a, _, err := byLines(t.Context(), nil, ask.Options{}, all[:n]...); err == nil || a != nil || !strings.Contains(err.Error(), "nothing was written") {
			t.Errorf("after %d answers: %v, %v", n, a, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, typing := io.Pipe()
	defer func() { _ = typing.Close() }()
	if _, err := ask.Run(ctx, nil, ask.Options{In: in, Out: io.Discard, Lines: true}); !errors.Is(err, ask.ErrAborted) {
		t.Errorf("ended from outside: %v", err)
	}
	if _, out, err := byLines(t.Context(), nil, ask.Options{}, append(short(), "10")...); !errors.Is(err, ask.ErrAborted) {
		t.Errorf("left in the summary: %v\n%s", err, out)
	}
}

// TestLinesInline takes secrets themselves when they may be in the file.
func TestLinesInline(t *testing.T) {
	t.Parallel()
	answers := short()
	answers[4] = "hunter2"
	a, out, err := byLines(t.Context(), nil, ask.Options{InlineSecrets: true}, append(answers, "1")...)
	if err != nil || a.Text("autoscalers[0].clearml.secret_key") != "hunter2" || strings.Contains(out, "hunter2") {
		t.Errorf("%v: %v\n%s", err, a, out)
	}
}

// TestLinesChange adds, changes and removes in the summary.
func TestLinesChange(t *testing.T) {
	t.Parallel()
	resource := func(name string) []string {
		return []string{name, "m5.large", "", "", "", "ami-01234567", "2", name + "-queue", "", "", "", "", "yes"}
	}
	answers := append(short(), "9") // add a resource
	answers = append(answers, resource("cpu")...)
	answers = append(answers, "11") // remove gpu
	answers = append(answers, "4", "bot", "")
	answers = append(answers, "1")
	a, out, err := byLines(t.Context(), nil, ask.Options{}, answers...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if a.Elements("autoscalers[0].resources") != 1 || a.Text("autoscalers[0].resources[0].name") != "cpu" || a.Text("autoscalers[0].resources[0].cpu_only") != "true" {
		t.Errorf("resources are %v\n%s", a, out)
	}
	if a.Text("autoscalers[0].git.user") != "bot" || a.Text("autoscalers[0].git.password") != "${ENV:GIT_PASSWORD}" {
		t.Errorf("git is %q, %q", a.Text("autoscalers[0].git.user"), a.Text("autoscalers[0].git.password"))
	}
}

// TestLinesStarted asks an imported configuration only what it lacks.
func TestLinesStarted(t *testing.T) {
	t.Parallel()
	a, _, err := wizard.Import("app.json", []byte(`{"cloud_credentials_region": "eu-west-1", "use_credentials_chain": "True",
		"resource_configurations": [{"resource_name": "small", "instance_type": "m5.large", "queue_name": "default", "num_instances": "4", "ami_id": "ami-01234567", "is_spot": "False"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got, out, err := byLines(t.Context(), a, ask.Options{Started: true}, "http://clearml.lan:8008", "", "", "KEY", "", "1")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(out, "== AWS") || !strings.Contains(out, "Still missing: Access key, API server.") {
		t.Errorf("asked more than is missing:\n%s", out)
	}
	if problems := wizard.Check(got); len(problems) > 0 {
		t.Error(problems)
	}
}

// TestLinesKeepSecretsOut: text glued to a reference is as much in the file as text
// alone, so neither is taken.
func TestLinesKeepSecretsOut(t *testing.T) {
	t.Parallel()
	answers := short()
	glued := []string{"${ENV:CLEARML_API_SECRET_KEY}MYKEY", "MYKEY${FILE:/run/key}", "${ENV:A}${ENV:B}", "$${ENV:A}", "${FILE:/run/key}"}
	answers = append(append(slices.Clone(answers[:4]), glued...), answers[5:]...)
	a, out, err := byLines(t.Context(), nil, ask.Options{}, append(answers, "1")...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := a.Text("autoscalers[0].clearml.secret_key"); got != "${FILE:/run/key}" {
		t.Errorf("took %q", got)
	}
	if n := strings.Count(out, "Not right: there is more than one reference"); n != 3 {
		t.Errorf("refused glued text %d times:\n%s", n, out)
	}
	if strings.Contains(out, "MYKEY") {
		t.Errorf("repeats a secret:\n%s", out)
	}
	if !strings.Contains(out, "Access key (leave empty to give a token instead)\n") {
		t.Errorf("marks a key as optional beside a secret that is not:\n%s", out)
	}
	answers = slices.Clone(short())
	answers = append(append(slices.Clone(answers[:3]), "", "${ENV:CLEARML_AUTH_TOKEN}MYKEY", ""), answers[5:]...)
	a, out, err = byLines(t.Context(), nil, ask.Options{}, append(answers, "1")...)
	if err != nil || a.Text("autoscalers[0].clearml.auth_token") != "${ENV:CLEARML_AUTH_TOKEN}" {
		t.Errorf("%v\n%s", err, out)
	}
}
