package wizard

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// Clone is one autoscaler of a configuration file of ebb as answers, as the only one:
// what the file refers to stays a reference. A secret that is in the file itself is
// left out, and a note says so, since answers go where the file does not. found is
// false when the file has no autoscaler of this name. The error is [config.Errors]
// when data cannot be read.
func Clone(name string, data []byte, autoscaler string) (a Answers, notes []config.Note, found bool, err error) {
	draft, all, err := config.ReadDraft(name, data)
	if err != nil {
		return nil, nil, false, err
	}
	list, _ := draft["autoscalers"].([]any)
	for i, e := range list {
		if nameOf(e) != autoscaler {
			continue
		}
		at := fmt.Sprintf("autoscalers[%d]", i)
		for _, n := range all {
			if rest, of := strings.CutPrefix(n.Path, at); of {
				n.Path = "autoscalers[0]" + rest
				notes = append(notes, n)
			}
		}
		a, hidden := withoutSecrets(config.Draft{"autoscalers": []any{e}})
		return a, append(notes, hidden...), true, nil
	}
	return nil, nil, false, nil
}

// CloneOf is [Clone] of an autoscaler that runs and is in no file.
func CloneOf(a config.Autoscaler) (Answers, []config.Note, error) {
	draft, err := config.DraftOf(config.File{Autoscalers: []config.Autoscaler{a}})
	if err != nil {
		return nil, nil, err
	}
	answers, notes := withoutSecrets(config.Draft{"autoscalers": draft["autoscalers"]})
	return answers, notes, nil
}

func nameOf(autoscaler any) string {
	object, _ := autoscaler.(map[string]any)
	name, _ := object["name"].(string)
	return name
}

// withoutSecrets is a draft as answers, in which a secret is a reference or not there.
func withoutSecrets(draft config.Draft) (Answers, []config.Note) {
	draft.AlignQueues()
	a, keys := flatten(draft), config.NewKeyTable()
	var notes []config.Note
	for _, path := range slices.Sorted(maps.Keys(a)) {
		k, _ := keys.At(path)
		if k.Kind != config.KindSecret && k.Kind != config.KindScript || onlyReferences(a.Text(path)) {
			continue
		}
		delete(a, path)
		notes = append(notes, config.Note{Path: path, Message: "is written out in the configuration that runs, so it is not shown here and is unset; " +
			"write it, or a reference such as ${ENV:NAME} or ${FILE:/path}"})
	}
	return a, notes
}

// onlyReferences says that a text is a reference, and nothing beside it.
func onlyReferences(text string) bool {
	for _, r := range config.References(text) {
		text = strings.Replace(text, "${"+r.Kind+":"+r.Name+"}", "", 1)
	}
	return strings.TrimSpace(text) == ""
}

// Unset are the paths of the secrets that notes are about and answers do not have:
// nothing may be put in their place but what somebody writes.
func Unset(a Answers, notes []config.Note) []string {
	var paths []string
	keys := config.NewKeyTable()
	for _, n := range notes {
		k, _ := keys.At(n.Path)
		if _, answered := a[n.Path]; !answered && (k.Kind == config.KindSecret || k.Kind == config.KindScript) {
			paths = append(paths, n.Path)
		}
	}
	return paths
}

// Merge puts a configuration into a file of ebb: its autoscalers take the place of
// those of the same name, or are added after the others, and its other keys the place
// of the same keys. All else in the file stays, but for its comments. The error is
// [config.Errors] when part is at fault, and another one when file is.
func Merge(path string, file, part []byte) ([]byte, error) {
	whole, notes, err := config.ReadDraft(path, file)
	if err == nil && len(notes) > 0 {
		err = config.Errors{{Path: notes[0].Path, Message: notes[0].Message, Fix: "mend the file"}}
	}
	if err != nil {
		return nil, fmt.Errorf("the file that is there now cannot be read, mend it first: %s", err.Error()) // not one of part
	}
	fresh, notes, err := config.ReadDraft("ebb.yaml", part)
	if err != nil {
		return nil, err
	}
	if len(notes) > 0 {
		problems := make(config.Errors, 0, len(notes))
		for _, n := range notes {
			problems = append(problems, config.Problem{Path: n.Path, Message: n.Message, Fix: "read the file into the wizard first, which shows what is missing"})
		}
		return nil, problems
	}
	autoscalers, _ := whole["autoscalers"].([]any)
	added, _ := fresh["autoscalers"].([]any)
	for _, a := range added {
		i := slices.IndexFunc(autoscalers, func(old any) bool { return nameOf(old) == nameOf(a) })
		if i < 0 {
			autoscalers = append(autoscalers, a)
		} else {
			autoscalers[i] = a
		}
	}
	maps.Copy(whole, fresh)
	whole["autoscalers"] = autoscalers
	return whole.YAML("Configuration of ebb, written from its dashboard; the file before it is beside it, as *.before.", nil)
}
