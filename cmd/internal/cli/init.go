package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ebbscale/ebb/cmd/internal/ask"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/newfile"
	"github.com/ebbscale/ebb/cmd/internal/wizard"
)

// initFlags are the flags of `ebb init`.
type initFlags struct {
	from, autoscaler string
	set              []string
	yes, force       bool
	inlineSecrets    bool
	accessible       bool
}

func (i *invocation) initCommand() *cobra.Command {
	var f initFlags
	c := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Ask what an autoscaler needs to know and write its configuration",
		Long: "Ask what an autoscaler needs to know, as ClearML's own wizard does, and write a\n" +
			"configuration file in which every key is explained. FILE is ebb.yaml unless named.\n\n" +
			"Secrets stay out of the file: it refers to environment variables or files, and\n" +
			"what has to be set is printed at the end. Scripts are written as they are. The\n" +
			"file can be read by its owner alone.\n\n" +
			"Without questions, for scripts: --yes and --set, such as\n\n" +
			"  ebb init --yes --set clearml.access_key=KEY --set aws.region=us-east-1 \\\n" +
			"    --set aws.use_iam_role=true --set 'resources[0].name=gpu' …\n\n" +
			"--yes alone says what is missing. Keys are those of the file; those of the\n" +
			"autoscaler may begin where it begins.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%d files are named and one is written: %s", len(args), strings.Join(args, ", "))
			}
			return nil
		},
	}
	c.Flags().StringVar(&f.from, "from", "", "begin with this configuration `file`, of ebb or ClearML's autoscaler (see ebb config import)")
	c.Flags().StringArrayVar(&f.set, "set", nil, "key=value, an answer; may be repeated")
	c.Flags().BoolVarP(&f.yes, "yes", "y", false, "ask nothing: take the answers of --set and --from, and defaults")
	c.Flags().BoolVar(&f.force, "force", false, "replace FILE if it exists")
	c.Flags().BoolVar(&f.inlineSecrets, "inline-secrets", false, "write secrets into the file")
	c.Flags().BoolVar(&f.accessible, "accessible", false, "ask line by line, for screen readers; by itself when TERM is dumb")
	c.Flags().StringVar(&f.autoscaler, "autoscaler", "", "the autoscaler to ask about, when --from has several")
	_ = c.MarkFlagFilename("from", "yaml", "yml", "json", "conf", "hocon")
	c.RunE = i.does(func(cmd *cobra.Command, args []string) error {
		path := "ebb.yaml"
		if len(args) > 0 {
			path = args[0]
		}
		return i.init(cmd, path, f)
	})
	return c
}

// init is the command: answers from a file and flags, questions, the file, and what
// is left to do.
func (i *invocation) init(cmd *cobra.Command, path string, f initFlags) error {
	if format, known := config.FormatOf(path); !known || format != config.YAML {
		return usagef("%s: a commented file is written as YAML; name it .yaml", path)
	}
	if !f.force {
		if err := newfile.Absent(path); err != nil {
			return fmt.Errorf("%w; name another file, or replace it with --force", err)
		}
	}
	answers, err := i.given(f)
	if err != nil {
		return err
	}
	autoscaler, err := autoscalerIn(answers, f.autoscaler)
	if err != nil {
		return err
	}
	if err := setAll(answers, autoscaler, f.set); err != nil {
		return err
	}
	if f.yes {
		wizard.Fill(autoscaler, answers)
		if problems := wizard.Check(answers); len(problems) > 0 {
			return unanswered(problems, autoscaler)
		}
	} else if answers, err = i.ask(cmd, path, f, answers, autoscaler); err != nil {
		return err
	}
	return i.writeInit(cmd, path, f, answers)
}

