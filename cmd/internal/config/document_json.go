package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// readJSON fills the document token by token, which finds repeated keys and the
// lines of all values.
func (d *document) readJSON(data []byte) []Problem {
	r := jsonReader{d: d, data: data, decoder: json.NewDecoder(bytes.NewReader(data))}
	r.decoder.UseNumber()
	root, err := r.value("", 0)
	if err == nil {
		if _, more := r.decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows after the closing brace")
		}
	}
	if tooMuch, ok := errors.AsType[*limitError](err); ok {
		return append(r.problems, tooMuch.problem)
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return append(r.problems, d.problem("", r.line(), "is not JSON: it ends too early", "write {…}, and close every brace, bracket and quote"))
	} else if err != nil {
		return append(r.problems, d.problem("", r.line(), "is not JSON: "+err.Error(), "check commas, quotes and braces near this line"))
	}
	if object, ok := root.(map[string]any); ok {
		d.root = object
	} else {
		r.problems = append(r.problems, d.problem("", 1, "the file is not an object", `begin with {"autoscalers": …}`))
	}
	return r.problems
}

// limitError stops the reading of a file that is too big or too deep.
type limitError struct{ problem Problem }

func (e *limitError) Error() string { return e.problem.String() }

type jsonReader struct {
	d        *document
	data     []byte
	decoder  *json.Decoder
	problems []Problem
	counted  int64 // bytes of data in which newlines have been counted
	newlines int
}

// line is the line of the token read last.
func (r *jsonReader) line() int {
	to := min(r.decoder.InputOffset(), int64(len(r.data)))
	r.newlines += bytes.Count(r.data[r.counted:to], []byte("\n"))
	r.counted = to
	return r.newlines + 1
}

func (r *jsonReader) value(path string, depth int) (any, error) {
	token, err := r.decoder.Token()
	if err != nil {
		return nil, err
	}
	line := r.line()
	if _, known := r.d.lines[path]; !known {
		r.d.lines[path] = line
	}
	if p := r.d.enter(path, line, depth); p != nil {
		return nil, &limitError{*p}
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return r.object(path, depth)
		}
		return r.list(path, depth)
	case json.Number:
		if i, err := strconv.Atoi(token.String()); err == nil {
			return i, nil
		}
		f, err := token.Float64()
		if err != nil {
			return nil, fmt.Errorf("number %s is out of range", token)
		}
		return f, nil
	case string, bool:
		return token, nil
	}
	return nil, nil //nolint:nilnil // JSON's null: a key without a value
}

func (r *jsonReader) object(path string, depth int) (any, error) {
	object := map[string]any{}
	for r.decoder.More() {
		token, err := r.decoder.Token()
		if err != nil {
			return nil, err
		}
		key, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("%v is not a key", token)
		}
		line, p := r.line(), child(path, key)
		if _, twice := object[key]; !twice {
			r.d.lines[p] = line
		}
		v, err := r.value(p, depth+1)
		if err != nil {
			return nil, err
		}
		if bad := r.d.put(object, path, key, line, v); bad != nil {
			r.problems = append(r.problems, *bad)
		}
	}
	_, err := r.decoder.Token() // the closing brace
	return object, err
}

func (r *jsonReader) list(path string, depth int) (any, error) {
	list := []any{}
	for i := 0; r.decoder.More(); i++ {
		v, err := r.value(item(path, i), depth+1)
		if err != nil {
			return nil, err
		}
		if v == nil {
			r.problems = append(r.problems, r.d.problem(item(path, i), r.line(), "is empty", "write a value or remove the element"))
		}
		list = append(list, v)
	}
	_, err := r.decoder.Token() // the closing bracket
	return list, err
}
