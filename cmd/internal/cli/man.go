package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the manual pages, for packages.
func (i *invocation) manCommand(root *cobra.Command) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "man --dir DIR", Short: "Write the manual pages of all commands", Args: flagsOnly,
		Long: "Write a manual page for each command into a directory, such as ebb-run.1. Equal\n" +
			"versions give equal pages.",
		Example: "  ebb man --dir /usr/local/share/man/man1 && man ebb-status",
	}
	c.Flags().StringVar(&dir, "dir", "", "directory to write to; it is made if it is not there")
	_ = c.MarkFlagDirname("dir")
	c.RunE = i.does(func(*cobra.Command, []string) error {
		if dir == "" {
			return usagef("no directory is named; write --dir DIR")
		}
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("make directory for manual pages: %w", err)
		}
		root.DisableAutoGenTag = true
		n, err := i.manPages(root, dir)
		if err != nil {
			return fmt.Errorf("write manual pages: %w", err)
		}
		fmt.Fprintf(i.Stderr, "%s written to %s\n", counted(n, "manual page"), dir)
		return nil
	})
	return c
}

// manPages writes the page of a command and of those below it, and counts them.
func (i *invocation) manPages(c *cobra.Command, dir string) (int, error) {
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	file, err := os.Create(filepath.Join(dir, name+".1"))
	if err != nil {
		return 0, err
	}
	never := time.Unix(0, 0).UTC() // a date would make each build another one
	header := &doc.GenManHeader{Title: strings.ToUpper(name), Section: "1", Source: "ebb " + i.Version, Manual: "ebb", Date: &never}
	err = doc.GenMan(c, header, file)
	if closed := file.Close(); err == nil {
		err = closed
	}
	written := 1
	for _, below := range c.Commands() {
		if err != nil {
			break
		}
		if !below.IsAvailableCommand() {
			continue
		}
		n := 0
		n, err = i.manPages(below, dir)
		written += n
	}
	return written, err
}
