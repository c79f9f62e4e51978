package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Diff says what differs between two configurations of the same thing, a line for
// each key, in the order of the file: "resources[gpu].max_instances: 8 → 4".
// Lists of named objects are compared by name. Of a secret it says only that it
// changed.
func Diff(from, to any) []string {
	var d differ
	d.compare("", reflect.ValueOf(from), reflect.ValueOf(to))
	return d.lines
}

type differ struct{ lines []string }

func (d *differ) say(path, format string, args ...any) {
	d.lines = append(d.lines, path+": "+fmt.Sprintf(format, args...))
}

func (d *differ) compare(path string, from, to reflect.Value) {
	switch {
	case reflect.DeepEqual(from.Interface(), to.Interface()):
	case from.Type() == reflect.TypeFor[Secret]():
		d.say(path, "changed")
	case from.Kind() == reflect.Struct:
		for i := range from.NumField() {
			key, _, _ := strings.Cut(from.Type().Field(i).Tag.Get("json"), ",")
			d.compare(child(path, key), from.Field(i), to.Field(i))
		}
	case from.Kind() == reflect.Slice && from.Type().Elem().Kind() == reflect.Struct && naming(from.Type().Elem()) != "":
		d.named(path, from, to)
	default:
		d.say(path, "%s → %s", shown(from), shown(to))
	}
}

// naming is the field that names an element of a list, empty when none does.
func naming(element reflect.Type) string {
	for _, field := range []string{"Name", "Queue"} {
		if _, ok := element.FieldByName(field); ok {
			return field
		}
	}
	return ""
}

// named compares two lists by the names of their elements.
func (d *differ) named(path string, from, to reflect.Value) {
	field := naming(from.Type().Elem())
	before, after := namesIn(from, field), namesIn(to, field)
	for i, name := range before {
		at := fmt.Sprintf("%s[%s]", path, name)
		if j := slices.Index(after, name); j >= 0 {
			d.compare(at, from.Index(i), to.Index(j))
		} else {
			d.say(at, "removed")
		}
	}
	for _, name := range after {
		if !slices.Contains(before, name) {
			d.say(fmt.Sprintf("%s[%s]", path, name), "added")
		}
	}
	kept := func(names, others []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(others, name) })
	}
	if !slices.Equal(kept(before, after), kept(after, before)) {
		d.say(path, "in another order: %s", strings.Join(after, ", "))
	}
}

func namesIn(list reflect.Value, field string) []string {
	names := make([]string, 0, list.Len())
	for i := range list.Len() {
		names = append(names, list.Index(i).FieldByName(field).String())
	}
	return names
}

// shown is a value for people.
func shown(v reflect.Value) string {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		return shortDuration(time.Duration(v.Int()))
	}
	if v.IsZero() && v.Kind() != reflect.Bool && v.Kind() != reflect.Int {
		return "nothing"
	}
	if text := fmt.Sprintf("%v", v.Interface()); len(text) <= 200 {
		return text
	}
	return "another value"
}
