package deployments_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// root is where the module lies, seen from this package.
const root = "../../.."

// uid is the user of the image; everything that runs it says so.
const uid = "65532"

func readFile(t *testing.T, path ...string) string {
	t.Helper()

	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func decodeYAML[T any](t *testing.T, text string) T {
	t.Helper()

	var value T
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("decode: %v\n%s", err, text)
	}
	return value
}

// load reads a configuration as the program does, in an environment, with secrets where
// it expects them. secrets are the names of the files in /run/secrets.
func load(t *testing.T, text string, environ, secrets []string) (config.File, error) {
	t.Helper()

	dir := t.TempDir()
	for _, name := range secrets {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("secret-"+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "ebb.yaml")
	text = strings.ReplaceAll(text, "${FILE:/run/secrets/", "${FILE:"+dir+"/")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(config.Source{Path: path, Environ: environ})
}

// misfits lists the secrets that a configuration names and is not given, and those that
// it is given and does not name.
func misfits(text string, given []string) []string {
	var problems, named []string
	for _, reference := range regexp.MustCompile(`\$\{FILE:/run/secrets/([^}]+)\}`).FindAllStringSubmatch(text, -1) {
		named = append(named, reference[1])
		if !slices.Contains(given, reference[1]) {
			problems = append(problems, "it is not given the secret "+reference[1])
		}
	}
	for _, name := range given {
		if !slices.Contains(named, name) {
			problems = append(problems, "it is given the secret "+name+", which the configuration does not use")
		}
	}
	return problems
}

// timeOf takes whatever duration type a library has.
func timeOf[D ~int64](d D) time.Duration { return time.Duration(d) }

func exists(path string) bool {
	_, err := os.Stat(filepath.Join(root, path))
	return err == nil
}
