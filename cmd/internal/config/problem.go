package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// Path is the key, as in "autoscalers[0].resources[1].ami_id"; "" is the
	// whole file.
	Path string `json:"path"`
	// Where is the file, environment variable or flag that the value came from.
	Where string `json:"where,omitempty"`
	// Line is the line in the file, counted from 1; 0 when it is not known.
	Line int `json:"line,omitempty"`
	// Message says what is wrong, Fix what to write instead. Neither contains a
	// secret.
	Message string `json:"message"`
	Fix     string `json:"fix"`
}

// String is the problem on one line: place, path, what is wrong, what to do.
func (p Problem) String() string {
	var b strings.Builder
	if p.Where != "" {
		b.WriteString(p.Where)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Fix != "" {
		b.WriteString("; " + p.Fix)
	}
	return b.String()
}

// Errors is every problem that was found, in the order of the file. It is never
// empty when it is returned as an error.
type Errors []Problem

// Error lists the problems, one a line.
func (e Errors) Error() string {
	lines := make([]string, 0, len(e)+1)
	if len(e) != 1 {
		lines = append(lines, fmt.Sprintf("%d problems in the configuration", len(e)))
	}
	for _, p := range e {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// orNil is e as an error, nil when nothing is wrong.
func (e Errors) orNil() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// sorted puts problems in the order a person reads the file in, those without a
// line last, and drops repetitions.
func sorted(problems []Problem) Errors {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		if (a.Line == 0) != (b.Line == 0) {
			return b.Line - a.Line
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Path, b.Path))
	})
	return slices.Compact(problems)
}

// Nearest is the known word that a misspelled one means, "" when none is close.
func Nearest(word string, known []string) string { return nearest(word, known) }

// nearest returns the word of known that is closest to word, or "" when none is
// close enough to be what was meant: of kill and all hardly a letter is the same,
// and a wrong guess is worse than none.
func nearest(word string, known []string) string {
	best, least := "", len(word)
	word = strings.ToLower(word)
	for _, k := range known {
		lower := strings.ToLower(k)
		d := editDistance(word, lower)
		if len(word) > 2 && strings.HasPrefix(lower, word+"_") || len(lower) > 2 && strings.HasPrefix(word, lower+"_") {
			d = 1 // ami is short for ami_id
		}
		if d < least && d <= slips(min(len(word), len(k))) {
			best, least = k, d
		}
	}
	return best
}

// slips is how many letters may be wrong in a word of a length that is still meant:
// one in a short word, one in three of a longer one, none where nothing would be left.
func slips(length int) int {
	const short = 3
	if length < short {
		return 0
	}
	return length / short
}

// editDistance counts the single-byte insertions, deletions, replacements and
// swaps of neighbors that turn a into b.
func editDistance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(last[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// child is the path of key inside parent.
func child(parent, key string) string {
	if parent == "" {
		return key
	}
	return parent + "." + key
}

// item is the path of element i of parent.
func item(parent string, i int) string { return fmt.Sprintf("%s[%d]", parent, i) }

// enclosing is the path around path: the list of an element, the object of a key,
// "" at the top.
func enclosing(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }
