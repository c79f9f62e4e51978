package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Note is something about an import that a person should know: what was not taken
// over, what was assumed, what is still to be filled in.
type Note struct {
	// Source is the key in the imported text, "" when the note is about a key that
	// it does not have.
	Source string `json:"source,omitempty"`
	// Path is the key of the File that is concerned, "" when there is none.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

// String is the note on one line.
func (n Note) String() string {
	switch {
	case n.Source != "" && n.Path != "":
		return n.Source + " → " + n.Path + ": " + n.Message
	case n.Source+n.Path == "":
		return n.Message
	}
	return n.Source + n.Path + ": " + n.Message
}

// Import reads what another autoscaler was configured with: ClearML's open-source
// wizard (aws_autoscaler.yaml), the JSON of its application, the auto_scaler.v1
// section of a configuration vault (HOCON), or ebb's own export. formatHint is
// yaml, json, hocon or a file name; "" finds out.
//
// The File is not checked as Load does, because the other side rarely has
// everything: each problem that Load would find is among the notes, as is each key
// that has no equivalent. Nothing outside data is read: references such as
// ${ENV:NAME} become notes. The error is Errors when data cannot be read at all, or
// is ebb's own form with keys or types that are not.
func Import(data []byte, formatHint string) (File, []Note, error) {
	doc, notes, problems := parseForeign(data, formatHint)
	if len(problems) > 0 {
		return File{}, nil, sorted(problems)
	}
	var f File
	var more []Note
	var err error
	switch {
	case doc.root["autoscalers"] != nil:
		f, more, err = importOwn(doc)
	case vaultSection(doc) != nil:
		f, more, err = importVault(doc)
	default:
		f, more, err = importClearML(doc)
	}
	if err != nil {
		return File{}, nil, err
	}
	return f, append(notes, more...), nil
}

// parseForeign reads data in the hinted format, or in the first that fits.
func parseForeign(data []byte, hint string) (*document, []Note, []Problem) {
	format := Format(strings.ToLower(hint))
	if byName, ok := FormatOf(hint); ok {
		format = byName
	}
	switch format {
	case YAML, JSON:
		doc, problems := parse("", data, format)
		return doc, nil, problems
	case HOCON:
		return parseVault(string(data))
	case "":
	default:
		return nil, nil, []Problem{{Message: fmt.Sprintf("%q is not a format", hint), Fix: "write yaml, json or hocon"}}
	}
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(trimmed) {
		doc, problems := parse("", data, JSON)
		return doc, nil, problems
	}
	doc, problems := parse("", data, YAML)
	if len(problems) == 0 {
		return doc, nil, nil
	}
	if other, notes, worse := parseVault(string(data)); len(worse) == 0 && vaultSection(other) != nil {
		return other, notes, nil
	}
	return doc, nil, problems
}

// parseVault reads HOCON; braces missing at the end, as in ClearML's own example,
// are added.
func parseVault(src string) (*document, []Note, []Problem) {
	doc := newDocument("")
	text, fault := atomizeHOCON(src, false)
	if fault != nil {
		return doc, nil, []Problem{doc.problem("", fault.line, "is not HOCON: "+fault.message, fault.fix)}
	}
	var notes []Note
	if text.missing != "" {
		notes = append(notes, Note{Message: fmt.Sprintf("the brace opened in line %d is never closed; read as if %s stood at the end", text.openedAt, text.missing)})
	}
	return doc, notes, doc.readAtoms(text)
}

// importOwn reads ebb's export, or a file of its own.
func importOwn(doc *document) (File, []Note, error) {
	x := &expander{d: doc, fromReference: map[string]bool{}, broken: map[string]bool{}, leaveOut: true}
	doc.root, _ = x.value(doc.root, "").(map[string]any)
	t := &tree{doc: doc, origins: map[string]string{}, hidden: map[string]bool{}, broken: x.broken}
	f, d, err := decodeImport(t, doc.root)
	if err != nil {
		return File{}, nil, err
	}
	if len(d.problems) > 0 {
		return File{}, nil, sorted(d.problems)
	}
	var notes []Note
	for _, p := range x.problems {
		notes = append(notes, Note{Path: p.Path, Message: p.Message})
	}
	for _, path := range d.redactions {
		notes = append(notes, Note{Path: path, Message: "was exported without its secret and is unset; write it"})
	}
	return f, append(notes, todo(d, f)...), nil
}

// decodeImport puts the defaults under root and decodes.
func decodeImport(t *tree, root map[string]any) (File, *decoder, error) {
	merged, err := stack(defaultsFor(root), root)
	if err != nil {
		return File{}, nil, err
	}
	t.root = merged
	d := newDecoder(t)
	d.importing = true
	return d.file(), d, nil
}

// todo are the problems that Load would find, as notes.
func todo(d *decoder, f File) []Note {
	var notes []Note
	for _, p := range sorted(d.validate(f)) {
		notes = append(notes, Note{Source: p.Where, Path: p.Path, Message: p.Message + "; " + p.Fix})
	}
	return notes
}
