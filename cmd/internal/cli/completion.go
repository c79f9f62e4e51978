package cli

import (
	"io"

	"github.com/spf13/cobra"
)

// completionCommand prints what a shell needs to complete command lines.
func (i *invocation) completionCommand(root *cobra.Command) *cobra.Command {
	c := group("completion", "Print the completion script of a shell")
	c.Long = "Print a script that teaches a shell to complete commands, flags, and what a running\n" +
		"ebb knows: autoscalers, queues, resource types and instances. It asks the ebb of\n" +
		"$" + configVariable + " or of the flags written so far; where none answers it offers nothing."
	c.Example = "  source <(ebb completion bash)                       # this shell\n" +
		"  ebb completion bash > /etc/bash_completion.d/ebb    # every shell\n" +
		"  ebb completion zsh > \"${fpath[1]}/_ebb\"\n" +
		"  ebb completion fish > ~/.config/fish/completions/ebb.fish\n" +
		"  ebb completion powershell | Out-String | Invoke-Expression"
	for _, shell := range []struct {
		name, note string
		script     func(io.Writer) error
	}{
		{"bash", "; it needs the package bash-completion", func(w io.Writer) error { return root.GenBashCompletionV2(w, true) }},
		{"zsh", "", root.GenZshCompletion},
		{"fish", "", func(w io.Writer) error { return root.GenFishCompletion(w, true) }},
		{"powershell", "", root.GenPowerShellCompletionWithDesc},
	} {
		c.AddCommand(&cobra.Command{
			Use: shell.name, Short: "Print the script for " + shell.name + shell.note, Args: flagsOnly,
			ValidArgsFunction: cobra.NoFileCompletions,
			Example:           "  ebb completion " + shell.name,
			RunE:              i.does(func(*cobra.Command, []string) error { return shell.script(i.Stdout) }),
		})
	}
	return c
}
