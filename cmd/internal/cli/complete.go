package cli

import (
	"context"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

// completePatience is how long a shell waits for what a running ebb knows.
const completePatience = 1500 * time.Millisecond

// candidates are words that a running ebb knows for an argument or a flag.
type candidates func(messages.Status) []string

// completeControl completes what commands to a running ebb take: --autoscaler,
// --resource, and the one argument of explain and drain. Where no ebb answers
// soon, it offers nothing and says nothing.
func (i *invocation) completeControl(c *cobra.Command) {
	_ = c.RegisterFlagCompletionFunc("autoscaler", i.completes(func(ctx context.Context, client control.Client, _ string) []string {
		names, _ := running(ctx, client)
		return names
	}))
	if c.Flags().Lookup("resource") != nil {
		_ = c.RegisterFlagCompletionFunc("resource", i.completesFrom(func(s messages.Status) []string {
			return texts(s.Resources, func(r messages.ResourceStatus) string { return string(r.Resource) })
		}))
	}
	if c.ValidArgsFunction == nil {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
}

// argumentFrom completes the one argument of a command.
func (i *invocation) argumentFrom(c *cobra.Command, from candidates) {
	complete := i.completesFrom(from)
	c.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, begun)
	}
}

func queueNames(s messages.Status) []string {
	return texts(s.Queues, func(q messages.QueueStatus) string { return string(q.Queue) })
}

// instanceIDs have a description each, which shells show beside them.
func instanceIDs(s messages.Status) []string {
	return texts(s.Instances, func(i messages.InstanceStatus) string {
		return cobra.CompletionWithDesc(string(i.Instance), string(i.Resource)+" "+string(i.Condition))
	})
}

func texts[T any](all []T, text func(T) string) []string {
	names := make([]string, 0, len(all))
	for _, one := range all {
		names = append(names, text(one))
	}
	return names
}

// completesFrom asks the autoscaler that is named, or each that runs.
func (i *invocation) completesFrom(from candidates) cobra.CompletionFunc {
	return i.completes(func(ctx context.Context, client control.Client, autoscaler string) []string {
		names := []string{autoscaler}
		if autoscaler == "" {
			names, _ = running(ctx, client)
		}
		var all []string
		for _, name := range names {
			if status, err := client.Status(ctx, messages.AutoscalerName(name)); err == nil {
				all = append(all, from(status)...)
			}
		}
		slices.Sort(all)
		return slices.Compact(all)
	})
}

func (i *invocation) completes(ask func(ctx context.Context, client control.Client, autoscaler string) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		var o serverOptions
		for name, value := range map[string]*string{"config": &o.config, natsURLFlag: &o.nats, natsLoginFlag: &o.creds} {
			*value, _ = cmd.Flags().GetString(name)
		}
		conn, err := i.server(cmd, o)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		conn.Log = zerolog.Nop() // a warning would stand in the middle of a command line
		ctx, cancel := context.WithTimeout(cmd.Context(), completePatience)
		defer cancel()
		server, err := dial(ctx, conn)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer server.Close()
		autoscaler, _ := cmd.Flags().GetString("autoscaler")
		return ask(ctx, control.Client{Bus: server}, autoscaler), cobra.ShellCompDirectiveNoFileComp
	}
}
