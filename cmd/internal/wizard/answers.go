package wizard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// Answers are values by the path of their key. A value is text, bool, a number, a
// list of text, or for tags and extra_launch_parameters an object; text is taken for
// every kind, as forms have it. "" is no answer.
type Answers map[string]any

// elementsMost bounds the elements of a list in answers, which come from outside.
const elementsMost = 1000

// UnmarshalJSON keeps whole numbers whole.
func (a *Answers) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var m map[string]any
	if err := decoder.Decode(&m); err != nil {
		return fmt.Errorf("read answers: %w", err)
	}
	for key, v := range m {
		m[key] = withNumbers(v)
	}
	*a = m
	return nil
}

func withNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case []any:
		for i := range v {
			v[i] = withNumbers(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = withNumbers(v[key])
		}
	}
	return v
}

// Text is the answer to a field as a form shows it; "" when there is none.
func (a Answers) Text(id string) string {
	switch v := a[id].(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		parts := make([]string, 0, len(v))
		for _, e := range v {
			parts = append(parts, fmt.Sprint(e))
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, fmt.Sprintf("%s=%v", key, v[key]))
		}
		return strings.Join(parts, ",")
	default:
		return fmt.Sprint(v)
	}
}

// Set answers a field with text, as a form or a command line has it. Text that says
// what the answer says already changes nothing, so that a form which shows less than
// the value (a tag with a comma) does not spoil it.
func (a Answers) Set(id, text string) {
	if _, answered := a[id]; answered && a.Text(id) == text {
		return
	}
	k, _ := config.KeyAt(id)
	if text == "" {
		delete(a, id)
		return
	}
	a[id] = k.Value(text)
}

// Elements counts the elements of a list: one more than the highest number.
func (a Answers) Elements(list string) int {
	n := 0
	for path := range a {
		rest, inside := strings.CutPrefix(path, list+"[")
		number, _, closed := strings.Cut(rest, "]")
		if i, err := strconv.Atoi(number); inside && closed && err == nil && i >= 0 && i < elementsMost {
			n = max(n, i+1)
		}
	}
	return n
}

// Remove takes an element out of a list; those after it move up.
func (a Answers) Remove(list string, element int) {
	for path, v := range maps.Clone(a) {
		rest, inside := strings.CutPrefix(path, list+"[")
		number, tail, closed := strings.Cut(rest, "]")
		i, err := strconv.Atoi(number)
		if !inside || !closed || err != nil || i < element {
			continue
		}
		delete(a, path)
		if i > element {
			defer func() { a[fmt.Sprintf("%s[%d]%s", list, i-1, tail)] = v }()
		}
	}
}

// Asked reports whether the field is to be asked, given the other answers.
func Asked(f Field, fields []Field, a Answers) bool {
	for _, c := range f.When {
		text := a.Text(c.Field)
		if i := slices.IndexFunc(fields, func(o Field) bool { return o.ID == c.Field }); i >= 0 {
			if text == "" {
				text = fields[i].Default
			}
			if !Asked(fields[i], fields, a) {
				text = ""
			}
		}
		if slices.Contains(c.Is, text) == c.Not {
			return false
		}
	}
	return true
}

// StepsFor are the steps as these answers have them: the repeated one once for each
// element, at least once.
func StepsFor(autoscaler int, a Answers) []Step {
	var out []Step
	for _, s := range StepsOf(autoscaler) {
		if s.Repeat == "" {
			out = append(out, s)
			continue
		}
		for i := range max(1, a.Elements(s.Repeat)) {
			out = append(out, s.At(i))
		}
	}
	return out
}

// Fill answers every field that is asked and has no answer with its default.
func Fill(autoscaler int, a Answers) {
	for _, s := range StepsFor(autoscaler, a) {
		for _, f := range s.Fields {
			if a.Text(f.ID) == "" && f.Default != "" && Asked(f, s.Fields, a) {
				a.Set(f.ID, f.Default)
			}
		}
	}
}

// Settle takes away the answers of fields that were asked before and are not asked
// after: the key of a user who chose the role after all.
func Settle(autoscaler int, before, after Answers) {
	for _, s := range StepsFor(autoscaler, after) {
		for _, f := range s.Fields {
			if _, answered := after[f.ID]; !answered || Asked(f, s.Fields, after) {
				continue
			}
			if _, was := before[f.ID]; !was || Asked(f, s.Fields, before) {
				delete(after, f.ID)
			}
		}
	}
}

// Check finds what is wrong with answers, each problem with the path of its key. It
// reads nothing: what a reference stands for counts as right.
func Check(a Answers) []config.Problem {
	draft, problems := nest(a)
	if len(problems) > 0 {
		return problems
	}
	return draft.Check()
}

// CheckField finds what is wrong with the answer to one field of a step, in the
// light of the answers before it: what is not asked yet cannot be wrong yet.
func CheckField(steps []Step, a Answers, id string) []config.Problem {
	known := Answers{}
	var field Field
before:
	for _, s := range steps {
		for _, f := range s.Fields {
			if v, ok := a[f.ID]; ok && (f.ID == id || Asked(f, s.Fields, a)) {
				known[f.ID] = v
			}
			if f.ID == id {
				field = f
				break before
			}
		}
	}
	if a.Text(id) == "" && !field.Required {
		return nil
	}
	problems := slices.DeleteFunc(Check(known), func(p config.Problem) bool { return !About(p, id) })
	if len(problems) == 0 && a.Text(id) == "" {
		problems = append(problems, config.Problem{Path: id, Message: "is missing", Fix: "write a value"})
	}
	return problems
}

// About reports whether a problem is about a field: its key or an element of it.
func About(p config.Problem, id string) bool {
	rest, same := strings.CutPrefix(p.Path, id)
	return same && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// OfStep are the problems that a step is about: those of its fields, and of the
// object that holds several of them.
func OfStep(s Step, problems []config.Problem) []config.Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p config.Problem) bool {
		return !slices.ContainsFunc(s.Fields, func(f Field) bool {
			return About(p, f.ID) || strings.Count(p.Path, ".") > 0 && strings.HasPrefix(f.ID, p.Path+".")
		})
	})
}
