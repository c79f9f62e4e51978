package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

var update = flag.Bool("update", false, "write golden files")

// write puts text into a file of its own and returns the path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, src config.Source) config.File {
	t.Helper()
	f, err := config.Load(src)
	if err != nil {
		t.Fatalf("load %s:\n%v", src.Path, err)
	}
	return f
}

const exampleFile = "../../../deployments/examples/ebb.yaml"

func exampleEnviron() []string {
	return []string{"CLEARML_SECRET=s3cret", "GIT_TOKEN=t0ken"}
}

func TestExample(t *testing.T) {
	t.Parallel()
	f := load(t, config.Source{Path: exampleFile, Environ: exampleEnviron()})
	out, err := config.Export(f, config.YAML, true)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/example.golden.yaml", string(out))
	if strings.Contains(string(out), "${") {
		t.Error("a reference is left unresolved")
	}
	var _ *pflag.FlagSet
}

// golden compares got with the file, or writes it under -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with go test -update)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", path, got, want)
	}
}
