package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// TestImport reads each kind of foreign configuration; the golden file has what
// came out and every note.
func TestImport(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"wizard.yaml", "app.json", "hosted.json", "vault.conf", "vault_doc.conf", "own_redacted.yaml"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata/import", name)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, notes, err := config.Import(data, "")
			if err != nil {
				t.Fatal(err)
			}
			byName, notesByName, err := config.Import(data, path)
			if err != nil || fmt.Sprintf("%#v", byName) != fmt.Sprintf("%#v", f) || len(notesByName) != len(notes) {
				t.Errorf("with the file's name as hint: %v", err)
			}
			out, err := config.Export(f, config.YAML, true)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			b.Write(out)
			b.WriteString("---- notes\n")
			for _, n := range notes {
				if n.Message == "" {
					t.Errorf("an empty note: %+v", n)
				}
				b.WriteString(n.String() + "\n")
			}
			golden(t, "testdata/import/golden/"+name+".txt", b.String())
		})
	}
}

// TestImportDropsNothingSilently gives each known and some unknown keys a value and
// looks for it in the result or the notes.
func TestImportDropsNothingSilently(t *testing.T) {
	t.Parallel()
	keys := []string{
		"use_iam_instance_profile", "ignore_vault_parsing_errors", "run_with_service_account", "use_owner_token", "files",
		"environment", "match", "max_number_of_vms", "cloud_credentials_expiration", "tags", "custom_launch_spec", "something_new",
	}
	for _, key := range keys {
		_, notes, err := config.Import([]byte(fmt.Sprintf(`{"workers_prefix": "w", %q: "x=1"}`, key)), "json")
		if err != nil {
			t.Fatal(err)
		}
		if !hasNote(notes, key) {
			t.Errorf("%s is dropped without a note: %v", key, notes)
		}
	}
}

func hasNote(notes []config.Note, source string) bool {
	for _, n := range notes {
		if n.Source == source {
			return true
		}
	}
	return false
}

func TestImportSmall(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"other cloud":           {`{"workers_prefix": "w", "cloud_provider": "GCP"}`, "cloud_provider: not taken over: ebb launches on AWS only"},
		"minutes as text":       {`{"max_idle_time_min": "soon"}`, `max_idle_time_min → autoscalers[0].max_idle_time: not taken over: "soon" is not a duration`},
		"same key twice":        {`{"git_pass": "a", "git_password": "b"}`, "git_password → autoscalers[0].git.password: not taken over: git_pass says the same and came first"},
		"name before arn":       {`{"iam_name": "n", "iam_arn": "arn:aws:iam::123456789012:instance-profile/n"}`, "iam_name → autoscalers[0].iam_instance_profile.arn: not taken over: iam_arn is set too"},
		"arn before name":       {`{"iam_arn": "arn:aws:iam::123456789012:instance-profile/n", "iam_name": "n"}`, "iam_name → autoscalers[0].iam_instance_profile.name: not taken over"},
		"unknown shutdown":      {`{"workers_prefix": "w", "shutdown_action": "perhaps"}`, "shutdown_action → autoscalers[0].on_shutdown: not taken over"},
		"resources as a number": {`{"resource_configurations": 3}`, "resource_configurations → autoscalers[0].resources: not taken over"},
		"queues as a list":      {`{"queues": ["a"]}`, "queues → autoscalers[0].queues: not taken over"},
		"setting as a list":     {`{"workers_prefix": ["a"]}`, "workers_prefix → autoscalers[0].workers_prefix: not taken over: it is not one value"},
		"tags as a number":      {`{"resource_configurations": {"a": {"tags": 3}}}`, "resource_configurations.a.tags → autoscalers[0].resources[0].tags: not taken over"},
		"queues as text":        {`{"resource_configurations": {"a": {}}, "queues": "{\"q\": [[\"a\", 2]]}"}`, `resource_configurations.a → autoscalers[0].resources[0].ami_id: is missing`},
		"old clearml conf":      {`{"extra_trains_conf": "a }", "workers_prefix": "w"}`, "extra_trains_conf → autoscalers[0].clearml_conf: is not HOCON"},
		"vault for gcp":         {`{"auto_scaler.v1": {"gcp": {"a": 1}}}`, "auto_scaler.v1.gcp: not taken over"},
		"an own reference":      {`{"autoscalers": [{"name": "${ENV:NAME}"}]}`, "autoscalers[0].name: refers to ${ENV:NAME}, which an import does not look up"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, notes, err := config.Import([]byte(test.text), "")
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range notes {
				if strings.HasPrefix(n.String(), test.want) {
					return
				}
			}
			t.Errorf("no note begins with %q:\n%v", test.want, notes)
		})
	}
	for action, want := range map[string]config.ShutdownAction{"Do nothing": "keep", "all": "all", "Idle": "idle"} {
		f, _, err := config.Import([]byte(fmt.Sprintf(`{"workers_prefix": "w", "shutdown_action": %q}`, action)), "")
		if err != nil || f.Autoscalers[0].OnShutdown != want {
			t.Errorf("%s is %v, want %s (%v)", action, f.Autoscalers, want, err)
		}
	}
}

