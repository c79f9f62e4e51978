//go:build real

package motoserver

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/ebbscale/ebb/internal/freeport"
	"github.com/ebbscale/ebb/internal/output"
)

// Start starts a moto server on a free port of the loopback interface. It
// ends with the test.
func Start(t *testing.T) string {
	t.Helper()

	program := Tool(t, "moto_server")
	port := strconv.Itoa(freeport.Number(t))
	var console output.Buffer
	server := exec.CommandContext(context.WithoutCancel(t.Context()), program, "-H", "127.0.0.1", "-p", port)
	server.Env = []string{
		"PATH=/usr/bin:/bin", "HOME=" + t.TempDir(), "LANG=C.UTF-8", "PYTHONUNBUFFERED=1",
		// As EC2 does, refuse images and types that there are not.
		"MOTO_ENABLE_AMI_VALIDATION=1", "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION=1",
	}
	server.Stdout, server.Stderr = &console, &console
	if err := server.Start(); err != nil {
		t.Fatalf("start moto: %v; install cmd/internal/contract/requirements.txt beside %s", err, program)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = server.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("moto said:\n%s", console.String())
		}
	})

	endpoint := "http://127.0.0.1:" + port
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint+"/moto-api/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			return endpoint
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("moto ended: %v\n%s", err, console.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("moto does not answer on %s\n%s", endpoint, console.String())
		}
	}
}

// Tool is a program of the Python environment of the contract tests.
func Tool(t *testing.T, name string) string {
	t.Helper()

	venv := os.Getenv("EBB_REAL_VENV")
	if venv == "" {
		t.Fatal("EBB_REAL_VENV is not set: point it at a Python environment with cmd/internal/contract/requirements.txt (make test-real does)")
	}
	program, err := filepath.Abs(filepath.Join(venv, "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	return program
}
