package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

const (
	docsFile   = "../../../docs/configuration.md"
	schemaFile = "../../../deployments/examples/ebb.schema.json"
)

// TestReference holds the tables of docs/configuration.md to the table of keys.
func TestReference(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	for _, part := range config.Parts() {
		head, tail := "<!-- keys: "+part+" -->\n", "<!-- end of keys -->\n"
		before, rest, found := strings.Cut(doc, head)
		_, after, closed := strings.Cut(rest, tail)
		if !found || !closed {
			t.Fatalf("%s has no %s and %s", docsFile, head, tail)
		}
		doc = before + head + config.Reference(part) + tail + after
	}
	golden(t, docsFile, doc)
}

// TestKeysAreThoseOfTheTypes holds that the table has each field of File, in its
// place and kind, and nothing else but other spellings.
func TestKeysAreThoseOfTheTypes(t *testing.T) {
	t.Parallel()
	want := map[string]reflect.Type{}
	var collect func(t reflect.Type, path string)
	collect = func(t reflect.Type, path string) {
		for field := range t.Fields() {
			key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if path != "" {
				key = path + "." + key
			}
			want[key] = field.Type
			switch {
			case field.Type.Kind() == reflect.Struct:
				collect(field.Type, key)
			case field.Type.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct:
				collect(field.Type.Elem(), key+"[]")
			}
		}
	}
	collect(reflect.TypeFor[config.File](), "")
	seen := map[string]bool{}
	for _, k := range config.Keys() {
		if seen[k.Path] {
			t.Errorf("%s is in the table twice", k.Path)
		}
		seen[k.Path] = true
		if k.Title == "" || k.Text == "" || !strings.HasSuffix(k.Text, ".") && k.Instead == "" {
			t.Errorf("%s lacks its title, or its text is no sentence: %q", k.Path, k.Text)
		}
		goType, ok := want[k.Path]
		if !ok {
			if k.Instead == "" {
				t.Errorf("%s is in the table and not in File", k.Path)
			}
			continue
		}
		if got := kindOfType(goType); !slices.Contains(got, k.Kind) {
			t.Errorf("%s is %s in the table, and its type is for %v", k.Path, k.Kind, got)
		}
		if k.Pattern != "" {
			for _, e := range k.Examples {
				if !regexp.MustCompile(k.Pattern).MatchString(e) {
					t.Errorf("%s: the example %q has not the form %s", k.Path, e, k.Pattern)
				}
			}
		}
	}
	for path := range want {
		if !seen[path] {
			t.Errorf("%s is in File and not in the table", path)
		}
	}
}

func kindOfType(t reflect.Type) []config.Kind {
	switch {
	case t == reflect.TypeFor[config.Secret]():
		return []config.Kind{config.KindSecret, config.KindScript}
	case t == reflect.TypeFor[time.Duration]():
		return []config.Kind{config.KindDuration}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return []config.Kind{config.KindList}
	case t.Kind() == reflect.Slice:
		return []config.Kind{config.KindObjects}
	case t.Kind() == reflect.Struct:
		return []config.Kind{config.KindObject}
	case t == reflect.TypeFor[map[string]string]():
		return []config.Kind{config.KindTags}
	case t.Kind() == reflect.Map:
		return []config.Kind{config.KindFree}
	case t.Kind() == reflect.Bool:
		return []config.Kind{config.KindFlag}
	case t.Kind() == reflect.Int:
		return []config.Kind{config.KindInteger}
	}
	return []config.Kind{config.KindText, config.KindDecimal}
}

// TestDefaultsAreThoseOfTheTable loads a file that says nothing it need not, and
// compares what came out with the table.
func TestDefaultsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	f := load(t, config.Source{Path: write(t, "ebb.yaml", replace(smallFile(), "log: {level: warn}\n", "", "use_iam_role: true", "access_key_id: a, secret_access_key: b"))})
	out, err := config.Export(f, config.JSON, true)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(out, &tree); err != nil {
		t.Fatal(err)
	}
	for _, k := range config.Keys() {
		if k.Default == "" || k.Instead != "" {
			continue
		}
		var at any = tree
		for part := range strings.SplitSeq(k.Path, ".") {
			name, isList := strings.CutSuffix(part, "[]")
			at = at.(map[string]any)[name]
			if isList {
				at = at.([]any)[0]
			}
		}
		text, _ := at.(string)
		if b, ok := at.(bool); ok {
			text = map[bool]string{true: "true", false: "false"}[b]
		}
		if text != k.Default {
			t.Errorf("%s is %v, and the table says %s", k.Path, at, k.Default)
		}
	}
}

