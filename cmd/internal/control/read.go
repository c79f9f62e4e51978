package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ebbscale/ebb/messages"
)

// read decodes a request: nothing, or one flat JSON object that has each field
// once, by its exact name. encoding/json takes more than that, and an order to
// let an instance go is no place for guesses.
func read(data []byte, into any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	if !utf8.Valid(data) {
		return unreadable("it is not UTF-8")
	}
	if err := checkKeys(data, fieldsOf(into)); err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return unreadable(strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func checkKeys(data []byte, fields []string) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if begin, err := decoder.Token(); err != nil {
		return unreadable(err.Error())
	} else if begin != json.Delim('{') {
		return unreadable("it is no JSON object")
	}
	seen := make(map[string]bool)
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return unreadable(err.Error())
		}
		key, _ := token.(string)
		var value json.RawMessage
		switch err := decoder.Decode(&value); {
		case err != nil:
			return unreadable(err.Error())
		case !slices.Contains(fields, key):
			return unreadable(fmt.Sprintf("it has a field %.60q; the fields are %s", key, strings.Join(fields, ", ")))
		case seen[key]:
			return unreadable(fmt.Sprintf("it has the field %q twice", key))
		case string(value) == "null":
			return unreadable(fmt.Sprintf("its field %q is null; leave it out", key))
		}
		seen[key] = true
	}
	if _, err := decoder.Token(); err != nil { // the closing brace
		return unreadable(err.Error())
	}
	if _, err := decoder.Token(); err != io.EOF {
		return unreadable("there is something behind the JSON object")
	}
	return nil
}

// fieldsOf are the JSON names of the fields of a request.
func fieldsOf(request any) []string {
	kind := reflect.TypeOf(request).Elem()
	names := make([]string, 0, kind.NumField())
	for field := range kind.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

func unreadable(why string) error {
	return invalid("the request can not be read: %s; docs/control.md has each request with an example", why)
}

func invalid(format string, args ...any) error {
	return &messages.Failure{Class: messages.ClassInvalid, Message: fmt.Sprintf(format, args...)}
}

// checkText says whether a text of an operator may go into events.
func checkText(field, text string, limit int) error {
	if utf8.RuneCountInString(text) > limit {
		return invalid("%s is longer than %d characters; write less", field, limit)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return invalid("%s holds a character that can not be printed; write plain text on one line", field)
	}
	return nil
}
