// Package bootstrap renders the user data of a worker: the script that turns a
// fresh EC2 instance into a ClearML worker and that ends the instance when the
// worker has ended.
//
// The script is a block of assignments, one per setting, followed by a body that
// is the same for every [Spec]; EC2 gets it compressed. Values reach the body
// through single quotes only, so nothing in them is ever expanded. The body writes a small library, the
// agent's runner and a systemd unit to /opt/ebb, installs what the image lacks,
// and hands the machine over to the unit:
//
//	assets/bootstrap.sh      installs, identifies, writes files, runs the init script, starts the unit
//	assets/lib.sh            what bootstrap and runner share: progress lines, IMDSv2, power off
//	assets/init-shell.sh     runs ~/.bashrc and the init script, keeps what they export
//	assets/run-agent.sh      the unit's process: runs the agent, powers off when it has ended
//	assets/supervise.sh      part of it: heeds orders, ends an idle agent, ends a machine that nobody asks for
//	assets/channel.sh        part of it: reads and writes the channel to the autoscaler
//	assets/agent.py          clearml-agent behind a fence that keeps it from pulling
//	assets/ebb-agent.service the unit
//
// Three promises hold whatever happens: an agent never runs under a worker id that
// does not name its instance, a machine without an agent powers itself off, and
// behind the fence no order ends an agent whose task runs.
// docs/bootstrap.md tells the rest, as people need it.
package bootstrap
