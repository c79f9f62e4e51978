package ec2

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
)

// reservedExtra says for each parameter that launches keep to themselves why it
// may not be given, and what to do instead.
func reservedExtra(parameter string) string {
	switch parameter {
	case "ClientToken":
		return "it is what makes a launch happen once; leave it out"
	case "MinCount", "MaxCount":
		return "how many to launch is decided from the queue; set max_instances of the resource"
	case "UserData":
		return "it starts the agent; put commands into the init script"
	case "DryRun":
		return "a dry run launches nothing; leave it out"
	}
	return ""
}

// decodeExtra reads launch parameters, written with the field names of
// RunInstances, into a request that has nothing else. Names are exact and
// values have the type of the field; all mistakes are reported, each with its
// path below where.
func decodeExtra(where string, extra map[string]any) (*awsec2.RunInstancesInput, error) {
	input := &awsec2.RunInstancesInput{}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		// EC2's names, whatever the case: "clienttoken" is no way around.
		field, _ := reflect.TypeFor[awsec2.RunInstancesInput]().FieldByNameFunc(func(s string) bool { return strings.EqualFold(s, name) })
		if reason := reservedExtra(field.Name); reason != "" {
			problems = append(problems, fmt.Errorf("%s.%s may not be given: %s", where, name, reason))
		}
	}
	problems = append(problems, fill(where, reflect.ValueOf(input).Elem(), extra)...)
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return input, nil
}

// fill sets to from a value as configuration files give it.
func fill(path string, to reflect.Value, from any) []error {
	if from == nil {
		return []error{fmt.Errorf("%s is empty: give a value, or leave it out", path)}
	}
	if to.Type() == reflect.TypeFor[time.Time]() {
		return fillTime(path, to, from)
	}
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return fill(path, to.Elem(), from)
	case reflect.Struct:
		return fillStruct(path, to, from)
	case reflect.Slice:
		return fillSlice(path, to, from)
	case reflect.Int32:
		return fillInt(path, to, from)
	case reflect.Float64:
		return fillFloat(path, to, from)
	case reflect.String:
		if text, ok := from.(string); ok {
			to.SetString(text)
			return nil
		}
		return []error{fmt.Errorf("%s wants text, not %s", path, kindOf(from))}
	case reflect.Bool:
		if yes, ok := from.(bool); ok {
			to.SetBool(yes)
			return nil
		}
		return []error{fmt.Errorf("%s wants true or false, not %s", path, kindOf(from))}
	default:
		return []error{fmt.Errorf("%s cannot be given here", path)}
	}
}

func fillStruct(path string, to reflect.Value, from any) []error {
	fields, ok := from.(map[string]any)
	if !ok {
		return []error{fmt.Errorf("%s wants a map, not %s", path, kindOf(from))}
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		field, known := to.Type().FieldByName(name)
		if !known || !field.IsExported() {
			problems = append(problems, unknownParameter(path, name, to.Type()))
			continue
		}
		problems = append(problems, fill(path+"."+name, to.FieldByIndex(field.Index), fields[name])...)
	}
	return problems
}

// unknownParameter says that there is no such parameter, and which one is meant
// when it only differs in case.
func unknownParameter(path, name string, in reflect.Type) error {
	meant, ok := in.FieldByNameFunc(func(s string) bool { return strings.EqualFold(s, name) })
	if ok && meant.IsExported() {
		return fmt.Errorf("%s.%s: RunInstances writes it %s", path, name, meant.Name)
	}
	return fmt.Errorf("%s.%s: RunInstances has no such parameter; names are those of the EC2 API reference, such as CpuOptions", path, name)
}

func fillSlice(path string, to reflect.Value, from any) []error {
	list := reflect.ValueOf(from)
	if list.Kind() != reflect.Slice {
		return []error{fmt.Errorf("%s wants a list, not %s", path, kindOf(from))}
	}
	to.Set(reflect.MakeSlice(to.Type(), list.Len(), list.Len()))
	var problems []error
	for i := range list.Len() {
		problems = append(problems, fill(fmt.Sprintf("%s[%d]", path, i), to.Index(i), list.Index(i).Interface())...)
	}
	return problems
}

func fillInt(path string, to reflect.Value, from any) []error {
	var number int64
	switch value := reflect.ValueOf(from); {
	case value.CanInt():
		number = value.Int()
	case value.CanUint() && value.Uint() <= math.MaxInt32:
		number = int64(value.Uint())
	case value.CanFloat() && value.Float() == math.Trunc(value.Float()) && math.Abs(value.Float()) <= math.MaxInt32:
		number = int64(value.Float()) // JSON has no whole numbers
	default:
		return []error{fmt.Errorf("%s wants a whole number, not %s", path, kindOf(from))}
	}
	if to.OverflowInt(number) {
		return []error{fmt.Errorf("%s: %d is too large", path, number)}
	}
	to.SetInt(number)
	return nil
}

func fillFloat(path string, to reflect.Value, from any) []error {
	switch value := reflect.ValueOf(from); {
	case value.CanFloat():
		to.SetFloat(value.Float())
	case value.CanInt():
		to.SetFloat(float64(value.Int()))
	default:
		return []error{fmt.Errorf("%s wants a number, not %s", path, kindOf(from))}
	}
	return nil
}

func fillTime(path string, to reflect.Value, from any) []error {
	switch value := from.(type) {
	case time.Time:
		to.Set(reflect.ValueOf(value))
		return nil
	case string:
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return []error{fmt.Errorf("%s wants a time such as 2026-01-31T12:00:00Z, not %q", path, value)}
		}
		to.Set(reflect.ValueOf(at))
		return nil
	default:
		return []error{fmt.Errorf("%s wants a time, not %s", path, kindOf(from))}
	}
}

// kindOf names the kind of a configured value for people, without the value: it
// may be a secret.
func kindOf(value any) string {
	switch reflect.ValueOf(value).Kind() {
	case reflect.Map:
		return "a map"
	case reflect.Slice:
		return "a list"
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a fraction"
	default:
		return "a number"
	}
}

// merge lays what from gives over to, field by field; a list replaces a list.
// The two must be structs of one type. Nothing of from is changed or shared so
// that it could be.
func merge(to, from reflect.Value) {
	for i := range from.NumField() {
		if !from.Type().Field(i).IsExported() || from.Field(i).IsZero() {
			continue
		}
		source, target := from.Field(i), to.Field(i)
		if source.Kind() == reflect.Pointer && source.Elem().Kind() == reflect.Struct && source.Type().Elem() != reflect.TypeFor[time.Time]() {
			if target.IsNil() {
				target.Set(reflect.New(target.Type().Elem()))
			}
			merge(target.Elem(), source.Elem())
			continue
		}
		target.Set(source)
	}
}
