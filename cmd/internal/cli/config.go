package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/cmd/internal/config"
)

func (i *invocation) configCommand() *cobra.Command {
	return group("config", "Check, import, export and describe configurations",
		i.checkCommand(), i.importCommand(), i.exportCommand(), i.schemaCommand())
}

func (i *invocation) checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "Say everything that is wrong with configurations",
		Long: "Read configurations as `ebb run` does, environment included, and say everything\n" +
			"that is wrong with them. Nothing is called and nothing is launched.",
	}
	read := i.fileArguments(c, math.MaxInt)
	c.RunE = i.does(func(_ *cobra.Command, args []string) error {
		paths, problems, bad := read(args), 0, 0
		for _, path := range paths {
			f, found := i.check(config.Source{Path: path, Environ: i.Environ})
			if len(found) == 0 {
				fmt.Fprintf(i.Stdout, "%s: ok, %s\n", path, summary(f))
				continue
			}
			bad++
			problems += len(found)
			for _, p := range found {
				fmt.Fprintln(i.Stdout, p.String())
			}
		}
		if bad > 0 {
			return fmt.Errorf("%s in %d of %s", counted(problems, "problem"), bad, counted(len(paths), "file"))
		}
		return nil
	})
	return c
}

// fileArguments has a command take its configurations as arguments, or the one of
// --config, as other commands do.
func (i *invocation) fileArguments(c *cobra.Command, most int) (read func(args []string) []string) {
	path := i.configFlag(c)
	read = func(args []string) []string {
		if named := c.Flags().Changed("config"); *path != "" && (named || len(args) == 0) {
			args = append([]string{*path}, args...)
		}
		return args
	}
	c.Args = func(c *cobra.Command, args []string) error { return files(1, most)(c, read(args)) }
	return read
}

// files checks how many files are named.
func files(least, most int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("no configuration file is named; write its path, such as ebb.yaml")
		case len(args) > most:
			return usagef("%d files are named and one is read: %s", len(args), strings.Join(args, ", "))
		}
		return nil
	}
}

// check is a configuration, or each of its problems.
func (i *invocation) check(source config.Source) (config.File, []config.Problem) {
	f, err := config.Load(source)
	if problems, ok := errors.AsType[config.Errors](err); ok {
		return config.File{}, problems
	}
	if err != nil {
		return config.File{}, []config.Problem{{Where: source.Path, Message: err.Error()}}
	}
	var problems []config.Problem
	for _, a := range f.Autoscalers {
		if _, err := app.Translate(a); err != nil {
			for line := range strings.Lines(err.Error()) {
				problems = append(problems, config.Problem{Where: source.Path, Message: strings.TrimRight(line, "\n")})
			}
		}
	}
	return f, problems
}

// summary counts what is in a configuration.
func summary(f config.File) string {
	resources, queues := 0, 0
	for _, a := range f.Autoscalers {
		resources += len(a.Resources)
		queues += len(a.Queues)
	}
	return strings.Join([]string{counted(len(f.Autoscalers), "autoscaler"), counted(resources, "resource type"), counted(queues, "queue")}, ", ")
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (i *invocation) importCommand() *cobra.Command {
	var from, format, output string
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Turn a configuration of ClearML's autoscaler into one of ebb",
		Long: "Turn a configuration of ClearML's AWS autoscaler (the wizard's aws_autoscaler.yaml,\n" +
			"the application's JSON, a vault's auto_scaler.v1 section) into one of ebb.\n\n" +
			"What was not taken over or is still to be filled in is on standard error. The\n" +
			"credentials in FILE are written as they are, so that the result works: keep it\n" +
			"private, or better, replace them by ${ENV:NAME} or ${FILE:/path}. A FILE of ebb's\n" +
			"own keeps its references.",
		Args: files(1, 1),
	}
	c.Flags().StringVar(&from, "from", "", "format of FILE: yaml, json or hocon; found out when not given")
	formatFlag(c, &format)
	outputFlag(c, &output)
	c.RunE = i.does(func(_ *cobra.Command, args []string) error {
		to, err := formatOf(format)
		if err != nil {
			return err
		}
		switch from {
		case "", "yaml", "json", "hocon":
		default:
			return usagef("--from %q is not a format; write yaml, json or hocon", from)
		}
		data, err := i.read(args[0])
		if err != nil {
			return err
		}
		converted, err := config.Convert(data, from, to)
		if err != nil {
			return fmt.Errorf("import %s: %w", args[0], err)
		}
		for _, note := range converted.Notes {
			fmt.Fprintln(i.Stderr, "note: "+note.String())
		}
		return i.deliver(converted.Text, converted.Secrets, output)
	})
	return c
}

