package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// WriteText writes the report for people: grouped, one line for each check, and
// below those that did not end well what to do. What was not checked for the
// same reason shares a line.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	group := "\x00"
	for i := 0; i < len(r); i++ {
		c := r[i]
		if c.Autoscaler != group {
			group = c.Autoscaler
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(heading(group))
		}
		if c.Status == NotChecked {
			i += r.writeSkipped(&b, i)
			continue
		}
		c.write(&b)
	}
	fmt.Fprintf(&b, "\n%s\n", r.Summary())
	_, err := io.WriteString(w, b.String())
	return err
}

func heading(autoscaler string) string {
	if autoscaler == "" {
		return "this process\n"
	}
	return "autoscaler " + autoscaler + "\n"
}

// margin is in front of what continues a line.
const margin = "        "

func (c Check) write(b *strings.Builder) {
	word := map[Status]string{OK: "ok", Warn: "warn", Fail: "FAIL", NotChecked: "-"}[c.Status]
	about := string(c.ID)
	if c.Subject != "" {
		about += " " + c.Subject
	}
	fmt.Fprintf(b, "  %-4s  %s: %s\n", word, about, c.Message)
	if c.Fix != "" && !strings.HasSuffix(c.Message, c.Fix) { // a problem of the configuration has it in its line
		fmt.Fprintf(b, "%sto do: %s\n", margin, c.Fix)
	}
}

// writeSkipped writes what stands at i and all that follows it and was not
// checked for the same reason, and says how many more these are.
func (r Report) writeSkipped(b *strings.Builder, i int) int {
	first := r[i]
	var ids []string
	more := -1
	for _, c := range r[i:] {
		if c.Autoscaler != first.Autoscaler || c.Status != NotChecked || c.Message != first.Message {
			break
		}
		more++
		about := string(c.ID)
		if c.Subject != "" {
			about += " " + c.Subject
		}
		ids = append(ids, about)
	}
	fmt.Fprintf(b, "  %-4s  %s: %s\n", "-", strings.Join(ids, ", "), first.Message)
	return more
}

// WriteJSON writes the report for programs: an array of checks.
func (r Report) WriteJSON(w io.Writer) error {
	if r == nil {
		r = Report{}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
