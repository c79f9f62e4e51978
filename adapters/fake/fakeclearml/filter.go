package fakeclearml

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

type predicate func(doc map[string]any) bool

// everything is the condition that a field sets which is not asked about.
func everything(map[string]any) bool { return true }

// filter builds the condition that a get_all request describes. Fields that the
// kind does not filter by are ignored, as the server ignores them.
func (sc schema) filter(p params) (predicate, error) {
	var all []predicate
	for _, kind := range []struct {
		names []string
		build func(name string, v any) (predicate, error)
	}{
		{sc.patterns, patternFilter},
		{sc.lists, listFilter},
		{sc.datetimes, datetimeFilter},
		{sc.ranges, rangeFilter},
	} {
		for _, name := range kind.names {
			f, err := kind.build(name, p[name])
			if err != nil {
				return nil, err
			}
			all = append(all, f)
		}
	}
	for _, name := range sortedKeys(p) {
		f, err := sc.otherFilter(name, p[name])
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return func(d map[string]any) bool {
		return !slices.ContainsFunc(all, func(f predicate) bool { return !f(d) })
	}, nil
}

// otherFilter is equality, a pattern over several fields, or a text.
func (sc schema) otherFilter(name string, v any) (predicate, error) {
	switch name {
	case "_any_", "_or_":
		return multiFilter(v, true)
	case "_all_", "_and_":
		return multiFilter(v, false)
	case "search_text":
		text, _ := v.(string)
		return func(d map[string]any) bool {
			return containsFold(d["name"], text) || containsFold(d["id"], text) || containsFold(d["comment"], text)
		}, nil
	}
	equal := slices.Contains(sc.equals, name) || (strings.HasPrefix(name, "runtime.") && sc.fields["runtime"])
	if v == nil || !equal {
		return everything, nil
	}
	return func(d map[string]any) bool {
		got, ok := lookup(d, name)
		return ok && compareValues(got, v) == 0
	}, nil
}

func containsFold(v any, text string) bool {
	str, _ := v.(string)
	return strings.Contains(strings.ToLower(str), strings.ToLower(text))
}

func patternFilter(name string, v any) (predicate, error) {
	pattern, _ := v.(string)
	if pattern == "" {
		return everything, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, errRegex(pattern, err)
	}
	return func(d map[string]any) bool {
		str, ok := d[name].(string)
		return ok && re.MatchString(str)
	}, nil
}

// multiFilter is {"fields": […], "pattern": …}, case-insensitive.
func multiFilter(v any, anyOf bool) (predicate, error) {
	spec, ok := v.(map[string]any)
	if !ok {
		return nil, errFieldsValue("failed parsing query field", kv{"error", "incorrect field format"})
	}
	pattern, _ := spec["pattern"].(string)
	fields := asStrings(spec["fields"])
	if len(fields) == 0 {
		return everything, nil
	}
	re, err := regexp.Compile("(?i)" + pattern)
	if err != nil {
		return nil, errRegex(pattern, err)
	}
	return func(d map[string]any) bool {
		for _, f := range fields {
			got, ok := lookup(d, f)
			if hit := ok && re.MatchString(fmt.Sprint(got)); hit == anyOf {
				return anyOf
			}
		}
		return !anyOf
	}, nil
}

// listTerms is a list condition taken apart: alternatives, values that must all
// be there, values that must not, and whether an empty field will do.
type listTerms struct {
	anyOf, allOf, noneOf, notAll []string
	empty, conjunction           bool
}

// parseList reads the server's list language: values are alternatives, "-x" or a
// preceding "__$not" excludes, "__$all" and "__$and" demand, null means empty.
func parseList(name string, v any) (listTerms, error) {
	var t listTerms
	values, ok := v.([]any)
	if !ok {
		values = []any{v}
	}
	all, global, negated := false, false, false
	for _, e := range values {
		str, ok := e.(string)
		switch {
		case e == nil:
			t.empty = true
		case !ok:
			return t, errFieldsValue("invalid value type, string expected", kv{"field", name}, kv{"value", fmt.Sprint(e)})
		case str == "__$not" || str == "__$nop":
			negated = str == "__$not"
		case str == "__$all" || str == "__$and" || str == "__$any" || str == "__$or":
			all = str == "__$all" || str == "__$and"
			if !global {
				global, t.conjunction = true, all
			}
		case strings.HasPrefix(str, "__$"):
			return t, errFieldsValue("Unsupported operator", kv{"field", name}, kv{"operator", str})
		default:
			t.add(str, all, negated)
			global, negated = true, false
		}
	}
	return t, nil
}

// add notes one value of a list.
func (t *listTerms) add(v string, all, negated bool) {
	v, minus := strings.CutPrefix(v, "-")
	switch out := negated || minus; {
	case all && out:
		t.notAll = append(t.notAll, v)
	case all:
		t.allOf = append(t.allOf, v)
	case out:
		t.noneOf = append(t.noneOf, v)
	default:
		t.anyOf = append(t.anyOf, v)
	}
}

func listFilter(name string, v any) (predicate, error) {
	if v == nil {
		return everything, nil
	}
	if l, ok := v.([]any); ok && len(l) == 0 {
		return everything, nil
	}
	t, err := parseList(name, v)
	if err != nil {
		return nil, err
	}
	return func(d map[string]any) bool { return t.match(asStrings(d[name])) }, nil
}

func (t *listTerms) match(have []string) bool {
	has := func(v string) bool { return slices.Contains(have, v) }
	if t.empty && len(have) == 0 {
		return true
	}
	var results []bool
	if len(t.anyOf) > 0 {
		results = append(results, slices.ContainsFunc(t.anyOf, has))
	}
	if len(t.noneOf) > 0 {
		results = append(results, !slices.ContainsFunc(t.noneOf, has))
	}
	missing := func(v string) bool { return !has(v) }
	if len(t.allOf) > 0 {
		results = append(results, !slices.ContainsFunc(t.allOf, missing))
	}
	if len(t.notAll) > 0 {
		results = append(results, slices.ContainsFunc(t.notAll, missing))
	}
	if len(results) == 0 {
		return !t.empty
	}
	if t.conjunction {
		return !slices.Contains(results, false)
	}
	return slices.Contains(results, true)
}

// parseTime reads the dates that clients send, as precisely as the database
// compares them; without an offset they are UTC.
func parseTime(text string) (time.Time, bool) {
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02",
	} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return milli(t), true
		}
	}
	return time.Time{}, false
}

