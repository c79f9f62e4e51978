package cli

import (
	"context"
	"errors"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// RunOptions is what `ebb run` was told.
type RunOptions struct {
	File    config.File
	Log     zerolog.Logger
	Version string
	// Load reads the configuration again, Path is its file, and Hangups are the
	// SIGHUPs, each of which asks for that.
	Load    func() (config.File, error)
	Path    string
	Hangups <-chan os.Signal
	// LoadFrom reads another file as Load reads that one.
	LoadFrom func(path string) (config.File, error)
}

// DemoOptions is what `ebb demo` was told.
type DemoOptions struct {
	// For is how long the demo may take, on the machine's clock; 0 plays the
	// whole day.
	For time.Duration
	// Speed is how many seconds of the demo pass in one second; 0 leaves it to
	// the demo.
	Speed float64
	// Headless prints lines in place of drawing a screen.
	Headless bool
	// Seed makes the world: the same seed gives the same demand and boot times.
	Seed uint64
	// NATSListen is the loopback host:port on which the demo's event server
	// listens; empty takes a free port.
	NATSListen string
	// Log takes what the program logs: warnings and worse.
	Log     zerolog.Logger
	Version string
}

func (i *invocation) runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Run the autoscalers of a configuration until told to stop",
		Long: "Run the autoscalers of a configuration until told to stop (SIGINT, SIGTERM).\n" +
			"What becomes of the instances then is on_shutdown in the configuration; a\n" +
			"second signal stops at once and leaves them all as they are. The configuration is\n" +
			"read again when its file changes, at SIGHUP and at `ebb reload`; one that is not\n" +
			"sound changes nothing.",
		Args: flagsOnly,
	}
	path := i.configFlag(c)
	config.RegisterFlags(c.Flags())
	c.RunE = i.does(func(cmd *cobra.Command, _ []string) error {
		f, err := i.load(cmd, *path)
		if err != nil {
			return err
		}
		log, end, err := newRunLogger(i.Stderr, f.Log, i.Now)
		if err != nil {
			return err
		}
		defer end()
		hangups := make(chan os.Signal, 1)
		signal.Notify(hangups, syscall.SIGHUP)
		defer signal.Stop(hangups)
		err = i.Commands.Run(cmd.Context(), RunOptions{
			File: f, Load: func() (config.File, error) { return i.load(cmd, *path) }, Path: *path, Hangups: hangups,
			LoadFrom: func(path string) (config.File, error) { return i.load(cmd, path) },
			Log:      log, Version: i.Version,
		})
		if errors.Is(err, context.Canceled) && cmd.Context().Err() != nil {
			return nil // it was told to stop while it started
		}
		return err
	})
	return c
}

func (i *invocation) demoCommand() *cobra.Command {
	var o DemoOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run ebb against a fake EC2 and a fake ClearML server on this machine",
		Long: "Run ebb as in production, but against a fake EC2 and a fake ClearML server that\n" +
			"run on this machine. Nothing is launched and nothing costs money.",
		Args: cobra.NoArgs,
	}
	c.Flags().DurationVar(&o.For, "for", 0, "how long to run at most, such as 30s; 0 plays a whole day at --speed")
	c.Flags().Float64Var(&o.Speed, "speed", 0, "seconds of the demo that pass in one second; 0 takes 240")
	c.Flags().BoolVar(&o.Headless, "headless", false, "print lines instead of drawing a screen")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "number that the demo's world is made from")
	c.Flags().StringVar(&o.NATSListen, "nats-listen", "", "host:port of the event server, loopback only, for whoever follows the events; default a free port")
	c.RunE = i.does(func(cmd *cobra.Command, _ []string) error {
		switch {
		case o.For < 0:
			return usagef("--for %s is negative; write a duration such as 30s, or 0", o.For)
		case !(o.Speed >= 0 && o.Speed <= 10_000): // NaN is not either
			return usagef("--speed %v is not between 0 and 10000; 1 is real time", o.Speed)
		}
		if o.NATSListen != "" {
			if err := demoListen(o.NATSListen); err != nil {
				return err
			}
		}
		log, end, err := newRunLogger(i.Stderr, config.Log{Level: "warn", Format: "auto"}, i.Now)
		if err != nil {
			return err
		}
		defer end()
		o.Log, o.Version = log, i.Version
		return i.Commands.Demo(cmd.Context(), o)
	})
	return c
}

// demoListen refuses an address that other machines could reach, since the
// demo's event server asks nobody for a password.
func demoListen(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return usagef("--nats-listen %q is not host:port; write one such as 127.0.0.1:4222", listen)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usagef("--nats-listen %q is refused: the demo's event server asks nobody for a password; write a loopback address such as 127.0.0.1:4222", listen)
	}
	return nil
}
