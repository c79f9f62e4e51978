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
	local token
	token=$(curl -sSf --noproxy '*' -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' \
		"$EBB_IMDS/latest/api/token") && [ -n "$token" ] || return 1
	printf 'header = "X-aws-ec2-metadata-token: %s"\n' "$token" |
		curl -sSf --noproxy '*' -m 5 -K - "$EBB_IMDS/latest/meta-data/$1"
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
# shellcheck source=/dev/null
. "${0%/*}/lib.sh"
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
	ebb_say "starting the agent $EBB_WORKER_ID on ${#queues[@]} queue(s)"
	"$EBB_DIR/venv/bin/python" -u -m clearml_agent "${arguments[@]}" \
		>>"$EBB_LOGS/agent.log" 2>&1 3>&- </dev/null &
	agent=$!
}

ebb_trim() {
	while sleep 300 && kill -0 "$agent"; do
		if [ "$(stat -c %s "$EBB_LOGS/agent.log")" -gt 209715200 ]; then
			(umask 077 && tail -c 20971520 "$EBB_LOGS/agent.log" >"$EBB_LOGS/agent.log.1")
			: >"$EBB_LOGS/agent.log"
		fi
	done
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

agent='' stopping=''
ebb_stop() {
	stopping=1
	[ -z "$agent" ] || kill -TERM "$agent"
}
trap ebb_stop TERM INT HUP
ebb_environment
[ -z "$stopping" ] || exit 0
ebb_start_agent
[ -z "$stopping" ] || ebb_stop
ebb_trim 3>&- &
trimmer=$!
while :; do
	wait "$agent"
	code=$?
	kill -0 "$agent" 2>/dev/null || break # otherwise a signal ended the wait, not the agent
done
kill "$trimmer"
ebb_say "the agent ended with exit code $code after $SECONDS s"
ebb_diagnose
exit 0
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
	local conf=
	ebb_write 0600 "$EBB_DIR/settings" "$(
		ebb_assign EBB_WORKER_ID "$EBB_WORKER_ID"
		ebb_assign EBB_INSTANCE_ID "$EBB_INSTANCE_ID"
		ebb_assign EBB_QUEUES "$EBB_QUEUES"
		ebb_assign EBB_DOCKER "$EBB_DOCKER"
		ebb_assign EBB_CPU_ONLY "$EBB_CPU_ONLY"
		ebb_assign EBB_IMDS "$EBB_IMDS"
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
