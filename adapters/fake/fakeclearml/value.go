package fakeclearml

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// isoTime formats like Python's datetime.isoformat(): six digits of a second, or
// none at all when the fraction is zero.
func isoTime(t time.Time) string {
	t = t.UTC()
	if t.Nanosecond()/1000 == 0 {
		return t.Format("2006-01-02T15:04:05+00:00")
	}
	return t.Format("2006-01-02T15:04:05.000000+00:00")
}

// milli is a time as the server's database keeps it.
func milli(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// render turns a document into something encoding/json writes as the server
// would: dates as text, no nil slices.
func render(v any) any {
	switch v := v.(type) {
	case time.Time:
		return isoTime(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = render(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = render(e)
		}
		return out
	case []map[string]any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = render(e)
		}
		return out
	case []string:
		if v == nil {
			return []string{}
		}
		return v
	default:
		return v
	}
}

// cloneValue copies the maps and slices of a JSON value.
func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return cloneMap(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = cloneValue(e)
		}
		return out
	case []string:
		return slices.Clone(v)
	default:
		return v
	}
}

func cloneMap(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = cloneValue(v)
	}
	return out
}

// sortedKeys are the keys of a map in an order that does not change.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

// sortedTags is how the server stores tags: sorted; each once.
func sortedTags(tags []string) []string {
	out := slices.Clone(tags)
	slices.Sort(out)
	out = slices.Compact(out)
	if out == nil {
		return []string{}
	}
	return out
}

// asMap is v as a JSON object, or an empty one.
func asMap(v any) map[string]any {
	if m, ok := v.(map[string]any); ok {
		return m
	}
	return map[string]any{}
}

// asList is v as a JSON list, or an empty one.
func asList(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{}
}

// asStrings is v as a list of strings; other elements are left out.
func asStrings(v any) []string {
	switch v := v.(type) {
	case []string:
		return v
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			if str, ok := e.(string); ok {
				out = append(out, str)
			}
		}
		return out
	case string:
		return []string{v}
	}
	return nil
}

// asNumber is v as a number, if it is one.
func asNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	}
	return 0, false
}
