package bootstrap_test

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"

	"github.com/ebbscale/ebb/adapters/bootstrap"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The text of a script is a head that depends on the spec and a body that does
// not, so the golden files are one body and one head per combination.
func TestGolden(t *testing.T) {
	t.Parallel()
	heads := map[string]string{}
	var body string
	for _, c := range combinations() {
		script, err := bootstrap.Render(c.spec)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		at := strings.Index(script.Text, bodyBegins)
		if at < 0 {
			t.Fatalf("%s: no line %q", c.name, bodyBegins)
		}
		if body == "" {
			body = script.Text[at:]
		}
		if script.Text[at:] != body {
			t.Errorf("%s: its body differs from the other combinations'", c.name)
		}
		heads[c.name] = script.Text[:at]
	}
	if len(heads) != 1<<len(choices()) {
		t.Fatalf("%d heads of %d combinations: two have one name", len(heads), 1<<len(choices()))
	}
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(heads)) {
		all.WriteString("=== " + name + "\n" + heads[name])
	}
	compareGolden(t, "body.sh", body)
	compareGolden(t, "heads.txt", all.String())
}

// bodyBegins is the first line of the body.
const bodyBegins = "trap 'echo \"ebb-bootstrap: ended before"

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: write it with go test ./adapters/bootstrap -update", err)
	}
	gotLines, wantLines := strings.SplitAfter(got, "\n"), strings.SplitAfter(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		var g, w string
		if i < len(gotLines) {
			g = gotLines[i]
		}
		if i < len(wantLines) {
			w = wantLines[i]
		}
		if g != w {
			t.Fatalf("%s:%d: got %q, want %q; if the new text is right, run go test ./adapters/bootstrap -update", path, i+1, g, w)
		}
	}
}

func TestEveryCombinationParsesAsBash(t *testing.T) {
	t.Parallel()
	parser := syntax.NewParser(syntax.Variant(syntax.LangBash))
	for _, c := range combinations() {
		script, err := bootstrap.Render(c.spec)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if _, err := parser.Parse(strings.NewReader(script.Text), c.name); err != nil {
			t.Errorf("the script does not parse: %v", err)
		}
	}
	for _, name := range []string{"lib.sh", "run-agent.sh", "channel.sh", "supervise.sh", "init-shell.sh"} {
		file, err := os.ReadFile(filepath.Join("assets", name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(bytes.NewReader(file), name); err != nil {
			t.Errorf("the file does not parse: %v", err)
		}
		if bytes.Contains(file, []byte("EBB_END_OF_FILE")) {
			t.Errorf("%s holds the delimiter that ends it in the script", name)
		}
	}
}

// The parser, not a pattern, says what bash will assign: every value comes
// through as it was, from plain assignments of single-quoted words.
func TestHeadAssignsExactly(t *testing.T) {
	t.Parallel()
	for _, c := range combinations() {
		script, err := bootstrap.Render(c.spec)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got := assignments(t, script.Text)
		for name, want := range map[string]string{
			"EBB_WORKER_NAME":        "dynamic_aws:gpu:g4dn.xlarge",
			"EBB_QUEUES":             strings.Join(c.spec.Queues, "\n"),
			"CLEARML_API_HOST":       c.spec.APIServer,
			"CLEARML_WEB_HOST":       c.spec.WebServer,
			"CLEARML_FILES_HOST":     c.spec.FilesServer,
			"CLEARML_API_ACCESS_KEY": c.spec.AccessKey,
			"CLEARML_API_SECRET_KEY": c.spec.SecretKey,
			"CLEARML_AUTH_TOKEN":     c.spec.AuthToken,
			"EBB_DOCKER":             c.spec.DockerImage,
			"EBB_INIT_SCRIPT":        c.spec.InitScript,
			"EBB_AGENT_VERSION":      bootstrap.DefaultAgentVersion,
			"EBB_IMDS":               bootstrap.DefaultIMDS,
			"EBB_AUTOSCALER":         "prod-1",
			"EBB_MAX_IDLE_SECONDS":   "300",
			// A fraction of a second must not become 0, which means never.
			"EBB_UNREACHABLE_SECONDS": "21600",
		} {
			if got[name] != want {
				t.Errorf("%s: %s is %q, want %q", c.name, name, got[name], want)
			}
		}
		if conf := got["EBB_CLEARML_CONF"]; !strings.HasSuffix(strings.TrimSuffix(conf, "\n"), c.spec.ClearMLConf) {
			t.Errorf("%s: clearml.conf does not end with the extra conf: %q", c.name, conf)
		}
	}
}

// assignments reads the leading assignments of a script, and fails the test when
// the shell would expand anything in one.
func assignments(t *testing.T, text string) map[string]string {
	t.Helper()
	if !strings.HasPrefix(text, "#!/bin/bash\nEBB_WORKER_NAME='") {
		t.Fatalf("the script begins with %.60q, not with the shebang and the first assignment", text)
	}
	file, err := syntax.NewParser().Parse(strings.NewReader(text), "script")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, statement := range file.Stmts {
		call, ok := statement.Cmd.(*syntax.CallExpr)
		if !ok || len(call.Args) > 0 || len(call.Assigns) != 1 {
			break
		}
		var value strings.Builder
		for _, part := range call.Assigns[0].Value.Parts {
			switch part := part.(type) {
			case *syntax.SglQuoted:
				value.WriteString(part.Value)
			case *syntax.Lit: // what stands between two quoted parts
				if part.Value != `\'` {
					t.Fatalf("%s holds the unquoted %q", call.Assigns[0].Name.Value, part.Value)
				}
				value.WriteString("'")
			default:
				t.Fatalf("%s holds something that the shell expands: %T", call.Assigns[0].Name.Value, part)
			}
		}
		out[call.Assigns[0].Name.Value] = value.String()
	}
	return out
}
