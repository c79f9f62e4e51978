package cli_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// TestCommandsAreListed holds docs/cli.md to the program: every command has a row
// with an example, every row is of a command, and the flags in an example exist.
func TestCommandsAreListed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `(ebb[^`]*)` \\| .+ \\| `([^`]+)` \\|$").FindAllStringSubmatch(string(text), -1) {
		examples[row[1]] = strings.ReplaceAll(row[2], `\|`, "|")
	}
	flag := regexp.MustCompile(`(?:^| )(--?[a-z][a-z-]*)`)
	for _, path := range commandPaths(t)[1:] {
		name := "ebb " + strings.Join(path, " ")
		example, listed := examples[name]
		if !listed {
			t.Errorf("docs/cli.md has no row for %s; add one with an example", name)
			continue
		}
		delete(examples, name)
		_, arguments, begins := strings.Cut(example, name)
		if !begins {
			t.Errorf("the example %q is not of %s", example, name)
		}
		arguments, _, _ = strings.Cut(arguments, "|") // what follows is another program
		_, help, _ := everything(t, append(path, "--help")...)
		for _, found := range flag.FindAllStringSubmatch(arguments, -1) {
			if !regexp.MustCompile(regexp.QuoteMeta(found[1]) + `[ ,\[]`).MatchString(help) {
				t.Errorf("the example of %s has a flag %s that is not there", name, found[1])
			}
		}
	}
	for name := range examples {
		t.Errorf("docs/cli.md has a row for %s, which is no command", name)
	}
}

// TestOneNameForTheEventServer: what says where the event server is, and how to log
// in, has the same name in every command, and that of its key in a configuration.
func TestOneNameForTheEventServer(t *testing.T) {
	t.Parallel()

	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	config.RegisterFlags(flags)
	asked := 0
	for _, path := range commandPaths(t)[1:] {
		_, help, _ := everything(t, append(path, "--help")...)
		for _, found := range regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]*(?:nats|creds)[a-z-]*)`).FindAllStringSubmatch(help, -1) {
			asked++
			if flags.Lookup(found[1]) == nil {
				t.Errorf("ebb %s has --%s, and ebb run has no such flag", strings.Join(path, " "), found[1])
			}
		}
	}
	if asked < 20 {
		t.Errorf("only %d flags are about the event server", asked)
	}
}
