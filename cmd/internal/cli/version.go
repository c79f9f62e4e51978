package cli

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// unversioned is what a build calls itself that belongs to no release.
const unversioned = "devel"

// Version is what this build calls itself: linked when the linker was told one, else
// the version or the commit that the Go toolchain stamped into the binary.
func Version(linked string) string {
	info, _ := debug.ReadBuildInfo()
	return versionOf(linked, info)
}

// versionOf names a build by its version, or without one by the commit that it was made
// from: devel-0123456789ab, with +changes when files differed from it.
func versionOf(linked string, info *debug.BuildInfo) string {
	if linked != "" {
		return linked
	}
	if info == nil {
		return unversioned
	}
	stamped := map[string]string{}
	for _, s := range info.Settings {
		stamped[s.Key] = s.Value
	}
	const short = 12
	version, revision := info.Main.Version, stamped["vcs.revision"]
	released := version != "" && version != "(devel)" && !strings.HasPrefix(version, "v0.0.0-") && !strings.Contains(version, "+dirty")
	switch {
	case revision != "" && !released:
		name := unversioned + "-" + revision[:min(short, len(revision))]
		if stamped["vcs.modified"] == "true" {
			name += "+changes"
		}
		return name
	case version != "" && version != "(devel)":
		return version
	}
	return unversioned
}

// versionCommand says what --version says, for those who look among the commands.
func (i *invocation) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version, or the commit of a build without one",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("%q is an argument too many; write ebb version alone", args[0])
			}
			return nil
		},
		RunE: i.does(func(_ *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(i.Stdout, "ebb version %s\n", i.Version)
			return err
		}),
	}
}
