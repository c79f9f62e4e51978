package fakeclearml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// scroll is where a scrolling reader has got to.
type scroll struct {
	position int
	expires  time.Time
}

// schema says how the documents of one kind may be queried.
type schema struct {
	// fields are the names that only_fields and order_by may begin with; a value of
	// false means that nothing inside the field can be named.
	fields map[string]bool
	// excluded are left out unless named; lists among them are answered empty.
	excluded  []string
	lists     []string
	patterns  []string
	datetimes []string
	ranges    []string
	equals    []string
}

func queueSchema() schema {
	return schema{
		fields: map[string]bool{
			"id": false, "name": false, "display_name": false, "company": true, "created": false, "last_update": false,
			"tags": false, "system_tags": false, "entries": true, "metadata": false, "resources": true,
		},
		lists: []string{"id", "tags", "system_tags"}, patterns: []string{"name"},
	}
}

func taskSchema() schema {
	return schema{
		fields: map[string]bool{
			"id": false, "company": true, "user": true, "name": false, "type": false, "status": false, "status_reason": false,
			"status_message": false, "status_changed": false, "comment": false, "report": false, "report_assets": false,
			"created": false, "started": false, "completed": false, "published": false, "active_duration": false,
			"parent": true, "project": true, "output": true, "execution": true, "tags": false, "system_tags": false,
			"script": true, "last_worker": false, "last_worker_report": false, "last_update": false, "last_change": false,
			"last_iteration": false, "last_metrics": true, "unique_metrics": false, "metric_stats": true,
			"company_origin": false, "duration": false, "hyperparams": true, "configuration": true, "runtime": true,
			"models": true, "container": true, "enqueue_status": false, "last_changed_by": false,
		},
		excluded: []string{"enqueue_status", "company_origin"},
		lists:    []string{"id", "user", "tags", "system_tags", "type", "status", "project", "parent"},
		patterns: []string{"name", "comment", "report"}, datetimes: []string{"status_changed", "last_update"},
		ranges: []string{"started", "active_duration", "last_iteration"}, equals: []string{"execution.queue"},
	}
}

func projectSchema() schema {
	return schema{
		fields: map[string]bool{
			"id": false, "name": false, "basename": false, "description": false, "company": true, "user": true,
			"created": false, "last_update": false, "tags": false, "system_tags": false, "parent": true, "path": false,
			"default_output_destination": false,
		},
		lists: []string{"id", "tags", "system_tags", "parent"}, patterns: []string{"name", "basename"},
		datetimes: []string{"last_update"},
	}
}

func modelSchema() schema {
	return schema{
		fields: map[string]bool{
			"id": false, "name": false, "company": true, "user": true, "created": false, "last_update": false, "tags": false,
			"system_tags": false, "uri": false, "task": true, "project": true, "ready": false, "framework": false,
			"labels": true, "comment": false, "metadata": false,
		},
		lists: []string{"id", "tags", "system_tags", "project", "task"}, patterns: []string{"name"},
	}
}

// checkPath refuses a field name that the schema does not have.
func (sc schema) checkPath(path string) error {
	top, inside, nested := strings.Cut(path, ".")
	deep, ok := sc.fields[top]
	if !ok || (nested && (!deep || inside == "")) {
		return errValidation("invalid field", kv{"path", path})
	}
	return nil
}

// lookup finds the value at a dotted path.
func lookup(doc map[string]any, path string) (any, bool) {
	var cur any = doc
	for part := range strings.SplitSeq(path, ".") {
		m, ok := cur.(map[string]any)
		if !ok {
			return nil, false
		}
		if cur, ok = m[part]; !ok {
			return nil, false
		}
	}
	return cur, cur != nil
}

// project keeps the named paths; what is not set stays absent.
func (sc schema) project(doc map[string]any, only []string) map[string]any {
	out := map[string]any{}
	for _, path := range only {
		copyPath(out, doc, strings.Split(path, "."))
	}
	return out
}

func copyPath(dst, src map[string]any, path []string) {
	v, ok := src[path[0]]
	if !ok {
		return
	}
	if len(path) == 1 {
		dst[path[0]] = v
		return
	}
	switch v := v.(type) {
	case map[string]any:
		sub, ok := dst[path[0]].(map[string]any)
		if !ok {
			sub = map[string]any{}
			dst[path[0]] = sub
		}
		copyPath(sub, v, path[1:])
	case []any:
		list, ok := dst[path[0]].([]any)
		if !ok {
			list = make([]any, len(v))
			for i := range list {
				list[i] = map[string]any{}
			}
			dst[path[0]] = list
		}
		for i, e := range v {
			copyPath(asMap(list[i]), asMap(e), path[1:])
		}
	}
}

// split parts only_fields into what to keep and what to leave out.
func (sc schema) split(only []string) (keep, drop []string, err error) {
	drop = slices.Clone(sc.excluded)
	for _, path := range only {
		name, excluded := strings.CutPrefix(path, "-")
		if err := sc.checkPath(name); err != nil {
			return nil, nil, err
		}
		if excluded {
			drop = append(drop, name)
		} else {
			keep = append(keep, name)
		}
	}
	return keep, drop, nil
}

