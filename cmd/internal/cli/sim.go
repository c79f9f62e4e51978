package cli

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ebbscale/ebb/cmd/internal/simulation"
)

// simGC lets the heap grow to nine times what lives: worlds are small, and make
// much garbage.
const simGC = 800

// simOptions are the flags of `ebb sim`.
type simOptions struct {
	seeds   int
	first   uint64
	one     uint64
	trace   bool
	faults  []string
	wire    bool
	workers int
}

func (i *invocation) simCommand() *cobra.Command {
	var o simOptions
	c := &cobra.Command{
		Use:   "sim",
		Short: "Run the autoscaler through simulated worlds full of misfortune, and check its laws",
		Long: "Run whole worlds, each drawn from a seed: the actors of production with a fake EC2,\n" +
			"a fake ClearML and simulated agents, on a virtual clock. Things go wrong, then all\n" +
			"is healed and must converge. After each step the laws are checked: never over the\n" +
			"budget, never twice, no busy worker killed, no job lost, nothing leaked.\n\n" +
			"A seed that breaks a law prints what was broken and the line that replays it.\n" +
			"The faults, of which --faults names those that may strike:\n\n" + faultTable(),
		Example: "  ebb sim --seeds 1000\n  ebb sim --seed 17 --trace\n  ebb sim --seeds 100 --faults kill,pause,standby",
		Args:    cobra.NoArgs,
	}
	c.Flags().IntVar(&o.seeds, "seeds", 100, "how many worlds to run")
	c.Flags().Uint64Var(&o.first, "first-seed", 1, "the first of the seeds")
	c.Flags().Uint64Var(&o.one, "seed", 0, "run this seed alone")
	c.Flags().BoolVar(&o.trace, "trace", false, "with --seed: tell everything that happens")
	c.Flags().StringSliceVar(&o.faults, "faults", nil, "names of the faults that may strike; default all")
	_ = c.RegisterFlagCompletionFunc("faults", completeFaults)
	c.Flags().BoolVar(&o.wire, "wire", false, "reach ClearML and EC2 through the adapters' HTTP, which is slower")
	c.Flags().IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "how many worlds to run at the same time")
	c.RunE = i.does(func(cmd *cobra.Command, _ []string) error {
		switch {
		case o.seeds < 1 || o.workers < 1:
			return usagef("--seeds and --workers are numbers from 1")
		case o.trace && o.one == 0:
			return usagef("--trace needs --seed: the story of one world is long enough")
		case o.one > 0 && (cmd.Flags().Changed("seeds") || cmd.Flags().Changed("first-seed")):
			return usagef("--seed runs one world: leave out --seeds and --first-seed")
		}
		if err := simulation.CheckFaults(o.faults); err != nil {
			return usageError{err}
		}
		return o.run(cmd.Context(), i.Stdout)
	})
	return c
}

// faultTable explains every fault, a line each.
func faultTable() string {
	var table strings.Builder
	for _, name := range simulation.Faults() {
		fmt.Fprintf(&table, "  %-14s  %s\n", name, simulation.AboutFault(name))
	}
	return strings.TrimRight(table.String(), "\n")
}

// completeFaults offers the faults, each with what it is, after those that are
// written already.
func completeFaults(_ *cobra.Command, _ []string, written string) ([]string, cobra.ShellCompDirective) {
	before := written[:strings.LastIndex(written, ",")+1]
	names := simulation.Faults()
	for i, name := range names {
		names[i] = cobra.CompletionWithDesc(before+name, simulation.AboutFault(name))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// run runs the worlds and tells what became of them.
func (o simOptions) run(ctx context.Context, out io.Writer) error {
	defer debug.SetGCPercent(debug.SetGCPercent(simGC))
	many := simulation.Many{
		First: o.first, Count: o.seeds, Workers: o.workers,
		Run: simulation.RunOptions{Faults: o.faults, Story: o.trace, Wire: o.wire},
	}
	if o.one > 0 {
		many.First, many.Count = o.one, 1
	}
	sum, err := simulation.RunMany(ctx, many, func(r simulation.Report) { o.show(out, r) })
	fmt.Fprint(out, sum)
	switch {
	case err != nil:
		return fmt.Errorf("run simulated worlds: %w", err)
	case sum.Failed == 1 && sum.Worlds == 1:
		return fmt.Errorf("seed %d broke a law", many.First)
	case sum.Failed > 0:
		return fmt.Errorf("%d of %d seeds broke a law", sum.Failed, sum.Worlds)
	}
	return nil
}

// show tells of one world: its story if asked for, and what went wrong.
func (o simOptions) show(out io.Writer, r simulation.Report) {
	for _, line := range r.Story {
		fmt.Fprintln(out, line)
	}
	if o.one > 0 || len(r.Wrong) > 0 {
		fmt.Fprintln(out, r)
	}
	for _, wrong := range r.Wrong {
		fmt.Fprintln(out, "  "+wrong)
	}
	if len(r.Wrong) > 0 && !o.trace {
		fmt.Fprintln(out, "replay:", o.replay(r.Seed))
	}
}

// replay is the line that runs a seed again.
func (o simOptions) replay(seed uint64) string {
	line := fmt.Sprintf("ebb sim --seed %d --trace", seed)
	if len(o.faults) > 0 {
		line += " --faults " + strings.Join(o.faults, ",")
	}
	if o.wire {
		line += " --wire"
	}
	return line
}
