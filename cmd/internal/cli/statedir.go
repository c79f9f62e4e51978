package cli

import (
	"fmt"
	"path/filepath"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/wizard"
)

// stateDirKey is the key of the directory for durable state.
const stateDirKey = "state_dir"

// canKeep reports whether this process could keep its state in a directory.
func (i *invocation) canKeep(dir string) bool {
	if i.CanKeep != nil {
		return i.CanKeep(dir)
	}
	_, err := bus.CheckStateDir(dir)
	return err == nil
}

// ownStateDir answers where state is kept with a directory of the user, when nobody
// has answered it and the default is not for this user. It returns what the file should
// say about it, "" when it has done nothing.
func (i *invocation) ownStateDir(answers wizard.Answers) string {
	k, _ := config.KeyAt(stateDirKey)
	if answers.Text(stateDirKey) != "" || i.canKeep(k.Default) {
		return ""
	}
	home := i.variable("XDG_STATE_HOME")
	if !filepath.IsAbs(home) { // as the standard of that variable has it
		home = i.variable("HOME")
		if !filepath.IsAbs(home) {
			return ""
		}
		home = filepath.Join(home, ".local", "state")
	}
	dir := filepath.Join(home, "ebb")
	if !i.canKeep(dir) {
		return ""
	}
	answers.Set(stateDirKey, dir)
	return fmt.Sprintf("It is a directory of this user, who cannot write the default, %s. Remove the key where ebb runs as a service.", k.Default)
}
