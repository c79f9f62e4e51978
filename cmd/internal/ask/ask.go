// Package ask asks the questions of package wizard in a terminal: as forms, or line
// by line for screen readers, pipes and terminals that cannot draw.
package ask

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/wizard"
)

// ErrAborted is what Run returns when the user leaves without wanting a file.
var ErrAborted = errors.New("left before the end; nothing was written")

// Options say how to ask.
type Options struct {
	In  io.Reader
	Out io.Writer
	// Lines asks line by line instead of drawing forms.
	Lines bool
	// InlineSecrets asks for secrets themselves. Otherwise for references to them:
	// the secrets do not go into the file.
	InlineSecrets bool
	// Autoscaler is the index of the one that is asked about.
	Autoscaler int
	// Name is what the file will be called.
	Name string
	// Started says that the answers come from a file: only what is wrong or missing
	// is asked, the rest can be changed at the end.
	Started bool
}

// Run asks and returns the answers that the user wants written; a itself stays as it
// is. The error is [ErrAborted], or says that input or output failed.
func Run(ctx context.Context, a wizard.Answers, o Options) (wizard.Answers, error) {
	s := &session{o: o, answers: maps.Clone(a)}
	if s.answers == nil {
		s.answers = wizard.Answers{}
	}
	s.asker = &forms{in: o.In, out: o.Out}
	if o.Lines {
		s.asker = newLines(o.In, o.Out)
	}
	if err := s.walk(ctx); err != nil {
		return nil, err
	}
	if err := s.review(ctx); err != nil {
		return nil, err
	}
	return s.answers, nil
}

// asker is a way to put questions.
type asker interface {
	// page asks the questions of one page that are not hidden.
	page(ctx context.Context, p page) error
	// choose offers options and returns the index of the chosen one.
	choose(ctx context.Context, title, text string, options []string) (int, error)
}

// page is a step as it is asked.
type page struct {
	title string
	help  string
	// wrong says what was wrong with the answers given before, "" at first.
	wrong     string
	questions []question
}

// question is a field under way. Its value is the text of the answer.
type question struct {
	wizard.Field

	value  *string
	hidden func() bool
	check  func(text string) error
	// masked questions do not show what is typed.
	masked bool
}

// title is the label, with a mark where no answer is needed; a label that says in
// brackets what that means has no other.
func (q question) title() string {
	if q.Required || q.Kind == wizard.Bool || q.Kind == wizard.Choice || q.Default != "" || strings.HasSuffix(q.Label, ")") {
		return q.Label
	}
	return q.Label + " (optional)"
}

// session is one run through the questions.
type session struct {
	o       Options
	asker   asker
	answers wizard.Answers
}

func (s *session) steps() []wizard.Step { return wizard.StepsFor(s.o.Autoscaler, s.answers) }

// resources is the path of the list that can be made longer.
func (s *session) resources() string {
	return fmt.Sprintf("autoscalers[%d].resources", s.o.Autoscaler)
}

// walk asks every step, or in a started configuration those with problems.
func (s *session) walk(ctx context.Context) error {
	for i := 0; i < len(s.steps()); i++ {
		step := s.steps()[i]
		if s.o.Started && len(wizard.OfStep(step, wizard.Check(s.answers))) == 0 {
			continue
		}
		if err := s.step(ctx, step); err != nil {
			return err
		}
		if s.o.Started || !isResource(step) {
			continue
		}
		more, err := s.asker.choose(ctx, "Another compute resource?",
			"A second kind of instance, for other queues or for the same ones when the first has no room.", []string{"No, go on", "Yes, add one"})
		if err != nil {
			return err
		}
		if more == 1 {
			s.add()
		}
	}
	return nil
}

func isResource(step wizard.Step) bool { return strings.HasPrefix(step.ID, "resource-") }

// add begins one more resource, with an answer that it would get anyway.
func (s *session) add() {
	at := fmt.Sprintf("%s[%d].market", s.resources(), s.answers.Elements(s.resources()))
	s.answers[at] = string(config.OnDemand)
}

// step asks one step until nothing is wrong with its answers.
func (s *session) step(ctx context.Context, step wizard.Step) error {
	wrong := ""
	if s.o.Started {
		wrong = described(wizard.OfStep(step, wizard.Check(s.answers)))
	}
	for {
		before := maps.Clone(s.answers)
		p := s.page(step)
		p.wrong = wrong
		if err := s.asker.page(ctx, p); err != nil {
			return err
		}
		for _, q := range p.questions {
			if !q.hidden() {
				s.answers.Set(q.ID, strings.TrimRight(*q.value, " \t\r"))
			}
		}
		wizard.Settle(s.o.Autoscaler, before, s.answers)
		problems := wizard.OfStep(step, wizard.Check(s.answers))
		if len(problems) == 0 {
			return nil
		}
		wrong = described(problems)
	}
}

