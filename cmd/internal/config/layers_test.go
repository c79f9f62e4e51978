package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

const small = `
log: {level: warn}
autoscalers:
  - name: prod-eu
    clearml: {api_server: "https://api.clear.ml", access_key: key, secret_key: secret}
    aws: {region: us-east-1, use_iam_role: true}
    resources:
      - name: gpu.a
        instance_type: g5.xlarge
        availability_zones: [us-east-1a]
        ami_id: ami-01234567
        max_instances: 2
        queue: gpu
        volumes: [{device: /dev/sda1, size_gb: 10}]
        tags: {Cost-Center: a}
`

func smallFile() string { return strings.ReplaceAll(small, "gpu.a", "gpu-a") }

func replace(s string, oldnew ...string) string { return strings.NewReplacer(oldnew...).Replace(s) }

func comma(s string) string {
	if s == "" {
		return ""
	}
	return ", " + s
}

// TestLayers holds the order defaults → file → environment → flags.
func TestLayers(t *testing.T) {
	t.Parallel()
	path := write(t, "ebb.yaml", smallFile())
	if f := load(t, config.Source{Path: path}); f.Log.Level != "warn" || f.Log.Format != "auto" {
		t.Errorf("file over defaults: %+v", f.Log)
	}
	environ := []string{"EBB_LOG__LEVEL=error", "EBB_LOG__FORMAT=json", "EBB_STATE_DIR=/srv", "EBB_NATS__URL="}
	f := load(t, config.Source{Path: path, Environ: environ})
	if f.Log.Level != "error" || f.Log.Format != "json" || f.StateDir != "/srv" || f.NATS.URL != "" {
		t.Errorf("environment over file: %+v", f)
	}
	flags := pflag.NewFlagSet("ebb", pflag.ContinueOnError)
	config.RegisterFlags(flags)
	flags.String("config", "", "another command's flag")
	if err := flags.Parse([]string{"--log-level=trace", "--nats-url=nats://n:4222", "--config=x"}); err != nil {
		t.Fatal(err)
	}
	f = load(t, config.Source{Path: path, Environ: environ, Flags: flags})
	if f.Log.Level != "trace" || f.Log.Format != "json" || f.NATS.URL != "nats://n:4222" {
		t.Errorf("flags over environment: %+v", f)
	}
	if err := flags.Parse([]string{"--log-level=loud"}); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(config.Source{Path: path, Flags: flags})
	if err == nil || !strings.HasPrefix(err.Error(), `flag --log-level: log.level: "loud" is not one of its values`) {
		t.Errorf("a bad flag gives %v", err)
	}
}

// TestEnvironmentReachesElements addresses autoscalers and resources by name.
func TestEnvironmentReachesElements(t *testing.T) {
	t.Parallel()
	f := load(t, config.Source{Path: write(t, "ebb.yaml", smallFile()), Environ: []string{
		"EBB_AUTOSCALERS__PROD_EU__CLEARML__SECRET_KEY=${ENV:not expanded}",
		"EBB_AUTOSCALERS__PROD_EU__MAX_IDLE_TIME=7m",
		"EBB_AUTOSCALERS__0__REQUEUE_LOST_TASKS=true",
		"EBB_AUTOSCALERS__PROD_EU__RESOURCES__GPU_A__MAX_INSTANCES=9",
		"EBB_AUTOSCALERS__PROD_EU__RESOURCES__GPU_A__AVAILABILITY_ZONES=us-east-1b, us-east-1c",
		"EBB_AUTOSCALERS__PROD_EU__RESOURCES__GPU_A__TAGS__COST_CENTER=b",
		"EBB_AUTOSCALERS__PROD_EU__RESOURCES__0__VOLUMES__0__ENCRYPTED=true",
		"EBB_AUTOSCALERS__PROD_EU__GIT__USER=me",
		"EBB_AUTOSCALERS__PROD_EU__GIT__PASSWORD=pw",
		// not ours
		"EBB_CONFIG=/etc/ebb.yaml", "EBB_SERVICE_HOST=10.0.0.1", "EBB_PORT_4222_TCP_ADDR=10.0.0.1",
		"EBB_METRICS_SERVICE_PORT=9", "EBBX=1", "PATH=/bin", "=C:=odd", "odd",
	}})
	a := f.Autoscalers[0]
	r := a.Resources[0]
	if a.ClearML.SecretKey.Reveal() != "${ENV:not expanded}" || a.MaxIdleTime != 7*time.Minute || !a.RequeueLostTasks || a.Git.User != "me" {
		t.Errorf("autoscaler is %+v", a)
	}
	if r.MaxInstances != 9 || len(r.AvailabilityZones) != 2 || r.Tags["Cost-Center"] != "b" || !r.Volumes[0].Encrypted || r.Volumes[0].SizeGB != 10 {
		t.Errorf("resource is %+v", r)
	}
}

