package archtest_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ebbscale/ebb"

// programs is what the program is made of.
var programs = []string{"actors", "core", "messages", "adapter", "clock", "fakes", "bus"}

// layers says which layers each part of the tree may import, and which more its tests
// may. The first matching prefix wins, so a part comes before the whole around it. The
// table is default-deny: a package that no prefix matches is an error.
var layers = []struct {
	prefix string
	name   string
	may    []string
	tests  []string
}{
	{prefix: "/messages", name: "messages"},
	{prefix: "/actors/decide", name: "core", may: []string{"messages"}},
	{prefix: "/actors", name: "actors", may: []string{"core", "messages"}},
	{prefix: "/adapters/fake", name: "fakes", may: []string{"messages"}, tests: []string{"clock"}},
	{prefix: "/adapters/clock", name: "clock", may: []string{"messages"}},
	// One adapter, one package (and what is below it). A sibling is allowed to tests
	// only, and only the fakes, which are what the adapter is tried against.
	{prefix: "/adapters", name: "adapter", may: []string{"messages"}, tests: []string{"fakes", "clock", "leaks", "output"}},
	{prefix: "/bus", name: "bus", may: []string{"messages"}, tests: []string{"clock", "freeport", "leaks", "output"}},
	// The contract tests have packages of their own that are not in the program.
	{prefix: "/cmd/internal/contract", name: "cmd", may: append([]string{"freeport", "output"}, programs...)},
	{prefix: "/cmd", name: "cmd", may: programs, tests: []string{"freeport", "leaks", "output"}},
	{prefix: "/internal/freeport", name: "freeport"},
	{prefix: "/internal/leaks", name: "leaks"},
	{prefix: "/internal/output", name: "output"},
}

// goPackage is the part of `go list -json` that is read here.
type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// TestImportDirection lists every package of the module, contract tests included, and
// checks each import against layers.
func TestImportDirection(t *testing.T) {
	t.Parallel()

	packages := listPackages(t)
	if len(packages) == 0 {
		t.Fatal("go list found no package")
	}
	for _, p := range packages {
		for _, breach := range breachesOf(p) {
			t.Error(breach)
		}
	}
}

// TestImportRulesBite shows breachesOf what must be refused and what must pass: a rule
// that never fires holds nothing.
func TestImportRulesBite(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		from, to string
		inTest   bool
		allowed  bool
	}{
		{from: "messages", to: "actors"},
		{from: "messages", to: "bus", inTest: true},
		{from: "actors/decide", to: "actors"},
		{from: "actors/decide", to: "messages", allowed: true},
		{from: "actors/kit", to: "actors/decide", allowed: true},
		{from: "actors/kit", to: "actors/timers", allowed: true},
		{from: "actors", to: "adapters/ec2"},
		{from: "actors", to: "adapters/fake/ec2", inTest: true},
		{from: "actors", to: "bus", inTest: true},
		{from: "adapters/ec2", to: "actors/decide"},
		{from: "adapters/ec2", to: "adapters/clearml"},
		{from: "adapters/ec2", to: "adapters/clearml", inTest: true},
		{from: "adapters/ec2", to: "adapters/fake/ec2"},
		{from: "adapters/ec2", to: "adapters/fake/ec2", inTest: true, allowed: true},
		{from: "adapters/ec2", to: "adapters/ec2/internal/tags", allowed: true},
		{from: "adapters/ec2/internal/tags", to: "adapters/ec2", allowed: true},
		{from: "adapters/ec2", to: "bus"},
		{from: "adapters/fake/ec2", to: "adapters/fake/agent", allowed: true},
		{from: "adapters/fake/ec2", to: "adapters/ec2", inTest: true},
		{from: "bus", to: "actors"},
		{from: "bus", to: "messages", allowed: true},
		{from: "bus", to: "cmd/internal/app", inTest: true},
		{from: "cmd/ebb", to: "cmd/internal/app", allowed: true},
		{from: "cmd/internal/app", to: "adapters/fake/ec2", allowed: true},
		{from: "stray", to: "messages"},
		{from: "messagesx", to: "messages"},
	} {
		p := goPackage{ImportPath: module + "/" + c.from}
		if c.inTest {
			p.XTestImports = []string{module + "/" + c.to, "testing"}
		} else {
			p.Imports = []string{module + "/" + c.to, "fmt"}
		}
		if breaches := breachesOf(p); (len(breaches) == 0) != c.allowed {
			t.Errorf("%s imports %s (in a test: %t): allowed must be %t, breaches are %q", c.from, c.to, c.inTest, c.allowed, breaches)
		}
	}
}

// breachesOf returns what p imports against the rules, a sentence each.
func breachesOf(p goPackage) []string {
	from := layerOf(p.ImportPath)
	if from < 0 {
		return []string{p.ImportPath + " is in no layer: move it, or add its layer to the table in cmd/internal/archtest"}
	}
	var breaches []string
	refuse := func(where string, imports, may []string) {
		for _, path := range imports {
			if !strings.HasPrefix(path, module+"/") || unitOf(path) == unitOf(p.ImportPath) {
				continue
			}
			to := layerOf(path)
			if to < 0 {
				breaches = append(breaches, p.ImportPath+where+" imports "+path+", which is in no layer")
			} else if !slices.Contains(may, layers[to].name) {
				breaches = append(breaches, p.ImportPath+where+" ("+layers[from].name+") must not import "+path+" ("+layers[to].name+")")
			}
		}
	}
	refuse("", p.Imports, layers[from].may)
	refuse(" in a test", slices.Concat(p.TestImports, p.XTestImports), slices.Concat(layers[from].may, layers[from].tests))
	return breaches
}

// unitOf names the set of packages that may import each other freely: a layer, and
// within adapters one adapter.
func unitOf(path string) string {
	layer := layerOf(path)
	if layer < 0 {
		return path
	}
	if layers[layer].name == "adapter" {
		adapter, _, _ := strings.Cut(strings.TrimPrefix(path, module+"/adapters/"), "/")
		return "adapter " + adapter
	}
	return layers[layer].name
}

// layerOf returns the index in layers of the layer that the package at path is in, or
// -1 if it is in none.
func layerOf(path string) int {
	relative := strings.TrimPrefix(path, module)
	for i, l := range layers {
		if relative == l.prefix || strings.HasPrefix(relative, l.prefix+"/") {
			return i
		}
	}
	return -1
}

// listPackages returns every package of the module.
func listPackages(t *testing.T) []goPackage {
	t.Helper()

	out := goTool(t, "list", "-e", "-tags", "real", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("decode the output of go list: %v", err)
		}
		packages = append(packages, p)
	}
}

// goTool runs the go command at the root of the module and returns what it prints.
func goTool(t *testing.T, args ...string) string {
	t.Helper()

	command := exec.CommandContext(t.Context(), "go", args...)
	command.Dir = root
	out, err := command.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, exit.Stderr)
		}
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}
