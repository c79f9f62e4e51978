# Sourced by every stub: notes the call and fails as often as the test asked for.
set -u
stub=${0##*/}
printf '%s %s\n' "$stub" "$*" >>"$EBB_TEST/calls"
# failing NAME: the file fail.NAME holds how many more calls are to fail.
failing() {
	local left=0
	[ ! -r "$EBB_TEST/fail.$1" ] || left=$(<"$EBB_TEST/fail.$1")
	[ "$left" -gt 0 ] || return 1
	echo $((left - 1)) >"$EBB_TEST/fail.$1"
	echo "E: $1 failed at https://user:hunter2@mirror.example.com/ with ${EBB_TEST_LEAK:-}" >&2
}
