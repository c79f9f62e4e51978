// Ebb is a queue-driven EC2 autoscaler for ClearML. See `ebb --help`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/cmd/internal/cli"
	"github.com/ebbscale/ebb/cmd/internal/demo"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
)

// version is set by the linker (-X main.version=v1.2.3); without it the Go
// toolchain's stamp counts.
var version string

func main() { os.Exit(run()) }

// run is main with an exit code, so that deferred calls happen.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	program := cli.Program{
		Version: cli.Version(version),
		Environ: os.Environ(),
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Now:     time.Now,
		Commands: cli.Commands{
			Run: func(ctx context.Context, o cli.RunOptions) error {
				return app.Run(ctx, app.Options{
					File: o.File, Load: o.Load, LoadFrom: o.LoadFrom, Path: o.Path, Log: o.Log, Version: o.Version,
				}, o.Hangups)
			},
			Demo: func(ctx context.Context, o cli.DemoOptions) error {
				return demo.Run(ctx, demo.Options{
					For: o.For, Speed: o.Speed, Headless: o.Headless, Seed: o.Seed, NATSListen: o.NATSListen,
					Out: os.Stdout, Log: o.Log, Version: o.Version,
				})
			},
			Doctor: doctor.Run,
		},
	}
	return program.Execute(ctx, os.Args[1:])
}
