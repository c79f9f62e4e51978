//go:build real && linux

package deployments_test

import (
	"context"
	"debug/elf"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/internal/freeport"
)

// patience is how long a test waits for what should take a second.
const patience = 2 * time.Minute

// jail is how the program runs in a container: the image as its whole world, read
// only but for the state directory and /tmp; the user of the image, with no rights and
// none to be had. The state directory is as Kubernetes makes it: root's, writable for
// the group. Arguments: the image, a folder to mount on /etc/ebb, the program's own.
const jail = `set -eu
image=$1 settings=$2
shift 2
mount --make-rprivate /
mkdir -p "$image/etc/ebb" "$image/tmp"
mount --bind "$image" "$image"
mount --bind "$settings" "$image/etc/ebb"
mount -t tmpfs -o mode=2775,uid=0,gid=65532 tmpfs "$image/var/lib/ebb"
mount -t tmpfs -o mode=1777 tmpfs "$image/tmp"
mount -o remount,bind,ro "$image"
mount -o remount,bind,ro "$image/etc/ebb"
exec setpriv --no-new-privs -- chroot --userspec=65532:65532 --groups= "$image" /usr/bin/ebb "$@"
`

// TestImage makes what the image contains, without a container engine, and runs it as
// a container would. It needs root, to give it up.
func TestImage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("the jail needs root, to give it up: sudo make deployments, or in a container")
	}
	image, settings := rootfs(t), openDir(t)
	binary := filepath.Join(image, "usr", "bin", "ebb")

	t.Run("is static", func(t *testing.T) {
		program, err := elf.Open(binary)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = program.Close() }()
		for _, part := range program.Progs {
			if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
				t.Errorf("the binary wants a loader: it has a %s", part.Type)
			}
		}
	})
	t.Run("says its version", func(t *testing.T) {
		if out := runIn(t, image, settings, 0, "--version"); !strings.Contains(out, "v0.0.0-try") {
			t.Errorf("it says %s", out)
		}
	})
	t.Run("can write nowhere else", func(t *testing.T) {
		writeOpen(t, settings, "ebb.yaml", readFile(t, "deployments", "examples", "ebb.yaml"))
		for _, place := range []string{"/x.yaml", "/etc/x.yaml", "/etc/ebb/x.yaml", "/usr/bin/x.yaml", "/var/lib/x.yaml"} {
			if out := runIn(t, image, settings, 1, "config", "import", "/etc/ebb/ebb.yaml", "-o", place); !strings.Contains(out, "read-only") {
				t.Errorf("%s: %s", place, out)
			}
		}
	})
	t.Run("knows the certificate authorities of the image", func(t *testing.T) { testAuthorities(t, image, settings) })
	t.Run("plays the demo to a subscriber", func(t *testing.T) { testDemo(t, image, settings) })
	t.Run("runs and stops", func(t *testing.T) { testRun(t, image, settings, binary) })
}