// TestEveryKeyIsDecoded writes each key of the table into a file: the decoder must
// know it.
func TestEveryKeyIsDecoded(t *testing.T) {
	t.Parallel()
	for _, k := range config.Keys() {
		tree := any("x")
		parts := strings.Split(k.Path, ".")
		slices.Reverse(parts)
		for _, part := range parts {
			name, isList := strings.CutSuffix(part, "[]")
			if isList {
				tree = []any{tree}
			}
			tree = map[string]any{name: tree}
		}
		data, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(config.Source{Path: write(t, "ebb.json", string(data))}); err == nil || strings.Contains(err.Error(), "is not a key") {
			t.Errorf("%s: %v", k.Path, err)
		}
	}
}

// TestSchemaFile holds the committed schema to the table.
func TestSchemaFile(t *testing.T) {
	t.Parallel()
	out, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, schemaFile, string(out))
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	out, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("ebb.schema.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("ebb.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate reads YAML as an editor does and holds it to the schema.
func validate(s *jsonschema.Schema, text []byte) error {
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		return err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(document)
}

// TestSchemaTakesGoodFiles validates every file that Load takes.
func TestSchemaTakesGoodFiles(t *testing.T) {
	t.Parallel()
	s := schema(t)
	files, err := filepath.Glob("testdata/good/*.yaml")
	more, err2 := filepath.Glob("testdata/good/*.json")
	if err := errors.Join(err, err2); err != nil || len(files) == 0 || len(more) == 0 {
		t.Fatalf("found %v, %v: %v", files, more, err)
	}
	for _, path := range append(append(files, more...), exampleFile, "../cli/testdata/two.yaml") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(s, data); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, text := range []string{
		"nats: {url: }\nlease:\n" + smallFile(), // keys without values are absent
		replace(smallFile(), "max_instances: 1", `max_instances: "${ENV:MOST}"`),
		replace(smallFile(), "instance_type: g5.xlarge", `instance_types: "g5.xlarge, g5.2xlarge"`),
	} {
		if err := validate(s, []byte(text)); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// notOfTheSchema are the rules that need more than the form of single values: how
// values agree, how long a duration is, what a reference gives, what is in a script.
func notOfTheSchema() []string {
	return []string{
		"api_server_is_the_files_server", "api_server_is_the_web_server", "api_server_missing", "api_server_port", "autoscaler_name_twice", "aws_credentials_missing",
		"aws_key_and_role", "aws_key_without_secret", "aws_secret_without_key", "clearml_access_key_missing",
		"clearml_conf_garbage", "clearml_conf_unclosed", "clearml_credentials_missing",
		"clearml_secret_key_missing", "dead_man_too_short", "docker_mode_without_image", "fallback_on_demand",
		"git_password_without_user", "git_user_without_password",
		"http_listen_of_nats", "http_password_in_the_clear", "http_tls_half", "http_user_alone", "init_script_nul", "init_script_of_resource_nul",
		"launch_parameters_placement_zone", "lease_ttl_too_long", "lease_ttl_too_short",
		"max_lifetime_below_own_spin_up", "max_lifetime_below_spin_up", "max_spin_up_time_zero",
		"nats_creds_without_url", "nats_listen_of_http", "nats_login_without_url", "nats_nkey_without_url", "nats_several_logins",
		"nats_tls_without_url", "nats_url_and_listen", "polling_interval_too_long", "polling_interval_too_short", "queue_missing",
		"queues_disagree_less", "queues_disagree_more", "queues_listed_twice", "queues_of_unknown_resource",
		"reference_env_missing", "reference_file_directory", "reference_file_missing", "reference_incomplete",
		"reference_value_not_printed", "resource_name_twice", "spot_max_price_on_demand", "tags_twice",
		"volume_device_twice", "volume_iops_missing", "volume_iops_of_gp2", "volume_throughput_of_io2", "workers_prefix_shared", "yaml_two_documents",
		"zone_auto_and_more", "zone_auto_and_subnets", "zone_of_other_region", "zones_and_subnets_unequal",
	}
}

// TestSchemaRefusesBadFiles holds that the schema finds what is wrong in structure:
// every file of testdata/bad but those whose rule is about more.
func TestSchemaRefusesBadFiles(t *testing.T) {
	t.Parallel()
	s := schema(t)
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 100 {
		t.Fatalf("found %d fixtures: %v", len(files), err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rule := strings.TrimSuffix(filepath.Base(path), ".yaml")
		beyond := slices.Contains(notOfTheSchema(), rule)
		if err := validate(s, data); (err == nil) != beyond {
			t.Errorf("%s: the schema says %v", rule, err)
		}
	}
}
