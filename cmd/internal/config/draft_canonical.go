package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// canonical is object, which has passed the decoder, with the table's own spellings:
// one text in place of a list is a list, spot: true is market: spot, the flat disk is
// one of volumes, queues are a list, and tags an object.
func canonical(doc *document, path string, object map[string]any) map[string]any {
	return (&canonicalizer{doc: doc, keys: NewKeyTable()}).object(path, object)
}

type canonicalizer struct {
	doc  *document
	keys KeyTable
}

func (c *canonicalizer) object(path string, object map[string]any) map[string]any {
	out := map[string]any{}
	for _, key := range c.doc.keysOf(path, object) {
		p := child(path, key)
		k := c.keys[child(GenericPath(path), key)]
		k, v := c.own(k, object[key])
		out[k.Last()] = c.value(p, k, v)
	}
	switch GenericPath(path) {
	case "autoscalers[].resources[]":
		flatDisk(out)
	case "autoscalers[]":
		c.resourceQueues(out)
	}
	return out
}

// own is the key itself and its value, where k is another spelling of it.
func (c *canonicalizer) own(k Key, v any) (Key, any) {
	if k.Instead == "" || strings.HasPrefix(k.Instead, "volumes") {
		return k, v
	}
	if k.Last() != "spot" {
		return c.keys[child(enclosing(k.Path), k.Instead)], v
	}
	if text, isText := v.(string); isText && IsReference(text) {
		return k, v
	}
	market := OnDemand
	if (setting{value: v}).truth() {
		market = Spot
	}
	return c.keys[child(enclosing(k.Path), k.Instead)], string(market)
}

func (c *canonicalizer) value(path string, k Key, v any) any {
	text, isText := v.(string)
	switch {
	case isText && IsReference(text) && k.Kind != KindList:
		return v
	case k.Kind == KindObject:
		inner, _ := v.(map[string]any)
		return c.object(path, inner)
	case k.Path == "autoscalers[].queues":
		return c.queues(path, v)
	case k.Kind == KindObjects:
		list := []any{}
		for i, e := range elements(v) {
			list = append(list, c.object(item(path, i), e))
		}
		return list
	case k.Kind == KindList && isText:
		return listOf(text, k.Separator)
	case k.Kind == KindTags && isText:
		return tagsOf(text)
	case k.Kind == KindDecimal || k.Kind == KindDuration:
		return string(setting{value: v}.text())
	}
	return v
}

// tagsOf is "key=value,key=value" as an object, or as it is when it has another form.
func tagsOf(text string) any {
	tags := map[string]any{}
	for _, pair := range split(text, ",") {
		key, value, isPair := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		if _, twice := tags[key]; twice || !isPair {
			return text
		}
		tags[key] = strings.TrimSpace(value)
	}
	return tags
}

// listOf is one text in place of a list; a reference in it may become several.
func listOf(text, separator string) any {
	if IsReference(text) {
		return text
	}
	list := []any{}
	for _, part := range split(text, separator) {
		list = append(list, part)
	}
	return list
}

func (c *canonicalizer) queues(path string, v any) any {
	list := []any{}
	byName, _ := v.(map[string]any)
	for _, name := range c.doc.keysOf(path, byName) {
		resources := byName[name]
		if text, isText := resources.(string); isText {
			resources = listOf(text, "")
		}
		list = append(list, map[string]any{"queue": name, "resources": resources})
	}
	for i, e := range elements(v) {
		list = append(list, c.object(item(path, i), e))
	}
	return list
}

// flatDisk makes ClearML's one disk in flat keys the first of volumes.
func flatDisk(resource map[string]any) {
	disk := map[string]any{}
	for _, k := range otherSpellings() {
		if to, isDisk := strings.CutPrefix(k.Instead, "volumes[]."); isDisk && resource[k.Last()] != nil {
			disk[to] = resource[k.Last()]
			delete(resource, k.Last())
		}
	}
	if len(disk) == 0 {
		return
	}
	if disk["size_gb"] == nil && disk["snapshot_id"] == nil {
		disk["size_gb"] = volumeSizeFlat
	}
	resource["volumes"] = []any{disk}
}

// resourceQueues gives each resource the queues that only the autoscaler's list
// has for it, so that the list is about order alone.
func (c *canonicalizer) resourceQueues(autoscaler map[string]any) {
	for _, r := range elements(autoscaler["resources"]) {
		if r["queues"] != nil {
			continue
		}
		serving := []any{}
		for _, q := range elements(autoscaler["queues"]) {
			if names, _ := q["resources"].([]any); slices.Contains(names, r["name"]) {
				serving = append(serving, q["queue"])
			}
		}
		if len(serving) > 0 {
			r["queues"] = serving
		}
	}
}

