package wizard

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// Options say how answers are written.
type Options struct {
	// InlineSecrets writes secrets that were answered into the file. Otherwise a
	// reference to an environment variable takes the place of each.
	InlineSecrets bool `json:"inline_secrets"`
	// Name is what the file is called in its own comments; "" is ebb.yaml.
	Name string `json:"name,omitempty"`
	// Beside is what the file says of single keys, by their paths without numbers of
	// elements, beside what it says of them anyway.
	Beside map[string]string `json:"-"`
}

// Written is a file, and what has to be there when it is used.
type Written struct {
	YAML []byte `json:"yaml"`
	// Needs are the environment variables and files that it refers to.
	Needs []Need `json:"needs,omitempty"`
	// Inline are the paths of secrets that are in the file as they are; scripts,
	// which may contain some, are among them.
	Inline []string `json:"inline,omitempty"`
}

// Need is something that a file refers to.
type Need struct {
	config.ReferenceTo

	// Path is the key that refers to it.
	Path string `json:"path"`
	// Moved says that the secret was among the answers and is not in the file: its
	// owner has to put it where the reference points.
	Moved bool `json:"moved,omitempty"`
}

// FromFile is a loaded configuration as answers, secrets included, without what
// follows by itself.
func FromFile(f config.File) (Answers, error) {
	draft, err := config.DraftOf(f)
	if err != nil {
		return nil, err
	}
	return flatten(draft), nil
}

// Write writes answers as a YAML file in which every key is explained. It does not
// check them: an unfinished file can be written too. The error is
// [config.Errors] when a path cannot be one.
func Write(a Answers, o Options) (Written, error) {
	a = maps.Clone(a)
	written, keys := Written{}, config.NewKeyTable()
	moved := map[string]bool{}
	if !o.InlineSecrets {
		moved = moveSecrets(a)
	}
	for _, path := range slices.Sorted(maps.Keys(a)) {
		k, _ := keys.At(path)
		text, isText := a[path].(string)
		if !isText || text == "" {
			continue
		}
		references := config.References(text)
		for _, r := range references {
			written.Needs = append(written.Needs, Need{ReferenceTo: r, Path: path, Moved: moved[path]})
		}
		if len(references) == 0 && (k.Kind == config.KindSecret || k.Kind == config.KindScript) {
			written.Inline = append(written.Inline, path)
		}
	}
	draft, problems := nest(a)
	if len(problems) > 0 {
		return Written{}, config.Errors(problems)
	}
	name := o.Name
	if name == "" {
		name = "ebb.yaml"
	}
	var err error
	written.YAML, err = draft.YAML(fmt.Sprintf("Configuration of ebb, written by `ebb init`.\nCheck it: ebb config check %s\nRun it:   ebb run --config %s", name, name), o.Beside)
	return written, err
}

// moveSecrets puts a reference in the place of each secret, and returns the paths. Text
// beside a reference may be one.
func moveSecrets(a Answers) map[string]bool {
	moved, taken, keys := map[string]bool{}, map[string]bool{}, config.NewKeyTable()
	for _, v := range a {
		if text, ok := v.(string); ok {
			for _, r := range config.References(text) {
				taken[r.Name] = true
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(a)) {
		k, _ := keys.At(path)
		text := a.Text(path)
		if k.Kind != config.KindSecret || text == "" || config.IsOneReference(text) {
			continue
		}
		name := variableFor(a, path, k.Variable)
		for i := 2; taken[name]; i++ {
			name = variableFor(a, path, k.Variable) + "_" + strconv.Itoa(i)
		}
		taken[name], moved[path] = true, true
		a[path] = "${ENV:" + name + "}"
	}
	return moved
}

// variableFor is the environment variable proposed for a secret: that of its key,
// with the autoscaler's name for every autoscaler but the first.
func variableFor(a Answers, path, variable string) string {
	autoscaler, _, inside := strings.Cut(path, "].")
	if !inside || autoscaler == "autoscalers[0" {
		return variable
	}
	name := a.Text(autoscaler + "].name")
	if name == "" || config.IsReference(name) {
		name = strings.TrimPrefix(autoscaler, "autoscalers[")
	}
	return variable + "_" + strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(name))
}

// bytesMost bounds what Import reads.
const bytesMost = 1 << 20

// Import reads a file that somebody gave: one of ebb, or what `ebb config import`
// reads. Nothing but data is read: ${ENV:…} and ${FILE:…} in a file of ebb stay as
// they are, in any other file they are mere text. The error is [config.Errors].
func Import(name string, data []byte) (Answers, []config.Note, error) {
	if len(data) > bytesMost {
		return nil, nil, config.Errors{{Where: name, Message: fmt.Sprintf("has %d kB", len(data)>>10), Fix: "give a configuration, at most 1 MB"}}
	}
	draft, notes, err := config.ReadDraft(name, data)
	if err != nil {
		return nil, nil, err
	}
	for _, path := range draft.AlignQueues() {
		notes = append(notes, config.Note{Path: path, Message: "changed to name the queues and resources that the resources' own queues name"})
	}
	a := flatten(draft)
	// What is wrong or missing is for Check, which says it as long as it is so.
	said := map[string]bool{}
	for _, p := range Check(a) {
		said[p.Path+": "+p.Message+"; "+p.Fix] = true
	}
	notes = slices.DeleteFunc(notes, func(n config.Note) bool { return said[n.Path+": "+n.Message] })
	return a, notes, nil
}
