#!/bin/bash
# ebb: what the bootstrap and the agent's runner share. Sourced, never run.

EBB_DIR="${EBB_ROOT:-}/opt/ebb"
EBB_LOGS="${EBB_ROOT:-}/var/log/ebb"
export HOME="${EBB_ROOT:-}/root"
if [ -z "${EBB_ROOT:-}" ]; then
	export PATH="${PATH:-/usr/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
fi

# Only what goes through here reaches the console, so it must never hold a secret.
ebb_say() {
	printf 'ebb-bootstrap: %s\n' "$*" >&3
	printf 'ebb-bootstrap: %s\n' "$*"
}

# ebb_log_to NAME: the console stays on fd 3, all other output goes to a file for root only.
ebb_log_to() {
	exec 3>&1
	mkdir -p "$EBB_LOGS" && chmod 0700 "$EBB_LOGS" || return
	(umask 077 && : >>"$EBB_LOGS/$1") && chmod 0600 "$EBB_LOGS/$1" || return
	exec >>"$EBB_LOGS/$1" 2>&1
}

# ebb_write MODE PATH CONTENT: whole or not at all, and never readable by others in between.
ebb_write() {
	mkdir -p "${2%/*}" || return
	(umask 077 && printf '%s' "$3" >"$2.ebb-new") || return
	chmod "$1" "$2.ebb-new" && mv -f "$2.ebb-new" "$2"
}

# ebb_metadata PATH [SECONDS]: one answer of the instance metadata service, version 2 only.
ebb_metadata() {
	local token limit=${2:-5}
	token=$(curl -sSf --noproxy '*' -m "$limit" -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' \
		"$EBB_IMDS/latest/api/token") && [ -n "$token" ] || return 1
	printf 'header = "X-aws-ec2-metadata-token: %s"\n' "$token" |
		curl -sSf --noproxy '*' -m "$limit" -K - "$EBB_IMDS/latest/meta-data/$1"
}

# ebb_metadata_like PATH REGEX: asks until the answer looks right, some two minutes at most.
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

# ebb_power_off ends the machine: one that runs no agent only costs money.
ebb_power_off() {
	if [ -e "$EBB_DIR/keep" ]; then
		ebb_say "$EBB_DIR/keep exists: not powering off, and the machine goes on costing money"
		return
	fi
	# A reboot stops the service too; turning it into a shutdown would end a machine that comes back.
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
