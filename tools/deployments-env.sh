#!/usr/bin/env bash
# Prepares what `make deployments` needs beside Go and Helm: programs of the operating
# system, and a Python environment with the pinned requirements. Does nothing when all
# of it is there already.
#   tools/deployments-env.sh VENV REQUIREMENTS
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${1:?usage: tools/deployments-env.sh VENV REQUIREMENTS}
requirements=${2:?usage: tools/deployments-env.sh VENV REQUIREMENTS}

missing=()
command -v systemd-analyze >/dev/null || missing+=(systemd)
command -v unshare >/dev/null && command -v setpriv >/dev/null || missing+=(util-linux)
[ -s /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
if [ "${#missing[@]}" -gt 0 ]; then
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		echo "make deployments needs systemd-analyze, unshare, setpriv and certificate authorities: install them (Debian, Ubuntu: sudo apt-get install ${missing[*]})" >&2
		exit 1
	fi
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" </dev/null
fi
exec bash tools/real-env.sh "$venv" "$requirements"
