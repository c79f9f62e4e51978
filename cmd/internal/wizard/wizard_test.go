package wizard_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/wizard"
)

var update = flag.Bool("update", false, "write golden files")

// golden compares got with the file, or writes it under -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with go test -update)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

// small are the answers that nobody can leave away.
func small() wizard.Answers {
	return wizard.Answers{
		"autoscalers[0].name":                           "prod",
		"autoscalers[0].clearml.api_server":             "https://api.clear.ml",
		"autoscalers[0].clearml.access_key":             "KEY",
		"autoscalers[0].clearml.secret_key":             "hunter2",
		"autoscalers[0].aws.region":                     "us-east-1",
		"autoscalers[0].aws.use_iam_role":               "true",
		"autoscalers[0].resources[0].name":              "gpu",
		"autoscalers[0].resources[0].instance_types":    "g5.xlarge, g4dn.xlarge",
		"autoscalers[0].resources[0].market":            "spot",
		"autoscalers[0].resources[0].ami_id":            "ami-0123456789abcdef0",
		"autoscalers[0].resources[0].max_instances":     "4",
		"autoscalers[0].resources[0].queues":            "gpu, gpu-urgent",
		"autoscalers[0].resources[0].tags":              "team=research, cost-center=4711",
		"autoscalers[0].resources[0].volumes[0].device": "/dev/sda1",
		"autoscalers[0].init_script":                    "#!/bin/bash\nmkdir -p /opt/cache\n",
	}
}

// filled are small with the defaults.
func filled() wizard.Answers {
	a := small()
	wizard.Fill(0, a)
	return a
}

// load writes answers to a file and loads it.
func load(t *testing.T, a wizard.Answers, o wizard.Options, environ ...string) config.File {
	t.Helper()
	w, err := wizard.Write(a, o)
	if err != nil {
		t.Fatal(err)
	}
	return loadText(t, string(w.YAML), environ...)
}

func loadText(t *testing.T, text string, environ ...string) config.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ebb.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := config.Load(config.Source{Path: path, Environ: environ})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return f
}