// testAuthorities has the program speak TLS to a server, before and after the authority
// of that server is in the image.
func testAuthorities(t *testing.T, image, settings string) {
	t.Helper()

	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // refusals are meant
	server.StartTLS()
	t.Cleanup(server.Close)
	writeOpen(t, settings, "ebb.yaml", fmt.Sprintf(`
autoscalers:
  - name: prod
    clearml: {api_server: %q, web_server: "http://127.0.0.1:1", files_server: "http://127.0.0.1:1", access_key: KEY, secret_key: none}
    aws: {region: us-east-1, access_key_id: AKIAEXAMPLE, secret_access_key: example, endpoint_url: "http://127.0.0.1:1"}
    resources:
      - {name: cpu, instance_types: [m5.large], availability_zones: [us-east-1a], ami_id: ami-0e3a1b2c3d4e5f601, max_instances: 1, queues: [training]}
`, server.URL))
	const stranger = "unknown authority"
	if out := runIn(t, image, settings, 1, "doctor", "--config", "/etc/ebb/ebb.yaml"); !strings.Contains(out, stranger) {
		t.Errorf("a server that nobody knows: %s", out)
	}
	bundle, err := os.OpenFile(filepath.Join(image, "etc", "ssl", "certs", "ca-certificates.crt"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := pem.Encode(bundle, &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	if err := bundle.Close(); err != nil {
		t.Fatal(err)
	}
	if out := runIn(t, image, settings, 1, "doctor", "--config", "/etc/ebb/ebb.yaml"); strings.Contains(out, stranger) || !strings.Contains(out, "clearml.login") {
		t.Errorf("a server that the image knows: %s", out)
	}
}

// testRun runs an autoscaler in the jail until it acts, asks for its events and its
// health as an operator would, and stops it.
func testRun(t *testing.T, image, settings, binary string) {
	t.Helper()

	nats := freeport.Address(t)
	clearml, ec2 := fake(t, binary, "clearml", "--queue", "training"), fake(t, binary, "ec2")
	writeOpen(t, settings, "secret", "ebb-fake-secret-key\n")
	writeOpen(t, settings, "ebb.yaml", fmt.Sprintf(`
nats: {listen: %q}
autoscalers:
  - name: prod
    clearml: {api_server: %q, web_server: "http://127.0.0.1:1", files_server: "http://127.0.0.1:1", access_key: EBBFAKEACCESSKEY, secret_key: "${FILE:secret}"}
    aws: {region: us-east-1, access_key_id: AKIAEXAMPLE, secret_access_key: example, endpoint_url: %q}
    polling_interval: 1s
    resources:
      - {name: cpu, instance_types: [m5.large], availability_zones: [us-east-1a], ami_id: ami-0e3a1b2c3d4e5f601, max_instances: 1, queues: [training]}
`, nats, clearml, ec2))
	health := freeport.Address(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	process := inJail(ctx, image, settings, "run", "--http-listen", health)
	var log strings.Builder
	process.Stdout, process.Stderr = &log, &log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		out, err := inJail(t.Context(), image, settings, "events", "--nats-url", "nats://"+nats, "--since", "1h").CombinedOutput()
		if err == nil && strings.Contains(string(out), "autoscaler.started") {
			break
		}
		if len(ended) > 0 || time.Now().After(deadline) {
			stop()
			t.Fatalf("no autoscaler started (%v): %s\n%v\n%s", err, out, <-ended, &log)
		}
	}
	if out := runIn(t, image, settings, 0, "status"); !strings.Contains(out, "training") {
		t.Errorf("ebb status shows no queue: %s", out)
	}
	if exists("docs/dashboard.md") { // the server comes with its page
		runIn(t, image, settings, 0, "healthcheck", "--url", "http://"+health+"/healthz")
		// It is ready once ClearML has answered, which is after it has started.
		for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
			out, err := inJail(t.Context(), image, settings, "healthcheck", "--url", "http://"+health+"/readyz").CombinedOutput()
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("it is never ready: %v\n%s", err, out)
			}
		}
	}
	stop()
	select {
	case <-ended: // the error is the context's: it is the exit code that counts
	case <-time.After(app.StopMax):
		t.Fatalf("it has not stopped after %s:\n%s", app.StopMax, &log)
	}
	if code := process.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit %d:\n%s", code, &log)
	}
	if strings.Contains(log.String(), "ebb-fake-secret-key") {
		t.Error("a secret is in the log")
	}
}

