package eventtext

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/ebbscale/ebb/messages"
)

// PartMax is how many characters of one text from outside a line shows.
const PartMax = 300

// kindWidth is the width of the longest kind, so that subjects stand in a column.
const kindWidth = len("autoscaler.misconfigured")

// Line is the event on one line: time, autoscaler, kind, subject, and what
// happened in words. It does not end in a line break.
func Line(r messages.Recorded) string {
	if r.Event == nil {
		return line(r.At, string(r.Autoscaler), "unknown", "", "")
	}
	return line(r.At, string(r.Autoscaler), r.Event.Kind(), r.Event.About(), Words(r.Event))
}

// Unknown is the line of an event whose kind this version does not know; data
// is shown as it is, but for control characters.
func Unknown(at time.Time, autoscaler, kind, about, data string) string {
	return line(at, autoscaler, kind, about, clean(data))
}

func line(at time.Time, autoscaler, kind, about, words string) string {
	parts := []string{clock(at), clean(autoscaler), fmt.Sprintf("%-*s", kindWidth, clean(kind))}
	for _, part := range []string{clean(about), words} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.TrimRight(strings.Join(parts, "  "), " ")
}

// clock is a moment in UTC, to the second.
func clock(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// seconds is a duration as an event tells it.
func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

// counted is "1 instance" or "3 instances".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func joined[T ~string](names []T) string {
	if len(names) == 0 {
		return "none"
	}
	parts := make([]string, 0, len(names))
	for _, n := range names {
		parts = append(parts, clean(string(n)))
	}
	return strings.Join(parts, ", ")
}

// Clean makes text from outside fit for one line of a terminal.
func Clean(text string) string { return clean(text) }

// clean makes text from outside fit for one line of a terminal.
func clean(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if runes := []rune(text); len(runes) > PartMax {
		text = string(runes[:PartMax]) + "…"
	}
	return text
}
