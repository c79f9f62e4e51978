package doctor

import (
	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

// Living counts instances that are not on their way out.
func Living(instances []messages.Instance) int { return listing{instances: instances}.living() }

// CheckDir judges what was found of a state directory.
func CheckDir(dir string, report bus.DirReport) Report {
	s := sheet{}
	checkDir(&s, dir, report)
	return s.checks
}
