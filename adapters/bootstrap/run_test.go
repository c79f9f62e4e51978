package bootstrap_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/bootstrap"
)

// full is a spec with every secret.
func full() bootstrap.Spec {
	spec := base()
	spec.AccessKey, spec.SecretKey = "AKSECRET", "SECRET'key$HOME"
	spec.GitUser, spec.GitPassword = "gitSECRETuser", "SECRET$(id)`id`\"'\\n\nSECRETtwo"
	return spec
}

func TestWholeBoot(t *testing.T) {
	t.Parallel()
	for _, distribution := range []string{"apt-get", "dnf"} {
		for _, docker := range []string{"", "nvidia/cuda:12 --shm-size  8g"} {
			for _, cpu := range []bool{false, true} {
				t.Run(distribution+"/docker="+strconv.FormatBool(docker != "")+"/cpu="+strconv.FormatBool(cpu), func(t *testing.T) {
					t.Parallel()
					spec := full()
					spec.DockerImage, spec.CPUOnly, spec.Queues = docker, cpu, []string{"urgent gpu", "später's"}
					box := newSandbox(t, distribution)
					console := box.boot(t, spec)
					wantAgent(t, box, spec)
					if got := box.called("docker info") > 0; got != (docker != "") {
						t.Errorf("docker was prepared: %t", got)
					}
					if got := box.called("systemctl enable ebb-agent.service"); got != 1 {
						t.Errorf("the service was enabled %d times", got)
					}
					wantLine(t, console, "worker dynamic_aws:gpu:g4dn.xlarge:i-0123456789abcdef0")
					wantLine(t, console, "the agent ended with exit code 0")
					box.wantPoweredOff(t, console)
					box.wantSecretsHidden(t, console, spec)
				})
			}
		}
	}
}

func wantAgent(t *testing.T, box *sandbox, spec bootstrap.Spec) {
	t.Helper()
	want := append([]string{"--config-file", box.root + "/root/clearml.conf", "daemon", "--queue"}, spec.Queues...)
	want = append(want, "--foreground")
	if spec.DockerImage != "" {
		want = append(want, "--docker", strings.Join(strings.Fields(spec.DockerImage), " "))
	}
	environment := map[string]string{
		"CLEARML_WORKER_ID":      "dynamic_aws:gpu:g4dn.xlarge:i-0123456789abcdef0",
		"CLEARML_API_HOST":       spec.APIServer,
		"CLEARML_WEB_HOST":       spec.WebServer,
		"CLEARML_FILES_HOST":     spec.FilesServer,
		"CLEARML_API_ACCESS_KEY": spec.AccessKey,
		"CLEARML_API_SECRET_KEY": spec.SecretKey,
		"HOME":                   box.root + "/root",
		"VIRTUAL_ENV":            box.root + "/opt/ebb/venv",
	}
	if spec.CPUOnly {
		want = append(want, "--cpu-only")
		environment["NVIDIA_VISIBLE_DEVICES"] = "none"
	} else if value, set := box.agentEnvironment("NVIDIA_VISIBLE_DEVICES"); set {
		t.Errorf("NVIDIA_VISIBLE_DEVICES is %q for a machine with GPUs", value)
	}
	if got := box.agentArguments(); !slices.Equal(got, want) {
		t.Errorf("the agent was started with %q, want %q", got, want)
	}
	for name, value := range environment {
		if got, _ := box.agentEnvironment(name); got != value {
			t.Errorf("the agent's %s is %q, want %q", name, got, value)
		}
	}
	if value, set := box.agentEnvironment("CLEARML_AUTH_TOKEN"); set {
		t.Errorf("CLEARML_AUTH_TOKEN is %q, and an empty one must not be set", value)
	}
	if mask := strings.TrimSpace(box.read(box.path("agent.umask"))); mask != "0022" {
		t.Errorf("the agent's umask is %s", mask)
	}
}

func TestPreparedImageInstallsNothing(t *testing.T) {
	t.Parallel()
	box := newSandbox(t, "apt-get", "git", "gcc", "python3", "docker")
	venv := filepath.Join(box.root, "opt/ebb/venv/bin")
	must(t, os.MkdirAll(venv, 0o755))
	must(t, os.Symlink(box.path("stubs/python3"), filepath.Join(venv, "python")))
	must(t, os.WriteFile(filepath.Join(venv, "agent-version"), []byte(bootstrap.DefaultAgentVersion), 0o644))
	spec := full()
	spec.DockerImage = "ubuntu:24.04"
	box.boot(t, spec)
	for _, call := range box.calls() {
		if strings.HasPrefix(call, "apt-get") || strings.HasPrefix(call, "python3 -m venv") || strings.Contains(call, "-m pip") {
			t.Errorf("a prepared image ran %q", call)
		}
	}
	wantAgent(t, box, spec)
}