// datetimeFilter reads ">=date", "<date", … of which all must hold; two plain
// dates are a closed interval. What is no date is ignored.
func datetimeFilter(name string, v any) (predicate, error) {
	if v == nil {
		return everything, nil
	}
	values, ok := v.([]any)
	if !ok {
		values = []any{v}
	}
	if len(values) == 2 && !slices.ContainsFunc(values, hasModifier) {
		return rangeFilter(name, v)
	}
	var all []predicate
	for _, e := range values {
		str, _ := e.(string)
		text := strings.TrimLeft(str, "<>=")
		op := str[:len(str)-len(text)]
		ref, ok := parseTime(text)
		if !ok {
			continue
		}
		all = append(all, func(d map[string]any) bool {
			at, ok := d[name].(time.Time)
			return ok && holdsOrder(at.Compare(ref), op)
		})
	}
	return func(d map[string]any) bool {
		return !slices.ContainsFunc(all, func(f predicate) bool { return !f(d) })
	}, nil
}

func hasModifier(v any) bool {
	str, _ := v.(string)
	return strings.HasPrefix(str, "<") || strings.HasPrefix(str, ">")
}

func holdsOrder(c int, op string) bool {
	switch op {
	case ">=":
		return c >= 0
	case ">":
		return c > 0
	case "<=":
		return c <= 0
	case "<":
		return c < 0
	}
	return c == 0
}

// rangeFilter reads [min, max], both included, either null.
func rangeFilter(name string, v any) (predicate, error) {
	if v == nil {
		return everything, nil
	}
	bounds, ok := v.([]any)
	if !ok || len(bounds) != 2 {
		return nil, errValidation("Min and max values should be specified for range field " + name)
	}
	if bounds[0] == nil && bounds[1] == nil {
		return nil, errValidation("At least one of min or max values should be provided for field " + name)
	}
	compare := func(got, bound any) int {
		if text, ok := bound.(string); ok {
			if ref, ok := parseTime(text); ok {
				bound = ref
			}
		}
		return compareValues(got, bound)
	}
	return func(d map[string]any) bool {
		got, ok := lookup(d, name)
		if !ok {
			return bounds[0] == nil
		}
		return (bounds[0] == nil || compare(got, bounds[0]) >= 0) && (bounds[1] == nil || compare(got, bounds[1]) <= 0)
	}, nil
}
