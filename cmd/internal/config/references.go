package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// secretFileMax is the most that ${FILE:…} reads, in bytes.
const secretFileMax = 64 << 10

// referencePattern finds what begins like a reference, with the dollars before it
// (one refers, more stand for one fewer of themselves) and, if it is whole, its
// argument.
func referencePattern() *regexp.Regexp {
	return regexp.MustCompile(`\$+\{(ENV|FILE):(?:([^}\n]*)\})?`)
}

// environment is a process's environment by name.
type environment map[string]string

func environmentOf(environ []string) environment {
	env := environment{}
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			env[name] = value
		}
	}
	return env
}

// expander replaces references in a document's strings.
type expander struct {
	d        *document
	env      environment
	problems []Problem
	// fromReference are the paths whose text must not be printed.
	fromReference map[string]bool
	// broken are the paths whose reference has no value.
	broken map[string]bool
	// leaveOut makes every reference a problem, without looking it up.
	leaveOut bool
	// keep leaves every reference as it is, without looking it up.
	keep bool
}

// expandReferences replaces ${ENV:NAME} and ${FILE:/path} in every string of d. A
// relative file is looked for beside the configuration.
func expandReferences(d *document, env environment) *expander {
	x := &expander{d: d, env: env, fromReference: map[string]bool{}, broken: map[string]bool{}}
	d.root, _ = x.value(d.root, "").(map[string]any)
	return x
}

func (x *expander) value(v any, path string) any {
	switch v := v.(type) {
	case map[string]any:
		// In the file's order, so that problems come out the same each time.
		for _, key := range x.d.keysOf(path, v) {
			v[key] = x.value(v[key], child(path, key))
		}
	case []any:
		for i := range v {
			v[i] = x.value(v[i], item(path, i))
		}
	case string:
		return x.text(v, path)
	}
	return v
}

func (x *expander) text(s, path string) any {
	// Scripts have ${…} of their own, such as ${ENV:-default}.
	script := strings.HasSuffix(path, "init_script") || strings.HasSuffix(path, "clearml_conf")
	replaced := false
	out := referencePattern().ReplaceAllStringFunc(s, func(match string) string {
		dollars := len(match) - len(strings.TrimLeft(match, "$"))
		if dollars > 1 {
			return match[1:]
		}
		m := referencePattern().FindStringSubmatch(match)
		if script && !wellFormed(m[1], m[2]) {
			return match
		}
		replaced = true
		return x.resolve(m[1], m[2], path)
	})
	if replaced {
		x.fromReference[path] = true
		return loose(out)
	}
	return out
}

// wellFormed reports whether argument can be meant as a reference at all.
func wellFormed(kind, argument string) bool {
	if kind == "ENV" {
		return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(argument)
	}
	return argument != ""
}

func (x *expander) resolve(kind, argument, path string) string {
	reference := "${" + kind + ":" + argument + "}"
	if !wellFormed(kind, argument) {
		x.fail(path, "a reference is not complete", `write "${ENV:NAME}" or "${FILE:/path}" (and $${ for the text itself)`)
		return ""
	}
	if x.keep {
		return reference
	}
	if x.leaveOut {
		x.fail(path, "refers to "+reference+", which an import does not look up; it is unset", "write it again")
		return ""
	}
	if kind == "ENV" {
		value, ok := x.env[argument]
		if !ok {
			x.fail(path, "refers to "+reference+", and the environment has no "+argument, "set it, or write the value")
		}
		return x.utf8(value, path, reference)
	}
	value, err := readSecretFile(argument, filepath.Dir(x.d.file))
	if err != nil {
		x.fail(path, fmt.Sprintf("refers to %s: %v", reference, err), "write the path of a readable file, or the value")
	}
	return x.utf8(value, path, reference)
}

func (x *expander) utf8(value, path, reference string) string {
	if !utf8.ValidString(value) {
		x.fail(path, "refers to "+reference+", which is not UTF-8 text", "encode it with base64, and decode it where it is used")
		return ""
	}
	return value
}

func (x *expander) fail(path, message, fix string) {
	x.broken[path] = true
	x.problems = append(x.problems, x.d.problem(path, x.d.lineOf(path), message, fix))
}

// readSecretFile reads a small regular file, without the newline at its end.
func readSecretFile(path, beside string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(beside, path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", path)
	case info.Size() > secretFileMax:
		return "", fmt.Errorf("%s has %d bytes, at most %d are read", path, info.Size(), secretFileMax)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}

// escapeReferences writes s so that expandReferences gives s back.
func escapeReferences(s string) string {
	return referencePattern().ReplaceAllStringFunc(s, func(match string) string { return "$" + match })
}

// keysOf are the keys of object in file order, those from elsewhere after them.
func (d *document) keysOf(path string, object map[string]any) []string {
	keys, seen := make([]string, 0, len(object)), make(map[string]bool, len(object))
	for _, key := range d.order[path] {
		if _, ok := object[key]; ok && !seen[key] {
			keys = append(keys, key)
			seen[key] = true
		}
	}
	written := len(keys)
	for key := range object {
		if !seen[key] {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys[written:])
	return keys
}
