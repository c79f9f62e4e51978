package config

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// commentWidth is where comments break, in characters.
const commentWidth = 96

// YAML writes the draft with its keys in the order of the table, each explained by
// the table's text where it appears first, and by what beside has under its path. head
// is put before it, as comments.
func (d Draft) YAML(head string, beside map[string]string) ([]byte, error) {
	w := draftWriter{keys: Keys(), explained: map[string]bool{}, beside: beside}
	w.out.WriteString("# yaml-language-server: $schema=" + SchemaURL + "\n")
	w.comment("", head)
	w.object(d, "", "")
	if w.e.err != nil {
		return nil, w.e.err
	}
	return w.out.Bytes(), nil
}

type draftWriter struct {
	out       bytes.Buffer
	e         exporter
	keys      []Key
	explained map[string]bool
	beside    map[string]string
}

// comment writes text as lines of comment, broken between words.
func (w *draftWriter) comment(indent, text string) {
	for line := range strings.Lines(text) {
		at := indent + "#"
		for word := range strings.FieldsSeq(line) {
			if len([]rune(at))+1+len([]rune(word)) > commentWidth && at != indent+"#" {
				w.out.WriteString(at + "\n")
				at = indent + "#"
			}
			at += " " + word
		}
		w.out.WriteString(at + "\n")
	}
}

// explain writes what the table says about the key at a generic path, once.
func (w *draftWriter) explain(k Key, indent string) {
	if k.Text == "" || w.explained[k.Path] {
		return
	}
	w.explained[k.Path] = true
	text := k.Text
	switch {
	case len(k.Words) > 0:
		text += " One of " + strings.Join(k.Words, ", ") + "."
	case k.Default != "":
		text += " Default: " + k.Default + "."
	}
	w.comment(indent, plainWords(text))
	if beside := w.beside[k.Path]; beside != "" {
		w.comment(indent, beside)
	}
}

// plainWords is Markdown's `code` without its marks.
func plainWords(text string) string { return strings.ReplaceAll(text, "`", "") }

// Plain is Text without Markdown's marks.
func (k Key) Plain() string { return plainWords(k.Text) }

// object writes the keys of v, which is at the generic path.
func (w *draftWriter) object(v map[string]any, path, indent string) {
	left := maps.Clone(v)
	afterBlock := false
	for _, k := range w.keys {
		key := k.Last()
		value, ok := v[key]
		if k.Path != child(path, key) || !ok {
			continue
		}
		delete(left, key)
		if empty(value) {
			continue
		}
		if isBlock := k.Kind == KindObject || k.Kind == KindObjects; afterBlock && !isBlock {
			w.out.WriteString("\n")
		}
		w.key(k, value, indent)
		afterBlock = k.Kind == KindObject || k.Kind == KindObjects
	}
	for _, key := range slices.Sorted(maps.Keys(left)) {
		w.leaf(key, left[key], indent)
	}
}

// empty values are as good as none.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func (w *draftWriter) key(k Key, value any, indent string) {
	inner, isObject := value.(map[string]any)
	list := elements(value)
	switch {
	case k.Kind == KindObject && isObject:
		w.out.WriteString("\n")
		w.explain(k, indent)
		w.out.WriteString(indent + k.Last() + ":\n")
		w.object(inner, k.Path, indent+"  ")
	case k.Kind == KindObjects && len(list) > 0:
		w.out.WriteString("\n")
		w.explain(k, indent)
		w.out.WriteString(indent + k.Last() + ":\n")
		for i, e := range list {
			w.element(k, e, indent+"  ", i > 0)
		}
	default:
		w.explain(k, indent)
		w.leaf(k.Last(), value, indent)
	}
}

// element writes one object of a list: its first line begins with a dash. The
// comments of that line would stand between, so they come before.
func (w *draftWriter) element(k Key, e map[string]any, indent string, gap bool) {
	inner := draftWriter{keys: w.keys, explained: w.explained, beside: w.beside, e: w.e}
	inner.object(e, k.Path+"[]", indent+"  ")
	w.e = inner.e
	if gap {
		w.out.WriteString("\n")
	}
	begun := false
	for line := range strings.Lines(strings.TrimLeft(inner.out.String(), "\n")) {
		switch trimmed := strings.TrimLeft(line, " "); {
		case begun:
			w.out.WriteString(line)
		case strings.HasPrefix(trimmed, "#"):
			w.out.WriteString(indent + trimmed)
		default:
			w.out.WriteString(indent + "- " + trimmed)
			begun = true
		}
	}
	if !begun {
		w.out.WriteString(indent + "- {}\n")
	}
}

// leaf writes a key and a value whose keys, if any, are not in the table.
func (w *draftWriter) leaf(key string, value any, indent string) {
	w.e.raw = true
	node := w.e.node(reflect.ValueOf(value), key)
	if list, isList := value.([]any); isList && !slices.ContainsFunc(list, func(e any) bool { text, isText := e.(string); return !isText || len(text) > 40 }) {
		node.Style = yaml.FlowStyle
	}
	line := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{w.e.plainText(key, key), node}}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(line); err != nil {
		w.e.fail(key, fmt.Sprintf("write YAML: %v", err))
		return
	}
	for line := range strings.Lines(b.String()) {
		if line != "\n" {
			w.out.WriteString(indent)
		}
		w.out.WriteString(line)
	}
}
