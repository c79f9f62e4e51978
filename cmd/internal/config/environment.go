package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// envPrefix begins the variables that are keys: EBB_NATS__URL is nats.url.
const envPrefix = "EBB_"

// notOurs are variables with our prefix that are no keys: EBB_CONFIG names the file
// itself, the others are what Kubernetes gives every pod beside a service ebb.
func notOurs(name string) bool {
	return name == "EBB_CONFIG" ||
		!strings.Contains(name, "__") && regexp.MustCompile(`^EBB_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT|PORT)(_|$)`).MatchString(name)
}

// environmentLayer reads EBB_… variables into a layer. root tells which elements
// there are to be addressed by name; an empty variable is as good as unset.
func environmentLayer(environ []string, root map[string]any, origins map[string]string) (map[string]any, []Problem) {
	var problems []Problem
	paths := map[string]string{} // variable → flat key
	vars := environmentOf(environ)
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !strings.HasPrefix(name, envPrefix) || vars[name] == "" || notOurs(name) {
			continue
		}
		keys, path, problem := addressOf(name, root)
		if !utf8.ValidString(vars[name]) {
			problem = &Problem{Where: variable(name), Message: "is not UTF-8 text", Fix: "encode it with base64, and decode it where it is used"}
		}
		if problem != nil {
			problems = append(problems, *problem)
			continue
		}
		if other, twice := origins[path]; twice {
			problems = append(problems, Problem{Path: path, Where: variable(name), Message: "is also set by " + other, Fix: "unset one of the two"})
			continue
		}
		paths[name] = strings.Join(keys, delimiter)
		origins[path] = variable(name)
	}
	problems = append(problems, overlaps(paths)...)
	k := koanf.New(delimiter)
	err := k.Load(env.Provider(delimiter, env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			return paths[name], loose(value)
		},
	}), nil)
	if err != nil {
		problems = append(problems, Problem{Message: "reading the environment: " + err.Error()})
	}
	return k.Raw(), problems
}

func variable(name string) string { return "environment variable " + name }

// addressOf finds what a variable means: the keys for koanf, and the path.
func addressOf(name string, root map[string]any) (keys []string, path string, problem *Problem) {
	var at any = root
	for segment := range strings.SplitSeq(strings.TrimPrefix(name, envPrefix), "__") {
		if segment == "" {
			return nil, "", &Problem{Where: variable(name), Message: "the name has an empty part", Fix: "write EBB_NATS__URL for nats.url: two underscores between levels"}
		}
		if list, ok := at.([]any); ok {
			known := names(at)
			i, found := indexNamed(known, segment)
			if !found {
				return nil, "", &Problem{
					Path: path, Where: variable(name),
					Message: fmt.Sprintf("no single element is called %s", segment),
					Fix:     "write one of " + strings.Join(addresses(known), ", ") + " in the variable's name",
				}
			}
			keys, path, at = append(keys, elementMark+strconv.Itoa(i)), item(path, i), list[i]
			continue
		}
		object, _ := at.(map[string]any)
		key := matchingKey(object, segment)
		keys, path, at = append(keys, key), child(path, key), object[key]
	}
	if path == "autoscalers" {
		return nil, "", &Problem{Path: path, Where: variable(name), Message: "a list of objects cannot come from one variable", Fix: "write the autoscalers in the file, single keys as EBB_AUTOSCALERS__NAME__KEY"}
	}
	return keys, path, nil
}

// addresses are the spellings under which elements are found.
func addresses(names []string) []string {
	out := make([]string, 0, len(names))
	for i, name := range names {
		if name == "" {
			name = strconv.Itoa(i)
		}
		out = append(out, envName(name))
	}
	return out
}

