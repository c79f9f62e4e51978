package wizard

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// flatten lists the leaves of a draft by their paths.
func flatten(d config.Draft) Answers {
	a := Answers{}
	flattenObject(config.NewKeyTable(), a, "", d)
	return a
}

func flattenObject(keys config.KeyTable, a Answers, path string, object map[string]any) {
	for key, v := range object {
		p := key
		if path != "" {
			p = path + "." + key
		}
		k, _ := keys.At(p)
		inner, isObject := v.(map[string]any)
		list, isList := v.([]any)
		switch {
		case k.Kind == config.KindObject && isObject:
			flattenObject(keys, a, p, inner)
		case k.Kind == config.KindObjects && isList:
			for i, e := range list {
				if element, ok := e.(map[string]any); ok {
					flattenObject(keys, a, fmt.Sprintf("%s[%d]", p, i), element)
				}
			}
		default:
			a[p] = v
		}
	}
}

// nest builds the tree that answers describe.
func nest(a Answers) (config.Draft, []config.Problem) {
	root := map[string]any{}
	keys := config.NewKeyTable()
	var problems []config.Problem
	for _, path := range slices.Sorted(maps.Keys(a)) {
		v := a[path]
		if text, isText := v.(string); isText && text == "" || v == nil {
			continue
		}
		if err := put(root, path, typed(keys, path, v)); err != "" {
			problems = append(problems, config.Problem{Path: path, Message: err, Fix: "answer the fields of the wizard's steps"})
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	draft, _ := lists(root).(map[string]any)
	config.Draft(draft).AlignQueues()
	return draft, nil
}

// typed is v with the type of its key.
func typed(keys config.KeyTable, path string, v any) any {
	k, ok := keys.At(path)
	switch v := v.(type) {
	case string:
		if ok {
			return k.Value(v)
		}
	case float64:
		if v == float64(int(v)) && k.Kind == config.KindInteger {
			return int(v)
		}
	case []string:
		list := make([]any, 0, len(v))
		for _, e := range v {
			list = append(list, e)
		}
		return list
	}
	return v
}

// listMark begins the keys that stand for elements while a tree is built.
const listMark = "\x00"

// put stores v at path and says what is wrong with the path, if anything.
func put(root map[string]any, path string, v any) string {
	at := root
	parts := strings.Split(path, ".")
	for i, part := range parts {
		name, index, isItem := strings.Cut(part, "[")
		steps := []string{name}
		if isItem {
			n, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			if err != nil || n < 0 || n >= elementsMost || !strings.HasSuffix(index, "]") {
				return fmt.Sprintf("is not a key: elements are numbered from 0 to %d", elementsMost-1)
			}
			steps = append(steps, listMark+strconv.Itoa(n))
		}
		for j, step := range steps {
			if i == len(parts)-1 && j == len(steps)-1 {
				if _, taken := at[step]; taken {
					return "is answered, and so is something inside it"
				}
				at[step] = v
				return ""
			}
			if at[step] == nil {
				at[step] = map[string]any{}
			}
			inner, ok := at[step].(map[string]any)
			if !ok {
				return "is inside something that has an answer itself"
			}
			at = inner
		}
	}
	return ""
}

// lists turns objects of elements into lists; an element that has no answer is an
// empty object.
func lists(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	n := 0
	for key, e := range object {
		object[key] = lists(e)
		if number, isItem := strings.CutPrefix(key, listMark); isItem {
			i, _ := strconv.Atoi(number)
			n = max(n, i+1)
		}
	}
	if n == 0 {
		return object
	}
	list := make([]any, n)
	for i := range list {
		list[i] = object[listMark+strconv.Itoa(i)]
		if list[i] == nil {
			list[i] = map[string]any{}
		}
	}
	return list
}
