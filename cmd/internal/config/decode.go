package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decoder turns a tree into values and collects what does not fit.
type decoder struct {
	t        *tree
	keys     KeyTable
	problems []Problem
	// said maps the path of a value to the path under which it was written, where
	// the two differ: an alternative spelling.
	said map[string]string
	// written are the paths that have a value, be it a default.
	written map[string]bool
	// importing takes Redacted for an unset secret; redactions are their paths.
	importing  bool
	redactions []string
}

func newDecoder(t *tree) *decoder {
	return &decoder{t: t, keys: NewKeyTable(), said: map[string]string{}, written: map[string]bool{}}
}

func (d *decoder) fail(path, message, fix string) {
	if d.t.isBroken(path) {
		return
	}
	d.t.broken[path] = true
	d.problems = append(d.problems, d.t.where(Problem{Path: path, Message: message, Fix: fix}))
}

// object reads one object's keys; those that nobody asked for are unknown.
type object struct {
	d     *decoder
	path  string
	m     map[string]any
	known []string
	// foreign maps keys that people bring from elsewhere to ours.
	foreign map[string]string
	// free objects have keys of the operator's choice, not those of the table.
	free bool
}

func (d *decoder) object(path string, v any) *object {
	m, ok := v.(map[string]any)
	if !ok && v != nil {
		d.fail(path, "must be an object, is "+kindOf(v), "write its keys below it, one a line")
	}
	return &object{d: d, path: path, m: m}
}

// get fetches a key and marks it known. The table must have it, with one of kinds:
// a decoder and a table that disagree are a mistake of this program.
func (o *object) get(key string, kinds ...Kind) (value any, path string, ok bool) {
	if k, listed := o.d.keys.At(child(o.path, key)); !o.free && (!listed || !slices.Contains(kinds, k.Kind)) {
		panic(fmt.Sprintf("the table of keys has %s as %q, the decoder reads %q", child(o.path, key), k.Kind, kinds))
	}
	if !slices.Contains(o.known, key) {
		o.known = append(o.known, key)
	}
	value, ok = o.m[key]
	path = child(o.path, key)
	o.d.written[path] = ok
	return value, path, ok
}

// has reports whether key is written, without making it known.
func (o *object) has(key string) bool { return o.m[key] != nil }

func (o *object) object(key string) *object {
	v, path, _ := o.get(key, KindObject)
	return o.d.object(path, v)
}

// either finds a value that has two spellings, key and other; both is a problem.
func (o *object) either(key, other string) string {
	for _, k := range []string{key, other} {
		if !slices.Contains(o.known, k) {
			o.known = append(o.known, k)
		}
	}
	if o.has(key) && o.has(other) {
		o.d.fail(child(o.path, other), fmt.Sprintf("says the same as %s", key), "keep "+key)
		return key
	}
	if o.has(other) {
		o.d.said[child(o.path, key)] = child(o.path, other)
		return other
	}
	return key
}

// done reports the keys that nobody asked for.
func (o *object) done() {
	for _, key := range o.d.t.doc.keysOf(o.path, o.m) {
		if slices.Contains(o.known, key) {
			continue
		}
		path, fix := child(o.path, key), "remove it; known are "+strings.Join(o.known, ", ")
		if ours := o.foreign[key]; ours != "" {
			fix = fmt.Sprintf("write %s (or run ebb config import on ClearML's own file)", ours)
		} else if near := nearest(key, o.known); near != "" {
			fix = fmt.Sprintf("did you mean %s?", near)
		}
		o.d.fail(path, "is not a key", fix)
	}
}

func (o *object) text(key string) string {
	v, path, ok := o.get(key, KindText)
	if !ok {
		return ""
	}
	return o.d.text(path, v)
}

func (d *decoder) text(path string, v any) string {
	switch v := v.(type) {
	case string:
		return v
	case loose:
		return string(v)
	}
	d.fail(path, "must be text, is "+kindOf(v), d.quoted(path, v))
	return ""
}

// quoted says how to write a value that is no text. Quotes cure only what is right
// as text: a port alone is no address, in quotes or without.
func (d *decoder) quoted(path string, v any) string {
	if !isScalar(v) {
		return "write text"
	}
	k, _ := d.keys.At(path)
	text := fmt.Sprint(v)
	fits := k.Pattern == "" || regexp.MustCompile(k.Pattern).MatchString(text)
	switch {
	case k.Type == "host:port" && withHost(text, "") != "":
		return "write " + withHost(text, "")
	case len(k.Words) > 0 && !slices.Contains(k.Words, text):
		return "write " + either(k.Words)
	case !fits && k.Fix != "":
		return k.Fix
	case !fits && len(k.Examples) > 0:
		return "write text such as " + k.Examples[0]
	}
	return fmt.Sprintf("write it in quotes: \"%v\"", v)
}

