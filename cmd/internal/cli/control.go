package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

// controlOptions is what every command to a running ebb was told.
type controlOptions struct {
	serverOptions

	autoscaler string
	json       bool
}

// controlCommands are those that a running ebb answers.
func (i *invocation) controlCommands() []*cobra.Command {
	return []*cobra.Command{
		i.statusCommand(), i.explainCommand(), i.topCommand(), i.pauseCommand(), i.resumeCommand(),
		i.drainCommand(), i.shutdownIdleCommand(), i.reloadCommand(),
	}
}

// control makes a command to a running ebb. do gets a client and the autoscaler
// that is meant.
func (i *invocation) control(c *cobra.Command, do func(ctx context.Context, o controlOptions, client control.Client, name messages.AutoscalerName, args []string) error) *cobra.Command {
	var o controlOptions
	i.serverFlags(c, &o.serverOptions)
	c.Flags().StringVar(&o.autoscaler, "autoscaler", "", "which autoscaler; needed when several run")
	c.Flags().BoolVar(&o.json, "json", false, "print the answer as JSON")
	c.RunE = i.does(func(cmd *cobra.Command, args []string) error {
		conn, err := i.server(cmd, o.serverOptions)
		if err != nil {
			return err
		}
		server, err := dial(cmd.Context(), conn)
		if err != nil {
			return err
		}
		defer server.Close()
		client := control.Client{Bus: server}
		name, err := chosen(cmd.Context(), client, o.autoscaler)
		if err != nil {
			return err
		}
		return do(cmd.Context(), o, client, name, args)
	})
	return c
}

// chosen is the autoscaler that is named, or the only one that runs.
func chosen(ctx context.Context, client control.Client, name string) (messages.AutoscalerName, error) {
	if name != "" {
		return messages.AutoscalerName(name), nil
	}
	found, err := client.Autoscalers(ctx)
	if err != nil {
		return "", err
	}
	names := make([]string, 0, len(found))
	for _, f := range found {
		names = append(names, string(f.Autoscaler))
	}
	switch len(names) {
	case 0:
		return "", fmt.Errorf("no autoscaler answers at this event server: no ebb acts, or it is starting (try again), or it runs elsewhere (--nats or --config say where)")
	case 1:
		return found[0].Autoscaler, nil
	}
	return "", usagef("several autoscalers run; write --autoscaler with one of %s", strings.Join(names, ", "))
}

// me is who asks, for events.
func (i *invocation) me() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	for _, name := range []string{"SUDO_USER", "USER", "LOGNAME"} {
		if user := i.variable(name); user != "" {
			return user + "@" + host
		}
	}
	return "somebody@" + host
}

// asJSON prints an answer for programs.
func (i *invocation) asJSON(answer any) error {
	encoder := json.NewEncoder(i.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(answer)
}

func (i *invocation) statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "Show queues, resource types and instances of a running ebb", Args: flagsOnly,
		Long: "Show what the running autoscalers know: queues with their waiting tasks, resource\n" +
			"types with their instances, and each instance. Times are as of the answer.",
		Example: "  ebb status\n  ebb status --autoscaler prod --json | jq '.[0].instances[].instance'",
	}
	return i.control(c, func(ctx context.Context, o controlOptions, client control.Client, name messages.AutoscalerName, _ []string) error {
		status, err := client.Status(ctx, name)
		if err != nil {
			return err
		}
		if o.json {
			return i.asJSON(status)
		}
		fmt.Fprint(i.Stdout, statusText(status))
		return nil
	})
}

func (i *invocation) explainCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "explain QUEUE", Short: "Say why the tasks of a queue wait, and what can be done", Args: oneArg("a queue"),
		Example: "  ebb explain training",
	}
	return i.control(c, func(ctx context.Context, o controlOptions, client control.Client, name messages.AutoscalerName, args []string) error {
		why, err := client.Explain(ctx, name, messages.QueueName(args[0]))
		if err != nil {
			return err
		}
		if o.json {
			return i.asJSON(why)
		}
		fmt.Fprintln(i.Stdout, why.Summary)
		for _, f := range why.Findings {
			fmt.Fprintf(i.Stdout, "\n  %s %s\n", f.About, f.Text)
			if f.Cure != "" {
				fmt.Fprintf(i.Stdout, "    → %s\n", f.Cure)
			}
		}
		return nil
	})
}

// oneArg wants exactly one argument.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("%d arguments; write %s after ebb %s", len(args), what, cmd.Name())
		}
		return nil
	}
}

