package fakeclearml

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// params are the fields of a request.
type params map[string]any

// text is an optional string; null and absent are the same.
func (p params) text(name string) (string, error) {
	switch v := p[name].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	default:
		return "", wrongType(name, "str", v)
	}
}

// required is a string that must be there.
func (p params) required(name string) (string, error) {
	if p[name] == nil {
		return "", errValidation("error for field '" + name + "'. field is required!")
	}
	return p.text(name)
}

func wrongType(name, want string, got any) *Error {
	return errValidation(fmt.Sprintf("error for field '%s'. value is wrong, expected type %q, received %v.", name, want, got))
}

// boolean is a flag with a default.
func (p params) boolean(name string, def bool) (bool, error) {
	switch v := p[name].(type) {
	case nil:
		return def, nil
	case bool:
		return v, nil
	case json.Number:
		return v.String() != "0", nil
	case string:
		if b, err := strconv.ParseBool(v); err == nil {
			return b, nil
		}
	}
	return false, wrongType(name, "bool", p[name])
}

// integer is a whole number, also one written as text; ok tells whether it is
// there and not null.
func (p params) integer(name string) (n int, ok bool, err error) {
	switch v := p[name].(type) {
	case nil:
		return 0, false, nil
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return 0, false, wrongType(name, "int", v)
		}
		return int(f), true, nil
	case int:
		return v, true, nil
	case bool:
		if v {
			return 1, true, nil
		}
		return 0, true, nil
	case string:
		n, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil {
			return 0, false, errValidation(fmt.Sprintf("invalid literal for int() with base 10: '%s'", v))
		}
		return n, true, nil
	default:
		return 0, false, wrongType(name, "int", v)
	}
}

// number is a number with a fraction that must be there.
func (p params) number(name string) (float64, error) {
	if p[name] == nil {
		return 0, errValidation("error for field '" + name + "'. field is required!")
	}
	f, ok := asNumber(p[name])
	if !ok {
		return 0, wrongType(name, "float", p[name])
	}
	return f, nil
}

// strings is a list of strings; a single string counts as a list of one.
func (p params) strings(name string) ([]string, error) {
	switch v := p[name].(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		out := make([]string, len(v))
		for i, e := range v {
			str, ok := e.(string)
			if !ok {
				return nil, wrongType(name, "str", e)
			}
			out[i] = str
		}
		return out, nil
	default:
		return nil, wrongType(name, "list", v)
	}
}

// objects is a list of JSON objects.
func (p params) objects(name string) ([]params, error) {
	list, ok := p[name].([]any)
	if !ok {
		if p[name] == nil {
			return nil, nil
		}
		return nil, wrongType(name, "list", p[name])
	}
	out := make([]params, len(list))
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return nil, wrongType(name, "dict", e)
		}
		out[i] = m
	}
	return out, nil
}

// reader collects the first error of several reads, so that an endpoint can read
// all its fields and check once.
type reader struct {
	p   params
	err error
}

func (r *reader) keep(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) text(name string) string {
	v, err := r.p.text(name)
	r.keep(err)
	return v
}

func (r *reader) required(name string) string {
	v, err := r.p.required(name)
	r.keep(err)
	return v
}

func (r *reader) boolean(name string) bool {
	v, err := r.p.boolean(name, false)
	r.keep(err)
	return v
}

func (r *reader) integer(name string) int {
	v, _, err := r.p.integer(name)
	r.keep(err)
	return v
}

func (r *reader) strings(name string) []string {
	v, err := r.p.strings(name)
	r.keep(err)
	return v
}
