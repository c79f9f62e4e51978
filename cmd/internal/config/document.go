package config

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Format is the syntax of a file.
type Format string

// The formats. Export writes YAML and JSON.
const (
	YAML  Format = "yaml"
	JSON  Format = "json"
	HOCON Format = "hocon"
)

// Limits on what is read, so that a file can neither hang the process nor eat its
// memory. A real configuration is far below both.
const (
	depthMax = 64      // levels of nesting
	nodesMax = 200_000 // values, counted after aliases are expanded
	bytesMax = 8 << 20 // a file
)

// FormatOf tells the format from a file's name; ok is false when it cannot.
func FormatOf(path string) (format Format, ok bool) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml":
		return YAML, true
	case ".json":
		return JSON, true
	case ".conf", ".hocon":
		return HOCON, true
	}
	return "", false
}

// document is a parsed file without any meaning yet. Objects are map[string]any,
// lists []any, scalars string, bool, int, float64 or loose; there is no null: a
// key without a value is as good as absent.
type document struct {
	file  string
	root  map[string]any
	lines map[string]int      // path → line, where the format tells
	order map[string][]string // path of an object → its keys in file order
	nodes int
}

// loose is text that comes from outside the file's own syntax, so its type has to
// be read from the text: environment variables, flags, expanded references.
type loose string

func newDocument(file string) *document {
	return &document{
		file: file, root: map[string]any{}, lines: map[string]int{}, order: map[string][]string{},
	}
}

// parse reads data. The problems say where in the file its syntax is wrong.
func parse(file string, data []byte, format Format) (*document, []Problem) {
	d := newDocument(file)
	if len(data) > bytesMax {
		return d, []Problem{d.problem("", 0, fmt.Sprintf("the file has %d MB", len(data)>>20), "write a configuration, at most 8 MB")}
	}
	if !utf8.Valid(data) {
		valid := 0
		for r, n := utf8.DecodeRune(data); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRune(data[valid:]) {
			valid += n
		}
		return d, []Problem{d.problem("", 1+bytes.Count(data[:valid], []byte("\n")), "the file is not UTF-8", "save it as UTF-8; encode binary text with base64")}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors begin files with this mark
	switch format {
	case JSON:
		return d, d.readJSON(data)
	case HOCON:
		return d, d.readHOCON(string(data))
	case YAML:
	}
	return d, d.readYAML(data)
}

func (d *document) problem(path string, line int, message, fix string) Problem {
	return Problem{Path: path, Where: d.file, Line: line, Message: message, Fix: fix}
}

// lineOf is the line of path, or of the closest thing around it that was written.
func (d *document) lineOf(path string) int {
	for {
		if line, ok := d.lines[path]; ok || path == "" {
			return line
		}
		path = enclosing(path)
	}
}

// enter counts a value and refuses what is too big or too deep.
func (d *document) enter(path string, line, depth int) *Problem {
	d.nodes++
	switch {
	case depth > depthMax:
		p := d.problem(path[:min(len(path), 80)], line, "is nested too deeply", fmt.Sprintf("write at most %d levels", depthMax))
		return &p
	case d.nodes > nodesMax:
		p := d.problem("", line, "the file has too many values", fmt.Sprintf("write at most %d, aliases expanded", nodesMax))
		return &p
	}
	return nil
}

// put stores a key of an object, unless it is there already or cannot be a key.
func (d *document) put(object map[string]any, parent, key string, line int, value any) *Problem {
	path := child(parent, key)
	if strings.ContainsRune(key, 0) {
		p := d.problem(parent, line, "a key contains a NUL character", "remove it")
		return &p
	}
	if _, twice := object[key]; twice {
		p := d.problem(path, line, "is written twice", fmt.Sprintf("keep one (the other is in line %d)", d.lines[path]))
		if d.lines[path] == 0 {
			p.Fix = "keep one"
		}
		return &p
	}
	if value == nil {
		return nil
	}
	object[key] = value
	d.order[parent] = append(d.order[parent], key)
	return nil
}
