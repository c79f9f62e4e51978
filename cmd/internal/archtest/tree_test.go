package archtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is where the module lies, seen from this package.
const root = "../../.."

// fileLinesMax is how long a file may be. A file is one whole thought; what does not
// fit is two.
const fileLinesMax = 500

// TestFilesAreShort finds Go files that are too long. Tests may be: tables grow.
func TestFilesAreShort(t *testing.T) {
	t.Parallel()

	read := 0
	eachFile(t, func(path string, content []byte) {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || isGenerated(content) {
			return
		}
		read++
		if lines := bytes.Count(content, []byte("\n")); lines > fileLinesMax {
			t.Errorf("%s has %d lines, more than %d: find the second thought in it and give that its own file", path, lines, fileLinesMax)
		}
	})
	if read == 0 {
		t.Fatal("read no Go file")
	}
}

// TestTreeSpeaksOfItselfOnly finds files that name places of the machine on which they
// were written: nobody else has those.
func TestTreeSpeaksOfItselfOnly(t *testing.T) {
	t.Parallel()

	// Put together here, so that this file does not name them.
	places := [][]byte{
		[]byte("/" + "work" + "/"),
		[]byte("shared" + "/" + "reference"),
		[]byte("shared" + "/" + "design.md"),
		[]byte("/tmp/" + "brief"),
	}
	read := 0
	eachFile(t, func(path string, content []byte) {
		read++
		for _, place := range places {
			if before, _, found := bytes.Cut(content, place); found {
				t.Errorf("%s:%d names %s, a place outside this tree", path, 1+bytes.Count(before, []byte("\n")), place)
			}
		}
	})
	if read == 0 {
		t.Fatal("read no file")
	}
}

// TestDependenciesHaveReasons holds go.mod and the list of reasons together: each
// module required directly has a row, and each row is about a module that is required.
func TestDependenciesHaveReasons(t *testing.T) {
	t.Parallel()

	const reasons = "docs/adr/0001-dependencies.md"
	text, err := os.ReadFile(filepath.Join(root, reasons))
	if err != nil {
		t.Fatalf("read the reasons for dependencies: %v", err)
	}
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		rows = append(rows, row[1])
	}

	required := requirements(t)
	if len(rows) == 0 || len(required) == 0 {
		t.Fatalf("found %d rows in %s and %d requirements in go.mod", len(rows), reasons, len(required))
	}
	for module, direct := range required {
		if direct && !slices.Contains(rows, module) {
			t.Errorf("go.mod requires %s, and %s has no row that says why and how to leave it", module, reasons)
		}
	}
	for _, row := range rows {
		if _, found := required[row]; !found {
			t.Errorf("%s gives a reason for %s, which go.mod does not require: take the row out", reasons, row)
		}
	}
}

// requirements returns the modules that go.mod requires, and for each whether it is a
// direct one.
func requirements(t *testing.T) map[string]bool {
	t.Helper()

	var file struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal([]byte(goTool(t, "mod", "edit", "-json")), &file); err != nil {
		t.Fatalf("decode the output of go mod edit: %v", err)
	}
	required := make(map[string]bool, len(file.Require))
	for _, r := range file.Require {
		required[r.Path] = !r.Indirect
	}
	return required
}

// eachFile calls visit with every file of the tree: its path from the root, and its
// content. What git keeps for itself and what the build makes is left out, and so is a
// file that goes away meanwhile: other tests run at the same time.
func eachFile(t *testing.T, visit func(path string, content []byte)) {
	t.Helper()

	passOver := []string{".git", ".cache", "bin", ".ebb", "ebb-state", "state", ".venv", ".idea", ".vscode"}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() && (slices.Contains(passOver, relative) || entry.Name() == "__pycache__" || entry.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !entry.Type().IsRegular() || relative == ".git" { // a file in a worktree of git
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		visit(filepath.ToSlash(relative), content)
		return nil
	})
	if err != nil {
		t.Fatalf("walk the tree: %v", err)
	}
}

// isGenerated tells whether a Go file says of itself that a program wrote it.
func isGenerated(content []byte) bool {
	return regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`).Match(content)
}