// TestSteps holds the questions as a web page gets them, and that each is about a
// key that exists.
func TestSteps(t *testing.T) {
	t.Parallel()
	out, err := json.MarshalIndent(wizard.Steps(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/steps.json", string(out)+"\n")
	ids := map[string]bool{}
	for _, s := range wizard.Steps() {
		for _, f := range s.Fields {
			if _, known := config.KeyAt(f.ID); !known || ids[f.ID] {
				t.Errorf("%s is no key, or asked twice", f.ID)
			}
			ids[f.ID] = true
			if f.Label == "" || f.Help == "" || strings.Contains(f.Help, "`") {
				t.Errorf("%s: label %q, help %q", f.ID, f.Label, f.Help)
			}
			for _, c := range f.When {
				if !ids[c.Field] {
					t.Errorf("%s depends on %s, which is not asked before it", f.ID, c.Field)
				}
			}
		}
	}
}

// TestAtFillsEveryPath holds that a repeated step has no [] left for an element.
func TestAtFillsEveryPath(t *testing.T) {
	t.Parallel()
	for _, s := range wizard.StepsFor(1, wizard.Answers{"autoscalers[1].resources[2].name": "x"}) {
		out := fmt.Sprintf("%+v", s)
		if strings.Contains(out, "[].") || strings.Contains(out, "autoscalers[0]") {
			t.Errorf("a path is not filled in: %s", out)
		}
	}
}

// TestWrite holds the file that a short questionnaire gives.
func TestWrite(t *testing.T) {
	t.Parallel()
	a := filled()
	if problems := wizard.Check(a); len(problems) > 0 {
		t.Fatal(problems)
	}
	w, err := wizard.Write(a, wizard.Options{})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/small.golden.yaml", string(w.YAML))
	if strings.Contains(string(w.YAML), "hunter2") {
		t.Error("the secret is in the file")
	}
	want := []wizard.Need{{ReferenceTo: config.ReferenceTo{Kind: "ENV", Name: "CLEARML_API_SECRET_KEY"}, Path: "autoscalers[0].clearml.secret_key", Moved: true}}
	if !reflect.DeepEqual(w.Needs, want) {
		t.Errorf("needs are %+v", w.Needs)
	}
	if !slices.Equal(w.Inline, []string{"autoscalers[0].init_script"}) {
		t.Errorf("inline are %v", w.Inline)
	}
	f := loadText(t, string(w.YAML), "CLEARML_API_SECRET_KEY=hunter2")
	if g := load(t, a, wizard.Options{InlineSecrets: true}); !reflect.DeepEqual(f, g) {
		t.Errorf("with the secret inline it is another file")
	}
	if f.Autoscalers[0].ClearML.SecretKey.Reveal() != "hunter2" || f.Autoscalers[0].Resources[0].Tags["team"] != "research" ||
		f.Autoscalers[0].Resources[0].Volumes[0].SizeGB != 100 || len(f.Autoscalers[0].Resources[0].Queues) != 2 {
		t.Errorf("got %+v", f.Autoscalers[0])
	}
}

// TestEveryKeyIsExplained finds the table's text above each key that is written.
func TestEveryKeyIsExplained(t *testing.T) {
	t.Parallel()
	w, err := wizard.Write(filled(), wizard.Options{InlineSecrets: true})
	if err != nil {
		t.Fatal(err)
	}
	joined := strings.Join(strings.Fields(regexp.MustCompile(`(?m)^ *#`).ReplaceAllString(string(w.YAML), "")), " ")
	for path := range filled() {
		k, _ := config.KeyAt(path)
		if !strings.Contains(joined, strings.Join(strings.Fields(k.Plain()), " ")) {
			t.Errorf("%s is not explained", path)
		}
	}
}

func goodFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../config/testdata/good/full.*")
	if err != nil || len(files) < 3 {
		t.Fatalf("found %v: %v", files, err)
	}
	return append(files, "../../../deployments/examples/ebb.yaml", "../cli/testdata/two.yaml")
}

func environ() []string {
	return []string{"CLEARML_SECRET=s3cret", "GIT_TOKEN=t0ken", "PLANTED_CLEARML=planted", "PLANTED_NATS=planted"}
}

// TestFilesSurvive takes each good file through the wizard, loaded and as text: what
// comes out loads as the same configuration, asked or not.
func TestFilesSurvive(t *testing.T) {
	t.Parallel()
	for _, path := range goodFiles(t) {
		f, err := config.Load(config.Source{Path: path, Environ: environ()})
		if err != nil {
			t.Fatal(err)
		}
		a, err := wizard.FromFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if problems := wizard.Check(a); len(problems) > 0 {
			t.Errorf("%s: %v", path, problems)
		}
		if back := load(t, a, wizard.Options{InlineSecrets: true}); !reflect.DeepEqual(back, f) {
			t.Errorf("%s is another file after the wizard", path)
		}
		// Without inline secrets the same, when they are where the file says.
		w, err := wizard.Write(a, wizard.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var vars []string
		for _, n := range w.Needs {
			vars = append(vars, n.Name+"="+a.Text(n.Path))
		}
		if back := loadText(t, string(w.YAML), vars...); !reflect.DeepEqual(back, f) {
			t.Errorf("%s is another file with its secrets in the environment", path)
		}

		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		a, _, err = wizard.Import(path, data)
		if err != nil {
			t.Fatal(err)
		}
		if problems := wizard.Check(a); len(problems) > 0 {
			t.Errorf("%s as text: %v", path, problems)
		}
		if back := load(t, a, wizard.Options{InlineSecrets: true}, environ()...); !reflect.DeepEqual(back, f) {
			t.Errorf("%s as text is another file after the wizard", path)
		}
		wizard.Fill(0, a)
		if back := load(t, a, wizard.Options{InlineSecrets: true}, environ()...); !reflect.DeepEqual(back, f) {
			t.Errorf("%s is another file when its gaps have defaults", path)
		}
	}
}

// TestBadFilesKeepTheirProblems holds that Check says what Load says: the same paths
// are wrong, where both can know.
func TestBadFilesKeepTheirProblems(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../config/testdata/bad/*.yaml")
	if err != nil || len(files) < 100 {
		t.Fatal(files, err)
	}
	compared := 0
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		a, notes, err := wizard.Import(path, data)
		if err != nil || len(notes) > 0 || strings.Contains(string(data), "${") {
			continue // its form is wrong, not its values; or it depends on what is looked up
		}
		compared++
		if problems := wizard.Check(a); len(problems) == 0 && !strings.HasSuffix(path, "_empty.yaml") { // empty is not answered
			t.Errorf("%s: nothing is wrong with it any more", path)
		}
	}
	if compared < 80 {
		t.Errorf("compared %d files", compared)
	}
}

// TestImportReadsNothing gives files that refer to the environment and to files of
// this machine. The references stay text: in the answers, in problems, in the file.
func TestImportReadsNothing(t *testing.T) {
	t.Setenv("EBB_TEST_PLANTED", "planted-in-the-environment")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("planted-in-a-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	own := `
autoscalers:
  - name: prod
    clearml: {api_server: "https://${ENV:EBB_TEST_PLANTED}", access_key: "${FILE:` + secret + `}", secret_key: "${FILE:` + secret + `}"}
    aws: {region: "${ENV:EBB_TEST_PLANTED}", use_iam_role: "${ENV:EBB_TEST_PLANTED}"}
    max_idle_time: "${ENV:EBB_TEST_PLANTED}"
    init_script: "echo ${FILE:` + secret + `} ${HOME}"
    resources:
      - {name: gpu, instance_type: "${ENV:EBB_TEST_PLANTED}", spot: "${ENV:EBB_TEST_PLANTED}", availability_zones: "${ENV:EBB_TEST_PLANTED}", subnets: [subnet-01234567], ami_id: ami-01234567, max_instances: "${ENV:EBB_TEST_PLANTED}", queue: gpu, tags: "${ENV:EBB_TEST_PLANTED}"}
`
	hocon := `autoscalers = [{name = prod, clearml {api_server = "https://${ENV:EBB_TEST_PLANTED}", secret_key = "${FILE:` + secret + `}"}}]`
	vault := `auto_scaler.v1 { aws { cloud_credentials_key: "${ENV:EBB_TEST_PLANTED}", cloud_credentials_secret: "${FILE:` + secret + `}" } }`
	app := `{"git_user": "${ENV:EBB_TEST_PLANTED}", "git_pass": "${FILE:` + secret + `}", "extra_vm_bash_script": "cat ${FILE:` + secret + `}"}`
	include := `include "` + secret + `"
autoscalers = []`
	for name, text := range map[string]string{
		"own.yaml": own, "own": own, "own.conf": hocon, "vault.conf": vault, "app.json": app, "app": app, "include.conf": include,
		"substitution.conf": "autoscalers = [{name = ${EBB_TEST_PLANTED}}]",
	} {
		a, notes, err := wizard.Import(name, []byte(text))
		all := fmt.Sprint(a, notes, err)
		if err == nil {
			w, err := wizard.Write(a, wizard.Options{InlineSecrets: true})
			if err != nil {
				t.Fatal(err)
			}
			all += string(w.YAML) + fmt.Sprint(wizard.Check(a), w.Needs)
			if !strings.Contains(string(w.YAML), "${ENV:EBB_TEST_PLANTED}") {
				t.Errorf("%s: the reference is gone:\n%s", name, w.YAML)
			}
		} else if name != "include.conf" && name != "substitution.conf" {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(all, "planted-in") {
			t.Errorf("%s was looked up: %s", name, all)
		}
	}
	a, _, err := wizard.Import("own.yaml", []byte(own))
	if problems := wizard.Check(a); err != nil || len(problems) > 0 {
		t.Errorf("references count as wrong: %v, %v", problems, err)
	}
	// In ClearML's files they have no meaning, so they must not get one by the way.
	a, _, err = wizard.Import("app.json", []byte(app))
	if got := a.Text("autoscalers[0].git.user"); err != nil || got != "$${ENV:EBB_TEST_PLANTED}" {
		t.Errorf("the text of another program became a reference: %q, %v", got, err)
	}
}

// TestImportRefuses names what is no configuration, and bounds what is read.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: 1":                                 "is not a configuration that is known here",
		strings.Repeat(" ", 1<<20) + "a":       "at most 1 MB",
		"autoscalers: [{nam: x}]":              "did you mean name?",
		"autoscalers: [{max_idle_time: soon}]": "is not a duration",
	} {
		if _, _, err := wizard.Import("x.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30s: %v, want %s", text, err, want)
		}
	}
	a, notes, err := wizard.Import("x.yaml", []byte("autoscalers: [{name: a, clearml: {secret_key: <redacted>}, resources: [{init_script: <redacted>}]}]"))
	if err != nil || len(notes) != 2 || a.Text("autoscalers[0].clearml.secret_key") != "" {
		t.Errorf("redacted secrets: %v, %v, %v", a, notes, err)
	}
}

// TestCheck names the path of what is wrong.
func TestCheck(t *testing.T) {
	t.Parallel()
	for id, text := range map[string]string{
		"autoscalers[0].aws.region":                               "us-east-1a",
		"autoscalers[0].max_idle_time":                            "15",
		"autoscalers[0].resources[0].max_instances":               "many",
		"autoscalers[0].resources[0].market":                      "cheap",
		"autoscalers[0].resources[0].tags":                        "x",
		"autoscalers[0].aws.use_iam_role":                         "perhaps",
		"autoscalers[0].clearml.secret_key":                       config.Redacted,
		"autoscalers[0].resources[0].queues":                      "x",
		"autoscalers[0].on_shutdown":                              "explode",
		"autoscalers[0].resources[0].color":                       "red",
		"autoscalers[0].resources[999999999].name":                "far",
		"autoscalers[0].resources[-1].name":                       "x",
		"autoscalers[0].resources[0].name.x":                      "x",
		"autoscalers[0].resources":                                "x",
		"autoscalers[0].resources[0].on_demand_fallback.patience": "-2m",
		"autoscalers[0].resources[0].security_groups":             "sg-01234567, default",
		"autoscalers[0].resources[0].extra_launch_parameters":     "x",
		"autoscalers[0].resources[0].volumes[0].size_gb":          "0",
		"autoscalers[0].clearml_conf":                             "a }",
		"autoscalers[0].iam_instance_profile.arn":                 "arn:aws:iam::123456789012:role/x",
		"nats.url": "http://x",
		"autoscalers[0].resources[0].volumes[0].type": "floppy",
		"autoscalers[0].clearml.api_server":           "https://user:pass@api.clear.ml",
		"autoscalers[0].resources[0].instance_types":  "G5",
	} {
		a := filled()
		a[id] = text
		found := false
		for _, p := range wizard.Check(a) {
			found = found || wizard.About(p, id) || strings.HasPrefix(id, p.Path)
			if p.Message == "" || p.Fix == "" || strings.Contains(p.String(), "hunter2") || strings.Contains(p.String(), "pass@") {
				t.Errorf("%s: %+v", id, p)
			}
		}
		if !found {
			t.Errorf("%s = %s: problems are %v", id, text, wizard.Check(a))
		}
	}
	if problems := wizard.Check(nil); len(problems) == 0 {
		t.Error("nothing is wrong with no answers")
	}
}

// TestCheckField looks at what is before a field, not at what comes after it.
func TestCheckField(t *testing.T) {
	t.Parallel()
	steps := wizard.StepsFor(0, wizard.Answers{})
	a := wizard.Answers{"autoscalers[0].aws.region": "us-east-1"}
	check := func(id, text string) string {
		b := maps.Clone(a)
		b[id] = text
		return fmt.Sprint(wizard.CheckField(steps, b, id))
	}
	for _, c := range []struct{ id, text, want string }{
		{"autoscalers[0].clearml.web_server", "", "[]"},
		{"autoscalers[0].clearml.access_key", "K", "[]"}, // its secret comes next
		{"autoscalers[0].aws.region", "", "is missing"},
		{"autoscalers[0].aws.region", "moon", "is not a region"},
		{"autoscalers[0].resources[0].availability_zones", "eu-west-1a", "is not in the region us-east-1"},
		{"autoscalers[0].resources[0].availability_zones", "us-east-1a", "[]"},
		{"autoscalers[0].resources[0].queues", "", "is missing"},
		{"autoscalers[0].git.password", "", "is missing"},
	} {
		if got := check(c.id, c.text); !strings.Contains(got, c.want) {
			t.Errorf("%s = %q: %s, want %s", c.id, c.text, got, c.want)
		}
	}
}

// TestSettle drops what a choice makes meaningless, and only that.
func TestSettle(t *testing.T) {
	t.Parallel()
	before := filled()
	before["autoscalers[0].aws.use_iam_role"] = false
	before["autoscalers[0].aws.access_key_id"] = "AKIA"
	before["autoscalers[0].resources[0].on_demand_fallback.patience"] = "5m" // not asked, as it is not enabled
	after := maps.Clone(before)
	after.Set("autoscalers[0].aws.use_iam_role", "true")
	wizard.Settle(0, before, after)
	if _, left := after["autoscalers[0].aws.access_key_id"]; left {
		t.Error("the key is left beside the role")
	}
	if after.Text("autoscalers[0].resources[0].on_demand_fallback.patience") != "5m" {
		t.Error("what was never asked is gone")
	}
}

// TestElements counts, removes and keeps the order of resources; queues follow.
func TestElements(t *testing.T) {
	t.Parallel()
	const list = "autoscalers[0].resources"
	a := wizard.Answers{}
	for i, name := range []string{"one", "two", "three"} {
		a[fmt.Sprintf("%s[%d].name", list, i)] = name
		a[fmt.Sprintf("%s[%d].queues", list, i)] = []any{"shared", "only-" + name}
	}
	a["autoscalers[0].queues[0].queue"], a["autoscalers[0].queues[0].resources"] = "shared", []any{"three", "two", "one"}
	if a.Elements(list) != 3 {
		t.Errorf("%d elements", a.Elements(list))
	}
	a.Remove(list, 1)
	if a.Elements(list) != 2 || a.Text(list+"[1].name") != "three" || a.Text(list+"[0].name") != "one" {
		t.Errorf("after removing: %v", a)
	}
	w, err := wizard.Write(a, wizard.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(w.YAML); !strings.Contains(got, "resources: [three, one]") || strings.Contains(got, "two") || !strings.Contains(got, "only-three") {
		t.Errorf("queues do not follow:\n%s", got)
	}
}

// TestAnswersFromJSON posts answers as a web page does.
func TestAnswersFromJSON(t *testing.T) {
	t.Parallel()
	out, err := json.Marshal(filled())
	if err != nil {
		t.Fatal(err)
	}
	var a wizard.Answers
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatal(err)
	}
	a["autoscalers[0].resources[0].max_instances"] = 4.0
	if !reflect.DeepEqual(load(t, a, wizard.Options{InlineSecrets: true}), load(t, filled(), wizard.Options{InlineSecrets: true})) {
		t.Error("answers change on the way through JSON")
	}
	if err := json.Unmarshal([]byte(`{"a": 1, "b": {"c": [2, 2.5]}}`), &a); err != nil || a["a"] != 1 || fmt.Sprint(a["b"]) != "map[c:[2 2.5]]" {
		t.Errorf("numbers are %v, %v", a, err)
	}
	if err := json.Unmarshal([]byte(`[]`), &a); err == nil {
		t.Error("a list was taken for answers")
	}
}

// TestSecretsOfSeveralAutoscalers get a variable each.
func TestSecretsOfSeveralAutoscalers(t *testing.T) {
	t.Parallel()
	a := filled()
	for path, v := range small() {
		a[strings.Replace(path, "autoscalers[0]", "autoscalers[1]", 1)] = v
	}
	a["autoscalers[1].name"] = "dev-2"
	a["autoscalers[1].resources[0].availability_zones"] = "auto"
	a["autoscalers[1].resources[0].volumes[0].size_gb"] = 10
	a["autoscalers[1].workers_prefix"] = "dev"
	w, err := wizard.Write(a, wizard.Options{})
	if err != nil {
		t.Fatal(err)
	}
	loadText(t, string(w.YAML), "CLEARML_API_SECRET_KEY=a", "CLEARML_API_SECRET_KEY_DEV_2=b")
}

// FuzzImport holds that no upload makes the wizard panic, or write what it cannot
// read again.
func FuzzImport(f *testing.F) {
	for _, pattern := range []string{"../config/testdata/good/full.*", "../config/testdata/bad/*.yaml", "../config/testdata/import/*.*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(filepath.Base(path), data)
		}
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		a, _, err := wizard.Import(name, data)
		if err != nil {
			return
		}
		problems := wizard.Check(a)
		w, err := wizard.Write(a, wizard.Options{InlineSecrets: true})
		if err != nil {
			t.Fatalf("write what was imported: %v", err)
		}
		back, _, err := wizard.Import("ebb.yaml", w.YAML)
		if err != nil && len(problems) == 0 {
			t.Fatalf("what was written cannot be read: %v\n%s", err, w.YAML)
		}
		if err == nil && !reflect.DeepEqual(wizard.Check(back), problems) {
			t.Errorf("problems were\n%v\nand are\n%v\n%s", problems, wizard.Check(back), w.YAML)
		}
	})
}

// FuzzAnswers holds that no answers that a page could post make the wizard panic.
func FuzzAnswers(f *testing.F) {
	for _, a := range []wizard.Answers{small(), filled()} {
		data, err := json.Marshal(a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"autoscalers[0].resources[0].name": {"a": [1]}, "autoscalers[0].resources[0].queues": [{}, [1]], "autoscalers[0].queues[0].queue": [[]], "autoscalers[0].queues[0].resources": [{}, {}], "": 1, "a..b": null, "autoscalers[0]": [], "x[1]y": 2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a wizard.Answers
		if json.Unmarshal(data, &a) != nil {
			return
		}
		problems := wizard.Check(a)
		wizard.CheckField(wizard.Steps(), a, "autoscalers[0].aws.region")
		if _, err := wizard.Write(a, wizard.Options{}); err != nil && len(problems) == 0 {
			t.Errorf("nothing is wrong, and it cannot be written: %v", err)
		}
		wizard.Fill(0, a)
		a.Remove("autoscalers[0].resources", 0)
	})
}
