package wizard_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/wizard"
)

const two = `# our file
state_dir: /data/ebb
http: {token: "${ENV:PAGE}"}
autoscalers:
  - name: first
    clearml: {api_server: https://api.clear.ml, access_key: KEY, secret_key: in-the-clear}
    aws: {region: us-east-1, use_iam_role: true}
    resources: &gpu
      - {name: gpu, instance_types: [g5.xlarge], market: spot, availability_zones: [auto], ami_id: ami-0123456789abcdef0, max_instances: 4, queues: [a]}
  - name: second
    clearml: {api_server: https://api.clear.ml, access_key: "${ENV:KEY}", secret_key: "${FILE:/tmp/sec}"}
    aws: {region: us-east-1, access_key_id: AKIDEXAMPLE, secret_access_key: "${ENV:PROD_AWS_SECRET}", session_token: "part${ENV:TOKEN}"}
    init_script: |
      login in-the-clear
    resources: *gpu
`

// TestClone holds that references stay, and that no secret that is written out comes
// out of the file.
func TestClone(t *testing.T) {
	t.Parallel()

	a, notes, found, err := wizard.Clone("ebb.yaml", []byte(two), "second")
	if err != nil || !found {
		t.Fatal(found, err)
	}
	for path, want := range map[string]string{
		"autoscalers[0].name":                     "second",
		"autoscalers[0].clearml.access_key":       "${ENV:KEY}",
		"autoscalers[0].clearml.secret_key":       "${FILE:/tmp/sec}",
		"autoscalers[0].aws.secret_access_key":    "${ENV:PROD_AWS_SECRET}",
		"autoscalers[0].aws.session_token":        "",
		"autoscalers[0].init_script":              "",
		"autoscalers[0].resources[0].ami_id":      "ami-0123456789abcdef0",
		"state_dir":                               "",
		"http.token":                              "",
		"autoscalers[1].name":                     "",
		"autoscalers[0].clearml.web_server":       "",
		"autoscalers[0].on_shutdown":              "",
		"autoscalers[0].resources[0].queues":      "a",
		"autoscalers[0].resources[0].market":      "spot",
		"autoscalers[0].resources[0].volumes[0]":  "",
		"autoscalers[0].aws.access_key_id":        "AKIDEXAMPLE",
		"autoscalers[0].clearml.files_server":     "",
		"autoscalers[0].resources[0].init_script": "",
	} {
		if got := a.Text(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if got, want := wizard.Unset(a, notes), []string{"autoscalers[0].aws.session_token", "autoscalers[0].init_script"}; !reflect.DeepEqual(got, want) {
		t.Errorf("unset: %q, want %q", got, want)
	}
	if _, _, found, err := wizard.Clone("ebb.yaml", []byte(two), "third"); found || err != nil {
		t.Errorf("an autoscaler that is not in the file: %v, %v", found, err)
	}
}

// TestCloneOf leaves every secret of what runs out, also one that looks like a reference.
func TestCloneOf(t *testing.T) {
	t.Parallel()

	a, notes, err := wizard.CloneOf(config.Autoscaler{Name: "x", ClearML: config.ClearML{SecretKey: "${ENV:KEY}"}, InitScript: "login"})
	if err != nil || len(notes) != 2 || len(wizard.Unset(a, notes)) != 2 || a.Text("autoscalers[0].name") != "x" {
		t.Errorf("%v, %v, %v", a, notes, err)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()

	part := func(name, key string) []byte {
		return []byte(`autoscalers:
  - name: ` + name + `
    clearml: {api_server: https://api.clear.ml, access_key: KEY, secret_key: "` + key + `"}
    aws: {region: eu-west-1, use_iam_role: true}
    resources:
      - {name: gpu, instance_types: [g5.xlarge], market: spot, availability_zones: [auto], ami_id: ami-0123456789abcdef0, max_instances: 4, queues: [b]}
`)
	}
	for name, c := range map[string]struct {
		part  []byte
		holds []string
		lacks []string
	}{
		"one more":  {part("third", "${ENV:X}"), []string{"- name: first", "- name: second", "- name: third", "in-the-clear", "/tmp/sec", "/data/ebb", "${ENV:PAGE}"}, nil},
		"in place":  {part("second", "${ENV:X}"), []string{"- name: first", "- name: second", "eu-west-1", "${ENV:X}", "/data/ebb"}, []string{"/tmp/sec", "PROD_AWS_SECRET"}},
		"other key": {append(part("second", "${ENV:X}"), "state_dir: /srv\n"...), []string{"/srv", "${ENV:PAGE}"}, []string{"/data/ebb"}},
	} {
		merged, err := wizard.Merge("ebb.yaml", []byte(two), c.part)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range c.holds {
			if !strings.Contains(string(merged), want) {
				t.Errorf("%s: %q is not in\n%s", name, want, merged)
			}
		}
		for _, never := range c.lacks {
			if strings.Contains(string(merged), never) {
				t.Errorf("%s: %q is in\n%s", name, never, merged)
			}
		}
	}
	for name, c := range map[string]struct{ file, part, says string }{
		"a secret left out": {two, string(part("third", config.Redacted)), "without its secret"},
		"no configuration":  {two, "autoscalers: []\nnonsense: 1", "nonsense"},
		"a broken file":     {"autoscalers: [", string(part("third", "x")), "the file that is there now cannot be read, mend it first: "},
	} {
		_, err := wizard.Merge("ebb.yaml", []byte(c.file), []byte(c.part))
		if _, sender := errors.AsType[config.Errors](err); err == nil || sender != (c.file == two) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want one that says %q", name, err, c.says)
		}
	}
}
