package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gurkankaymak/hocon"
)

// readHOCON fills the document. HOCON's library tells neither lines nor the order
// of keys, so values have no line and keys are in alphabetical order.
func (d *document) readHOCON(src string) []Problem {
	text, fault := atomizeHOCON(src, false)
	if fault == nil && text.missing != "" {
		fault = &hoconFault{text.openedAt, "a brace that is opened here is never closed", "close it"}
	}
	if fault != nil {
		return []Problem{d.problem("", fault.line, "is not HOCON: "+fault.message, fault.fix)}
	}
	return d.readAtoms(text)
}

// readAtoms lets the library find the structure of text and puts the atoms back.
func (d *document) readAtoms(text hoconText) []Problem {
	root, err := parseAtoms(text.text)
	if err != nil {
		return []Problem{d.problem("", 0, "is not HOCON: "+text.restore(err.Error()), "check separators, quotes and braces")}
	}
	object, ok := root.(hocon.Object)
	if !ok {
		return []Problem{d.problem("", 1, "the file is not an object", "begin with keys such as autoscalers")}
	}
	value, problem := d.hoconValue(object, text, "", 0)
	if problem != nil {
		return []Problem{*problem}
	}
	d.root, _ = value.(map[string]any)
	return nil
}

// parseAtoms calls the library, whose panics on odd input are errors here.
func parseAtoms(text string) (root hocon.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, fmt.Errorf("unexpected structure: %v", r)
		}
	}()
	config, err := hocon.ParseString(text)
	if err != nil {
		return nil, err
	}
	if config.GetRoot() == nil {
		return nil, errors.New("it is empty")
	}
	return config.GetRoot(), nil
}

func (d *document) hoconValue(v hocon.Value, text hoconText, path string, depth int) (any, *Problem) {
	if p := d.enter(path, 0, depth); p != nil {
		return nil, p
	}
	switch v := v.(type) {
	case hocon.Object:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.SortFunc(keys, func(a, b string) int { return strings.Compare(text.restore(a), text.restore(b)) })
		object := map[string]any{}
		for _, atom := range keys {
			key := text.restore(atom)
			inner, problem := d.hoconValue(v[atom], text, child(path, key), depth+1)
			if problem == nil {
				problem = d.put(object, path, key, 0, inner)
			}
			if problem != nil {
				return nil, problem
			}
		}
		return object, nil
	case hocon.Array:
		list := make([]any, 0, len(v))
		for i, e := range v {
			inner, problem := d.hoconValue(e, text, item(path, i), depth+1)
			if problem != nil {
				return nil, problem
			}
			if inner == nil {
				p := d.problem(item(path, i), 0, "is empty", "write a value or remove the element")
				return nil, &p
			}
			list = append(list, inner)
		}
		return list, nil
	case nil:
		return nil, nil
	}
	return text.scalar(v.String()), nil
}

// atomPattern finds atoms in what the library returns.
func atomPattern() *regexp.Regexp { return regexp.MustCompile(atomMark + `(\d+)` + atomMark) }

// restore puts the atoms' text back into s.
func (h hoconText) restore(s string) string {
	return atomPattern().ReplaceAllStringFunc(s, func(atom string) string {
		i, err := strconv.Atoi(strings.Trim(atom, atomMark))
		if err != nil || i >= len(h.atoms) {
			return atom
		}
		return h.atoms[i].text
	})
}

// scalar is the value of s: text, unless it is one unquoted atom of another type.
func (h hoconText) scalar(s string) any {
	if m := atomPattern().FindStringSubmatch(s); m != nil && m[0] == s {
		i, _ := strconv.Atoi(m[1])
		if i < len(h.atoms) && !h.atoms[i].quoted {
			return plainScalar(h.atoms[i].text)
		}
	}
	return h.restore(s)
}

// plainScalar gives unquoted text the type that it looks like.
func plainScalar(text string) any {
	switch text {
	case "null":
		return nil
	case "true":
		return true
	case "false":
		return false
	}
	if i, err := strconv.Atoi(text); err == nil {
		return i
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) && strings.ContainsAny(text, "0123456789") {
		return f
	}
	return text
}

// checkHOCON says whether text, which goes to another HOCON reader, is well formed.
// line is counted from 1 inside text; 0 is unknown.
func checkHOCON(text string) (line int, message string) {
	atoms, fault := atomizeHOCON(text, true)
	switch {
	case fault != nil:
		return fault.line, fault.message
	case atoms.missing != "":
		return atoms.openedAt, "a brace that is opened here is never closed"
	case strings.TrimSpace(atoms.text) == "":
		return 0, ""
	}
	if _, err := parseAtoms(atoms.text); err != nil {
		return 0, atoms.restore(err.Error())
	}
	return 0, ""
}