func TestEnvironmentProblems(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ environ, want string }{
		"unknown key":      {"EBB_LOGG__LEVEL=info", "environment variable EBB_LOGG__LEVEL: logg: is not a key; did you mean log?"},
		"unknown element":  {"EBB_AUTOSCALERS__DEV__NAME=x", "environment variable EBB_AUTOSCALERS__DEV__NAME: autoscalers: no single element is called DEV; write one of PROD_EU in the variable's name"},
		"index too large":  {"EBB_AUTOSCALERS__1__NAME=x", "environment variable EBB_AUTOSCALERS__1__NAME: autoscalers: no single element is called 1; write one of PROD_EU in the variable's name"},
		"empty part":       {"EBB_LOG__=x", "environment variable EBB_LOG__: the name has an empty part; write EBB_NATS__URL for nats.url: two underscores between levels"},
		"whole list":       {"EBB_AUTOSCALERS=x", "environment variable EBB_AUTOSCALERS: autoscalers: a list of objects cannot come from one variable; write the autoscalers in the file, single keys as EBB_AUTOSCALERS__NAME__KEY"},
		"whole and part":   {"EBB_LOG=x EBB_LOG__LEVEL=info", "environment variable EBB_LOG: sets a whole of which EBB_LOG__LEVEL sets a part; unset one of the two"},
		"whole":            {"EBB_LOG=x", "environment variable EBB_LOG: log: must be an object, is other text; write its keys below it, one a line"},
		"two names of one": {"EBB_AUTOSCALERS__0__NAME=x EBB_AUTOSCALERS__PROD_EU__NAME=y", "environment variable EBB_AUTOSCALERS__PROD_EU__NAME: autoscalers[0].name: is also set by environment variable EBB_AUTOSCALERS__0__NAME; unset one of the two"},
		"bad value":        {"EBB_AUTOSCALERS__PROD_EU__MAX_LIFETIME=12", "environment variable EBB_AUTOSCALERS__PROD_EU__MAX_LIFETIME: autoscalers[0].max_lifetime: the value has no unit; write 15m, not 15"},
		"binary":           {"EBB_STATE_DIR=\xff", "environment variable EBB_STATE_DIR: is not UTF-8 text; encode it with base64, and decode it where it is used"},
		"bad number":       {"EBB_AUTOSCALERS__0__RESOURCES__0__MAX_INSTANCES=many", "environment variable EBB_AUTOSCALERS__0__RESOURCES__0__MAX_INSTANCES: autoscalers[0].resources[0].max_instances: must be a whole number, is other text; write digits only, without quotes, such as 4"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(config.Source{Path: write(t, "ebb.yaml", smallFile()), Environ: strings.Fields(test.environ)})
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// TestConventionalVariables are ClearML's own, for what nothing else sets.
func TestConventionalVariables(t *testing.T) {
	t.Parallel()
	environ := []string{
		"CLEARML_API_HOST=https://api.env.example", "CLEARML_WEB_HOST=https://web.env.example", "CLEARML_FILES_HOST=https://files.env.example",
		"CLEARML_API_ACCESS_KEY=env-key", "CLEARML_API_SECRET_KEY=env-secret",
		"CLEARML_AUTOSCALER_GIT_USER=env-user", "CLEARML_AUTOSCALER_GIT_PASSWORD=env-password",
	}
	bare := strings.Replace(smallFile(), `clearml: {api_server: "https://api.clear.ml", access_key: key, secret_key: secret}`, "CLEARML", 1)
	a := load(t, config.Source{Path: write(t, "ebb.yaml", strings.Replace(bare, "CLEARML", "", 1)), Environ: environ}).Autoscalers[0]
	if a.ClearML != (config.ClearML{APIServer: "https://api.env.example", WebServer: "https://web.env.example", FilesServer: "https://files.env.example", AccessKey: "env-key", SecretKey: "env-secret"}) {
		t.Errorf("clearml is %+v", a.ClearML)
	}
	if a.Git != (config.Git{User: "env-user", Password: "env-password"}) {
		t.Errorf("git is %+v", a.Git)
	}
	a = load(t, config.Source{Path: write(t, "ebb.yaml", smallFile()), Environ: environ}).Autoscalers[0]
	if a.ClearML.APIServer != "https://api.clear.ml" || a.ClearML.SecretKey.Reveal() != "secret" || a.ClearML.WebServer != "https://web.env.example" {
		t.Errorf("the file does not win: %+v", a.ClearML)
	}
	a = load(t, config.Source{Path: write(t, "ebb.yaml", strings.Replace(bare, "CLEARML", "clearml: {auth_token: tok}", 1)), Environ: environ}).Autoscalers[0]
	if a.ClearML.AccessKey != "" || a.ClearML.AuthToken.Reveal() != "tok" {
		t.Errorf("keys from the environment join a token from the file: %+v", a.ClearML)
	}
	_, err := config.Load(config.Source{Path: write(t, "ebb.yaml", strings.Replace(bare, "CLEARML", "clearml: text", 1)), Environ: environ})
	if err == nil || !strings.Contains(err.Error(), "autoscalers[0].clearml: must be an object, is text") {
		t.Errorf("clearml as text gives %v", err)
	}
}

// TestReferences expands ${ENV:…} and ${FILE:…}, and leaves what only looks alike.
func TestReferences(t *testing.T) {
	t.Parallel()
	path := write(t, "ebb.yaml", replace(smallFile(),
		"secret_key: secret", `secret_key: "${FILE:key.txt}"`, "access_key: key", `access_key: "k-${ENV:PART}-$${ENV:PART}-$$${FILE:x}"`,
		"max_instances: 2", `max_instances: "${ENV:COUNT}"`, "[us-east-1a]", `"${ENV:ZONES}"`,
		"    aws:", "    init_script: |\n      echo ${ENV:-default} ${HOME} ${ENV:PART} $${ENV:PART}\n    aws:"))
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "key.txt"), []byte("from a file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := load(t, config.Source{Path: path, Environ: []string{"PART=p", "COUNT=4", "ZONES=us-east-1a,us-east-1b"}}).Autoscalers[0]
	if a.ClearML.SecretKey.Reveal() != "from a file" || a.ClearML.AccessKey != "k-p-${ENV:PART}-$${FILE:x}" {
		t.Errorf("keys are %q and %q", a.ClearML.SecretKey.Reveal(), a.ClearML.AccessKey)
	}
	if r := a.Resources[0]; r.MaxInstances != 4 || len(r.AvailabilityZones) != 2 {
		t.Errorf("resource is %+v", r)
	}
	if want := "echo ${ENV:-default} ${HOME} p ${ENV:PART}\n"; a.InitScript.Reveal() != want {
		t.Errorf("script is %q, want %q", a.InitScript.Reveal(), want)
	}
}

// TestReferenceToBinary refuses what is no text, and does not print it.
func TestReferenceToBinary(t *testing.T) {
	t.Parallel()
	path := write(t, "ebb.yaml", replace(smallFile(), "secret_key: secret", `secret_key: "${ENV:KEY}"`))
	_, err := config.Load(config.Source{Path: path, Environ: []string{"KEY=hunter2\xff"}})
	if err == nil || !strings.Contains(err.Error(), "clearml.secret_key: refers to ${ENV:KEY}, which is not UTF-8 text") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	large := write(t, "large", strings.Repeat("x", 70<<10))
	path = write(t, "ebb.yaml", replace(smallFile(), "secret_key: secret", `secret_key: "${FILE:`+large+`}"`))
	if _, err := config.Load(config.Source{Path: path}); err == nil || !strings.Contains(err.Error(), "at most 65536 are read") {
		t.Errorf("a large file: %v", err)
	}
}

// TestReferenceReplacedByEnvironment does not complain about a value that is not used.
func TestReferenceReplacedByEnvironment(t *testing.T) {
	t.Parallel()
	path := write(t, "ebb.yaml", replace(smallFile(), "secret_key: secret", `secret_key: "${ENV:NOT_SET}"`))
	f := load(t, config.Source{Path: path, Environ: []string{"EBB_AUTOSCALERS__PROD_EU__CLEARML__SECRET_KEY=x"}})
	if f.Autoscalers[0].ClearML.SecretKey.Reveal() != "x" {
		t.Error("the environment does not win")
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := map[string]struct{ path, want string }{
		"none":      {"", "no configuration file is named"},
		"ending":    {"ebb.toml", "the name does not tell the format"},
		"missing":   {filepath.Join(dir, "none.yaml"), "cannot be read: no such file"},
		"directory": {dir, "is a directory; name the file in it"},
		"json":      {write(t, "a.json", "{\"log\":\n {\"level\": \"info\",}}"), "a.json:2: is not JSON"},
		"json list": {write(t, "a.json", "[]"), "the file is not an object"},
		"json more": {write(t, "a.json", "{} {}"), "something follows"},
		"json null": {write(t, "a.json", `{"autoscalers": [null]}`), "autoscalers[0]: is empty"},
		"json key":  {write(t, "a.json", "{\"log\": {},\n\"log\": {}}"), "a.json:2: log: is written twice; keep one (the other is in line 1)"},
		"json nul":  {write(t, "a.json", `{"\u0000": 1}`), "a key contains a NUL character"},
		"json size": {write(t, "a.json", `{"x": 1e999}`), "number 1e999 is out of range"},
		"json deep": {write(t, "a.json", `{"a":`+strings.Repeat("[", 100)), "is nested too deeply"},
		"json cut":  {write(t, "a.json", `{"a": [`), "is not JSON: it ends too early"},
		"json none": {write(t, "a.json", ""), "is not JSON: it ends too early"},
		"yaml deep": {write(t, "a.yaml", strings.Repeat("[", 100)+strings.Repeat("]", 100)), "is nested too deeply"},
		"yaml loop": {write(t, "a.yaml", "a: &a\n  b: *a\n"), "nested too deeply"},
		"yaml bomb": {write(t, "a.yaml", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"), "too many values"},
		"yaml key":  {write(t, "a.yaml", "? [a]\n: b\n"), "a key is not text"},
		"yaml two":  {write(t, "a.yaml", "a: 1\n---\n\"b"), "is not YAML"},
		"binary":    {write(t, "a.yaml", "a: 1\nb: \xff\xfe\n"), "a.yaml:2: the file is not UTF-8"},
		"mark":      {write(t, "a.json", "\ufeff{}"), "autoscalers: is missing"},
		"empty":     {write(t, "a.yaml", ""), "autoscalers: is missing"},
		"hocon":     {write(t, "a.conf", "a {\n b: 1\n"), "a.conf:1: is not HOCON: a brace that is opened here is never closed"},
		"too large": {write(t, "a.yaml", strings.Repeat("#", 9<<20)), "has 9437184 bytes, at most 8388608"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(config.Source{Path: test.path})
			var problems config.Errors
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestCheck reads several files and says which is wrong.
func TestCheck(t *testing.T) {
	t.Parallel()
	good, bad := write(t, "good.yaml", smallFile()), write(t, "bad.yaml", "log: {level: info}\n")
	if err := config.Check(nil, good); err != nil {
		t.Errorf("a good file: %v", err)
	}
	err := config.Check(nil, good, bad, "none.yaml")
	var problems config.Errors
	if !errors.As(err, &problems) || len(problems) != 2 || problems[0].Where != bad || problems[1].Where != "none.yaml" {
		t.Errorf("got %v", err)
	}
}
