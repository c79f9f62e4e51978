package config_test

import (
	"encoding/json"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

const ownWithReferences = `
http: {token: "${FILE:/run/secrets/token}"}
autoscalers:
  - name: prod
    clearml:
      api_server: https://api.clear.ml
      access_key: key
      secret_key: ${ENV:CLEARML_SECRET}
    aws: {region: "${ENV:REGION}", use_iam_role: true}
    resources:
      - name: gpu
        instance_type: g5.xlarge
        availability_zones: [auto]
        ami_id: ami-0123456789abcdef0
        max_instances: ${ENV:MOST}
        queue: gpu
        tags: {note: "$${ENV:literal}"}
`

// TestConvertKeepsReferences: what a file of ebb refers to, it refers to after an
// import, whatever kind of value it is; nothing is looked up and nothing noted.
func TestConvertKeepsReferences(t *testing.T) {
	t.Parallel()
	for _, format := range []config.Format{config.YAML, config.JSON} {
		converted, err := config.Convert([]byte(ownWithReferences), "", format)
		if err != nil {
			t.Fatal(err)
		}
		if len(converted.Notes) > 0 || converted.Secrets {
			t.Errorf("%s: notes %v, secrets %t", format, converted.Notes, converted.Secrets)
		}
		var tree map[string]any
		if format == config.JSON {
			err = json.Unmarshal(converted.Text, &tree)
		} else {
			err = yaml.Unmarshal(converted.Text, &tree)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"${FILE:/run/secrets/token}", "${ENV:CLEARML_SECRET}", "${ENV:REGION}", "${ENV:MOST}", "$${ENV:literal}"} {
			if !strings.Contains(string(converted.Text), want) {
				t.Errorf("%s lacks %s:\n%s", format, want, converted.Text)
			}
		}
		again, err := config.Convert(converted.Text, string(format), format)
		if err != nil || string(again.Text) != string(converted.Text) {
			t.Errorf("%s: a second import changes it: %v\n%s", format, err, again.Text)
		}
	}
}

// TestConvertSaysWhatItHolds: secrets and scripts that stand in the text are told of,
// and so is what is still missing.
func TestConvertSaysWhatItHolds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		from, to string
		secrets  bool
		note     string
	}{
		"a secret":         {"${ENV:CLEARML_SECRET}", "hunter2", true, ""},
		"glued text":       {"${ENV:CLEARML_SECRET}", "${ENV:CLEARML_SECRET}hunter2", true, ""},
		"a script":         {"    resources:", "    init_script: echo\n    resources:", true, ""},
		"a mistake":        {"ami-0123456789abcdef0", "ami-1", false, "autoscalers[0].resources[0].ami_id: \"ami-1\" is not the id of an AMI"},
		"without a secret": {"${ENV:CLEARML_SECRET}", "\"<redacted>\"", false, "autoscalers[0].clearml.secret_key: was exported without its secret"},
	} {
		converted, err := config.Convert([]byte(replace(ownWithReferences, test.from, test.to)), "yaml", config.YAML)
		if err != nil {
			t.Fatal(err)
		}
		if converted.Secrets != test.secrets {
			t.Errorf("%s: secrets %t", name, converted.Secrets)
		}
		said := test.note == ""
		for _, n := range converted.Notes {
			said = said || strings.HasPrefix(n.String(), test.note)
		}
		if !said {
			t.Errorf("%s: no note begins with %s: %v", name, test.note, converted.Notes)
		}
	}
	if _, err := config.Convert([]byte("autoscalers: [{nam: x}]"), "", config.YAML); err == nil || !strings.Contains(err.Error(), "did you mean name?") {
		t.Errorf("got %v", err)
	}
	if _, err := config.Convert([]byte(ownWithReferences), "", config.HOCON); err == nil {
		t.Error("wrote HOCON")
	}
}
