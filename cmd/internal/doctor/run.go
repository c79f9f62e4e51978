package doctor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/cmd/internal/config"
)

// callPatience bounds one call, so that one dead server does not take the time
// of all others.
const callPatience = 10 * time.Second

// Options is what a doctor is told.
type Options struct {
	// Path is the configuration, for people.
	Path string
	// File is the configuration, when Problems is empty.
	File config.File
	// Problems is what is wrong with the configuration.
	Problems []config.Problem
	// About counts what is in the configuration, in words.
	About string
	// Timeout bounds everything; zero is no bound but those of single calls.
	Timeout time.Duration
	// Log takes what the adapters log.
	Log zerolog.Logger
}

// Run makes all checks. Those of ClearML, of AWS and of the event server run at
// the same time, those of different autoscalers too. It ends soon after Timeout
// or the end of ctx, with a report in any case.
func Run(ctx context.Context, options Options) Report {
	report := checkConfig(options)
	if len(options.Problems) > 0 {
		return report
	}
	if options.Timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, options.Timeout)
		defer cancel()
		ctx = limited
	}
	var work sync.WaitGroup
	process := sheet{}
	work.Go(func() {
		checkBus(ctx, &process, options)
		checkWeb(ctx, &process, options)
	})
	leases := sync.OnceValue(func() leases { return lookAtLeases(ctx, options) })
	parts := make([]Report, len(options.File.Autoscalers))
	for i, a := range options.File.Autoscalers {
		work.Go(func() { parts[i] = checkAutoscaler(ctx, options, i, a, leases) })
	}
	work.Wait()
	report = append(report, process.checks...)
	for _, part := range parts {
		report = append(report, part...)
	}
	return report
}

// checkConfig shows the problems of a configuration as ebb config check does.
func checkConfig(options Options) Report {
	s := sheet{}
	for _, p := range options.Problems {
		s.fail(Config, "", p.String(), p.Fix)
	}
	if len(options.Problems) > 0 {
		s.skip("the configuration is not sound", "", notConfig()...)
		return s.checks
	}
	s.ok(Config, "", "%s: %s", options.Path, options.About)
	return s.checks
}

// patient is one autoscaler under examination.
type patient struct {
	options Options
	// path is its key in the configuration, such as autoscalers[0].
	path   string
	config config.Autoscaler
	app.Translated
}

// resourcePath is the key of a resource type.
func (p *patient) resourcePath(i int) string { return fmt.Sprintf("%s.resources[%d]", p.path, i) }

func checkAutoscaler(ctx context.Context, options Options, i int, a config.Autoscaler, leases func() leases) Report {
	clearmlSheet, awsSheet := sheet{autoscaler: a.Name}, sheet{autoscaler: a.Name}
	translated, err := app.Translate(a)
	if err != nil { // the caller has checked it
		clearmlSheet.fail(Config, "", err.Error(), "correct the configuration")
		clearmlSheet.skip("the configuration is not sound", "", append(clearmlChecks(), awsChecks()...)...)
		return clearmlSheet.checks
	}
	p := &patient{options: options, path: fmt.Sprintf("autoscalers[%d]", i), config: a, Translated: translated}
	var seen observation
	var fleet listing
	var work sync.WaitGroup
	work.Go(func() { seen = p.checkClearML(ctx, &clearmlSheet) })
	work.Go(func() { fleet = p.checkAWS(ctx, &awsSheet) })
	work.Wait()
	p.checkWorkers(&clearmlSheet, seen, fleet)
	p.checkOwner(ctx, &clearmlSheet, seen, fleet, leases)
	return append(clearmlSheet.checks, awsSheet.checks...)
}

// late says that the time for all checks is over.
func late(ctx context.Context) bool { return ctx.Err() != nil }

// lateFix is what to do then.
func (o Options) lateFix() string {
	return fmt.Sprintf("look at the way to that server; or give more time than the %s of now: --timeout 2m", o.Timeout)
}