func (i *invocation) exportCommand() *cobra.Command {
	var format, output string
	var withSecrets bool
	c := &cobra.Command{
		Use:   "export FILE",
		Short: "Print a configuration with environment and defaults filled in",
		Long: "Print a configuration as ebb understands it: references and environment\n" +
			"resolved, defaults filled in. Secrets are left out unless asked for.",
	}
	read := i.fileArguments(c, 1)
	formatFlag(c, &format)
	outputFlag(c, &output)
	c.Flags().BoolVar(&withSecrets, "with-secrets", false, "write secrets too")
	c.RunE = i.does(func(_ *cobra.Command, args []string) error {
		to, err := formatOf(format)
		if err != nil {
			return err
		}
		f, err := config.Load(config.Source{Path: read(args)[0], Environ: i.Environ})
		if err != nil {
			return err
		}
		return i.export(f, to, withSecrets, output)
	})
	return c
}

func (i *invocation) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration file",
		Long: "Print the JSON Schema (draft 2020-12) of the configuration file. Editors complete\n" +
			"and explain keys by it; those with yaml-language-server find it by the first line\n\n" +
			"  # yaml-language-server: $schema=ebb.schema.json\n\n" +
			"of a file beside it, or by its address:\n\n  " + config.SchemaURL,
		Args: flagsOnly,
		RunE: i.does(func(_ *cobra.Command, _ []string) error {
			out, err := config.Schema()
			if err != nil {
				return err
			}
			_, err = i.Stdout.Write(out)
			return err
		}),
	}
}

func formatFlag(c *cobra.Command, format *string) {
	c.Flags().StringVar(format, "format", "yaml", "format of the output: yaml or json")
}

func outputFlag(c *cobra.Command, output *string) {
	c.Flags().StringVarP(output, "output", "o", "", "file to write, which must not exist (its mode will be 0600); default standard output")
}

func formatOf(name string) (config.Format, error) {
	switch name {
	case "yaml":
		return config.YAML, nil
	case "json":
		return config.JSON, nil
	}
	return "", usagef("--format %q is not known; write yaml or json", name)
}

// read reads a file, or standard input for "-".
func (i *invocation) read(path string) ([]byte, error) {
	if path == "-" {
		data, err := io.ReadAll(i.Stdin)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return data, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return data, nil
}

// export writes a configuration.
func (i *invocation) export(f config.File, format config.Format, withSecrets bool, output string) error {
	data, err := config.Export(f, format, withSecrets)
	if err != nil {
		return err
	}
	secrets := false
	if withSecrets {
		if secrets, err = holdsSecrets(f); err != nil {
			return err
		}
	}
	return i.deliver(data, secrets, output)
}

// deliver prints a configuration or writes its file, and says when it has secrets.
func (i *invocation) deliver(data []byte, secrets bool, output string) error {
	var err error
	if output == "" {
		_, err = i.Stdout.Write(data)
	} else {
		err = writePrivate(output, data)
	}
	if err != nil {
		return err
	}
	if output != "" {
		fmt.Fprintf(i.Stderr, "note: wrote %s, readable by you alone (mode 0600)\n", output)
	}
	if secrets {
		fmt.Fprintln(i.Stderr, "note: credentials are written as they are: keep the output private")
	}
	return nil
}

// holdsSecrets says whether an export with secrets shows more than one without.
func holdsSecrets(f config.File) (bool, error) {
	with, err := config.Export(f, config.JSON, true)
	if err != nil {
		return false, err
	}
	without, err := config.Export(f, config.JSON, false)
	if err != nil {
		return false, err
	}
	return !bytes.Equal(with, without), nil
}

// writePrivate makes a file that only its owner reads. It never writes over one:
// that one's mode may let others read.
func writePrivate(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("write %s: it exists already; remove it or name another file", path)
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if _, err := file.Write(data); err != nil {
		return errors.Join(fmt.Errorf("write configuration: %w", err), file.Close())
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}