// TestImportWithoutZone takes a resource without zone and subnet for one of which AWS
// chooses the zone, and says so, whichever form the resources have.
func TestImportWithoutZone(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"wizard":      `{"resource_configurations": {"gpu": {"instance_type": "g5.xlarge", "ami_id": "ami-0123456789abcdef0", "availability_zone": ""}}, "queues": {"gpu": [["gpu", 2]]}}`,
		"application": `{"resource_configurations": [{"resource_name": "gpu", "instance_type": "g5.xlarge", "queue_name": "gpu", "availability_zone": null}]}`,
		"as text":     `{"resource_configurations": "{\"gpu\": {\"instance_type\": \"g5.xlarge\"}}"}`,
	} {
		f, notes, err := config.Import([]byte(text), "")
		if err != nil {
			t.Fatal(err)
		}
		if zones := f.Autoscalers[0].Resources[0].AvailabilityZones; len(zones) != 1 || zones[0] != config.ZoneAuto {
			t.Errorf("%s: zones are %q", name, zones)
		}
		said := 0
		for _, n := range notes {
			if n.Path == "autoscalers[0].resources[0].availability_zones" {
				said++
				if !strings.Contains(n.Message, "[auto]") {
					t.Errorf("%s: %s", name, n)
				}
			}
		}
		if said != 1 {
			t.Errorf("%s: %d notes about the zones: %v", name, said, notes)
		}
	}
	f, _, err := config.Import([]byte(`{"resource_configurations": {"gpu": {"instance_type": "g5.xlarge", "subnet_id": "subnet-0123456789abcdef0"}}}`), "")
	if err != nil || len(f.Autoscalers[0].Resources[0].AvailabilityZones) != 0 {
		t.Errorf("with a subnet: %v, %v", f, err)
	}
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, hint, want string }{
		"unknown format":  {"", "toml", `"toml" is not a format; write yaml, json or hocon`},
		"nothing known":   {`{"a": 1}`, "", "is not a configuration that is known here"},
		"nothing at all":  {"", "", "is not a configuration that is known here"},
		"no syntax":       {"a: [", "", "is not YAML"},
		"broken json":     {`{"a"`, "json", "is not JSON"},
		"broken hocon":    {`a }`, "hocon", "is not HOCON: a } closes nothing"},
		"own unknown key": {"autoscalers:\n  - nam: x\n", "", "autoscalers[0].nam: is not a key; did you mean name?"},
		"own wrong type":  {"autoscalers:\n  - name: [x]\n", "yaml", "autoscalers[0].name: must be text, is a list"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := config.Import([]byte(test.text), test.hint)
			var problems config.Errors
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
