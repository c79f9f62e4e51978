package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// TestClearMLConf holds what may stand in clearml_conf: whatever ClearML's own
// reader takes, and no half of anything.
func TestClearMLConf(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, problem string }{
		"as clearml-init writes it": {`
# ClearML SDK configuration file
api {
    # Notice: 'host' is the api server (default port 8008), not the web server.
    api_server: http://localhost:8008
    web_server: https://app.clear.ml // don't mind
    credentials {"access_key": "AB/C", "secret_key": "d\"e"}
}
sdk.storage.cache.default_base_dir: "~/.clearml/cache"
sdk { aws { s3 { key: "", secret: "", extra_args: {}, credentials: [
    # { bucket: "x" }
    { host: "my-minio:9000", secure: false },
] } } }
`, ""},
		"substitutions":        {"a = ${HOME}/x\nb = ${?c} {d: 1}\ne = ${f} [1]\ng = [1] ${f}\ng += 2\nx = ${y", "a ${ is never closed (line 6 of the text)"},
		"an include":           {"include \"other.conf\"\na: 1", ""},
		"many lines of text":   {"a: \"\"\"x\n{ \"y\" }\"\"\"\"\nb: 1", ""},
		"nothing":              {"  \n", ""},
		"half a text":          {"a: \"b\nc", "a string is not closed on its line"},
		"half a text at end":   {"a: \"b", "a string is not closed"},
		"half of many lines":   {"a: \"\"\"b", `""" is never closed`},
		"half an object":       {"a {\nb {\n}", "a brace that is opened here is never closed (line 1 of the text)"},
		"mixed braces":         {"a: [1}", "a } closes nothing"},
		"an escape too many":   {`a: "\q"`, "an escape that does not exist"},
		"a key with two dots":  {"a..b: 1", "a key begins or ends with a dot"},
		"a dot at the end":     {"a.: 1", "a key begins or ends with a dot"},
		"the mark of ebb":      {"a: ꔀ", "contains the letter"},
		"too deep":             {strings.Repeat("[", 100), "is nested too deeply"},
		"a plus alone":         {"a + 1", "a + stands where a value or key should"},
		"two commas":           {"a: [1,,2]", "comma"},
		"JSON's solidus":       {`a: "b\/c\u00e9"`, ""},
		"quotes in a row":      {`a: "x" "y"z`, ""},
		"a substitution in it": {"a: x${b}y", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conf := write(t, "part.conf", test.text)
			text := replace(smallFile(), "    aws:", fmt.Sprintf("    clearml_conf: \"${FILE:%s}\"\n    aws:", conf))
			_, err := config.Load(config.Source{Path: write(t, "ebb.yaml", text)})
			switch {
			case test.problem == "" && err != nil:
				t.Error(err)
			case test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)):
				t.Errorf("got %v, want %q", err, test.problem)
			}
		})
	}
}

// TestHOCONFile holds what an ebb file in HOCON may not have.
func TestHOCONFile(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, problem string }{
		"a substitution inside a word":  {"state_dir = x${HOME}", "a substitution stands outside quotes"},
		"a substitution outside quotes": {"state_dir = ${HOME}", "a substitution stands outside quotes"},
		"an include":                    {"include \"other.conf\"", "include is not supported"},
		"an empty element":              {"autoscalers = [null]", "autoscalers[0]: is empty"},
		"a list at the top":             {"[1]", "the file is not an object"},
		"a number with a unit":          {"log.level = 5", `log.level: must be text, is a number; write trace, debug, info, warn or error`},
		"a key with a dot in quotes":    {`"log.level" = info`, "log.level: is not a key"},
		"a negative number":             {"autoscalers = [{resources: [{max_instances: -1}]}]", "max_instances: -1 is less than 1"},
		"joined words":                  {"log.level = in fo", `"in fo" is not one of its values`},
		"no boolean":                    {"autoscalers = [{exclude_bashrc: yes}]", "exclude_bashrc: must be true or false, is text"},
		"nothing":                       {"", "autoscalers"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(config.Source{Path: write(t, "ebb.conf", test.text)})
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("got %v, want %q", err, test.problem)
			}
		})
	}
	path := write(t, "ebb.conf", `log { level: "${ENV:LEVEL}" }, "log" { format: json }`)
	_, err := config.Load(config.Source{Path: path, Environ: []string{"LEVEL=debug"}})
	if err == nil || strings.Contains(err.Error(), "log") {
		t.Errorf("a reference in quotes: %v", err)
	}
}
