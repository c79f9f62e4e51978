//go:build real

package archtest_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestShellScriptsAreClean runs shellcheck over every executable shell script of the
// tree. Scripts that ebb renders are tried where they are rendered.
func TestShellScriptsAreClean(t *testing.T) {
	t.Parallel()

	var scripts []string
	eachFile(t, func(path string, content []byte) {
		first, _, _ := bytes.Cut(content, []byte("\n"))
		if !bytes.HasPrefix(first, []byte("#!")) || !bytes.HasSuffix(first, []byte("sh")) {
			return
		}
		info, err := os.Stat(filepath.Join(root, path))
		if err != nil {
			t.Fatalf("look at %s: %v", path, err)
		}
		if info.Mode()&0o111 != 0 {
			scripts = append(scripts, path)
		}
	})
	if len(scripts) == 0 {
		t.Fatal("found no shell script")
	}
	command := exec.CommandContext(t.Context(), "shellcheck", scripts...)
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
}
