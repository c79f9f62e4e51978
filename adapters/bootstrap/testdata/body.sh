trap 'echo "ebb-bootstrap: ended before it could set itself up, powering off"; shutdown -h now || poweroff -f' EXIT
set -u
ebb_base="${EBB_ROOT:-}/opt/ebb"
mkdir -p "$ebb_base" && chmod 0755 "$ebb_base" || exit 1
cat >"$ebb_base/lib.sh" <<'EBB_END_OF_FILE' || exit 1
#!/bin/bash
# ebb: what the bootstrap and the agent's runner share. Sourced, never run.

EBB_DIR="${EBB_ROOT:-}/opt/ebb"
EBB_LOGS="${EBB_ROOT:-}/var/log/ebb"
export HOME="${EBB_ROOT:-}/root"
if [ -z "${EBB_ROOT:-}" ]; then
	export PATH="${PATH:-/usr/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
fi

ebb_say() {
	printf 'ebb-bootstrap: %s\n' "$*" >&3
	printf 'ebb-bootstrap: %s\n' "$*"
}

ebb_log_to() {
	exec 3>&1
	mkdir -p "$EBB_LOGS" && chmod 0700 "$EBB_LOGS" || return
	(umask 077 && : >>"$EBB_LOGS/$1") && chmod 0600 "$EBB_LOGS/$1" || return
	exec >>"$EBB_LOGS/$1" 2>&1
}

ebb_write() {
	mkdir -p "${2%/*}" || return
	(umask 077 && printf '%s' "$3" >"$2.ebb-new") || return
	chmod "$1" "$2.ebb-new" && mv -f "$2.ebb-new" "$2"
}

