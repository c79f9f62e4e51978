package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Export writes f as YAML or JSON, keys in the order of the types. Import gives the
// same File back. Secrets are written only when withSecrets is true; otherwise
// those that are set appear as [Redacted], which no Load accepts. Empty texts and
// lists, and numbers that are zero, are left out.
func Export(f File, format Format, withSecrets bool) ([]byte, error) {
	e := exporter{withSecrets: withSecrets}
	root := e.node(reflect.ValueOf(f), "")
	if e.err != nil {
		return nil, e.err
	}
	if format == YAML && !withSecrets {
		root.HeadComment = "Exported without secrets: replace each " + Redacted + " before use."
	}
	return encode(root, format)
}

// encode writes what the exporter built.
func encode(root *yaml.Node, format Format) ([]byte, error) {
	var b bytes.Buffer
	switch format {
	case JSON:
		writeJSON(&b, root, "")
		b.WriteByte('\n')
		return b.Bytes(), nil
	case YAML:
		encoder := yaml.NewEncoder(&b)
		encoder.SetIndent(2)
		if err := encoder.Encode(root); err != nil {
			return nil, fmt.Errorf("write YAML: %w", err)
		}
		return b.Bytes(), nil
	case HOCON:
	}
	return nil, fmt.Errorf("export as %q: write yaml or json", string(format))
}

// exporter builds YAML nodes, which keep the order of keys for both formats.
type exporter struct {
	withSecrets bool
	raw         bool // texts are as in a file: references stay
	err         error
}

func (e *exporter) fail(path, message string) {
	if e.err == nil {
		e.err = fmt.Errorf("export %s: %s", path, message)
	}
}

func (e *exporter) node(v reflect.Value, path string) *yaml.Node {
	switch v.Kind() {
	case reflect.Struct:
		return e.structure(v, path)
	case reflect.Map:
		return e.mapping(v, path)
	case reflect.Slice:
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for i := range v.Len() {
			list.Content = append(list.Content, e.node(v.Index(i), item(path, i)))
		}
		return list
	case reflect.Interface:
		if !v.IsNil() {
			return e.node(v.Elem(), path)
		}
	default:
		return e.scalar(v, path)
	}
	e.fail(path, "a value without a type cannot be written")
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
}

func (e *exporter) scalar(v reflect.Value, path string) *yaml.Node {
	switch x := v.Interface().(type) {
	case Secret:
		if x.IsSet() && !e.withSecrets {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: Redacted}
		}
	case time.Duration:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: shortDuration(x)}
	}
	switch v.Kind() {
	case reflect.String:
		return e.text(v.String(), path)
	case reflect.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v.Bool())}
	case reflect.Int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v.Int(), 10)}
	case reflect.Float64:
		return e.number(v.Float(), path)
	default:
	}
	e.fail(path, "a value of type "+v.Type().String()+" cannot be written")
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
}

func (e *exporter) structure(v reflect.Value, path string) *yaml.Node {
	object := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := range v.NumField() {
		key, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if options == "omitzero" && v.Field(i).IsZero() {
			continue
		}
		e.put(object, key, e.node(v.Field(i), child(path, key)), path)
	}
	return object
}

func (e *exporter) mapping(v reflect.Value, path string) *yaml.Node {
	object := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	values := map[string]reflect.Value{}
	for it := v.MapRange(); it.Next(); {
		values[it.Key().String()] = it.Value()
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		k := e.plainText(key, path)
		object.Content = append(object.Content, k, e.node(values[key], child(path, key)))
	}
	return object
}

// put adds a key unless its value is empty. Booleans and durations are never empty:
// their default may be another value.
func (e *exporter) put(object *yaml.Node, key string, value *yaml.Node, path string) {
	empty := value.Kind != yaml.ScalarNode && len(value.Content) == 0 ||
		value.Tag == "!!str" && value.Value == "" || value.Tag == "!!int" && value.Value == "0"
	if !empty {
		object.Content = append(object.Content, e.plainText(key, path), value)
	}
}

func (e *exporter) text(s, path string) *yaml.Node {
	if e.raw {
		return e.plainText(s, path)
	}
	return e.plainText(escapeReferences(s), path)
}

func (e *exporter) plainText(s, path string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if !utf8.ValidString(s) {
		e.fail(path, "the text is not UTF-8")
		return n
	}
	if strings.Contains(s, "\n") {
		n.Style = yaml.LiteralStyle
	}
	if e.raw && (strings.HasSuffix(s, "\n\n") || s == "\n") {
		n.Style = yaml.DoubleQuotedStyle // empty lines that follow would become part of it
	}
	// What the library does not read back as it was written goes in quotes.
	back := ""
	if out, err := yaml.Marshal(n); err != nil || yaml.Unmarshal(out, &back) != nil || back != s || strings.ContainsAny(s, "\r\u0085\u2028\u2029\ufeff") {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func (e *exporter) number(f float64, path string) *yaml.Node {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		e.fail(path, "a number is infinite")
	}
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0" // else it would come back as an int
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: s}
}

// writeJSON writes what the exporter built, indented by two spaces.
func writeJSON(b *bytes.Buffer, n *yaml.Node, indent string) {
	inner := indent + "  "
	switch {
	case n.Kind == yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString("\n" + inner + jsonText(n.Content[i].Value) + ": ")
			writeJSON(b, n.Content[i+1], inner)
		}
		if len(n.Content) > 0 {
			b.WriteString("\n" + indent)
		}
		b.WriteByte('}')
	case n.Kind == yaml.SequenceNode:
		b.WriteByte('[')
		for i, e := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString("\n" + inner)
			writeJSON(b, e, inner)
		}
		if len(n.Content) > 0 {
			b.WriteString("\n" + indent)
		}
		b.WriteByte(']')
	case n.Tag == "!!str":
		b.WriteString(jsonText(n.Value))
	default:
		b.WriteString(n.Value)
	}
}

// jsonText quotes s, leaving < and > as they are: Redacted has them.
func jsonText(s string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		return strconv.Quote(s)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
