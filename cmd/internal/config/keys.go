package config

import (
	"slices"
	"strings"
	"time"
)

// Kind is what a key holds.
type Kind string

// The kinds. A Secret is text that is never shown, a Script one of several lines.
const (
	KindText     Kind = "text"
	KindSecret   Kind = "secret"
	KindScript   Kind = "script"
	KindFlag     Kind = "flag"     // true or false
	KindInteger  Kind = "integer"  // a whole number
	KindDecimal  Kind = "decimal"  // a number whose digits are kept
	KindDuration Kind = "duration" // with a unit: 15m
	KindList     Kind = "list"     // of text
	KindTags     Kind = "tags"     // an object of text
	KindFree     Kind = "free"     // an object of anything
	KindObject   Kind = "object"
	KindObjects  Kind = "objects" // a list of objects
)

// Key is everything that is known about one key of the file. The decoder takes
// its kind from it, the checks their words, forms and limits, and the defaults,
// the JSON Schema, the reference and the wizard all the rest: there is no other
// list of keys.
type Key struct {
	// Path is the key with [] for the elements of lists, as in
	// "autoscalers[].resources[].ami_id".
	Path string `json:"path"`
	Kind Kind   `json:"kind"`
	// Title names the key in a few words.
	Title string `json:"title"`
	// Text says what it means in one sentence or a few, with `code` as Markdown
	// has it. See is what the reference adds: links into its own page.
	Text string `json:"text"`
	See  string `json:"-"`
	// Type is what is written, in the reference's words; "" follows from the kind.
	Type string `json:"-"`
	// Default is the value of an absent key, as a file has it; "" is none.
	Default string `json:"default,omitempty"`
	// Otherwise says in words what an absent key means, where Default cannot.
	Otherwise string `json:"otherwise,omitempty"`
	// Required keys must be there; Missing says what to write.
	Required bool   `json:"required,omitempty"`
	Missing  string `json:"-"`
	// Words are all allowed values, if the set is closed.
	Words []string `json:"words,omitempty"`
	// Pattern is the form of a value that is there, or of each element of a list.
	// What is such a value in words, Fix what to write instead of another.
	Pattern string `json:"pattern,omitempty"`
	What    string `json:"-"`
	Fix     string `json:"-"`
	// Least and Most bound a number, or count the characters of a text; Most 0 is
	// no limit. Shortest and Longest bound a duration in the same way.
	Least    int           `json:"least,omitempty"`
	Most     int           `json:"most,omitempty"`
	Shortest time.Duration `json:"shortest,omitempty"`
	Longest  time.Duration `json:"longest,omitempty"`
	// Off says that a duration of 0 switches off what it is about.
	Off bool `json:"off,omitempty"`
	// Examples are values as a file has them; those of a list are its elements.
	Examples []string `json:"examples,omitempty"`
	// Separator splits a list that is written as one text.
	Separator string `json:"-"`
	// Variable is the environment variable that a secret is proposed to come from. That
	// of Git is not ClearML's, which would give every autoscaler a password.
	Variable string `json:"variable,omitempty"`
	// Fallback is ClearML's own environment variable that fills the key when neither
	// file, environment nor flags set it.
	Fallback string `json:"fallback,omitempty"`
	// ClearML is what ClearML's form and, in brackets, file call it.
	ClearML string `json:"-"`
	// Instead is the key beside it that this one is another spelling of. Such keys
	// have no row of their own in the reference.
	Instead string `json:"instead,omitempty"`
}

// Last is the key's own name, without the objects around it.
func (k Key) Last() string { return k.Path[strings.LastIndexByte(k.Path, '.')+1:] }

// Keys are all keys in the order of the reference, objects before what is in them.
func Keys() []Key { return slices.Concat(processKeys(), autoscalerKeys(), resourceKeyTable()) }

// KeyTable finds keys by their path. [KeyAt] is enough for one look.
type KeyTable map[string]Key

// NewKeyTable is the table of all keys.
func NewKeyTable() KeyTable {
	table := KeyTable{}
	for _, k := range Keys() {
		table[k.Path] = k
	}
	return table
}

// At is the key that a path in a file is about, be it an element of its list.
func (t KeyTable) At(path string) (k Key, ok bool) {
	generic := GenericPath(path)
	if k, ok = t[generic]; ok {
		return k, true
	}
	k, ok = t[strings.TrimSuffix(generic, "[]")]
	return k, ok
}

// GenericPath is path without the numbers of elements: the Path of its Key.
func GenericPath(path string) string {
	var b strings.Builder
	inside := false
	for _, c := range path {
		if c == ']' {
			inside = false
		}
		if !inside {
			b.WriteRune(c)
		}
		inside = inside || c == '['
	}
	return b.String()
}

// defaults are the defaults of the keys directly or deeper inside the object at
// generic path inside, but not inside lists there: a layer as a file would write it.
func (t KeyTable) defaults(inside string) map[string]any {
	layer := map[string]any{}
	for path, k := range t {
		rest := path
		if inside != "" {
			var within bool
			if rest, within = strings.CutPrefix(path, inside+"."); !within {
				continue
			}
		}
		if k.Default == "" || strings.Contains(rest, "[]") || k.laterDefault() {
			continue
		}
		at := layer
		parts := strings.Split(rest, ".")
		for _, part := range parts[:len(parts)-1] {
			inner, ok := at[part].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[part] = inner
			}
			at = inner
		}
		at[parts[len(parts)-1]] = k.defaultValue()
	}
	return layer
}

// laterDefault reports whether the default depends on other keys, so that the
// decoder fills it in.
func (k Key) laterDefault() bool {
	return k.Path == "nats.listen" || k.Instead != "" || k.Last() == "market"
}

// defaultValue is Default with its type.
func (k Key) defaultValue() any {
	if k.Kind == KindFlag {
		return k.Default == "true"
	}
	return k.Default
}
