#!/usr/bin/env bash
# Prepares what the contract tests need beside Go: a Python environment with the
# pinned requirements, shellcheck, npm and a browser. Does nothing when all of it is
# there already.
#   tools/real-env.sh VENV REQUIREMENTS
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${1:?usage: tools/real-env.sh VENV REQUIREMENTS}
requirements=${2:?usage: tools/real-env.sh VENV REQUIREMENTS}

updated=no
need() { # need WHAT PACKAGE...: installs PACKAGEs, or says who has to.
	local what=$1
	shift
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		echo "make test-real needs $what: install it (Debian, Ubuntu: sudo apt-get install $*)" >&2
		exit 1
	fi
	if [ "$updated" = no ]; then
		apt-get update -qq
		updated=yes
	fi
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" </dev/null
}

command -v shellcheck >/dev/null || need shellcheck shellcheck
command -v python3 >/dev/null || need "python3 (3.10 or newer)" python3 python3-venv
python3 -c 'import ensurepip, venv' 2>/dev/null || need "the venv module of python3" python3-venv
command -v npm >/dev/null || need "npm (with Node 20 or newer)" nodejs npm
command -v chromium >/dev/null || need chromium chromium

if [ ! -f "$requirements" ]; then
	echo "make test-real: $requirements is missing: it pins the software the contract tests talk to" >&2
	exit 1
fi

# The stamp is what the environment was made from; any change makes it anew.
stamp="$(python3 --version) $(cksum <"$requirements")"
if [ -x "$venv/bin/python" ] && [ "$(cat "$venv/ebb-stamp" 2>/dev/null)" = "$stamp" ]; then
	exit 0
fi
echo "preparing $venv from $requirements"
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$requirements"
echo "$stamp" >"$venv/ebb-stamp"
