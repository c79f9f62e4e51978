#!/usr/bin/env bash
# Runs every fuzz target of the module for a while, one after the other.
#   tools/fuzz.sh 15s
set -euo pipefail
cd "$(dirname "$0")/.."

duration=${1:?usage: tools/fuzz.sh DURATION, for example 15s}
found=0
while IFS=: read -r file target; do
	found=$((found + 1))
	echo "fuzz ${target} in $(dirname "$file") for ${duration}"
	# Shrinking what is interesting may take as long as the whole run by default
	# (60s an input); 20 tries leave the time to fuzzing.
	go test -run '^$' -fuzz "^${target}\$" -fuzztime "$duration" -fuzzminimizetime 20x "./$(dirname "$file")"
done < <(git ls-files --cached --others --exclude-standard '*_test.go' |
	xargs -r grep -HoE '^func Fuzz[A-Za-z0-9_]*' | sed 's/:func /:/')

if [ "$found" -eq 0 ]; then
	echo "tools/fuzz.sh: no fuzz target in this tree" >&2
	exit 1
fi
