package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// readYAML fills the document from YAML's nodes, which know their lines.
func (d *document) readYAML(data []byte) []Problem {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var top yaml.Node
	if err := decoder.Decode(&top); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return []Problem{d.yamlSyntax(data, err)}
	}
	var more yaml.Node
	if err := decoder.Decode(&more); err == nil {
		return []Problem{d.problem("", more.Line, "a second YAML document begins here", "write one document, without a line ---")}
	} else if !errors.Is(err, io.EOF) {
		return []Problem{d.yamlSyntax(data, err)}
	}
	r := yamlReader{d: d}
	root := r.value(top.Content[0], "", 0)
	if object, ok := root.(map[string]any); ok {
		d.root = object
	} else if root != nil {
		r.add(d.problem("", top.Line, "the file is not an object", "begin with keys such as autoscalers:"))
	}
	return r.problems
}

// yamlSyntax takes the line out of the library's message.
func (d *document) yamlSyntax(data []byte, err error) Problem {
	text := regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`).FindStringSubmatch(err.Error())
	if text == nil {
		return d.problem("", 0, "is not YAML: "+err.Error(), "check indentation and quotes")
	}
	line, _ := strconv.Atoi(text[1])
	return d.problem("", line, "is not YAML: "+text[2], yamlCure(data, line))
}

// yamlCure names the usual mistakes near a line, which the library counts one
// short at times.
func yamlCure(data []byte, line int) string {
	lines := bytes.Split(data, []byte("\n"))
	for _, text := range lines[min(max(0, line-1), len(lines)):min(line+1, len(lines))] {
		switch {
		case regexp.MustCompile(`^ *\t`).Match(text):
			return "indent with spaces, not with tabs"
		case regexp.MustCompile(`[{,] *\w+: *\$\{`).Match(text):
			return `write "${…}" in quotes between { and }`
		}
	}
	return "check indentation and quotes near this line"
}

// yamlReader collects problems while nodes become values.
type yamlReader struct {
	d        *document
	problems []Problem
	stopped  bool // by a limit: the rest of the file is not read
}

func (r *yamlReader) add(p Problem) { r.problems = append(r.problems, p) }

func (r *yamlReader) value(n *yaml.Node, path string, depth int) any {
	if r.stopped {
		return nil
	}
	if _, known := r.d.lines[path]; !known {
		r.d.lines[path] = n.Line
	}
	if p := r.d.enter(path, n.Line, depth); p != nil {
		r.add(*p)
		r.stopped = true
		return nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(n.Alias, path, depth+1)
	case yaml.MappingNode:
		return r.object(n, path, depth)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for i, c := range n.Content {
			v := r.value(c, item(path, i), depth+1)
			if v == nil && !r.stopped {
				r.add(r.d.problem(item(path, i), c.Line, "is empty", "write a value or remove the element"))
			}
			list = append(list, v)
		}
		return list
	case yaml.ScalarNode:
		return yamlScalar(n)
	case yaml.DocumentNode:
	}
	return nil
}

// object reads the keys as written, then those it takes over with << where it has
// none of its own.
func (r *yamlReader) object(n *yaml.Node, path string, depth int) any {
	object := map[string]any{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.ShortTag() == "!!merge" {
			merged = append(merged, v)
			continue
		}
		if k.Kind != yaml.ScalarNode {
			r.add(r.d.problem(path, k.Line, "a key is not text", "write keys as plain words"))
			continue
		}
		p := child(path, k.Value)
		if _, twice := object[k.Value]; !twice {
			r.d.lines[p] = k.Line
		}
		if bad := r.d.put(object, path, k.Value, k.Line, r.value(v, p, depth+1)); bad != nil {
			r.add(*bad)
		}
	}
	for _, m := range merged {
		r.merge(object, m, path, depth)
	}
	return object
}

// merge adds the keys of the object (or objects) m that object lacks.
func (r *yamlReader) merge(object map[string]any, m *yaml.Node, path string, depth int) {
	if m.Kind == yaml.SequenceNode {
		for _, c := range m.Content {
			r.merge(object, c, path, depth+1)
		}
		return
	}
	// The keys are read into a document of their own: what they would overwrite
	// must keep its lines and order.
	aside := newDocument(r.d.file)
	aside.nodes = r.d.nodes
	inner := yamlReader{d: aside}
	from, ok := inner.value(m, path, depth+1).(map[string]any)
	r.d.nodes = aside.nodes
	r.problems = append(r.problems, inner.problems...)
	r.stopped = r.stopped || inner.stopped
	if !ok {
		r.add(r.d.problem(path, m.Line, "<< does not name an object", "write <<: *anchor, with &anchor on an object"))
		return
	}
	for _, key := range aside.order[path] {
		if _, own := object[key]; own {
			continue
		}
		object[key] = from[key]
		r.d.order[path] = append(r.d.order[path], key)
		r.d.lines[child(path, key)] = aside.lines[child(path, key)]
	}
}

// yamlScalar gives YAML's numbers and booleans their type; dates and whatever else
// stay the text that was written.
func yamlScalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool", "!!int", "!!float":
		var v any
		if err := n.Decode(&v); err != nil {
			return n.Value
		}
		switch v := v.(type) {
		case bool, int:
			return v
		case float64:
			if !math.IsInf(v, 0) && !math.IsNaN(v) {
				return v
			}
		case int64, uint64:
			return fmt.Sprint(v)
		}
	}
	return n.Value
}
