package bootstrap_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInitScript(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, bashrc, script string
		exclude              bool
		env                  string
		says                 string            // a line on the console
		agent                map[string]string // what the agent has in its environment; nil when none may start
	}{
		{
			name: "exports reach the agent", bashrc: "export FROM_RC=rc\nvalue='of rc'\n",
			script: "export FROM_INIT=\"$value $FROM_RC\"\nunexported=1\nexport CLEARML_API_HOST=https://other.example.com",
			says:   "running the init script",
			agent: map[string]string{
				"FROM_RC": "rc", "FROM_INIT": "of rc rc", "unexported": "", "CLEARML_API_HOST": "https://other.example.com",
			},
		},
		{
			name: "bashrc left out", bashrc: "export FROM_RC=rc", exclude: true, script: "export FROM_INIT=\"[$FROM_RC]\"",
			agent: map[string]string{"FROM_RC": "", "FROM_INIT": "[]"},
		},
		{name: "bashrc alone", bashrc: "export FROM_RC=rc", agent: map[string]string{"FROM_RC": "rc"}},
		{
			name: "bashrc that ends the shell", bashrc: "export FROM_RC=rc; exit 7", script: "export FROM_INIT=yes",
			says:  "/root/.bashrc ended its shell with exit code 7: going on without it",
			agent: map[string]string{"FROM_RC": "", "FROM_INIT": "yes"},
		},
		{
			name: "the worker's own variables", script: "echo \"id $CLEARML_WORKER_ID\"\nexport SEEN=$CLEARML_WORKER_ID CLEARML_WORKER_ID=other HOME=/tmp EBB_QUEUES=other CLEARML_WORKER_NAME=other",
			agent: map[string]string{
				"SEEN":              "dynamic_aws:gpu:g4dn.xlarge:i-0123456789abcdef0",
				"CLEARML_WORKER_ID": "dynamic_aws:gpu:g4dn.xlarge:i-0123456789abcdef0", "CLEARML_WORKER_NAME": "",
			},
		},
		{
			name: "last command fails", script: "export FROM_INIT=yes\nfalse\n",
			says:  "WARNING: the init script's last command failed with exit code 1; going on",
			agent: map[string]string{"FROM_INIT": "yes"},
		},
		{name: "exit 0", script: "export FROM_INIT=yes\nexit 0\n", agent: map[string]string{"FROM_INIT": "yes"}},
		{
			name: "a trap of its own", script: "trap 'echo bye' EXIT\nexport FROM_INIT=yes\n",
			agent: map[string]string{"FROM_INIT": "yes"},
		},
		{name: "exit 3", script: "exit 3\n", says: "FAILED: the init script ended its shell with exit code 3"},
		{name: "set -e", script: "set -e\nfalse\necho not reached\n", says: "FAILED: the init script ended its shell with exit code 1"},
		{name: "exit 3 past a trap of its own", script: "trap 'echo bye' EXIT\nexit 3\n", says: "FAILED: the init script ended its shell with exit code 3"},
		{name: "hangs", script: "true", env: "EBB_TEST_INIT_HANGS=1", says: "did not end within 7200 s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t, "apt-get", "git", "gcc", "python3")
			if c.bashrc != "" {
				must(t, os.WriteFile(filepath.Join(box.root, "root/.bashrc"), []byte(c.bashrc), 0o644))
			}
			if c.env != "" {
				box.env = []string{c.env}
			}
			spec := full()
			spec.InitScript, spec.ExcludeBashrc = c.script, c.exclude
			console := box.boot(t, spec)
			if c.says != "" {
				wantLine(t, console, c.says)
			} else if strings.Contains(console, "WARNING") || strings.Contains(console, "FAILED") {
				t.Errorf("the console complains:\n%s", console)
			}
			if started := box.agentArguments() != nil; started != (c.agent != nil) {
				t.Fatalf("the agent was started: %t\n%s", started, console)
			}
			for name, want := range c.agent {
				if got, _ := box.agentEnvironment(name); got != want {
					t.Errorf("the agent's %s is %q, want %q", name, got, want)
				}
			}
			box.wantPoweredOff(t, console)
		})
	}
}
