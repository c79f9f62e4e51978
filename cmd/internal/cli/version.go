package cli

import "runtime/debug"

// Version is what this build calls itself: linked when the linker was told one,
// else what the Go toolchain stamped into the binary, else devel.
func Version(linked string) string {
	if linked != "" {
		return linked
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