ebb_metadata() {
	local token limit=${2:-5}
	token=$(curl -sSf --noproxy '*' -m "$limit" -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' \
		"$EBB_IMDS/latest/api/token") && [ -n "$token" ] || return 1
	printf 'header = "X-aws-ec2-metadata-token: %s"\n' "$token" |
		curl -sSf --noproxy '*' -m "$limit" -K - "$EBB_IMDS/latest/meta-data/$1"
}

ebb_metadata_like() {
	local try value
	for try in {1..30}; do
		if value=$(ebb_metadata "$1") && [[ $value =~ $2 ]]; then
			printf '%s' "$value"
			return 0
		fi
		sleep "$((try < 5 ? try : 5))"
	done
	return 1
}

ebb_power_off() {
	if [ -e "$EBB_DIR/keep" ]; then
		ebb_say "$EBB_DIR/keep exists: not powering off, and the machine goes on costing money"
		return
	fi
	if [ "$(systemctl is-system-running)" = stopping ]; then
		ebb_say "the system is going down already"
		return
	fi
	ebb_say "powering off"
	sync
	shutdown -h now || systemctl poweroff
	sleep 60 # still here: nobody listened
	poweroff -f
}
EBB_END_OF_FILE
cat >"$ebb_base/run-agent.sh" <<'EBB_END_OF_FILE' || exit 1
#!/bin/bash
# ebb: runs the agent in the foreground of ebb-agent.service. When the agent ends, the machine does.
set -u
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
EBB_RUN="${EBB_ROOT:-}/run/ebb"
ebb_log_to runner.log || exec >/dev/null 2>&1

if [ "${1:-}" = stopped ]; then
	[ "${SERVICE_RESULT:-success}" = success ] || ebb_power_off
	exit 0
fi

# shellcheck source=/dev/null
. "$EBB_DIR/settings"
instance=$(ebb_metadata_like instance-id '^i-[0-9a-zA-Z]+$')
if [ "$instance" != "$EBB_INSTANCE_ID" ]; then
	ebb_say "not starting the agent: set up for $EBB_INSTANCE_ID, and this is ${instance:-unknown}"
	exit 0
fi
trap ebb_power_off EXIT

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

ebb_trim() {
	[ "$ebb_now" -ge "$ebb_next_trim" ] || return 0
	ebb_next_trim=$((ebb_now + 300))
	if [ "$(stat -c %s "$EBB_LOGS/agent.log")" -gt 209715200 ]; then
		(umask 077 && tail -c 20971520 "$EBB_LOGS/agent.log" >"$EBB_LOGS/agent.log.1")
		: >"$EBB_LOGS/agent.log"
	fi
}

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
EBB_END_OF_FILE
cat >"$ebb_base/channel.sh" <<'EBB_END_OF_FILE' || exit 1
#!/bin/bash
# ebb: the channel, which is metadata of the home queue on the ClearML server. Sourced by run-agent.sh.

ebb_token='' ebb_token_at=0 ebb_body='' ebb_status=''
ebb_home=${EBB_QUEUES%%$'\n'*} ebb_queue='' # name and id
ebb_ack_due='' ebb_notice_due=''            # what is still to be written

ebb_quote() {
	REPLY=${1//\\/\\\\}
	REPLY=${REPLY//\"/\\\"}
	REPLY=${REPLY//$'\n'/\\n}
	REPLY=${REPLY//$'\r'/\\r}
	REPLY=${REPLY//$'\t'/\\t}
}

ebb_verify() {
	case ${CLEARML_API_HOST_VERIFY_CERT:-} in
	'') ! grep -qsE '^[^#]*verify_certificate"? *[:=] *"?(false|0|no|off)' "$HOME/clearml.conf" || echo insecure ;;
	0 | [Ff]alse | FALSE) echo insecure ;;
	esac
	if [ -n "${REQUESTS_CA_BUNDLE:-}" ]; then
		ebb_quote "$REQUESTS_CA_BUNDLE"
		printf 'cacert = "%s"\n' "$REPLY"
	fi
}

ebb_post() {
	local answer
	ebb_body='' ebb_status=''
	ebb_quote "$2"
	answer=$(
		{
			printf '%s\n' "$3" 'header = "Content-Type: application/json"' "data-raw = \"$REPLY\""
			ebb_verify
		} | curl -sS -m "$EBB_HTTP_SECONDS" -w '\n%{http_code}' -K - "${CLEARML_API_HOST%/}/v2.30/$1" 3>&-
	) || return
	ebb_status=${answer##*$'\n'} ebb_body=${answer%$'\n'*}
}

ebb_login() {
	local credentials
	if [ -n "$ebb_token" ]; then
		credentials="header = \"Authorization: Bearer $ebb_token\""
	elif [ -n "${CLEARML_AUTH_TOKEN:-}" ]; then
		ebb_quote "$CLEARML_AUTH_TOKEN"
		credentials="header = \"Authorization: Bearer $REPLY\""
	else
		ebb_quote "${CLEARML_API_ACCESS_KEY:-}:${CLEARML_API_SECRET_KEY:-}"
		credentials="user = \"$REPLY\""
	fi
	ebb_post auth.login '{}' "$credentials" || return
	ebb_token=''
	[ "$ebb_status" = 200 ] && [[ $ebb_body =~ \"token\":\ *\"([^\"\\]+)\" ]] || return
	ebb_token=${BASH_REMATCH[1]} ebb_token_at=$ebb_now
}

ebb_call() {
	local try
	for try in 1 2; do
		if [ -z "$ebb_token" ] || [ "$((ebb_now - ebb_token_at))" -gt 86400 ]; then
			ebb_login || return
		fi
		ebb_post "$1" "$2" "header = \"Authorization: Bearer $ebb_token\"" || return
		[ "$ebb_status$try" = 4011 ] || break # refused the first time
		ebb_token=''
	done
	[ "$ebb_status" = 200 ]
}

ebb_value() {
	local pattern="\"$1\": *\\{[^}]*\"value\": *\"([^\"\\\\]*)\""
	REPLY=''
	[[ ! $ebb_body =~ $pattern ]] || REPLY=${BASH_REMATCH[1]}
}

ebb_find() {
	[ -z "$ebb_queue" ] || return 0
	if [[ $ebb_home =~ ^[-a-f0-9]{30,}$ ]]; then
		ebb_queue=$ebb_home
		return
	fi
	ebb_call queues.get_all "$EBB_HOME_QUERY" || return
	[[ ! $ebb_body =~ \"queues\":\ *\[\ *\{\ *\"id\":\ *\"([0-9a-zA-Z_-]+)\" ]] || ebb_queue=${BASH_REMATCH[1]}
}

ebb_read() {
	ebb_order='' ebb_sign=''
	ebb_find || return
	[ -n "$ebb_queue" ] || return 0
	ebb_call queues.get_all "{\"id\":[\"$ebb_queue\"],\"only_fields\":[\"id\",\"metadata\"]}" || return
	[[ $ebb_body =~ \"queues\":\ *\[\ *\{ ]] || ebb_queue='' # gone; a new one of this name has another id
	ebb_value "ebb.drain.$EBB_INSTANCE_ID"
	ebb_order=$REPLY
	[ -z "${EBB_AUTOSCALER:-}" ] || ebb_value "ebb.lease.$EBB_AUTOSCALER"
	ebb_sign=$REPLY
}

ebb_set() {
	[ -n "$ebb_queue" ] && ebb_call queues.add_or_update_metadata \
		"{\"queue\":\"$ebb_queue\",\"metadata\":[{\"key\":\"$1.$EBB_INSTANCE_ID\",\"type\":\"str\",\"value\":\"$2\"}]}"
}

ebb_write_due() {
	[ -z "$ebb_ack_due" ] || ! ebb_set ebb.ack "$ebb_ack_due" || ebb_ack_due=''
	[ -z "$ebb_notice_due" ] || ! ebb_set ebb.notice "$ebb_notice_due" || ebb_notice_due=''
}

ebb_ack() {
	printf -v ebb_ack_due '%s %(%s)T %s' "$ebb_epoch" -1 "$*"
	ebb_write_due
}
EBB_END_OF_FILE
cat >"$ebb_base/supervise.sh" <<'EBB_END_OF_FILE' || exit 1
#!/bin/bash
# ebb: decides when the agent pulls, when it ends, and when the machine does. Sourced by run-agent.sh.

: "${EBB_TICK_SECONDS:=1}"         # how often to look at the agent
: "${EBB_POLL_SECONDS:=5}"         # how often to look at the channel
: "${EBB_GRACE_SECONDS:=5}"        # from "drained" to powering off
: "${EBB_HTTP_SECONDS:=10}"        # one request
: "${EBB_STOP_SECONDS:=60}"        # what an agent gets to end
: "${EBB_UNFENCED_SECONDS:=60}"    # an agent that did not ask through the fence by then has none
: "${EBB_CHILDLESS_SECONDS:=6}"    # one without a fence is idle after so long without a child process
: "${EBB_STUCK_SECONDS:=120}"      # and so is one with a fence that says it has a task
: "${EBB_UNREACHABLE_SECONDS:=21600}"
if [ -z "${EBB_DEADMAN_SECONDS:-}" ]; then
	EBB_DEADMAN_SECONDS=$((3 * ${EBB_MAX_IDLE_SECONDS:-0}))
	[ "$EBB_DEADMAN_SECONDS" = 0 ] || [ "$EBB_DEADMAN_SECONDS" -ge 900 ] || EBB_DEADMAN_SECONDS=900
fi

ebb_epoch=0 ebb_word=run ebb_order='' # the last order heeded; what the channel says
ebb_sign='' ebb_last_sign='' ebb_still=0 ebb_looked_at=''
ebb_agent='' ebb_stopping='' ebb_now=0 ebb_started_at=0 ebb_task='' ebb_alone_at='' ebb_said=''
ebb_idle_at=0 ebb_pulled='' ebb_reached_at=0 ebb_answered='' ebb_lost=''
ebb_notices='' ebb_noticed='' ebb_next_look=0 ebb_next_trim=0

ebb_clock() {
	local up
	if read -r up _ 2>/dev/null </proc/uptime; then ebb_now=${up%.*}; else ebb_now=$SECONDS; fi
}

ebb_pause() {
	sleep "$1" 3>&- &
	wait "$!" || kill "$!" 2>/dev/null || :
}

ebb_fence() { : >"$EBB_RUN/drain"; }
ebb_unfence() { rm -f "$EBB_RUN/drain"; }

ebb_heed() {
	[[ $ebb_order =~ ^([0-9]{1,18})\ [0-9]+\ (drain|run)$ ]] || return 0
	[ "$((10#${BASH_REMATCH[1]}))" -gt "$ebb_epoch" ] || return 0
	ebb_epoch=$((10#${BASH_REMATCH[1]})) ebb_word=${BASH_REMATCH[2]}
	ebb_write 0600 "$EBB_RUN/heeded" "$ebb_epoch $ebb_word"
	ebb_said='' ebb_alone_at=''
	if [ "$ebb_word" = drain ]; then
		ebb_say "told to drain (epoch $ebb_epoch): the agent gets no more tasks"
		ebb_fence
		return
	fi
	ebb_say "told to run (epoch $ebb_epoch): the agent gets tasks"
	ebb_unfence
	[ -n "$ebb_agent" ] || ebb_start_agent
	ebb_ack running
}

ebb_look() {
	if ! ebb_read; then
		ebb_looked_at=''
		if ! ebb_agent_answered && [ -z "$ebb_lost" ] && [ "$((ebb_now - ebb_reached_at))" -ge 60 ]; then
			ebb_lost=1
			ebb_say "no good answer from the ClearML server for a minute (last HTTP status: ${ebb_status:-none})"
		fi
		ebb_unreachable || ebb_alone_at=''
		return 1
	fi
	[ -z "$ebb_lost" ] || ebb_say "the ClearML server answers again"
	if [ "$ebb_sign" != "$ebb_last_sign" ]; then
		ebb_last_sign=$ebb_sign ebb_still=0
	elif [ -n "$ebb_looked_at" ]; then
		ebb_still=$((ebb_still + ebb_now - ebb_looked_at))
	fi
	ebb_looked_at=$ebb_now ebb_reached_at=$ebb_now ebb_lost=''
	[ "$ebb_word" = drain ] || [ ! -e "$EBB_RUN/fenced" ] || ebb_alone_at=''
	ebb_heed
}

ebb_agent_answered() {
	local at
	at=$(stat -c %Y "$EBB_RUN/answered" 2>/dev/null)
	[ "$at" != "$ebb_answered" ] || return
	ebb_answered=$at ebb_reached_at=$ebb_now ebb_lost=''
}

ebb_unreachable() {
	[ "$EBB_UNREACHABLE_SECONDS" -gt 0 ] && [ "$((ebb_now - ebb_reached_at))" -ge "$EBB_UNREACHABLE_SECONDS" ]
}

ebb_idle() {
	local task=''
	ebb_task=''
	if [ ! -e "$EBB_RUN/fenced" ]; then
		[ "$((ebb_now - ebb_started_at))" -ge "$EBB_UNFENCED_SECONDS" ] && ebb_childless "$EBB_CHILDLESS_SECONDS"
		return
	fi
	exec 9>>"$EBB_RUN/lock" || return
	if ! flock -w 2 9; then
		exec 9>&-
		return 1
	fi
	[ ! -e "$EBB_RUN/task" ] || task=$(<"$EBB_RUN/task")
	exec 9>&-
	[ -n "$task" ] || return 0
	[[ ! $task =~ ^[0-9a-zA-Z_-]+$ ]] || ebb_task=$task
	ebb_childless "$EBB_STUCK_SECONDS"
}

ebb_childless() {
	if [ ! -r /proc/self/status ] || grep -qsx "PPid:[[:space:]]*$ebb_agent" /proc/[0-9]*/status; then
		ebb_alone_at=''
		return 1
	fi
	ebb_alone_at=${ebb_alone_at:-$ebb_now}
	[ "$((ebb_now - ebb_alone_at))" -ge "$1" ]
}

ebb_stop_agent() {
	local since=$ebb_now asked=''
	[ -n "$ebb_agent" ] || return 0
	while kill -0 "$ebb_agent" 2>/dev/null && [ "$((ebb_now - since))" -lt "$EBB_STOP_SECONDS" ]; do
		if [ "$(((ebb_now - since) / 10))" != "$asked" ]; then
			asked=$(((ebb_now - since) / 10))
			kill -TERM "$ebb_agent" 2>/dev/null
		fi
		sleep 0.1
		ebb_clock
	done
	! kill -KILL "$ebb_agent" 2>/dev/null || ebb_say "the agent did not end, and was killed"
	wait "$ebb_agent"
	ebb_agent=''
}

ebb_drain() {
	local epoch=$ebb_epoch
	if [ -n "$ebb_agent" ] && ! ebb_idle; then
		[ "$ebb_said" != "busy $ebb_task" ] || return 0
		ebb_said="busy $ebb_task"
		ebb_say "the agent is not idle yet${ebb_task:+: it finishes task $ebb_task}"
		ebb_ack busy ${ebb_task:+"$ebb_task"}
		return
	fi
	ebb_stop_agent
	ebb_say "drained: the agent has ended"
	ebb_ack drained
	ebb_pause "$EBB_GRACE_SECONDS"
	[ -z "$ebb_stopping" ] || return 0
	ebb_clock
	ebb_look
	[ "$ebb_word" = drain ] || return 0
	if [ "$ebb_epoch" = "$epoch" ]; then ebb_write_due; else ebb_ack drained; fi
	exit 0
}

ebb_watch() {
	local pulled='' why=''
	[ ! -e "$EBB_RUN/pulled" ] || pulled=$(<"$EBB_RUN/pulled")
	if [ "$pulled" != "$ebb_pulled" ] || [ -s "$EBB_RUN/task" ] || { [ ! -e "$EBB_RUN/fenced" ] && ! ebb_childless 0; }; then
		ebb_pulled=$pulled ebb_idle_at=$ebb_now
	fi
	if ebb_unreachable; then
		why="no answer from the ClearML server for $EBB_UNREACHABLE_SECONDS s, and no task here"
	elif [ -n "${EBB_AUTOSCALER:-}" ] && [ "$EBB_DEADMAN_SECONDS" -gt 0 ] && [ -n "$ebb_looked_at" ] &&
		[ "$ebb_still" -ge "$EBB_DEADMAN_SECONDS" ] && [ "$((ebb_now - ebb_idle_at))" -ge "$EBB_DEADMAN_SECONDS" ]; then
		why="idle for $EBB_DEADMAN_SECONDS s without a sign of life of autoscaler $EBB_AUTOSCALER"
	else
		return 0
	fi
	ebb_fence
	if ebb_idle && { [ -n "$ebb_looked_at" ] || ! ebb_agent_answered; }; then
		ebb_say "$why"
		ebb_stop_agent
		exit 0
	fi
	[ "$ebb_word" = drain ] || ebb_unfence
}

ebb_notice() {
	local answer when
	if [ -z "$ebb_notices" ]; then
		answer=$(ebb_metadata instance-life-cycle 2 2>/dev/null)
		case $answer in on-demand | scheduled | capacity-block) ebb_notices=no ;; spot) ebb_notices=yes ;; esac
	fi
	[ "$ebb_notices" != no ] && [ "$ebb_noticed" != interruption ] || return 0
	{
		if answer=$(ebb_metadata spot/instance-action 2) && [[ $answer =~ \"time\":\ *\"([0-9TZ:.-]+)\" ]]; then
			when=$(date -u -d "${BASH_REMATCH[1]}" +%s) || when=0
			ebb_noticed=interruption
			ebb_say "EC2 takes this spot instance back at ${BASH_REMATCH[1]}"
		elif [ -z "$ebb_noticed" ] && answer=$(ebb_metadata events/recommendations/rebalance 2) && [[ $answer = *noticeTime* ]]; then
			when=0 ebb_noticed=rebalance
			ebb_say "EC2 says that it may take this spot instance back soon"
		else
			return 0
		fi
	} 2>/dev/null
	printf -v ebb_notice_due '%(%s)T %s %s' -1 "$ebb_noticed" "$when"
	ebb_write_due
}

ebb_begin() {
	ebb_clock
	ebb_reached_at=$ebb_now ebb_idle_at=$ebb_now
	if ! { mkdir -p "$EBB_RUN" && chmod 0700 "$EBB_RUN" && rm -f "$EBB_RUN"/{drain,task,pulled,fenced,answered}; }; then
		ebb_say "$EBB_RUN cannot be written: the agent runs without a fence"
	fi
	if [ -r "$EBB_RUN/heeded" ]; then
		read -r ebb_epoch ebb_word <<<"$(<"$EBB_RUN/heeded")"
		[ "$ebb_word" != drain ] || ebb_fence
	fi
}

ebb_supervise() {
	while ebb_pause "$EBB_TICK_SECONDS" && [ -z "$ebb_stopping" ]; do
		ebb_clock
		[ -z "$ebb_agent" ] || kill -0 "$ebb_agent" 2>/dev/null || return 0
		if [ "$ebb_now" -lt "$ebb_next_look" ]; then
			[ "$ebb_word" != drain ] || ebb_drain
			continue
		fi
		ebb_next_look=$((ebb_now + EBB_POLL_SECONDS))
		! ebb_look || ebb_write_due
		[ "$ebb_word" != drain ] || ebb_drain
		ebb_watch
		ebb_notice
		ebb_trim
	done
}
EBB_END_OF_FILE
cat >"$ebb_base/agent.py" <<'EBB_END_OF_FILE' || exit 1
# ebb: clearml-agent behind a fence. Usage: agent.py RUN-DIRECTORY AGENT-ARGUMENTS…
import datetime
import fcntl
import os
import runpy
import sys

run = sys.argv.pop(1)
sys.path[0] = os.getcwd()


def put(name, text):
    path = os.path.join(run, name)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)


def drop(name):
    try:
        os.unlink(os.path.join(run, name))
    except FileNotFoundError:
        pass


def nothing(request):
    """What the server answers when its queue is empty."""
    import requests

    answer = requests.Response()
    answer.status_code, answer.reason = 200, "OK"
    answer.url, answer.request = request.url, request
    answer.headers["Content-Type"] = "application/json"
    answer.encoding, answer.elapsed = "utf-8", datetime.timedelta(0)
    answer._content = b'{"meta":{"result_code":200,"result_subcode":0,"result_msg":"OK"},"data":{}}'
    return answer


def once(session, request, send, arguments):
    adapter = session.get_adapter(request.url)
    retries = adapter.max_retries
    try:
        adapter.max_retries = retries.new(total=0)
        return send(session, request, **arguments)
    finally:
        adapter.max_retries = retries


def pull(session, request, send, arguments):
    try:
        drop("task")
        put("fenced", "")
        if os.path.exists(os.path.join(run, "drain")):
            return nothing(request)
        put("task", "?")
    except OSError as e:
        return unfenced(session, request, send, arguments, e)
    try:
        answer = once(session, request, send, arguments)
    except Exception:
        drop("task")
        raise
    try:
        put("answered", "")
        entry = (answer.json().get("data") or {}).get("entry") or {}
        if not answer.ok or not entry:
            drop("task")
        else:
            put("task", str(entry["task"]))
            put("pulled", "%s %s" % (datetime.datetime.now(), entry["task"]))
    except Exception as e:
        print("ebb: an odd answer to queues.get_next_task: %r" % e)
    return answer


def unfenced(session, request, send, arguments, reason):
    print("ebb: no fence: %r" % reason)
    try:
        drop("fenced")
    except OSError:
        pass
    return send(session, request, **arguments)


def fence():
    import requests

    send = requests.Session.send

    def fenced(self, request, **arguments):
        if not (request.url or "").split("?")[0].rstrip("/").endswith("/queues.get_next_task"):
            return send(self, request, **arguments)
        try:
            lock = open(os.path.join(run, "lock"), "a")
        except OSError as e:
            return unfenced(self, request, send, arguments, e)
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return pull(self, request, send, arguments)

    requests.Session.send = fenced


if "--services-mode" not in sys.argv:
    try:
        fence()
    except Exception as e:
        print("ebb: no fence: %r" % e)
runpy.run_module("clearml_agent", run_name="__main__", alter_sys=True)
EBB_END_OF_FILE
cat >"$ebb_base/init-shell.sh" <<'EBB_END_OF_FILE' || exit 1
#!/bin/bash
# ebb: runs ~/.bashrc and the init script in one shell, as if they were pasted together, and
__ebb_dir=${0%/*}
__ebb_end() {
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
EBB_END_OF_FILE
cat >"$ebb_base/ebb-agent.service" <<'EBB_END_OF_FILE' || exit 1
[Unit]
Description=ClearML agent, run by ebb
Wants=network-online.target
After=network-online.target docker.service

[Service]
Type=simple
ExecStart=/bin/bash @EBB_DIR@/run-agent.sh
ExecStopPost=/bin/bash @EBB_DIR@/run-agent.sh stopped
Restart=no
StandardOutput=journal+console
StandardError=journal+console
KillMode=mixed
TimeoutStopSec=120
OOMPolicy=continue
TasksMax=infinity
LimitNOFILE=1048576

[Install]
WantedBy=multi-user.target
EBB_END_OF_FILE
# shellcheck source=/dev/null
. "$ebb_base/lib.sh" || exit 1
ebb_log_to bootstrap.log || exit 1

ebb_die() {
	ebb_say "FAILED: $*"
	exit 1
}

ebb_handed_over=
ebb_ended() {
	[ -n "$ebb_handed_over" ] && return
	ebb_say "the bootstrap ended without an agent after $SECONDS s"
	ebb_power_off
}
trap ebb_ended EXIT
trap 'exit 143' TERM INT HUP

ebb_hint() {
	local line secret
	tail -n 40 "$EBB_LOGS/bootstrap.log" | grep -v '^ebb-bootstrap: ' | grep . | tail -n 4 |
		sed -E 's#//[^/@[:space:]]+@#//***@#g' | cut -c 1-300 |
		while IFS= read -r line; do
			for secret in "$CLEARML_API_SECRET_KEY" "$CLEARML_API_ACCESS_KEY" "$CLEARML_AUTH_TOKEN"; do
				[ -z "$secret" ] || line=${line//"$secret"/***}
			done
			printf 'ebb-bootstrap:   | %s\n' "$line" >&3
		done
}

ebb_retry() {
	local what=$1 try code pause=10
	shift
	for try in 1 2 3 4 5; do
		"$@" && return 0
		code=$?
		ebb_say "$what: try $try of 5 ended with exit code $code"
		[ "$try" -lt 5 ] || break
		sleep "$pause"
		pause=$((pause * 2))
	done
	ebb_hint
	return "$code"
}

ebb_has() { command -v "$1" >/dev/null; }

ebb_packages() {
	if ebb_has apt-get; then
		export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
		timeout -k 30 900 dpkg --configure -a
		timeout -k 30 900 apt-get -o DPkg::Lock::Timeout=300 -qq update 3>&- </dev/null &&
			timeout -k 30 1800 apt-get -o DPkg::Lock::Timeout=600 -qq -y \
				--no-install-recommends install "$@" 3>&- </dev/null
	elif ebb_has dnf; then
		timeout -k 30 1800 dnf -q -y install "$@" 3>&- </dev/null
	else
		ebb_say "neither apt-get nor dnf here: the image must bring $*"
		return 1
	fi
}

ebb_python() {
	local name
	for name in python3 python3.13 python3.12 python3.11 python3.10; do
		if ebb_has "$name" && "$name" -c "import ensurepip, venv, sys; sys.exit(sys.version_info < (3, $1))"; then
			echo "$name"
			return 0
		fi
	done
	return 1
}

ebb_tools() {
	local build=
	[ -n "$EBB_DOCKER" ] || build=1 # without docker the tasks' packages are built right here
	if ebb_has git && ebb_python 10 && { [ -z "$build" ] || ebb_has gcc; }; then
		return 0
	fi
	if ebb_has apt-get; then
		ebb_packages ca-certificates git python3 python3-venv ${build:+build-essential python3-dev python3-pip}
	else
		ebb_packages git python3.11 python3.11-pip ${build:+gcc gcc-c++ make python3.11-devel} ||
			ebb_packages git python3 python3-pip ${build:+gcc gcc-c++ make python3-devel}
	fi
}

ebb_docker() {
	local try
	if ! ebb_has docker; then
		if ebb_has apt-get; then
			ebb_packages ca-certificates docker.io || return
		else
			ebb_packages docker || return
		fi
	fi
	timeout 300 systemctl enable --now docker.service
	for try in {1..30}; do
		timeout 30 docker info >/dev/null && return 0
		sleep "$((try < 5 ? try : 5))"
	done
	return 1
}

ebb_agent_installed() {
	[ -x "$EBB_DIR/venv/bin/python" ] && "$EBB_DIR/venv/bin/python" -c \
		'import sys; from clearml_agent.version import __version__ as v; sys.exit(v != sys.argv[1])' \
		"$EBB_AGENT_VERSION"
}

ebb_agent() {
	local python
	ebb_agent_installed && return 0
	python=$(ebb_python 10 || ebb_python 8) || return
	timeout -k 30 300 "$python" -m venv --clear "$EBB_DIR/venv" 3>&- &&
		timeout -k 30 1200 "$EBB_DIR/venv/bin/python" -m pip --disable-pip-version-check --no-input \
			-q install "clearml-agent==$EBB_AGENT_VERSION" 3>&- </dev/null &&
		ebb_agent_installed
}

ebb_identify() {
	local type
	EBB_INSTANCE_ID=$(ebb_metadata_like instance-id '^i-[0-9a-zA-Z]+$') || return
	case $EBB_WORKER_NAME in
	*:*:*) ;;
	*)
		type=$(ebb_metadata_like instance-type '^[a-z0-9][a-z0-9.-]*$') || return
		EBB_WORKER_NAME=$EBB_WORKER_NAME:$type
		;;
	esac
	EBB_WORKER_ID=$EBB_WORKER_NAME:$EBB_INSTANCE_ID
}

ebb_assign() { printf '%s=%q\n' "$1" "$2"; }
ebb_export() { [ -z "$2" ] || printf 'export %s=%q\n' "$1" "$2"; }

ebb_files() {
	local conf='' name
	ebb_write 0600 "$EBB_DIR/settings" "$(
		ebb_assign EBB_WORKER_ID "$EBB_WORKER_ID"
		ebb_assign EBB_INSTANCE_ID "$EBB_INSTANCE_ID"
		ebb_assign EBB_QUEUES "$EBB_QUEUES"
		ebb_assign EBB_DOCKER "$EBB_DOCKER"
		ebb_assign EBB_CPU_ONLY "$EBB_CPU_ONLY"
		ebb_assign EBB_IMDS "$EBB_IMDS"
		ebb_assign EBB_AUTOSCALER "$EBB_AUTOSCALER"
		ebb_assign EBB_HOME_QUERY "$EBB_HOME_QUERY"
		ebb_assign EBB_MAX_IDLE_SECONDS "$EBB_MAX_IDLE_SECONDS"
		ebb_assign EBB_UNREACHABLE_SECONDS "$EBB_UNREACHABLE_SECONDS"
		for name in TICK POLL GRACE HTTP STOP UNFENCED CHILDLESS STUCK DEADMAN; do
			name=EBB_${name}_SECONDS
			[ -z "${!name:-}" ] || ebb_assign "$name" "${!name}"
		done
	)" || return
	ebb_write 0600 "$EBB_DIR/agent.env" "$(
		ebb_export CLEARML_WORKER_ID "$EBB_WORKER_ID"
		ebb_export CLEARML_API_HOST "$CLEARML_API_HOST"
		ebb_export CLEARML_WEB_HOST "$CLEARML_WEB_HOST"
		ebb_export CLEARML_FILES_HOST "$CLEARML_FILES_HOST"
		ebb_export CLEARML_API_ACCESS_KEY "$CLEARML_API_ACCESS_KEY"
		ebb_export CLEARML_API_SECRET_KEY "$CLEARML_API_SECRET_KEY"
		ebb_export CLEARML_AUTH_TOKEN "$CLEARML_AUTH_TOKEN"
		[ -z "$EBB_CPU_ONLY" ] || ebb_export NVIDIA_VISIBLE_DEVICES none
	)" || return
	if [ -r "$HOME/clearml.conf" ]; then
		conf=$(sed '/^# ebb: from here on/,$d' "$HOME/clearml.conf")$'\n'
	fi
	ebb_write 0600 "$HOME/clearml.conf" "$conf$EBB_CLEARML_CONF" || return
	rm -f "$EBB_DIR/init.env" "$EBB_DIR/init.end" "$EBB_DIR/init-script.sh"
	[ -z "$EBB_INIT_SCRIPT" ] || ebb_write 0600 "$EBB_DIR/init-script.sh" "$EBB_INIT_SCRIPT"
}

ebb_init_once() {
	(umask 077 && : >>"$EBB_LOGS/init.log")
	rm -f "$EBB_DIR/init.end"
	timeout -k 30 7200 bash "$EBB_DIR/init-shell.sh" "$1" >>"$EBB_LOGS/init.log" 2>&1 3>&- </dev/null
}

ebb_init() {
	local mode=bashrc stage=script code
	[ -z "$EBB_EXCLUDE_BASHRC" ] || mode=plain
	[ "$mode" = bashrc ] || [ -n "$EBB_INIT_SCRIPT" ] || return 0
	[ -z "$EBB_INIT_SCRIPT" ] || ebb_say "running the init script"
	ebb_init_once "$mode"
	code=$?
	[ ! -r "$EBB_DIR/init.end" ] || stage=$(<"$EBB_DIR/init.end")
	if [ "$stage" = bashrc ] && [ "$code" != 124 ]; then
		ebb_say "/root/.bashrc ended its shell with exit code $code: going on without it"
		stage=script
		ebb_init_once plain
		code=$?
		[ ! -r "$EBB_DIR/init.end" ] || stage=$(<"$EBB_DIR/init.end")
	fi
	[ "$code" = 0 ] && return 0
	[ "$code" != 124 ] || ebb_die "/root/.bashrc and the init script did not end within 7200 s"
	[ "$stage" = "done" ] || ebb_die "the init script ended its shell with exit code $code, so it wants no agent here"
	[ -z "$EBB_INIT_SCRIPT" ] ||
		ebb_say "WARNING: the init script's last command failed with exit code $code; going on all the same"
}

ebb_service() {
	local unit
	unit=$(sed "s#@EBB_DIR@#$EBB_DIR#" "$EBB_DIR/ebb-agent.service")$'\n'
	ebb_write 0644 "${EBB_ROOT:-}/etc/systemd/system/ebb-agent.service" "$unit" &&
		timeout 60 systemctl daemon-reload && timeout 60 systemctl enable ebb-agent.service &&
		timeout 120 systemctl restart ebb-agent.service
}

ebb_main() {
	ebb_say "started"
	timeout 60 systemctl disable --now apt-daily.timer apt-daily-upgrade.timer
	ebb_has curl || ebb_retry "installing curl" ebb_packages ca-certificates curl ||
		ebb_die "curl is not here and could not be installed"
	ebb_identify || ebb_die "the instance metadata service (IMDSv2) gave no instance id or type, so there is no worker id"
	ebb_say "worker $EBB_WORKER_ID"
	ebb_retry "installing packages" ebb_tools || ebb_die "git and python could not be installed"
	if [ -n "$EBB_DOCKER" ]; then
		ebb_retry "preparing docker" ebb_docker || ebb_die "docker could not be installed or started"
	fi
	ebb_retry "installing clearml-agent $EBB_AGENT_VERSION" ebb_agent ||
		ebb_die "clearml-agent could not be installed"
	ebb_files || ebb_die "the agent's files could not be written: is the disk full?"
	ebb_init
	ebb_retry "starting ebb-agent.service" ebb_service || ebb_die "ebb-agent.service could not be started"
	ebb_handed_over=1
	ebb_say "set up after $SECONDS s; ebb-agent.service has the machine now"
}

ebb_main