// writeInit writes the file and says what is left to do.
func (i *invocation) writeInit(cmd *cobra.Command, path string, f initFlags, answers wizard.Answers) error {
	where := i.ownStateDir(answers)
	written, err := wizard.Write(answers, wizard.Options{
		InlineSecrets: f.inlineSecrets, Name: path, Beside: map[string]string{stateDirKey: where},
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := cmd.Context().Err(); err != nil {
		return ask.ErrAborted
	}
	err = newfile.Write(path, f.force, func(w io.Writer) error {
		_, err := w.Write(written.YAML)
		return err
	})
	if err != nil {
		return err
	}
	i.afterInit(path, written)
	if where != "" {
		fmt.Fprintf(i.Stdout, "\nstate_dir is %s. %s\n", answers.Text(stateDirKey), where)
	}
	return nil
}

// given are the answers that --from has.
func (i *invocation) given(f initFlags) (wizard.Answers, error) {
	if f.from == "" {
		return wizard.Answers{}, nil
	}
	data, err := i.read(f.from)
	if err != nil {
		return nil, err
	}
	answers, notes, err := wizard.Import(f.from, data)
	if err != nil {
		return nil, fmt.Errorf("begin with %s: %w", f.from, err)
	}
	for _, note := range notes {
		fmt.Fprintln(i.Stderr, "note: "+note.String())
	}
	return answers, nil
}

// autoscalerIn is the index of the autoscaler with the name, or of the only one.
func autoscalerIn(a wizard.Answers, name string) (int, error) {
	var names []string
	for n := range max(1, a.Elements("autoscalers")) {
		own := a.Text(fmt.Sprintf("autoscalers[%d].name", n))
		if name != "" && own == name {
			return n, nil
		}
		names = append(names, own)
	}
	switch {
	case name != "":
		return 0, usagef("there is no autoscaler %q to begin with; write --autoscaler with one of: %s", name, strings.Join(names, ", "))
	case len(names) > 1:
		return 0, usagef("the file has several autoscalers; write --autoscaler with one of: %s", strings.Join(names, ", "))
	}
	return 0, nil
}

// setAll takes the answers of --set.
func setAll(a wizard.Answers, autoscaler int, set []string) error {
	var wrong []string
	for _, s := range set {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			wrong = append(wrong, fmt.Sprintf("--set %.40q has no =; write --set key=value", key))
			continue
		}
		path, fault := pathOf(strings.TrimSpace(key), autoscaler)
		if fault != "" {
			wrong = append(wrong, fmt.Sprintf("--set %s: %s", key, fault))
			continue
		}
		if k, _ := config.KeyAt(path); k.Kind == config.KindSecret && value != "" && !config.IsOneReference(value) {
			wrong = append(wrong, fmt.Sprintf("--set %s: others see command lines, so no secret goes there; write one reference and nothing else, ${ENV:NAME} or ${FILE:/path}", key))
			continue
		}
		a.Set(path, value)
	}
	if len(wrong) > 0 {
		return usagef("%s", strings.Join(wrong, "\n"))
	}
	return nil
}

// pathOf is the path of a key, which may begin inside the autoscaler, or what is
// wrong with it.
func pathOf(key string, autoscaler int) (path, fault string) {
	own := fmt.Sprintf("autoscalers[%d].%s", autoscaler, key)
	for _, path := range []string{key, own} {
		k, known := config.KeyAt(path)
		switch {
		case !known || strings.HasSuffix(path, "]"):
			continue
		case k.Instead != "":
			return "", "write " + k.Instead
		case k.Kind == config.KindObject || k.Kind == config.KindObjects:
			return "", "is not one value; set the keys inside it"
		case strings.Contains(path, "[]"):
			return "", "write the number of the element, beginning with 0, such as resources[0].name"
		}
		return path, ""
	}
	numbered := regexp.MustCompile(`^(autoscalers\[\d+\]\.)?(resources|volumes)\.`)
	if m := numbered.FindStringSubmatch(key); m != nil {
		return "", fmt.Sprintf("write the number of the element, beginning with 0, such as %s[0].name", m[2])
	}
	if near := config.NearestKey(own); near != "" {
		return "", "is not a key; did you mean " + strings.TrimPrefix(near, "autoscalers[].") + "?"
	}
	return "", "is not a key; docs/configuration.md lists them"
}

// unanswered says what --yes lacks, as flags.
func unanswered(problems []config.Problem, autoscaler int) error {
	lines := []string{"not every answer is there:"}
	for _, p := range problems {
		key := strings.TrimPrefix(p.Path, fmt.Sprintf("autoscalers[%d].", autoscaler))
		lines = append(lines, fmt.Sprintf("--set %s=…: %s; %s", key, p.Message, p.Fix))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// ask puts the questions, in a terminal or line by line.
func (i *invocation) ask(cmd *cobra.Command, path string, f initFlags, a wizard.Answers, autoscaler int) (wizard.Answers, error) {
	out := i.Stdout
	if kept, ok := out.(*keptError); ok {
		out = kept.w // the terminal itself, which drawing needs to know
	}
	in, isFile := i.Stdin.(*os.File)
	drawn := isFile && isTerminal(in) && isTerminal(out)
	if f.from == "-" {
		return nil, usagef("standard input is the configuration to begin with, so it cannot answer questions; name a file, or write --yes")
	}
	if !drawn && !f.accessible {
		return nil, usagef("there is no terminal to ask in; answer with --set key=value and --yes (--yes alone says what is missing), or line by line with --accessible")
	}
	return ask.Run(cmd.Context(), a, ask.Options{
		In: i.Stdin, Out: out, Lines: f.accessible || i.variable("TERM") == "dumb",
		InlineSecrets: f.inlineSecrets, Autoscaler: autoscaler, Name: filepath.Base(path), Started: f.from != "",
	})
}

// afterInit says what was written and what is left to do.
func (i *invocation) afterInit(path string, written wizard.Written) {
	fmt.Fprintf(i.Stdout, "wrote %s, readable by you alone (mode 0600)\n", path)
	if len(written.Inline) > 0 {
		fmt.Fprintf(i.Stdout, "It has these as they are, so keep it private: %s\n", strings.Join(written.Inline, ", "))
	}
	lines := map[string][]string{}
	for _, n := range written.Needs {
		line := "environment variable " + n.Name
		if n.Kind == "FILE" {
			line = "file " + n.Name
		}
		about := n.Path
		if n.Moved {
			about += ", whose value was given and is not in the file"
		}
		lines[line] = append(lines[line], about)
	}
	if len(lines) > 0 {
		fmt.Fprintln(i.Stdout, "\nIt refers to what has to be there when it is used:")
	}
	for _, line := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(i.Stdout, "  %s (%s)\n", line, strings.Join(lines[line], "; "))
	}
	fmt.Fprintf(i.Stdout, "\nNext:\n  ebb doctor --config %s\n  ebb run --config %s\n", path, path)
}
