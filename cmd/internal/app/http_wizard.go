package app

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/wizard"
)

var _ dashboard.Wizard = webWizard{}

// webWizard is the wizard as the dashboard sees it.
type webWizard struct{}

// Steps implements [dashboard.Wizard].
func (webWizard) Steps() (json.RawMessage, error) { return json.Marshal(wizard.Steps()) }

// answersOf reads answers; what is wrong with them is the sender's fault.
func answersOf(text json.RawMessage) (wizard.Answers, error) {
	var answers wizard.Answers
	if err := json.Unmarshal(text, &answers); err != nil {
		return nil, &dashboard.InvalidError{Problems: []dashboard.Problem{{Message: "the answers are no object of values by path", Fix: "send one"}}}
	}
	return answers, nil
}

// Check implements [dashboard.Wizard].
func (webWizard) Check(text json.RawMessage) ([]dashboard.Problem, error) {
	answers, err := answersOf(text)
	if err != nil {
		return nil, err
	}
	return problemsOf(wizard.Check(answers)), nil
}

func problemsOf(all []config.Problem) []dashboard.Problem {
	problems := make([]dashboard.Problem, 0, len(all))
	for _, p := range all {
		message := p.Message
		if p.Line > 0 {
			message = fmt.Sprintf("line %d: %s", p.Line, message)
		}
		problems = append(problems, dashboard.Problem{Path: p.Path, Message: message, Fix: p.Fix})
	}
	return problems
}

// invalid is an error of a configuration as the dashboard shows it.
func invalid(err error) error {
	if all, ok := errors.AsType[config.Errors](err); ok {
		return &dashboard.InvalidError{Problems: problemsOf(all)}
	}
	return err
}

// Import implements [dashboard.Wizard].
func (webWizard) Import(name string, data []byte) (dashboard.Imported, error) {
	answers, notes, err := wizard.Import(name, data)
	if err != nil {
		return dashboard.Imported{}, invalid(err)
	}
	return imported(answers, notes)
}

// imported are answers for the page.
func imported(answers wizard.Answers, notes []config.Note) (dashboard.Imported, error) {
	text, err := json.Marshal(answers)
	if err != nil {
		return dashboard.Imported{}, fmt.Errorf("write the answers: %w", err)
	}
	read := dashboard.Imported{Answers: text, Unset: wizard.Unset(answers, notes)}
	for _, note := range notes {
		read.Notes = append(read.Notes, note.String())
	}
	return read, nil
}

// Write implements [dashboard.Wizard].
func (webWizard) Write(text json.RawMessage, inline bool) (dashboard.Written, error) {
	answers, err := answersOf(text)
	if err != nil {
		return dashboard.Written{}, err
	}
	written, err := wizard.Write(answers, wizard.Options{InlineSecrets: inline})
	if err != nil {
		return dashboard.Written{}, invalid(err)
	}
	result := dashboard.Written{YAML: string(written.YAML), Inline: written.Inline}
	for _, need := range written.Needs {
		line := fmt.Sprintf("${%s:%s} for %s", need.Kind, need.Name, need.Path)
		if need.Moved {
			line += ": the value that was answered"
		}
		result.Needs = append(result.Needs, line)
	}
	return result, nil
}
