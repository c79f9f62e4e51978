package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
)

// The exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// configVariable is the environment variable that names the configuration file
// when --config does not.
const configVariable = "EBB_CONFIG"

// Program is the process as the commands see it. All fields but Commands and CanKeep
// are required.
type Program struct {
	Version string
	// Environ is the environment as os.Environ gives it.
	Environ []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	// Now reads the clock; `ebb events --since` counts from it.
	Now      func() time.Time
	Commands Commands
	// CanKeep reports whether state can be kept in a directory, which is there or can
	// be made; nil looks at the disk.
	CanKeep func(dir string) bool
}

// Commands are what `ebb run`, `ebb demo` and `ebb doctor` do. A command whose
// function is nil is not offered.
type Commands struct {
	Run  func(context.Context, RunOptions) error
	Demo func(context.Context, DemoOptions) error
	// Doctor answers its report in any case.
	Doctor func(context.Context, doctor.Options) doctor.Report
}

// Execute runs one command line, without the program's name, until it is done or
// ctx ends. It has printed everything there is to say; the answer is the exit
// code.
func (p Program) Execute(ctx context.Context, args []string) int {
	out := &keptError{w: p.Stdout}
	i := &invocation{Program: p}
	i.Stdout = out
	root := i.root()                          //nolint:contextcheck // commands take the context of the execution from cobra
	root.SetArgs(append([]string{}, args...)) // nil would mean os.Args
	root.SetIn(p.Stdin)
	root.SetOut(out)
	root.SetErr(p.Stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil && out.err != nil {
		err = fmt.Errorf("write output: %w", out.err)
	}
	if err == nil {
		return exitOK
	}
	var usage usageError
	code, text := exitError, strings.TrimRight(err.Error(), "\r\n")
	if !i.started || errors.As(err, &usage) {
		code, text = exitUsage, text+"\nsee "+command.CommandPath()+" --help"
	}
	p.complain(text)
	return code
}

// complain writes lines to standard error. A reader that hangs does not keep the
// program from ending.
func (p Program) complain(text string) {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		fmt.Fprintf(&lines, "ebb: %s\n", strings.TrimRight(line, "\r\n"))
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(p.Stderr, lines.String())
	}()
	select {
	case <-written:
	case <-time.After(backlogPatience):
	}
}

// invocation is one command line under way.
type invocation struct {
	Program
	// started says that flags and arguments were accepted: errors from then on
	// are not about usage, unless they say so.
	started bool
}

// usageError is an error in how the command was called.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// does wraps what a command does.
func (i *invocation) does(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		i.started = true
		return f(cmd, args)
	}
}

func (i *invocation) root() *cobra.Command {
	root := group("ebb", "Autoscale EC2 instances for the queues of a ClearML server")
	root.Long = "ebb watches the queues of a ClearML server and keeps exactly the EC2 instances\n" +
		"that the waiting and running tasks need."
	root.Version = i.Version
	root.SilenceErrors, root.SilenceUsage = true, true
	if i.Commands.Run != nil {
		root.AddCommand(i.runCommand())
	}
	if i.Commands.Demo != nil {
		root.AddCommand(i.demoCommand())
	}
	if i.Commands.Doctor != nil {
		root.AddCommand(i.doctorCommand())
	}
	root.AddCommand(i.initCommand(), i.configCommand(), i.userdataCommand(), i.policyCommand(), i.eventsCommand(), i.fakeCommand(), i.simCommand(), i.healthcheckCommand())
	root.AddCommand(i.controlCommands()...)
	root.AddCommand(i.completionCommand(root), i.manCommand(), i.versionCommand())
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetUsageFunc(plainUsage(root.UsageFunc()))
	root.SetFlagErrorFunc(flagError)
	return root
}

// plainUsage is the usage without what may stand after the name of a flag that is
// on or off: nobody needs to write =true.
func plainUsage(usage func(*cobra.Command) error) func(*cobra.Command) error {
	const values = "[=true|false]"
	return func(cmd *cobra.Command) error {
		out := cmd.OutOrStderr()
		var text bytes.Buffer
		cmd.SetOut(&text)
		defer cmd.SetOut(out)
		if err := usage(cmd); err != nil {
			return err
		}
		_, err := io.WriteString(out, strings.ReplaceAll(text.String(), values, strings.Repeat(" ", len(values))))
		return err
	}
}

// flagError says which flag may be meant by one that is not known.
func flagError(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := config.Nearest(unknown.GetSpecifiedName(), names); near != "" && unknown.GetSpecifiedShortnames() == "" {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return err
}

// group is a command that only has others below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += "; did you mean " + strings.Join(near, " or ") + "?"
			}
			return usageError{errors.New(text)}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(below...)
	return c
}

// flagsOnly refuses arguments: the file of these commands has a flag.
func flagsOnly(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%q is an argument too many; a configuration file is named with --config", args[0])
	}
	return nil
}

// configFlag adds --config, whose default the environment may give.
func (i *invocation) configFlag(cmd *cobra.Command) *string {
	path := cmd.Flags().String("config", i.variable(configVariable), "configuration file (.yaml, .json or .conf); default $"+configVariable)
	_ = cmd.MarkFlagFilename("config", "yaml", "yml", "json", "conf", "hocon")
	return path
}

func (i *invocation) variable(name string) string {
	for _, entry := range i.Environ {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value
		}
	}
	return ""
}

// load reads the configuration with the command's flags over it.
func (i *invocation) load(cmd *cobra.Command, path string) (config.File, error) {
	if path == "" {
		return config.File{}, usagef("no configuration file is named; write --config ebb.yaml or set %s", configVariable)
	}
	return config.Load(config.Source{Path: path, Environ: i.Environ, Flags: cmd.Flags()})
}

// autoscalerOf finds the autoscaler with the name, or the only one.
func autoscalerOf(f config.File, name string) (config.Autoscaler, error) {
	names := make([]string, 0, len(f.Autoscalers))
	for _, a := range f.Autoscalers {
		if a.Name == name || name == "" && len(f.Autoscalers) == 1 {
			return a, nil
		}
		names = append(names, a.Name)
	}
	if name == "" {
		return config.Autoscaler{}, usagef("the file has several autoscalers; write --autoscaler with one of %s", strings.Join(names, ", "))
	}
	return config.Autoscaler{}, usagef("the file has no autoscaler %q; it has %s", name, strings.Join(names, ", "))
}

// keptError remembers the first error of writing, so that a full disk is not
// taken for success.
type keptError struct {
	w   io.Writer
	err error
}

// Write passes on to the writer.
func (k *keptError) Write(b []byte) (int, error) {
	n, err := k.w.Write(b)
	if err != nil && k.err == nil {
		k.err = err
	}
	return n, err
}
