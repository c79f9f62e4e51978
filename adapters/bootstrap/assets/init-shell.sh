#!/bin/bash
# ebb: runs ~/.bashrc and the init script in one shell, as if they were pasted together, and
# keeps what they export for the agent. init.end tells how far it came.
__ebb_dir=${0%/*}
__ebb_end() {
	# In POSIX mode it prints "export", not "declare -x", which a function would keep to itself.
	(umask 077 && set -o posix && export -p >"$__ebb_dir/init.env")
	printf '%s' "$__ebb_stage" >"$__ebb_dir/init.end"
}
trap __ebb_end EXIT
umask 022
# shellcheck source=/dev/null
. "$__ebb_dir/agent.env"
__ebb_stage=bashrc
if [ "${1:-}" = bashrc ] && [ -r "$HOME/.bashrc" ]; then
	# shellcheck source=/dev/null
	. "$HOME/.bashrc"
fi
__ebb_stage=script
if [ -r "$__ebb_dir/init-script.sh" ]; then
	# shellcheck source=/dev/null
	. "$__ebb_dir/init-script.sh"
fi
__ebb_code=$?
__ebb_stage="done"
__ebb_end # a trap of the init script's own may have taken the place of ours
exit "$__ebb_code"
