package actors

import "github.com/ebbscale/ebb/messages"

// shows says whether its worker shows nothing new.
func (m *member) shows(row *messages.WorkerState, phase messages.Phase) bool {
	return m.polled && phase == m.phase && (row == nil || (row.Task == m.row.Task && m.row.ID != ""))
}

// awaits says whether an instance waits for its worker to show up: it hears of every
// poll, since it is to know that one has looked.
func awaits(phase messages.Phase) bool {
	return phase == messages.PhaseBooting || phase == messages.PhaseVanished
}

// unhindered says that what kept it from going may be over: there is a supervisor now
// that can be told, or its task has ended.
func (m *member) unhindered(phase messages.Phase, home string) bool {
	return (m.homeID == "" && home != "") || (phase == messages.PhaseIdle && m.phase != phase)
}

// silent says whether nothing is said on its channel, and nothing is waited for.
func (m *member) silent(channel messages.Channel) bool {
	return len(channel.Keys) == 0 && len(m.said().Keys) == 0 && !m.draining && !m.recalled && !m.doomed
}
