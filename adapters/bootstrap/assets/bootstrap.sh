trap 'echo "ebb-bootstrap: ended before it could set itself up, powering off"; shutdown -h now || poweroff -f' EXIT
set -u
ebb_base="${EBB_ROOT:-}/opt/ebb"
mkdir -p "$ebb_base" && chmod 0755 "$ebb_base" || exit 1
cat >"$ebb_base/lib.sh" <<'EBB_END_OF_FILE' || exit 1
@lib.sh@
EBB_END_OF_FILE
cat >"$ebb_base/run-agent.sh" <<'EBB_END_OF_FILE' || exit 1
@run-agent.sh@
EBB_END_OF_FILE
cat >"$ebb_base/channel.sh" <<'EBB_END_OF_FILE' || exit 1
@channel.sh@
EBB_END_OF_FILE
cat >"$ebb_base/supervise.sh" <<'EBB_END_OF_FILE' || exit 1
@supervise.sh@
EBB_END_OF_FILE
cat >"$ebb_base/agent.py" <<'EBB_END_OF_FILE' || exit 1
@agent.py@
EBB_END_OF_FILE
cat >"$ebb_base/init-shell.sh" <<'EBB_END_OF_FILE' || exit 1
@init-shell.sh@
EBB_END_OF_FILE
cat >"$ebb_base/ebb-agent.service" <<'EBB_END_OF_FILE' || exit 1
@ebb-agent.service@
EBB_END_OF_FILE
# shellcheck source=/dev/null
. "$ebb_base/lib.sh" || exit 1
ebb_log_to bootstrap.log || exit 1

ebb_die() {
	ebb_say "FAILED: $*"
	exit 1
}

# Whatever ends this script before the service has the machine ends the machine.
ebb_handed_over=
ebb_ended() {
	[ -n "$ebb_handed_over" ] && return
	ebb_say "the bootstrap ended without an agent after $SECONDS s"
	ebb_power_off
}
trap ebb_ended EXIT
trap 'exit 143' TERM INT HUP

# ebb_hint shows the last lines of the log, with every secret that this script knows blotted out.
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

# ebb_retry WHAT COMMAND…: five tries, 10, 20, 40 and 80 s apart.
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

# ebb_packages NAME…: installs packages. Waits for the locks that the image's own updates hold.
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

# ebb_python prints the first Python that can make a virtual environment; $1 is the least 3.x.
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

# ebb_tools installs what is missing, so that a prepared image starts at once.
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

# ebb_identify finds out who this machine is. An agent under a wrong id would never be found again.
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

# ebb_assign NAME VALUE: a line that gives a shell this value again, whatever is in it.
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
	# What the image's own clearml.conf says stays, ours comes after it and wins.
	if [ -r "$HOME/clearml.conf" ]; then
		conf=$(sed '/^# ebb: from here on/,$d' "$HOME/clearml.conf")$'\n'
	fi
	ebb_write 0600 "$HOME/clearml.conf" "$conf$EBB_CLEARML_CONF" || return
	rm -f "$EBB_DIR/init.env" "$EBB_DIR/init.end" "$EBB_DIR/init-script.sh"
	[ -z "$EBB_INIT_SCRIPT" ] || ebb_write 0600 "$EBB_DIR/init-script.sh" "$EBB_INIT_SCRIPT"
}

# ebb_init_once MODE: prints nothing; init.end says how far it came.
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
	# The image's own updates would hold the locks, and restart docker under a task.
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
