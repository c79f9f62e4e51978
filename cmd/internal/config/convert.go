package config

import (
	"maps"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Converted is an imported configuration as the text of a file.
type Converted struct {
	Text  []byte
	Notes []Note
	// Secrets says that Text has secrets, or scripts that may have some, as they are.
	Secrets bool
}

// Convert reads what [Import] reads, with the same hint and errors, and writes it as a
// file of ebb in a format. A file that is ebb's own already keeps its references,
// ${ENV:NAME} and ${FILE:/path}: they are not looked up, and mean the same in the
// result. What Load would find wrong is among the notes.
func Convert(data []byte, formatHint string, to Format) (Converted, error) {
	doc, notes, problems := parseForeign(data, formatHint)
	if len(problems) > 0 {
		return Converted{}, sorted(problems)
	}
	if doc.root["autoscalers"] == nil {
		f, notes, err := Import(data, formatHint)
		if err != nil {
			return Converted{}, err
		}
		draft, err := DraftOf(f)
		if err != nil {
			return Converted{}, err
		}
		text, err := Export(f, to, true)
		return Converted{Text: text, Notes: notes, Secrets: draft.holdsSecrets()}, err
	}
	draft, more, err := ownDraft(doc)
	if err != nil {
		return Converted{}, err
	}
	notes = append(notes, more...)
	for _, p := range draft.Check() {
		notes = append(notes, Note{Source: p.Where, Path: p.Path, Message: p.Message + "; " + p.Fix})
	}
	text, err := draft.export(to)
	return Converted{Text: text, Notes: notes, Secrets: draft.holdsSecrets()}, err
}

// export writes the draft with its keys in the order of the table.
func (d Draft) export(format Format) ([]byte, error) {
	e := exporter{withSecrets: true, raw: true}
	root := e.draft(Keys(), d, "")
	if e.err != nil {
		return nil, e.err
	}
	return encode(root, format)
}

// draft is the object at a generic path; what the table does not have comes last.
func (e *exporter) draft(keys []Key, object map[string]any, path string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	left := maps.Clone(object)
	for _, k := range keys {
		v, written := left[k.Last()]
		if k.Path != child(path, k.Last()) || !written || empty(v) {
			continue
		}
		delete(left, k.Last())
		var value *yaml.Node
		inner, isObject := v.(map[string]any)
		list := elements(v)
		switch {
		case k.Kind == KindObject && isObject:
			value = e.draft(keys, inner, k.Path)
		case k.Kind == KindObjects && len(list) > 0:
			value = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
			for _, element := range list {
				value.Content = append(value.Content, e.draft(keys, element, k.Path+"[]"))
			}
		default:
			value = e.node(reflect.ValueOf(v), k.Path)
		}
		node.Content = append(node.Content, e.plainText(k.Last(), path), value)
	}
	for _, key := range slices.Sorted(maps.Keys(left)) {
		if !empty(left[key]) {
			node.Content = append(node.Content, e.plainText(key, path), e.node(reflect.ValueOf(left[key]), child(path, key)))
		}
	}
	return node
}

// holdsSecrets reports whether a secret or a script stands in the draft itself.
func (d Draft) holdsSecrets() bool { return secretsIn(NewKeyTable(), "", map[string]any(d)) }

func secretsIn(keys KeyTable, path string, v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if secretsIn(keys, child(path, key), inner) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(inner any) bool { return secretsIn(keys, path+"[]", inner) })
	case string:
		kind := keys[path].Kind
		return v != "" && (kind == KindSecret && !IsOneReference(v) || kind == KindScript)
	}
	return false
}