// secret is text; messages about it never show it.
func (o *object) secret(key string) Secret {
	v, path, ok := o.get(key, KindSecret, KindScript)
	if !ok {
		return ""
	}
	var text string
	switch v := v.(type) {
	case string:
		text = v
	case loose:
		text = string(v)
	default:
		o.d.fail(path, "must be text, is "+kindOf(v), "write it in quotes")
		return ""
	}
	if text == Redacted {
		if o.d.importing {
			o.d.redactions = append(o.d.redactions, path)
			o.d.t.broken[path] = true
			return ""
		}
		o.d.fail(path, "is "+Redacted+", the mark of an export without secrets", `write the secret itself, "${ENV:NAME}" or "${FILE:/path}"`)
		return ""
	}
	return Secret(text)
}

func (o *object) flag(key string) bool {
	v, path, ok := o.get(key, KindFlag)
	if !ok {
		return false
	}
	switch v := v.(type) {
	case bool:
		return v
	case loose:
		if b, err := strconv.ParseBool(string(v)); err == nil {
			return b
		}
	}
	o.d.fail(path, "must be true or false, is "+kindOf(v), "write true or false, without quotes")
	return false
}

func (o *object) integer(key string) int {
	v, path, ok := o.get(key, KindInteger)
	if !ok {
		return 0
	}
	switch v := v.(type) {
	case int:
		return v
	case loose:
		if i, err := strconv.Atoi(strings.TrimSpace(string(v))); err == nil {
			return i
		}
	}
	o.d.fail(path, "must be a whole number, is "+kindOf(v), "write digits only, without quotes, such as 4")
	return 0
}

// decimal is a number or its text, kept as text so that no digit is lost.
func (o *object) decimal(key string) string {
	v, path, ok := o.get(key, KindDecimal)
	if !ok {
		return ""
	}
	switch v := v.(type) {
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return o.d.text(path, v)
}

func (o *object) duration(key string) time.Duration {
	v, path, ok := o.get(key, KindDuration)
	if !ok {
		return 0
	}
	text := ""
	switch v := v.(type) {
	case string:
		text = v
	case loose:
		text = string(v)
	}
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseFloat(fmt.Sprint(v), 64); err == nil {
		switch {
		case n == 0: // no unit changes it
		case o.d.t.hidden[path]:
			o.d.fail(path, "the value has no unit", "write 15m, not 15")
		default:
			o.d.fail(path, fmt.Sprintf("%v has no unit", n), fmt.Sprintf("write %vm for minutes or %vs for seconds, not %v", n, n, n))
		}
		return 0
	}
	length, err := time.ParseDuration(text)
	switch {
	case text == "":
		o.d.fail(path, "must be a duration, is "+kindOf(v), "write a number and a unit, such as 15m")
	case err != nil:
		o.d.fail(path, o.d.t.show(path, text)+" is not a duration", "write numbers with the units h, m and s, such as 15m or 1h30m")
	case length < 0:
		o.d.fail(path, o.d.t.show(path, text)+" is negative", "write a duration such as 15m")
	}
	return max(0, length)
}

// texts is a list of text; one text stands for a list of one. The key's separator,
// if any, splits it: always for what comes from the environment, where it is a comma.
func (o *object) texts(key string) []string {
	v, path, ok := o.get(key, KindList)
	if !ok {
		return nil
	}
	switch v := v.(type) {
	case []any:
		out := make([]string, 0, len(v))
		for i, e := range v {
			out = append(out, o.d.text(item(path, i), e))
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case loose:
		return split(string(v), ",")
	case string:
		return split(v, o.d.keys[child(GenericPath(o.path), key)].Separator)
	}
	o.d.fail(path, "must be a list of text, is "+kindOf(v), "write [one, two], or one text")
	return nil
}

// split cuts s at separator, without the spaces and empty parts around it.
func split(s, separator string) []string {
	if separator == "" {
		return []string{s}
	}
	var out []string
	for part := range strings.SplitSeq(s, separator) {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// list is a list of objects, decoded one by one.
func (o *object) list(key string, each func(o *object)) {
	v, path, ok := o.get(key, KindObjects)
	if !ok {
		return
	}
	items, isList := v.([]any)
	if !isList {
		o.d.fail(path, "must be a list, is "+kindOf(v), "write each element below it, beginning with -")
		return
	}
	for i, e := range items {
		p := item(path, i)
		if _, isObject := e.(map[string]any); !isObject {
			o.d.fail(p, "must be an object, is "+kindOf(e), "write its keys, such as name: …")
		}
		inner := &object{d: o.d, path: p}
		inner.m, _ = e.(map[string]any)
		each(inner)
	}
}

func kindOf(v any) string {
	switch v := v.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		if v == "" {
			return "empty"
		}
		return "text"
	case loose:
		return "other text"
	case bool:
		return fmt.Sprint(v)
	case int:
		return "a number"
	case float64:
		return "a number"
	}
	return "empty"
}

func isScalar(v any) bool {
	switch v.(type) {
	case bool, int, float64:
		return true
	}
	return false
}

// wrote reports whether path has a value in the tree, under whichever spelling.
func (d *decoder) wrote(path string) bool { return d.written[d.saidAt(path)] }