func (i *invocation) pauseCommand() *cobra.Command {
	var why string
	var span time.Duration
	c := &cobra.Command{
		Use: "pause", Short: "Launch nothing until resumed, or for a while", Args: flagsOnly,
		Long: "Launch nothing until `ebb resume`, or for a while. Running tasks go on, idle\n" +
			"instances end as usual, and lost tasks are put back. A restart keeps the pause.",
		Example: "  ebb pause --why \"moving the data set\" --for 2h",
	}
	c.Flags().StringVar(&why, "why", "", "what others should know about it")
	c.Flags().DurationVar(&span, "for", 0, "when it ends by itself, such as 2h; default when resumed")
	return i.control(c, func(ctx context.Context, _ controlOptions, client control.Client, name messages.AutoscalerName, _ []string) error {
		if span < 0 {
			return usagef("--for %s is negative; write a duration such as 2h", span)
		}
		if err := client.Pause(ctx, name, control.PauseRequest{By: i.me(), Why: why, Seconds: span.Seconds()}); err != nil {
			return err
		}
		text := "until `ebb resume`"
		if span > 0 {
			text = "for " + span.String()
		}
		fmt.Fprintf(i.Stdout, "%s launches nothing %s\n", name, text)
		return nil
	})
}

func (i *invocation) resumeCommand() *cobra.Command {
	c := &cobra.Command{Use: "resume", Short: "Launch again after a pause", Args: flagsOnly}
	return i.control(c, func(ctx context.Context, _ controlOptions, client control.Client, name messages.AutoscalerName, _ []string) error {
		if err := client.Resume(ctx, name, control.ResumeRequest{By: i.me()}); err != nil {
			return err
		}
		fmt.Fprintf(i.Stdout, "%s launches again\n", name)
		return nil
	})
}

func (i *invocation) drainCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "drain INSTANCE", Short: "Let one instance go, after the task that it runs", Args: oneArg("the id of an instance"),
		Long: "Let one instance go: it takes no more tasks, and is terminated once the one that\n" +
			"it runs has ended. With --force it is terminated at once, and its task is lost\n" +
			"(and put back into its queue where requeue_lost_tasks says so).",
		Example: "  ebb drain i-0123456789abcdef0",
	}
	c.Flags().BoolVar(&force, "force", false, "terminate it at once, with whatever it runs")
	return i.control(c, func(ctx context.Context, _ controlOptions, client control.Client, name messages.AutoscalerName, args []string) error {
		done, err := client.Drain(ctx, name, control.DrainRequest{By: i.me(), Instance: messages.InstanceID(args[0]), Force: force})
		if err != nil {
			return err
		}
		for _, id := range done.Instances {
			if force {
				fmt.Fprintf(i.Stdout, "%s is being terminated\n", id)
			} else {
				fmt.Fprintf(i.Stdout, "%s takes no more tasks and ends when it has none\n", id)
			}
		}
		return nil
	})
}

func (i *invocation) shutdownIdleCommand() *cobra.Command {
	var resource string
	c := &cobra.Command{
		Use: "shutdown-idle", Short: "Let all idle instances go, whatever their idle time", Args: flagsOnly,
		Long: "Let all idle instances go, whatever their idle time. One that takes a task before\n" +
			"it has heard stays.",
	}
	c.Flags().StringVar(&resource, "resource", "", "those of this resource type only")
	return i.control(c, func(ctx context.Context, _ controlOptions, client control.Client, name messages.AutoscalerName, _ []string) error {
		done, err := client.ShutdownIdle(ctx, name, control.ShutdownIdleRequest{By: i.me(), Resource: messages.ResourceName(resource)})
		if err != nil {
			return err
		}
		if len(done.Instances) == 0 {
			fmt.Fprintln(i.Stdout, "no instance is idle")
			return nil
		}
		for _, id := range done.Instances {
			fmt.Fprintf(i.Stdout, "%s is let go\n", id)
		}
		return nil
	})
}

func (i *invocation) reloadCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "reload", Short: "Have a running ebb read its configuration again", Args: flagsOnly,
		Long: "Have the ebb that acts for the autoscaler read its configuration file again. One\n" +
			"that is not sound changes nothing. Running instances are kept.",
	}
	return i.control(c, func(ctx context.Context, o controlOptions, client control.Client, name messages.AutoscalerName, _ []string) error {
		done, err := client.Reload(ctx, name, control.ReloadRequest{By: i.me()})
		if err != nil {
			return err
		}
		if o.json {
			return i.asJSON(done)
		}
		if len(done.Changes)+len(done.Restart) == 0 {
			fmt.Fprintln(i.Stdout, "read again; nothing has changed")
		}
		for _, line := range done.Changes {
			fmt.Fprintln(i.Stdout, line)
		}
		for _, line := range done.Restart {
			fmt.Fprintln(i.Stdout, "not yet: "+line)
		}
		return nil
	})
}
