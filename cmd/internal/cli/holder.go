package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

// thing is what the argument of a command names. Mostly one autoscaler alone has it,
// so that nobody needs to say which.
type thing struct {
	noun string
	of   func(messages.Status) []string
}

func queues() thing { return thing{"queue", queueNames} }

func instances() thing {
	return thing{"instance", func(s messages.Status) []string {
		return texts(s.Instances, func(i messages.InstanceStatus) string { return string(i.Instance) })
	}}
}

// controlOver makes a command to the autoscaler that is named, or the only one that
// runs, or the only one that has what the argument names.
func (i *invocation) controlOver(c *cobra.Command, o *controlOptions, t thing, do func(ctx context.Context, client control.Client, name messages.AutoscalerName, args []string) error) *cobra.Command {
	c = i.asks(c, o, func(ctx context.Context, client control.Client, args []string) error {
		name, err := t.holder(ctx, client, o.autoscaler, args[0])
		if err != nil {
			return err
		}
		return do(ctx, client, name, args)
	})
	c.Flags().Lookup("autoscaler").Usage = "which autoscaler; needed when several that run have this " + t.noun
	return c
}

// holder is the autoscaler that is named, or the only one that runs, or the only one
// that has it.
func (t thing) holder(ctx context.Context, client control.Client, named, it string) (messages.AutoscalerName, error) {
	if named != "" {
		return messages.AutoscalerName(named), nil
	}
	names, err := running(ctx, client)
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", nobodyRuns()
	case len(names) == 1:
		return messages.AutoscalerName(names[0]), nil
	}
	var holders, known []string
	for _, name := range names {
		status, err := client.Status(ctx, messages.AutoscalerName(name))
		if err != nil {
			return "", fmt.Errorf("ask %s for its %ss: %w", name, t.noun, err)
		}
		for _, one := range t.of(status) {
			known = append(known, one)
			if one == it {
				holders = append(holders, name)
			}
		}
	}
	switch {
	case len(holders) == 1:
		return messages.AutoscalerName(holders[0]), nil
	case len(holders) > 1:
		return "", usagef("several autoscalers have the %s %q; write --autoscaler with one of %s", t.noun, it, strings.Join(holders, ", "))
	}
	cure := "`ebb status` shows what they have"
	if near := config.Nearest(it, known); near != "" && t.noun == "queue" {
		cure = "did you mean " + near + "?"
	}
	return "", fmt.Errorf("no autoscaler that runs has the %s %q (there is %s); %s", t.noun, it, strings.Join(names, ", "), cure)
}