// described are problems, a line each, with what the user calls the keys. What is
// only missing shares a line: the fields say the rest, and screens are small.
func described(problems []config.Problem) string {
	var lines, missing []string
	for _, p := range problems {
		name := p.Path
		if k, known := config.KeyAt(p.Path); known {
			name = k.Title
		}
		if strings.HasPrefix(p.Message, "is missing") && !slices.Contains(missing, name) {
			missing = append(missing, name)
			continue
		}
		lines = append(lines, "Not right yet: "+name+": "+sentence(p))
	}
	if len(missing) > 0 {
		lines = append([]string{"Still missing: " + strings.Join(missing, ", ") + "."}, lines...)
	}
	return strings.Join(lines, "\n")
}

func sentence(p config.Problem) string {
	if p.Fix == "" {
		return p.Message
	}
	return p.Message + "; " + p.Fix
}

// page prepares the questions of a step.
func (s *session) page(step wizard.Step) page {
	p := page{title: s.title(step), help: strings.ReplaceAll(step.Help, "`", "")}
	_, started := s.answers[step.Fields[0].ID]
	for _, f := range step.Fields {
		text := s.answers.Text(f.ID)
		if text == "" {
			text = f.Default
		}
		if text == "" && !started {
			text = f.Suggest
		}
		p.questions = append(p.questions, question{Field: f, value: &text, masked: f.Kind == wizard.Secret && s.o.InlineSecrets})
	}
	for i := range p.questions {
		q := &p.questions[i]
		s.prepare(q)
		q.hidden = func() bool { return !wizard.Asked(q.Field, step.Fields, s.current(p.questions)) }
		q.check = func(text string) error { return s.check(step, p.questions, *q, text) }
	}
	return p
}

// prepare words a question for the way in which secrets are kept.
func (s *session) prepare(q *question) {
	if q.Kind != wizard.Secret {
		return
	}
	if !s.o.InlineSecrets {
		if *q.value != "" && !config.IsOneReference(*q.value) {
			*q.value = q.Default // the secret itself does not go into the file
		}
		q.Label += ": where it is found"
		q.Help = "Not the secret itself, which stays out of the file: ${ENV:NAME} or ${FILE:/path}."
		return
	}
	if config.IsReference(*q.value) {
		*q.value = "" // a proposal, which nobody sees behind the mask
	}
	q.Help += " It will be written into the file. A reference, ${ENV:NAME} or ${FILE:/path}, is kept as one."
}

// current are the answers with what is in the questions now, as text. It is called
// whenever a form is drawn.
func (s *session) current(questions []question) wizard.Answers {
	a := maps.Clone(s.answers)
	for _, q := range questions {
		a[q.ID] = *q.value
	}
	return a
}

// check is what is wrong with the text of one question.
func (s *session) check(step wizard.Step, questions []question, q question, text string) error {
	if q.Kind == wizard.Secret && !s.o.InlineSecrets && text != "" && !config.IsOneReference(text) {
		if config.IsReference(text) {
			return errors.New("there is more than one reference: whatever else is written, secret or not, would stand in the file; clear the line (ctrl+u) and write ${ENV:NAME} or ${FILE:/path} alone")
		}
		return errors.New("write where the secret is found, ${ENV:NAME} or ${FILE:/path}; to write it into the file start again with --inline-secrets")
	}
	a := s.current(questions)
	a[q.ID] = text
	steps := s.steps()
	if !slices.ContainsFunc(steps, func(o wizard.Step) bool { return o.ID == step.ID }) {
		steps = append(steps, step)
	}
	problems := wizard.CheckField(steps, a, q.ID)
	if len(problems) == 0 {
		return nil
	}
	return errors.New(sentence(problems[0]))
}

// name is the step's title, of a resource with its name.
func (s *session) name(step wizard.Step) string {
	if name := s.answers.Text(step.Fields[0].ID); isResource(step) && name != "" {
		return step.Title + " " + name
	}
	return step.Title
}

// title is the step's name with its place among the others.
func (s *session) title(step wizard.Step) string {
	steps := s.steps()
	i := slices.IndexFunc(steps, func(o wizard.Step) bool { return o.ID == step.ID })
	return fmt.Sprintf("%s (%d of %d)", s.name(step), i+1, len(steps))
}
