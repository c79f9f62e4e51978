# Reads a Go cover profile, prints the share of statements that ran and the first
# forty blocks that did not, and fails below the threshold.
#   awk -v min=95 -v name=./actors/decide -f cover.awk profile
# A block occurs once per test binary that covered it: it ran if any of them ran it.
FNR == 1 { next }
{
	statements[$1] = $2
	if ($3 > 0) ran[$1] = 1
}
END {
	for (block in statements) {
		total += statements[block]
		if (block in ran) covered += statements[block]
		else missed[++missing] = block " (" statements[block] ")"
	}
	if (total == 0) {
		printf "coverage of %s: the profile holds no statement\n", name > "/dev/stderr"
		exit 1
	}
	percent = 100 * covered / total
	printf "coverage of %s: %.1f %% of %d statements (at least %s %%)\n", name, percent, total, min
	fflush()
	in_order = "sort -t: -k2,2 -k3n | head -n 40 >&2"
	for (i = 1; i <= missing; i++) print "  not run: " missed[i] | in_order
	if (missing > 0) close(in_order)
	if (percent < min) {
		printf "coverage of %s is %.1f %%, below %s %%: test the blocks listed above\n", name, percent, min > "/dev/stderr"
		exit 1
	}
}
