package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// SchemaURL is where the JSON Schema of the newest version is found.
const SchemaURL = "https://raw.githubusercontent.com/ebbscale/ebb/main/deployments/examples/ebb.schema.json"

// Forms of text in the schema. A reference may stand for any value.
const (
	referenceForm = `\$\{(ENV|FILE):[^}]+\}`
	durationForm  = `^\s*\+?(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+\s*$|^\s*0+\s*$`
)

// Schema is the JSON Schema (draft 2020-12) of the file, for editors: they complete
// keys, explain them and mark what is wrong. It knows the form of each value, and
// not whether values agree with each other, which only Load does.
func Schema() ([]byte, error) {
	root := schemaOf(NewKeyTable(), Key{Kind: KindObject, Required: true})
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Configuration of ebb"
	root["description"] = "What one process of ebb is told. docs/configuration.md explains it; `ebb config check` checks more than a schema can."
	root["$defs"] = map[string]any{
		"reference": map[string]any{
			"type": "string", "pattern": referenceForm,
			"description": "A value from elsewhere: `${ENV:NAME}` or `${FILE:/path}`.",
		},
	}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	return append(out, '\n'), nil
}

type schema = map[string]any

// schemaOf is the schema of one key's value.
func schemaOf(keys KeyTable, k Key) schema {
	s := schema{}
	switch k.Kind {
	case KindObject:
		s = objectSchema(keys, k.Path)
	case KindObjects:
		s = schema{"type": "array", "items": objectSchema(keys, k.Path+"[]")}
		if k.Required {
			s["minItems"] = 1
		}
		if k.Path == "autoscalers[].queues" {
			s = schema{"anyOf": []any{s, schema{"type": "object", "propertyNames": textForm(keys["autoscalers[].queues[].queue"]), "additionalProperties": listSchema(Key{}), "description": "Each queue with its resources."}}}
		}
	case KindList:
		s = listSchema(k)
	case KindTags:
		s = tagsSchema()
	case KindFree:
		fields := slices.DeleteFunc(launchFields(), func(field string) bool { _, owned := ownedLaunchFields()[field]; return owned })
		s = schema{"type": "object", "propertyNames": schema{"enum": fields}}
	case KindText, KindSecret, KindScript, KindFlag, KindInteger, KindDecimal, KindDuration:
		s = scalarSchema(k)
	}
	if !k.Required {
		s = orNull(s)
	}
	if k.Path == "" {
		return s
	}
	k.explain(s)
	return s
}

// explain adds what an editor shows of a key.
func (k Key) explain(s schema) {
	s["title"], s["description"] = k.Title, k.Text
	if k.Default != "" {
		s["default"] = k.typed(k.Default)
	}
	var examples []any
	for _, e := range k.Examples {
		examples = append(examples, k.typed(e))
	}
	switch {
	case len(examples) > 0 && k.Kind == KindList:
		s["examples"] = []any{examples}
	case len(examples) > 0 && k.Kind != KindFree:
		s["examples"] = examples
	}
}

// orNull also takes null, which is as good as an absent key.
func orNull(s schema) schema {
	null := schema{"type": "null"}
	switch kind := s["type"].(type) {
	case string:
		s["type"] = []any{kind, "null"}
	case []any:
		s["type"] = append(kind, "null")
	default:
		if choices, ok := s["anyOf"].([]any); ok {
			s["anyOf"] = append(choices, null)
		}
	}
	return s
}

// typed is text of the table as the value that it stands for.
func (k Key) typed(text string) any {
	if k.Kind == KindFlag {
		return text == "true"
	}
	if n, err := strconv.Atoi(text); err == nil && k.Kind == KindInteger {
		return n
	}
	return text
}

// objectSchema has the keys directly inside the object at path.
func objectSchema(keys KeyTable, path string) schema {
	properties, required := schema{}, []any{}
	for _, k := range Keys() {
		parent := ""
		if i := strings.LastIndexByte(k.Path, '.'); i >= 0 {
			parent = k.Path[:i]
		}
		if parent != path {
			continue
		}
		properties[k.Last()] = schemaOf(keys, k)
		if k.Required && k.Fallback == "" && !hasShort(keys, k) {
			required = append(required, k.Last())
		}
	}
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	if rules := rulesOf(path); len(rules) > 0 {
		s["allOf"] = rules
	}
	return s
}

// hasShort reports whether another key may stand for k.
func hasShort(keys KeyTable, k Key) bool {
	for path, other := range keys {
		if other.Instead == k.Last() && enclosing(path) == enclosing(k.Path) {
			return true
		}
	}
	return false
}

