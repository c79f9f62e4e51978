package deployments_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// TestImageContext holds .dockerignore to what the build reads: each file of the
// program, and nothing that may be a secret or somebody's state.
func TestImageContext(t *testing.T) {
	t.Parallel()

	patterns, err := ignorefile.ReadAll(strings.NewReader(readFile(t, ".dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	needed := append(programFiles(t), "go.mod", "go.sum", "deployments/container/rootfs.sh")
	if len(needed) < 100 {
		t.Fatalf("the program has %d files only", len(needed))
	}
	for _, file := range needed {
		if left, err := ignored.MatchesOrParentMatches(file); err != nil || left {
			t.Errorf("the build needs %s, and .dockerignore leaves it out (%v)", file, err)
		}
	}
	for _, file := range []string{
		".git/config", ".env", "deployments/compose/.env", "deployments/compose/secrets/http_token", "ebb.yaml", "state/jetstream/x", "bin/ebb",
		".cache/x", "docs/events.md", "deployments/examples/ebb.yaml", "cmd/internal/cli/cli_test.go", "cmd/internal/cli/testdata/two.yaml", "id_rsa",
	} {
		if left, err := ignored.MatchesOrParentMatches(file); err != nil || !left {
			t.Errorf("%s is sent to the build, which does not need it (%v)", file, err)
		}
	}
}

// programFiles lists the files of the module from which the program is compiled, for
// each platform of the image.
func programFiles(t *testing.T) []string {
	t.Helper()

	base, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, platform := range []string{"amd64", "arm64"} {
		command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=Dir,Module,GoFiles,EmbedFiles", "./cmd/ebb")
		command.Dir = root
		command.Env = append(command.Environ(), "GOOS=linux", "CGO_ENABLED=0", "GOARCH="+platform)
		out, err := command.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
			var p struct {
				Dir                 string
				Module              *struct{ Main bool }
				GoFiles, EmbedFiles []string
			}
			if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if p.Module == nil || !p.Module.Main {
				continue
			}
			for _, file := range slices.Concat(p.GoFiles, p.EmbedFiles) {
				relative, err := filepath.Rel(base, filepath.Join(p.Dir, file))
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, filepath.ToSlash(relative))
			}
		}
	}
	return files
}

// TestDockerfile looks for what an image of ebb promises.
func TestDockerfile(t *testing.T) {
	t.Parallel()

	text := readFile(t, "Dockerfile")
	last := text[strings.LastIndex(text, "\nFROM "):]
	for _, want := range []string{
		`(?m)^FROM scratch$`, `(?m)^USER ` + uid + `:` + uid + `$`, `(?m)^STOPSIGNAL SIGTERM$`,
		`(?s)HEALTHCHECK .*CMD \["/usr/bin/ebb", "healthcheck"\]`, `(?m)^ENTRYPOINT \["/usr/bin/ebb"\]$`,
		`org\.opencontainers\.image\.version="\$VERSION"`, `org\.opencontainers\.image\.revision="\$REVISION"`,
	} {
		if !regexp.MustCompile(want).MatchString(last) {
			t.Errorf("the last stage has no %s", want)
		}
	}
	if regexp.MustCompile(`(?m)^RUN`).MatchString(last) {
		t.Error("the last stage runs something: an empty image has no shell")
	}
	if !regexp.MustCompile(`(?m)^ARG GO_IMAGE=golang:\d+\.\d+\.\d+-[a-z]+$`).MatchString(text) {
		t.Error("the image to build in is not pinned by its full tag")
	}
	wanted := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readFile(t, "go.mod"))[1]
	if !strings.Contains(text, "golang:"+wanted+".") {
		t.Errorf("go.mod wants Go %s, and the image is built with another", wanted)
	}
}
