package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/cli"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
)

// commandPaths are all commands that are offered, found as a user would: from the
// help of each.
func commandPaths(t *testing.T, above ...string) [][]string {
	t.Helper()
	code, stdout, stderr := everything(t, append(slices.Clone(above), "--help")...)
	if code != 0 {
		t.Fatalf("%v --help: exit %d: %s", above, code, stderr)
	}
	paths := [][]string{above}
	_, list, found := strings.Cut(stdout, "Available Commands:\n")
	if !found {
		return paths
	}
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		if name := strings.Fields(line)[0]; name != "help" {
			paths = append(paths, commandPaths(t, append(slices.Clone(above), name)...)...)
		}
	}
	return paths
}

// everything runs a command line of a program that offers every command.
func everything(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p, out, problems := program()
	p.Environ = append(p.Environ, "EBB_CONFIG=/home/ana/private.yaml")
	p.Commands = cli.Commands{
		Run:    func(context.Context, cli.RunOptions) error { return nil },
		Demo:   func(context.Context, cli.DemoOptions) error { return nil },
		Doctor: func(context.Context, doctor.Options) doctor.Report { return doctor.Report{} },
	}
	code = p.Execute(t.Context(), args)
	return code, out.String(), problems.String()
}

// TestManPages writes a page for every command, the same ones each time.
func TestManPages(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "man1")
	code, stdout, stderr := everything(t, "man", "--dir", dir)
	if code != 0 || stdout != "" || !strings.Contains(stderr, "manual pages written to") {
		t.Fatalf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	again := t.TempDir()
	if code, _, stderr := everything(t, "man", "--dir", again); code != 0 {
		t.Fatalf("again: exit %d: %s", code, stderr)
	}
	paths := commandPaths(t)
	if len(paths) < 25 {
		t.Errorf("found only the commands %v", paths)
	}
	for _, path := range paths {
		name := strings.Join(append([]string{"ebb"}, path...), "-") + ".1"
		page, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, want := range []string{".TH", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", "ebb v1.2.3"} {
			if !strings.Contains(string(page), want) {
				t.Errorf("%s has no %q:\n%.300s", name, want, page)
			}
		}
		if !strings.Contains(string(page), "Nov 2026") || strings.Contains(string(page), "private.yaml") {
			t.Errorf("%s is dated otherwise, or holds the environment of who wrote it:\n%.300s", name, page)
		}
		second, err := os.ReadFile(filepath.Join(again, name))
		if err != nil || string(second) != string(page) {
			t.Errorf("%s is another page the second time: %v", name, err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != len(paths) {
		t.Errorf("%d pages for %d commands: %v", len(files), len(paths), err)
	}
}

func TestManPagesRefused(t *testing.T) {
	t.Parallel()
	if code, _, stderr := everything(t, "man"); code != 2 || !strings.Contains(stderr, "write --dir DIR") {
		t.Errorf("no directory: exit %d: %s", code, stderr)
	}
	p, _, problems := program()
	p.Environ = append(p.Environ, "SOURCE_DATE_EPOCH=yesterday")
	if code := p.Execute(t.Context(), []string{"man", "--dir", t.TempDir()}); code != 1 || !strings.Contains(problems.String(), `"yesterday" is no number`) {
		t.Errorf("an odd date: exit %d: %s", code, problems)
	}
	p, _, problems = program()
	p.Environ = append(p.Environ, "SOURCE_DATE_EPOCH=86400")
	dated := t.TempDir()
	if code := p.Execute(t.Context(), []string{"man", "--dir", dated}); code != 0 {
		t.Errorf("a date: exit %d: %s", code, problems)
	}
	if page, err := os.ReadFile(filepath.Join(dated, "ebb.1")); err != nil || !strings.Contains(string(page), "Jan 1970") {
		t.Errorf("not dated as told: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := everything(t, "man", "--dir", filepath.Join(file, "x")); code != 1 || !strings.Contains(stderr, "make directory for manual pages") {
		t.Errorf("no directory can be made: exit %d: %s", code, stderr)
	}
}