// Whatever way the agent ends, the machine ends with it.
func TestPowersOffWhenTheAgentEnds(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"0", "1", "254"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t, "apt-get", "git", "gcc", "python3")
			box.set(t, "agent.code", code)
			box.set(t, "agent.says", "401 Client Error: Unauthorized for SECRET'key$HOME\n")
			console := box.boot(t, full())
			wantLine(t, console, "the agent ended with exit code "+code+" after")
			wantLine(t, console, "credentials that the ClearML server refused")
			box.wantPoweredOff(t, console)
			box.wantSecretsHidden(t, console, full())
		})
	}
}

func TestShutdownFallsBack(t *testing.T) {
	t.Parallel()
	box := newSandbox(t, "apt-get", "git", "gcc", "python3")
	box.set(t, "fail.shutdown", "1")
	box.boot(t, full())
	calls := box.calls()
	shutdown, systemctl, force := slices.Index(calls, "shutdown -h now"), slices.Index(calls, "systemctl poweroff"), slices.Index(calls, "poweroff -f")
	if shutdown < 0 || systemctl < shutdown || force < systemctl {
		t.Errorf("want shutdown, systemctl poweroff, poweroff -f in turn:\n%s", strings.Join(calls, "\n"))
	}
}

func TestInstallsAreRetried(t *testing.T) {
	t.Parallel()
	box := newSandbox(t, "apt-get")
	box.set(t, "fail.update", "1")
	box.set(t, "fail.install", "2")
	box.set(t, "fail.pip", "3")
	box.set(t, "fail.restart", "1")
	box.set(t, "fail.docker", "2")
	spec := full()
	spec.DockerImage = "ubuntu:24.04"
	console := box.boot(t, spec)
	wantAgent(t, box, spec)
	wantLine(t, console, "installing packages: try 3 of 5 ended with exit code 100")
	wantLine(t, console, "installing clearml-agent 3.0.3: try 3 of 5 ended with exit code 1")
	var pauses []string
	for _, call := range box.calls() {
		if seconds, ok := strings.CutPrefix(call, "sleep "); ok {
			pauses = append(pauses, seconds)
		}
	}
	// packages, docker's start, pip, the service; then the runner's own: its log's care and the fallback.
	if got := strings.Join(pauses, " "); !strings.HasPrefix(got, "10 20 40 1 2 10 20 40 10 ") {
		t.Errorf("the pauses were %s", got)
	}
}

func TestGivesUpAndPowersOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, fail, says string
		tries            string // prefix of the call that is to be seen five times
		tools            []string
		docker           bool
	}{
		{name: "packages", fail: "install", says: "git and python could not be installed", tries: "apt-get -o DPkg::Lock::Timeout=600"},
		{name: "docker", fail: "install", says: "docker could not be installed", tries: "apt-get -o DPkg::Lock::Timeout=600", tools: []string{"git", "python3"}, docker: true},
		{name: "venv", fail: "venv", says: "clearml-agent could not be installed", tries: "python3 -m venv", tools: []string{"git", "gcc", "python3"}},
		{name: "agent", fail: "pip", says: "clearml-agent could not be installed", tries: "python -m pip", tools: []string{"git", "gcc", "python3"}},
		{name: "service", fail: "restart", says: "ebb-agent.service could not be started", tries: "systemctl restart", tools: []string{"git", "gcc", "python3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t, "apt-get", c.tools...)
			box.set(t, "fail."+c.fail, "1000")
			spec := full()
			box.env = []string{"EBB_TEST_LEAK=" + spec.SecretKey}
			if c.docker {
				spec.DockerImage = "ubuntu:24.04"
			}
			console := box.boot(t, spec)
			wantLine(t, console, "FAILED: "+c.says)
			wantLine(t, console, "| E: "+c.fail+" failed at https://***@mirror.example.com/ with ***")
			if got := box.called(c.tries); got != 5 {
				t.Errorf("%q was called %d times, want 5:\n%s", c.tries, got, strings.Join(box.calls(), "\n"))
			}
			if got := box.agentArguments(); got != nil {
				t.Errorf("an agent was started: %q", got)
			}
			box.wantPoweredOff(t, console)
			// The stubs' own environment holds the leak, so only the console is looked at.
			if strings.Contains(console, "SECRET") || strings.Contains(console, "hunter2") {
				t.Errorf("a secret is on the console:\n%s", console)
			}
		})
	}
}

func TestUnknownDistributionIsReported(t *testing.T) {
	t.Parallel()
	box := newSandbox(t, "apt-get")
	must(t, os.Remove(box.path("bin/apt-get")))
	console := box.boot(t, full())
	wantLine(t, console, "neither apt-get nor dnf here")
	box.wantPoweredOff(t, console)
}

