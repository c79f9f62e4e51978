package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// column is a heading; numbers stand to the right.
type column struct {
	name  string
	right bool
}

// columns are headings; one that begins with # is of numbers.
func columns(names ...string) []column {
	all := make([]column, 0, len(names))
	for _, name := range names {
		text, right := strings.CutPrefix(name, "#")
		all = append(all, column{text, right})
	}
	return all
}

// narrow is the width below which a table leaves out what one can do without.
const narrow = 100

// isNarrow says whether a terminal of the width has no room for everything.
func isNarrow(width int) bool { return width > 0 && width < narrow }

// without leaves out a column.
func without(heads []column, rows [][]string, name string) ([]column, [][]string) {
	at := slices.IndexFunc(heads, func(c column) bool { return c.name == name })
	heads = slices.Delete(heads, at, at+1)
	for n, row := range rows {
		rows[n] = slices.Delete(row, at, at+1)
	}
	return heads, rows
}

// tableLines are a heading and rows under it, with two spaces between columns, no
// line wider than width; 0 is any width.
func tableLines(heads []column, rows [][]string, width int) []string {
	widths := make([]int, len(heads))
	names := make([]string, len(heads))
	for n, head := range heads {
		names[n], widths[n] = head.name, lipgloss.Width(head.name)
	}
	for _, row := range rows {
		for n, cell := range row {
			widths[n] = max(widths[n], lipgloss.Width(cell))
		}
	}
	fit(heads, widths, width)
	lines := make([]string, 0, len(rows)+1)
	for _, row := range append([][]string{names}, rows...) {
		var b strings.Builder
		for n, cell := range row {
			cell = clipMiddle(cell, widths[n])
			pad := strings.Repeat(" ", widths[n]-lipgloss.Width(cell))
			if heads[n].right {
				b.WriteString(pad + cell + "  ")
			} else {
				b.WriteString(cell + pad + "  ")
			}
		}
		lines = append(lines, clip(strings.TrimRight(b.String(), " "), width))
	}
	return lines
}

const (
	// nameLeast is the width that a column of text keeps: an instance id and each state fit in.
	nameLeast = 24
	// lastLeast is what the last column is to have when the others can make room.
	lastLeast = 32
)

// fit takes from the widest columns of text what the last one lacks, so that long
// names do not push it off the terminal.
func fit(heads []column, widths []int, width int) {
	if width <= 0 || len(heads) == 0 {
		return
	}
	last := len(heads) - 1
	over := min(widths[last], lastLeast) - width
	for _, w := range widths[:last] {
		over += w + len("  ")
	}
	for ; over > 0; over-- {
		widest := -1
		for n, w := range widths[:last] {
			if !heads[n].right && w > nameLeast && (widest < 0 || w > widths[widest]) {
				widest = n
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// clipMiddle shortens a name to so many columns: what tells names apart is often at
// their end.
func clipMiddle(text string, width int) string {
	if lipgloss.Width(text) <= width {
		return text
	}
	letters := []rune(text)
	end := len(letters)
	for used := 0; end > 0; end-- {
		wide := lipgloss.Width(string(letters[end-1]))
		if used+wide > (width-1)/2 {
			break
		}
		used += wide
	}
	tail := string(letters[end:])
	return clip(text, width-lipgloss.Width(tail)) + tail
}

// clip shortens a text to what fits into so many columns of a terminal, and says
// so with an ellipsis; 0 is any number.
func clip(text string, width int) string {
	if width <= 0 || len(text) <= width || lipgloss.Width(text) <= width {
		return text
	}
	var b strings.Builder
	used := 0
	for _, r := range text {
		wide := lipgloss.Width(string(r))
		if used+wide > width-1 {
			break
		}
		used += wide
		b.WriteRune(r)
	}
	return b.String() + "…"
}

// span is a duration in its two largest units: 45s, 12m, 3h12m, 2d4h.
func span(d time.Duration) string {
	switch d = max(0, d); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}