// shape applies only_fields to one document.
func (sc schema) shape(doc map[string]any, keep, drop []string) map[string]any {
	if len(keep) > 0 {
		return sc.project(doc, keep)
	}
	out := make(map[string]any, len(doc))
	for k, v := range doc {
		if !slices.Contains(drop, k) {
			out[k] = v
		}
	}
	return out
}

// order sorts by the named fields, then by id; documents without the field come
// last whatever the direction.
func (sc schema) order(docs []map[string]any, by []string) error {
	if len(by) == 0 {
		return nil
	}
	for _, f := range by {
		if err := sc.checkPath(strings.TrimPrefix(f, "-")); err != nil {
			return err
		}
	}
	slices.SortStableFunc(docs, func(a, b map[string]any) int {
		for _, f := range append(slices.Clone(by), "id") {
			name, desc := strings.CutPrefix(f, "-")
			va, oka := lookup(a, name)
			vb, okb := lookup(b, name)
			switch {
			case !oka && !okb:
				continue
			case !oka:
				return 1
			case !okb:
				return -1
			}
			if c := compareValues(va, vb); c != 0 {
				if desc {
					return -c
				}
				return c
			}
		}
		return 0
	})
	return nil
}

func compareValues(a, b any) int {
	if ta, ok := a.(time.Time); ok {
		if tb, ok := b.(time.Time); ok {
			return ta.Compare(tb)
		}
	}
	fa, oka := asNumber(a)
	fb, okb := asNumber(b)
	if oka && okb {
		return cmp.Compare(fa, fb)
	}
	return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

// page is the slice of rows that the request asks for: by page (at most 500
// rows) or by scroll (as many as asked). next is called with the number of rows
// that were given out and returns what the answer has to carry besides them.
func (s *Server) page(p params) (start, size int, next func(n int) map[string]any, err error) {
	nothing := func(int) map[string]any { return nil }
	if _, scrolling := p["scroll_id"]; scrolling {
		return s.scrollPage(p)
	}
	page, _, err := p.integer("page")
	if err != nil {
		return 0, 0, nil, err
	}
	if page < 0 {
		return 0, 0, nil, errValidation("page must be >=0", kv{"field", "page"})
	}
	size, ok, err := p.integer("page_size")
	if err != nil {
		return 0, 0, nil, err
	}
	if !ok {
		size = maxPageSize
	}
	if size < 1 {
		return 0, 0, nil, errValidation("page_size must be >0", kv{"field", "page_size"})
	}
	size = min(size, maxPageSize)
	return page * size, size, nothing, nil
}

func (s *Server) scrollPage(p params) (start, size int, next func(n int) map[string]any, err error) {
	size, _, err = p.integer("size")
	if err != nil || size < 1 {
		return 0, 0, nil, errValidation("Integer size parameter greater than 1 should be provided when working with scroll")
	}
	refresh, err := p.boolean("refresh_scroll", false)
	if err != nil {
		return 0, 0, nil, err
	}
	now := s.now()
	for id, sc := range s.scrolls {
		if !sc.expires.After(now) {
			delete(s.scrolls, id)
		}
	}
	id, _ := p["scroll_id"].(string)
	state := s.scrolls[id]
	if state == nil {
		id, state = newID(s.sessions), &scroll{}
		s.scrolls[id] = state
	}
	start = state.position
	if refresh {
		size, start = max(state.position, size), 0
	}
	return start, size, func(n int) map[string]any {
		state.position, state.expires = start+n, now.Add(scrollLife)
		return map[string]any{"scroll_id": id}
	}, nil
}

// find filters, orders, pages and shapes documents as get_all of every kind does.
func (s *Server) find(sc schema, docs []map[string]any, p params) (rows []map[string]any, more map[string]any, err error) {
	match, err := sc.filter(p)
	if err != nil {
		return nil, nil, err
	}
	docs = slices.DeleteFunc(docs, func(d map[string]any) bool { return !match(d) })
	by, err := p.strings("order_by")
	if err != nil {
		return nil, nil, err
	}
	if err := sc.order(docs, by); err != nil {
		return nil, nil, err
	}
	start, size, next, err := s.page(p)
	if err != nil {
		return nil, nil, err
	}
	only, err := p.strings("only_fields")
	if err != nil {
		return nil, nil, err
	}
	if projection, err := p.strings("projection"); err == nil && len(projection) > 0 {
		only = projection
	}
	keep, drop, err := sc.split(only)
	if err != nil {
		return nil, nil, err
	}
	docs = docs[min(start, len(docs)):min(start+size, len(docs))]
	rows = make([]map[string]any, len(docs))
	for i, d := range docs {
		rows[i] = sc.shape(d, keep, drop)
	}
	return rows, next(len(rows)), nil
}
