package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

// controlOptions is what every command to a running ebb was told.
type controlOptions struct {
	serverOptions

	autoscaler string
	json       bool
	quiet      bool // nothing but the command itself writes to the terminal
}

// controlCommands are those that a running ebb answers.
func (i *invocation) controlCommands() []*cobra.Command {
	return []*cobra.Command{
		i.statusCommand(), i.explainCommand(), i.topCommand(), i.pauseCommand(), i.resumeCommand(),
		i.drainCommand(), i.shutdownIdleCommand(), i.reloadCommand(),
	}
}

// jsonFlag adds --json.
func jsonFlag(c *cobra.Command, o *controlOptions) {
	c.Flags().BoolVar(&o.json, "json", false, "print the answer as JSON")
}

// asks makes a command to running ebbs. do gets a client.
func (i *invocation) asks(c *cobra.Command, o *controlOptions, do func(ctx context.Context, client control.Client, args []string) error) *cobra.Command {
	i.serverFlags(c, &o.serverOptions)
	c.Flags().StringVar(&o.autoscaler, "autoscaler", "", "which autoscaler; needed when several run")
	i.completeControl(c)
	c.RunE = i.does(func(cmd *cobra.Command, args []string) error {
		conn, err := i.server(cmd, o.serverOptions)
		if err != nil {
			return err
		}
		if o.quiet {
			conn.Log = zerolog.Nop()
		}
		server, err := dial(cmd.Context(), conn)
		if err != nil {
			return err
		}
		defer server.Close()
		client := control.Client{Bus: server}
		if store, found, err := server.AskStore(cmd.Context()); err == nil && found && !o.quiet && store.Warning() != "" {
			fmt.Fprintf(i.Stderr, "WARNING: %s\n", store.Warning())
		}
		return plainly(cmd.Context(), client, do(cmd.Context(), client, args))
	})
	return c
}

// control makes a command to one autoscaler: the one that is named, or the only
// one that runs.
func (i *invocation) control(c *cobra.Command, o *controlOptions, do func(ctx context.Context, client control.Client, name messages.AutoscalerName, args []string) error) *cobra.Command {
	return i.asks(c, o, func(ctx context.Context, client control.Client, args []string) error {
		name, err := chosen(ctx, client, o.autoscaler)
		if err != nil {
			return err
		}
		return do(ctx, client, name, args)
	})
}

// plainly is an error without the words that programs need; when nobody acts for
// an autoscaler of the name, it says who does for others.
func plainly(ctx context.Context, client control.Client, err error) error {
	failure, ok := errors.AsType[*messages.Failure](err)
	if !ok || failure.Message == "" {
		return err
	}
	text := failure.Message
	if failure.Class == messages.ClassHeld {
		if names, err := running(ctx, client); err == nil && len(names) > 0 {
			text += "; there is " + strings.Join(names, ", ")
		}
	}
	return errors.New(text)
}

// running are the names of the autoscalers that somebody acts for.
func running(ctx context.Context, client control.Client) ([]string, error) {
	found, err := client.Autoscalers(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(found))
	for _, f := range found {
		names = append(names, string(f.Autoscaler))
	}
	return slices.Compact(names), nil
}

// nobodyRuns says what to do when no autoscaler answers.
func nobodyRuns() error {
	return errors.New("no autoscaler answers at this event server: no ebb acts, or it is starting (try again), or it runs elsewhere (--nats-url or --config say where)")
}

// chosen is the autoscaler that is named, or the only one that runs.
func chosen(ctx context.Context, client control.Client, name string) (messages.AutoscalerName, error) {
	if name != "" {
		return messages.AutoscalerName(name), nil
	}
	names, err := running(ctx, client)
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", nobodyRuns()
	case len(names) > 1:
		return "", usagef("several autoscalers run; write --autoscaler with one of %s", strings.Join(names, ", "))
	}
	return messages.AutoscalerName(names[0]), nil
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
	encoder.SetEscapeHTML(false)
	return encoder.Encode(answer)
}

func (i *invocation) statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "Show queues, resource types and instances of a running ebb", Args: namedByFlag,
		Long: "Show what the running autoscalers know, or the one of --autoscaler: queues with\n" +
			"their waiting tasks, resource types with their instances, and each instance. In a\n" +
			"terminal, lines are cut to its width; `ebb explain QUEUE` has all of a WHY. With\n" +
			"--json it is an array with an object for each autoscaler.",
		Example: "  ebb status\n  ebb status --autoscaler prod --json | jq -r '.[0].instances[].instance'",
	}
	var o controlOptions
	jsonFlag(c, &o)
	c = i.asks(c, &o, func(ctx context.Context, client control.Client, _ []string) error {
		names := []string{o.autoscaler}
		if o.autoscaler == "" {
			var err error
			if names, err = running(ctx, client); err != nil {
				return err
			}
		}
		if len(names) == 0 {
			return nobodyRuns()
		}
		all := make([]messages.Status, 0, len(names))
		for _, name := range names {
			status, err := client.Status(ctx, messages.AutoscalerName(name))
			if err != nil {
				return err
			}
			all = append(all, status)
		}
		if o.json {
			return i.asJSON(all)
		}
		for n, status := range all {
			if n > 0 {
				fmt.Fprintln(i.Stdout)
			}
			fmt.Fprint(i.Stdout, statusText(status, i.width()))
		}
		return nil
	})
	c.Flags().Lookup("autoscaler").Usage = "show this one; default all"
	return c
}