func TestWorkerID(t *testing.T) {
	t.Parallel()
	t.Run("type from the metadata service", func(t *testing.T) {
		t.Parallel()
		box := newSandbox(t, "apt-get", "git", "gcc", "python3")
		spec := full()
		spec.InstanceType = ""
		box.boot(t, spec)
		if got, _ := box.agentEnvironment("CLEARML_WORKER_ID"); got != "dynamic_aws:gpu:p5.48xlarge:i-0123456789abcdef0" {
			t.Errorf("the worker id is %q", got)
		}
	})
	t.Run("metadata service late", func(t *testing.T) {
		t.Parallel()
		box := newSandbox(t, "apt-get", "git", "gcc", "python3")
		box.imds.refuse.Store(7)
		box.boot(t, full())
		if got, _ := box.agentEnvironment("CLEARML_WORKER_ID"); got != "dynamic_aws:gpu:g4dn.xlarge:i-0123456789abcdef0" {
			t.Errorf("the worker id is %q", got)
		}
	})
	for name, answer := range map[string]string{"empty": "", "page of a proxy": "<html>i-0abc</html>", "two lines": "i-0abc\nrm"} {
		t.Run("never from a broken answer/"+name, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t, "apt-get", "git", "gcc", "python3")
			box.imds.instance.Store(answer)
			console := box.boot(t, full())
			wantLine(t, console, "FAILED: the instance metadata service (IMDSv2) gave no instance id")
			if box.agentArguments() != nil || box.called("systemctl restart") > 0 {
				t.Error("the agent was started without an instance id")
			}
			box.wantPoweredOff(t, console)
			if asked := box.imds.asked.Load(); asked < 20 {
				t.Errorf("the metadata service was asked %d times only", asked)
			}
		})
	}
}

// An image made of a worker carries the service and its settings along.
func TestRunnerRefusesAnotherInstancesSettings(t *testing.T) {
	t.Parallel()
	box := newSandbox(t, "apt-get", "git", "gcc", "python3")
	box.set(t, "detached", "")
	box.boot(t, full())
	box.imds.instance.Store("i-0fedcba9876543210")
	console := box.runFile(t, filepath.Join(box.root, "opt/ebb/run-agent.sh"))
	wantLine(t, console, "not starting the agent: set up for i-0123456789abcdef0, and this is i-0fedcba9876543210")
	if box.agentArguments() != nil || box.called("shutdown") > 0 {
		t.Error("the agent was started, or a machine that is not ours powered off")
	}
}

func TestKeepFileAndRebootKeepTheMachineOn(t *testing.T) {
	t.Parallel()
	t.Run("keep", func(t *testing.T) {
		t.Parallel()
		box := newSandbox(t, "apt-get", "git", "gcc", "python3")
		must(t, os.MkdirAll(filepath.Join(box.root, "opt/ebb"), 0o755))
		must(t, os.WriteFile(filepath.Join(box.root, "opt/ebb/keep"), nil, 0o644))
		console := box.boot(t, full())
		wantLine(t, console, "keep exists: not powering off")
		if box.called("shutdown") > 0 {
			t.Error("the machine was powered off")
		}
	})
	t.Run("reboot", func(t *testing.T) {
		t.Parallel()
		box := newSandbox(t, "apt-get", "git", "gcc", "python3")
		box.set(t, "system", "stopping\n")
		console := box.boot(t, full())
		wantLine(t, console, "the system is going down already")
		if box.called("shutdown") > 0 || box.called("poweroff") > 0 {
			t.Error("a reboot was turned into a shutdown")
		}
	})
}

// systemd's TERM reaches the agent, whose own exit code is reported.
func TestTermIsPassedOnToTheAgent(t *testing.T) {
	t.Parallel()
	box := newSandbox(t, "apt-get", "git", "gcc", "python3")
	box.set(t, "detached", "")
	must(t, syscall.Mkfifo(box.path("agent.waits"), 0o600))
	box.boot(t, full())
	runner := box.command(t, filepath.Join(box.root, "opt/ebb/run-agent.sh"))
	var console strings.Builder
	runner.Stdout = &console
	must(t, runner.Start())
	for begin := time.Now(); !exists(box.path("agent.started")); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("no agent after %s", patience)
		}
	}
	must(t, runner.Process.Signal(syscall.SIGTERM))
	must(t, runner.Wait())
	wantLine(t, console.String(), "the agent ended with exit code 254")
	box.wantPoweredOff(t, console.String())
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// A runner that was killed leaves powering off to the unit's last line.
func TestUnitPowersOffAfterAKilledRunner(t *testing.T) {
	t.Parallel()
	box := newSandbox(t, "apt-get", "git", "gcc", "python3")
	box.set(t, "detached", "")
	box.boot(t, full())
	unit := box.file("etc/systemd/system/ebb-agent.service")
	if !regexp.MustCompile(`(?m)^Restart=no$`).MatchString(unit) || !strings.Contains(unit, "\nExecStart=/bin/bash "+box.root+"/opt/ebb/run-agent.sh\n") {
		t.Errorf("the unit is\n%s", unit)
	}
	box.env = []string{"SERVICE_RESULT=success"}
	runner := filepath.Join(box.root, "opt/ebb/run-agent.sh")
	box.runFile(t, runner, "stopped")
	if box.called("shutdown") > 0 {
		t.Error("a runner that ended well was powered off a second time")
	}
	box.env = []string{"SERVICE_RESULT=signal"}
	box.wantPoweredOff(t, box.runFile(t, runner, "stopped"))
}
