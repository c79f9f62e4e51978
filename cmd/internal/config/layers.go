package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// delimiter separates the parts of koanf's flat keys; no name contains it.
const delimiter = "\x01"

// koanf merges objects by key and replaces lists whole. Lists of objects therefore
// go in as objects, keyed by elementMark and index, so that one field of one
// autoscaler can come from the environment.
const elementMark = "\x00"

// tree is what the decoder reads: the merged layers, and where each value is from.
type tree struct {
	root    map[string]any
	doc     *document
	origins map[string]string // path → environment variable or flag
	hidden  map[string]bool   // paths whose text must not be printed
	broken  map[string]bool   // paths with a problem already
	opaque  map[string]bool   // paths whose value is not known
}

// stack merges layers, the later one winning.
func stack(layers ...map[string]any) (map[string]any, error) {
	k := koanf.New(delimiter)
	for _, layer := range layers {
		if len(layer) == 0 {
			continue
		}
		keyed, _ := keyElements(layer).(map[string]any)
		if err := k.Load(confmap.Provider(keyed, ""), nil); err != nil {
			return nil, fmt.Errorf("merge configuration: %w", err)
		}
	}
	out, _ := listElements(k.Raw()).(map[string]any)
	return out, nil
}

// keyElements turns lists of objects into objects.
func keyElements(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, e := range v {
			out[key] = keyElements(e)
		}
		return out
	case []any:
		objects := map[string]any{}
		for i, e := range v {
			object, ok := e.(map[string]any)
			if !ok {
				return v
			}
			objects[elementMark+strconv.Itoa(i)] = keyElements(object)
		}
		if len(objects) > 0 {
			return objects
		}
	}
	return v
}

// listElements undoes keyElements.
func listElements(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	list := make([]any, len(object))
	isList := len(object) > 0
	for key, e := range object {
		object[key] = listElements(e)
		text, marked := strings.CutPrefix(key, elementMark)
		i, err := strconv.Atoi(text)
		if !marked || err != nil || i >= len(list) {
			isList = false
			continue
		}
		list[i] = object[key]
	}
	if isList {
		return list
	}
	return object
}

// defaultsFor is the first layer for the autoscalers and resources that top has.
func defaultsFor(top map[string]any) map[string]any {
	keys := NewKeyTable()
	layer := keys.defaults("")
	autoscalers := elements(top["autoscalers"])
	list := make([]any, 0, len(autoscalers))
	for _, a := range autoscalers {
		defaults := keys.defaults("autoscalers[]")
		resources := make([]any, len(elements(a["resources"])))
		for i := range resources {
			resources[i] = keys.defaults("autoscalers[].resources[]")
		}
		if len(resources) > 0 {
			defaults["resources"] = resources
		}
		list = append(list, defaults)
	}
	if len(list) > 0 {
		layer["autoscalers"] = list
	}
	return layer
}

// elements are v's objects when it is a list of nothing else.
func elements(v any) []map[string]any {
	list, _ := v.([]any)
	out := make([]map[string]any, 0, len(list))
	for _, e := range list {
		object, ok := e.(map[string]any)
		if !ok {
			return nil
		}
		out = append(out, object)
	}
	return out
}

// layer puts defaults, file, environment and flags on top of each other.
func layer(doc *document, env environment, src Source) (*tree, []Problem, error) {
	expanded := expandReferences(doc, env)
	t := &tree{doc: doc, origins: map[string]string{}, hidden: expanded.fromReference, broken: expanded.broken}

	fromEnv, problems := environmentLayer(src.Environ, doc.root, t.origins)
	fromFlags, err := flagLayer(src.Flags, t.origins)
	if err != nil {
		return nil, nil, err
	}
	top, err := stack(doc.root, fromEnv, fromFlags)
	if err != nil {
		return nil, nil, err
	}
	for path, origin := range t.origins {
		// The file's value is no longer there, so neither are its faults. Whoever
		// wrote a flag has it in view, and everybody else of this machine too.
		delete(t.broken, path)
		t.hidden[path] = !strings.HasPrefix(origin, flagOrigin)
	}
	for _, p := range expanded.problems {
		if t.broken[p.Path] {
			problems = append(problems, p)
		}
	}
	t.root, err = stack(defaultsFor(top), fallbackLayer(env, top, t.origins), top)
	return t, problems, err
}

// where completes a problem with the place its path came from.
func (t *tree) where(p Problem) Problem {
	if p.Where != "" {
		return p
	}
	for path := p.Path; path != ""; path = enclosing(path) {
		if origin, ok := t.origins[path]; ok {
			p.Where = origin
			return p
		}
		if _, ok := t.doc.lines[path]; ok {
			break
		}
	}
	p.Where, p.Line = t.doc.file, t.doc.lineOf(p.Path)
	if _, written := t.doc.lines[p.Path]; written || p.Path == "" {
		return p
	}
	// An object that only the environment knows has its fields' origin.
	for _, path := range slices.Sorted(maps.Keys(t.origins)) {
		if strings.HasPrefix(path, p.Path+".") {
			p.Where, p.Line = t.origins[path], 0
			break
		}
	}
	return p
}

// show is a value in a message: quoted, unless it may be a secret.
func (t *tree) show(path, value string) string {
	if t.hidden[path] {
		return "the value"
	}
	runes := []rune(value)
	if len(runes) > 80 {
		value = string(runes[:80]) + "…"
	}
	return strconv.Quote(value)
}

// isBroken reports whether path, or something it is part of, has a problem that
// makes further ones noise.
func (t *tree) isBroken(path string) bool {
	for ; path != ""; path = enclosing(path) {
		if t.broken[path] {
			return true
		}
	}
	return false
}

// names are the names of the objects in v, for addressing by name.
func names(v any) []string {
	var out []string
	for _, e := range elements(v) {
		name, _ := e["name"].(string)
		out = append(out, name)
	}
	return out
}

// indexNamed finds the element of list that an environment variable's segment
// means: by name, letters and digits only and in capitals, or by index.
func indexNamed(list []string, segment string) (int, bool) {
	matches := make([]int, 0, 1)
	for i, name := range list {
		if envName(name) == segment {
			matches = append(matches, i)
		}
	}
	if len(matches) == 1 {
		return matches[0], true
	}
	i, err := strconv.Atoi(segment)
	return i, err == nil && i >= 0 && i < len(list) && len(matches) == 0
}

// envName is name as environment variables spell it.
func envName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(name))
}

// matchingKey is the key of object that segment means, as it is spelled there.
func matchingKey(object map[string]any, segment string) string {
	keys := make([]string, 0, len(object))
	for key := range object {
		if envName(key) == segment {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	if len(keys) > 0 {
		return keys[0]
	}
	return strings.ToLower(segment)
}