// rulesOf are what keys of one object say about each other: one of them at least,
// or not both.
func rulesOf(path string) []any {
	anyOf := func(names ...string) any {
		var choices []any
		for _, name := range names {
			choices = append(choices, schema{"required": []any{name}})
		}
		return schema{"anyOf": choices}
	}
	notBoth := func(a, b string) any { return schema{"not": schema{"required": []any{a, b}}} }
	with := func(a, b string) any { return schema{"dependentRequired": schema{a: []any{b}}} }
	switch path {
	case "nats":
		return []any{with("password", "user")}
	case "nats.tls":
		return []any{with("cert_file", "key_file"), with("key_file", "cert_file")}
	case "autoscalers[].clearml":
		return []any{notBoth("auth_token", "access_key"), notBoth("auth_token", "secret_key")}
	case "autoscalers[].resources[]":
		rules := []any{
			anyOf("instance_types", "instance_type"), anyOf("availability_zones", "subnets"),
			notBoth("instance_types", "instance_type"), notBoth("market", "spot"), notBoth("queues", "queue"),
		}
		for _, k := range otherSpellings() {
			if strings.HasPrefix(k.Instead, "volumes[]") {
				rules = append(rules, notBoth("volumes", k.Last()), with(k.Last(), "ebs_device"))
			}
		}
		return rules
	case "autoscalers[].resources[].volumes[]":
		return []any{anyOf("size_gb", "snapshot_id")}
	case "autoscalers[].iam_instance_profile":
		return []any{notBoth("arn", "name")}
	}
	return nil
}

// listSchema takes a list of text, or one text.
func listSchema(k Key) schema {
	element := textForm(k)
	element["minLength"] = 1
	single := textForm(k)
	if k.Separator != "" && k.Pattern != "" {
		one := "(" + strings.TrimSuffix(strings.TrimPrefix(k.Pattern, "^"), "$") + ")"
		single["pattern"] = `^\s*` + one + `(\s*` + k.Separator + `\s*` + one + `)*\s*` + k.Separator + `?\s*$|` + referenceForm
	}
	list := schema{"type": "array", "items": element, "uniqueItems": true}
	if k.Path == "" || k.Required {
		list["minItems"] = 1
	}
	return schema{"anyOf": []any{list, single}}
}

// textForm is text of the key's pattern and length, or a reference; an optional text
// may be empty.
func textForm(k Key) schema {
	s := schema{"type": "string"}
	if k.Pattern != "" {
		choices := []string{k.Pattern, referenceForm}
		if k.Missing == "" && k.Kind != KindList {
			choices = append(choices, "^$")
		}
		s["pattern"] = strings.Join(choices, "|")
	}
	if k.Kind != KindInteger && k.Least > 0 {
		s["minLength"] = k.Least
	}
	if k.Kind != KindInteger && k.Most > 0 {
		s["maxLength"] = k.Most
	}
	if k.Missing != "" && k.Pattern == "" {
		s["minLength"] = max(1, k.Least)
	}
	if k.Kind == KindSecret || k.Kind == KindScript {
		s["not"] = schema{"const": Redacted}
	}
	return s
}

// scalarSchema takes one value. A reference in the file becomes text of any type.
func scalarSchema(k Key) schema {
	reference := schema{"$ref": "#/$defs/reference"}
	switch k.Kind {
	case KindFlag:
		return schema{"anyOf": []any{schema{"type": "boolean"}, reference}}
	case KindInteger:
		number := schema{"type": "integer", "minimum": 0}
		if k.Least > 0 && k.Required {
			number["minimum"] = k.Least
		}
		if k.Most > 0 {
			number["maximum"] = k.Most
		}
		return schema{"anyOf": []any{number, reference}}
	case KindDecimal:
		return schema{"anyOf": []any{schema{"type": "number", "exclusiveMinimum": 0}, textForm(k)}}
	case KindDuration:
		form := schema{"type": "string", "pattern": durationForm + "|" + referenceForm}
		if k.Shortest > 0 && !k.Off {
			return form
		}
		return schema{"anyOf": []any{form, schema{"const": 0}}}
	default: // text
	}
	if len(k.Words) > 0 {
		words := []any{}
		for _, w := range k.Words {
			words = append(words, w)
		}
		return schema{"anyOf": []any{schema{"enum": words}, reference}}
	}
	return textForm(k)
}

// tagsSchema takes an object of text, or "key=value,key=value".
func tagsSchema() schema {
	return schema{"anyOf": []any{
		schema{
			"type": "object", "maxProperties": tagsMax - tagsOfEbb,
			"propertyNames":        schema{"minLength": 1, "maxLength": tagKeyMax, "not": schema{"pattern": "^([aA][wW][sS]|[eE][bB][bB]):"}},
			"additionalProperties": schema{"type": "string", "maxLength": tagValueMax},
		},
		schema{"type": "string", "pattern": `^\s*(,\s*)*([^,]*=[^,]*(,\s*)*)*$|` + referenceForm},
	}}
}
