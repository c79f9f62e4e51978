package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/cmd/internal/cli"
	"github.com/ebbscale/ebb/cmd/internal/config"
)

// TestRun hands over the configuration with the flags laid over it, and a logger.
func TestRun(t *testing.T) {
	t.Parallel()

	p, stdout, stderr := program()
	var got cli.RunOptions
	p.Commands.Run = func(_ context.Context, o cli.RunOptions) error {
		got = o
		o.Log.Debug().Msg("hello")
		return errors.New("first line\nsecond line")
	}
	code := p.Execute(t.Context(), []string{"run", "--config", "testdata/two.yaml", "--state-dir", "/srv/x", "--log-level", "debug", "--log-format", "json"})
	if code != 1 || stdout.String() != "" {
		t.Errorf("exit %d\n%s", code, stdout)
	}
	if got.Version != "v1.2.3" || got.File.StateDir != "/srv/x" || len(got.File.Autoscalers) != 2 {
		t.Errorf("got version %q, state %q, %d autoscalers", got.Version, got.File.StateDir, len(got.File.Autoscalers))
	}
	want := `{"level":"debug","time":"2026-11-23T12:00:00.000Z","message":"hello"}` + "\nebb: first line\nebb: second line\n"
	if stderr.String() != want {
		t.Errorf("standard error is\n%swant\n%s", stderr, want)
	}
}

// TestRunStopped gives the command a context that ends with the process's.
func TestRunStopped(t *testing.T) {
	t.Parallel()

	p, _, stderr := program()
	ctx, cancel := context.WithCancel(t.Context())
	p.Commands.Run = func(ctx context.Context, _ cli.RunOptions) error {
		cancel()
		<-ctx.Done()
		return nil
	}
	if code := p.Execute(ctx, []string{"run", "--config", "testdata/two.yaml"}); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	p.Commands.Run = func(ctx context.Context, _ cli.RunOptions) error { return fmt.Errorf("connect: %w", ctx.Err()) }
	if code := p.Execute(ctx, []string{"run", "--config", "testdata/two.yaml"}); code != 0 || stderr.String() != "" {
		t.Errorf("stopped while starting: exit %d: %s", code, stderr)
	}
	p.Commands.Run = func(context.Context, cli.RunOptions) error { return context.Canceled }
	if code := p.Execute(t.Context(), []string{"run", "--config", "testdata/two.yaml"}); code != 1 {
		t.Errorf("ended by itself: exit %d: %s", code, stderr)
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()

	type options struct {
		length   time.Duration
		speed    float64
		headless bool
		seed     uint64
		nats     string
	}
	for line, want := range map[string]options{
		"demo": {seed: 1},
		"demo --for 30s --speed 0.5 --headless --seed 7": {30 * time.Second, 0.5, true, 7, ""},
		"demo --nats-listen 127.0.0.1:4222":              {seed: 1, nats: "127.0.0.1:4222"},
	} {
		p, _, stderr := program()
		var got cli.DemoOptions
		p.Commands.Demo = func(_ context.Context, o cli.DemoOptions) error {
			got = o
			o.Log.Info().Msg("not shown")
			o.Log.Warn().Msg("shown")
			return nil
		}
		code := p.Execute(t.Context(), strings.Fields(line))
		if told := (options{got.For, got.Speed, got.Headless, got.Seed, got.NATSListen}); code != 0 || told != want || got.Version != "v1.2.3" {
			t.Errorf("%s: exit %d, got %+v, want %+v", line, code, told, want)
		}
		if lines := strings.Count(stderr.String(), "\n"); lines != 1 || !strings.Contains(stderr.String(), `"shown"`) {
			t.Errorf("%s: the log has %d lines: %s", line, lines, stderr)
		}
	}
}

// TestUsage shows that neither command starts when it is called wrongly.
func TestUsage(t *testing.T) {
	t.Parallel()

	for _, line := range []string{
		"demo --speed -1", "demo --speed NaN", "demo --speed 1e9", "demo --for -1s", "demo --seed -1", "demo --dashboard", "demo something",
		"demo --nats-listen 4222", "demo --nats-listen :4222", "demo --nats-listen 0.0.0.0:4222", "demo --nats-listen example.com:4222",
		"run", "run --config x --none", "run x",
	} {
		p, stdout, stderr := program()
		ran := false
		p.Commands.Run = func(context.Context, cli.RunOptions) error { ran = true; return nil }
		p.Commands.Demo = func(context.Context, cli.DemoOptions) error { ran = true; return nil }
		code := p.Execute(t.Context(), strings.Fields(line))
		if code != 2 || ran || stdout.String() != "" || !strings.Contains(stderr.String(), "--help") {
			t.Errorf("%s: exit %d: %s", line, code, stderr)
		}
	}
}

// TestNotOffered shows that a command without function is not there.
func TestNotOffered(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"run", "demo"} {
		if code, _, stderr := ebb(t.Context(), name); code != 2 || !strings.Contains(stderr, "unknown command") {
			t.Errorf("%s: exit %d: %s", name, code, stderr)
		}
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		settings config.Log
		want     string // of an info line, or of the error
	}{
		{config.Log{}, `{"level":"info","n":1,"time":"2026-11-23T12:00:00.000Z","message":"hello"}`},
		{config.Log{Level: "info", Format: "auto"}, `{"level":"info","n":1,"time":"2026-11-23T12:00:00.000Z","message":"hello"}`},
		{config.Log{Level: "info", Format: "console"}, "2026-11-23T12:00:00.000Z INF hello n=1"},
		{config.Log{Level: "error", Format: "json"}, ""},
		{config.Log{Level: "loud"}, `make logger: level "loud" is not known; write trace, debug, info, warn or error`},
		{config.Log{Format: "xml"}, `make logger: format "xml" is not known; write auto, json or console`},
	} {
		var out bytes.Buffer
		log, err := cli.NewLogger(&out, c.settings, func() time.Time { return noon.In(time.FixedZone("x", 3600)) })
		log.Info().Int("n", 1).Msg("hello")
		got := strings.TrimSpace(out.String())
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v: got %q, want %q", c.settings, got, c.want)
		}
		if err == nil && c.settings.Format == "json" && got != "" && !json.Valid([]byte(got)) {
			t.Errorf("%+v: not JSON: %s", c.settings, got)
		}
	}
}
