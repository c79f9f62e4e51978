package doctor

import "github.com/ebbscale/ebb/bus"

// CheckDir judges what was found of a state directory.
func CheckDir(dir string, report bus.DirReport) Report {
	s := sheet{}
	checkDir(&s, dir, report)
	return s.checks
}
