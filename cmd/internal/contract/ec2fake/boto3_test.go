//go:build real

package ec2fake_test

import (
	"bytes"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
)

// TestBoto3 has boto3 launch, list, tag, page and terminate.
func TestBoto3(t *testing.T) {
	t.Parallel()
	venv := os.Getenv("EBB_REAL_VENV")
	if venv == "" {
		t.Fatal("EBB_REAL_VENV is not set: make a virtual environment, pip install boto3 into it, and name its directory")
	}
	python := filepath.Join(venv, "bin", "python")
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import boto3").CombinedOutput(); err != nil {
		t.Fatalf("boto3 cannot be loaded by %s: %v\n%s", python, err, out)
	}
	second := fakeec2.Dist{Median: 500 * time.Millisecond}
	cloud, err := fakeec2.New(fakeec2.Config{
		Clock: clock.System(), Rand: rand.New(rand.NewPCG(1, 2)), AccessKeys: []string{"AKIDEXAMPLE"},
		Timing: fakeec2.Timing{Pending: second, ShuttingDown: second},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(cloud.Handler())
	t.Cleanup(server.Close)
	t.Cleanup(cloud.Close)

	cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "check.py"), server.URL)
	cmd.Env = clean(os.Environ())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil || strings.TrimSpace(out.String()) != "ok" {
		t.Fatalf("boto3: %v\n%s", err, out.String())
	}
	if most, _ := cloud.Ledger().MaxAlive(fakeec2.Tagged("Name", "a")); most != 3 {
		t.Errorf("at most %d instances of the first launch were alive, want 3", most)
	}
}

// clean takes out what the machine says about AWS and about proxies.
func clean(env []string) []string {
	var kept []string
	for _, v := range env {
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "AWS_") && !strings.HasSuffix(strings.ToLower(name), "_proxy") {
			kept = append(kept, v)
		}
	}
	return kept
}