func (i *invocation) explainCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "explain QUEUE", Short: "Say why the tasks of a queue wait, and what can be done", Args: oneArg("a queue"),
		Example: "  ebb explain training",
	}
	i.argumentFrom(c, queueNames)
	var o controlOptions
	jsonFlag(c, &o)
	return i.controlOver(c, &o, queues(), func(ctx context.Context, client control.Client, name messages.AutoscalerName, args []string) error {
		why, err := client.Explain(ctx, name, messages.QueueName(args[0]))
		if err != nil {
			return err
		}
		if o.json {
			return i.asJSON(why)
		}
		fmt.Fprintln(i.Stdout, why.Outcome)
		for _, f := range why.Findings {
			fmt.Fprintf(i.Stdout, "\n  %s %s\n", f.About, f.Text)
			if f.Cure != "" {
				fmt.Fprintf(i.Stdout, "    → %s\n", f.Cure)
			}
		}
		return nil
	})
}

// namedByFlag refuses arguments: the autoscaler of these commands has a flag.
func namedByFlag(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%q is an argument too many; the autoscaler is named with --autoscaler", args[0])
	}
	return nil
}

// exactly is a duration without units that are zero.
func exactly(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// oneArg wants exactly one argument.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			given := fmt.Sprintf("%d arguments are given", len(args))
			if len(args) == 0 {
				given = "no argument is given"
			}
			return usagef("%s; write %s after ebb %s", given, what, cmd.Name())
		}
		return nil
	}
}

func (i *invocation) pauseCommand() *cobra.Command {
	var why string
	var span time.Duration
	c := &cobra.Command{
		Use: "pause", Short: "Launch nothing until resumed, or for a while", Args: namedByFlag,
		Long: "Launch nothing until `ebb resume`, or for a while. Running tasks go on, idle\n" +
			"instances end as usual, and lost tasks are put back. A restart keeps the pause.",
		Example: "  ebb pause --why \"moving the data set\" --for 2h",
	}
	c.Flags().StringVar(&why, "why", "", "what others should know about it")
	c.Flags().DurationVar(&span, "for", 0, "when it ends by itself, such as 2h; default when resumed")
	c.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("for") && span <= 0 {
			return usagef("--for %s must be more than 0; write a duration such as 2h, or leave it out to pause until resumed", span)
		}
		if span > control.LongestPause {
			return usagef("--for %s is more than a year; leave it out to pause until resumed", span)
		}
		return nil
	}
	var o controlOptions
	jsonFlag(c, &o)
	return i.control(c, &o, func(ctx context.Context, client control.Client, name messages.AutoscalerName, _ []string) error {
		if err := client.Pause(ctx, name, control.PauseRequest{By: i.me(), Why: why, Seconds: span.Seconds()}); err != nil {
			return err
		}
		if o.json {
			return i.asJSON(control.Done{})
		}
		text := "until `ebb resume`"
		if span > 0 {
			text = "for " + exactly(span)
		}
		fmt.Fprintf(i.Stdout, "%s launches nothing %s\n", name, text)
		return nil
	})
}

func (i *invocation) resumeCommand() *cobra.Command {
	c := &cobra.Command{Use: "resume", Short: "Launch again after a pause", Args: namedByFlag}
	var o controlOptions
	jsonFlag(c, &o)
	return i.control(c, &o, func(ctx context.Context, client control.Client, name messages.AutoscalerName, _ []string) error {
		if err := client.Resume(ctx, name, control.ResumeRequest{By: i.me()}); err != nil {
			return err
		}
		if o.json {
			return i.asJSON(control.Done{})
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
	i.argumentFrom(c, instanceIDs)
	c.Flags().BoolVar(&force, "force", false, "terminate it at once, with whatever it runs")
	var o controlOptions
	jsonFlag(c, &o)
	return i.controlOver(c, &o, instances(), func(ctx context.Context, client control.Client, name messages.AutoscalerName, args []string) error {
		done, err := client.Drain(ctx, name, control.DrainRequest{By: i.me(), Instance: messages.InstanceID(args[0]), Force: force})
		if err != nil {
			return err
		}
		if o.json {
			return i.asJSON(done)
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
		Use: "shutdown-idle", Short: "Let all idle instances go, whatever their idle time", Args: namedByFlag,
		Long: "Let all idle instances go, whatever their idle time. One that takes a task before\n" +
			"it has heard stays.",
	}
	c.Flags().StringVar(&resource, "resource", "", "those of this resource type only")
	var o controlOptions
	jsonFlag(c, &o)
	return i.control(c, &o, func(ctx context.Context, client control.Client, name messages.AutoscalerName, _ []string) error {
		done, err := client.ShutdownIdle(ctx, name, control.ShutdownIdleRequest{By: i.me(), Resource: messages.ResourceName(resource)})
		if err != nil {
			return err
		}
		if o.json {
			return i.asJSON(done)
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
		Use: "reload", Short: "Have a running ebb read its configuration again", Args: namedByFlag,
		Long: "Have the ebb that acts for the autoscaler read its configuration file again. One\n" +
			"that is not sound changes nothing. Running instances are kept.",
	}
	var o controlOptions
	jsonFlag(c, &o)
	return i.control(c, &o, func(ctx context.Context, client control.Client, name messages.AutoscalerName, _ []string) error {
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
			fmt.Fprintln(i.Stdout, "needs a restart: "+line)
		}
		return nil
	})
}
