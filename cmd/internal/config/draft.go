package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Draft is a configuration that is being written: the tree of a file, with the keys
// of the table and none of their other spellings. Nothing in it is looked up: a
// reference such as ${ENV:NAME} is the text that it is. Values are text, bool, int,
// float64, []any and map[string]any.
type Draft map[string]any

// ReadDraft reads a file of ebb (its own keys, YAML, JSON or HOCON), or what Import
// reads. name may tell the format by its ending. Nothing outside data is read: not
// the environment, and no file that a reference names. The error is Errors when data
// has no known form.
func ReadDraft(name string, data []byte) (Draft, []Note, error) {
	hint := ""
	if _, known := FormatOf(name); known {
		hint = name
	}
	doc, notes, problems := parseForeign(data, hint)
	if len(problems) > 0 {
		return nil, nil, sorted(problems)
	}
	if doc.root["autoscalers"] == nil {
		f, notes, err := Import(data, hint)
		if err != nil {
			return nil, nil, err
		}
		draft, err := DraftOf(f)
		return draft, notes, err
	}
	draft, more, err := ownDraft(doc)
	return draft, append(notes, more...), err
}

// ownDraft is a file of ebb's own keys as a draft, without the marks of an export that
// left secrets out.
func ownDraft(doc *document) (Draft, []Note, error) {
	d, _, err := decodeDraft(doc)
	if err != nil {
		return nil, nil, err
	}
	if len(d.problems) > 0 {
		return nil, nil, sorted(d.problems)
	}
	var notes []Note
	for _, path := range d.redactions {
		remove(doc.root, path)
		notes = append(notes, Note{Path: path, Message: "was exported without its secret and is unset; write it"})
	}
	return Draft(canonical(doc, "", doc.root)), notes, nil
}

// remove takes the key at path, as written, out of tree.
func remove(tree any, path string) {
	first, rest, deeper := strings.Cut(path, ".")
	name, index, isItem := strings.Cut(strings.TrimSuffix(first, "]"), "[")
	object, _ := tree.(map[string]any)
	if !deeper {
		delete(object, name)
		return
	}
	if !isItem {
		remove(object[name], rest)
		return
	}
	list, _ := object[name].([]any)
	if i, err := strconv.Atoi(index); err == nil && i < len(list) {
		remove(list[i], rest)
	}
}

// DraftOf is f as a draft, without what follows by itself: defaults, servers beside
// the API server, docker mode, and queues in the order of the resources. Secrets are
// in it as they are.
func DraftOf(f File) (Draft, error) {
	out, err := Export(f, JSON, true)
	if err != nil {
		return nil, err
	}
	doc, problems := parse("", out, JSON)
	if len(problems) > 0 {
		return nil, sorted(problems)
	}
	for i, a := range elements(doc.root["autoscalers"]) {
		from := f.Autoscalers[i]
		server, _ := a["clearml"].(map[string]any)
		web, files := serversBeside(from.ClearML.APIServer)
		if from.ClearML.WebServer == web {
			delete(server, "web_server")
		}
		if from.ClearML.FilesServer == files {
			delete(server, "files_server")
		}
		if from.DockerMode == (from.BaseDockerImage != "") {
			delete(a, "docker_mode")
		}
		if reflect.DeepEqual(from.Queues, queuesOf(from.Resources)) {
			delete(a, "queues")
		}
	}
	withoutDefaults(NewKeyTable(), "", doc.root)
	return Draft(canonical(doc, "", doc.root)), nil
}

// withoutDefaults takes away what an absent key means too, and objects that are
// empty then.
func withoutDefaults(keys KeyTable, path string, object map[string]any) {
	for key, v := range object {
		p := child(path, key)
		switch k := keys[p]; k.Kind {
		case KindObject:
			inner, _ := v.(map[string]any)
			withoutDefaults(keys, p, inner)
			if len(inner) == 0 {
				delete(object, key)
			}
		case KindObjects:
			for _, e := range elements(v) {
				withoutDefaults(keys, p+"[]", e)
			}
		default:
			if k.Default != "" && fmt.Sprint(v) == k.Default {
				delete(object, key)
			}
		}
	}
}

// Check finds what Load would find wrong with the draft as a file. What a reference
// stands for is not known, so it counts as right.
func (d Draft) Check() Errors {
	doc := newDocument("")
	doc.root, _ = copyOf(map[string]any(d)).(map[string]any)
	decoder, f, err := decodeDraft(doc)
	if err != nil {
		return Errors{{Message: err.Error()}}
	}
	problems := decoder.problems
	for _, path := range decoder.redactions {
		problems = append(problems, Problem{
			Path: path, Message: "is " + Redacted + ", the mark of an export without secrets", Fix: `write the secret itself, "${ENV:NAME}" or "${FILE:/path}"`,
		})
	}
	for _, p := range decoder.validate(f) {
		problems = append(problems, decoder.t.where(p))
	}
	return sorted(problems)
}

func copyOf(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		for key, e := range v {
			out[key] = copyOf(e)
		}
		return out
	case []any:
		out := slices.Clone(v)
		for i, e := range v {
			out[i] = copyOf(e)
		}
		return out
	}
	return v
}

// decodeDraft decodes doc with its references as opaque values: nothing is said
// about them.
func decodeDraft(doc *document) (*decoder, File, error) {
	root, _ := copyOf(doc.root).(map[string]any)
	x := &expander{d: doc, fromReference: map[string]bool{}, broken: map[string]bool{}, keep: true}
	root, _ = x.value(root, "").(map[string]any)
	t := &tree{doc: doc, origins: map[string]string{}, hidden: x.fromReference, opaque: x.fromReference, broken: x.broken}
	maps.Copy(t.broken, x.fromReference)
	f, d, err := decodeImport(t, root)
	if err != nil {
		return nil, File{}, err
	}
	d.problems = append(d.problems, x.problems...)
	return d, f, nil
}

// IsOneReference reports whether text is one reference and nothing else, as a secret
// must be that is kept out of a file.
func IsOneReference(text string) bool {
	references := References(text)
	return len(references) == 1 && text == references[0].String()
}

// IsReference reports whether text refers to an environment variable or a file.
func IsReference(text string) bool { return len(References(text)) > 0 }

// ReferenceTo is what a text refers to: the variable or file in ${ENV:…} or ${FILE:…}.
type ReferenceTo struct {
	// Kind is ENV or FILE.
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// String is the reference as a file has it.
func (r ReferenceTo) String() string { return "${" + r.Kind + ":" + r.Name + "}" }

// References are the references in text, in their order.
func References(text string) []ReferenceTo {
	var out []ReferenceTo
	for _, m := range referencePattern().FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(m[0], "$$") && wellFormed(m[1], m[2]) {
			out = append(out, ReferenceTo{m[1], m[2]})
		}
	}
	return out
}
