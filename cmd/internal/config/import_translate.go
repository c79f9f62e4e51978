package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// translator builds the tree of one autoscaler out of another one's keys.
type translator struct {
	autoscaler map[string]any
	origins    map[string]string // path → the other side's key
	notes      []Note
	named      map[string]string // the other side's resource name → ours
}

func newTranslator() *translator {
	return &translator{
		autoscaler: map[string]any{"name": "imported"},
		origins:    map[string]string{}, named: map[string]string{},
	}
}

func (t *translator) note(source, path, format string, arguments ...any) {
	t.notes = append(t.notes, Note{Source: source, Path: path, Message: fmt.Sprintf(format, arguments...)})
}

// finish decodes what was built and adds what Load would say about it.
func (t *translator) finish() (File, []Note, error) {
	root := map[string]any{"autoscalers": []any{t.autoscaler}}
	tree := &tree{
		doc: newDocument(""), origins: t.origins, hidden: map[string]bool{}, broken: map[string]bool{},
	}
	f, d, err := decodeImport(tree, root)
	if err != nil {
		return File{}, nil, err
	}
	t.note("", "autoscalers[0].workers_prefix", "is %q, as ClearML's autoscaler has it; write another one while that still runs, because each takes all workers with its prefix for its own",
		f.Autoscalers[0].WorkersPrefix)
	notes := t.notes
	for _, p := range sorted(d.problems) {
		notes = append(notes, Note{Source: p.Where, Path: p.Path, Message: "not taken over: " + p.Message + "; " + p.Fix})
	}
	return f, append(notes, todo(d, f)...), nil
}

// set stores value under a dotted key of object; the first source of a key wins.
func (t *translator) set(object map[string]any, base, key, source string, value any) {
	at, path := object, base
	parts := strings.Split(key, ".")
	for _, part := range parts[:len(parts)-1] {
		inner, ok := at[part].(map[string]any)
		if !ok {
			inner = map[string]any{}
			at[part] = inner
		}
		at, path = inner, child(path, part)
	}
	last := parts[len(parts)-1]
	path = child(path, last)
	if _, twice := at[last]; twice && t.origins[path] != "" {
		t.note(source, path, "not taken over: %s says the same and came first", t.origins[path])
		return
	}
	at[last] = value
	t.origins[path] = source
}

// own is the path of the one autoscaler.
const own = "autoscalers[0]"

func (t *translator) setOwn(key, source string, value any) {
	t.set(t.autoscaler, own, key, source, value)
}

// setting is one key of the other side, without its sections.
type setting struct {
	key    string
	source string // as it was written, sections included
	value  any
}

// unset reports whether the other side left the value empty.
func (s setting) unset() bool {
	switch v := s.value.(type) {
	case nil:
		return true
	case string:
		return strings.TrimSpace(v) == "" || v == "None" || v == "null"
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// text is the value as text, for the decoder to read as whatever it must be.
func (s setting) text() loose {
	switch v := s.value.(type) {
	case string:
		return loose(v)
	case loose:
		return v
	case float64:
		return loose(strconv.FormatFloat(v, 'f', -1, 64))
	}
	return loose(fmt.Sprint(s.value))
}

// scalar reports whether the value is one word or number.
func (s setting) scalar() bool {
	switch s.value.(type) {
	case []any, map[string]any:
		return false
	}
	return true
}

// truth is the value as a boolean; Python writes True and False.
func (s setting) truth() bool {
	b, err := strconv.ParseBool(strings.ToLower(string(s.text())))
	return err == nil && b
}

// minutes is the value as a duration, or as it stands when it is not a number.
func (s setting) minutes() any {
	n, err := strconv.ParseFloat(strings.TrimSpace(string(s.text())), 64)
	if err != nil || n < 0 || n > math.MaxInt32 || math.IsNaN(n) {
		return s.text()
	}
	return shortDuration(time.Duration(n * float64(time.Minute)))
}

// list is the value as a list of text: a list, or text with commas.
func (s setting) list() []any {
	out := []any{}
	if items, ok := s.value.([]any); ok {
		for _, e := range items {
			if text := strings.TrimSpace(string(setting{value: e}.text())); text != "" {
				out = append(out, text)
			}
		}
		return out
	}
	for _, part := range split(string(s.text()), ",") {
		out = append(out, part)
	}
	return out
}

// object is the value as an object; text may hold it as JSON or YAML.
func (s setting) object() (map[string]any, []any, *document) {
	doc := newDocument("")
	switch v := s.value.(type) {
	case map[string]any:
		return v, nil, nil
	case []any:
		return nil, v, nil
	case string:
		inner, problems := parse("", []byte(`{"v": `+v+"\n}"), JSON)
		if len(problems) == 0 {
			m, _ := inner.root["v"].(map[string]any)
			l, _ := inner.root["v"].([]any)
			return m, l, inner
		}
	}
	return nil, nil, doc
}

// mapped is how a key of the other side is taken over.
type mapped struct {
	to   string // our key, dotted
	kind mappedKind
}

type mappedKind int

const (
	asText mappedKind = iota
	asBool
	asMinutes
	asList
)

// take stores s as the table says; false when the table does not know it.
func (t *translator) take(object map[string]any, base string, s setting, table map[string]mapped) bool {
	m, ok := table[s.key]
	if !ok {
		return false
	}
	switch {
	case s.unset():
	case m.kind == asMinutes:
		t.set(object, base, m.to, s.source, s.minutes())
	case m.kind == asList:
		t.set(object, base, m.to, s.source, s.list())
	case !s.scalar():
		t.note(s.source, child(base, m.to), "not taken over: it is not one value")
	case m.kind == asBool:
		t.set(object, base, m.to, s.source, loose(strings.ToLower(string(s.text()))))
	case m.kind == asText:
		t.set(object, base, m.to, s.source, s.text())
	}
	return true
}

// launchParameters takes over fields of RunInstances, except those that ebb owns.
func (t *translator) launchParameters(object map[string]any, base string, s setting) {
	fields, _, _ := s.object()
	if len(fields) == 0 {
		t.note(s.source, "", "not taken over: it is not an object of launch parameters")
		return
	}
	kept := map[string]any{}
	owned := ownedLaunchFields()
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if reason, isOwned := owned[field]; isOwned {
			t.note(child(s.source, field), "", "not taken over: %s; %s", reason[0], reason[1])
			continue
		}
		kept[field] = fields[field]
	}
	if len(kept) > 0 {
		t.set(object, base, "extra_launch_parameters", s.source, kept)
	}
}

// resourceName is name as ebb allows it.
func (t *translator) resourceName(source, name string, taken []string) string {
	ours := slug(name, "resource")
	for i := 2; slices.Contains(taken, ours); i++ {
		ours = slug(name, "resource")[:min(len(slug(name, "resource")), 58)] + "-" + strconv.Itoa(i)
	}
	switch {
	case slices.Contains(taken, slug(name, "resource")):
		t.note(source, "", "the resource %q is called %q here: the name is taken by one before it", name, ours)
	case ours != name:
		t.note(source, "", "the resource %q is called %q here: names have letters, digits, - and _ only", name, ours)
	}
	if _, known := t.named[name]; !known {
		t.named[name] = ours
	}
	return ours
}
