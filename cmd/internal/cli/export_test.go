package cli

import (
	"runtime/debug"

	tea "charm.land/bubbletea/v2"

	"github.com/ebbscale/ebb/messages"
)

// What tests of the live view need to see.

func NewTop(name messages.AutoscalerName) tea.Model { return newTop(name) }

func TopStatus(status messages.Status, err error) tea.Msg { return statusMessage{status, err} }

func TopEvent(line string) tea.Msg { return eventMessage(line) }

// VersionOf names a build by what was linked and stamped into it.
func VersionOf(linked string, info *debug.BuildInfo) string { return versionOf(linked, info) }

// CanKeep looks at the disk whether state can be kept in a directory.
func CanKeep(dir string) bool { return (&invocation{}).canKeep(dir) }