// AlignQueues makes an autoscaler's own list of queues name what its resources
// name: it gives their order, so what it does not have comes last, and what no
// resource has goes. It returns the paths of the lists that it changed.
func (d Draft) AlignQueues() []string {
	var changed []string
	for i, a := range elements(d["autoscalers"]) {
		written, isList := a["queues"].([]any)
		order, serving, known := queuesServed(elements(a["resources"]))
		if !isList || len(written) == 0 || !known {
			continue
		}
		a["queues"] = aligned(elements(written), order, serving)
		if !reflect.DeepEqual(a["queues"], written) {
			changed = append(changed, child(item("autoscalers", i), "queues"))
		}
	}
	return changed
}

// queuesServed are the queues of resources as they are first named, each with its
// resources in file order; known is false when they or the names are not plain text.
func queuesServed(resources []map[string]any) (order []any, serving map[any][]any, known bool) {
	serving = map[any][]any{}
	for _, r := range resources {
		queues, isList := r["queues"].([]any)
		if _, isText := r["name"].(string); !isText || !isList && r["queues"] != nil {
			return nil, nil, false
		}
		for _, q := range queues {
			if _, isText := q.(string); !isText {
				return nil, nil, false
			}
			if !slices.Contains(order, q) {
				order = append(order, q)
			}
			if !slices.Contains(serving[q], r["name"]) {
				serving[q] = append(serving[q], r["name"])
			}
		}
	}
	return order, serving, true
}

func aligned(written []map[string]any, order []any, serving map[any][]any) []any {
	out := []any{}
	for _, q := range written {
		names, isList := q["resources"].([]any)
		if _, isText := q["queue"].(string); !isText || !isList {
			out = append(out, q)
			continue
		}
		kept := []any{}
		for _, name := range append(slices.Clone(names), serving[q["queue"]]...) {
			if slices.Contains(serving[q["queue"]], name) && !slices.Contains(kept, name) {
				kept = append(kept, name)
			}
		}
		order = slices.DeleteFunc(order, func(name any) bool { return name == q["queue"] })
		if len(kept) > 0 {
			out = append(out, map[string]any{"queue": q["queue"], "resources": kept})
		}
	}
	for _, name := range order {
		out = append(out, map[string]any{"queue": name, "resources": serving[name]})
	}
	return out
}

// Value is text, as a form or a command line has it, as the value of the key. Text
// that does not fit stays text, so that Check can say what is wrong with it.
func (k Key) Value(text string) any {
	if IsReference(text) {
		return text
	}
	switch k.Kind {
	case KindFlag:
		if b, err := strconv.ParseBool(strings.TrimSpace(text)); err == nil {
			return b
		}
	case KindInteger:
		if n, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
			return n
		}
	case KindList:
		separator := k.Separator
		if separator == "" {
			separator = ","
		}
		return listOf(text, separator)
	case KindTags:
		return tagsOf(text)
	case KindText, KindSecret, KindScript, KindDecimal, KindDuration, KindFree, KindObject, KindObjects:
	}
	return text
}

// KeyAt is what the table has about the path of a file, be it an element of a list.
func KeyAt(path string) (Key, bool) { return NewKeyTable().At(path) }

// NearestKey is the key of the table that a misspelled path means, "" when none is
// close.
func NearestKey(path string) string {
	// What all paths of an autoscaler begin with makes no two of them close.
	within, rest := "", GenericPath(path)
	if after, inside := strings.CutPrefix(rest, "autoscalers[]."); inside {
		within, rest = "autoscalers[].", after
	}
	var known []string
	for _, k := range Keys() {
		if after, inside := strings.CutPrefix(k.Path, within); inside && k.Instead == "" {
			known = append(known, after)
		}
	}
	if near := nearest(rest, known); near != "" {
		return within + near
	}
	// A key may be meant whose objects are left out: region, of aws.region.
	last := func(path string) string { return path[strings.LastIndex(path, ".")+1:] }
	names := make([]string, 0, len(known))
	for _, k := range known {
		names = append(names, last(k))
	}
	if near := nearest(rest, names); near != "" {
		return within + known[slices.Index(names, near)]
	}
	return ""
}
