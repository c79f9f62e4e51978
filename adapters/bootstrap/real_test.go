//go:build real

package bootstrap_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/adapters/bootstrap"
)

// shellcheck finds nothing to say about any script that is ever rendered, nor
// about the files inside it.
func TestShellcheck(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Fatalf("%v: install it with apt-get install shellcheck", err)
	}
	directory := t.TempDir()
	check := func(name string, arguments ...string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			output, err := exec.Command(tool, append([]string{"--shell=bash", "--format=gcc"}, arguments...)...).CombinedOutput()
			if err != nil || len(output) > 0 {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
	check("assets", "assets/lib.sh", "assets/init-shell.sh")
	check("runner", "--external-sources", "--check-sourced", "--source-path=assets", "assets/run-agent.sh")
	plain := base()
	plain.AuthToken = "token"
	check("plain", writeScript(t, directory, "plain", plain))
	var files []string
	for _, c := range combinations() {
		files = append(files, writeScript(t, directory, c.name, c.spec))
	}
	for batch := range slices.Chunk(files, 16) {
		// SC2016 says that single quotes keep a value from being expanded: they are there for that.
		check(filepath.Base(batch[0]), append([]string{"--exclude=SC2016"}, batch...)...)
	}
}

func writeScript(t *testing.T, directory, name string, spec bootstrap.Spec) string {
	t.Helper()
	script, err := bootstrap.Render(spec)
	must(t, err)
	path := filepath.Join(directory, name+".sh")
	must(t, os.WriteFile(path, []byte(script.Text), 0o644))
	return path
}

// clearml-agent's own HOCON reader gets exactly the values that were given.
func TestAgentReadsClearMLConf(t *testing.T) {
	t.Parallel()
	python := filepath.Join(os.Getenv("EBB_REAL_VENV"), "bin", "python")
	if _, err := os.Stat(python); err != nil {
		t.Fatalf("%v: run make test-real, which prepares EBB_REAL_VENV with clearml-agent", err)
	}
	var confs, want [][]string
	values := hostile()
	rapid.Check(t, func(r *rapid.T) {
		spec := base()
		spec.AuthToken = "token"
		spec.GitUser, spec.GitPassword = values.Draw(r, "git user"), values.Draw(r, "git password")
		spec.ClearMLConf = "agent.extra.home: ${HOME}\nagent.extra.text: \"it's $HOME `id`\"\n"
		script, err := bootstrap.Render(spec)
		must(t, err)
		confs = append(confs, []string{assignments(t, script.Text)["EBB_CLEARML_CONF"]})
		want = append(want, []string{spec.GitUser, spec.GitPassword, "/nowhere", "it's $HOME `id`"})
	})
	input, err := json.Marshal(confs)
	must(t, err)
	command := exec.Command(python, "-c", `
import json, sys
from clearml_agent.external.pyhocon import ConfigFactory
keys = "agent.git_user", "agent.git_pass", "agent.extra.home", "agent.extra.text"
parsed = [ConfigFactory.parse_string(text) for text, in json.load(sys.stdin)]
json.dump([[c[k] for k in keys] for c in parsed], sys.stdout)
`)
	command.Stdin, command.Env = strings.NewReader(string(input)), []string{"HOME=/nowhere", "PYTHONUTF8=1"}
	var problems strings.Builder
	command.Stderr = &problems
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, problems.String())
	}
	var got [][]string
	must(t, json.Unmarshal(output, &got))
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("the agent reads %q, want %q", got[i], want[i])
		}
	}
}