// overlaps drops variables that set both a key and something inside it.
func overlaps(paths map[string]string) []Problem {
	var problems []Problem
	names := slices.Sorted(maps.Keys(paths))
	for _, outer := range names {
		for _, inner := range names {
			if strings.HasPrefix(paths[inner], paths[outer]+delimiter) && paths[outer] != "" {
				problems = append(problems, Problem{
					Where:   variable(outer),
					Message: "sets a whole of which " + inner + " sets a part",
					Fix:     "unset one of the two",
				})
				delete(paths, outer)
				break
			}
		}
	}
	return problems
}

// conventional are the variables that ClearML's tools read, each with the section
// and the key that falls back to it when nothing else sets it.
func conventional() [][3]string {
	var out [][3]string
	for _, k := range autoscalerKeys() {
		if section, key, ok := strings.Cut(strings.TrimPrefix(k.Path, "autoscalers[]."), "."); ok && k.Fallback != "" {
			out = append(out, [3]string{k.Fallback, section, key})
		}
	}
	return out
}

// fallbackLayer gives each autoscaler of top the conventional variables' values for
// keys that it lacks.
func fallbackLayer(env environment, top map[string]any, origins map[string]string) map[string]any {
	list := []any{}
	for i, a := range elements(top["autoscalers"]) {
		layer := map[string]any{}
		for _, c := range conventional() {
			name, section, key := c[0], c[1], c[2]
			own, isObject := a[section].(map[string]any)
			if env[name] == "" || own[key] != nil || a[section] != nil && !isObject {
				continue
			}
			if own["auth_token"] != nil && (key == "access_key" || key == "secret_key") {
				continue // the token is the whole login
			}
			inner, _ := layer[section].(map[string]any)
			if inner == nil {
				inner = map[string]any{}
				layer[section] = inner
			}
			inner[key] = loose(env[name])
			origins[child(child(item("autoscalers", i), section), key)] = variable(name)
		}
		list = append(list, layer)
	}
	if len(list) == 0 {
		return nil
	}
	return map[string]any{"autoscalers": list}
}

// flagOrigin begins the origin of a value that a flag gave.
const flagOrigin = "flag --"

// flagKey is a flag and the key that it sets.
type flagKey struct{ flag, key, usage string }

func flagKeys() []flagKey {
	return []flagKey{
		{"state-dir", "state_dir", "directory of durable state"},
		{"log-level", "log.level", "trace, debug, info, warn or error"},
		{"log-format", "log.format", "auto, json or console"},
		{"nats-url", "nats.url", "external NATS server; empty starts the embedded one"},
		{"nats-creds-file", "nats.creds_file", "credentials file for the external NATS server"},
		{"nats-listen", "nats.listen", "host:port of the embedded NATS server"},
		{"http-listen", "http.listen", "host:port of dashboard and metrics; off for none"},
		{"lease-ttl", "lease.ttl", "how long the right to act lasts without renewal, such as 15s"},
	}
}

// RegisterFlags adds the flags that Load reads to fs. Their defaults are empty: a
// flag counts only when it was given.
func RegisterFlags(fs *pflag.FlagSet) {
	for _, f := range flagKeys() {
		fs.String(f.flag, "", f.usage)
	}
}

// flagLayer reads the flags that were given; flags of other meaning are left alone.
func flagLayer(fs *pflag.FlagSet, origins map[string]string) (map[string]any, error) {
	if fs == nil {
		return map[string]any{}, nil
	}
	k := koanf.New(delimiter)
	provider := posflag.ProviderWithFlag(fs, delimiter, k, func(f *pflag.Flag) (string, any) {
		i := slices.IndexFunc(flagKeys(), func(k flagKey) bool { return k.flag == f.Name })
		if i < 0 || !f.Changed {
			return "", nil
		}
		key := flagKeys()[i].key
		origins[key] = flagOrigin + f.Name
		return strings.ReplaceAll(key, ".", delimiter), loose(f.Value.String())
	})
	if err := k.Load(provider, nil); err != nil {
		return nil, fmt.Errorf("read flags: %w", err)
	}
	return k.Raw(), nil
}
