package cli

import (
	"slices"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"
)

// TestLongNames: they are shortened in their middle, so that what stands behind them
// is seen; numbers and short names are left whole.
func TestLongNames(t *testing.T) {
	t.Parallel()

	long := "research-" + strings.Repeat("very-", 20) + "long"
	rows := [][]string{
		{long + "-a", "12", "gpu, " + long, "2 covered: gpu at its max of 2"},
		{long + "-训练b", "1", "gpu", "nothing waits"},
		{"i-0123456789abcdef0", "3", "cpu", "nothing waits"},
	}
	heads := columns("QUEUE", "#WAITING", "SERVED BY", "WHY")
	for _, width := range []int{100, 120, 400} {
		lines := tableLines(heads, slices.Clone(rows), width)
		text := strings.Join(lines, "\n")
		for _, line := range lines {
			if lipgloss.Width(line) > width {
				t.Errorf("%d columns wide, %d are there: %s", lipgloss.Width(line), width, line)
			}
		}
		for _, want := range []string{"-a  ", "训练b  ", "i-0123456789abcdef0  ", "12", "gpu at its max of 2", "WHY"} {
			if !strings.Contains(text, want) {
				t.Errorf("at %d columns without %q:\n%s", width, want, text)
			}
		}
		if whole := strings.Contains(text, long); whole != (width == 400) {
			t.Errorf("at %d columns long names are whole: %t\n%s", width, whole, text)
		}
	}
	if got := tableLines(heads, slices.Clone(rows), 0); !strings.Contains(got[1], long) {
		t.Errorf("shortened where any width is well: %s", got[1])
	}
}