// testDemo runs the command of compose.demo.yaml in the jail, asks with that service's
// health check, and subscribes as its subscriber does.
func testDemo(t *testing.T, image, settings string) {
	t.Helper()

	services, listen := compose(t, "compose.demo.yaml").Services, freeport.Address(t)
	here := func(words []string) []string {
		return strings.Split(strings.ReplaceAll(strings.Join(words, "\n"), "127.0.0.1:4222", listen), "\n")
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*patience)
	defer stop()
	demo := inJail(ctx, image, settings, here(services["demo"].Command)...)
	var out strings.Builder
	demo.Stdout, demo.Stderr = &out, &out
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stop(); _ = demo.Wait() }()

	health := here(services["demo"].HealthCheck.Test)
	if health[0] != "CMD" || health[1] != "/usr/bin/ebb" {
		t.Fatalf("the health check is %q", health)
	}
	for inJail(ctx, image, settings, health[2:]...).Run() != nil {
		if ctx.Err() != nil {
			t.Fatalf("the demo is never well: %s", &out)
		}
		time.Sleep(200 * time.Millisecond)
	}
	subscriber := here(services["subscriber"].Command)
	if services["subscriber"].NetworkMode != "service:demo" || len(subscriber) != 4 || subscriber[0] != "--server" || subscriber[2] != "sub" {
		t.Fatalf("the subscriber runs nats %q", subscriber)
	}
	connection, err := nats.Connect(subscriber[1])
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	events, err := connection.SubscribeSync(subscriber[3])
	if err != nil {
		t.Fatal(err)
	}
	for {
		message, err := events.NextMsgWithContext(ctx)
		if err != nil {
			t.Fatalf("the subscriber hears of no launch: %v\n%s", err, &out)
		}
		if strings.HasSuffix(message.Subject, ".instance.launched") {
			return
		}
	}
}

// rootfs makes what the image contains.
func rootfs(t *testing.T) string {
	t.Helper()

	image := openDir(t)
	command := exec.CommandContext(t.Context(), "sh", filepath.Join(root, "deployments", "container", "rootfs.sh"), image)
	command.Env = append(command.Environ(), "VERSION=v0.0.0-try")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("rootfs.sh: %v\n%s", err, out)
	}
	return image
}

// openDir is a directory that the user of the image may look into.
func openDir(t *testing.T) string {
	t.Helper()

	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeOpen(t *testing.T, dir, name, text string) {
	t.Helper()

	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
}

// inJail prepares a command of the image. The end of ctx is SIGTERM.
func inJail(ctx context.Context, image, settings string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "sh", "-c", jail, "jail", image, settings}, args...)...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "EBB_CONFIG=/etc/ebb/ebb.yaml"}
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = app.StopMax
	return command
}

// runIn runs a command of the image to its end and returns what it prints.
func runIn(t *testing.T, image, settings string, code int, args ...string) string {
	t.Helper()

	command := inJail(t.Context(), image, settings, args...)
	out, err := command.CombinedOutput()
	if command.ProcessState == nil {
		t.Fatalf("the jail needs unshare, and root: %v", err)
	}
	if got := command.ProcessState.ExitCode(); got != code {
		t.Errorf("ebb %s: exit %d, want %d: %s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

// fake runs `ebb fake WHAT` outside of the jail until the end of the test, and returns
// its address.
func fake(t *testing.T, binary, what string, args ...string) string {
	t.Helper()

	listen := freeport.Address(t)
	command := exec.CommandContext(t.Context(), binary, append([]string{"fake", what, "--listen", listen}, args...)...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		connection, err := net.Dial("tcp", listen)
		if err == nil {
			connection.Close()
			return "http://" + listen
		}
		if time.Now().After(deadline) {
			t.Fatalf("the fake does not listen: %v", err)
		}
	}
}

// TestDockerfileLint runs hadolint over the Dockerfile, with every rule.
func TestDockerfileLint(t *testing.T) {
	t.Parallel()

	if out, err := tool(t, "hadolint", "--failure-threshold", "style", filepath.Join(root, "Dockerfile")); err != nil {
		t.Errorf("hadolint: %v\n%s", err, out)
	}
	// It bites: a Dockerfile with mistakes is found out.
	bad := filepath.Join(t.TempDir(), "Dockerfile")
	if err := os.WriteFile(bad, []byte(regexp.MustCompile(`FROM scratch`).ReplaceAllString(readFile(t, "Dockerfile"), "FROM debian\nRUN sudo apt-get install curl")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := tool(t, "hadolint", bad); err == nil || !strings.Contains(out, "DL3006") || !strings.Contains(out, "DL3004") {
		t.Errorf("hadolint lets a bad Dockerfile pass: %v\n%s", err, out)
	}
}

// tool runs a program that `make deployments` has put on the path.
func tool(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()

	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%s is missing (make deployments installs it): %v", name, err)
	}
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	return string(out), err
}
