package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the manual pages, for packages.
func (i *invocation) manCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "man --dir DIR", Short: "Write the manual pages of all commands", Args: flagsOnly,
		Long: "Write a manual page for each command into a directory, such as ebb-run.1. They\n" +
			"are dated $SOURCE_DATE_EPOCH, else today.",
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
		date, err := i.manDate()
		if err != nil {
			return err
		}
		// The pages are not about this user's environment.
		n, err := manPages((&invocation{Program: Program{Version: i.Version, Commands: i.Commands}}).root(), dir, date)
		if err != nil {
			return fmt.Errorf("write manual pages: %w", err)
		}
		fmt.Fprintf(i.Stderr, "%s written to %s\n", counted(n, "manual page"), dir)
		return nil
	})
	return c
}

// manDate is what the pages are dated: $SOURCE_DATE_EPOCH, so that builds can be
// repeated, else now.
func (i *invocation) manDate() (time.Time, error) {
	const name = "SOURCE_DATE_EPOCH"
	text := i.variable(name)
	if text == "" {
		return i.Now().UTC(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read %s: %q is no number of seconds since 1970", name, text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// manPages writes the page of a command and of those below it, and counts them.
func manPages(c *cobra.Command, dir string, date time.Time) (int, error) {
	c.DisableAutoGenTag = true
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	file, err := os.Create(filepath.Join(dir, name+".1"))
	if err != nil {
		return 0, err
	}
	header := &doc.GenManHeader{Title: strings.ToUpper(name), Section: "1", Source: "ebb " + c.Root().Version, Manual: "ebb", Date: &date}
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
		var n int
		n, err = manPages(below, dir, date)
		written += n
	}
	return written, err
}
