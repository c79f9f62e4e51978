package dashtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/adapters/dashboard"
)

// Wizard is a small [dashboard.Wizard]: three steps, one of which repeats, and files
// that have a line "path: value" for each answer.
type Wizard struct{}

const steps = `[
 {"id":"clearml","title":"ClearML server","help":"The server whose queues are watched.","fields":[
  {"id":"autoscalers[0].clearml.api_server","label":"API server","kind":"text","required":true,"suggest":"https://api.clear.ml","help":"Its address."},
  {"id":"autoscalers[0].clearml.secret_key","label":"Secret key","kind":"secret","required":true,"default":"${ENV:CLEARML_SECRET_KEY}"}]},
 {"id":"aws","title":"AWS","fields":[
  {"id":"autoscalers[0].aws.region","label":"Region","kind":"text","required":true,"example":"us-east-1"},
  {"id":"autoscalers[0].aws.use_iam_role","label":"Use the machine's role","kind":"bool","default":"true"},
  {"id":"autoscalers[0].aws.access_key_id","label":"Access key","kind":"text","required":true,
   "when":[{"field":"autoscalers[0].aws.use_iam_role","is":["true"],"not":true}]},
  {"id":"autoscalers[0].max_idle_time","label":"Idle time","kind":"duration","default":"15m","implied":true}]},
 {"id":"resource","title":"Compute resource","repeat":"autoscalers[0].resources","fields":[
  {"id":"autoscalers[0].resources[].name","label":"Name","kind":"text","required":true},
  {"id":"autoscalers[0].resources[].market","label":"Market","kind":"choice","default":"on_demand",
   "choices":[{"value":"on_demand","label":"on demand"},{"value":"spot","label":"spot"}]},
  {"id":"autoscalers[0].resources[].max_instances","label":"Most instances","kind":"number","required":true},
  {"id":"autoscalers[0].resources[].queues","label":"Queues","kind":"list","required":true}]},
 {"id":"autoscaler","title":"The autoscaler","fields":[
  {"id":"autoscalers[0].name","label":"Name","kind":"text","required":true,"suggest":"prod"},
  {"id":"autoscalers[0].init_script","label":"Init script","kind":"multiline"}]}]`

// Steps implements [dashboard.Wizard].
func (Wizard) Steps() (json.RawMessage, error) { return json.RawMessage(steps), nil }

func read(answers json.RawMessage) (map[string]any, error) {
	var given map[string]any
	if err := json.Unmarshal(answers, &given); err != nil {
		return nil, errors.New("answers are an object of values by path")
	}
	return given, nil
}

// Check implements [dashboard.Wizard]: a region has two dashes, a number is positive.
func (Wizard) Check(answers json.RawMessage) ([]dashboard.Problem, error) {
	given, err := read(answers)
	if err != nil {
		return nil, err
	}
	var problems []dashboard.Problem
	for _, path := range []string{"autoscalers[0].name", "autoscalers[0].clearml.api_server", "autoscalers[0].clearml.secret_key", "autoscalers[0].aws.region"} {
		if text, _ := given[path].(string); text == "" {
			problems = append(problems, dashboard.Problem{Path: path, Message: "is missing", Fix: "write a value"})
		}
	}
	if region, _ := given["autoscalers[0].aws.region"].(string); region != "" && strings.Count(region, "-") != 2 {
		problems = append(problems, dashboard.Problem{
			Path: "autoscalers[0].aws.region", Message: "is not the name of a region", Fix: "write one such as us-east-1",
		})
	}
	return problems, nil
}

// Import implements [dashboard.Wizard].
func (Wizard) Import(_ string, data []byte) (dashboard.Imported, error) {
	answers := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		path, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if ok && strings.HasPrefix(path, "autoscalers[") {
			answers[path] = value
		}
	}
	if len(answers) == 0 {
		return dashboard.Imported{}, &dashboard.InvalidError{Problems: []dashboard.Problem{
			{Path: "", Message: "there is no answer in the file", Fix: "write lines such as autoscalers[0].name: prod"},
		}}
	}
	text, err := json.Marshal(answers)
	return dashboard.Imported{Answers: text, Notes: []string{fmt.Sprintf("%d values taken over", len(answers))}}, err
}

// Write implements [dashboard.Wizard].
func (Wizard) Write(answers json.RawMessage, inline bool) (dashboard.Written, error) {
	given, err := read(answers)
	if err != nil {
		return dashboard.Written{}, err
	}
	var written dashboard.Written
	var text strings.Builder
	text.WriteString("# autoscalers:\n")
	for _, path := range slices.Sorted(maps.Keys(given)) {
		value := fmt.Sprint(given[path])
		if strings.HasSuffix(path, "secret_key") && !strings.HasPrefix(value, "${") && !inline {
			value = "${ENV:CLEARML_SECRET_KEY}"
			written.Needs = append(written.Needs, "environment variable CLEARML_SECRET_KEY: the value that was answered")
		}
		text.WriteString(path + ": " + value + "\n")
	}
	written.YAML = text.String()
	return written, nil
}
