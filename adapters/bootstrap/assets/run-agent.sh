#!/bin/bash
# ebb: runs the agent in the foreground of ebb-agent.service. When the agent ends, the machine does.
set -u
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
EBB_RUN="${EBB_ROOT:-}/run/ebb"
ebb_log_to runner.log || exec >/dev/null 2>&1

# ExecStopPost: a runner that was killed could not power off itself.
if [ "${1:-}" = stopped ]; then
	[ "${SERVICE_RESULT:-success}" = success ] || ebb_power_off
	exit 0
fi

# An image may have been made of a machine that ebb set up: its settings are not for this one.
# shellcheck source=/dev/null
. "$EBB_DIR/settings"
instance=$(ebb_metadata_like instance-id '^i-[0-9a-zA-Z]+$')
if [ "$instance" != "$EBB_INSTANCE_ID" ]; then
	ebb_say "not starting the agent: set up for $EBB_INSTANCE_ID, and this is ${instance:-unknown}"
	exit 0
fi
trap ebb_power_off EXIT

# The init script's exports come after the server's addresses and may change them, the worker id not.
ebb_environment() {
	# shellcheck source=/dev/null
	. "$EBB_DIR/agent.env"
	# shellcheck source=/dev/null
	[ ! -r "$EBB_DIR/init.env" ] || . "$EBB_DIR/init.env"
	# shellcheck source=/dev/null
	. "$EBB_DIR/settings"
	export HOME="${EBB_ROOT:-}/root" CLEARML_WORKER_ID="$EBB_WORKER_ID"
	export VIRTUAL_ENV="$EBB_DIR/venv" PATH="$EBB_DIR/venv/bin:$PATH"
	unset CLEARML_WORKER_NAME
	[ -z "$EBB_CPU_ONLY" ] || export NVIDIA_VISIBLE_DEVICES=none
}

ebb_start_agent() {
	local queues arguments
	mapfile -t queues <<<"$EBB_QUEUES"
	arguments=(--config-file "$HOME/clearml.conf" daemon --queue "${queues[@]}" --foreground)
	[ -z "$EBB_DOCKER" ] || arguments+=(--docker "$EBB_DOCKER")
	[ -z "$EBB_CPU_ONLY" ] || arguments+=(--cpu-only)
	(umask 077 && : >>"$EBB_LOGS/agent.log") && chmod 0600 "$EBB_LOGS/agent.log"
	rm -f "$EBB_RUN/task" "$EBB_RUN/fenced"
	ebb_say "starting the agent $EBB_WORKER_ID on ${#queues[@]} queue(s)"
	"$EBB_DIR/venv/bin/python" -u "$EBB_DIR/agent.py" "$EBB_RUN" "${arguments[@]}" \
		>>"$EBB_LOGS/agent.log" 2>&1 3>&- </dev/null &
	ebb_agent=$!
	ebb_clock
	ebb_started_at=$ebb_now ebb_idle_at=$ebb_now
}

# The agent's output holds the tasks' too: keep it from filling the disk.
ebb_trim() {
	[ "$ebb_now" -ge "$ebb_next_trim" ] || return 0
	ebb_next_trim=$((ebb_now + 300))
	if [ "$(stat -c %s "$EBB_LOGS/agent.log")" -gt 209715200 ]; then
		(umask 077 && tail -c 20971520 "$EBB_LOGS/agent.log" >"$EBB_LOGS/agent.log.1")
		: >"$EBB_LOGS/agent.log"
	fi
}

# Says why an agent ended at once, in fixed words: its own output may hold secrets.
ebb_diagnose() {
	[ "$SECONDS" -lt 600 ] || return 0
	if grep -qiE 'unauthorized|invalid credentials|error 401|invalid token' "$EBB_LOGS/agent.log"; then
		ebb_say "the agent's log tells of credentials that the ClearML server refused"
	elif grep -qiE 'Failed to establish|NameResolution|timed out|api_server. is misconfigured' "$EBB_LOGS/agent.log"; then
		ebb_say "the agent's log tells of a ClearML server that cannot be reached"
	elif grep -qiE 'could not find queue|invalid queue|queue .*not found' "$EBB_LOGS/agent.log"; then
		ebb_say "the agent's log tells of a queue that does not exist"
	fi
}

# systemd's TERM goes to this shell only and is passed on, whenever it comes.
ebb_stop() {
	ebb_stopping=1
	[ -z "$ebb_agent" ] || kill -TERM "$ebb_agent"
}
# shellcheck source=channel.sh
. "$EBB_DIR/channel.sh" || exit 1
# shellcheck source=supervise.sh
. "$EBB_DIR/supervise.sh" || exit 1
trap ebb_stop TERM INT HUP
ebb_environment
ebb_begin
[ -z "$ebb_stopping" ] || exit 0
[ "$ebb_word" = drain ] || ebb_start_agent
[ -z "$ebb_stopping" ] || ebb_stop
ebb_supervise
[ -n "$ebb_agent" ] || exit 0
while :; do
	wait "$ebb_agent"
	code=$?
	kill -0 "$ebb_agent" 2>/dev/null || break # otherwise a signal ended the wait, not the agent
done
ebb_agent=''
ebb_say "the agent ended with exit code $code after $SECONDS s"
ebb_diagnose
[ "$ebb_word" != drain ] || ebb_ack drained
exit 0
